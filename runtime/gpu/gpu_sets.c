// gpu_sets.c: descriptor sets from pools that grow in number and are reset all together.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_priv.h"

#include <stdlib.h>

static va_status add_pool(va_gpu *gpu, gpu_sets *sets) {
    va_status st = VA_OK;
    if (sets->n == sets->cap) {
        int64_t cap = VA_MAX(4, 2 * sets->cap);
        VkDescriptorPool *grown;
        VA_TRY_ALLOC(gpu->ctx, grown, realloc(sets->pool, (size_t)cap * sizeof *grown));
        sets->pool = grown;
        sets->cap = cap;
    }
    VkDescriptorPoolSize size = {
        .type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
        .descriptorCount = GPU_MAX_COMMANDS * VA_MAX_BIND,
    };
    VkDescriptorPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = GPU_MAX_COMMANDS,
        .poolSizeCount = 1,
        .pPoolSizes = &size,
    };
    VK_TRY(gpu, vkCreateDescriptorPool(gpu->device, &info, NULL, &sets->pool[sets->n]));
    sets->n++;
done:
    return st;
}

va_status gpu_sets_allocate(va_gpu *gpu, gpu_sets *sets, VkDescriptorSetLayout layout,
                            VkDescriptorSet *set) {
    va_status st = VA_OK;
    for (;; sets->at++) {
        bool fresh = sets->at == sets->n;
        if (fresh)
            VA_TRY(add_pool(gpu, sets));
        VkDescriptorSetAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
            .descriptorPool = sets->pool[sets->at],
            .descriptorSetCount = 1,
            .pSetLayouts = &layout,
        };
        VkResult result = vkAllocateDescriptorSets(gpu->device, &info, set);
        bool full = result == VK_ERROR_OUT_OF_POOL_MEMORY || result == VK_ERROR_FRAGMENTED_POOL;
        if (full && !fresh)
            continue;
        VK_CHECK(gpu, result, "vkAllocateDescriptorSets");
        break;
    }
    gpu->counts.sets++;
done:
    return st;
}

va_status gpu_sets_reset(va_gpu *gpu, gpu_sets *sets) {
    va_status st = VA_OK;
    for (int64_t p = 0; p <= sets->at && p < sets->n; p++)
        VK_TRY(gpu, vkResetDescriptorPool(gpu->device, sets->pool[p], 0));
    sets->at = 0;
done:
    return st;
}

void gpu_sets_free(va_gpu *gpu, gpu_sets *sets) {
    for (int64_t p = 0; p < sets->n; p++)
        vkDestroyDescriptorPool(gpu->device, sets->pool[p], NULL);
    free(sets->pool);
    *sets = (gpu_sets){0};
}
