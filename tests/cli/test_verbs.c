// The verbs from outside: exit status, messages, what is printed and what is written.
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "vkalign/io.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODEL VA_FIXTURES "/gemma3-bf16"
#define PLAIN VA_FIXTURES "/gemma3-plain"
#define TEXT "--text 'The concept of Physical means'"

static struct {
    va_ctx *ctx;
    char dir[VA_TEST_PATH];
} env;

typedef struct outcome {
    int status;
    char out[1 << 16], err[1 << 14];
} outcome;

static void read_file(const char *name, char *buf, size_t size) {
    char path[VA_TEST_PATH];
    FILE *f = fopen(va_test_join(path, env.dir, name), "rb");
    assert_non_null(f);
    const size_t n = fread(buf, 1, size - 1, f);
    buf[n] = '\0';
    fclose(f);
}

// Runs vkalign with these arguments in the temporary folder.
static const outcome *run(const char *args) {
    static outcome o;
    char command[4096];
    const int n =
        snprintf(command, sizeof command, "cd '%s' && '%s' %s >.stdout 2>.stderr </dev/null",
                 env.dir, VA_CLI, args);
    assert_true(n > 0 && n < (int)sizeof command);
    const int code = system(command);
    assert_true(WIFEXITED(code));
    o.status = WEXITSTATUS(code);
    read_file(".stdout", o.out, sizeof o.out);
    read_file(".stderr", o.err, sizeof o.err);
    return &o;
}

static const outcome *run_ok(const char *args) {
    const outcome *o = run(args);
    if (o->status != 0)
        fail_msg("vkalign %s: exit status %d: %s", args, o->status, o->err);
    return o;
}

static void expect_text(const char *args, const char *text, const char *in) {
    if (!strstr(text, in))
        fail_msg("vkalign %s: expected '%s' in: %s", args, in, text);
}

static bool exists(const char *name) {
    char path[VA_TEST_PATH];
    return va_path_exists(va_test_join(path, env.dir, name));
}

static float *load_npy(va_arena *arena, const char *name, int n_dim, const int64_t *shape) {
    char path[VA_TEST_PATH];
    int got_dim;
    int64_t got[VA_MAX_DIM];
    float *data;
    assert_ok(env.ctx,
              va_npy_load(env.ctx, arena, va_test_join(path, env.dir, name), &got_dim, got, &data));
    assert_int_equal(got_dim, n_dim);
    for (int i = 0; i < n_dim; i++)
        assert_int_equal(got[i], shape[i]);
    return data;
}

static va_json *parse_out(const outcome *o) {
    va_json *doc;
    assert_ok(env.ctx, va_json_parse(env.ctx, "stdout", o->out, (int64_t)strlen(o->out), &doc));
    return doc;
}

// -- usage ----------------------------------------------------------------------------------------

static void test_help(void **state) {
    (void)state;
    static const char *const verbs[] = {"devices",  "model inspect", "tokenize", "forward",
                                        "jacobian", "svd",           "map",      "relation"};
    const outcome *o = run_ok("--help");
    for (int64_t i = 0; i < VA_COUNT(verbs); i++)
        expect_text("--help", o->out, verbs[i]);
    for (int64_t i = 0; i < VA_COUNT(verbs); i++) {
        char args[64];
        snprintf(args, sizeof args, "%s --help", verbs[i]);
        expect_text(args, run_ok(args)->out, "usage: vkalign ");
        snprintf(args, sizeof args, "help %s", verbs[i]);
        expect_text(args, run_ok(args)->out, verbs[i]);
    }
    expect_text("--version", run_ok("--version")->out, "vkalign ");
}

