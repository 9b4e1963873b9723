// vkalign map --depth from outside, and what map refuses.
// SPDX-License-Identifier: Apache-2.0
#include "map_check.h"

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
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_depth_text),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
