// store.c: the units' folder: lock, unit files, log.
// SPDX-License-Identifier: Apache-2.0
#include "store.h"

#include "unit_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_BYTES (INT64_C(4) << 30)

typedef struct va_store_unit {
    va_safetensors *tensors;
    va_json *record;
    const char *error;
} va_store_unit;

struct va_store {
    va_ctx *ctx;
    va_arena *arena;
    const char *dir, *cache_dir, *log_path;
    const char **keys; // [n_units]
    int lock;
    FILE *log;
    va_store_unit *unit;
    int64_t n_units;
};

// Of the record and all tensors: a file that lost or changed bytes is found out.
static void unit_sum(const va_file_tensor *t, int64_t n, const char *record, char hex[65]) {
    va_sha256 *h = va_sha256_create();
    va_sha256_update(h, record, (int64_t)strlen(record) + 1);
    for (int64_t i = 0; i < n; i++) {
        int64_t bytes = va_dtype_bytes(t[i].dtype);
        for (int k = 0; k < t[i].n_dim; k++)
            bytes *= t[i].shape[k];
        va_sha256_update(h, t[i].name, (int64_t)strlen(t[i].name) + 1);
        va_sha256_update(h, t[i].shape, t[i].n_dim * (int64_t)sizeof t[i].shape[0]);
        va_sha256_update(h, t[i].data, bytes);
    }
    va_sha256_finish(&h, hex);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const va_file_tensor *)a)->name, ((const va_file_tensor *)b)->name);
}

static bool sum_fits(va_store *s, const va_safetensors *file, const char *record, const char *sum) {
    char hex[65] = "";
    int64_t n = va_safetensors_count(file);
    va_file_tensor *t = VA_NEW_ARRAY(s->arena, va_file_tensor, n);
    for (int64_t i = 0; t && i < n; i++)
        t[i] = *va_safetensors_at(file, i);
    if (t)
        unit_sum(t, n, record, hex);
    return strcmp(hex, sum) == 0;
}

static char *unit_path(va_arena *arena, const char *dir, int64_t i) {
    return va_arena_printf(arena, "%s/%05lld.safetensors", dir, (long long)i);
}

static bool is_leftover(const char *name) // of an atomic write that was killed
{
    size_t n = strlen(name);
    return strncmp(name, ".va-", 4) == 0 && n > 4 && strcmp(name + n - 4, ".tmp") == 0;
}

static bool is_unit_file(const char *name) {
    return is_leftover(name) || strcmp(name, "log.jsonl") == 0 || strstr(name, ".safetensors");
}

static void remove_files(va_arena *arena, const char *dir, bool (*which)(const char *name)) {
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (which(entry->d_name))
            unlink(va_path_join(arena, dir, entry->d_name));
    if (d)
        closedir(d);
}

static va_status take_lock(va_store *s) {
    const char *path = va_path_join(s->arena, s->dir, "lock");
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (s->lock < 0)
        return va_fail(s->ctx, VA_ERR_FILE, "%s: cannot be created: %s", path, strerror(errno));
    struct stat held, there;
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0 || fstat(s->lock, &held) != 0 ||
        stat(path, &there) != 0 || held.st_ino != there.st_ino) // just removed by a run that ended
        return va_fail(s->ctx, VA_ERR_USAGE, "%s: another run is writing to this folder", s->dir);
    return VA_OK;
}

// Opens a unit's file when it is whole and of this key; anything else is as if it were not there.
static bool open_unit(va_store *s, va_ctx *ctx, int64_t i) {
    va_store_unit *u = &s->unit[i];
    if (va_safetensors_open(ctx, unit_path(s->arena, s->dir, i), &u->tensors) != VA_OK)
        return false;
    const char *key = va_safetensors_metadata(u->tensors, "key");
    const char *record = va_safetensors_metadata(u->tensors, "record");
    const char *sum = va_safetensors_metadata(u->tensors, "sha256");
    if (key && record && sum && strcmp(key, s->keys[i]) == 0 &&
        sum_fits(s, u->tensors, record, sum) &&
        va_json_parse(ctx, "unit record", record, (int64_t)strlen(record), &u->record) == VA_OK)
        return true;
    va_safetensors_close(&u->tensors);
    return false;
}

static void take_from_cache(va_store *s) {
    for (int64_t i = 0; i < s->n_units && s->cache_dir; i++) {
        const char *path = unit_path(s->arena, s->dir, i);
        if (!va_path_exists(path))
            va_unit_cache_take(s->cache_dir, s->keys[i], path);
    }
}

static int64_t open_units(va_store *s) {
    va_ctx *quiet = va_ctx_create(NULL); // a missing file is no error here
    int64_t n = 0, stale = 0;
    for (int64_t i = 0; i < s->n_units && quiet; i++) {
        bool there = va_path_exists(unit_path(s->arena, s->dir, i));
        n += there && open_unit(s, quiet, i);
        stale += there && !s->unit[i].tensors;
    }
    va_ctx_destroy(&quiet);
    if (stale > 0)
        va_log(s->ctx, VA_LOG_WARN,
               "%s: %lld saved units are damaged or of another experiment, "
               "model, device or version, and are done again",
               s->dir, (long long)stale);
    return n;
}

