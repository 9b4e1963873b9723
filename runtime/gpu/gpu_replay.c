// gpu_replay.c: work recorded once and submitted often.
//
// A recording has command buffers of its own, cut where a submission would grow too long, each with
// the barriers of an ordinary one at both ends: against what the queue was given before, whatever
// that was, and towards the host. So nothing inside depends on where it is replayed, and hazards
// with work around it need no tracking. The command buffers may be pending more than once
// (SIMULTANEOUS_USE): the second run comes after the first by the order of the queue and those same
// barriers, and the host does not wait for the first.
//
// The buffers it uses know how many recordings they are in; when one is destroyed, these recordings
// are marked as lost. Its memory may have another owner by then, and its VkBuffer may be gone.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_replay.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

bool va_gpu_can_replay(const va_gpu *gpu) {
    return gpu->replay && !gpu->capture && !gpu_timing_runs(gpu);
}

int64_t va_gpu_recording_count(const va_gpu *gpu) {
    int64_t n = 0;
    for (const va_recording *r = gpu->recordings; r; r = r->next)
        n++;
    return n;
}

static va_status check_can_replay(va_gpu *gpu, const char *what) {
    if (gpu->capture)
        return va_fail(gpu->ctx, VA_ERR_USAGE, "%s inside a recording", what);
    if (!va_gpu_can_replay(gpu))
        return va_fail(gpu->ctx, VA_ERR_USAGE,
                       "%s while dispatches are timed or with VA_REPLAY=0 (see va_gpu_can_replay)",
                       what);
    return VA_OK;
}

// -- life ------------------------------------------------------------------------------------

static void forget_uses(va_recording *r) {
    for (int64_t i = 0; i < r->n_uses; i++)
        r->uses[i].buffer->n_recordings--;
    r->n_uses = 0;
}

static void free_recording(va_recording *r) {
    vkDestroyCommandPool(r->gpu->device, r->pool, NULL);
    gpu_sets_free(r->gpu, &r->sets);
    free(r->parts);
    free(r->uses);
    free(r);
}

static void unlink_recording(va_recording **list, va_recording *r) {
    while (*list != r)
        list = &(*list)->next;
    *list = r->next;
}

void va_recording_destroy(va_recording **recording) {
    va_recording *r = *recording;
    if (!r)
        return;
    va_gpu *gpu = r->gpu;
    *recording = NULL;
    forget_uses(r);
    unlink_recording(&gpu->recordings, r);
    if (r->last_use <= gpu->completed) {
        free_recording(r);
    } else {
        r->next = gpu->dying;
        gpu->dying = r;
    }
}

void gpu_free_dying(va_gpu *gpu) {
    for (va_recording **p = &gpu->dying; *p;) {
        va_recording *r = *p;
        if (r->last_use > gpu->completed) {
            p = &r->next;
            continue;
        }
        *p = r->next;
        free_recording(r);
    }
}

// The device is idle.
void gpu_replay_free(va_gpu *gpu) {
    va_gpu_record_end(gpu, NULL);
    assert(!gpu->recordings && "every recording is destroyed before its device");
    while (gpu->recordings) {
        va_recording *r = gpu->recordings;
        va_recording_destroy(&r);
    }
    while (gpu->dying) {
        va_recording *r = gpu->dying;
        gpu->dying = r->next;
        free_recording(r);
    }
}

bool va_recording_is_valid(const va_recording *recording) {
    return !recording->is_lost;
}

static void lose(va_recording *r, const char *name) {
    r->is_lost = true;
    snprintf(r->lost_name, sizeof r->lost_name, "%s", name);
    forget_uses(r);
}

static bool uses(const va_recording *r, const va_buffer *buffer) {
    for (int64_t i = 0; i < r->n_uses; i++)
        if (r->uses[i].buffer == buffer)
            return true;
    return false;
}

void gpu_forget_buffer(va_buffer *buffer) {
    for (va_recording *r = buffer->gpu->recordings; r; r = r->next)
        if (uses(r, buffer))
            lose(r, buffer->name);
    assert(buffer->n_recordings == 0);
}

// -- recording -------------------------------------------------------------------------------

va_status va_gpu_record_begin(va_gpu *gpu) {
    va_status st = VA_OK;
    va_recording *r = NULL;
    VA_TRY(check_can_replay(gpu, "a recording begins"));
    VA_TRY(va_gpu_flush(gpu)); // the list of accesses since the last barrier is now free
    VA_TRY_ALLOC(gpu->ctx, r, calloc(1, sizeof *r));
    r->gpu = gpu;
    VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = gpu->queue_family,
    };
    VK_TRY(gpu, vkCreateCommandPool(gpu->device, &pool, NULL, &r->pool));
    r->number = ++gpu->n_recordings_made;
    r->next = gpu->recordings;
    gpu->recordings = r;
    gpu->capture = r;
    r = NULL;
