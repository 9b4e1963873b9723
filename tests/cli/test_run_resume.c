// Runs that are interrupted, killed, or find damaged units: resumed, they end in the same bytes.
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "cli_process.h"

#include "vkalign/io.h"

#include <dirent.h>

static struct {
    va_ctx *ctx;
    cli_process p;
    char dir[VA_TEST_PATH], yaml[VA_TEST_PATH];
    char whole[VA_TEST_PATH], out[VA_TEST_PATH]; // of a run to the end, of the run under test
    double seconds;                              // that the run to the end took
} env;

// 20 epochs: long enough that a signal finds work under way.
static int setup_group(void **state) {
    (void)state;
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // skips without a device
    va_test_gpu_close(&gpu);
    va_test_temp_dir(env.dir);
    setenv("XDG_CACHE_HOME", env.dir, 1); // pipelines compiled once for all runs here
    char *far = cli_replace(cli_experiment, "epochs: 2", "epochs: 20");
    char *yaml = cli_replace(far, "epochs: 2", "epochs: 20");
    cli_store(va_test_join(env.yaml, env.dir, "x.yaml"), yaml, (int64_t)strlen(yaml));
    free(far);
    free(yaml);
    va_test_join(env.whole, env.dir, "whole");
    va_test_join(env.out, env.dir, "out");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("run", env.yaml, "--no-cache", "--out", env.whole)); // fills the cache
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", env.yaml, "--no-cache", "--out", env.whole));
    env.seconds = env.p.seconds;
    return 0;
}

static int teardown_group(void **state) {
    (void)state;
    va_test_temp_remove(env.dir);
    va_ctx_destroy(&env.ctx);
    return 0;
}

static int setup(void **state) {
    (void)state;
    if (va_path_exists(env.out))
        va_test_temp_remove(env.out);
    return 0;
}

// -- helpers --------------------------------------------------------------------------------------

static const char *unit_file(char path[VA_TEST_PATH], int unit) {
    char name[64];
    snprintf(name, sizeof name, "units/%05d.safetensors", unit);
    return va_test_join(path, env.out, name);
}

static int count_units(void) {
    char path[VA_TEST_PATH];
    int n = 0;
    for (int i = 0; i < 7; i++)
        n += va_path_exists(unit_file(path, i));
    return n;
}

static void start_run(void) {
    cli_start(&env.p, NULL, CLI_ARGS("run", env.yaml, "--no-cache", "--out", env.out));
}

// Waits until n units are saved; a run that ends earlier fails the test.
static void wait_for_units(int n) {
    while (count_units() < n) {
        if (!cli_running(&env.p)) {
            cli_wait(&env.p);
            fail_msg("the run ended before %d units were seen: %s", n, env.p.err);
        }
        cli_sleep_ms(1);
    }
}

static bool is_temporary(const char *name) {
    return strstr(name, ".tmp") || strcmp(name, "units") == 0;
}

// All that a run leaves, and the same vectors as an uninterrupted one.
static void expect_whole(void) {
    char a[VA_TEST_PATH], b[VA_TEST_PATH];
    assert_true(cli_same_bytes(va_test_join(a, env.whole, "vectors.safetensors"),
                               va_test_join(b, env.out, "vectors.safetensors")));
    const char *const folders[] = {env.out, va_test_join(b, env.out, "classifiers")};
    for (int i = 0; i < 2; i++) {
        DIR *d = opendir(folders[i]);
        assert_non_null(d);
        for (struct dirent *e; (e = readdir(d));)
            if (is_temporary(e->d_name))
                fail_msg("%s/%s is left over", folders[i], e->d_name);
        closedir(d);
    }
    assert_int_equal(va_test_count_files(env.out), va_test_count_files(env.whole));
}

static int64_t units_reused(void) {
    char path[VA_TEST_PATH];
    int64_t n = -1;
    va_json *results;
    va_test_join(path, env.out, "results.json");
    assert_ok(env.ctx, va_json_load(env.ctx, path, 0, &results));
    assert_true(
        va_json_as_int(va_json_get(va_json_get(results, "metadata"), "n_units_reused"), &n));
    va_json_free(&results);
    return n;
}

static void resume(void) {
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", env.yaml, "--no-cache", "--out", env.out, "--resume"));
}

// Leaves a folder with some units saved; returns how many.
static int interrupt_after(int n_units) {
    start_run();
    wait_for_units(n_units);
    kill(env.p.pid, SIGINT);
    if (cli_wait(&env.p) != 130)
        fail_msg("expected exit status 130, got %d: %s", env.p.status, env.p.err);
    return count_units();
}

// -- tests ----------------------------------------------------------------------------------------

static void test_same_bytes(void **state) {
    (void)state;
    start_run();
    assert_int_equal(cli_wait(&env.p), 0);
    expect_whole();
    assert_int_equal(units_reused(), 0);
}

static void test_interrupt(void **state) {
    (void)state;
    int n = interrupt_after(2);
    char path[VA_TEST_PATH];
    assert_non_null(strstr(env.p.err, "of 7 units are saved; go on with --resume"));
    assert_true(n >= 2 && n < 7);
    assert_false(va_path_exists(va_test_join(path, env.out, "results.json")));
    resume();
    assert_int_equal(units_reused(), n);
    expect_whole();
}

