// vkalign map from outside: what it prints, its document, what it writes, what it refuses.
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "cli_process.h"

#include "vkalign/io.h"

#include <math.h>

#define MODEL VA_FIXTURES "/gemma3-bf16" // 4 blocks of width 24, with a tokenizer
#define BIASED VA_FIXTURES "/gpt2-plain" // no tokenizer
#define TEXT "The concept of Physical means"

enum { D = 24, L = 4 };

static struct {
    va_ctx *ctx;
    cli_process p;
    char dir[VA_TEST_PATH];
} env;

static int setup(void **state) {
    (void)state;
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // skips without a device
    va_test_gpu_close(&gpu);
    va_test_temp_dir(env.dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_test_temp_remove(env.dir);
    va_ctx_destroy(&env.ctx);
    return 0;
}

static va_json *parse_out(void) {
    va_json *doc;
    assert_ok(env.ctx,
              va_json_parse(env.ctx, "stdout", env.p.out, (int64_t)strlen(env.p.out), &doc));
    return doc;
}

static double number(const va_json *obj, const char *key) {
    double value = NAN;
    if (!va_json_as_double(va_json_get(obj, key), &value))
        fail_msg("expected a number '%s' in: %s", key, env.p.out);
    return value;
}

static bool truth(const va_json *obj, const char *key) {
    bool value = false;
    assert_true(va_json_as_bool(va_json_get(obj, key), &value));
    return value;
}

static const char *string(const va_json *obj, const char *key) {
    const char *s = va_json_as_string(va_json_get(obj, key));
    assert_non_null(s);
    return s;
}

static const va_json *item(const va_json *array, int64_t i) {
    const va_json *v = va_json_first(array);
    while (i-- > 0)
        v = va_json_next(v);
    assert_non_null(v);
    return v;
}

static void expect(const char *in) {
    if (!strstr(env.p.out, in))
        fail_msg("expected '%s' in: %s", in, env.p.out);
}

static void expect_close(double got, double expected) {
    if (!(fabs(got - expected) <= 1e-5 * (fabs(expected) + 1e-3)))
        fail_msg("got %.9g, expected %.9g", got, expected);
}

// -- one map --------------------------------------------------------------------------------------

static void test_text(void **state) {
    (void)state;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--model", MODEL, "--text", TEXT, "--from", "embed@all", "--to",
                     "norm:3@last", "--mode", "detached", "-k", "2", "--top", "3"));
    expect("embed@all -> norm:3@last (detached): 24 x ");
    expect("Frobenius norm");
    expect("stable rank");
    expect("(participation ratio)");
    expect("of all 24 values");
    expect("as it should be: detached, without biases");
    expect("<bos>");
    expect("share of y");
    expect("+100.00%");
    expect("z = u by W_U z, z = v by cosine of z with the embedding");
    expect("     2  sigma ");
    assert_string_equal(env.p.err, "");
}

// The parts of one side: each at a token, with two lists of tokens that have texts.
static void check_side(const va_json *side, const char *by, int64_t k, int64_t T, int64_t most) {
    assert_string_equal(string(side, "by"), by);
    const va_json *vectors = va_json_get(side, "vectors");
    assert_int_equal(va_json_count(vectors), k);
    for (const va_json *v = va_json_first(vectors); v; v = va_json_next(v)) {
        double last = 1;
        assert_true(va_json_count(v) >= 1 && va_json_count(v) <= most);
        for (const va_json *part = va_json_first(v); part; part = va_json_next(part)) {
            static const char *const lists[] = {"plus", "minus"};
            assert_true(number(part, "token") >= 0 && number(part, "token") < (double)T);
            assert_true(number(part, "share") > 0 && number(part, "share") <= last + 1e-9);
            last = number(part, "share");
            for (int i = 0; i < 2; i++) {
                const va_json *list = va_json_get(part, lists[i]);
                assert_int_equal(va_json_count(list), 3);
                assert_true(number(item(list, 0), "score") >= number(item(list, 2), "score"));
                assert_true(string(item(list, 0), "text")[0]);
            }
        }
    }
}

