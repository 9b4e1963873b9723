// gpu_timing.c: time on the device by label, from a pair of timestamps around each dispatch.
//
// Dispatches without a barrier between them may overlap, and then their times do too.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_priv.h"

#include <stdlib.h>
#include <string.h>

void gpu_timing_init(va_gpu *gpu) {
    if (!gpu->timestamps)
        return;
    VkPhysicalDeviceProperties properties;
    uint32_t bits = 0;
    vkGetPhysicalDeviceProperties(gpu->physical, &properties);
    gpu_queue_family(gpu->physical, &bits);
    gpu->timestamp_ns = (double)properties.limits.timestampPeriod;
    gpu->timestamp_mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

va_status gpu_timing_slot(va_gpu *gpu, gpu_slot *slot) {
    va_status st = VA_OK;
    if (!gpu->timestamps)
        return VA_OK;
    VkQueryPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = 2 * GPU_MAX_COMMANDS,
    };
    VK_TRY(gpu, vkCreateQueryPool(gpu->device, &info, NULL, &slot->queries));
done:
    return st;
}

void gpu_timing_free(va_gpu *gpu) {
    va_gpu_reset_timings(gpu);
    free(gpu->timings);
    free(gpu->timings_sorted);
}

// Entry of a label, made when it is new; -1 when memory runs out.
static int entry_of(va_gpu *gpu, const char *label) {
    for (int64_t i = 0; i < gpu->n_timings; i++)
        if (!strcmp(gpu->timings[i].label, label))
            return (int)i;
    if (gpu->n_timings == gpu->cap_timings) {
        int64_t cap = VA_MAX(32, 2 * gpu->cap_timings);
        va_gpu_timing *grown = realloc(gpu->timings, (size_t)cap * sizeof *grown);
        if (!grown)
            return -1;
        gpu->timings = grown;
        gpu->cap_timings = cap;
    }
    char *copy = strdup(label);
    if (!copy)
        return -1;
    gpu->timings[gpu->n_timings] = (va_gpu_timing){.label = copy};
    return (int)gpu->n_timings++;
}

bool gpu_timing_runs(const va_gpu *gpu) {
    return gpu->timestamps && !gpu->timing_paused && !gpu->capture;
}

void gpu_timing_start(va_gpu *gpu, gpu_slot *slot, const char *label) {
    if (!gpu_timing_runs(gpu))
        return;
    slot->labels[slot->n_timed] = entry_of(gpu, label);
    VK_DO(gpu, vkCmdWriteTimestamp(slot->cmd, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, slot->queries,
                                   2 * slot->n_timed));
}

void gpu_timing_stop(va_gpu *gpu, gpu_slot *slot) {
    if (!gpu_timing_runs(gpu))
        return;
    VK_DO(gpu, vkCmdWriteTimestamp(slot->cmd, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, slot->queries,
                                   2 * slot->n_timed + 1));
    slot->n_timed++;
}

va_status gpu_timing_collect(va_gpu *gpu, gpu_slot *slot) {
    va_status st = VA_OK;
    uint64_t ticks[2 * GPU_MAX_COMMANDS];
    uint32_t n = slot->n_timed;
    slot->n_timed = 0;
    if (!n)
        return VA_OK;
    VK_TRY(gpu, vkGetQueryPoolResults(gpu->device, slot->queries, 0, 2 * n, sizeof ticks, ticks,
                                      sizeof *ticks, VK_QUERY_RESULT_64_BIT));
    for (uint32_t i = 0; i < n; i++) {
        int entry = slot->labels[i];
        if (entry < 0 || entry >= gpu->n_timings) // none, or reset since
            continue;
        uint64_t span = (ticks[2 * i + 1] - ticks[2 * i]) & gpu->timestamp_mask;
        gpu->timings[entry].calls++;
        gpu->timings[entry].time_ns += (int64_t)((double)span * gpu->timestamp_ns);
    }
done:
    return st;
}

static int longest_first(const void *a, const void *b) {
    const va_gpu_timing *x = a, *y = b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? 1 : -1;
    return strcmp(x->label, y->label);
}

va_status va_gpu_get_timings(va_gpu *gpu, const va_gpu_timing **list, int64_t *n) {
    va_status st = VA_OK;
    *list = NULL;
    *n = 0;
    VA_TRY(va_gpu_wait(gpu));
    if (!gpu->n_timings)
        return VA_OK;
    size_t size = (size_t)gpu->n_timings * sizeof *gpu->timings;
    va_gpu_timing *sorted;
    VA_TRY_ALLOC(gpu->ctx, sorted, realloc(gpu->timings_sorted, size));
    gpu->timings_sorted = sorted;
    memcpy(sorted, gpu->timings, size);
    qsort(sorted, (size_t)gpu->n_timings, sizeof *sorted, longest_first);
    *list = sorted;
    *n = gpu->n_timings;
done:
    return st;
}

void va_gpu_pause_timings(va_gpu *gpu, bool paused) {
    gpu->timing_paused = paused;
}

static void forget_labels(gpu_slot *slot) {
    for (uint32_t j = 0; j < slot->n_timed; j++)
        slot->labels[j] = -1;
}

void va_gpu_reset_timings(va_gpu *gpu) {
    // Entries of work in flight would be counted for the wrong label otherwise.
    for (gpu_slot *slot = gpu->inflight; slot; slot = slot->next)
        forget_labels(slot);
    if (gpu->open)
        forget_labels(gpu->open);
    for (int64_t i = 0; i < gpu->n_timings; i++)
        free((char *)gpu->timings[i].label);
    gpu->n_timings = 0;
}
