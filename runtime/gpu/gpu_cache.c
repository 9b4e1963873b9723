// gpu_cache.c: files about a device in the cache folder, and the VkPipelineCache among them.
//
// A cache only saves time: whatever is wrong with it is logged and the run goes on without. The
// file is keyed by device, driver and shaders and carries its own checksum, as drivers are known
// to crash on damaged data.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_CACHE_BYTES = 256 << 20 };

typedef struct cache_header {
    char magic[8]; // "vkalign1"
    uint64_t key;  // of device, driver and shaders
    uint64_t size_bytes, hash;
} cache_header;

static const char magic[8] = "vkalign1";

// FNV-1a.
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t n) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static const uint64_t hash_seed = UINT64_C(0xcbf29ce484222325);

static uint64_t cache_key(const va_gpu *gpu) {
    const va_gpu_info *info = &gpu->info;
    uint64_t key = hash_bytes(hash_seed, info->uuid, strlen(info->uuid));
    uint32_t ids[] = {info->vendor_id, info->device_id, info->driver_version, info->api_version};
    key = hash_bytes(key, ids, sizeof ids);
    key = hash_bytes(key, info->driver, strlen(info->driver));
    for (int64_t i = 0; i < gpu_n_shaders; i++)
        key = hash_bytes(key, gpu_shaders[i].words, gpu_shaders[i].size_bytes);
    return key;
}

// The folder: dir, $XDG_CACHE_HOME/vkalign or ~/.cache/vkalign; false when there is none.
static bool cache_folder(const char *dir, va_strbuf *path) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (dir && dir[0])
        va_strbuf_puts(path, dir);
    else if (xdg && xdg[0] == '/')
        va_strbuf_printf(path, "%s/vkalign", xdg);
    else if (home && home[0] == '/')
        va_strbuf_printf(path, "%s/.cache/vkalign", home);
    return path->data && !path->failed;
}

// Reads and checks the file; NULL (with the reason in the log) when it is of no use.
static void *read_cache(va_gpu *gpu, size_t *size) {
    const char *why = NULL;
    cache_header header;
    char *data = NULL;
    FILE *f = fopen(gpu->cache_path, "rb");
    if (!f) {
        if (errno != ENOENT && errno != ENOTDIR)
            va_log(gpu->ctx, VA_LOG_INFO, "pipeline cache %s: %s", gpu->cache_path,
                   strerror(errno));
        return NULL;
    }
    if (fread(&header, sizeof header, 1, f) != 1 || memcmp(header.magic, magic, sizeof magic))
        why = "it is no pipeline cache";
    else if (header.key != cache_key(gpu))
        why = "it is for another device, driver or build";
    else if (header.size_bytes > MAX_CACHE_BYTES || !(data = malloc(header.size_bytes + 1)) ||
             fread(data, 1, header.size_bytes + 1, f) != header.size_bytes)
        why = "its length is wrong";
    else if (hash_bytes(hash_seed, data, header.size_bytes) != header.hash)
        why = "its checksum is wrong";
    fclose(f);
    if (why) {
        va_log(gpu->ctx, VA_LOG_WARN, "pipeline cache %s is ignored: %s", gpu->cache_path, why);
        free(data);
        return NULL;
    }
    *size = header.size_bytes;
    return data;
}

char *gpu_cache_path(const va_gpu *gpu, const char *dir, const char *what, const char *extension) {
    va_strbuf path = {0};
    if (!gpu->no_cache && cache_folder(dir, &path))
        va_strbuf_printf(&path, "/%s-%.8s-%016llx.%s", what, gpu->info.uuid,
                         (unsigned long long)cache_key(gpu), extension);
    if (path.failed)
        va_strbuf_free(&path);
    return path.data;
}

va_status gpu_cache_open(va_gpu *gpu, const char *dir) {
    va_status st = VA_OK;
    size_t size = 0;
    void *data = NULL;
    gpu->cache_path = gpu_cache_path(gpu, dir, "pipelines", "bin");
    if (gpu->cache_path)
        data = read_cache(gpu, &size);
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = size,
        .pInitialData = data,
    };
    VkResult result = vkCreatePipelineCache(gpu->device, &info, NULL, &gpu->cache);
    if (result < 0 && data) {
        va_log(gpu->ctx, VA_LOG_WARN, "pipeline cache %s is ignored: %s", gpu->cache_path,
               gpu_result_text(result));
        info.initialDataSize = 0;
        info.pInitialData = NULL;
        result = vkCreatePipelineCache(gpu->device, &info, NULL, &gpu->cache);
    }
    VK_CHECK(gpu, result, "vkCreatePipelineCache");
done:
    free(data);
    return st;
}

// mkdir -p of the folder that a file lies in.
static void make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0777); // what fails here shows when the file is opened
        *slash = '/';
    }
}

void gpu_cache_write(va_gpu *gpu, const char *path, const void *head, size_t head_size,
                     const void *data, size_t size) {
    va_strbuf temp = {0};
    va_strbuf_printf(&temp, "%s.%ld.tmp", path, (long)getpid());
    if (temp.failed) {
        va_strbuf_free(&temp);
        return;
    }
    make_folders(temp.data);
    FILE *f = fopen(temp.data, "wb");
    bool ok = f && fwrite(head, 1, head_size, f) == head_size && fwrite(data, 1, size, f) == size;
    ok = ok && fflush(f) == 0 &&
         fsync(fileno(f)) == 0; // a GPU that hangs may take the machine along
    if (f && fclose(f))
        ok = false;
    if (ok)
        ok = rename(temp.data, path) == 0;
    if (!ok)
        va_log(gpu->ctx, VA_LOG_DEBUG, "%s cannot be written: %s", path, strerror(errno));
    if (!ok && f)
        remove(temp.data);
    va_strbuf_free(&temp);
}

static void save(va_gpu *gpu) {
    size_t size = 0;
    if (vkGetPipelineCacheData(gpu->device, gpu->cache, &size, NULL) != VK_SUCCESS || !size ||
        size > MAX_CACHE_BYTES)
        return;
    void *data = malloc(size);
    if (data && vkGetPipelineCacheData(gpu->device, gpu->cache, &size, data) == VK_SUCCESS) {
        cache_header header = {
            .key = cache_key(gpu), .size_bytes = size, .hash = hash_bytes(hash_seed, data, size)};
        memcpy(header.magic, magic, sizeof magic);
        gpu_cache_write(gpu, gpu->cache_path, &header, sizeof header, data, size);
    }
    free(data);
}

void gpu_cache_close(va_gpu *gpu) {
    if (gpu->cache && gpu->cache_path && gpu->cache_dirty && !gpu->lost)
        save(gpu);
    vkDestroyPipelineCache(gpu->device, gpu->cache, NULL);
    free(gpu->cache_path);
    gpu->cache_path = NULL;
}
