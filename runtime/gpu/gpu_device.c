// gpu_device.c: opening and closing a device.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_replay.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool env_is_set(const char *name) {
    const char *value = getenv(name);
    return value && value[0] && strcmp(value, "0") != 0;
}

static va_status create_device(va_gpu *gpu) {
    va_status st = VA_OK;
    gpu_features features;
    gpu_features_init(&features, gpu->physical);
    float priority = 0.5f;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = gpu->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &features.all,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = features.n_extensions,
        .ppEnabledExtensionNames = features.extensions,
    };
    VK_TRY(gpu, vkCreateDevice(gpu->physical, &info, NULL, &gpu->device));
    VK_DO(gpu, vkGetDeviceQueue(gpu->device, gpu->queue_family, 0, &gpu->queue));
done:
    return st;
}

static va_status pick_device(va_gpu *gpu, const char *wanted) {
    va_status st = VA_OK;
    va_arena *arena;
    VkPhysicalDevice *devices;
    va_gpu_info *list;
    int64_t n, chosen;
    VA_TRY_ALLOC(gpu->ctx, arena, va_arena_create());
    VA_TRY(gpu_enumerate(gpu->ctx, gpu->instance, arena, &devices, &list, &n));
    VA_TRY(gpu_choose(gpu->ctx, wanted, list, n, &chosen));
    gpu->info = list[chosen];
    gpu->physical = devices[chosen];
    gpu->queue_family = (uint32_t)gpu_queue_family(gpu->physical, NULL);
done:
    va_arena_destroy(&arena);
    return st;
}

static va_status open_device(va_gpu *gpu, const va_gpu_params *params) {
    va_status st = VA_OK;
    VA_TRY(gpu_instance_create(gpu->ctx, gpu, &gpu->instance));
    gpu_debug_init(gpu);
    VA_TRY(pick_device(gpu, params->device));
    VA_TRY(create_device(gpu));
    gpu->timestamps = params->timestamps && gpu->info.has_timestamps;
    if (params->timestamps && !gpu->timestamps)
        va_log(gpu->ctx, VA_LOG_WARN, "%s has no timestamps; nothing is timed", gpu->info.name);
    gpu_memory_init(gpu);
    gpu_timing_init(gpu);
    VA_TRY(gpu_pipeline_init(gpu));
    VA_TRY(gpu_cache_open(gpu, params->cache_dir));
    VA_TRY(gpu_facts_open(gpu, params->cache_dir));
    char text[32];
    va_log(gpu->ctx, VA_LOG_DEBUG, "device %d: %s, %s, %s, %s memory", gpu->info.index,
           gpu->info.name, gpu->info.driver, va_format_bytes(text, gpu->info.memory_bytes),
           gpu->mapped ? "mapped" : "staged");
done:
    return st;
}

va_status va_gpu_open(va_ctx *ctx, const va_gpu_params *params, va_gpu **out) {
    va_status st = VA_OK;
    static const va_gpu_params none;
    params = params ? params : &none;
    *out = NULL;
    va_gpu *gpu;
    VA_TRY_ALLOC(ctx, gpu, calloc(1, sizeof *gpu));
    gpu->ctx = ctx;
    gpu->validation = params->validation || env_is_set("VA_VALIDATION");
    gpu->trace = env_is_set("VA_TRACE");
    gpu->no_cache = params->no_cache;
    const char *replay = getenv("VA_REPLAY");
    gpu->replay = !replay || strcmp(replay, "0") != 0;
    gpu->limit_bytes = params->memory_limit_bytes;
    VA_TRY(open_device(gpu, params));
    *out = gpu;
done:
    if (st != VA_OK)
        va_gpu_close(&gpu);
    return st;
}

static void free_leaked_buffers(va_gpu *gpu) {
    bool leaked = gpu->buffers != NULL;
    for (va_buffer *b = gpu->buffers; b; b = b->next)
        va_log(gpu->ctx, VA_LOG_ERROR, "buffer \"%s\" (%lld bytes) was never destroyed", b->name,
               (long long)b->size_bytes);
    assert(!leaked && "every buffer is destroyed before its device");
    while (leaked && gpu->buffers) {
        va_buffer *b = gpu->buffers;
        va_buffer_destroy(&b);
    }
}

void va_gpu_close(va_gpu **pgpu) {
    va_gpu *gpu = *pgpu;
    if (!gpu)
        return;
    if (gpu->device) {
        if (!gpu->lost)
            va_gpu_wait(gpu);
        vkDeviceWaitIdle(gpu->device); // also after an error, so that nothing freed is in use
        gpu_replay_free(gpu);
        free_leaked_buffers(gpu);
        gpu_cache_close(gpu);
        gpu_facts_close(gpu);
        gpu_pipeline_free(gpu);
        gpu_record_free(gpu);
        gpu_timing_free(gpu);
        gpu_staging_free(gpu);
        gpu_memory_free(gpu);
        vkDestroyDevice(gpu->device, NULL);
    }
    if (gpu->instance) {
        gpu_debug_free(gpu);
        vkDestroyInstance(gpu->instance, NULL);
    }
    free(gpu);
    *pgpu = NULL;
}

const va_gpu_info *va_gpu_get_info(const va_gpu *gpu) {
    return &gpu->info;
}

va_ctx *va_gpu_ctx(const va_gpu *gpu) {
    return gpu->ctx;
}
