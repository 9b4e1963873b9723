// linmap_matrix.c: the map of an explicit matrix, by the linear op: y = x A' row by row of a block.
// SPDX-License-Identifier: Apache-2.0
#include "linmap_priv.h"
#include "vkalign/op.h"

#include <stdlib.h>

typedef struct matrix {
    va_gpu *gpu;
    int64_t m, n;
    va_tensor A; // [m, n]
    va_buffer *buffer;
    va_scratch_block scratch;
} matrix;

static const va_op_attr no_attr = {0};

// The k vectors of a plain block are k rows to the linear op.
static va_tensor rows_of(const va_block *b) {
    va_tensor t = va_tensor_make(VA_F32, 2, (const int64_t[]){b->k, b->d});
    t.mem = va_slice_at(b->mem, 0, va_tensor_bytes(&t));
    return t;
}

static va_status with_scratch(matrix *self, va_op_call *c, va_pass pass) {
    const va_op *op = va_op_get(VA_OP_LINEAR);
    int64_t bytes = op->scratch_bytes ? op->scratch_bytes(c, pass) : 0;
    if (bytes > 0) {
        va_block block;
        va_status st = va_linmap_scratch(self->gpu, &self->scratch, 1, 1, (bytes + 3) / 4, &block);
        if (st != VA_OK)
            return st;
        c->scratch = block.mem;
    }
    return VA_OK;
}

static va_status matrix_apply(void *self, const va_block *x, const va_block *y) {
    va_status st = VA_OK;
    matrix *a = self;
    va_op_call c = {.gpu = a->gpu, .attr = &no_attr, .x = {rows_of(x), a->A}, .y = rows_of(y)};
    VA_TRY(with_scratch(a, &c, VA_FORWARD));
    VA_TRY(va_op_get(VA_OP_LINEAR)->forward(&c));
done:
    return st;
}

// One row with k cotangents: dx [1, k, n], dy [1, k, m].
static va_status matrix_apply_t(void *self, const va_block *y, const va_block *x) {
    va_status st = VA_OK;
    matrix *a = self;
    va_op_call c = {.gpu = a->gpu, .attr = &no_attr, .mode = VA_EXACT, .k = y->k};
    c.x[0] = va_tensor_make(VA_F32, 2, (const int64_t[]){1, a->n});
    c.x[1] = a->A;
    c.y = va_tensor_make(VA_F32, 2, (const int64_t[]){1, a->m});
    c.dx[0] = va_tensor_make(VA_F32, 3, (const int64_t[]){1, x->k, a->n});
    c.dx[0].mem = rows_of(x).mem;
    c.dy = va_tensor_make(VA_F32, 3, (const int64_t[]){1, y->k, a->m});
    c.dy.mem = rows_of(y).mem;
    VA_TRY(with_scratch(a, &c, VA_VJP));
    VA_TRY(va_op_get(VA_OP_LINEAR)->vjp(&c));
done:
    return st;
}

static void matrix_destroy(void *self) {
    matrix *a = self;
    va_buffer_destroy(&a->buffer);
    va_buffer_destroy(&a->scratch.buffer);
    free(a);
}

static va_status upload_matrix(matrix *a, const float *A) {
    va_status st = VA_OK;
    a->A = va_tensor_make(VA_F32, 2, (const int64_t[]){a->m, a->n});
    int64_t bytes = va_tensor_bytes(&a->A);
    VA_TRY(va_buffer_create(a->gpu, bytes, "linmap matrix", &a->buffer));
    a->A.mem = va_slice_at(va_buffer_all(a->buffer), 0, bytes);
    VA_TRY(va_gpu_upload(a->gpu, a->A.mem, A));
done:
    return st;
}

va_status va_linmap_from_matrix(va_gpu *gpu, const float *A, int64_t m, int64_t n,
                                va_linmap **map) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(gpu);
    static const va_linmap_ops ops = {matrix_apply, matrix_apply_t, matrix_destroy};
    int64_t elems, bytes, limit = va_gpu_get_info(gpu)->max_range_bytes / 4;
    matrix *a = NULL;
    *map = NULL;
    if (m < 1 || n < 1 || m > limit || n > limit || !va_mul_i64(m, n, &elems) ||
        !va_mul_i64(elems, 4, &bytes))
        return va_fail(ctx, VA_ERR_SHAPE, "matrix [%lld, %lld]: expected sizes from 1 to %lld",
                       (long long)m, (long long)n, (long long)limit);
    VA_TRY_ALLOC(ctx, a, calloc(1, sizeof *a));
    *a = (matrix){.gpu = gpu, .m = m, .n = n};
    st = upload_matrix(a, A);
    if (st != VA_OK) {
        matrix_destroy(a);
        return st;
    }
    const va_linmap_shape shape = {1, n, 1, m};
    VA_TRY(va_linmap_create(gpu, &shape, limit / VA_MAX(m, n), &ops, a, "matrix", map));
done:
    return st;
}
