// gpu_record.c: the implicit command buffer: submission, waiting, barriers.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_replay.h"

#include <assert.h>
#include <stdlib.h>

static const VkPipelineStageFlags work_stages =
    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;

// -- slots -----------------------------------------------------------------------------------

static void free_slot(va_gpu *gpu, gpu_slot *slot) {
    vkDestroyCommandPool(gpu->device, slot->pool, NULL);
    vkDestroyFence(gpu->device, slot->fence, NULL);
    vkDestroyQueryPool(gpu->device, slot->queries, NULL);
    gpu_sets_free(gpu, &slot->sets);
    free(slot);
    gpu->n_slots--;
}

static va_status make_slot(va_gpu *gpu, gpu_slot **out) {
    va_status st = VA_OK;
    gpu_slot *slot = NULL;
    VA_TRY_ALLOC(gpu->ctx, slot, calloc(1, sizeof *slot));
    gpu->n_slots++;
    VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
        .queueFamilyIndex = gpu->queue_family,
    };
    VK_TRY(gpu, vkCreateCommandPool(gpu->device, &pool, NULL, &slot->pool));
    VkCommandBufferAllocateInfo cmd = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = slot->pool,
        .commandBufferCount = 1,
    };
    VK_TRY(gpu, vkAllocateCommandBuffers(gpu->device, &cmd, &slot->cmd));
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VK_TRY(gpu, vkCreateFence(gpu->device, &fence, NULL, &slot->fence));
    VA_TRY(gpu_timing_slot(gpu, slot));
    gpu_name(gpu, VK_OBJECT_TYPE_COMMAND_BUFFER, (uint64_t)(uintptr_t)slot->cmd, "slot %d",
             gpu->n_slots);
    *out = slot;
done:
    if (st != VA_OK && slot)
        free_slot(gpu, slot);
    return st;
}

static void free_slots(va_gpu *gpu, gpu_slot **list) {
    for (gpu_slot *slot = *list, *next; slot; slot = next) {
        next = slot->next;
        free_slot(gpu, slot);
    }
    *list = NULL;
}

void gpu_record_free(va_gpu *gpu) {
    if (gpu->open)
        free_slot(gpu, gpu->open);
    gpu->open = NULL;
    free_slots(gpu, &gpu->inflight);
    free_slots(gpu, &gpu->spare);
}

// A slot that is not in use. The host waits for one only when it is far ahead of the device.
static va_status take_slot(va_gpu *gpu, gpu_slot **slot) {
    va_status st = VA_OK;
    VA_TRY(gpu_poll(gpu));
    if (!gpu->spare && gpu->n_slots == GPU_MAX_SLOTS)
        VA_TRY(gpu_wait_serial(gpu, gpu->completed + 1));
    *slot = gpu->spare;
    if (*slot)
        gpu->spare = (*slot)->next;
    else
        VA_TRY(make_slot(gpu, slot));
    (*slot)->next = NULL;
    (*slot)->n_timed = 0;
done:
    return st;
}

// -- submission ------------------------------------------------------------------------------

static va_status check_alive(va_gpu *gpu) {
    if (!gpu->lost)
        return VA_OK;
    return va_fail(gpu->ctx, VA_ERR_DEVICE, "%s was lost earlier in this run; start again",
                   gpu->info.name);
}

// The oldest submission is done: its results may be read and its slot may be used again.
static va_status retire(va_gpu *gpu) {
    va_status st = VA_OK;
    gpu_slot *slot = gpu->inflight;
    gpu->inflight = slot->next;
    slot->next = gpu->spare;
    gpu->spare = slot;
    gpu->completed++;
    gpu_free_dying(gpu);
    VK_TRY(gpu, vkResetFences(gpu->device, 1, &slot->fence));
    VA_TRY(gpu_timing_collect(gpu, slot));
done:
    return st;
}

va_status gpu_wait_serial(va_gpu *gpu, uint64_t serial) {
    va_status st = VA_OK;
    if (serial <= gpu->completed)
        return VA_OK;
    assert(serial <= gpu->serial);
    if (gpu->open && serial == gpu->serial)
        VA_TRY(va_gpu_flush(gpu));
    VA_TRY(check_alive(gpu));
    while (gpu->completed < serial) {
        gpu->counts.waits++;
        VK_TRY(gpu, vkWaitForFences(gpu->device, 1, &gpu->inflight->fence, VK_TRUE, UINT64_MAX));
        VA_TRY(retire(gpu));
    }
done:
    return st;
}

va_status gpu_poll(va_gpu *gpu) {
    va_status st = VA_OK;
    VA_TRY(check_alive(gpu));
    while (gpu->inflight) {
        VkResult result = vkGetFenceStatus(gpu->device, gpu->inflight->fence);
        if (result == VK_NOT_READY)
            break;
        VK_CHECK(gpu, result, "vkGetFenceStatus");
        VA_TRY(retire(gpu));
    }
done:
    return st;
}

static void barrier(va_gpu *gpu, VkCommandBuffer cmd, VkPipelineStageFlags to,
                    VkAccessFlags access) {
    VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = access,
    };
    VK_DO(gpu, vkCmdPipelineBarrier(cmd, work_stages, to, 0, 1, &memory, 0, NULL, 0, NULL));
    gpu->n_tracked = 0;
}

static void work_barrier(va_gpu *gpu, VkCommandBuffer cmd) {
    barrier(gpu, cmd, work_stages,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                VK_ACCESS_TRANSFER_WRITE_BIT);
}

