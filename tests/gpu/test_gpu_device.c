// test_gpu_device.c: listing and choosing devices, no device at all, the pipeline cache, facts,
// timing.
// SPDX-License-Identifier: Apache-2.0
// libs: va_gpu
#include "test_gpu.h"

#include <dirent.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fixture {
    va_ctx *ctx;
    va_gpu_info info; // of the default device
    int warnings;
} fixture;

static void count_warnings(void *user, va_log_level level, const char *message) {
    fixture *f = user;
    f->warnings += level >= VA_LOG_WARN;
    if (getenv("VA_TEST_VERBOSE"))
        fprintf(stderr, "[%d] %s\n", (int)level, message);
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_ctx_create(&(va_ctx_params){.log = count_warnings, .log_user = f});
    va_gpu *gpu = va_test_gpu(f->ctx);
    f->info = *va_gpu_get_info(gpu);
    va_test_gpu_close(&gpu);
    f->warnings = 0;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static void test_list(void **state) {
    fixture *f = *state;
    va_arena *arena = va_arena_create();
    va_gpu_info *list;
    int64_t n;
    assert_ok(f->ctx, va_gpu_list(f->ctx, arena, &list, &n));
    assert_true(n >= 1);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(list[i].index, i);
        assert_true(list[i].usable == !list[i].why_not[0]);
        assert_int_equal(strlen(list[i].uuid), 32);
    }
    const va_gpu_info *info = &list[f->info.index];
    assert_string_equal(info->name, f->info.name);
    assert_true(info->usable && info->memory_bytes > 0 && info->max_range_bytes >= 1 << 27);
    assert_true(info->max_shared_bytes >= 32768 && info->max_invocations >= 256);
    assert_true(info->max_push_bytes >= 128 && info->max_groups[2] >= 65535);
    va_arena_destroy(&arena);
}

static va_status try_open(fixture *f, const char *device) {
    va_gpu *gpu;
    va_status st = va_gpu_open(f->ctx, &(va_gpu_params){.device = device, .no_cache = true}, &gpu);
    if (st == VA_OK) {
        assert_string_equal(va_gpu_get_info(gpu)->name, f->info.name);
        va_test_gpu_close(&gpu);
    }
    return st;
}

