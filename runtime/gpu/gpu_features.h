// gpu_features.h: the optional features and extensions of a device that the runtime turns on.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_GPU_FEATURES_H
#define VKALIGN_GPU_FEATURES_H

#include "vkalign/gpu.h"

#include "gpu_ext.h"

// Parts of it point to others: never copied.
typedef struct gpu_features {
    VkPhysicalDeviceFeatures2 all; // head of the chain for VkDeviceCreateInfo.pNext
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDeviceVulkan13Features v13;
    gpu_matrix_features matrix;
    gpu_matrix2_features matrix2;
    gpu_bf16_features bf16;
    const char *extensions[4];
    uint32_t n_extensions;
    bool has_matrix, has_flexible, has_bf16;
} gpu_features;

// Chooses them. The instance was made for Vulkan 1.3.
void gpu_features_init(gpu_features *f, VkPhysicalDevice physical);
// Fills what info says of matrices.
void gpu_features_describe(const gpu_features *f, VkInstance instance, VkPhysicalDevice physical,
                           va_gpu_info *info);
bool gpu_device_extension(VkPhysicalDevice physical, const char *name);

#endif