// Every mistake: one line on stderr, nothing on stdout, no file left behind.
static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *args, *message;
    } cases[] = {
        {2, "", "usage: vkalign"},
        {2, "devics", "unknown verb 'devics', did you mean 'devices'?"},
        {2, "model", "expected 'model inspect'"},
        {2, "model inspct x", "expected 'model inspect', got 'inspct'"},
        {2, "model inspect", "expected DIR"},
        {2, "model inspect a b", "unexpected argument 'b'"},
        {2, "devices --jsn", "unknown option '--jsn', did you mean '--json'?"},
        {2, "devices --model x", "devices takes no --model"},
        {2, "devices --json=1", "--json takes no value"},
        {2, "forward --model", "--model: expected a value (DIR)"},
        {2, "forward --model " MODEL " " TEXT " --site norm:2", "expected --out PATH"},
        {2, "forward --model " MODEL " " TEXT " --out x.npy", "expected --site S"},
        {2, "forward --site norm:2 " TEXT " --out x.npy", "expected --model DIR"},
        {2, "forward --model " MODEL " --site norm:2 --out x.npy", "either --text or --text-file"},
        {2, "forward --model " MODEL " --text a --ids 1 --site norm:2 --out x.npy", "--ids goes"},
        {2, "forward --model " MODEL " --ids 1,,2 --site norm:2 --out x.npy", "got '1,,2'"},
        {2, "forward --model " MODEL " --ids 1,9999 --site norm:2 --out x.npy", "token 1 has id"},
        {2, "forward --model " MODEL " --ids 1 --site nrm:2 --out x.npy", "unknown site 'nrm:2'"},
        {2, "forward --model " MODEL " --ids 1 --site norm:5 --out x.npy", "layers 0 to 4"},
        {2, "forward --model " MODEL " --ids 1 --site norm:2@1 --out x.npy", "outside the prompt"},
        {2, "forward --model " PLAIN " --text a --site norm:2 --out x.npy", "no tokenizer.json"},
        {2, "forward --model " MODEL " " TEXT " --concept Entity --site norm:2 --out x.npy",
         "'Entity' is not in the text"},
        {2, "jacobian --model " MODEL " --ids 1,2 --from norm:2 --to embed --out x.npy",
         "does not come before"},
        {2, "jacobian --model " MODEL " --ids 1,2 --from embed@mean --to norm:2 --out x.npy",
         "not a mean"},
        {2, "jacobian --model " MODEL " --ids 1,2 --from embed --to norm:2 --mode d --out x.npy",
         "expected exact or detached, got 'd'"},
        {2, "svd", "expected --model DIR or --matrix FILE"},
        {2, "svd --matrix a.txt", "expected FILE.npy, FILE.mtx or FILE.safetensors:NAME"},
        {2, "svd --matrix a.npy --model " MODEL, "--matrix goes without"},
        {2, "svd --matrix a.npy -k 0", "-k: expected an integer from 1"},
        {2, "svd --matrix a.npy -k x", "got 'x'"},
        {2, "svd --matrix a.npy --method qr", "one of golub-kahan, subspace, power, dense"},
        {2, "svd --matrix a.npy --method dense --tolerance 1", "dense takes no --tolerance"},
        {2, "svd --matrix a.npy --method dense --max-iterations 1", "takes no --max-iterations"},
        {2, "svd --matrix a.npy --method dense --block 1", "dense takes no --block"},
        {2, "svd --matrix a.npy --method dense --basis 1", "dense takes no --basis"},
        {2, "svd --matrix a.npy --method dense --seed 1", "dense takes no --seed"},
        {2, "svd --matrix a.npy --tolerance -1", "expected a number above 0"},
        {2, "tokenize --text a", "expected --model DIR"},
        {3, "svd --matrix absent.npy", "absent.npy"},
        {3, "svd --matrix absent.mtx", "absent.mtx"},
        {3, "svd --matrix absent.safetensors:A", "absent.safetensors"},
        {3, "svd --matrix " MODEL "/model.safetensors:nothing", "holds no tensor 'nothing'"},
        {3, "svd --matrix " MODEL "/model.safetensors:model.norm.weight", "expected a matrix"},
        {3, "model inspect absent", "absent: expected a model folder"},
        {3, "forward --model " VA_FIXTURES "/stats --ids 1 --site norm:2 --out x.npy",
         "config.json"},
        {3, "forward --model absent --ids 1 --site norm:2 --out x.npy", "absent"},
        {3, "forward --model " MODEL " --ids 1 --site norm:2 --out absent/x.npy", "absent/x.npy"},
        {3, "tokenize --model " MODEL " --text-file absent.txt", "absent.txt"},
        {3, "tokenize --model " PLAIN " --text a", "tokenizer.json"},
        {4, "forward --model " MODEL " --ids 1 --site norm:2 --out x.npy --device nosuch",
         "no usable device matches \"nosuch\""},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        const outcome *o = run(cases[i].args);
        if (o->status != cases[i].status)
            fail_msg("vkalign %s: exit status %d, expected %d: %s", cases[i].args, o->status,
                     cases[i].status, o->err);
        expect_text(cases[i].args, o->err, cases[i].message);
        assert_string_equal(o->out, "");
        if (i > 0 &&
            (strncmp(o->err, "vkalign: ", 9) != 0 || strchr(o->err, '\n') != strrchr(o->err, '\n')))
            fail_msg("vkalign %s: expected one line, got: %s", cases[i].args, o->err);
        assert_false(exists("x.npy"));
    }
}

