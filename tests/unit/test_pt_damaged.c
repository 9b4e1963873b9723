// test_pt_damaged.c: damaged PyTorch checkpoints: archives whose places are wrong, truncations,
// flipped bits, random bytes.
// libs: va_io
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/pt.h"

static va_ctx *ctx;
static char dir[VA_TEST_PATH], path[VA_TEST_PATH];

static int set_up(void **state) {
    (void)state;
    ctx = va_test_ctx();
    va_test_temp_dir(dir);
    va_test_join(path, dir, "x.pt");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
    return 0;
}

// va_file_write syncs, and so do file systems when what is cut to nothing is written again.
static void write_file(const void *data, int64_t size) {
    remove(path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, (size_t)size, f), size);
    assert_int_equal(fclose(f), 0);
}

// -- files -------------------------------------------------------------------------------------

static uint8_t *read_fixture(const char *name, int64_t *size) {
    char from[VA_TEST_PATH];
    va_map map = {0};
    assert_ok(ctx, va_map_open(ctx, va_test_fixture(from, name), &map));
    uint8_t *copy = malloc((size_t)map.size_bytes);
    assert_non_null(copy);
    memcpy(copy, map.data, (size_t)map.size_bytes);
    *size = map.size_bytes;
    va_map_close(&map);
    return copy;
}

static void check_refusal(va_status st, int64_t number) {
    if ((st != VA_ERR_FORMAT && st != VA_ERR_UNSUPPORTED) || !*va_error_message(ctx))
        fail_msg("number %lld: status %d: %s", (long long)number, st, va_error_message(ctx));
}

// Visits what is below v and reads its tensors; the values below are no more than their way there.
static void use_value(va_arena *arena, va_pt *pt, const va_pt_value *v, int depth,
                      int64_t *budget) {
    int64_t sum = 0;
    va_file_tensor t;
    assert_true(depth <= 64);
    if (--*budget < 0) // the same value may stand in many places
        return;
    va_pt_as_string(v);
    if (va_pt_value_kind(v) == VA_PT_TENSOR) {
        const va_status st = va_pt_tensor(ctx, arena, pt, v, "t", &t);
        if (st != VA_OK) {
            check_refusal(st, -1);
            return;
        }
        assert_int_equal(t.size_bytes, va_dtype_size(t.dtype, t.n_elem));
        for (int64_t i = 0; i < t.size_bytes; i++)
            sum += ((const uint8_t *)t.data)[i];
        assert_true(sum >= 0);
    }
    for (int64_t i = 0; i < va_pt_count(v); i++) {
        const va_pt_value *key = va_pt_key_at(v, i);
        int64_t number;
        if (va_pt_as_int(key, &number))
            assert_ptr_equal(va_pt_get_int(v, number), va_pt_at(v, i));
        else if (key)
            assert_ptr_equal(va_pt_get(v, va_pt_as_string(key)), va_pt_at(v, i));
        use_value(arena, pt, va_pt_at(v, i), depth + 1, budget);
    }
}

static va_status use_bytes(const uint8_t *data, int64_t size, int64_t number) {
    va_pt *pt = NULL;
    va_arena *arena = va_arena_create();
    int64_t budget = 10000;
    write_file(data, size);
    va_error_clear(ctx);
    const va_status st = va_pt_open(ctx, path, &pt);
    if (st == VA_OK)
        use_value(arena, pt, va_pt_root(pt), 1, &budget);
    else
        check_refusal(st, number);
    va_pt_close(&pt);
    va_arena_destroy(&arena);
    return st;
}

// -- archives ----------------------------------------------------------------------------------

#define PLAIN "pt/rezipped.pt" // Python's
#define TORCH "pt/flat.pt"     // with a zip64 end record
#define EXTRA "../fuzz/corpus/pt/seed_archive64"

