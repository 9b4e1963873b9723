// gpu_memory.c: device memory in blocks, suballocated by best fit with coalescing.
//
// Memory given back may be handed out while the device still works on it: whatever is recorded
// later runs later, and hazards are tracked by byte range, whoever owns the bytes. Only the host
// must wait, and does so by serials: a new buffer counts as used until all have finished that were
// destroyed in its block.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// First of the types in the set `allowed` that has all of the flags.
static int allowed_type(const va_gpu *gpu, uint32_t allowed, VkMemoryPropertyFlags flags) {
    for (uint32_t i = 0; i < gpu->memory_types.memoryTypeCount; i++)
        if ((allowed >> i & 1) && (gpu->memory_types.memoryTypes[i].propertyFlags & flags) == flags)
            return (int)i;
    return -1;
}

int gpu_memory_type(const va_gpu *gpu, VkMemoryPropertyFlags flags) {
    return allowed_type(gpu, UINT32_MAX, flags);
}

void gpu_memory_init(va_gpu *gpu) {
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                       VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                                cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    vkGetPhysicalDeviceMemoryProperties(gpu->physical, &gpu->memory_types);
    gpu->alignment = VA_MAX(256, gpu->info.offset_alignment);
    bool shared = gpu->info.kind == VA_GPU_CPU || gpu->info.kind == VA_GPU_INTEGRATED;
    const char *staging = getenv("VA_STAGING"); // for tests: what discrete devices do, anywhere
    if (staging && staging[0] == '1')
        shared = false;
    int type = shared ? gpu_memory_type(gpu, local | host | cached) : -1;
    gpu->mapped_reads = type >= 0;
    if (shared && type < 0)
        type = gpu_memory_type(gpu, local | host);
    gpu->mapped = type >= 0;
    if (type < 0)
        type = gpu_memory_type(gpu, local);
    gpu->memory_type = type < 0 ? 0 : (uint32_t)type;
}

static void free_block(va_gpu *gpu, gpu_block *block) {
    for (gpu_block **p = &gpu->blocks; *p; p = &(*p)->next) {
        if (*p == block) {
            *p = block->next;
            break;
        }
    }
    vkDestroyBuffer(gpu->device, block->buffer, NULL);
    vkFreeMemory(gpu->device, block->memory, NULL);
    gpu->block_bytes -= block->size_bytes;
    gpu->usage.reserved_bytes -= block->size_bytes;
    free(block->free);
    free(block);
}

void gpu_memory_free(va_gpu *gpu) {
    while (gpu->blocks)
        free_block(gpu, gpu->blocks);
}

va_status gpu_allocate(va_gpu *gpu, int64_t size_bytes, uint32_t memory_type, VkBuffer *buffer,
                       VkDeviceMemory *memory, uint8_t **mapped) {
    va_status st = VA_OK;
    *buffer = VK_NULL_HANDLE;
    *memory = VK_NULL_HANDLE;
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = (VkDeviceSize)size_bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT,
    };
    VK_TRY(gpu, vkCreateBuffer(gpu->device, &info, NULL, buffer));
    VkMemoryRequirements need;
    VK_DO(gpu, vkGetBufferMemoryRequirements(gpu->device, *buffer, &need));
    // Buffers may be kept out of the type that was chosen; another with its properties will do.
    int type = need.memoryTypeBits >> memory_type & 1
                   ? (int)memory_type
                   : allowed_type(gpu, need.memoryTypeBits,
                                  gpu->memory_types.memoryTypes[memory_type].propertyFlags);
    if (type < 0)
        VA_TRY(va_fail(gpu->ctx, VA_ERR_DEVICE,
                       "%s takes buffers in memory types %#x, none of them like type %u",
                       gpu->info.name, need.memoryTypeBits, memory_type));
    VkMemoryAllocateInfo alloc = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = need.size,
        .memoryTypeIndex = (uint32_t)type,
    };
    VK_TRY(gpu, vkAllocateMemory(gpu->device, &alloc, NULL, memory));
    VK_TRY(gpu, vkBindBufferMemory(gpu->device, *buffer, *memory, 0));
    if (mapped)
        VK_TRY(gpu, vkMapMemory(gpu->device, *memory, 0, VK_WHOLE_SIZE, 0, (void **)mapped));
    gpu->usage.reserved_bytes += size_bytes;
    gpu->usage.reserved_peak_bytes =
        VA_MAX(gpu->usage.reserved_peak_bytes, gpu->usage.reserved_bytes);
done:
    if (st != VA_OK) {
        vkDestroyBuffer(gpu->device, *buffer, NULL);
        vkFreeMemory(gpu->device, *memory, NULL);
        *buffer = VK_NULL_HANDLE;
        *memory = VK_NULL_HANDLE;
    }
    return st;
}