// Killed at moments spread over a run, again and again in the same folder.
static void test_killed(void **state) {
    (void)state;
    enum { N = 6 };
    int n_killed = 0;
    for (int i = 0; i < N; i++) {
        cli_start(&env.p, NULL,
                  CLI_ARGS("run", env.yaml, "--no-cache", "--out", env.out, "--resume"));
        cli_sleep_ms((int)(1000 * env.seconds * (i + 1) / (N + 1)));
        kill(env.p.pid, SIGKILL);
        n_killed += cli_wait(&env.p) == CLI_KILLED + SIGKILL;
    }
    assert_true(n_killed > 0);
    resume();
    expect_whole();
}

static void test_killed_between_units(void **state) {
    (void)state;
    for (int n = 1; n < 7; n += 2) {
        cli_start(&env.p, NULL,
                  CLI_ARGS("run", env.yaml, "--no-cache", "--out", env.out, "--resume"));
        wait_for_units(n);
        kill(env.p.pid, SIGKILL);
        cli_wait(&env.p);
    }
    int n = count_units();
    assert_true(n >= 5);
    resume();
    assert_int_equal(units_reused(), n);
    expect_whole();
}

// Bytes of saved units are changed or cut off: those units are computed again.
static void test_damaged_units(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    int64_t size;
    int n = interrupt_after(4);
    char *data = cli_load(unit_file(path, 0), &size);
    data[size - 40] ^= 0x10; // one bit of an activation: the file is well-formed all the same
    cli_store(path, data, size);
    free(data);
    data = cli_load(unit_file(path, 1), &size);
    cli_store(path, data, size - 4);
    free(data);
    data = cli_load(unit_file(path, 2), &size);
    cli_store(path, data, 0);
    char *norm = strstr(data + 8, "norm"); // in the record, which is part of the header
    assert_non_null(norm);
    norm[0] = 'N';
    cli_store(unit_file(path, 2), data, size);
    free(data);
    resume();
    assert_non_null(strstr(env.p.err, "warning: "));
    assert_non_null(strstr(env.p.err, "3 saved units are damaged"));
    assert_int_equal(units_reused(), n - 3);
    expect_whole();
}

// What depends on the seed is done again, what does not is taken: the same vectors as afresh.
static void test_changed_experiment(void **state) {
    (void)state;
    char fresh[VA_TEST_PATH], a[VA_TEST_PATH], b[VA_TEST_PATH];
    int n = interrupt_after(4); // a capture and two Jacobians know no seed
    cli_run(
        &env.p, 0, NULL,
        CLI_ARGS("run", env.yaml, "--no-cache", "--out", env.out, "--resume", "--set", "seed=4"));
    assert_int_equal(units_reused(), 3);
    char message[64];
    snprintf(message, sizeof message, "%d saved units are damaged or of another experiment", n - 3);
    assert_non_null(strstr(env.p.err, message));
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("run", env.yaml, "--no-cache", "--out", va_test_join(fresh, env.dir, "fresh"),
                     "--set", "seed=4"));
    assert_true(cli_same_bytes(va_test_join(a, fresh, "vectors.safetensors"),
                               va_test_join(b, env.out, "vectors.safetensors")));
    assert_false(cli_same_bytes(va_test_join(a, env.whole, "vectors.safetensors"), b));
}

// A new run over a whole one's folder, and over what a killed one left, without --resume.
static void test_fresh_run_over_old(void **state) {
    (void)state;
    char leftover[VA_TEST_PATH];
    interrupt_after(2);
    cli_store(va_test_join(leftover, env.out, ".va-1-0.tmp"), "x", 1); // as a kill leaves it
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", env.yaml, "--no-cache", "--out", env.out));
    assert_int_equal(units_reused(), 0);
    expect_whole();
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", env.yaml, "--no-cache", "--out", env.out, "--resume"));
    expect_whole();
}

static void test_two_at_once(void **state) {
    (void)state;
    static cli_process second;
    start_run();
    wait_for_units(1);
    kill(env.p.pid, SIGSTOP); // it holds the folder for as long as this takes
    cli_start(&second, NULL, CLI_ARGS("run", env.yaml, "--no-cache", "--out", env.out));
    int status = cli_wait(&second);
    kill(env.p.pid, SIGCONT);
    assert_int_equal(cli_wait(&env.p), 0);
    if (status != 2)
        fail_msg("expected exit status 2, got %d: %s", status, second.err);
    assert_non_null(strstr(second.err, "another run is writing to this folder"));
    assert_int_equal(cli_count_lines(second.err), 1);
    expect_whole();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_same_bytes, setup),
        cmocka_unit_test_setup(test_interrupt, setup),
        cmocka_unit_test_setup(test_killed, setup),
        cmocka_unit_test_setup(test_killed_between_units, setup),
        cmocka_unit_test_setup(test_damaged_units, setup),
        cmocka_unit_test_setup(test_changed_experiment, setup),
        cmocka_unit_test_setup(test_fresh_run_over_old, setup),
        cmocka_unit_test_setup(test_two_at_once, setup),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
