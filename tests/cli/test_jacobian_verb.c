// vkalign jacobian from outside: both kinds of file, many sources, chosen tokens, what is refused,
// and Ctrl-C between chunks.
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "cli_process.h"

#include "vkalign/io.h"

#define MODEL VA_FIXTURES "/gemma3-bf16"
#define SHIPPED VA_SOURCE_DIR "/experiments/models/tiny-gemma3"
enum { T = 5, D = 24, N_LAYER = 4 };
static const char ids[] = "2,9,4,17,5";

static struct {
    va_ctx *ctx;
    va_arena *arena;
    cli_process p;
    char dir[VA_TEST_PATH], npy[VA_TEST_PATH], st[VA_TEST_PATH];
} env;

static int setup(void **state) {
    (void)state;
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // skips without a device
    va_test_gpu_close(&gpu);
    env.arena = va_arena_create();
    va_test_temp_dir(env.dir);
    va_test_join(env.npy, env.dir, "J.npy");
    va_test_join(env.st, env.dir, "J.safetensors");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_test_temp_remove(env.dir);
    va_arena_destroy(&env.arena);
    va_ctx_destroy(&env.ctx);
    return 0;
}

// d to / d from of the fixture by itself, in an .npy file; n floats.
static const float *single(const char *from, const char *to, int64_t n) {
    int n_dim;
    int64_t shape[VA_MAX_DIM], count = 1;
    float *data;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("jacobian", "--model", MODEL, "--ids", ids, "--from", from, "--to", to,
                     "--out", env.npy));
    assert_ok(env.ctx, va_npy_load(env.ctx, env.arena, env.npy, &n_dim, shape, &data));
    for (int i = 0; i < n_dim; i++)
        count *= shape[i];
    assert_int_equal(count, n);
    return data;
}

// The same into J.safetensors, with one more option (NULL: none), opened.
static va_safetensors *tensors(const char *from, const char *to, const char *opt,
                               const char *value) {
    va_safetensors *st;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("jacobian", "--json", "--model", MODEL, "--ids", ids, "--from", from, "--to",
                     to, "--out", env.st, opt, value));
    assert_ok(env.ctx, va_safetensors_open(env.ctx, env.st, &st));
    return st;
}

static void expect_rows(const va_file_tensor *t, int64_t at, const float *rows, int64_t n) {
    float *got = malloc((size_t)n * sizeof *got);
    assert_non_null(t);
    memcpy(got, (const uint8_t *)t->data + at * 4, (size_t)n * sizeof *got);
    const double error = va_test_frobenius_error_f32(got, rows, n);
    free(got);
    if (!(error <= 2e-6)) // f32 sums in another order
        fail_msg("%s: error %g", t->name, error);
}

static void expect_text(const char *text, const char *in) {
    if (!strstr(text, in))
        fail_msg("expected '%s' in: %s", in, text);
}

// -- files ----------------------------------------------------------------------------------------

static void test_safetensors(void **state) {
    (void)state;
    const float *J = single("embed@all", "norm:3@last", D * T * D);
    va_safetensors *st = tensors("embed@all", "norm:3", NULL, NULL);
    const va_file_tensor *t = va_safetensors_find(st, "J");
    assert_int_equal(va_safetensors_count(st), 1);
    assert_int_equal(t->n_dim, 3);
    assert_true(t->shape[0] == D && t->shape[1] == T && t->shape[2] == D);
    expect_rows(t, 0, J, D * T * D);
    static const char *const meta[][2] = {
        {"model", MODEL}, {"from", "embed@all"}, {"to", "norm:3@last"}, {"mode", "exact"}};
    for (int64_t i = 0; i < VA_COUNT(meta); i++)
        assert_string_equal(va_safetensors_metadata(st, meta[i][0]), meta[i][1]);
    assert_string_equal(va_safetensors_metadata(st, "ids"), ids);
    assert_null(va_safetensors_metadata(st, "tokens"));
    va_safetensors_close(&st);
}

// Every source of a list is what it is by itself.
static void expect_sources(const char *from, const char *to, const char *const *names, int64_t n,
                           int64_t columns) {
    va_safetensors *st = tensors(from, to, "--memory", "1M"); // some chunks
    assert_int_equal(va_safetensors_count(st), n);
    for (int64_t i = 0; i < n; i++) {
        const float *J = single(names[i], to, D * columns);
        expect_rows(va_safetensors_find(st, names[i]), 0, J, D * columns);
    }
    va_safetensors_close(&st);
}