done:
    if (r)
        free_recording(r);
    return st;
}

static va_status add_part(va_gpu *gpu, va_recording *r) {
    va_status st = VA_OK;
    VkCommandBuffer cmd;
    if (r->n_parts == r->cap_parts) {
        int64_t cap = VA_MAX(4, 2 * r->cap_parts);
        VkCommandBuffer *grown;
        VA_TRY_ALLOC(gpu->ctx, grown, realloc(r->parts, (size_t)cap * sizeof *grown));
        r->parts = grown;
        r->cap_parts = cap;
    }
    VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = r->pool,
        .commandBufferCount = 1,
    };
    VK_TRY(gpu, vkAllocateCommandBuffers(gpu->device, &info, &cmd));
    gpu_name(gpu, VK_OBJECT_TYPE_COMMAND_BUFFER, (uint64_t)(uintptr_t)cmd, "recording %llu.%lld",
             (unsigned long long)r->number, (long long)r->n_parts);
    VA_TRY(gpu_open_commands(gpu, cmd, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT));
    r->parts[r->n_parts++] = cmd;
    gpu->part_open = true;
done:
    return st;
}

va_status gpu_capture_begin(va_gpu *gpu, VkCommandBuffer *cmd) {
    va_status st = VA_OK;
    va_recording *r = gpu->capture;
    if (!gpu->part_open)
        VA_TRY(add_part(gpu, r));
    *cmd = r->parts[r->n_parts - 1];
done:
    return st;
}

static va_status close_part(va_gpu *gpu) {
    if (!gpu->part_open)
        return VA_OK;
    gpu->part_open = false;
    return gpu_close_commands(gpu, gpu->capture->parts[gpu->capture->n_parts - 1]);
}

va_status gpu_capture_recorded(va_gpu *gpu) {
    return gpu_watchdog(gpu) ? close_part(gpu) : VA_OK;
}

va_status gpu_capture_touch(va_gpu *gpu, va_buffer *buffer, bool write) {
    va_status st = VA_OK;
    va_recording *r = gpu->capture;
    if (r->is_lost)
        return VA_OK;
    if (buffer->recording != r->number) {
        if (r->n_uses == r->cap_uses) {
            int64_t cap = VA_MAX(32, 2 * r->cap_uses);
            gpu_use *grown;
            VA_TRY_ALLOC(gpu->ctx, grown, realloc(r->uses, (size_t)cap * sizeof *grown));
            r->uses = grown;
            r->cap_uses = cap;
        }
        buffer->recording = r->number;
        buffer->use = r->n_uses;
        buffer->n_recordings++;
        r->uses[r->n_uses++] = (gpu_use){.buffer = buffer};
    }
    r->uses[buffer->use].write |= write;
done:
    return st;
}

va_status va_gpu_record_end(va_gpu *gpu, va_recording **recording) {
    va_status st = VA_OK;
    va_recording *r = gpu->capture;
    if (recording)
        *recording = NULL;
    if (!r && recording)
        return va_fail(gpu->ctx, VA_ERR_USAGE, "a recording ends that was not begun");
    if (!r)
        return VA_OK;
    st = close_part(gpu);
    gpu->capture = NULL;
    if (recording && st == VA_OK && r->is_lost)
        st = va_fail(gpu->ctx, VA_ERR_USAGE, "buffer \"%s\" was destroyed while it was recorded",
                     r->lost_name);
    if (recording && st == VA_OK)
        *recording = r;
    else
        va_recording_destroy(&r);
    return recording ? st : VA_OK;
}

// -- replaying -------------------------------------------------------------------------------

va_status va_gpu_replay(va_gpu *gpu, va_recording *r) {
    va_status st = VA_OK;
    VA_TRY(check_can_replay(gpu, "a replay"));
    if (r->gpu != gpu)
        return va_fail(gpu->ctx, VA_ERR_USAGE, "the recording belongs to another device");
    if (r->is_lost)
        return va_fail(gpu->ctx, VA_ERR_USAGE,
                       "the recording uses buffer \"%s\", which was destroyed", r->lost_name);
    VA_TRY(va_gpu_flush(gpu));
    gpu->counts.dispatches += r->n_dispatch;
    gpu->counts.replays++;
    for (int64_t i = 0; i < r->n_parts; i++) {
        VA_TRY(gpu_submit_next(gpu, r->parts[i]));
        r->last_use = gpu->serial;
    }
    for (int64_t i = 0; i < r->n_uses; i++)
        VA_TRY(gpu_touch(gpu, va_buffer_all(r->uses[i].buffer), r->uses[i].write));
done:
    return st;
}
