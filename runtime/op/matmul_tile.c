// matmul_tile.c: which tile a product takes: as tuned on the device, or the default of its vendor.
//
// Defaults are the largest tile that a product of so many rows fills; those of vendors that differ
// were chosen by what Mesa's compilers say of registers and spills (ci/portability). Tuned ones are
// facts about the device, written by `vkalign bench --tune`. Neither changes a result: whatever the
// tile, each sum runs over the inner index in the same order. (Of coopmat2 the driver chooses how a
// matrix of a tile's size is multiplied: there the last digit may change.)
// SPDX-License-Identifier: Apache-2.0
#include "matmul_kernel.h"

#include <inttypes.h>
#include <stdio.h>

static const matmul_tile scalar_tiles[] = {
    {128, 128, 8, 8}, {128, 64, 8, 4}, {64, 64, 4, 4}, {32, 128, 4, 4}};
// The last ones are for workgroups that hold a single matrix.
static const matmul_tile matrix_tiles[] = {
    {128, 128, 64, 32}, {128, 64, 32, 32}, {64, 64, 32, 32}, {32, 64, 16, 32},
    {32, 32, 16, 16},   {64, 64, 16, 32},  {32, 64, 8, 16},  {128, 128, 128, 128},
    {64, 64, 64, 64},   {32, 64, 32, 64}};

const matmul_tile *matmul_tiles(const matmul_kernel *k, int *n) {
    *n = k == &matmul_scalar ? VA_COUNT(scalar_tiles) : VA_COUNT(matrix_tiles);
    return k == &matmul_scalar ? scalar_tiles : matrix_tiles;
}

int64_t matmul_most_bm(int64_t n_rows) {
    return n_rows <= 32 ? 32 : n_rows <= 64 ? 64 : 128;
}

bool matmul_tile_is_for(const va_gpu_info *info, const matmul_kernel *k, const matmul_shape *s,
                        const matmul_tile *t) {
    return t->bm <= matmul_most_bm(s->n_rows) && k->fits(info, s->w, t);
}

matmul_shape matmul_shape_of(bool transpose, int64_t n_rows, const va_tensor *w) {
    return (matmul_shape){.w = w->dtype,
                          .n_rows = n_rows,
                          .n_cols = w->shape[transpose ? 0 : 1],
                          .n_inner = w->shape[transpose ? 1 : 0]};
}

// -- defaults --------------------------------------------------------------------------------

enum { ANY = 0, MESA = 0x10005, INTEL = 0x8086 };

// The first that fits of those for the kernel (or its rest), vendor and size of subgroups, and at
// least so many rows and columns.
static const struct {
    const matmul_kernel *kernel;
    uint32_t vendor, subgroup;
    int64_t least_rows, least_cols;
    matmul_tile tile;
} defaults[] = {
    {&matmul_scalar, ANY, ANY, 1024, 1024, {128, 128, 8, 8}},
    {&matmul_scalar, ANY, ANY, 33, 1, {64, 64, 4, 4}},
    {&matmul_scalar, ANY, ANY, 1, 1, {32, 128, 4, 4}},
    // lavapipe, whose compiler takes minutes for larger ones
    {&matmul_coopmat, MESA, ANY, 1, 1, {32, 32, 16, 16}},
    {&matmul_coopmat2, MESA, ANY, 1, 1, {32, 32, 16, 16}},
    // Intel's registers hold less: larger parts of a subgroup spill, since Lunar Lake (16) and
    // before
    {&matmul_coopmat, INTEL, 16, 33, 1, {64, 64, 16, 32}},
    {&matmul_coopmat, INTEL, 16, 1, 1, {32, 64, 16, 32}},
    {&matmul_coopmat, INTEL, 8, 33, 1, {64, 32, 8, 16}},
    {&matmul_coopmat, INTEL, 8, 1, 1, {32, 32, 8, 16}},
    {&matmul_coopmat, ANY, ANY, 257, 1024, {128, 128, 64, 32}},
    {&matmul_coopmat, ANY, ANY, 65, 1, {128, 64, 32, 32}},
    {&matmul_coopmat, ANY, ANY, 33, 1, {64, 64, 32, 32}},
    {&matmul_coopmat, ANY, ANY, 1, 1, {32, 64, 16, 32}},
    {&matmul_coopmat2, ANY, ANY, 257, 1024, {128, 128, 128, 128}},
    {&matmul_coopmat2, ANY, ANY, 257, 1024, {128, 128, 64, 32}},
    {&matmul_coopmat2, ANY, ANY, 33, 1, {64, 64, 64, 64}},
    {&matmul_coopmat2, ANY, ANY, 33, 1, {64, 64, 32, 32}},
    {&matmul_coopmat2, ANY, ANY, 1, 1, {32, 64, 32, 64}},
    {&matmul_coopmat2, ANY, ANY, 1, 1, {32, 64, 16, 32}},
};

