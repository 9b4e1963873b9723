// A .npy file: the shape is that of the data, which is all there.
// libs: va_io
// max_len: 1024
// dict: npy
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "vkalign/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_arena *arena = va_arena_create();
    FUZZ_REQUIRE(arena);
    int n_dim = -1;
    int64_t shape[VA_MAX_DIM] = {0}, n_elem = 1;
    float *values = NULL;
    va_status st = va_npy_load(ctx, arena, fuzz_file(data, size), &n_dim, shape, &values);
    if (st == VA_OK) {
        FUZZ_REQUIRE(n_dim >= 0 && n_dim <= VA_MAX_DIM);
        for (int i = 0; i < n_dim; i++)
            FUZZ_REQUIRE(shape[i] >= 0 && va_mul_i64(n_elem, shape[i], &n_elem));
        FUZZ_REQUIRE(2 * n_elem <= (int64_t)size); // no dtype is narrower
        fuzz_touch(values, 4 * n_elem);
    } else {
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT);
    }
    va_arena_destroy(&arena);
    return 0;
}