va_status gpu_open_commands(va_gpu *gpu, VkCommandBuffer cmd, VkCommandBufferUsageFlags flags) {
    va_status st = VA_OK;
    VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = flags,
    };
    VK_TRY(gpu, vkBeginCommandBuffer(cmd, &begin));
    gpu->n_commands = gpu->n_workgroups = 0;
    work_barrier(gpu, cmd); // against the submission before
done:
    return st;
}

va_status gpu_close_commands(va_gpu *gpu, VkCommandBuffer cmd) {
    va_status st = VA_OK;
    barrier(gpu, cmd, VK_PIPELINE_STAGE_HOST_BIT,
            VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT);
    VK_TRY(gpu, vkEndCommandBuffer(cmd));
done:
    return st;
}

va_status gpu_begin(va_gpu *gpu, VkCommandBuffer *cmd) {
    va_status st = VA_OK;
    gpu_slot *slot = NULL;
    VA_TRY(check_alive(gpu));
    if (gpu->capture)
        return gpu_capture_begin(gpu, cmd);
    if (!gpu->open) {
        VA_TRY(take_slot(gpu, &slot));
        VK_TRY(gpu, vkResetCommandPool(gpu->device, slot->pool, 0));
        VA_TRY(gpu_sets_reset(gpu, &slot->sets));
        VA_TRY(gpu_open_commands(gpu, slot->cmd, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT));
        if (slot->queries)
            VK_DO(gpu, vkCmdResetQueryPool(slot->cmd, slot->queries, 0, 2 * GPU_MAX_COMMANDS));
        gpu->open = slot;
        gpu->serial++;
    }
    *cmd = gpu->open->cmd;
done:
    if (st != VA_OK && slot)
        free_slot(gpu, slot);
    return st;
}

// Gives the command buffer to the queue; the slot is in flight from here on.
static va_status submit(va_gpu *gpu, gpu_slot *slot, VkCommandBuffer cmd) {
    va_status st = VA_OK;
    VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &cmd,
    };
    VK_TRY(gpu, vkQueueSubmit(gpu->queue, 1, &info, slot->fence));
    gpu_slot **end = &gpu->inflight;
    while (*end)
        end = &(*end)->next;
    *end = slot;
    gpu->counts.submissions++;
    if (gpu->first_dispatch_s == 0 && gpu->counts.dispatches > 0)
        gpu->first_dispatch_s = va_time_s();
done:
    return st;
}

va_status va_gpu_flush(va_gpu *gpu) {
    va_status st = VA_OK;
    gpu_slot *slot = gpu->open;
    if (!slot || gpu->lost)
        return check_alive(gpu);
    VA_TRY(gpu_close_commands(gpu, slot->cmd));
    VA_TRY(submit(gpu, slot, slot->cmd));
    gpu->open = NULL;
done:
    if (st != VA_OK)
        gpu->lost = true; // recorded work is gone; later results would be wrong
    return st;
}

va_status gpu_submit_next(va_gpu *gpu, VkCommandBuffer cmd) {
    va_status st = VA_OK;
    gpu_slot *slot = NULL;
    VA_TRY(va_gpu_flush(gpu));
    VA_TRY(take_slot(gpu, &slot));
    VA_TRY(submit(gpu, slot, cmd));
    gpu->serial++;
    slot = NULL;
done:
    if (slot)
        free_slot(gpu, slot);
    if (st != VA_OK)
        gpu->lost = true;
    return st;
}

va_status va_gpu_wait(va_gpu *gpu) {
    va_status st = VA_OK;
    VA_TRY(va_gpu_flush(gpu));
    VA_TRY(gpu_wait_serial(gpu, gpu->serial));
done:
    return st;
}

bool gpu_watchdog(const va_gpu *gpu) {
    const bool host = gpu->info.kind == VA_GPU_CPU && gpu->mapped; // VA_STAGING=1 is to split too
    return !host &&
           (gpu->n_workgroups >= GPU_MAX_WORKGROUPS || gpu->n_commands >= GPU_MAX_COMMANDS);
}

va_status gpu_recorded(va_gpu *gpu, int64_t n_workgroups) {
    gpu->n_commands++;
    gpu->n_workgroups += n_workgroups;
    if (gpu->capture)
        return gpu_capture_recorded(gpu);
    bool idle = gpu->completed + 1 == gpu->serial;
    if (gpu->n_commands >= (idle ? GPU_EARLY_COMMANDS : GPU_MAX_COMMANDS) || gpu_watchdog(gpu))
        return va_gpu_flush(gpu);
    return VA_OK;
}

// -- hazards ---------------------------------------------------------------------------------

gpu_access gpu_access_of(va_slice s, bool write) {
    int64_t begin = s.buffer->range.begin + s.offset_bytes;
    return (gpu_access){s.buffer->block->buffer, {begin, begin + s.size_bytes}, write};
}

static bool conflict(const gpu_access *a, const gpu_access *b) {
    return (a->write || b->write) && a->buffer == b->buffer && a->range.begin < b->range.end &&
           b->range.begin < a->range.end;
}

void gpu_sync(va_gpu *gpu, VkCommandBuffer cmd, const gpu_access *access, int n) {
    bool needed = gpu->n_tracked + n > GPU_MAX_TRACKED;
    for (int i = 0; i < n && !needed; i++)
        for (int j = 0; j < gpu->n_tracked && !needed; j++)
            needed = conflict(&access[i], &gpu->tracked[j]);
    if (needed)
        work_barrier(gpu, cmd);
    for (int i = 0; i < n; i++)
        gpu->tracked[gpu->n_tracked++] = access[i];
}