static bool is_default(const va_gpu_info *info, const matmul_kernel *k, const matmul_shape *s,
                       int i) {
    return defaults[i].kernel == (k->rest ? k->rest : k) &&
           (defaults[i].vendor == ANY || defaults[i].vendor == info->vendor_id) &&
           (defaults[i].subgroup == ANY || defaults[i].subgroup == info->matrix_subgroup) &&
           s->n_rows >= defaults[i].least_rows && s->n_cols >= defaults[i].least_cols &&
           matmul_tile_is_for(info, k, s, &defaults[i].tile);
}

bool matmul_default_tile(const va_gpu_info *info, const matmul_kernel *k, const matmul_shape *s,
                         matmul_tile *tile) {
    for (int i = 0; i < VA_COUNT(defaults); i++) {
        *tile = defaults[i].tile;
        if (is_default(info, k, s, i))
            return true;
    }
    int n;
    const matmul_tile *tiles = matmul_tiles(k, &n);
    while (n-- > 0) {
        *tile = tiles[n];
        if (matmul_tile_is_for(info, k, s, tile))
            return true;
    }
    return false;
}

// -- tuned -----------------------------------------------------------------------------------

// Jobs that share a tile: "matmul/tile/coopmat/NT/F32/128", the last being rows rounded up.
static void tile_key(const matmul_job *job, const matmul_kernel *k, char key[96]) {
    static const int64_t classes[] = {32, 128, 1024};
    int64_t rows = INT64_MAX;
    for (int i = VA_COUNT(classes); i-- > 0;)
        if (job->m->n_rows <= classes[i])
            rows = classes[i];
    char text[24] = "more";
    if (rows < INT64_MAX)
        snprintf(text, sizeof text, "%" PRId64, rows);
    snprintf(key, 96, "matmul/tile/%s/%s/%s/%s", k->name, job->m->transpose ? "NT" : "NN",
             va_dtype_name(job->m->w->dtype), text);
}

// A tile as one number, 12 bits a size.
static int64_t pack_tile(const matmul_tile *t) {
    return t->bm | (int64_t)t->bn << 12 | (int64_t)t->rm << 24 | (int64_t)t->rn << 36;
}

static bool tuned_tile(const matmul_job *job, const matmul_kernel *k, matmul_tile *tile) {
    char key[96];
    int64_t packed;
    int n;
    const matmul_shape shape = matmul_shape_of(job->m->transpose, job->m->n_rows, job->m->w);
    tile_key(job, k, key);
    if (!va_gpu_recall(job->c->gpu, key, &packed))
        return false;
    const matmul_tile *tiles = matmul_tiles(k, &n);
    for (int i = 0; i < n; i++) { // the file may have been edited: nothing else is taken
        *tile = tiles[i];
        if (pack_tile(tile) == packed)
            return matmul_tile_is_for(va_gpu_get_info(job->c->gpu), k, &shape, tile);
    }
    return false;
}

va_status matmul_keep_tile(const matmul_job *job, const matmul_kernel *k, const matmul_tile *t) {
    char key[96];
    tile_key(job, k, key);
    return va_gpu_remember(job->c->gpu, key, pack_tile(t));
}

bool matmul_pick_tile(const matmul_job *job, const matmul_kernel *k, matmul_tile *tile) {
    const matmul_shape shape = matmul_shape_of(job->m->transpose, job->m->n_rows, job->m->w);
    if (job->m->tile) { // being timed
        *tile = *job->m->tile;
        return true;
    }
    return tuned_tile(job, k, tile) ||
           matmul_default_tile(va_gpu_get_info(job->c->gpu), k, &shape, tile);
}