// -- the free list of a block ----------------------------------------------------------------

static bool insert_free(gpu_block *block, int64_t at, gpu_range range) {
    if (block->n_free == block->cap_free) {
        int64_t cap = VA_MAX(16, 2 * block->cap_free);
        gpu_range *grown = realloc(block->free, (size_t)cap * sizeof *grown);
        if (!grown)
            return false;
        block->free = grown;
        block->cap_free = cap;
    }
    memmove(block->free + at + 1, block->free + at,
            (size_t)(block->n_free - at) * sizeof *block->free);
    block->free[at] = range;
    block->n_free++;
    return true;
}

static void remove_free(gpu_block *block, int64_t at) {
    block->n_free--;
    memmove(block->free + at, block->free + at + 1,
            (size_t)(block->n_free - at) * sizeof *block->free);
}

static gpu_range take(gpu_block *block, int64_t at, int64_t size_bytes) {
    gpu_range *f = &block->free[at];
    gpu_range taken = {f->begin, f->begin + size_bytes};
    f->begin = taken.end;
    if (f->begin == f->end)
        remove_free(block, at);
    block->used_bytes += size_bytes;
    return taken;
}

// Puts a range back between its neighbours. When the list cannot grow the range is lost until the
// block is freed, which harms nobody.
static void give_back(gpu_block *block, gpu_range range) {
    int64_t lo = 0, hi = block->n_free;
    while (lo < hi) {
        int64_t mid = (lo + hi) / 2;
        if (block->free[mid].begin < range.begin)
            lo = mid + 1;
        else
            hi = mid;
    }
    assert(lo == block->n_free || range.end <= block->free[lo].begin);
    assert(lo == 0 || block->free[lo - 1].end <= range.begin);
    bool left = lo > 0 && block->free[lo - 1].end == range.begin;
    bool right = lo < block->n_free && block->free[lo].begin == range.end;
    block->used_bytes -= range.end - range.begin;
    if (left && right) {
        block->free[lo - 1].end = block->free[lo].end;
        remove_free(block, lo);
    } else if (left) {
        block->free[lo - 1].end = range.end;
    } else if (right) {
        block->free[lo].begin = range.begin;
    } else {
        insert_free(block, lo, range);
    }
}

// -- blocks ----------------------------------------------------------------------------------

static va_status no_memory(va_gpu *gpu, int64_t size_bytes, const char *why) {
    char asked[32], used[32], reserved[32], total[32];
    int64_t limit = va_gpu_memory_limit(gpu);
    return va_fail(gpu->ctx, VA_ERR_MEMORY,
                   "device memory: %s asked for, %s in use (%s reserved), %s available on %s: %s",
                   va_format_bytes(asked, size_bytes), va_format_bytes(used, gpu->usage.used_bytes),
                   va_format_bytes(reserved, gpu->block_bytes), va_format_bytes(total, limit),
                   gpu->info.name, why);
}

// Frees the blocks nobody uses, to make room.
static va_status drop_empty_blocks(va_gpu *gpu) {
    va_status st = VA_OK;
    for (gpu_block *b = gpu->blocks, *next; b; b = next) {
        next = b->next;
        if (b->used_bytes)
            continue;
        VA_TRY(gpu_wait_serial(gpu, b->last_use));
        free_block(gpu, b);
    }
done:
    return st;
}

static va_status add_block(va_gpu *gpu, int64_t size_bytes, bool dedicated, gpu_block **out) {
    va_status st = VA_OK;
    gpu_block *block;
    VA_TRY_ALLOC(gpu->ctx, block, calloc(1, sizeof *block));
    block->size_bytes = size_bytes;
    block->dedicated = dedicated;
    if (!insert_free(block, 0, (gpu_range){0, size_bytes}))
        VA_TRY(va_fail(gpu->ctx, VA_ERR_MEMORY, "out of host memory"));
    VA_TRY(gpu_allocate(gpu, size_bytes, gpu->memory_type, &block->buffer, &block->memory,
                        gpu->mapped ? &block->mapped : NULL));
    gpu_name(gpu, VK_OBJECT_TYPE_BUFFER, (uint64_t)block->buffer, "block %d, %lld MiB",
             gpu->n_blocks_made, (long long)(size_bytes >> 20));
    gpu_name(gpu, VK_OBJECT_TYPE_DEVICE_MEMORY, (uint64_t)block->memory, "block %d",
             gpu->n_blocks_made++);
    gpu->block_bytes += size_bytes;
    block->next = gpu->blocks;
    gpu->blocks = block;
    *out = block;
done:
    if (st != VA_OK && block) {
        free(block->free);
        free(block);
    }
    return st;
}

