// linmap_host.c: linear maps applied to host vectors in chunks, and the matrix formed.
// SPDX-License-Identifier: Apache-2.0
#include "linmap_priv.h"

#include <stdlib.h>
#include <string.h>

// Device blocks for a chunk at both ends of a map.
typedef struct ends {
    va_block x, y;
} ends;

static va_status ends_chunk(va_linmap *map, int64_t k, ends *e) {
    va_status st = VA_OK;
    const va_linmap_shape *s = &map->shape;
    VA_TRY(va_linmap_scratch(map->gpu, &map->in, s->T_in, k, s->d_in, &e->x));
    VA_TRY(va_linmap_scratch(map->gpu, &map->out, s->T_out, k, s->d_out, &e->y));
done:
    return st;
}

static va_status check_count(va_linmap *map, int64_t k) {
    int64_t bytes;
    if (k >= 1 && va_mul_i64(k, 4 * VA_MAX(va_linmap_in(map), va_linmap_out(map)), &bytes))
        return VA_OK;
    return va_fail(va_gpu_ctx(map->gpu), VA_ERR_SHAPE, "map %s: cannot be applied to %lld vectors",
                   map->label, (long long)k);
}

va_status va_linmap_apply_host(va_linmap *map, const float *x, int64_t k, float *y) {
    ends e;
    int64_t n = va_linmap_in(map), m = va_linmap_out(map);
    va_status st = check_count(map, k);
    for (int64_t first = 0; st == VA_OK && first < k; first += e.x.k) {
        VA_TRY(va_check_interrupt(va_gpu_ctx(map->gpu)));
        VA_TRY(ends_chunk(map, VA_MIN(k - first, map->max_k), &e));
        VA_TRY(va_block_from_host(map->gpu, &e.x, x + first * n));
        VA_TRY(va_linmap_apply(map, &e.x, &e.y));
        VA_TRY(va_block_to_host(map->gpu, &e.y, y + first * m));
    }
done:
    return st;
}

va_status va_linmap_apply_t_host(va_linmap *map, const float *y, int64_t k, float *x) {
    ends e;
    int64_t n = va_linmap_in(map), m = va_linmap_out(map);
    va_status st = check_count(map, k);
    for (int64_t first = 0; st == VA_OK && first < k; first += e.x.k) {
        VA_TRY(va_check_interrupt(va_gpu_ctx(map->gpu)));
        VA_TRY(ends_chunk(map, VA_MIN(k - first, map->max_k), &e));
        VA_TRY(va_block_from_host(map->gpu, &e.y, y + first * m));
        VA_TRY(va_linmap_apply_t(map, &e.y, &e.x));
        VA_TRY(va_block_to_host(map->gpu, &e.x, x + first * n));
    }
done:
    return st;
}

// Rows [first, first + count) of A by A' on unit vectors, streamed to fn.
static va_status rows_by_reverse(va_linmap *map, va_rows_fn fn, void *user) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(map->gpu);
    ends e;
    int64_t n = va_linmap_in(map), m = va_linmap_out(map), chunk = VA_MIN(map->max_k, m);
    float *rows = NULL;
    VA_TRY(check_count(map, chunk));
    VA_TRY_ALLOC(ctx, rows, malloc((size_t)chunk * (size_t)n * sizeof *rows));
    for (int64_t first = 0; first < m; first += e.y.k) {
        VA_TRY(va_check_interrupt(ctx));
        VA_TRY(ends_chunk(map, VA_MIN(chunk, m - first), &e));
        VA_TRY(va_block_one_hot(map->gpu, &e.y, first));
        VA_TRY(va_linmap_apply_t(map, &e.y, &e.x));
        VA_TRY(va_block_to_host(map->gpu, &e.x, rows));
        VA_TRY(fn(user, first, e.y.k, rows));
    }
done:
    free(rows);
    return st;
}

// The whole matrix by A on unit vectors.
static va_status columns_forward(va_linmap *map, float *A) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(map->gpu);
    ends e;
    int64_t n = va_linmap_in(map), m = va_linmap_out(map), chunk = VA_MIN(map->max_k, n);
    float *columns = NULL;
    const double start_s = va_time_s();
    VA_TRY(check_count(map, chunk));
    VA_TRY_ALLOC(ctx, columns, malloc((size_t)chunk * (size_t)m * sizeof *columns));
    for (int64_t first = 0; first < n; first += e.x.k) {
        VA_TRY(va_check_interrupt(ctx));
        const va_progress p = {
            .label = "columns", .done = first, .total = n, .elapsed_s = va_time_s() - start_s};
        va_progress_report(ctx, &p); // there are no rows to report before the end
        VA_TRY(ends_chunk(map, VA_MIN(chunk, n - first), &e));
        VA_TRY(va_block_one_hot(map->gpu, &e.x, first));
        VA_TRY(va_linmap_apply(map, &e.x, &e.y));
        VA_TRY(va_block_to_host(map->gpu, &e.y, columns));
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < e.x.k; j++)
                A[i * n + first + j] = columns[j * m + i];
    }
done:
    free(columns);
    return st;
}

// Fewer sweeps, then fewer vectors, then reverse; columns are gathered on the host, rows are not.
bool va_linmap_rows_by_reverse(int64_t m, int64_t n, int64_t max_k) {
    enum { GATHER_BYTES = 1 << 30 };
    int64_t rows = (m - 1) / VA_MAX(max_k, 1), columns = (n - 1) / VA_MAX(max_k, 1), bytes;
    if (!va_mul_i64(m, n, &bytes) || bytes > GATHER_BYTES / 4)
        return true;
    return rows != columns ? rows < columns : m <= n;
}

static va_status check_matrix(va_linmap *map, int64_t *bytes) {
    int64_t elems;
    if (va_mul_i64(va_linmap_in(map), va_linmap_out(map), &elems) &&
        va_mul_i64(elems, (int64_t)sizeof(float), bytes))
        return VA_OK;
    return va_fail(va_gpu_ctx(map->gpu), VA_ERR_SHAPE, "map %s: the matrix's size overflows",
                   map->label);
}

va_status va_linmap_rows(va_linmap *map, va_rows_fn fn, void *user) {
    va_status st = VA_OK;
    float *A = NULL;
    int64_t bytes;
    if (va_linmap_rows_by_reverse(va_linmap_out(map), va_linmap_in(map), map->max_k))
        return rows_by_reverse(map, fn, user);
    VA_TRY(check_matrix(map, &bytes));
    VA_TRY_ALLOC(va_gpu_ctx(map->gpu), A, malloc((size_t)bytes));
    VA_TRY(columns_forward(map, A));
    VA_TRY(fn(user, 0, va_linmap_out(map), A));
done:
    free(A);
    return st;
}

typedef struct gather {
    float *A;
    int64_t n;
} gather;

static va_status gather_rows(void *user, int64_t first, int64_t count, const float *rows) {
    gather *to = user;
    memcpy(to->A + first * to->n, rows, (size_t)count * (size_t)to->n * sizeof *rows);
    return VA_OK;
}

va_status va_linmap_dense(va_linmap *map, float *A) {
    int64_t bytes;
    va_status st = check_matrix(map, &bytes);
    if (st != VA_OK ||
        !va_linmap_rows_by_reverse(va_linmap_out(map), va_linmap_in(map), map->max_k))
        return st == VA_OK ? columns_forward(map, A) : st;
    gather to = {A, va_linmap_in(map)};
    return rows_by_reverse(map, gather_rows, &to);
}