static void test_json_errors(void **state) {
    (void)state;
    int64_t status;
    const outcome *o = run("forward --json --model absent --ids 1 --site norm:2 --out x.npy");
    assert_int_equal(o->status, 3);
    va_json *doc = parse_out(o);
    assert_true(va_json_as_int(va_json_get(doc, "exit_status"), &status));
    assert_int_equal(status, 3);
    assert_non_null(strstr(va_json_as_string(va_json_get(doc, "error")), "absent"));
    va_json_free(&doc);
}

// -- verbs ----------------------------------------------------------------------------------------

static void test_devices(void **state) {
    (void)state;
    expect_text("devices", run_ok("devices")->out, "self-test passed");
    va_json *doc = parse_out(run_ok("devices --json"));
    const va_json *device = va_json_first(va_json_get(doc, "devices"));
    bool good = false;
    assert_non_null(va_json_as_string(va_json_get(device, "name")));
    assert_true(va_json_as_bool(va_json_get(device, "self_test"), &good) && good);
    int n_used = 0, n_passed = 0;
    for (const va_json *k = va_json_first(va_json_get(device, "kernels")); k; k = va_json_next(k)) {
        n_used += va_json_as_bool(va_json_get(k, "used"), &good) && good;
        n_passed += va_json_as_bool(va_json_get(k, "passed"), &good) && good;
    }
    assert_int_equal(n_used, 1);
    assert_true(n_passed >= 2); // scalar and cpu run on every driver of the tests
    va_json_free(&doc);
}

static void test_inspect(void **state) {
    (void)state;
    const char *args = "model inspect " MODEL;
    const outcome *o = run_ok(args);
    expect_text(args, o->out, "gemma3 (gemma3_text)");
    expect_text(args, o->out, "BF16");
    int64_t n;
    va_json *doc = parse_out(run_ok("model inspect --json --layers 2 " MODEL));
    assert_true(va_json_as_int(va_json_get(doc, "n_layer"), &n));
    assert_int_equal(n, 4);
    const va_json *memory = va_json_first(va_json_get(doc, "memory"));
    // 2 blocks (q, k, v, o; mlp; 4 norms of 24 and 2 of 8) and the final norm, in bf16
    const int64_t block = 24 * 32 * 2 + 24 * 16 * 2 + 3 * 24 * 40 + 4 * 24 + 2 * 8;
    assert_true(va_json_as_int(va_json_get(memory, "weight_bytes"), &n));
    assert_int_equal(n, 2 * (2 * block + 24));
    va_json_free(&doc);
}

