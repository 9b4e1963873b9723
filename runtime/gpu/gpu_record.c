// gpu_record.c: the implicit command buffer: submission, waiting, barriers.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_priv.h"

#include <assert.h>
#include <stdlib.h>

static const VkPipelineStageFlags work_stages =
    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;

static va_status slot_init(va_gpu *gpu, gpu_slot *slot, int index) {
    va_status st = VA_OK;
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
    gpu_name(gpu, VK_OBJECT_TYPE_COMMAND_BUFFER, (uint64_t)(uintptr_t)slot->cmd, "slot %d", index);
done:
    return st;
}

va_status gpu_record_init(va_gpu *gpu) {
    va_status st = VA_OK;
    for (int i = 0; i < GPU_SLOTS; i++)
        VA_TRY(slot_init(gpu, &gpu->slots[i], i));
done:
    return st;
}

void gpu_record_free(va_gpu *gpu) {
    for (int i = 0; i < GPU_SLOTS; i++) {
        gpu_slot *slot = &gpu->slots[i];
        vkDestroyCommandPool(gpu->device, slot->pool, NULL);
        vkDestroyFence(gpu->device, slot->fence, NULL);
        for (int64_t p = 0; p < slot->n_sets; p++)
            vkDestroyDescriptorPool(gpu->device, slot->sets[p], NULL);
        free(slot->sets);
    }
}

gpu_slot *gpu_slot_of(va_gpu *gpu, uint64_t serial) {
    return &gpu->slots[serial % GPU_SLOTS];
}

// -- submission ------------------------------------------------------------------------------

static va_status check_alive(va_gpu *gpu) {
    if (!gpu->lost)
        return VA_OK;
    return va_fail(gpu->ctx, VA_ERR_DEVICE, "%s was lost earlier in this run; start again",
                   gpu->info.name);
}

// The slot's work is done: its results may be read and it may be used again.
static va_status retire(va_gpu *gpu, gpu_slot *slot, uint64_t serial) {
    va_status st = VA_OK;
    slot->in_flight = false;
    gpu->completed = serial;
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
    if (gpu->recording && serial == gpu->serial)
        VA_TRY(va_gpu_flush(gpu));
    VA_TRY(check_alive(gpu));
    while (gpu->completed < serial) {
        gpu_slot *slot = gpu_slot_of(gpu, gpu->completed + 1);
        VK_TRY(gpu, vkWaitForFences(gpu->device, 1, &slot->fence, VK_TRUE, UINT64_MAX));
        VA_TRY(retire(gpu, slot, gpu->completed + 1));
    }
done:
    return st;
}

va_status gpu_poll(va_gpu *gpu) {
    va_status st = VA_OK;
    VA_TRY(check_alive(gpu));
    while (gpu->completed < gpu->serial) {
        gpu_slot *slot = gpu_slot_of(gpu, gpu->completed + 1);
        if (!slot->in_flight)
            break;
        VkResult result = vkGetFenceStatus(gpu->device, slot->fence);
        if (result == VK_NOT_READY)
            break;
        VK_CHECK(gpu, result, "vkGetFenceStatus");
        VA_TRY(retire(gpu, slot, gpu->completed + 1));
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

va_status gpu_begin(va_gpu *gpu, VkCommandBuffer *cmd) {
    va_status st = VA_OK;
    gpu_slot *slot = gpu_slot_of(gpu, gpu->recording ? gpu->serial : gpu->serial + 1);
    *cmd = slot->cmd;
    if (gpu->recording)
        return VA_OK;
    VA_TRY(check_alive(gpu));
    if (gpu->serial >= GPU_SLOTS) // the slot's former work
        VA_TRY(gpu_wait_serial(gpu, gpu->serial + 1 - GPU_SLOTS));
    VK_TRY(gpu, vkResetCommandPool(gpu->device, slot->pool, 0));
    for (int64_t p = 0; p <= slot->set_at && p < slot->n_sets; p++)
        VK_TRY(gpu, vkResetDescriptorPool(gpu->device, slot->sets[p], 0));
    slot->set_at = 0;
    slot->n_timed = 0;
    VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    VK_TRY(gpu, vkBeginCommandBuffer(slot->cmd, &begin));
    if (slot->queries)
        VK_DO(gpu, vkCmdResetQueryPool(slot->cmd, slot->queries, 0, 2 * GPU_MAX_COMMANDS));
    gpu->serial++;
    gpu->recording = true;
    gpu->n_commands = gpu->n_workgroups = 0;
    work_barrier(gpu, slot->cmd); // against the submission before
done:
    return st;
}

va_status va_gpu_flush(va_gpu *gpu) {
    va_status st = VA_OK;
    if (!gpu->recording)
        return check_alive(gpu);
    gpu_slot *slot = gpu_slot_of(gpu, gpu->serial);
    gpu->recording = false;
    barrier(gpu, slot->cmd, VK_PIPELINE_STAGE_HOST_BIT,
            VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT);
    VK_TRY(gpu, vkEndCommandBuffer(slot->cmd));
    VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &slot->cmd,
    };
    VK_TRY(gpu, vkQueueSubmit(gpu->queue, 1, &submit, slot->fence));
    slot->in_flight = true;
done:
    if (st != VA_OK)
        gpu->lost = true; // recorded work is gone; later results would be wrong
    return st;
}

va_status va_gpu_wait(va_gpu *gpu) {
    va_status st = VA_OK;
    VA_TRY(va_gpu_flush(gpu));
    VA_TRY(gpu_wait_serial(gpu, gpu->serial));
done:
    return st;
}

va_status gpu_recorded(va_gpu *gpu, int64_t n_workgroups) {
    gpu->n_commands++;
    gpu->n_workgroups += n_workgroups;
    bool idle = gpu->completed + 1 == gpu->serial;
    bool watchdog = gpu->info.kind != VA_GPU_CPU && gpu->n_workgroups >= GPU_MAX_WORKGROUPS;
    if (gpu->n_commands >= (idle ? GPU_EARLY_COMMANDS : GPU_MAX_COMMANDS) || watchdog)
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
