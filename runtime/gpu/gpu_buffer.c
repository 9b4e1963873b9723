// gpu_buffer.c: buffers and the ways bytes get in, out and around.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_replay.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

va_status va_buffer_create(va_gpu *gpu, int64_t size_bytes, const char *name, va_buffer **out) {
    va_status st = VA_OK;
    va_buffer *b = NULL;
    *out = NULL;
    name = name ? name : "unnamed";
    if (size_bytes <= 0 || size_bytes > INT64_MAX - gpu->alignment)
        return va_fail(gpu->ctx, VA_ERR_USAGE, "buffer \"%s\": a positive size expected, got %lld",
                       name, (long long)size_bytes);
    VA_TRY_ALLOC(gpu->ctx, b, calloc(1, sizeof *b));
    VA_TRY_ALLOC(gpu->ctx, b->name, strdup(name));
    int64_t aligned = (size_bytes + gpu->alignment - 1) / gpu->alignment * gpu->alignment;
    VA_TRY(gpu_suballocate(gpu, aligned, &b->block, &b->range));
    b->gpu = gpu;
    b->size_bytes = size_bytes;
    b->last_use = b->last_write = b->block->freed_use; // the memory may have had another owner
    b->next = gpu->buffers;
    if (b->next)
        b->next->prev = b;
    gpu->buffers = b;
    *out = b;
done:
    if (st != VA_OK) {
        va_fail_in(gpu->ctx, st, "buffer \"%s\"", name);
        if (b)
            free(b->name);
        free(b);
    }
    return st;
}

void va_buffer_destroy(va_buffer **pbuffer) {
    va_buffer *b = *pbuffer;
    if (!b)
        return;
    if (b->prev)
        b->prev->next = b->next;
    else
        b->gpu->buffers = b->next;
    if (b->next)
        b->next->prev = b->prev;
    b->block->freed_use = VA_MAX(b->block->freed_use, b->last_use);
    if (b->n_recordings)
        gpu_forget_buffer(b);
    gpu_release(b->gpu, b->block, b->range);
    free(b->name);
    free(b);
    *pbuffer = NULL;
}

int64_t va_buffer_size(const va_buffer *buffer) {
    return buffer->size_bytes;
}

va_slice va_buffer_all(va_buffer *buffer) {
    return (va_slice){buffer, 0, buffer->size_bytes};
}

va_slice va_slice_at(va_slice s, int64_t offset_bytes, int64_t size_bytes) {
    assert(offset_bytes >= 0 && size_bytes >= 0 && offset_bytes <= s.size_bytes &&
           size_bytes <= s.size_bytes - offset_bytes);
    return (va_slice){s.buffer, s.offset_bytes + offset_bytes, size_bytes};
}

va_status gpu_check_slice(va_gpu *gpu, va_slice s, const char *what) {
    if (!s.buffer)
        return va_fail(gpu->ctx, VA_ERR_USAGE, "%s: no buffer", what);
    if (s.buffer->gpu != gpu)
        return va_fail(gpu->ctx, VA_ERR_USAGE, "%s: buffer \"%s\" belongs to another device", what,
                       s.buffer->name);
    if (s.offset_bytes < 0 || s.size_bytes < 0 || s.offset_bytes > s.buffer->size_bytes ||
        s.size_bytes > s.buffer->size_bytes - s.offset_bytes)
        return va_fail(gpu->ctx, VA_ERR_USAGE,
                       "%s: bytes %lld..%lld lie outside of buffer \"%s\" of %lld", what,
                       (long long)s.offset_bytes, (long long)(s.offset_bytes + s.size_bytes),
                       s.buffer->name, (long long)s.buffer->size_bytes);
    if (s.offset_bytes % 4)
        return va_fail(gpu->ctx, VA_ERR_USAGE,
                       "%s: offset %lld of buffer \"%s\" is not aligned to 4", what,
                       (long long)s.offset_bytes, s.buffer->name);
    return VA_OK;
}

va_status gpu_touch(va_gpu *gpu, va_slice s, bool write) {
    if (gpu->capture)
        return gpu_capture_touch(gpu, s.buffer, write);
    s.buffer->last_use = s.buffer->block->last_use = gpu->serial;
    if (write)
        s.buffer->last_write = gpu->serial;
    return VA_OK;
}

static uint8_t *mapped_at(va_slice s) {
    return s.buffer->block->mapped + s.buffer->range.begin + s.offset_bytes;
}

// The data travels inside the command buffer, in order with everything else.
static va_status upload_inline(va_gpu *gpu, va_slice dst, const void *src) {
    va_status st = VA_OK;
    VkCommandBuffer cmd;
    gpu_access access = gpu_access_of(dst, true);
    VA_TRY(gpu_begin(gpu, &cmd));
    gpu_sync(gpu, cmd, &access, 1);
    VK_DO(gpu, vkCmdUpdateBuffer(cmd, access.buffer, (VkDeviceSize)access.range.begin,
                                 (VkDeviceSize)dst.size_bytes, src));
    VA_TRY(gpu_touch(gpu, dst, true));
    VA_TRY(gpu_recorded(gpu, 0));
done:
    return st;
}