// A model that cannot be run: every reason at once, on stderr and in the document.
static void test_inspect_refused(void **state) {
    (void)state;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH], args[2 * VA_TEST_PATH];
    static const char config[] = "{\"model_type\": \"llama\", \"num_experts\": 8, \"odd\": 1}";
    static const char tokenizer[] = "{\"model\": {\"type\": \"Unigram\"}}";
    va_ctx *ctx = va_test_ctx();
    va_test_temp_dir(dir);
    va_test_join(path, dir, "config.json");
    assert_ok(ctx, va_file_write(ctx, path, config, (int64_t)strlen(config)));
    va_test_join(path, dir, "tokenizer.json");
    assert_ok(ctx, va_file_write(ctx, path, tokenizer, (int64_t)strlen(tokenizer)));
    snprintf(args, sizeof args, "model inspect --json %s", dir);
    const outcome *o = run(args);
    assert_int_equal(o->status, 3);
    expect_text(args, o->err, "num_experts = 8: unknown key");
    expect_text(args, o->err, "(so is odd)");
    expect_text(args, o->err, "'Unigram' is not supported");
    expect_text(args, o->err, "expected model.safetensors or model.safetensors.index.json");
    va_json *doc = parse_out(o);
    assert_int_equal(va_json_count(va_json_get(doc, "refused")), 3);
    va_json_free(&doc);
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
}

static void test_tokenize(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    va_json *doc = parse_out(run_ok("tokenize --json --model " MODEL " " TEXT)), *bare, *file;
    int64_t id;
    assert_true(va_json_as_int(va_json_first(va_json_get(doc, "ids")), &id));
    assert_int_equal(id, 2);
    assert_string_equal(va_json_as_string(va_json_first(va_json_get(doc, "tokens"))), "<bos>");
    bare = parse_out(run_ok("tokenize --json --no-special --model " MODEL " " TEXT));
    assert_int_equal(va_json_count(va_json_get(bare, "ids")),
                     va_json_count(va_json_get(doc, "ids")) - 1);
    assert_ok(env.ctx, va_file_write(env.ctx, va_test_join(path, env.dir, "text.txt"),
                                     "The concept of Physical means", 29));
    file =
        parse_out(run_ok("tokenize --json --text-file=text.txt --model " MODEL "/tokenizer.json"));
    char *a = va_json_print(doc, false), *b = va_json_print(file, false);
    assert_string_equal(a, b);
    free(a), free(b);
    va_json_free(&doc);
    va_json_free(&bare);
    va_json_free(&file);
}

// A vocabulary alone is enough.
static void test_tokenize_gguf(void **state) {
    (void)state;
    va_json *doc = parse_out(run_ok("tokenize --json --model " VA_FIXTURES
                                    "/tokenizer-spm/prefix.gguf --text 'concept<s>'"));
    const va_json *token = va_json_first(va_json_get(doc, "tokens"));
    assert_string_equal(va_json_as_string(token), "<s>");
    assert_string_equal(va_json_as_string(va_json_next(token)), "\xE2\x96\x81"
                                                                "concept");
    assert_int_equal(va_json_count(va_json_get(doc, "ids")), 3);
    va_json_free(&doc);
}

// The fixture's first prompt as --ids, and its tensor of a name.
static const char *fixture_ids(va_safetensors *expected, char text[256]) {
    const va_file_tensor *t = va_safetensors_find(expected, "p0.ids");
    int n = 0;
    for (int64_t i = 0; i < t->n_elem; i++) {
        int64_t id;
        memcpy(&id, (const uint8_t *)t->data + 8 * i, sizeof id);
        n += snprintf(text + n, 256 - (size_t)n, "%s%d", i ? "," : "", (int)id);
    }
    return text;
}

static void expect_tensor(va_safetensors *expected, const char *name, const float *got, int64_t n,
                          double tolerance) {
    const va_file_tensor *t = va_safetensors_find(expected, name);
    float *x = malloc((size_t)t->size_bytes);
    assert_int_equal(t->n_elem, n);
    memcpy(x, t->data, (size_t)t->size_bytes);
    const double error = va_test_frobenius_error_f32(got, x, n);
    free(x);
    if (!(error <= tolerance))
        fail_msg("%s: error %g, allowed %g", name, error, tolerance);
}

