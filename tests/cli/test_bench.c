// vkalign bench from outside: what its document holds, that its figures fit together, how it stops.
// SPDX-License-Identifier: Apache-2.0
// drivers: lavapipe
#include "test_gpu.h"

#include "cli_process.h"

#include "vkalign/io.h"

#include <math.h>
#include <string.h>

static struct {
    va_ctx *ctx;
    cli_process p;
} env;

static int setup(void **state) {
    (void)state;
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // skips without a device
    va_test_gpu_close(&gpu);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_ctx_destroy(&env.ctx);
    return 0;
}

static va_json *parse_out(void) {
    va_json *doc;
    assert_ok(env.ctx,
              va_json_parse(env.ctx, "stdout", env.p.out, (int64_t)strlen(env.p.out), &doc));
    return doc;
}

static double number(const va_json *o, const char *key) {
    double value = NAN;
    if (!va_json_as_double(va_json_get(o, key), &value))
        fail_msg("expected a number under '%s'", key);
    return value;
}

static double positive(const va_json *o, const char *key) {
    const double value = number(o, key);
    if (!(value > 0))
        fail_msg("expected '%s' above 0, got %g", key, value);
    return value;
}

// The jobs of this name and mode (NULL: any), and their number.
static const va_json *find_job(const va_json *doc, const char *name, const char *mode, int *n) {
    const va_json *found = NULL;
    *n = 0;
    const va_json *o = va_json_first(va_json_get(doc, "jobs"));
    for (; o; o = va_json_next(o)) {
        const char *m = va_json_as_string(va_json_get(o, "mode"));
        if (strcmp(va_json_as_string(va_json_get(o, "name")), name) != 0 ||
            (mode && (!m || strcmp(m, mode) != 0)))
            continue;
        found = o;
        ++*n;
    }
    return found;
}

static const va_json *job_of(const va_json *doc, const char *name, const char *mode) {
    int n;
    const va_json *o = find_job(doc, name, mode, &n);
    if (n != 1)
        fail_msg("expected one job %s %s, got %d", name, mode ? mode : "", n);
    return o;
}

// Times in order; rates follow from them; shares of the ceilings that the same document tells.
static void check_job(const va_json *doc, const va_json *o) {
    const double median = positive(o, "median_s"), bytes = positive(o, "bytes");
    const double flop = number(o, "flop");
    assert_true(positive(o, "fastest_s") <= median && median <= positive(o, "slowest_s"));
    assert_int_equal(va_json_count(va_json_get(o, "seconds")), 2);
    positive(o, "cpu_s");
    assert_true(fabs(number(o, "flop_per_s") * median - flop) <= 1e-9 * flop);
    assert_true(fabs(number(o, "bytes_per_s") * median - bytes) <= 1e-9 * bytes);
    const double flop_share = number(o, "flop_per_s") / positive(doc, "ceiling_flop_per_s");
    const double bytes_share = number(o, "bytes_per_s") / positive(doc, "ceiling_bytes_per_s");
    assert_true(fabs(number(o, "flop_share") - flop_share) <= 1e-9);
    assert_true(fabs(number(o, "bytes_share") - bytes_share) <= 1e-9);
    assert_true(flop_share >= 0 && flop_share <= 1.2 && bytes_share > 0 && bytes_share <= 1.2);
}

// The time on the device is part of the time by the clock; commands that copy have none.
static void check_ops(const va_json *doc, const va_json *o) {
    bool timed = false;
    double sum = 0;
    assert_true(va_json_as_bool(va_json_get(doc, "timestamps"), &timed));
    const va_json *op = va_json_first(va_json_get(o, "ops"));
    for (; op; op = va_json_next(op)) {
        assert_true(positive(op, "calls") >= 1 && va_json_as_string(va_json_get(op, "label")));
        sum += 1e-9 * number(op, "time_ns");
    }
    assert_true(fabs(sum - number(o, "device_s")) <= 1e-9);
    assert_true(sum <= number(o, "profiled_s"));
    if (timed && number(o, "flop") > 0)
        assert_true(sum > 0);
}

// Kinds of op take part of the device's time; what they do adds up to what was planned (of svd,
// whose steps depend on the numbers, the plan is an estimate).
static void check_kinds(const va_json *doc, const va_json *o) {
    const char *name = va_json_as_string(va_json_get(o, "name"));
    const bool planned = !strcmp(name, "forward") || !strcmp(name, "jvp") || !strcmp(name, "dense");
    bool timed = false;
    double sum_s = 0, flop = 0, bytes = 0;
    assert_true(va_json_as_bool(va_json_get(doc, "timestamps"), &timed));
    const va_json *kind = va_json_first(va_json_get(o, "op_kinds"));
    for (; kind; kind = va_json_next(kind)) {
        const double seconds = 1e-9 * number(kind, "time_ns");
        assert_true(positive(kind, "calls") >= 1);
        assert_true(fabs(number(kind, "flop_per_s") * seconds - number(kind, "flop")) <= 1);
        sum_s += seconds;
        flop += number(kind, "flop");
        bytes += number(kind, "bytes");
    }
    assert_true(sum_s <= number(o, "device_s") + 1e-9);
    if (!timed || !planned)
        return;
    assert_true(sum_s > 0.5 * number(o, "device_s"));
    const double want = positive(o, "flop"), want_bytes = positive(o, "bytes");
    if (fabs(flop - want) > 1e-9 * want || fabs(bytes - want_bytes) > 1e-9 * want_bytes)
        fail_msg("%s: expected %.17g FLOP, %.17g bytes of all kinds, got %.17g, %.17g", name, want,
                 want_bytes, flop, bytes);
}

