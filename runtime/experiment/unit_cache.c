// unit_cache.c: finished units of all experiments, by what they depend on.
// SPDX-License-Identifier: Apache-2.0
#include "unit_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vkalign/io.h"

#define PART ".va-" // how files begin that are being written

const char *va_unit_cache_dir(va_arena *arena) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/')
        return va_path_join(arena, xdg, "vkalign/units");
    return home && home[0] == '/' ? va_path_join(arena, home, ".cache/vkalign/units") : NULL;
}

static bool copy(va_ctx *ctx, const char *from, const char *to) {
    va_map map = {0};
    bool ok = va_map_open(ctx, from, &map) == VA_OK &&
              va_file_write(ctx, to, map.data, map.size_bytes) == VA_OK;
    va_map_close(&map);
    return ok;
}

// Files are written once and never changed, so that two names may share one.
static bool link_or_copy(const char *from, const char *to) {
    if (link(from, to) == 0)
        return true;
    va_ctx *quiet = va_ctx_create(NULL);
    bool ok = quiet && copy(quiet, from, to);
    va_ctx_destroy(&quiet);
    return ok;
}

static const char *entry(va_arena *arena, const char *dir, const char *key) {
    return va_arena_printf(arena, "%s/%s.safetensors", dir, key);
}

bool va_unit_cache_has(const char *dir, const char *key) {
    va_arena *arena = va_arena_create();
    const char *path = arena ? entry(arena, dir, key) : NULL;
    const bool there = path && va_path_exists(path);
    va_arena_destroy(&arena);
    return there;
}

bool va_unit_cache_take(const char *dir, const char *key, const char *path) {
    va_arena *arena = va_arena_create();
    const char *from = arena ? entry(arena, dir, key) : NULL;
    bool ok = from && va_path_exists(from) && link_or_copy(from, path);
    if (ok)
        utimensat(AT_FDCWD, from, NULL, 0);
    va_arena_destroy(&arena);
    return ok;
}

void va_unit_cache_put(va_ctx *ctx, const char *dir, const char *key, const char *path) {
    va_arena *arena = va_arena_create();
    va_ctx *quiet = va_ctx_create(NULL);
    const char *to = arena ? entry(arena, dir, key) : NULL;
    // Of the same key there may be one, damaged or the same; it is there until the new one is.
    const char *part =
        arena ? va_arena_printf(arena, "%s/" PART "%lld-%.16s.tmp", dir, (long long)getpid(), key)
              : NULL;
    bool ok = to && part && quiet && va_make_dirs(quiet, dir) == VA_OK;
    if (ok)
        ok = link_or_copy(path, part) && rename(part, to) == 0;
    if (part)
        unlink(part); // of two names of one file rename leaves both
    if (!ok)
        va_log(ctx, VA_LOG_INFO, "unit cache %s: cannot be written", dir);
    va_ctx_destroy(&quiet);
    va_arena_destroy(&arena);
}

// -- size ----------------------------------------------------------------------------------------

enum { HOUR_S = 3600 };

typedef struct cached {
    const char *path;
    int64_t bytes;
    struct timespec used;
} cached;

static int by_use(const void *a, const void *b) {
    const cached *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    if (x->used.tv_nsec != y->used.tv_nsec)
        return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
    return strcmp(x->path, y->path);
}

static int64_t count_entries(const char *dir) {
    int64_t n = 0;
    DIR *d = opendir(dir);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static int64_t list_entries(va_arena *arena, const char *dir, cached *list, int64_t cap) {
    int64_t n = 0;
    struct stat info;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && n < cap && (e = readdir(d));) {
        const char *path = va_path_join(arena, dir, e->d_name);
        if (!path || stat(path, &info) != 0)
            continue;
        if (strncmp(e->d_name, PART, strlen(PART)) == 0 && info.st_mtime < time(NULL) - HOUR_S)
            unlink(path); // of a run that was killed
        else if (strstr(e->d_name, ".safetensors"))
            list[n++] = (cached){path, info.st_size, info.st_mtim};
    }
    if (d)
        closedir(d);
    return n;
}

void va_unit_cache_trim(va_ctx *ctx, const char *dir, int64_t max_bytes) {
    va_arena *arena = va_arena_create();
    const int64_t cap = count_entries(dir);
    cached *list = arena ? VA_NEW_ARRAY(arena, cached, cap) : NULL;
    const int64_t n = list ? list_entries(arena, dir, list, cap) : 0;
    int64_t total = 0, removed = 0;
    for (int64_t i = 0; i < n; i++)
        total += list[i].bytes;
    if (total > max_bytes)
        qsort(list, (size_t)n, sizeof *list, by_use);
    for (int64_t i = 0; i < n && total > max_bytes; i++)
        if (unlink(list[i].path) == 0) {
            total -= list[i].bytes;
            removed++;
        }
    if (removed > 0)
        va_log(ctx, VA_LOG_INFO, "unit cache %s: %lld units removed that were not used for longest",
               dir, (long long)removed);
    va_arena_destroy(&arena);
}
