// embed.c: rows of a table.
//
//   forward   y[m] = table[ids[m]]     table [n, d] f32|bf16|f16, ids [M] u32, y [M, d]
// Carries no derivative. An id >= n gives a row of NaN, never another row. Tables larger than one
// binding are read by ranges of rows.
// SPDX-License-Identifier: Apache-2.0
#include "op_common.h"

typedef struct embed_push {
    uint32_t n, d, row0, n_rows, n_table;
} embed_push;

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    (void)attr;
    va_status st = VA_OK;
    VA_TRY(op_expect(ctx, "embed: table", &x[0], OP_WEIGHT, 2, (int64_t[]){-1, -1}));
    VA_TRY(op_expect(ctx, "embed: ids", &x[1], OP_U32, 1, (int64_t[]){-1}));
    *y = va_tensor_make(VA_F32, 2, (int64_t[]){x[1].shape[0], x[0].shape[1]});
    *aux = (va_tensor){0};
done:
    return st;
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_embed, VA_FORWARD, &y));
    const va_tensor *table = &c->x[0];
    int64_t n_table = table->shape[0], chunk = op_row_chunk(va_gpu_get_info(c->gpu), table);
    if (chunk == 0)
        return va_fail(va_gpu_ctx(c->gpu), VA_ERR_SHAPE,
                       "embed: rows of %lld elements are too long for one binding",
                       (long long)table->shape[1]);
    va_kernel kernel = {.shader = "op/embed",
                        .n_bind = 3,
                        .write_mask = 1u << 2,
                        .push_bytes = sizeof(embed_push),
                        .n_spec = 1,
                        .spec = {table->dtype}};
    int64_t n = va_tensor_elems(&y);
    for (int64_t row = 0; row < n_table; row += chunk) {
        int64_t n_rows = VA_MIN(chunk, n_table - row);
        embed_push push = {(uint32_t)n, (uint32_t)table->shape[1], (uint32_t)row, (uint32_t)n_rows,
                           (uint32_t)n_table};
        VA_TRY(op_run_items(
            c, &kernel,
            (va_slice[]){op_row_slice(table, row, n_rows), op_slice(&c->x[1]), op_slice(&y)}, &push,
            n));
    }
done:
    return st;
}

static va_op_cost cost(const va_op_call *c, va_pass pass) {
    (void)pass;
    double n = (double)(c->x[1].shape[0] * c->x[0].shape[1]);
    return (va_op_cost){.bytes = n * (4 + (double)va_dtype_bytes(c->x[0].dtype))};
}

const va_op va_op_embed = {
    .name = "embed", .n_in = 2, .infer = infer, .forward = forward, .cost = cost};