static void test_forward(void **state) {
    (void)state;
    char ids[256], args[1024];
    va_arena *arena = va_arena_create();
    va_safetensors *expected;
    assert_ok(env.ctx, va_safetensors_open(env.ctx, MODEL "/expected.safetensors", &expected));
    fixture_ids(expected, ids);
    const int64_t T = va_safetensors_find(expected, "p0.ids")->n_elem;
    snprintf(args, sizeof args, "forward --model " MODEL " --ids %s --site norm:3@all -o all.npy",
             ids);
    run_ok(args);
    const float *all = load_npy(arena, "all.npy", 2, (const int64_t[]){T, 24});
    expect_tensor(expected, "p0.norm.3", all, T * 24, 1e-4);
    snprintf(args, sizeof args,
             "forward --json --model " MODEL " --ids %s --site norm:3 --out last.npy", ids);
    va_json *doc = parse_out(run_ok(args));
    assert_string_equal(va_json_as_string(va_json_get(doc, "site")), "norm:3@last");
    va_json_free(&doc);
    const float *last = load_npy(arena, "last.npy", 1, (const int64_t[]){24});
    assert_true(va_test_max_error_f32(last, all + (T - 1) * 24, 24) <= 1e-6);
    run_ok("forward --model " MODEL " " TEXT " --concept Physical --site resid:2@concept -o c.npy");
    int n_dim;
    int64_t shape[VA_MAX_DIM];
    char path[VA_TEST_PATH];
    float *data;
    assert_ok(env.ctx, va_npy_load(env.ctx, arena, va_test_join(path, env.dir, "c.npy"), &n_dim,
                                   shape, &data));
    assert_int_equal(n_dim, 2); // the axis stays, however many tokens the name has
    va_safetensors_close(&expected);
    va_arena_destroy(&arena);
}

static void test_jacobian_and_svd(void **state) {
    (void)state;
    enum { D = 24, K = 3 };
    char ids[256], args[1024], path[VA_TEST_PATH];
    va_arena *arena = va_arena_create();
    va_safetensors *expected, *file;
    assert_ok(env.ctx, va_safetensors_open(env.ctx, MODEL "/expected.safetensors", &expected));
    fixture_ids(expected, ids);
    const int64_t T = va_safetensors_find(expected, "p0.ids")->n_elem, n = T * D;
    for (int mode = 0; mode < 2; mode++) {
        const char *name = mode ? "detached" : "exact";
        char tensor[64];
        snprintf(args, sizeof args,
                 "jacobian --model " MODEL
                 " --ids %s --from embed@all --to norm:4@last --mode %s --out J.npy",
                 ids, name);
        run_ok(args);
        snprintf(tensor, sizeof tensor, "p0.jac.%s.embed@all>norm:4@last", name);
        expect_tensor(expected, tensor, load_npy(arena, "J.npy", 3, (const int64_t[]){D, T, D}),
                      D * n, 1e-4);
        snprintf(args, sizeof args,
                 "svd --model " MODEL
                 " --ids %s --from embed@all --to norm:4@last --mode %s -k 3 --out s.safetensors",
                 ids, name);
        expect_text(args, run_ok(args)->out, "converged");
        const float *J = load_npy(arena, "J.npy", 3, (const int64_t[]){D, T, D});
        assert_ok(env.ctx, va_safetensors_open(
                               env.ctx, va_test_join(path, env.dir, "s.safetensors"), &file));
        const va_file_tensor *U = va_safetensors_find(file, "U"),
                             *S = va_safetensors_find(file, "S"),
                             *V = va_safetensors_find(file, "V");
        assert_int_equal(va_safetensors_find(file, "residuals")->shape[0], K);
        assert_true(U->shape[0] == K && U->shape[1] == D && V->shape[0] == K && V->shape[1] == n);
        for (int j = 0; j < K; j++) { // J v = sigma u
            float s, u[D], v;
            double error = 0;
            memcpy(&s, (const float *)S->data + j, sizeof s);
            memcpy(u, (const uint8_t *)U->data + (size_t)j * sizeof u, sizeof u);
            for (int i = 0; i < D; i++) {
                double sum = 0;
                for (int64_t c = 0; c < n; c++) {
                    memcpy(&v, (const uint8_t *)V->data + (j * n + c) * 4, sizeof v);
                    sum += (double)J[i * n + c] * v;
                }
                error += (sum - (double)s * u[i]) * (sum - (double)s * u[i]);
            }
            assert_true(s > 0 && sqrt(error) <= 1e-4 * s);
        }
        va_safetensors_close(&file);
    }
    va_safetensors_close(&expected);
    va_arena_destroy(&arena);
}