// Of a limited device blocks are small, so that little lies free in them beyond the limit.
static int64_t common_block_bytes(const va_gpu *gpu) {
    const int64_t share = gpu->limit_bytes / 32 / GPU_BLOCK_GRAIN * GPU_BLOCK_GRAIN;
    return gpu->limit_bytes ? VA_MIN(VA_MAX(share, GPU_BLOCK_GRAIN), GPU_BLOCK_BYTES)
                            : GPU_BLOCK_BYTES;
}

// A new block with room for size_bytes; a smaller one when a common one does not fit any more.
static va_status grow(va_gpu *gpu, int64_t size_bytes, gpu_block **block) {
    va_status st = VA_OK;
    const int64_t common = common_block_bytes(gpu);
    // Half a block: above, sharing would waste more than it saves.
    bool dedicated = size_bytes > common / 2;
    int64_t want = dedicated ? size_bytes : common;
    if (gpu->block_bytes + want > va_gpu_memory_limit(gpu))
        VA_TRY(drop_empty_blocks(gpu));
    const int64_t room =
        (gpu->info.memory_bytes - gpu->block_bytes) / gpu->alignment * gpu->alignment;
    if (size_bytes > room)
        return no_memory(gpu, size_bytes, "more than the device has");
    want = VA_MIN(want, room);
    st = add_block(gpu, want, dedicated, block);
    if (st == VA_ERR_MEMORY) {
        VA_TRY(drop_empty_blocks(gpu));
        st = add_block(gpu, size_bytes, dedicated, block);
        if (st == VA_ERR_MEMORY)
            return no_memory(gpu, size_bytes, "the driver refused; other programs may hold it");
    }
done:
    return st;
}

va_status gpu_suballocate(va_gpu *gpu, int64_t size_bytes, gpu_block **block, gpu_range *range) {
    va_status st = VA_OK;
    int64_t at = 0, best = INT64_MAX;
    int64_t most = gpu->info.max_allocation_bytes;
    if (size_bytes > most) {
        char why[96], text[32];
        snprintf(why, sizeof why, "one buffer is at most %s here; split it by rows",
                 va_format_bytes(text, most));
        return no_memory(gpu, size_bytes, why);
    }
    if (gpu->limit_bytes && gpu->usage.used_bytes + size_bytes > gpu->limit_bytes)
        return no_memory(gpu, size_bytes, "over the limit asked for");
    for (gpu_block *b = gpu->blocks; b; b = b->next) {
        for (int64_t i = 0; i < b->n_free; i++) {
            int64_t size = b->free[i].end - b->free[i].begin;
            if (size >= size_bytes && size < best) {
                *block = b;
                at = i;
                best = size;
            }
        }
    }
    if (best == INT64_MAX) {
        VA_TRY(grow(gpu, size_bytes, block));
        at = 0;
    }
    *range = take(*block, at, size_bytes);
    gpu->usage.used_bytes += size_bytes;
    gpu->usage.peak_bytes = VA_MAX(gpu->usage.peak_bytes, gpu->usage.used_bytes);
done:
    return st;
}

// One empty block is kept, so that a loop which makes and frees a buffer does not go to the driver.
static bool another_empty(const va_gpu *gpu, const gpu_block *block) {
    for (const gpu_block *b = gpu->blocks; b; b = b->next)
        if (b != block && !b->used_bytes && !b->dedicated)
            return true;
    return false;
}

void gpu_release(va_gpu *gpu, gpu_block *block, gpu_range range) {
    give_back(block, range);
    gpu->usage.used_bytes -= range.end - range.begin;
    if (block->used_bytes || (!block->dedicated && !another_empty(gpu, block)))
        return;
    // Nothing can be done about a failure here. After an earlier one its message must stand, and
    // what was submitted before it may still run.
    if (gpu->lost)
        vkDeviceWaitIdle(gpu->device);
    else
        gpu_wait_serial(gpu, block->last_use);
    free_block(gpu, block);
}

va_gpu_memory va_gpu_get_memory(const va_gpu *gpu) {
    return gpu->usage;
}

void va_gpu_reset_peak(va_gpu *gpu) {
    gpu->usage.peak_bytes = gpu->usage.used_bytes;
    gpu->usage.reserved_peak_bytes = gpu->usage.reserved_bytes;
}

int64_t va_gpu_memory_limit(const va_gpu *gpu) {
    return gpu->limit_bytes ? VA_MIN(gpu->limit_bytes, gpu->info.memory_bytes)
                            : gpu->info.memory_bytes;
}
