// op_dequant.c: unpacks rows of quantised weights (shaders/op/dequant.comp).
// SPDX-License-Identifier: Apache-2.0
#include "op_dequant.h"

_Static_assert(VA_Q8_0 == 15 && VA_Q4_0 == 16 && VA_Q4_K == 17 && VA_Q5_K == 18 && VA_Q6_K == 19,
               "shaders/op/dequant.comp has these numbers");

enum { RANGE_BYTES = 32 << 20, ELEM_BYTES = 4, WHOLE = 64 };

int64_t op_dequant_rows(const va_tensor *w) {
    int64_t rows = RANGE_BYTES / (w->shape[1] * ELEM_BYTES);
    if (rows > WHOLE) // kernels read rows by eights, and ranges are an inner index too
        rows = rows / WHOLE * WHOLE;
    return VA_MIN(VA_MAX(rows, 1), w->shape[0]);
}

int64_t op_dequant_bytes(const va_tensor *w) {
    return va_dtype_quantised(w->dtype) ? op_dequant_rows(w) * w->shape[1] * ELEM_BYTES : 0;
}

va_status op_dequant_run(const va_op_call *c, const va_tensor *w, int64_t first, int64_t n,
                         va_slice to, bool is_cpu) {
    enum { ITEM = 8 }; // elements; see the shader
    struct {
        uint32_t n_runs, byte0;
    } push;
    const uint32_t most = va_dtype_block(w->dtype) == 32 ? 4 : 8;
    const uint32_t run = is_cpu ? most : 1;
    const va_kernel kernel = {.shader = "op/dequant",
                              .n_bind = 2,
                              .write_mask = 1u << 1,
                              .push_bytes = sizeof push,
                              .n_spec = 2,
                              .spec = {w->dtype, run}};
    const int64_t align = VA_MAX(va_gpu_get_info(c->gpu)->offset_alignment, 4);
    const int64_t row_bytes = op_row_bytes(w), n_elem = n * w->shape[1];
    const int64_t begin = first * row_bytes / align * align, end = (first + n) * row_bytes;
    push.n_runs = (uint32_t)(n_elem / ITEM / run);
    push.byte0 = (uint32_t)(first * row_bytes - begin);
    return op_run_items(c, &kernel,
                        (va_slice[]){va_slice_at(w->mem, begin, (end - begin + 3) / 4 * 4),
                                     va_slice_at(to, 0, n_elem * ELEM_BYTES)},
                        &push, push.n_runs);
}
