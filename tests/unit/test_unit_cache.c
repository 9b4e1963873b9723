// test_unit_cache.c: units that several runs share: taking, putting, trimming, and that what is
// damaged is not used.
// libs: va_experiment va_io
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store.h"
#include "unit_cache.h"

static va_ctx *ctx;
static char dir[VA_TEST_PATH], cache[VA_TEST_PATH];

static int setup(void **state) {
    (void)state;
    ctx = va_test_ctx();
    va_test_temp_dir(dir);
    va_test_join(cache, dir, "cache/units");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
    return 0;
}

static const char *in(const char *folder, const char *name) {
    static char path[4][VA_TEST_PATH];
    static int next;
    next = (next + 1) % 4;
    return va_test_join(path[next], folder, name);
}

static void write_file(const char *path, const char *text) {
    assert_ok(ctx, va_file_write(ctx, path, text, (int64_t)strlen(text)));
}

static void assert_text(const char *path, const char *text) {
    va_map map;
    assert_ok(ctx, va_map_open(ctx, path, &map));
    assert_int_equal(map.size_bytes, strlen(text));
    assert_memory_equal(map.data, text, strlen(text));
    va_map_close(&map);
}

static void takes_what_was_put(void **state) {
    (void)state;
    write_file(in(dir, "a"), "first");
    assert_false(va_unit_cache_take(cache, "key", in(dir, "b"))); // there is no folder yet
    va_unit_cache_put(ctx, cache, "key", in(dir, "a"));
    assert_false(va_unit_cache_take(cache, "kez", in(dir, "b")));
    assert_false(va_path_exists(in(dir, "b")));
    assert_true(va_unit_cache_take(cache, "key", in(dir, "b")));
    assert_text(in(dir, "b"), "first");
    // the same key again takes the place of the old entry
    write_file(in(dir, "a"), "again");
    va_unit_cache_put(ctx, cache, "key", in(dir, "a"));
    assert_true(va_unit_cache_take(cache, "key", in(dir, "c")));
    assert_text(in(dir, "c"), "again");
    assert_text(in(dir, "b"), "first"); // what was taken stays
    assert_int_equal(va_test_count_files(cache), 1);
}

// A file that is written anew does not change the entry that shares its bytes.
static void entries_do_not_change(void **state) {
    (void)state;
    write_file(in(dir, "a"), "first");
    va_unit_cache_put(ctx, cache, "key", in(dir, "a"));
    write_file(in(dir, "a"), "other");
    assert_true(va_unit_cache_take(cache, "key", in(dir, "b")));
    assert_text(in(dir, "b"), "first");
    write_file(in(dir, "b"), "other");
    assert_true(va_unit_cache_take(cache, "key", in(dir, "c")));
    assert_text(in(dir, "c"), "first");
}

static void cannot_be_written(void **state) {
    (void)state;
    write_file(in(dir, "a"), "first");
    write_file(in(dir, "file"), "in the way");
    va_unit_cache_put(ctx, in(dir, "file"), "key", in(dir, "a"));
    assert_false(va_unit_cache_take(in(dir, "file"), "key", in(dir, "b")));
    va_unit_cache_put(ctx, cache, "key", in(dir, "gone"));
    assert_false(va_unit_cache_take(cache, "key", in(dir, "b")));
    va_unit_cache_trim(ctx, in(dir, "nowhere"), 0);
    assert_text(in(dir, "file"), "in the way");
}

// -- trimming ------------------------------------------------------------------------------------

static void set_age(const char *key, int64_t s) {
    char name[64];
    snprintf(name, sizeof name, "%s.safetensors", key);
    const struct timespec times[2] = {{.tv_sec = 1000000000 - s}, {.tv_sec = 1000000000 - s}};
    assert_int_equal(utimensat(AT_FDCWD, in(cache, name), times, 0), 0);
}

static void removes_the_longest_unused(void **state) {
    (void)state;
    static const char *const keys[] = {"k0", "k1", "k2", "k3"};
    for (int i = 0; i < 4; i++) {
        write_file(in(dir, "a"), "ten bytes.");
        va_unit_cache_put(ctx, cache, keys[i], in(dir, "a"));
        set_age(keys[i], (int64_t[]){30, 40, 10, 20}[i]);
    }
    write_file(in(cache, "notes.txt"), "of somebody else");
    va_unit_cache_trim(ctx, cache, 40);
    assert_int_equal(va_test_count_files(cache), 5);
    assert_true(va_unit_cache_take(cache, "k1", in(dir, "b"))); // used now
    va_unit_cache_trim(ctx, cache, 39);
    assert_false(va_path_exists(in(cache, "k0.safetensors")));
    assert_int_equal(va_test_count_files(cache), 4);
    va_unit_cache_trim(ctx, cache, 15);
    assert_true(va_path_exists(in(cache, "k1.safetensors")));
    assert_int_equal(va_test_count_files(cache), 2);
    va_unit_cache_trim(ctx, cache, 0);
    assert_int_equal(va_test_count_files(cache), 1);
    assert_text(in(cache, "notes.txt"), "of somebody else");
    assert_text(in(dir, "b"), "ten bytes."); // what was taken stays
}

