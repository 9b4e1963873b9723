// A PyTorch checkpoint: no value contains itself, keys are found, tensors lie inside the file.
// Input that is no archive is taken for the pickle of one, so that it need not find zip's places.
// libs: va_io
// seeds: tests/fixtures/pt/*.pt
// max_len: 4096
// dict: pt
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "vkalign/pt.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_VISITS = 5000 }; // the same value may stand in very many places

static const uint8_t *file;
static int64_t file_size;

// -- archive -----------------------------------------------------------------------------------

static void put(va_strbuf *b, uint64_t value, int n) {
    va_strbuf_append(b, (const char *)&value, n);
}

// A local header (from byte 4 on) or an entry of the directory, without checksum.
static void put_member(va_strbuf *b, const char *signature, const char *name, int64_t size) {
    const bool is_local = signature[2] == 3;
    va_strbuf_append(b, signature, 4);
    put(b, 0, is_local ? 2 : 4);
    put(b, 0, 8);
    put(b, 0, 4);
    put(b, (uint64_t)size, 4);
    put(b, (uint64_t)size, 4);
    put(b, strlen(name), 2);
    put(b, 0, 2);
}

static void wrap_pickle(va_strbuf *b, const uint8_t *data, int64_t size) {
    char storage[64];
    const char *const name[] = {"a/data.pkl", "a/data/0"};
    const void *const content[] = {data, storage};
    const int64_t bytes[] = {size, (int64_t)sizeof storage};
    int64_t at[2];
    for (size_t i = 0; i < sizeof storage; i++)
        storage[i] = (char)(i + 1);
    for (int i = 0; i < 2; i++) {
        at[i] = b->len;
        put_member(b, "PK\3\4", name[i], bytes[i]);
        va_strbuf_puts(b, name[i]);
        va_strbuf_append(b, content[i], bytes[i]);
    }
    const int64_t directory = b->len;
    for (int i = 0; i < 2; i++) {
        put_member(b, "PK\1\2", name[i], bytes[i]);
        put(b, 0, 8);
        put(b, 0, 2);
        put(b, (uint64_t)at[i], 4);
        va_strbuf_puts(b, name[i]);
    }
    const int64_t end = b->len;
    va_strbuf_append(b, "PK\5\6\0\0\0\0\2\0\2", 11);
    put(b, 0, 1);
    put(b, (uint64_t)(end - directory), 4);
    put(b, (uint64_t)directory, 4);
    put(b, 0, 2);
    FUZZ_REQUIRE(!b->failed);
}

// -- values ------------------------------------------------------------------------------------

static void check_tensor(va_ctx *ctx, va_pt *pt, const va_pt_value *v) {
    va_arena *arena = va_arena_create();
    va_file_tensor t;
    int64_t n_elem = 1;
    FUZZ_REQUIRE(arena);
    const va_status st = va_pt_tensor(ctx, arena, pt, v, "t", &t);
    if (st == VA_OK) {
        FUZZ_REQUIRE(t.n_dim >= 0 && t.n_dim <= VA_MAX_DIM);
        for (int i = 0; i < t.n_dim; i++)
            FUZZ_REQUIRE(t.shape[i] >= 0 && va_mul_i64(n_elem, t.shape[i], &n_elem));
        FUZZ_REQUIRE(t.n_elem == n_elem && t.size_bytes == va_dtype_size(t.dtype, n_elem));
        FUZZ_REQUIRE(t.size_bytes <= file_size);
        fuzz_touch(t.data, t.size_bytes);
        // Each element is one of the file's.
        const int64_t size = va_dtype_bytes(t.dtype);
        for (int64_t i = 0; i < VA_MIN(n_elem, 16); i++)
            FUZZ_REQUIRE(
                memmem(file, (size_t)file_size, (const char *)t.data + i * size, (size_t)size));
    } else {
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT, VA_ERR_UNSUPPORTED);
    }
    va_arena_destroy(&arena);
}

static void check_key(const va_pt_value *dict, int64_t i) {
    const va_pt_value *key = va_pt_key_at(dict, i), *v = va_pt_at(dict, i);
    int64_t number;
    FUZZ_REQUIRE(key);
    if (va_pt_as_int(key, &number))
        FUZZ_REQUIRE(va_pt_get_int(dict, number) == v);
    else
        FUZZ_REQUIRE(va_pt_as_string(key) && va_pt_get(dict, va_pt_as_string(key)) == v);
}

static void check_value(va_ctx *ctx, va_pt *pt, const va_pt_value *v, int depth, int *visits) {
    int64_t number;
    double real;
    bool flag;
    const va_pt_kind kind = va_pt_value_kind(v);
    if (++*visits > MAX_VISITS)
        return;
    FUZZ_REQUIRE(depth <= 64 && kind > VA_PT_ABSENT && kind <= VA_PT_TENSOR);
    FUZZ_REQUIRE(*va_pt_type_text(v));
    FUZZ_REQUIRE(va_pt_as_int(v, &number) == (kind == VA_PT_INT));
    FUZZ_REQUIRE(va_pt_as_bool(v, &flag) == (kind == VA_PT_BOOL));
    FUZZ_REQUIRE(!va_pt_as_double(v, &real) || kind == VA_PT_FLOAT || kind == VA_PT_INT);
    FUZZ_REQUIRE(kind == VA_PT_LIST || kind == VA_PT_DICT || va_pt_count(v) == 0);
    FUZZ_REQUIRE(va_pt_count(v) <= file_size && !va_pt_at(v, -1) && !va_pt_at(v, va_pt_count(v)));
    FUZZ_REQUIRE(!va_pt_as_string(v) || kind == VA_PT_STRING);
    if (kind == VA_PT_TENSOR)
        check_tensor(ctx, pt, v);
    for (int64_t i = 0; i < va_pt_count(v); i++) {
        if (kind == VA_PT_DICT)
            check_key(v, i);
        check_value(ctx, pt, va_pt_at(v, i), depth + 1, visits);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_strbuf wrapped = {0};
    va_pt *pt = NULL;
    int visits = 0;
    file = data;
    file_size = (int64_t)size;
    if (size >= 2 && data[0] == 0x80 && data[1] <= 5 && (size < 3 || data[2] != 0x8A)) {
        wrap_pickle(&wrapped, data, (int64_t)size);
        file = (const uint8_t *)wrapped.data;
        file_size = wrapped.len;
    }
    const va_status st = va_pt_open(ctx, fuzz_file(file, (size_t)file_size), &pt);
    if (st == VA_OK) {
        check_value(ctx, pt, va_pt_root(pt), 1, &visits);
    } else {
        FUZZ_REQUIRE(!pt);
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT, VA_ERR_UNSUPPORTED);
    }
    va_pt_close(&pt);
    va_strbuf_free(&wrapped);
    return 0;
}
