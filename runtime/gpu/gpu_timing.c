// gpu_timing.c: time on the device by label and by group, from a pair of timestamps around each
// dispatch.
//
// Dispatches without a barrier between them may overlap, and then their times do too.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_priv.h"

#include <stdlib.h>
#include <string.h>

void gpu_timing_init(va_gpu *gpu) {
    gpu->group = -1;
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
    free(gpu->labels.list);
    free(gpu->labels.sorted);
    free(gpu->groups.list);
    free(gpu->groups.sorted);
}

// Entry of a label, made when it is new; -1 when memory runs out.
static int entry_of(gpu_timings *t, const char *label) {
    for (int64_t i = 0; i < t->n; i++)
        if (!strcmp(t->list[i].label, label))
            return (int)i;
    if (t->n == t->cap) {
        int64_t cap = VA_MAX(32, 2 * t->cap);
        va_gpu_timing *grown = realloc(t->list, (size_t)cap * sizeof *grown);
        if (!grown)
            return -1;
        t->list = grown;
        t->cap = cap;
    }
    char *copy = strdup(label);
    if (!copy)
        return -1;
    t->list[t->n] = (va_gpu_timing){.label = copy};
    return (int)t->n++;
}

bool va_gpu_is_timed(const va_gpu *gpu) {
    return gpu->timestamps && !gpu->timing_paused;
}

void va_gpu_time_group(va_gpu *gpu, const char *label, double flop, double bytes) {
    gpu->group = label && va_gpu_is_timed(gpu) ? entry_of(&gpu->groups, label) : -1;
    if (gpu->group < 0)
        return;
    va_gpu_timing *t = &gpu->groups.list[gpu->group];
    t->calls++;
    t->flop += flop;
    t->bytes += bytes;
}

bool gpu_timing_runs(const va_gpu *gpu) {
    return gpu->timestamps && !gpu->timing_paused && !gpu->capture;
}

void gpu_timing_start(va_gpu *gpu, gpu_slot *slot, const char *label) {
    if (!gpu_timing_runs(gpu))
        return;
    slot->labels[slot->n_timed] = entry_of(&gpu->labels, label);
    slot->groups[slot->n_timed] = gpu->group;
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
        const int label = slot->labels[i], group = slot->groups[i];
        uint64_t span = (ticks[2 * i + 1] - ticks[2 * i]) & gpu->timestamp_mask;
        int64_t time_ns = (int64_t)((double)span * gpu->timestamp_ns);
        if (label >= 0 && label < gpu->labels.n) { // else none, or reset since
            gpu->labels.list[label].calls++;
            gpu->labels.list[label].time_ns += time_ns;
        }
        if (group >= 0 && group < gpu->groups.n)
            gpu->groups.list[group].time_ns += time_ns;
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

static va_status get_sorted(va_gpu *gpu, gpu_timings *t, const va_gpu_timing **list, int64_t *n) {
    va_status st = VA_OK;
    *list = NULL;
    *n = 0;
    VA_TRY(va_gpu_wait(gpu));
    if (!t->n)
        return VA_OK;
    size_t size = (size_t)t->n * sizeof *t->list;
    va_gpu_timing *sorted;
    VA_TRY_ALLOC(gpu->ctx, sorted, realloc(t->sorted, size));
    t->sorted = sorted;
    memcpy(sorted, t->list, size);
    qsort(sorted, (size_t)t->n, sizeof *sorted, longest_first);
    *list = sorted;
    *n = t->n;
done:
    return st;
}

va_status va_gpu_get_timings(va_gpu *gpu, const va_gpu_timing **list, int64_t *n) {
    return get_sorted(gpu, &gpu->labels, list, n);
}

va_status va_gpu_get_group_timings(va_gpu *gpu, const va_gpu_timing **list, int64_t *n) {
    return get_sorted(gpu, &gpu->groups, list, n);
}

void va_gpu_pause_timings(va_gpu *gpu, bool paused) {
    gpu->timing_paused = paused;
}

static void clear(gpu_timings *t) {
    for (int64_t i = 0; i < t->n; i++)
        free((char *)t->list[i].label);
    t->n = 0;
}

static void forget_labels(gpu_slot *slot) {
    for (uint32_t j = 0; j < slot->n_timed; j++)
        slot->labels[j] = slot->groups[j] = -1;
}

void va_gpu_reset_timings(va_gpu *gpu) {
    // Entries of work in flight would be counted for the wrong label otherwise.
    for (gpu_slot *slot = gpu->inflight; slot; slot = slot->next)
        forget_labels(slot);
    if (gpu->open)
        forget_labels(gpu->open);
    clear(&gpu->labels);
    clear(&gpu->groups);
    gpu->group = -1;
}