static void test_sources(void **state) {
    (void)state;
    static const char *const all[] = {"resid:0@all", "resid:1@all", "resid:2@all"};
    static const char *const some[] = {"resid:2@1", "resid:3@1", "mlp:1@1", "embed@1"};
    expect_sources("resid:*@all", "norm:2@last", all, VA_COUNT(all), T * D);
    expect_sources("resid:2..3@1,mlp:1@1,embed@1", "resid:last@3", some, VA_COUNT(some), D);
    static const char *const attn[] = {"attn:0@last", "attn:1@last", "attn:2@last", "attn:3@last"};
    expect_sources("attn:*", "norm:last", attn, VA_COUNT(attn), D);
    va_json *doc;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("jacobian", "--json", "--model", MODEL, "--ids", ids, "--from",
                     "resid:2..last", "--to", "norm:last", "--out", env.st));
    assert_ok(env.ctx,
              va_json_parse(env.ctx, "stdout", env.p.out, (int64_t)strlen(env.p.out), &doc));
    const va_json *sources = va_json_get(doc, "sources"), *first = va_json_first(sources);
    assert_int_equal(va_json_count(sources), N_LAYER - 1);
    assert_string_equal(va_json_as_string(va_json_get(first, "from")), "resid:2@last");
    assert_int_equal(va_json_count(va_json_get(first, "shape")), 2);
    va_json_free(&doc);
}

// -- tokens ---------------------------------------------------------------------------------------

static void test_tokens(void **state) {
    (void)state;
    enum { N = 3 };
    static const int tokens[N] = {17, 0, 5};
    va_safetensors *st = tensors("embed@all", "logits@-2", "--tokens", "17,0,5");
    const va_file_tensor *t = va_safetensors_find(st, "J");
    assert_true(t->n_dim == 3 && t->shape[0] == N && t->shape[1] == T && t->shape[2] == D);
    assert_string_equal(va_safetensors_metadata(st, "tokens"), "17,0,5");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("jacobian", "--model", MODEL, "--ids", ids, "--from", "embed@all", "--to",
                     "logits@3", "--out", env.npy));
    int n_dim;
    int64_t shape[VA_MAX_DIM];
    float *J;
    assert_ok(env.ctx, va_npy_load(env.ctx, env.arena, env.npy, &n_dim, shape, &J));
    for (int i = 0; i < N; i++)
        expect_rows(t, i * T * D, J + tokens[i] * T * D, T * D);
    va_safetensors_close(&st);
    // at every position, by several sources
    const int64_t V = shape[0];
    st = tensors("resid:1..2@0", "logits@all", "--tokens", "17,0,5");
    t = va_safetensors_find(st, "resid:2@0");
    assert_true(t->n_dim == 3 && t->shape[0] == T && t->shape[1] == N && t->shape[2] == D);
    J = (float *)single("resid:2@0", "logits@all", T * V * D);
    for (int i = 0; i < T * N; i++)
        expect_rows(t, i * D, J + (i / N * V + tokens[i % N]) * D, D);
    va_safetensors_close(&st);
}

// A text stands for its tokens, without special ones.
static void test_tokens_of_text(void **state) {
    (void)state;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("tokenize", "--json", "--no-special", "--model", SHIPPED, "--text", "thing"));
    va_json *expected, *doc;
    assert_ok(env.ctx,
              va_json_parse(env.ctx, "stdout", env.p.out, (int64_t)strlen(env.p.out), &expected));
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("jacobian", "--json", "--model", SHIPPED, "--ids", ids, "--from", "embed",
                     "--to", "logits", "--tokens", "thing", "--out", env.npy));
    assert_ok(env.ctx,
              va_json_parse(env.ctx, "stdout", env.p.out, (int64_t)strlen(env.p.out), &doc));
    char *a = va_json_print(va_json_get(expected, "ids"), false);
    char *b = va_json_print(va_json_get(doc, "tokens"), false);
    assert_string_equal(a, b);
    free(a), free(b);
    va_json_free(&expected);
    va_json_free(&doc);
}

