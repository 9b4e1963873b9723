// A .safetensors file: the tensors lie inside it, tile its data and have the sizes they say.
// libs: va_io
// max_len: 4096
// dict: json
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "vkalign/io.h"

#include <string.h>

static void check_tensor(const va_safetensors *s, const va_file_tensor *t) {
    int64_t n_elem = 1;
    FUZZ_REQUIRE(t->n_dim >= 0 && t->n_dim <= VA_MAX_DIM);
    for (int i = 0; i < t->n_dim; i++) {
        FUZZ_REQUIRE(t->shape[i] >= 0);
        FUZZ_REQUIRE(va_mul_i64(n_elem, t->shape[i], &n_elem));
    }
    FUZZ_REQUIRE(t->n_elem == n_elem);
    FUZZ_REQUIRE(t->size_bytes == n_elem * va_dtype_bytes(t->dtype));
    FUZZ_REQUIRE(va_safetensors_find(s, t->name) == t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_safetensors *s = NULL;
    va_status st = va_safetensors_open(ctx, fuzz_file(data, size), &s);
    if (st != VA_OK) {
        FUZZ_REQUIRE(!s);
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT);
        return 0;
    }
    uint64_t header = 0;
    FUZZ_REQUIRE(size >= 8);
    memcpy(&header, data, 8);
    FUZZ_REQUIRE(header <= size - 8);
    int64_t n_data = (int64_t)size - 8 - (int64_t)header, sum = 0;
    const uint8_t *start = data + 8 + header;
    for (int64_t i = 0; i < va_safetensors_count(s); i++) {
        const va_file_tensor *t = va_safetensors_at(s, i);
        check_tensor(s, t);
        if (i > 0)
            FUZZ_REQUIRE(strcmp(va_safetensors_at(s, i - 1)->name, t->name) < 0);
        sum += t->size_bytes;
        FUZZ_REQUIRE(sum <= n_data);
        // Its bytes are bytes of the input.
        FUZZ_REQUIRE(t->size_bytes == 0 ||
                     memmem(start, (size_t)n_data, t->data, (size_t)t->size_bytes));
    }
    FUZZ_REQUIRE(sum == n_data);
    va_safetensors_close(&s);
    return 0;
}