// The last place of `text` in the file, and n bytes that are put `at` from there.
static const struct {
    const char *file, *text;
    int64_t at, n;
    uint64_t value;
    va_status code;
    const char *message;
} patches[] = {
    {PLAIN, "PK\5\6", 0, 0, 0, VA_OK, ""},
    {TORCH, "PK\5\6", 0, 0, 0, VA_OK, ""},
    {EXTRA, "PK\5\6", 0, 0, 0, VA_OK, ""},
    // the end
    {PLAIN, "PK\5\6", 20, 2, 5, VA_ERR_FORMAT, "no end of a zip directory"},
    {PLAIN, "PK\5\6", 4, 2, 1, VA_ERR_FORMAT, "expected a zip archive of one part"},
    {PLAIN, "PK\5\6", 8, 2, 1, VA_ERR_FORMAT, "expected a zip archive of one part"},
    {PLAIN, "PK\5\6", 8, 4, 0, VA_ERR_FORMAT, "an empty zip archive"},
    {PLAIN, "PK\5\6", 8, 4, 0xFFFFFFFF, VA_ERR_FORMAT, "65535 members do not fit into"},
    {PLAIN, "PK\5\6", 12, 4, 0xFFFFFFF0, VA_ERR_FORMAT, "directory has 4294967280 bytes from"},
    {PLAIN, "PK\5\6", 16, 4, 0xFFFFFFF0, VA_ERR_FORMAT, "bytes from 4294967280 on"},
    {PLAIN, "PK\5\6", 16, 4, 0, VA_ERR_FORMAT, "byte 0: expected an entry of the zip directory"},
    {TORCH, "PK\6\7", 8, 8, UINT64_MAX, VA_ERR_FORMAT, "the place of a zip64 end record"},
    {TORCH, "PK\6\7", 8, 8, 0, VA_ERR_FORMAT, "the place of a zip64 end record"},
    {TORCH, "PK\6\6", 16, 4, 1, VA_ERR_FORMAT, "expected a zip archive of one part"},
    {TORCH, "PK\6\6", 24, 8, 1, VA_ERR_FORMAT, "expected a zip archive of one part"},
    {TORCH, "PK\6\6", 24, 16, UINT64_MAX, VA_ERR_FORMAT, "members do not fit into"},
    {TORCH, "PK\6\6", 40, 8, UINT64_MAX, VA_ERR_FORMAT, "has 18446744073709551615 bytes"},
    {TORCH, "PK\6\6", 48, 8, UINT64_MAX, VA_ERR_FORMAT, "from 18446744073709551615 on"},
    // entries, by their names, which stand 46 bytes from their beginning
    {PLAIN, "rezipped/data.pkl", -46, 1, 0, VA_ERR_FORMAT, "expected an entry"},
    {PLAIN, "rezipped/data.pkl", -38, 2, 1, VA_ERR_UNSUPPORTED, "data.pkl': encrypted"},
    {PLAIN, "rezipped/data.pkl", -36, 2, 8, VA_ERR_UNSUPPORTED, "data.pkl': compressed"},
    {PLAIN, "rezipped/data.pkl", -30, 4, 0x12345678, VA_ERR_FORMAT, "the checksum 12345678, got"},
    {PLAIN, "rezipped/data.pkl", -26, 4, 1, VA_ERR_FORMAT, "has two sizes"},
    {PLAIN, "rezipped/data.pkl", -22, 4, 0xFFFFFF, VA_ERR_FORMAT, "lies outside the file"},
    {PLAIN, "rezipped/data.pkl", -22, 4, UINT32_MAX, VA_ERR_FORMAT, "wrong extra fields"},
    {PLAIN, "rezipped/data.pkl", -18, 2, 65535, VA_ERR_FORMAT, "goes beyond the zip directory"},
    {PLAIN, "rezipped/data.pkl", -4, 4, 1, VA_ERR_FORMAT, "no zip header where"},
    {PLAIN, "rezipped/data.pkl", -4, 4, 0xFFFFFF, VA_ERR_FORMAT, "lies outside the file"},
    {PLAIN, "rezipped/data.pkl", 0, 1, 'R', VA_ERR_FORMAT, "the zip header has another name"},
    {PLAIN, "rezipped/data.pkl", 9, 1, 'D', VA_ERR_FORMAT, "no rezipped/data.pkl in it"},
    {TORCH, "data/1", 5, 1, '0', VA_ERR_FORMAT, "'flat/data/0' stands twice"},
    {TORCH, "data/1", 5, 1, '9', VA_ERR_FORMAT, "no member data/1"},
    {EXTRA, "a/data.pkl", 10, 2, 2, VA_ERR_FORMAT, "wrong extra fields"},
    {EXTRA, "a/data.pkl", 12, 2, 4, VA_ERR_FORMAT, "wrong extra fields"},
    {EXTRA, "a/data.pkl", 12, 2, 9, VA_ERR_FORMAT, "wrong extra fields"},
    {EXTRA, "a/data.pkl", 14, 8, UINT64_MAX, VA_ERR_FORMAT, "lies outside the file"},
    // a member's header
    {EXTRA, "PK\3\4", 26, 2, 0, VA_ERR_FORMAT, "a/data/0': the zip header has another name"},
    {EXTRA, "PK\3\4", 28, 2, 65535, VA_ERR_FORMAT, "a/data/0': goes beyond the end"},
    {PLAIN, "\x80\2}", -2, 1, 'X', VA_ERR_FORMAT, "the zip header has another name"},
};