// A forward run that waits for its text on a pipe; its process, and the pipe's end to write to.
// What it says goes to env.dir/err.
static pid_t start_waiting(const char *model, int *text_end) {
    char out[VA_TEST_PATH], err[VA_TEST_PATH];
    int ends[2];
    va_test_join(out, env.dir, "late.npy");
    va_test_join(err, env.dir, "err");
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char *const argv[] = {VA_CLI,   "forward", "--model", (char *)model, "--text-file", "-",
                              "--site", "norm:1",  "--out",   out,           "--quiet",     NULL};
        if (dup2(ends[0], 0) < 0 || close(ends[1]) != 0 || !freopen(err, "w", stderr))
            _exit(99);
        execv(VA_CLI, argv);
        _exit(99);
    }
    close(ends[0]);
    *text_end = ends[1];
    usleep(500000); // let it begin to read
    return child;
}

// Ctrl-C: the work ends at its next safe point with status 130 and leaves no file.
static void test_interrupt(void **state) {
    (void)state;
    int text_end, code = 0;
    const pid_t child = start_waiting(MODEL, &text_end);
    kill(child, SIGINT);
    usleep(200000);
    assert_int_equal(waitpid(child, &code, WNOHANG), 0);
    assert_int_equal(write(text_end, "a", 1), 1);
    close(text_end);
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 130);
    assert_false(exists("late.npy"));
}

// A model's file that is cut short after it was checked and mapped.
static void test_truncated_model(void **state) {
    (void)state;
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors"};
    char model[VA_TEST_PATH], from[VA_TEST_PATH], to[VA_TEST_PATH];
    int text_end, code = 0;
    assert_ok(env.ctx, va_make_dirs(env.ctx, va_test_join(model, env.dir, "model")));
    for (int64_t i = 0; i < VA_COUNT(names); i++) {
        va_map map;
        assert_ok(env.ctx, va_map_open(env.ctx, va_test_join(from, MODEL, names[i]), &map));
        va_test_join(to, model, names[i]);
        assert_ok(env.ctx, va_file_write(env.ctx, to, map.data, map.size_bytes));
        va_map_close(&map);
    }
    const pid_t child = start_waiting(model, &text_end);
    assert_int_equal(truncate(to, 4096), 0);
    assert_int_equal(write(text_end, "a", 1), 1);
    close(text_end);
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 3);
    char said[1024];
    read_file("err", said, sizeof said);
    assert_non_null(strstr(said, "vkalign: a file became shorter"));
    assert_false(exists("late.npy"));
}

static void test_second_interrupt_kills(void **state) {
    (void)state;
    int text_end, code = 0;
    const pid_t child = start_waiting(MODEL, &text_end);
    kill(child, SIGINT);
    usleep(200000);
    kill(child, SIGINT);
    assert_int_equal(waitpid(child, &code, 0), child);
    close(text_end);
    assert_true(WIFSIGNALED(code) && WTERMSIG(code) == SIGINT);
}

static int setup(void **state) {
    (void)state;
    va_test_temp_dir(env.dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_test_temp_remove(env.dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_json_errors),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_inspect),
        cmocka_unit_test(test_inspect_refused),
        cmocka_unit_test(test_tokenize),
        cmocka_unit_test(test_tokenize_gguf),
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_jacobian_and_svd),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_second_interrupt_kills),
        cmocka_unit_test(test_truncated_model),
    };
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // is there one at all?
    va_gpu_close(&gpu);
    const int failed = cmocka_run_group_tests(tests, setup, teardown);
    va_ctx_destroy(&env.ctx);
    return failed;
}