static va_status open_log(va_store *s) {
    s->log_path = va_path_join(s->arena, s->dir, "log.jsonl");
    s->log = fopen(s->log_path, "a");
    return s->log ? VA_OK
                  : va_fail(s->ctx, VA_ERR_FILE, "%s: cannot be written: %s", s->log_path,
                            strerror(errno));
}

static va_status copy_params(va_store *s, const va_store_params *params) {
    va_status st = VA_OK;
    s->dir = va_path_join(s->arena, params->out_dir, "units");
    if (params->cache_dir)
        s->cache_dir = va_arena_strdup(s->arena, params->cache_dir);
    VA_TRY_ALLOC(s->ctx, s->unit, VA_NEW_ARRAY(s->arena, va_store_unit, s->n_units));
    VA_TRY_ALLOC(s->ctx, s->keys, VA_NEW_ARRAY(s->arena, const char *, s->n_units));
    for (int64_t i = 0; i < s->n_units; i++)
        VA_TRY_ALLOC(s->ctx, s->keys[i], va_arena_strdup(s->arena, params->keys[i]));
done:
    return st;
}

va_status va_store_open(va_ctx *ctx, const va_store_params *params, va_store **store) {
    va_status st = VA_OK;
    va_arena *arena = va_arena_create();
    va_store *s = NULL;
    VA_TRY_ALLOC(ctx, s, arena ? VA_NEW(arena, va_store) : NULL);
    *s = (va_store){.ctx = ctx, .arena = arena, .lock = -1, .n_units = params->n_units};
    *store = s;
    VA_TRY(copy_params(s, params));
    VA_TRY(va_make_dirs(ctx, s->dir));
    VA_TRY(take_lock(s));
    remove_files(arena, params->out_dir, is_leftover);
    remove_files(arena, s->dir, params->resume ? is_leftover : is_unit_file);
    take_from_cache(s);
    int64_t n = open_units(s);
    if (params->resume || n > 0)
        va_log(ctx, VA_LOG_INFO, "%lld of %lld units were saved by an earlier run", (long long)n,
               (long long)s->n_units);
    VA_TRY(open_log(s));
done:
    if (st != VA_OK && !s)
        va_arena_destroy(&arena);
    else if (st != VA_OK)
        va_store_close(store, false);
    return st;
}

void va_store_close(va_store **store, bool clear) {
    va_store *s = *store;
    if (!s)
        return;
    for (int64_t i = 0; s->unit && i < s->n_units; i++) {
        va_json_free(&s->unit[i].record);
        va_safetensors_close(&s->unit[i].tensors);
    }
    if (s->log)
        fclose(s->log);
    if (s->cache_dir)
        va_unit_cache_trim(s->ctx, s->cache_dir, CACHE_BYTES);
    if (clear) {
        remove_files(s->arena, s->dir, is_unit_file);
        unlink(va_path_join(s->arena, s->dir, "lock"));
        rmdir(s->dir);
    }
    if (s->lock >= 0)
        close(s->lock);
    va_arena *arena = s->arena;
    va_arena_destroy(&arena);
    *store = NULL;
}

va_status va_store_put(va_store *s, int64_t i, const va_file_tensor *tensors, int64_t n,
                       const va_json *record) {
    va_status st = VA_OK;
    char *text = NULL, hex[65];
    VA_TRY_ALLOC(s->ctx, text, va_json_print(record, false));
    va_file_tensor *sorted = VA_NEW_ARRAY(s->arena, va_file_tensor, n); // as the file gives them
    VA_TRY_ALLOC(s->ctx, sorted, sorted);
    memcpy(sorted, tensors, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_name);
    unit_sum(sorted, n, text, hex);
    const char *const meta[][2] = {{"key", s->keys[i]}, {"record", text}, {"sha256", hex}};
    VA_TRY(va_safetensors_write(s->ctx, unit_path(s->arena, s->dir, i), tensors, n, meta,
                                VA_COUNT(meta)));
    if (!open_unit(s, s->ctx, i))
        st =
            va_fail(s->ctx, VA_ERR_FILE, "%s: cannot be read back", unit_path(s->arena, s->dir, i));
    else if (s->cache_dir)
        va_unit_cache_put(s->ctx, s->cache_dir, s->keys[i], unit_path(s->arena, s->dir, i));
done:
    free(text);
    return st;
}

void va_store_fail(va_store *s, int64_t i, const char *error) {
    s->unit[i].error = va_arena_strdup(s->arena, error);
}

const va_safetensors *va_store_tensors(const va_store *s, int64_t i) {
    return s->unit[i].tensors;
}

const va_json *va_store_record(const va_store *s, int64_t i) {
    return s->unit[i].record;
}

const char *va_store_error(const va_store *s, int64_t i) {
    return s->unit[i].error;
}

va_status va_store_log(va_store *s, const va_json *event) {
    char *text = va_json_print(event, false);
    bool ok = text && fprintf(s->log, "%s\n", text) > 0 && fflush(s->log) == 0;
    free(text);
    return ok ? VA_OK
              : va_fail(s->ctx, VA_ERR_FILE, "%s: cannot be written: %s", s->log_path,
                        strerror(errno));
}

const char *va_store_log_path(const va_store *s) {
    return s->log_path;
}