static void check_spectrum(const va_json *doc) {
    double squared = 0, fourth = 0, sigma;
    const va_json *all = va_json_get(doc, "spectrum");
    const va_json *dimension = va_json_get(doc, "effective_dimension");
    assert_int_equal(va_json_count(all), D);
    for (int64_t i = 0; i < D; i++) {
        assert_true(va_json_as_double(item(all, i), &sigma));
        squared += sigma * sigma;
        fourth += pow(sigma, 4);
    }
    assert_true(va_json_as_double(item(va_json_get(doc, "sigma"), 0), &sigma));
    expect_close(number(doc, "frobenius_norm"), sqrt(squared));
    expect_close(number(doc, "stable_rank"), squared / sigma / sigma);
    expect_close(number(dimension, "participation_ratio"), squared * squared / fourth);
    assert_true(number(dimension, "entropy_rank") >= number(dimension, "participation_ratio"));
    assert_string_equal(string(dimension, "of"), "whole spectrum");
    assert_true(truth(doc, "frobenius_exact") && truth(doc, "converged"));
    assert_int_equal(va_json_count(va_json_get(doc, "residuals")), 2);
}

static void check_contributions(const va_json *doc, int64_t T) {
    const va_json *list = va_json_get(doc, "contributions");
    double sum = 0;
    assert_int_equal(va_json_count(list), T);
    for (int64_t i = 0; i < T; i++) {
        const va_json *entry = item(list, i);
        assert_true(number(entry, "token") == (double)i && number(entry, "norm") > 0);
        assert_true(fabs(number(entry, "cosine")) <= 1 + 1e-6);
        sum += number(entry, "share");
    }
    assert_string_equal(string(item(list, 0), "text"), "<bos>");
    expect_close(sum, number(doc, "share_sum"));
    expect_close(sum, 1);
}

static void test_json(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    va_safetensors *file;
    va_test_join(path, env.dir, "map.safetensors");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--json", "--model=" MODEL, "--text=" TEXT, "--from=embed@all",
                     "--to=mlp:2", "--mode=detached", "-k", "2", "--top=3", "-o", path));
    va_json *doc = parse_out();
    const int64_t T = va_json_count(va_json_get(doc, "ids"));
    const va_json *r = va_json_get(doc, "reconstruction");
    assert_string_equal(string(doc, "from"), "embed@all");
    assert_string_equal(string(doc, "to"), "mlp:2@last");
    assert_string_equal(string(doc, "mode"), "detached");
    assert_string_equal(string(doc, "method"), "golub-kahan");
    check_spectrum(doc);
    assert_true(number(r, "error") <= 1e-5 && number(r, "b_over_y") <= 1e-5);
    assert_true(truth(r, "expected_to_vanish") && !truth(r, "off"));
    assert_false(truth(r, "family_has_biases"));
    check_contributions(doc, T);
    check_side(va_json_get(doc, "left"), "gain", 2, T, 1);
    check_side(va_json_get(doc, "right"), "nearest", 2, T, 2);
    assert_int_equal(va_json_count(va_json_get(doc, "cosine_u_y")), 2);
    assert_string_equal(string(doc, "out"), path);
    va_json_free(&doc);

    static const struct {
        const char *name;
        int64_t n_elem; // in widths
    } tensors[] = {{"y", 1}, {"Jx", 1}, {"U", 2}, {"spectrum", 1}};
    assert_ok(env.ctx, va_safetensors_open(env.ctx, path, &file));
    for (int64_t i = 0; i < VA_COUNT(tensors); i++)
        assert_int_equal(va_safetensors_find(file, tensors[i].name)->n_elem, tensors[i].n_elem * D);
    assert_int_equal(va_safetensors_find(file, "V")->n_elem, 2 * T * D);
    assert_int_equal(va_safetensors_find(file, "x")->n_elem, T * D);
    assert_int_equal(va_safetensors_find(file, "shares")->n_elem, T);
    assert_int_equal(va_safetensors_find(file, "S")->n_elem, 2);
    va_safetensors_close(&file);
}

