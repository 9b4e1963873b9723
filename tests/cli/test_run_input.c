// Experiments and models that cannot be run: one clear message, the right status, nothing left
// behind.
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "cli_process.h"

#include "vkalign/io.h"

#include <sys/stat.h>

#define NO_DEVICE "VK_ICD_FILENAMES=/nonexistent"
#define MODEL VA_FIXTURES "/gemma3-bf16"

typedef struct fixture {
    va_ctx *ctx;
    cli_process p;
    char dir[VA_TEST_PATH], yaml[VA_TEST_PATH], out[VA_TEST_PATH], model[VA_TEST_PATH];
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    va_test_temp_dir(f->dir);
    va_test_join(f->yaml, f->dir, "x.yaml");
    va_test_join(f->out, f->dir, "out");
    va_test_join(f->model, f->dir, "model");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_test_temp_remove(f->dir);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static void write_yaml(fixture *f, const char *old, const char *new_text) {
    char *text = cli_replace(cli_experiment, old, new_text);
    cli_store(f->yaml, text, (int64_t)strlen(text));
    free(text);
}

// The run ends with the status and n_lines on stderr, the message among them; no output folder.
static void expect_refusal(fixture *f, const char *env, int status, int n_lines,
                           const char *message) {
    cli_run(&f->p, status, env, CLI_ARGS("run", f->yaml, "--no-cache", "--out", f->out));
    if (!strstr(f->p.err, message) || cli_count_lines(f->p.err) != n_lines)
        fail_msg("expected %d lines with '%s', got: %s", n_lines, message, f->p.err);
    assert_string_equal(f->p.out, "");
    if (va_path_exists(f->out))
        fail_msg("'%s': an output folder was made", message);
}

// -- the experiment file --------------------------------------------------------------------------

static void test_mistakes(void **state) {
    static const struct {
        const char *old, *new_text, *message; // message after the file's name
    } cases[] = {
        {"seed: 3", "sead: 3", ":23:1: experiment: unknown key 'sead'; expected one of "},
        {"seed: 3", "sead: 3", "did you mean 'seed'?"},
        {"epochs: 2", "epoch: 2", "did you mean 'epochs'?"},
        {"[stone, water, tree, hand]", "[]",
         ":9:16: concepts[0].positives: expected at least 4 entries, got 0"},
        {"layers: [2]", "layers: [5]", "model.layers[0]: layer 5 is out of range; "},
        {"layers: [2]", "layers: [2, 2]", "model.layers[1]: 2 stands there twice"},
        {"layers: [2]", "layers: [-1]",
         "model.layers[0]: expected a number from 0 to 10000, got -1"},
        {"{concept} means", "dogs means",
         ":15:10: prompts[0]: expected {concept} in the text, got "},
        {"seed: 3", "seed: x", ":23:7: seed: expected an integer, got 'x'"},
        {"[jac, near]", "[jac, nearer]",
         ":22:12: metric 'matched': there is no direction 'nearer'"},
        {"norm:{layer}@last\"}", "norn:{layer}@last\"}", ":17:3: directions.jac.to: "},
        {"seed: 3", "seed: [3", ":24:"},
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        write_yaml(f, cases[i].old, cases[i].new_text);
        expect_refusal(f, NO_DEVICE, 2, 1, cases[i].message);
        assert_non_null(strstr(f->p.err, f->yaml));
    }
}

// Every mistake has its line, and a last one counts them; with --json all stand in the document.
static void test_several_mistakes(void **state) {
    fixture *f = *state;
    char *one = cli_replace(cli_experiment, "layers: [2]", "layers: [9]");
    char *two = cli_replace(one, "of {concept}", "of dogs");
    char *three = cli_replace(two, "seed: 3", "sead: 3");
    cli_store(f->yaml, three, (int64_t)strlen(three));
    free(one);
    free(two);
    free(three);
    expect_refusal(f, NO_DEVICE, 2, 4, ": 3 mistakes\n");
    assert_non_null(strstr(f->p.err, "layer 9 is out of range"));
    assert_non_null(strstr(f->p.err, "prompts[0]: expected {concept}"));
    assert_non_null(strstr(f->p.err, "unknown key 'sead'"));
    va_json *doc;
    cli_run(&f->p, 2, NO_DEVICE, CLI_ARGS("validate", f->yaml, f->yaml, "--json"));
    assert_ok(f->ctx, va_json_parse(f->ctx, "stdout", f->p.out, (int64_t)strlen(f->p.out), &doc));
    assert_int_equal(va_json_count(va_json_get(doc, "errors")), 6);
    assert_int_equal(va_json_count(va_json_get(doc, "files")), 2);
    va_json_free(&doc);
}

static void test_files(void **state) {
    fixture *f = *state;
    expect_refusal(f, NO_DEVICE, 3, 1, "x.yaml: cannot be opened");
    cli_store(f->yaml, "", 0);
    expect_refusal(f, NO_DEVICE, 2, 1, "x.yaml");
    cli_store(f->yaml, "# nothing\n", 10);
    expect_refusal(f, NO_DEVICE, 2, 1, "x.yaml");
    write_yaml(f, MODEL, "gone");
    expect_refusal(f, NO_DEVICE, 3, 1, "gone");
    // a file of concepts that is not there, at the place that names it
    static const char text[] = "version: 1\nname: x\nmodel: {path: \"" MODEL "\", layers: [1]}\n"
                               "concepts: {file: gone.yaml}\nprompts: [\"{concept}\"]\n"
                               "directions: {j: {kind: jacobian, to: \"norm:1@last\"}}\n"
                               "metrics: [{name: m, of: [j, j]}]\n";
    cli_store(f->yaml, text, (int64_t)strlen(text));
    expect_refusal(f, NO_DEVICE, 3, 1, "x.yaml:4:18: concepts.file: ");
}

// Refused before much is read or built: under a second, within 100 MB.
static void test_bombs(void **state) {
    fixture *f = *state;
    char bomb[2048] = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 20; i++) {
        size_t n = strlen(bomb);
        snprintf(bomb + n, sizeof bomb - n,
                 "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
                 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    cli_store(f->yaml, bomb, (int64_t)strlen(bomb));
    expect_refusal(f, NO_DEVICE, 2, 1, "x.yaml");
    assert_true(f->p.seconds < 1 && f->p.peak_bytes < 100000000);
    cli_store(f->yaml, "version: 1\n", 11);
    assert_int_equal(truncate(f->yaml, 1000000000), 0); // sparse
    expect_refusal(f, NO_DEVICE, 2, 1, "x.yaml");
    assert_true(f->p.seconds < 1 && f->p.peak_bytes < 100000000);
}

static void test_command_line(void **state) {
    fixture *f = *state;
    write_yaml(f, "seed: 3", "seed: 3");
    static const char *const cases[][4] = {
        {"run", NULL, NULL, "expected FILE"},
        {"run", "--rsume", NULL, "unknown option '--rsume', did you mean '--resume'?"},
        {"run", "--mode=exact", NULL, "run takes no --mode"},
        {"validate", NULL, NULL, "expected at least one FILE"},
        {"report", NULL, NULL, "expected DIR"},
        {"run", "YAML", "--set=seed", "--set: expected key=value, got 'seed'"},
        {"run", "YAML", "--set=sed=4", "--set: experiment: unknown key 'sed'"},
        {"run", "YAML", "--set=seed=-4", "--set: seed: expected a number from 0"},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        const char *args[4] = {cases[i][0], cases[i][1], cases[i][2], NULL};
        if (args[1] && strcmp(args[1], "YAML") == 0)
            args[1] = f->yaml;
        cli_run(&f->p, 2, NO_DEVICE, args);
        if (!strstr(f->p.err, cases[i][3]) || cli_count_lines(f->p.err) != 1)
            fail_msg("expected one line with '%s', got: %s", cases[i][3], f->p.err);
    }
    cli_run(&f->p, 3, NO_DEVICE, CLI_ARGS("report", f->dir));
    assert_non_null(strstr(f->p.err, "results.json: cannot be opened"));
    assert_int_equal(cli_count_lines(f->p.err), 1);
}

// -- the model's files ----------------------------------------------------------------------------

static void copy_model(fixture *f) {
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors"};
    mkdir(f->model, 0777);
    for (int64_t i = 0; i < VA_COUNT(names); i++) {
        char from[VA_TEST_PATH], to[VA_TEST_PATH];
        int64_t size;
        char *data = cli_load(va_test_join(from, MODEL, names[i]), &size);
        cli_store(va_test_join(to, f->model, names[i]), data, size);
        free(data);
    }
    write_yaml(f, MODEL, f->model);
}

static void test_config(void **state) {
    fixture *f = *state;
    char path[VA_TEST_PATH];
    copy_model(f);
    va_test_join(path, f->model, "config.json");
    char *text = cli_load(path, NULL);
    static const char *const cases[][3] = {
        {"\"hidden_size\"", "\"sparse_topk\": 2,\n \"hidden_size\"", "sparse_topk"},
        {"\"hidden_size\": 24", "\"hidden_size\": 0", "hidden_size"},
        {"\"hidden_size\": 24", "\"hidden_size\": 28", "model.safetensors"}, // fits no tensor
        {"\"gemma3_text\"", "\"mamba\"", "mamba"},
        {"{", "[", "config.json:"},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        char *bad = cli_replace(text, cases[i][0], cases[i][1]);
        cli_store(path, bad, (int64_t)strlen(bad));
        expect_refusal(f, NO_DEVICE, 3, 1, cases[i][2]);
        free(bad);
    }
    free(text);
    unlink(path);
    expect_refusal(f, NO_DEVICE, 3, 1, "config.json: cannot be opened");
}

static void test_tokenizer(void **state) {
    fixture *f = *state;
    char path[VA_TEST_PATH];
    copy_model(f);
    cli_store(va_test_join(path, f->model, "tokenizer.json"), "{\"model\": 1}", 12);
    expect_refusal(f, NO_DEVICE, 3, 1, "tokenizer.json");
    unlink(path);
    expect_refusal(f, NO_DEVICE, 2, 1, "tokenizer.json");
}

// Edits of the weights' file: the header's text with the first `old` replaced by something as long.
static void test_weights(void **state) {
    static const struct {
        const char *old, *new_text, *message;
    } cases[] = {
        {"\"BF16\",\"shape\":[811,24]", "\"I16\", \"shape\":[811,24]", "model.embed_tokens.weight"},
        {"[811,24]", "[812,24]", "model.embed_tokens.weight"},
        {"[811,24]", "[24,811]", "model.embed_tokens.weight"},
        {"[38928,38976]", "[38926,38974]", "model.layers.0.input_layernorm.weight"}, // overlap
        {"\"model.layers.0.input_layernorm.weight\"", "\"model.layers.0.input_layernorm.wight\" ",
         "model.layers.0.input_layernorm.weight"},
        {"{\"__metadata__\"", "[\"__metadata__\"", "model.safetensors"},
    };
    fixture *f = *state;
    char path[VA_TEST_PATH];
    int64_t size;
    copy_model(f);
    char *data = cli_load(va_test_join(path, f->model, "model.safetensors"), &size);
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        char *bad = malloc((size_t)size), *header = strstr(data + 8, cases[i].old);
        assert_non_null(header);
        assert_int_equal(strlen(cases[i].old), strlen(cases[i].new_text));
        memcpy(bad, data, (size_t)size);
        memcpy(bad + (header - data), cases[i].new_text, strlen(cases[i].new_text));
        cli_store(path, bad, size);
        free(bad);
        expect_refusal(f, NO_DEVICE, 3, 1, cases[i].message);
    }
    static const int64_t cuts[] = {0, 7, 100, 5000, 60000};
    for (int64_t i = 0; i < VA_COUNT(cuts); i++) {
        cli_store(path, data, cuts[i]);
        expect_refusal(f, NO_DEVICE, 3, 1, "model.safetensors");
    }
    memset(data, 0xff, 8); // the header's length, which stands where other formats have their magic
    cli_store(path, data, size);
    expect_refusal(f, NO_DEVICE, 3, 1, "model.safetensors");
    free(data);
}

// NaN in a block that is used ends the run, before there is an output folder.
static void test_nan_weights(void **state) {
    fixture *f = *state;
    va_gpu *gpu = va_test_gpu(f->ctx); // skips without a device
    va_test_gpu_close(&gpu);
    static const char name[] = "model.layers.1.mlp.up_proj.weight";
    char path[VA_TEST_PATH];
    int64_t size;
    va_safetensors *st;
    copy_model(f);
    va_test_join(path, f->model, "model.safetensors");
    char *data = cli_load(path, &size);
    assert_ok(f->ctx, va_safetensors_open(f->ctx, path, &st));
    const va_file_tensor *t = va_safetensors_find(st, name);
    assert_non_null(t);
    uint64_t header;
    memcpy(&header, data, sizeof header);
    const va_file_tensor *first = va_safetensors_find(st, "model.embed_tokens.weight"); // at 0
    int64_t at = 8 + (int64_t)header + ((const char *)t->data - (const char *)first->data);
    va_safetensors_close(&st);
    data[at + 2] = (char)0xc0; // element 1 = 0x7fc0
    data[at + 3] = 0x7f;
    cli_store(path, data, size);
    free(data);
    expect_refusal(f, NULL, 3, 1, name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mistakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_mistakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bombs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tokenizer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_weights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nan_weights, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