static void test_choice(void **state) {
    fixture *f = *state;
    char index[16], part[8];
    snprintf(index, sizeof index, "%d", f->info.index);
    snprintf(part, sizeof part, "%.6s", f->info.name);
    for (char *c = part; *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    assert_ok(f->ctx, try_open(f, index));
    assert_ok(f->ctx, try_open(f, part));
    assert_error(f->ctx, VA_ERR_DEVICE, f->info.name, try_open(f, "no such device"));
    assert_error(f->ctx, VA_ERR_DEVICE, "no such", try_open(f, "no such device"));
    assert_error(f->ctx, VA_ERR_DEVICE, "99", try_open(f, "99"));
    setenv("VA_DEVICE", "also absent", 1);
    assert_error(f->ctx, VA_ERR_DEVICE, "also absent", try_open(f, NULL));
    assert_ok(f->ctx, try_open(f, index)); // the argument wins
    unsetenv("VA_DEVICE");
}

static void test_no_driver(void **state) {
    fixture *f = *state;
    const char *old = getenv("VK_ICD_FILENAMES");
    char *saved = old ? strdup(old) : NULL;
    va_arena *arena = va_arena_create();
    va_gpu_info *list;
    int64_t n;
    setenv("VK_ICD_FILENAMES", "/nonexistent", 1);
    assert_error(f->ctx, VA_ERR_DEVICE, "mesa-vulkan-drivers", try_open(f, NULL));
    assert_error(f->ctx, VA_ERR_DEVICE, "VK_ICD_FILENAMES", va_gpu_list(f->ctx, arena, &list, &n));
    if (saved)
        setenv("VK_ICD_FILENAMES", saved, 1);
    else
        unsetenv("VK_ICD_FILENAMES");
    free(saved);
    va_arena_destroy(&arena);
}

// -- work for the cache and the clock --------------------------------------------------------

static void double_words(va_ctx *ctx, va_gpu *gpu, const char *label, int times) {
    static const va_kernel kernel = {
        .shader = "vec/axpby.VEC4", .n_bind = 2, .write_mask = 1 << 1, .push_bytes = 12};
    struct {
        uint32_t n;
        float alpha, beta;
    } push = {1, 1, 1};
    float x[4] = {1, 2, 3, 4}, y[4];
    va_buffer *b;
    assert_ok(ctx, va_buffer_create(gpu, sizeof x, "b", &b));
    assert_ok(ctx, va_gpu_upload(gpu, va_buffer_all(b), x));
    va_dispatch d = {.kernel = &kernel,
                     .bind = {va_buffer_all(b), va_buffer_all(b)},
                     .push = &push,
                     .groups = {1, 1, 1},
                     .label = label};
    for (int i = 0; i < times; i++)
        assert_ok(ctx, va_gpu_dispatch(gpu, &d));
    assert_ok(ctx, va_gpu_download(gpu, va_buffer_all(b), y));
    for (int i = 0; i < 4; i++)
        assert_true(y[i] == ldexpf(x[i], times));
    va_buffer_destroy(&b);
}

static void run_with_cache(fixture *f, const char *dir) {
    va_gpu *gpu;
    assert_ok(f->ctx, va_gpu_open(f->ctx, &(va_gpu_params){.cache_dir = dir}, &gpu));
    double_words(f->ctx, gpu, NULL, 3);
    va_test_gpu_close(&gpu);
}

// The only file of a folder.
static void only_file(const char *dir, char path[VA_TEST_PATH]) {
    assert_int_equal(va_test_count_files(dir), 1);
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            va_test_join(path, dir, e->d_name);
    closedir(d);
}

// Changes one byte, or with at < 0 cuts the file to -at bytes.
static void damage(const char *path, long at) {
    if (at < 0) {
        assert_int_equal(truncate(path, -at), 0);
        return;
    }
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int c = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    fputc(c ^ 0x55, file);
    fclose(file);
}

static void test_cache(void **state) {
    fixture *f = *state;
    char root[VA_TEST_PATH], dir[VA_TEST_PATH], path[VA_TEST_PATH];
    struct stat before, after;
    va_test_temp_dir(root);
    va_test_join(dir, root, "new/cache");
    run_with_cache(f, dir);
    only_file(dir, path);
    assert_int_equal(stat(path, &before), 0);
    assert_true(before.st_size > 32);
    run_with_cache(f, dir);
    assert_int_equal(f->warnings, 0);
    // Whatever is done to the file, the run works, says so, and mends the file.
    static const long damages[] = {0, 9, 17, 25, 40, -1, -16, -33};
    for (int64_t i = 0; i < VA_COUNT(damages); i++) {
        damage(path, damages[i]);
        f->warnings = 0;
        run_with_cache(f, dir);
        assert_int_equal(f->warnings, 1);
        assert_int_equal(stat(path, &after), 0);
        assert_true(after.st_size > 32);
        f->warnings = 0;
        run_with_cache(f, dir);
        assert_int_equal(f->warnings, 0);
    }
    va_test_temp_remove(root);
}

static va_gpu *open_with_facts(fixture *f, const char *dir) {
    va_gpu *gpu;
    assert_ok(f->ctx, va_gpu_open(f->ctx, &(va_gpu_params){.cache_dir = dir}, &gpu));
    return gpu;
}

static void test_facts(void **state) {
    fixture *f = *state;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    int64_t value = 7;
    va_test_temp_dir(dir);
    va_gpu *gpu = open_with_facts(f, dir);
    assert_false(va_gpu_recall(gpu, "a/b", &value));
    assert_int_equal(value, 7);
    assert_ok(f->ctx, va_gpu_remember(gpu, "a/b", -5));
    assert_ok(f->ctx, va_gpu_remember(gpu, "c", INT64_MAX));
    assert_ok(f->ctx, va_gpu_remember(gpu, "a/b", 6));
    assert_true(va_gpu_recall(gpu, "a/b", &value) && value == 6);
    only_file(dir, path); // on disk at once
    va_test_gpu_close(&gpu);
    gpu = open_with_facts(f, dir);
    assert_true(va_gpu_recall(gpu, "a/b", &value) && value == 6);
    assert_true(va_gpu_recall(gpu, "c", &value) && value == INT64_MAX);
    assert_false(va_gpu_recall(gpu, "a", &value));
    va_test_gpu_close(&gpu);
    // What is no fact ends the file, with a warning; facts before it stand.
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs("no fact\nd 3\n", file);
    fclose(file);
    f->warnings = 0;
    gpu = open_with_facts(f, dir);
    assert_int_equal(f->warnings, 1);
    assert_true(va_gpu_recall(gpu, "c", &value));
    assert_false(va_gpu_recall(gpu, "d", &value));
    va_test_gpu_close(&gpu);
    va_test_temp_remove(dir);
}

// A folder that cannot be made, no HOME, and a file in the folder's place: no run fails.
static void test_cache_without_folder(void **state) {
    fixture *f = *state;
    char *home = strdup(getenv("HOME") ? getenv("HOME") : "/");
    char root[VA_TEST_PATH], path[VA_TEST_PATH];
    run_with_cache(f, "/proc/no/such/folder");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    run_with_cache(f, NULL);
    setenv("HOME", "/proc/nobody", 1);
    run_with_cache(f, NULL);
    setenv("HOME", home, 1);
    va_test_temp_dir(root);
    FILE *file = fopen(va_test_join(path, root, "file"), "wb");
    assert_non_null(file);
    fclose(file);
    run_with_cache(f, path);
    setenv("XDG_CACHE_HOME", root, 1);
    run_with_cache(f, NULL);
    assert_int_equal(va_test_count_files(va_test_join(path, root, "vkalign")), 1);
    va_test_temp_remove(root);
    free(home);
}

// Groups add up what they were told, and take the time of what is recorded while they last.
static void check_groups(fixture *f, va_gpu *gpu) {
    const va_gpu_timing *list, *labels;
    int64_t n, n_labels;
    va_gpu_reset_timings(gpu);
    double_words(f->ctx, gpu, "one", 10);
    va_gpu_time_group(gpu, "group", 3, 4);
    double_words(f->ctx, gpu, "two", 2);
    va_gpu_time_group(gpu, "other", 1, 0);
    va_gpu_time_group(gpu, "group", 5, 6);
    double_words(f->ctx, gpu, "two", 2);
    va_gpu_time_group(gpu, NULL, 0, 0);
    double_words(f->ctx, gpu, "one", 10);
    assert_ok(f->ctx, va_gpu_get_group_timings(gpu, &list, &n));
    assert_int_equal(n, 2);
    assert_string_equal(list[0].label, "group");
    assert_true(list[0].calls == 2 && list[0].flop == 8 && list[0].bytes == 10);
    assert_true(list[1].calls == 1 && list[1].flop == 1 && list[1].time_ns == 0);
    const int64_t group_ns = list[0].time_ns;
    assert_ok(f->ctx, va_gpu_get_timings(gpu, &labels, &n_labels));
    for (int64_t i = 0; i < n_labels; i++)
        if (!strcmp(labels[i].label, "two"))
            assert_int_equal(labels[i].time_ns, group_ns);
    va_gpu_reset_timings(gpu);
    assert_ok(f->ctx, va_gpu_get_group_timings(gpu, &list, &n));
    assert_int_equal(n, 0);
    va_gpu_pause_timings(gpu, true);
    va_gpu_time_group(gpu, "paused", 1, 1);
    va_gpu_pause_timings(gpu, false);
    assert_ok(f->ctx, va_gpu_get_group_timings(gpu, &list, &n));
    assert_int_equal(n, 0);
}

static void test_timing(void **state) {
    fixture *f = *state;
    va_gpu *gpu;
    const va_gpu_timing *list;
    int64_t n;
    assert_ok(f->ctx, va_gpu_open(f->ctx, &(va_gpu_params){.no_cache = true}, &gpu));
    double_words(f->ctx, gpu, "unseen", 2);
    assert_ok(f->ctx, va_gpu_get_timings(gpu, &list, &n));
    assert_int_equal(n, 0);
    va_test_gpu_close(&gpu);
    if (!f->info.has_timestamps)
        return;
    assert_ok(f->ctx,
              va_gpu_open(f->ctx, &(va_gpu_params){.no_cache = true, .timestamps = true}, &gpu));
    double start = va_time_s();
    double_words(f->ctx, gpu, "many", 100);
    for (int i = 0; i < 7; i++) // over several submissions, and a recording still open at the end
        double_words(f->ctx, gpu, "few", 5);
    double_words(f->ctx, gpu, NULL, 1);
    assert_ok(f->ctx, va_gpu_get_timings(gpu, &list, &n));
    double elapsed_ns = (va_time_s() - start) * 1e9;
    int64_t calls[3] = {0}, total_ns = 0;
    assert_int_equal(n, 3);
    for (int64_t i = 0; i < n; i++) {
        calls[0] += !strcmp(list[i].label, "many") ? list[i].calls : 0;
        calls[1] += !strcmp(list[i].label, "few") ? list[i].calls : 0;
        calls[2] += !strcmp(list[i].label, "vec/axpby.VEC4") ? list[i].calls : 0;
        total_ns += list[i].time_ns;
        assert_true(list[i].time_ns >= 0 && (i == 0 || list[i].time_ns <= list[i - 1].time_ns));
    }
    assert_int_equal(calls[0], 100);
    assert_int_equal(calls[1], 35);
    assert_int_equal(calls[2], 1);
    // Each dispatch waits for the one before, so together they take no longer than the host saw.
    assert_true((double)total_ns <= elapsed_ns);
    va_gpu_reset_timings(gpu);
    assert_ok(f->ctx, va_gpu_get_timings(gpu, &list, &n));
    assert_int_equal(n, 0);
    va_gpu_pause_timings(gpu, true);
    double_words(f->ctx, gpu, "paused", 3);
    va_gpu_pause_timings(gpu, false);
    double_words(f->ctx, gpu, "resumed", 2); // in the same recording
    assert_ok(f->ctx, va_gpu_get_timings(gpu, &list, &n));
    assert_int_equal(n, 1);
    assert_true(!strcmp(list[0].label, "resumed") && list[0].calls == 2);
    check_groups(f, gpu);
    va_test_gpu_close(&gpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_choice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_driver, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(test_facts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache_without_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