static void wrong_places(void **state) {
    (void)state;
    for (int64_t i = 0; i < VA_COUNT(patches); i++) {
        int64_t size, at = -1;
        const size_t n = strlen(patches[i].text);
        uint8_t *data = read_fixture(patches[i].file, &size);
        for (int64_t k = 0; k + (int64_t)n <= size; k++)
            if (memcmp(data + k, patches[i].text, n) == 0)
                at = k + patches[i].at;
        assert_true(at >= 0);
        for (int64_t k = 0; k < patches[i].n; k++)
            data[at + k] = k < 8 ? (uint8_t)(patches[i].value >> (8 * k)) : 0xFF;
        const va_status st = use_bytes(data, size, i);
        if (st != patches[i].code || !strstr(va_error_message(ctx), patches[i].message))
            fail_msg("patch %lld: status %d: %s", (long long)i, st, va_error_message(ctx));
        free(data);
    }
}

// -- damage ------------------------------------------------------------------------------------

static void truncations(void **state) {
    (void)state;
    int64_t size;
    uint8_t *data = read_fixture("pt/flat.pt", &size);
    for (int64_t n = 0; n < size; n++)
        if (use_bytes(data, n, n) == VA_OK)
            fail_msg("%lld of %lld bytes are read", (long long)n, (long long)size);
    assert_ok(ctx, use_bytes(data, size, size));
    free(data);
}

// All tensors are those of the undamaged file; false when one is refused.
static bool same_tensors(const va_safetensors *expected) {
    va_pt *pt = NULL;
    va_arena *arena = va_arena_create();
    bool same = va_pt_open(ctx, path, &pt) == VA_OK;
    for (int64_t i = 0; same && i < va_safetensors_count(expected); i++) {
        const va_file_tensor *want = va_safetensors_at(expected, i);
        const va_pt_value *v = va_pt_get(va_pt_root(pt), want->name);
        va_file_tensor got;
        if (va_pt_tensor(ctx, arena, pt, v, want->name, &got) != VA_OK) {
            same = false;
            break;
        }
        assert_int_equal(got.size_bytes, want->size_bytes);
        assert_memory_equal(got.data, want->data, (size_t)want->size_bytes);
    }
    va_pt_close(&pt);
    va_arena_destroy(&arena);
    return same;
}

// A flipped bit is refused, or was none of the tensors'.
static void flipped_bits(void **state) {
    (void)state;
    char name[VA_TEST_PATH];
    int64_t size, n_refused = 0, n_same = 0;
    va_safetensors *expected;
    uint8_t *data = read_fixture("pt/flat.pt", &size);
    assert_ok(ctx,
              va_safetensors_open(ctx, va_test_fixture(name, "pt/flat.safetensors"), &expected));
    for (int64_t i = 0; i < size; i++) {
        const uint8_t bit = (uint8_t)(1u << i % 8);
        data[i] ^= bit;
        write_file(data, size);
        ++*(same_tensors(expected) ? &n_same : &n_refused);
        data[i] ^= bit;
    }
    assert_true(n_refused > 1000 && n_same > 300); // padding, times
    va_safetensors_close(&expected);
    free(data);
}

// Files without checksums, so that damage to the pickle goes further.
static void random_damage(void **state) {
    static const char *const names[] = {"pt/values.pt", "pt/values4.pt", "pt/views.pt",
                                        "pt/lens.pt"};
    enum { N_EACH = 1500 };
    (void)state;
    int64_t n_read = 0;
    for (int64_t f = 0; f < VA_COUNT(names); f++) {
        int64_t size;
        uint8_t *data = read_fixture(names[f], &size), *copy = malloc((size_t)size);
        assert_non_null(copy);
        for (int64_t i = 0; i + 46 < size; i++)
            if (memcmp(data + i, "PK\1\2", 4) == 0)
                memset(data + i + 16, 0, 4);
        for (int64_t k = 0; k < N_EACH; k++) {
            va_rng rng = va_rng_make(2025, (uint64_t)(f * N_EACH + k));
            memcpy(copy, data, (size_t)size);
            const int64_t edits = 1 + va_rng_below(&rng, 4), within = k % 2 ? 2000 : size;
            for (int64_t e = 0; e < edits; e++) // every other time all of them in the pickle
                copy[va_rng_below(&rng, (uint32_t)within)] = (uint8_t)va_rng_u32(&rng);
            n_read += use_bytes(copy, size, f * N_EACH + k) == VA_OK;
        }
        free(copy);
        free(data);
    }
    assert_true(n_read > 500 && n_read < 5000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_places),
        cmocka_unit_test(truncations),
        cmocka_unit_test(flipped_bits),
        cmocka_unit_test(random_damage),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
