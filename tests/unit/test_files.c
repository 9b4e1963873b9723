// libs: va_io
// test_files.c: atomic files, maps, folders, SHA-256.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/io.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static va_ctx *ctx;
static char dir[VA_TEST_PATH], path[VA_TEST_PATH];

static int set_up(void **state) {
    (void)state;
    ctx = va_test_ctx();
    va_test_temp_dir(dir);
    va_test_join(path, dir, "out.txt");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
    return 0;
}

static void assert_content(const char *file, const char *expected) {
    va_map map;
    assert_ok(ctx, va_map_open(ctx, file, &map));
    assert_int_equal(map.size_bytes, strlen(expected));
    if (map.size_bytes > 0)
        assert_memory_equal(map.data, expected, strlen(expected));
    va_map_close(&map);
    assert_null(map.data);
}

static void test_commit(void **state) {
    (void)state;
    va_atomic_file *f;
    assert_ok(ctx, va_file_write(ctx, path, "old", 3));
    assert_ok(ctx, va_atomic_open(ctx, path, &f));
    assert_ok(ctx, va_atomic_write(f, "ne", 2));
    assert_content(path, "old"); // until the commit
    assert_ok(ctx, va_atomic_write(f, "w", 1));
    assert_ok(ctx, va_atomic_write(f, NULL, 0));
    assert_ok(ctx, va_atomic_commit(&f));
    assert_null(f);
    assert_content(path, "new");
    assert_int_equal(va_test_count_files(dir), 1);
    struct stat s;
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0666 & ~mask); // as for any new file
}

static void test_abort(void **state) {
    (void)state;
    va_atomic_file *f = NULL;
    va_atomic_abort(&f);
    assert_ok(ctx, va_atomic_open(ctx, path, &f));
    assert_ok(ctx, va_atomic_write(f, "half", 4));
    va_atomic_abort(&f);
    assert_null(f);
    assert_int_equal(va_test_count_files(dir), 0);
}

static void test_targets_that_are_no_files(void **state) {
    (void)state;
    va_atomic_file *f;
    assert_error(ctx, VA_ERR_FILE, "/dev/null: expected a regular file",
                 va_atomic_open(ctx, "/dev/null", &f));
    assert_error(ctx, VA_ERR_FILE, "got a folder", va_atomic_open(ctx, dir, &f));
    assert_error(ctx, VA_ERR_FILE, "expected the name of a file", va_atomic_open(ctx, "", &f));
    assert_error(ctx, VA_ERR_FILE, "expected the name of a file", va_atomic_open(ctx, "a/", &f));
    assert_null(f);
    struct stat s;
    assert_int_equal(stat("/dev/null", &s), 0);
    assert_true(S_ISCHR(s.st_mode));
}

static void test_link_stays_a_link(void **state) {
    (void)state;
    char link_path[VA_TEST_PATH];
    struct stat s;
    assert_ok(ctx, va_file_write(ctx, path, "old", 3));
    assert_int_equal(symlink("out.txt", va_test_join(link_path, dir, "link")), 0);
    assert_ok(ctx, va_file_write(ctx, link_path, "new", 3));
    assert_content(path, "new");
    assert_int_equal(lstat(link_path, &s), 0);
    assert_true(S_ISLNK(s.st_mode));
}

static void test_open_failures(void **state) {
    (void)state;
    char missing[VA_TEST_PATH];
    va_atomic_file *f;
    va_map map;
    va_test_join(missing, dir, "no/such/file");
    assert_error(ctx, VA_ERR_FILE, "file: cannot be written: No such file or directory",
                 va_atomic_open(ctx, missing, &f));
    assert_error(ctx, VA_ERR_FILE, "file: cannot be opened: No such file or directory",
                 va_map_open(ctx, missing, &map));
    assert_error(ctx, VA_ERR_FILE, "got a folder", va_map_open(ctx, dir, &map));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_error(ctx, VA_ERR_FILE, "regular file", va_map_open(ctx, path, &map)); // does not wait
    if (geteuid() != 0) { // root may write anywhere
        assert_int_equal(chmod(dir, 0500), 0);
        va_status st = va_atomic_open(ctx, va_test_join(missing, dir, "x"), &f);
        assert_int_equal(chmod(dir, 0700), 0);
        assert_error(ctx, VA_ERR_FILE, "Permission denied", st);
    }
}

