// gpu_ext.h: what this runtime uses of Vulkan extensions that the headers of Debian 12 lack.
//
// Values and layouts are those of the Vulkan registry; newer headers have the same under the
// registry's own names, so ours have names of their own.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_GPU_EXT_H
#define VKALIGN_GPU_EXT_H

#include <vulkan/vulkan.h>

#define GPU_EXT_MATRIX "VK_KHR_cooperative_matrix"
#define GPU_EXT_MATRIX2 "VK_NV_cooperative_matrix2"
#define GPU_EXT_BF16 "VK_KHR_shader_bfloat16"

enum { // VkStructureType
    GPU_TYPE_BF16_FEATURES = 1000141000,
    GPU_TYPE_MATRIX_FEATURES = 1000506000,
    GPU_TYPE_MATRIX_SHAPE = 1000506001,
    GPU_TYPE_MATRIX2_FEATURES = 1000593000,
    GPU_TYPE_MATRIX2_SHAPE = 1000593001,
    GPU_TYPE_MATRIX2_PROPERTIES = 1000593002
};

enum { GPU_COMPONENT_F16 = 0, GPU_COMPONENT_F32 = 1, GPU_COMPONENT_BF16 = 1000141000 };
enum { GPU_SCOPE_WORKGROUP = 2, GPU_SCOPE_SUBGROUP = 3 };

typedef struct gpu_matrix_features {
    VkStructureType type;
    void *next;
    VkBool32 matrix, robust_access;
} gpu_matrix_features;

typedef struct gpu_bf16_features {
    VkStructureType type;
    void *next;
    VkBool32 type_of_shaders, dot_product, matrix;
} gpu_bf16_features;

typedef struct gpu_matrix2_features {
    VkStructureType type;
    void *next;
    VkBool32 workgroup_scope, flexible, reductions, conversions, elementwise, tensors, block_loads;
} gpu_matrix2_features;

typedef struct gpu_matrix2_properties {
    VkStructureType type;
    void *next;
    uint32_t max_workgroup;  // invocations that hold a matrix together
    uint32_t max_size;       // rows or columns
    uint32_t reserved_bytes; // of shared memory, by matrices of a workgroup
} gpu_matrix2_properties;

typedef struct gpu_matrix_shape { // multiplies [m, k] by [k, n]
    VkStructureType type;
    void *next;
    uint32_t m, n, k;
    uint32_t a, b, c, result; // components
    VkBool32 saturates;
    uint32_t scope;
} gpu_matrix_shape;

typedef struct gpu_matrix2_shape { // multiples of m, n and k
    VkStructureType type;
    void *next;
    uint32_t m, n, k;
    uint32_t a, b, c, result;
    VkBool32 saturates;
    uint32_t scope;
    uint32_t invocations; // of a workgroup, where that is the scope
} gpu_matrix2_shape;

typedef VkResult(VKAPI_PTR *gpu_get_matrix_shapes)(VkPhysicalDevice, uint32_t *,
                                                   gpu_matrix_shape *);
typedef VkResult(VKAPI_PTR *gpu_get_matrix2_shapes)(VkPhysicalDevice, uint32_t *,
                                                    gpu_matrix2_shape *);

#endif