// What the host moves would move once, not at every replay.
static va_status no_capture(va_gpu *gpu, va_slice s, const char *what) {
    if (!gpu->capture)
        return VA_OK;
    return va_fail(gpu->ctx, VA_ERR_USAGE, "%s buffer \"%s\" inside a recording", what,
                   s.buffer->name);
}

va_status va_gpu_upload(va_gpu *gpu, va_slice dst, const void *src) {
    va_status st = VA_OK;
    VA_TRY(gpu_check_slice(gpu, dst, "upload"));
    VA_TRY(no_capture(gpu, dst, "upload to"));
    if (!dst.size_bytes)
        return VA_OK;
    VA_TRY(gpu_poll(gpu));
    bool idle = dst.buffer->last_use <= gpu->completed;
    if (gpu->mapped && idle) {
        memcpy(mapped_at(dst), src, (size_t)dst.size_bytes);
    } else if (dst.size_bytes <= GPU_INLINE_BYTES && dst.size_bytes % 4 == 0) {
        VA_TRY(upload_inline(gpu, dst, src));
    } else if (gpu->mapped) {
        VA_TRY(gpu_wait_serial(gpu, dst.buffer->last_use));
        memcpy(mapped_at(dst), src, (size_t)dst.size_bytes);
    } else {
        VA_TRY(gpu_staged_upload(gpu, dst, src));
    }
done:
    return st;
}

va_status va_gpu_download(va_gpu *gpu, va_slice src, void *dst) {
    va_status st = VA_OK;
    VA_TRY(gpu_check_slice(gpu, src, "download"));
    VA_TRY(no_capture(gpu, src, "download from"));
    if (!src.size_bytes)
        return VA_OK;
    if (gpu->mapped_reads) {
        VA_TRY(gpu_wait_serial(gpu, src.buffer->last_write));
        memcpy(dst, mapped_at(src), (size_t)src.size_bytes);
    } else {
        VA_TRY(gpu_staged_download(gpu, src, dst));
    }
done:
    return st;
}

va_status va_gpu_copy(va_gpu *gpu, va_slice dst, va_slice src) {
    va_status st = VA_OK;
    VkCommandBuffer cmd;
    VA_TRY(gpu_check_slice(gpu, dst, "copy to"));
    VA_TRY(gpu_check_slice(gpu, src, "copy from"));
    if (dst.size_bytes != src.size_bytes)
        return va_fail(gpu->ctx, VA_ERR_USAGE, "copy: equal sizes expected, got %lld to %lld bytes",
                       (long long)src.size_bytes, (long long)dst.size_bytes);
    if (!dst.size_bytes)
        return VA_OK;
    gpu_access access[2] = {gpu_access_of(dst, true), gpu_access_of(src, false)};
    if (access[0].buffer == access[1].buffer && access[0].range.begin < access[1].range.end &&
        access[1].range.begin < access[0].range.end)
        return va_fail(gpu->ctx, VA_ERR_USAGE, "copy: the two parts of buffer \"%s\" overlap",
                       dst.buffer->name);
    VA_TRY(gpu_begin(gpu, &cmd));
    gpu_sync(gpu, cmd, access, 2);
    VkBufferCopy region = {
        .srcOffset = (VkDeviceSize)access[1].range.begin,
        .dstOffset = (VkDeviceSize)access[0].range.begin,
        .size = (VkDeviceSize)dst.size_bytes,
    };
    VK_DO(gpu, vkCmdCopyBuffer(cmd, access[1].buffer, access[0].buffer, 1, &region));
    VA_TRY(gpu_touch(gpu, dst, true));
    VA_TRY(gpu_touch(gpu, src, false));
    VA_TRY(gpu_recorded(gpu, 0));
done:
    return st;
}

va_status va_gpu_fill(va_gpu *gpu, va_slice dst, uint32_t word) {
    va_status st = VA_OK;
    VkCommandBuffer cmd;
    VA_TRY(gpu_check_slice(gpu, dst, "fill"));
    if (dst.size_bytes % 4)
        return va_fail(gpu->ctx, VA_ERR_USAGE, "fill: whole words expected, got %lld bytes",
                       (long long)dst.size_bytes);
    if (!dst.size_bytes)
        return VA_OK;
    gpu_access access = gpu_access_of(dst, true);
    VA_TRY(gpu_begin(gpu, &cmd));
    gpu_sync(gpu, cmd, &access, 1);
    VK_DO(gpu, vkCmdFillBuffer(cmd, access.buffer, (VkDeviceSize)access.range.begin,
                               (VkDeviceSize)dst.size_bytes, word));
    VA_TRY(gpu_touch(gpu, dst, true));
    VA_TRY(gpu_recorded(gpu, 0));
done:
    return st;
}