// -- runs that share it --------------------------------------------------------------------------

static const char *const keys[] = {"0000key0", "0000key1"};

static va_store *open_store(const char *out) {
    va_store *store = NULL;
    const va_store_params params = {.out_dir = out, .cache_dir = cache, .keys = keys, .n_units = 2};
    assert_ok(ctx, va_store_open(ctx, &params, &store));
    return store;
}

static void put(va_store *store, int64_t unit, float value) {
    const float x[3] = {value, 2, 3};
    const va_file_tensor t = {.name = "x", .dtype = VA_F32, .n_dim = 1, .shape = {3}, .data = x};
    va_json *record = va_json_object();
    va_json_add_double(record, "norm", value);
    assert_ok(ctx, va_store_put(store, unit, &t, 1, record));
    va_json_free(&record);
}

static void assert_unit(const va_store *store, int64_t unit, float value) {
    const va_safetensors *file = va_store_tensors(store, unit);
    double norm = 0;
    assert_non_null(file);
    assert_true(((const float *)va_safetensors_find(file, "x")->data)[0] == value);
    assert_true(va_json_as_double(va_json_get(va_store_record(store, unit), "norm"), &norm));
    assert_true(norm == value);
}

static void another_run_takes_its_units(void **state) {
    (void)state;
    va_store *store = open_store(in(dir, "one"));
    put(store, 0, 7);
    va_store_close(&store, true);
    store = open_store(in(dir, "two"));
    assert_unit(store, 0, 7);
    assert_null(va_store_tensors(store, 1));
    va_store_close(&store, true);
}

// An entry under another key, cut short, or with other bytes is not used, and is made good.
static void damaged_units_are_not_used(void **state) {
    (void)state;
    va_store *store = open_store(in(dir, "one"));
    put(store, 0, 7);
    put(store, 1, 8);
    va_store_close(&store, false);
    char path[VA_TEST_PATH];
    va_test_join(path, cache, "0000key0.safetensors");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    for (int damage = 0; damage < 3; damage++) {
        if (damage == 0)
            assert_int_equal(truncate(path, info.st_size - 2), 0);
        if (damage == 1) {
            FILE *file = fopen(path, "r+");
            assert_int_equal(fseek(file, -3, SEEK_END), 0);
            fputc('!', file);
            fclose(file);
        }
        if (damage == 2) {
            unlink(path);
            assert_int_equal(link(in(cache, "0000key1.safetensors"), path), 0);
        }
        store = open_store(in(dir, "two"));
        assert_null(va_store_tensors(store, 0));
        assert_unit(store, 1, 8);
        put(store, 0, 7);
        va_store_close(&store, true);
        store = open_store(in(dir, "three"));
        assert_unit(store, 0, 7);
        va_store_close(&store, true);
    }
}

// Many runs at once put and take one key: whoever gets it gets it whole.
static void concurrent_runs(void **state) {
    (void)state;
    enum { N_RUNS = 8, N_TIMES = 50 };
    for (int i = 0; i < N_RUNS; i++) {
        if (fork() != 0)
            continue;
        bool ok = true;
        char name[16], from[VA_TEST_PATH], to[VA_TEST_PATH], text[64];
        snprintf(name, sizeof name, "from%d", i);
        va_test_join(from, dir, name);
        snprintf(name, sizeof name, "to%d", i);
        va_test_join(to, dir, name);
        snprintf(text, sizeof text, "the whole text of one run %d", i);
        for (int k = 0; k < N_TIMES && ok; k++) {
            va_map map;
            ok = va_file_write(ctx, from, text, (int64_t)strlen(text)) == VA_OK;
            va_unit_cache_put(ctx, cache, "key", from);
            unlink(to);
            if (!va_unit_cache_take(cache, "key", to))
                continue; // between another's removal and its new entry
            ok &= va_map_open(ctx, to, &map) == VA_OK && map.size_bytes == (int64_t)strlen(text) &&
                  memcmp(map.data, text, 26) == 0;
            va_map_close(&map);
        }
        _exit(ok ? 0 : 1);
    }
    for (int i = 0; i < N_RUNS; i++) {
        int status = 1;
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_true(va_unit_cache_take(cache, "key", in(dir, "last")));
    assert_int_equal(va_test_count_files(cache), 1); // nothing is left half made
}

static void users_folder(void **state) {
    (void)state;
    va_arena *arena = va_arena_create();
    setenv("HOME", "/home/x", 1);
    setenv("XDG_CACHE_HOME", "/cache", 1);
    assert_string_equal(va_unit_cache_dir(arena), "/cache/vkalign/units");
    setenv("XDG_CACHE_HOME", "relative", 1); // not valid, says the specification
    assert_string_equal(va_unit_cache_dir(arena), "/home/x/.cache/vkalign/units");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    assert_null(va_unit_cache_dir(arena));
    va_arena_destroy(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(takes_what_was_put),
        TEST(entries_do_not_change),
        TEST(cannot_be_written),
        TEST(removes_the_longest_unused),
        TEST(another_run_takes_its_units),
        TEST(damaged_units_are_not_used),
        TEST(concurrent_runs),
        TEST(users_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
