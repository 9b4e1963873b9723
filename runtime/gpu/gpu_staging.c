// gpu_staging.c: uploads and downloads through host memory, for devices whose own is out of reach.
//
// One buffer of GPU_STAGING_CHUNKS chunks, used in turn; a chunk is taken again when the
// submission that used it last has finished.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_priv.h"

#include <string.h>

static va_status staging_init(va_gpu *gpu) {
    va_status st = VA_OK;
    gpu_staging *s = &gpu->staging;
    if (s->buffer)
        return VA_OK;
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    // Reading memory that is not cached is ten times slower than the bus.
    int type = gpu_memory_type(gpu, host | VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
    if (type < 0)
        type = gpu_memory_type(gpu, host);
    if (type < 0)
        return va_fail(gpu->ctx, VA_ERR_DEVICE, "%s has no host-visible memory", gpu->info.name);
    VA_TRY(gpu_allocate(gpu, GPU_STAGING_BYTES * GPU_STAGING_CHUNKS, (uint32_t)type, &s->buffer,
                        &s->memory, &s->mapped));
    gpu_name(gpu, VK_OBJECT_TYPE_BUFFER, (uint64_t)s->buffer, "staging");
done:
    return st;
}

void gpu_staging_free(va_gpu *gpu) {
    gpu_staging *s = &gpu->staging;
    if (s->buffer)
        gpu->usage.reserved_bytes -= GPU_STAGING_BYTES * GPU_STAGING_CHUNKS;
    vkDestroyBuffer(gpu->device, s->buffer, NULL);
    vkFreeMemory(gpu->device, s->memory, NULL);
    *s = (gpu_staging){0};
}

// Room for up to want bytes: where it starts, and in *got how much there is.
static va_status reserve(va_gpu *gpu, int64_t want, int64_t *offset, int64_t *got) {
    va_status st = VA_OK;
    gpu_staging *s = &gpu->staging;
    VA_TRY(staging_init(gpu));
    if (GPU_STAGING_BYTES - s->fill_bytes < VA_MIN(want, GPU_STAGING_BYTES)) {
        VA_TRY(va_gpu_flush(gpu)); // what is staged can travel while the next chunk is filled
        s->at = (s->at + 1) % GPU_STAGING_CHUNKS;
        s->fill_bytes = 0;
        VA_TRY(gpu_wait_serial(gpu, s->serial[s->at]));
    }
    *offset = s->at * GPU_STAGING_BYTES + s->fill_bytes;
    *got = VA_MIN(want, GPU_STAGING_BYTES - s->fill_bytes);
    s->fill_bytes += (*got + 15) / 16 * 16;
    s->fill_bytes = VA_MIN(s->fill_bytes, GPU_STAGING_BYTES);
done:
    return st;
}

// Records the copy between a slice and the staging buffer. up: into the slice.
static va_status record_copy(va_gpu *gpu, va_slice slice, int64_t offset, bool up) {
    va_status st = VA_OK;
    VkCommandBuffer cmd;
    gpu_staging *s = &gpu->staging;
    gpu_access access = gpu_access_of(slice, up);
    VA_TRY(gpu_begin(gpu, &cmd));
    gpu_sync(gpu, cmd, &access, 1);
    VkBufferCopy region = {
        .srcOffset = (VkDeviceSize)(up ? offset : access.range.begin),
        .dstOffset = (VkDeviceSize)(up ? access.range.begin : offset),
        .size = (VkDeviceSize)slice.size_bytes,
    };
    VK_DO(gpu, vkCmdCopyBuffer(cmd, up ? s->buffer : access.buffer, up ? access.buffer : s->buffer,
                               1, &region));
    VA_TRY(gpu_touch(gpu, slice, up));
    s->serial[s->at] = gpu->serial;
    VA_TRY(gpu_recorded(gpu, 0));
done:
    return st;
}

va_status gpu_staged_upload(va_gpu *gpu, va_slice dst, const void *src) {
    va_status st = VA_OK;
    const uint8_t *bytes = src;
    for (int64_t done = 0, n; done < dst.size_bytes; done += n) {
        int64_t offset;
        VA_TRY(reserve(gpu, dst.size_bytes - done, &offset, &n));
        memcpy(gpu->staging.mapped + offset, bytes + done, (size_t)n);
        VA_TRY(record_copy(gpu, va_slice_at(dst, done, n), offset, true));
    }
done:
    return st;
}

va_status gpu_staged_download(va_gpu *gpu, va_slice src, void *dst) {
    va_status st = VA_OK;
    struct {
        int64_t done, n, offset;
        uint64_t serial;
    } piece[2] = {0}; // one is read while the next travels
    uint8_t *bytes = dst;
    int64_t done = 0;
    for (int i = 0; done < src.size_bytes || piece[0].n || piece[1].n; i ^= 1) {
        if (piece[i].n) {
            VA_TRY(gpu_wait_serial(gpu, piece[i].serial));
            memcpy(bytes + piece[i].done, gpu->staging.mapped + piece[i].offset,
                   (size_t)piece[i].n);
            piece[i].n = 0;
        }
        if (done == src.size_bytes)
            continue;
        int64_t n, offset;
        VA_TRY(reserve(gpu, src.size_bytes - done, &offset, &n));
        VA_TRY(record_copy(gpu, va_slice_at(src, done, n), offset, false));
        piece[i].done = done;
        piece[i].n = n;
        piece[i].offset = offset;
        piece[i].serial = gpu->serial;
        VA_TRY(va_gpu_flush(gpu));
        done += n;
    }
done:
    return st;
}