// What `model inspect` plans for the model of the same shape, for 2 blocks and 8 tokens.
static void expect_planned(const va_json *doc) {
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("model", "inspect", VA_SOURCE_DIR "/experiments/models/tiny-gemma3",
                     "--layers", "2", "--json"));
    va_json *planned = parse_out();
    const va_json *row = va_json_first(va_json_get(planned, "memory"));
    const double forward = positive(row, "forward_flop");
    assert_true(positive(row, "blocks") == 2 && positive(row, "tokens") == 8);
    assert_true(positive(job_of(doc, "forward", NULL), "flop") == forward);
    assert_true(positive(job_of(doc, "jvp", "exact"), "flop") ==
                forward + positive(row, "jvp_flop"));
    va_json_free(&planned);
}

// sum sigma_i^2 over the top 8 is no more than the squared Frobenius norm of the same J.
static void check_numbers(const va_json *doc, const char *mode) {
    const va_json *svd = job_of(doc, "svd", mode), *dense = job_of(doc, "dense", mode);
    const va_json *s = va_json_first(va_json_get(svd, "sigma"));
    double sum = 0, before = INFINITY, sigma;
    int64_t n = 0;
    bool converged = false;
    for (; s; s = va_json_next(s), n++) {
        assert_true(va_json_as_double(s, &sigma) && sigma > 0 && sigma <= before);
        sum += sigma * sigma;
        before = sigma;
    }
    assert_true(n == 8 && positive(svd, "vectors") >= 32);
    assert_true(va_json_as_bool(va_json_get(svd, "converged"), &converged) && converged);
    assert_true(positive(dense, "rows") == 160 && positive(dense, "rows_all") == 160);
    const double squared = pow(positive(dense, "norm"), 2);
    assert_true(sum < squared && sum > 0.05 * squared);
    assert_true(positive(job_of(doc, "jvp", mode), "norm") > 0);
}

static void test_document(void **state) {
    (void)state;
    int n;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("bench", "--shape", "tiny", "--layers", "2", "--repeat", "2", "--json"));
    va_json *doc = parse_out();
    assert_string_equal(va_json_as_string(va_json_get(doc, "shape")), "tiny");
    assert_true(va_json_is_object(va_json_get(doc, "config")));
    assert_int_equal(va_json_count(va_json_get(doc, "ids")), 8);
    assert_true(positive(doc, "layers") == 2 && positive(doc, "tokens") == 8);
    assert_true(positive(doc, "peak_bytes") <= 1.02 * positive(doc, "planned_bytes"));
    positive(doc, "weight_bytes");
    for (const va_json *o = va_json_first(va_json_get(doc, "jobs")); o; o = va_json_next(o)) {
        check_job(doc, o);
        check_ops(doc, o);
        check_kinds(doc, o);
    }
    find_job(doc, "matmul", NULL, &n);
    assert_int_equal(n, 7);
    find_job(doc, "copy", NULL, &n);
    assert_int_equal(n, 2);
    positive(job_of(doc, "probe", NULL), "loss");
    check_numbers(doc, "exact");
    check_numbers(doc, "detached");
    expect_planned(doc);
    va_json_free(&doc);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *option, *value, *message;
    } cases[] = {
        {2, "--shape", "gemma-9", "expected one of tiny, gemma-3-1b"},
        {2, "--layers", "9", "tiny: expected 1 to 8 layers, got 9"},
        {2, "--tokens", "513", "tiny: expected 1 to 512 tokens"},
        {2, "--only", "forward,backward", "got 'backward'"},
        {2, "--only", ",", "at least one name"},
        {2, "--repeat", "0", "--repeat: expected an integer from 1"},
        {4, "--memory", "1M", "tiny, 8 blocks: expected "},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        cli_run(&env.p, cases[i].status, NULL, CLI_ARGS("bench", cases[i].option, cases[i].value));
        if (!strstr(env.p.err, cases[i].message))
            fail_msg("expected '%s' in: %s", cases[i].message, env.p.err);
        assert_string_equal(env.p.out, "");
    }
}

// What --tune would ignore is refused.
static void test_tune_refused(void **state) {
    (void)state;
    static const struct {
        const char *option, *value;
    } cases[] = {{"--shape", "tiny"},   {"--layers", "1"}, {"--tokens", "4"}, {"--repeat", "2"},
                 {"--only", "forward"}, {"--limit", "1"},  {"--seed", "0"},   {"--memory", "1G"}};
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        cli_run(&env.p, 2, NULL, CLI_ARGS("bench", "--tune", cases[i].option, cases[i].value));
        if (!strstr(env.p.err, "bench: --tune goes with --device alone"))
            fail_msg("--tune with %s: got: %s", cases[i].option, env.p.err);
        assert_string_equal(env.p.out, "");
    }
}

static void test_interrupt(void **state) {
    (void)state;
    cli_start(&env.p, NULL, CLI_ARGS("bench", "--shape", "tiny", "--json"));
    cli_sleep_ms(700);
    assert_true(cli_running(&env.p));
    kill(env.p.pid, SIGINT);
    assert_int_equal(cli_wait(&env.p), 130);
    assert_non_null(strstr(env.p.err, "interrupted"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_tune_refused),
        cmocka_unit_test(test_interrupt),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