// One run is as another but for the time.
static void test_repeats(void **state) {
    (void)state;
    char first[sizeof env.p.out];
    for (int i = 0; i < 2; i++) {
        cli_run(&env.p, 0, NULL,
                CLI_ARGS("map", "--json", "--model", MODEL, "--text", TEXT, "--from", "resid:1@all",
                         "--to", "resid:3", "-k", "2", "--seed", "4"));
        char *end = strstr(env.p.out, "\"seconds\"");
        assert_non_null(end);
        *end = '\0';
        if (i == 0)
            strcpy(first, env.p.out);
    }
    assert_string_equal(first, env.p.out);
}

// Without a tokenizer tokens are numbers; a family with biases; a target at several tokens, and
// the mean of all.
static void test_other_forms(void **state) {
    (void)state;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--model", BIASED, "--ids", "3,4,5", "--from", "embed@all", "--to",
                     "norm:3@all", "--mode", "detached", "-k", "1", "--method", "dense"));
    expect("#4");
    expect("b is what the family's biases add");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--model", BIASED, "--ids", "3,4,5", "--from", "resid:1@1", "--to",
                     "resid:2@mean", "-k", "1", "--decode", "direct"));
    expect("u  mean of all tokens");
    expect("exact: J is the slope alone");
    expect("z = u by W_U z");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--model", MODEL, "--text", TEXT, "--from", "embed@last", "--to",
                     "logits", "-k", "1", "--mode", "detached"));
    expect("z = u by entries of z");
    expect("b holds what reaches --to past --from");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--json", "--model", BIASED, "--ids", "3,4,5", "--from", "embed@all",
                     "--to", "resid:2@1", "-k", "1"));
    va_json *doc = parse_out();
    const va_json *unseen = item(va_json_get(doc, "contributions"), 2);
    assert_true(number(unseen, "norm") == 0 && va_json_is_null(va_json_get(unseen, "cosine")));
    assert_string_equal(string(unseen, "text"), "#5");
    va_json_free(&doc);
}

// Detached, one token reaches another through two value heads of 8: rank 16. What is beyond the
// rank is shown as such and not put into words.
static void test_beyond_rank(void **state) {
    (void)state;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--json", "--model", MODEL, "--ids", "2,5,7", "--from", "resid:1@0",
                     "--to", "attn:1@last", "-k", "20", "--mode", "detached", "--top", "1"));
    va_json *doc = parse_out();
    const int64_t rank = (int64_t)number(doc, "rank");
    assert_int_equal(rank, 16);
    assert_int_equal(va_json_count(va_json_get(doc, "sigma")), 20);
    assert_int_equal(va_json_count(va_json_get(va_json_get(doc, "left"), "vectors")), rank);
    assert_int_equal(va_json_count(va_json_get(va_json_get(doc, "right"), "vectors")), rank);
    va_json_free(&doc);
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--model", MODEL, "--ids", "2,5,7", "--from", "resid:1@0", "--to",
                     "attn:1@last", "-k", "20", "--mode", "detached", "--top", "1"));
    expect("(beyond the numerical rank)");
    expect("their vectors are arbitrary");
}

// -- depth ----------------------------------------------------------------------------------------

// Every layer says what a map to that layer alone says.
static void test_depth(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    va_safetensors *file;
    va_test_join(path, env.dir, "depth.safetensors");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--json", "--model=" MODEL, "--text=" TEXT, "--from=embed@all",
                     "--to=norm:*@last", "--depth", "-k", "2", "-o", path));
    va_json *doc = parse_out(), *alone;
    const va_json *layers = va_json_get(doc, "layers");
    assert_string_equal(string(doc, "to"), "norm:*@last");
    assert_int_equal(va_json_count(layers), L);
    assert_string_equal(string(item(layers, 2), "to"), "norm:3@last");
    assert_true(number(item(layers, 2), "layer") == 3);
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--json", "--model=" MODEL, "--text=" TEXT, "--from=embed@all",
                     "--to=norm:3@last", "-k", "2"));
    alone = parse_out();
    static const char *const keys[] = {"frobenius_norm", "stable_rank"};
    for (int64_t i = 0; i < VA_COUNT(keys); i++)
        expect_close(number(item(layers, 2), keys[i]), number(alone, keys[i]));
    expect_close(number(va_json_get(item(layers, 2), "effective_dimension"), "participation_ratio"),
                 number(va_json_get(alone, "effective_dimension"), "participation_ratio"));
    va_json_free(&doc);
    va_json_free(&alone);
    assert_ok(env.ctx, va_safetensors_open(env.ctx, path, &file));
    assert_int_equal(va_safetensors_find(file, "sigma")->n_elem, L * D);
    assert_int_equal(va_safetensors_find(file, "stable_rank")->n_elem, L);
    assert_int_equal(va_safetensors_find(file, "layers")->dtype, VA_I64);
    va_safetensors_close(&file);
}

