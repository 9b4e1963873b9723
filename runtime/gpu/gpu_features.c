// gpu_features.c: robust access on every device, and what kernels on matrix cores need.
//
// Matrix cores are taken from Vulkan 1.3 on: every driver that offers them has it, and what else
// their kernels need (the memory model, a chosen subgroup size) is part of it.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_features.h"

#include <stdlib.h>
#include <string.h>

bool gpu_device_extension(VkPhysicalDevice physical, const char *name) {
    uint32_t n = 0;
    if (vkEnumerateDeviceExtensionProperties(physical, NULL, &n, NULL) < 0 || !n)
        return false;
    VkExtensionProperties *list = calloc(n, sizeof *list);
    bool found = false;
    if (list && vkEnumerateDeviceExtensionProperties(physical, NULL, &n, list) >= 0)
        for (uint32_t i = 0; i < n && !found; i++)
            found = !strcmp(list[i].extensionName, name);
    free(list);
    return found;
}

static void add_extension(gpu_features *f, const char *name) {
    f->extensions[f->n_extensions++] = name;
}

// Puts a structure of features behind the head of the chain.
static void chain(gpu_features *f, void *features) {
    VkBaseOutStructure *s = features;
    s->pNext = f->all.pNext;
    f->all.pNext = s;
}

// What the device offers, asked with all structures that it knows.
static bool query(gpu_features *f, VkPhysicalDevice physical) {
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(physical, &properties);
    if (properties.apiVersion < VK_API_VERSION_1_3 ||
        !gpu_device_extension(physical, GPU_EXT_MATRIX))
        return false;
    f->v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    f->v13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES;
    f->matrix.type = (VkStructureType)GPU_TYPE_MATRIX_FEATURES;
    f->matrix2.type = (VkStructureType)GPU_TYPE_MATRIX2_FEATURES;
    f->bf16.type = (VkStructureType)GPU_TYPE_BF16_FEATURES;
    chain(f, &f->v12);
    chain(f, &f->v13);
    chain(f, &f->matrix);
    if (gpu_device_extension(physical, GPU_EXT_MATRIX2))
        chain(f, &f->matrix2);
    if (gpu_device_extension(physical, GPU_EXT_BF16))
        chain(f, &f->bf16);
    vkGetPhysicalDeviceFeatures2(physical, &f->all);
    return true;
}

// Leaves in the chain what the kernels use, and nothing else that is offered.
static void choose(gpu_features *f) {
    f->has_flexible = f->matrix2.flexible && f->matrix2.elementwise;
    f->has_bf16 = f->bf16.type_of_shaders && f->bf16.matrix;
    f->all = (VkPhysicalDeviceFeatures2){.sType = f->all.sType};
    f->v12 = (VkPhysicalDeviceVulkan12Features){
        .sType = f->v12.sType, .shaderFloat16 = VK_TRUE, .vulkanMemoryModel = VK_TRUE};
    f->v13 = (VkPhysicalDeviceVulkan13Features){.sType = f->v13.sType,
                                                .subgroupSizeControl = VK_TRUE,
                                                .computeFullSubgroups = VK_TRUE,
                                                .maintenance4 = VK_TRUE};
    f->matrix = (gpu_matrix_features){.type = f->matrix.type, .matrix = VK_TRUE};
    chain(f, &f->v12);
    chain(f, &f->v13);
    chain(f, &f->matrix);
    add_extension(f, GPU_EXT_MATRIX);
    if (f->has_flexible) {
        f->matrix2 = (gpu_matrix2_features){.type = f->matrix2.type,
                                            .workgroup_scope = f->matrix2.workgroup_scope,
                                            .flexible = VK_TRUE,
                                            .elementwise = VK_TRUE};
        chain(f, &f->matrix2);
        add_extension(f, GPU_EXT_MATRIX2);
    }
    if (f->has_bf16) {
        f->bf16 = (gpu_bf16_features){
            .type = f->bf16.type, .type_of_shaders = VK_TRUE, .matrix = VK_TRUE};
        chain(f, &f->bf16);
        add_extension(f, GPU_EXT_BF16);
    }
}