// -- what is refused ------------------------------------------------------------------------------

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *out, *opt, *value, *message;
    } cases[] = {
        {"embed", "norm:2", "J.pt", NULL, NULL, "expected FILE.npy or FILE.safetensors, got '"},
        {"resid:*", "norm:2", "J.npy", NULL, NULL, "expected FILE.safetensors, which holds"},
        {"resid:1..1", "norm:2", "J.npy", NULL, NULL, "J.npy', which holds one array"},
        {"resid:*@mean", "norm:2", "J.safetensors", NULL, NULL, "expected positions, not a mean"},
        {"resid:0..3@all", "norm:2", "J.safetensors", NULL, NULL,
         "resid:3@all does not come before"},
        {"resid:2..1", "norm:2", "J.safetensors", NULL, NULL, "expected the lower layer first"},
        {"resid:1..9", "norm:2", "J.safetensors", NULL, NULL, "resid has layers 0 to 4"},
        {"resid:a..2", "norm:2", "J.safetensors", NULL, NULL, "'a' is neither a number nor"},
        {"resid:1..", "norm:2", "J.safetensors", NULL, NULL, "neither a number nor 'last'"},
        {"resid:*2", "norm:2", "J.safetensors", NULL, NULL, "layer '*2' is neither"},
        {"embed:*", "norm:2", "J.safetensors", NULL, NULL, "embed takes no layer"},
        {"*", "norm:2", "J.safetensors", NULL, NULL, "unknown site '*'"},
        {"resid:1,", "norm:2", "J.safetensors", NULL, NULL, "unknown site ''"},
        {"embed,resid:0", "norm:2", "J.safetensors", NULL, NULL, "resid:0@last stands twice"},
        {"resid:*,resid:1", "norm:2", "J.safetensors", NULL, NULL, "resid:1@last stands twice"},
        {"resid:1@all,resid:2", "norm:2", "J.safetensors", NULL, NULL, "at the same positions"},
        {"norm:*", "norm:2", "J.safetensors", NULL, NULL, "no layer comes before norm:2@last"},
        {"embed", "norm:2", "J.npy", "--tokens", "5", "expected --to logits, got norm:2@last"},
        {"embed", "logits", "J.npy", "--tokens", "5,5", "token 5 stands twice"},
        {"embed", "logits", "J.npy", "--tokens", "999999", "expected ids from 0 to"},
        {"embed", "logits", "J.npy", "--tokens", "", "expected at least one token"},
        {"embed", "norm:2", "J.npy", "--memory", "5X", "such as 500M, 2G or 1.5GiB, got '5X'"},
        {"embed", "norm:2", "J.npy", "--memory", "-5M", "got '-5M'"},
        {"embed", "norm:2", "J.npy", "--memory", "", "got ''"},
        {"embed", "norm:2", "J.npy", "--memory", "1.2.3M", "got '1.2.3M'"},
        {"embed", "norm:2", "J.npy", "--memory", "0", "got '0'"},
        {"embed", "norm:2", "J.npy", "--memory", "1e9", "got '1e9'"},
        {"embed", "norm:2", "J.npy", "--memory", "99999999999999T", "got '99999999999999T'"},
        {"embed", "norm:2", "J.npy", "--memory", "inf", "got 'inf'"},
        {"embed", "norm:2", "J.npy", "--memory", "5Bi", "got '5Bi'"},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        char out[VA_TEST_PATH];
        va_test_join(out, env.dir, cases[i].out);
        cli_run(&env.p, 2, "VK_ICD_FILENAMES=/none", // all of it before a device is opened
                CLI_ARGS("jacobian", "--model", MODEL, "--ids", ids, "--from", cases[i].from,
                         "--to", cases[i].to, "--out", out, cases[i].opt, cases[i].value));
        expect_text(env.p.err, cases[i].message);
        assert_int_equal(va_test_count_files(env.dir), 0);
    }
}

// -- Ctrl-C ---------------------------------------------------------------------------------------

// Waits for the file being written, lets some chunks pass, and stops: no file is left.
static void expect_interrupted(const char *from, const char *out) {
    char many[128] = "2";
    for (int i = 1; i < 40; i++)
        strcat(many, ",7");
    cli_start(&env.p, NULL,
              CLI_ARGS("jacobian", "--model", SHIPPED, "--ids", many, "--from", from, "--to",
                       "resid:last@all", "--out", out, "--memory", "12M"));
    for (int i = 0; i < 3000 && va_test_count_files(env.dir) == 0 && cli_running(&env.p); i++)
        cli_sleep_ms(10);
    assert_int_equal(va_test_count_files(env.dir), 1);
    cli_sleep_ms(1000);
    assert_true(cli_running(&env.p));
    kill(env.p.pid, SIGINT);
    if (cli_wait(&env.p) != 130)
        fail_msg("expected exit status 130, got %d: %s", env.p.status, env.p.err);
    assert_int_equal(va_test_count_files(env.dir), 0);
}

static void test_interrupt(void **state) {
    (void)state;
    expect_interrupted("embed@all", env.npy);
    expect_interrupted("resid:*@all", env.st);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_safetensors),    TEST(test_sources), TEST(test_tokens),
        TEST(test_tokens_of_text), TEST(test_refused), TEST(test_interrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
