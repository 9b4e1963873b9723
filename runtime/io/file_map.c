// file_map.c: read-only maps of whole files.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

va_status va_io_map_limited(va_ctx *ctx, const char *path, int64_t max_bytes, va_status code,
                            va_map *map) {
    va_status st = VA_OK;
    *map = (va_map){0};
    // O_NONBLOCK: opening a pipe must not wait for its other end.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return va_fail(ctx, VA_ERR_FILE, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat s;
    if (fstat(fd, &s) != 0)
        VA_TRY(va_fail(ctx, VA_ERR_FILE, "%s: cannot be read: %s", path, strerror(errno)));
    if (!S_ISREG(s.st_mode))
        VA_TRY(va_fail(ctx, VA_ERR_FILE, "%s: expected a regular file, got %s", path,
                       S_ISDIR(s.st_mode) ? "a folder" : "something else"));
    if (s.st_size > max_bytes) {
        char got[32], limit[32];
        VA_TRY(va_fail(ctx, code, "%s: expected at most %s, got %s", path,
                       va_format_bytes(limit, max_bytes), va_format_bytes(got, s.st_size)));
    }
    if (s.st_size > 0) {
        void *data = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            VA_TRY(va_fail(ctx, VA_ERR_FILE, "%s: cannot be mapped: %s", path, strerror(errno)));
        *map = (va_map){data, s.st_size};
    }
done:
    close(fd);
    return st;
}

va_status va_map_open(va_ctx *ctx, const char *path, va_map *map) {
    return va_io_map_limited(ctx, path, INT64_MAX, VA_ERR_FILE, map);
}

void va_map_close(va_map *map) {
    if (map->data)
        munmap((void *)(uintptr_t)map->data, (size_t)map->size_bytes);
    *map = (va_map){0};
}
