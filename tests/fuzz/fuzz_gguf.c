// A GGUF file: values are of the kinds they say, tensors lie inside the file, each apart.
// libs: va_io
// seeds: tests/fixtures/gguf/* ../shared/data/gguf/odd/*
// max_len: 2048
// dict: gguf
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "vkalign/gguf.h"

#include <math.h>
#include <string.h>

static const uint8_t *file;
static int64_t file_size;

static bool in_file(const void *data, int64_t n) {
    return n == 0 || (n > 0 && n <= file_size && memmem(file, (size_t)file_size, data, (size_t)n));
}

// Element i is read as one of the kinds and no other.
static void check_element(const va_gguf_value *v, int64_t i) {
    int64_t integer, n;
    double number;
    bool flag;
    const char *s;
    const va_gguf_kind kind = va_gguf_element_kind(v);
    const bool there = i >= 0 && i < va_gguf_length(v);
    const bool numeric = kind == VA_GGUF_UINT || kind == VA_GGUF_INT || kind == VA_GGUF_FLOAT;
    FUZZ_REQUIRE(va_gguf_bool_at(v, i, &flag) == (there && kind == VA_GGUF_BOOL));
    FUZZ_REQUIRE(va_gguf_string_at(v, i, &s, &n) == (there && kind == VA_GGUF_STRING));
    FUZZ_REQUIRE(!va_gguf_number_at(v, i, &number) || (there && numeric));
    if (va_gguf_int_at(v, i, &integer)) {
        FUZZ_REQUIRE(there && numeric && kind != VA_GGUF_FLOAT);
        FUZZ_REQUIRE(kind == VA_GGUF_INT || integer >= 0);
    }
    if (there && kind == VA_GGUF_STRING)
        FUZZ_REQUIRE(in_file(s, n));
}

static void check_value(const va_gguf *g, int64_t i) {
    const char *key = va_gguf_key_at(g, i);
    const va_gguf_value *v = va_gguf_get(g, key);
    double number;
    FUZZ_REQUIRE(*key && v && *va_gguf_type_text(v));
    FUZZ_REQUIRE(i == 0 || strcmp(va_gguf_key_at(g, i - 1), key) < 0);
    FUZZ_REQUIRE(va_gguf_element_kind(v) != VA_GGUF_ARRAY);
    FUZZ_REQUIRE(va_gguf_value_kind(v) == VA_GGUF_ARRAY || va_gguf_length(v) == 1);
    FUZZ_REQUIRE(va_gguf_length(v) <= file_size);
    FUZZ_REQUIRE(!va_gguf_as_double(v, &number) || isfinite(number));
    if (va_gguf_as_string(v))
        fuzz_touch(va_gguf_as_string(v), (int64_t)strlen(va_gguf_as_string(v)));
    const int64_t n = va_gguf_length(v), at[] = {-1, 0, 1, n / 2, n - 1, n, INT64_MAX};
    for (int64_t k = 0; k < VA_COUNT(at); k++)
        check_element(v, at[k]);
}

static void check_tensor(const va_gguf *g, int64_t i) {
    const va_file_tensor *t = va_gguf_at(g, i);
    int64_t n_elem = 1;
    FUZZ_REQUIRE(t->n_dim >= 0 && t->n_dim <= VA_MAX_DIM);
    for (int k = 0; k < t->n_dim; k++)
        FUZZ_REQUIRE(t->shape[k] >= 0 && va_mul_i64(n_elem, t->shape[k], &n_elem));
    FUZZ_REQUIRE(t->n_elem == n_elem);
    FUZZ_REQUIRE(t->size_bytes == va_dtype_size(t->dtype, n_elem));
    FUZZ_REQUIRE(va_gguf_find(g, t->name) == t);
    FUZZ_REQUIRE(in_file(t->data, t->size_bytes));
    for (int64_t k = 0; k < i && i < 64; k++) { // apart from those before
        const va_file_tensor *u = va_gguf_at(g, k);
        const uint8_t *a = t->data, *b = u->data;
        FUZZ_REQUIRE(strcmp(u->name, t->name) != 0);
        FUZZ_REQUIRE(a >= b + u->size_bytes || b >= a + t->size_bytes || t->size_bytes == 0 ||
                     u->size_bytes == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_gguf *g = NULL;
    file = data;
    file_size = (int64_t)size;
    va_status st = va_gguf_open(ctx, fuzz_file(data, size), &g);
    if (st != VA_OK) {
        FUZZ_REQUIRE(!g);
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT, VA_ERR_UNSUPPORTED);
        return 0;
    }
    FUZZ_REQUIRE(!va_gguf_key_at(g, -1) && !va_gguf_key_at(g, va_gguf_key_count(g)));
    FUZZ_REQUIRE(!va_gguf_at(g, -1) && !va_gguf_at(g, va_gguf_count(g)));
    for (int64_t i = 0; i < va_gguf_key_count(g); i++)
        check_value(g, i);
    for (int64_t i = 0; i < va_gguf_count(g); i++)
        check_tensor(g, i);
    va_gguf_close(&g);
    return 0;
}