void gpu_features_init(gpu_features *f, VkPhysicalDevice physical) {
    *f = (gpu_features){.all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    // MoltenVK must be told that we know it is no full Vulkan.
    if (gpu_device_extension(physical, "VK_KHR_portability_subset"))
        add_extension(f, "VK_KHR_portability_subset");
    f->has_matrix = query(f, physical) && f->matrix.matrix && f->v12.shaderFloat16 &&
                    f->v12.vulkanMemoryModel && f->v13.subgroupSizeControl &&
                    f->v13.computeFullSubgroups && f->v13.maintenance4;
    if (f->has_matrix)
        choose(f);
    else
        f->all.pNext = NULL;
    // Accesses past a binding then read zeros and write nothing, on every device alike.
    f->all.features = (VkPhysicalDeviceFeatures){.robustBufferAccess = VK_TRUE};
}

// -- shapes ----------------------------------------------------------------------------------

// Are there kernels for it? Those of flexible matrices multiply f16 alone.
static bool is_known(const gpu_features *f, const gpu_matrix_shape *s, bool flexible) {
    const bool bf16 = s->a == GPU_COMPONENT_BF16 && f->has_bf16 && !flexible;
    return (s->a == GPU_COMPONENT_F16 || bf16) && s->b == s->a && s->c == GPU_COMPONENT_F32 &&
           s->result == GPU_COMPONENT_F32 && !s->saturates;
}

static void add_shape(const gpu_features *f, va_gpu_info *info, const gpu_matrix_shape *s,
                      bool flexible, uint32_t invocations) {
    if (info->n_matrix == VA_MAX_MATRIX || !is_known(f, s, flexible))
        return;
    va_gpu_matrix *m = &info->matrix[info->n_matrix++];
    *m = (va_gpu_matrix){.m = s->m,
                         .n = s->n,
                         .k = s->k,
                         .bf16 = s->a == GPU_COMPONENT_BF16,
                         .flexible = flexible,
                         .invocations = invocations};
}

static void describe_fixed(const gpu_features *f, VkInstance instance, VkPhysicalDevice physical,
                           va_gpu_info *info) {
    gpu_get_matrix_shapes get = (gpu_get_matrix_shapes)vkGetInstanceProcAddr(
        instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    gpu_matrix_shape list[64];
    uint32_t n = VA_COUNT(list);
    for (uint32_t i = 0; i < n; i++)
        list[i] = (gpu_matrix_shape){.type = (VkStructureType)GPU_TYPE_MATRIX_SHAPE};
    if (!get || get(physical, &n, list) < 0)
        return;
    for (uint32_t i = 0; i < n; i++)
        if (list[i].scope == GPU_SCOPE_SUBGROUP)
            add_shape(f, info, &list[i], false, 0);
}

static void describe_limits(VkPhysicalDevice physical, va_gpu_info *info) {
    gpu_matrix2_properties limits = {.type = (VkStructureType)GPU_TYPE_MATRIX2_PROPERTIES};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &limits};
    vkGetPhysicalDeviceProperties2(physical, &all);
    info->matrix_max_size = limits.max_size;
    info->matrix_reserved_bytes = limits.reserved_bytes;
}

static void describe_flexible(const gpu_features *f, VkInstance instance, VkPhysicalDevice physical,
                              va_gpu_info *info) {
    gpu_get_matrix2_shapes get = (gpu_get_matrix2_shapes)vkGetInstanceProcAddr(
        instance, "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV");
    gpu_matrix2_shape list[64];
    uint32_t n = VA_COUNT(list);
    for (uint32_t i = 0; i < n; i++)
        list[i] = (gpu_matrix2_shape){.type = (VkStructureType)GPU_TYPE_MATRIX2_SHAPE};
    if (!get || get(physical, &n, list) < 0)
        return;
    for (uint32_t i = 0; i < n; i++) {
        const gpu_matrix2_shape *s = &list[i];
        const gpu_matrix_shape shape = {.m = s->m,
                                        .n = s->n,
                                        .k = s->k,
                                        .a = s->a,
                                        .b = s->b,
                                        .c = s->c,
                                        .result = s->result,
                                        .saturates = s->saturates};
        const bool workgroup = s->scope == GPU_SCOPE_WORKGROUP && f->matrix2.workgroup_scope;
        if (workgroup || s->scope == GPU_SCOPE_SUBGROUP)
            add_shape(f, info, &shape, true, workgroup ? s->invocations : 0);
    }
}

void gpu_features_describe(const gpu_features *f, VkInstance instance, VkPhysicalDevice physical,
                           va_gpu_info *info) {
    if (!f->has_matrix)
        return;
    VkPhysicalDeviceVulkan13Properties v13 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &v13};
    vkGetPhysicalDeviceProperties2(physical, &all);
    // The smallest is what matrix instructions are made for: 32 on AMD, 8 or 16 on Intel. Where
    // there is but one (NVK), none can be asked for.
    info->matrix_subgroup_asked = v13.minSubgroupSize != v13.maxSubgroupSize;
    if (info->matrix_subgroup_asked &&
        !(v13.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT))
        return;
    info->matrix_subgroup = v13.minSubgroupSize;
    describe_fixed(f, instance, physical, info);
    if (f->has_flexible) {
        describe_limits(physical, info);
        describe_flexible(f, instance, physical, info);
    }
}