static void test_depth_text(void **state) {
    (void)state;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--model", MODEL, "--text", TEXT, "--from", "resid:2@all", "--to",
                     "attn:*", "--depth", "-k", "1", "--mode", "detached"));
    expect("resid:2@all -> attn:*: 24 x ");
    expect("layer  sigma_1");
    expect("\n      2  ");
    expect("\n      3  ");
    assert_null(strstr(env.p.out, "\n      1  "));
    expect("of all 24 singular values");
    assert_string_equal(env.p.err, "");
}

// -- mistakes -------------------------------------------------------------------------------------

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *args[10], *message;
    } cases[] = {
        {2, {"--from", "embed@all"}, "expected --to S"},
        {2, {"--to", "norm:2"}, "expected --from S"},
        {2, {"--from", "embed@mean", "--to", "norm:2"}, "not a mean"},
        {2, {"--from", "resid:3", "--to", "norm:2"}, "does not come before"},
        {2, {"--from", "embed", "--to", "norm:9"}, "layers 0 to 4"},
        {2, {"--from", "embed", "--to", "norm:2", "--mode", "fast"}, "got 'fast'"},
        {2, {"--from", "embed", "--to", "norm:2", "--method", "qr"}, "got 'qr'"},
        {2, {"--from", "embed", "--to", "norm:2", "--decode", "lens"}, "got 'lens'"},
        {2, {"--from", "embed", "--to", "logits", "--decode", "gain"}, "tokens already"},
        {2, {"--from", "embed", "--to", "norm:2", "--top", "0"}, "from 1 to 1024"},
        {2, {"--from", "embed", "--to", "norm:2", "--probes", "1"}, "from 2 to"},
        {2,
         {"--from", "embed", "--to", "norm:2", "--probes", "2", "--method", "dense"},
         "takes no --probes"},
        {2, {"--from", "embed", "--to", "norm:2", "--depth"}, "go together"},
        {2, {"--from", "embed", "--to", "norm:*"}, "without --depth"},
        {2, {"--from", "embed", "--to", "norm:*", "--depth", "--top", "2"}, "shows no words"},
        {2, {"--from", "embed", "--to", "norm:1*", "--depth"}, "one * for the layer"},
        {2, {"--from", "embed", "--to", "norm:*@*", "--depth"}, "one * for the layer"},
        {2, {"--from", "embed", "--to", "nrm:*", "--depth"}, "unknown site"},
        {2, {"--from", "embed@mean", "--to", "norm:*", "--depth"}, "not a mean"},
        {2, {"--from", "norm:4", "--to", "resid:*", "--depth"}, "no layer of resid:*"},
        {3, {"--from", "embed", "--to", "norm:2@0"}, "does not depend on the source"},
        {3, {"--from", "embed", "--to", "norm:*@0", "--depth"}, "does not depend on the source"},
        {3, {"--from", "embed", "--to", "norm:2", "-o", "/nowhere/x.safetensors"}, "/nowhere"},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        const char *args[16] = {"map", "--model", MODEL, "--ids", "2,5,7"};
        for (int j = 0; j < 10 && cases[i].args[j]; j++)
            args[5 + j] = cases[i].args[j];
        cli_run(&env.p, cases[i].status, NULL, args);
        if (!strstr(env.p.err, cases[i].message))
            fail_msg("expected '%s' in: %s", cases[i].message, env.p.err);
        assert_string_equal(env.p.out, "");
        assert_int_equal(cli_count_lines(env.p.err), 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),        cmocka_unit_test(test_json),
        cmocka_unit_test(test_repeats),     cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_beyond_rank), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_depth_text),  cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