// A file-size limit stands in for a full disk: write() fails with EFBIG half way.
static void test_write_failure(void **state) {
    (void)state;
    static char block[1 << 16];
    struct rlimit old, small = {1 << 16, 1 << 16};
    assert_ok(ctx, va_file_write(ctx, path, "old", 3));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    va_atomic_file *f = NULL;
    va_status opened = va_atomic_open(ctx, path, &f);
    va_status first = va_atomic_write(f, block, sizeof block);
    va_status second = va_atomic_write(f, block, sizeof block);
    va_status third = va_atomic_write(f, block, 0); // stays failed
    va_status committed = va_atomic_commit(&f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(opened, VA_OK);
    assert_int_equal(first, VA_OK);
    assert_int_equal(second, VA_ERR_FILE);
    assert_int_equal(third, VA_ERR_FILE);
    assert_error(ctx, VA_ERR_FILE, "out.txt: cannot be written: File too large", committed);
    assert_null(f);
    assert_content(path, "old");
    assert_int_equal(va_test_count_files(dir), 1);
}

static void test_empty_map(void **state) {
    (void)state;
    va_map map;
    assert_ok(ctx, va_file_write(ctx, path, NULL, 0));
    assert_ok(ctx, va_map_open(ctx, path, &map));
    assert_null(map.data);
    assert_int_equal(map.size_bytes, 0);
    va_map_close(&map);
}

static void test_folders(void **state) {
    (void)state;
    char deep[VA_TEST_PATH], below[VA_TEST_PATH];
    va_test_join(deep, dir, "a//b/c/");
    assert_false(va_path_exists(deep));
    assert_ok(ctx, va_make_dirs(ctx, deep));
    assert_true(va_path_is_dir(deep) && va_path_exists(deep));
    assert_ok(ctx, va_make_dirs(ctx, deep)); // again
    assert_ok(ctx, va_file_write(ctx, path, "x", 1));
    assert_true(va_path_exists(path) && !va_path_is_dir(path));
    assert_error(ctx, VA_ERR_FILE, "out.txt: cannot be made a folder",
                 va_make_dirs(ctx, va_test_join(below, path, "d/e")));
    va_arena *arena = va_arena_create();
    assert_string_equal(va_path_join(arena, "a", "b"), "a/b");
    assert_string_equal(va_path_join(arena, "a/", "b"), "a/b");
    assert_string_equal(va_path_join(arena, "", "b"), "b");
    assert_string_equal(va_path_join(arena, "/", "b"), "/b");
    va_arena_destroy(&arena);
}

static void test_sha256(void **state) {
    (void)state; // examples of FIPS 180-2, appendix B
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    static const char two[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
    static const char none[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    char hex[65];
    assert_ok(ctx, va_file_write(ctx, path, "abc", 3));
    assert_ok(ctx, va_file_sha256(ctx, path, hex));
    assert_string_equal(hex, abc);
    va_sha256 *h = va_sha256_create();
    va_sha256_update(h, "abcdbcdecdefdefgefghfghigh", 26);
    va_sha256_update(h, "ijhijkijkljklmklmnlmnomnopnopq", 30);
    va_sha256_finish(&h, hex);
    assert_null(h);
    assert_string_equal(hex, two);
    assert_ok(ctx, va_file_write(ctx, path, "", 0));
    assert_ok(ctx, va_file_sha256(ctx, path, hex));
    assert_string_equal(hex, none);
    assert_error(ctx, VA_ERR_FILE, "cannot be opened", va_file_sha256(ctx, "/no/such", hex));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_commit),
        TEST(test_abort),
        TEST(test_targets_that_are_no_files),
        TEST(test_link_stays_a_link),
        TEST(test_open_failures),
        TEST(test_write_failure),
        TEST(test_empty_map),
        TEST(test_folders),
        TEST(test_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
