// vkalign map of one pair of sites from outside: what it prints, its document, what it writes.
// SPDX-License-Identifier: Apache-2.0
#include "map_check.h"

#define BIASED VA_FIXTURES "/gpt2-plain" // no tokenizer

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
    assert_true(
        va_json_as_double(item(va_json_get(dimension, "participation_ratio_bounds"), 1), &sigma));
    expect_close(number(dimension, "participation_ratio"), sigma);
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

// A map of more than 2^22 entries: its norm is an estimate, with an error that it keeps to.
static void test_large(void **state) {
    (void)state;
    static const char ids[] = "--ids=2,5,7,8,9,10,11,12,13,14,15,16,17,18,19,20";
    char path[VA_TEST_PATH];
    va_test_join(path, env.dir, "J.npy");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("jacobian", "--json", "--model=" MODEL, ids, "--from=embed@all",
                     "--to=logits@all", "-o", path));
    va_json *doc = parse_out();
    const double norm = number(doc, "frobenius_norm");
    va_json_free(&doc);
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--json", "--model=" MODEL, ids, "--from=embed@all", "--to=logits@all",
                     "-k", "2", "--top=3", "--probes=30"));
    doc = parse_out();
    const double error = number(doc, "frobenius_standard_error");
    const va_json *dimension = va_json_get(doc, "effective_dimension");
    assert_true(!truth(doc, "frobenius_exact") && number(doc, "probes") == 30);
    assert_true(error > 0 && error < 0.2 * norm);
    assert_true(fabs(number(doc, "frobenius_norm") - norm) <= 4 * error);
    assert_true(number(doc, "stable_rank_standard_error") > 0);
    assert_string_equal(string(dimension, "of"), "top k");
    assert_true(number(dimension, "values") == 2);
    assert_null(va_json_get(doc, "spectrum"));
    check_side(va_json_get(doc, "left"), "entries", 2, 16, 2);
    va_json_free(&doc);
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("map", "--model=" MODEL, ids, "--from=embed@all", "--to=logits@all", "-k", "1",
                     "--probes=30"));
    expect("(standard error of 30 probes)");
    expect("as the norm and the top 1 bound it");
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),    cmocka_unit_test(test_json),
        cmocka_unit_test(test_repeats), cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_large),   cmocka_unit_test(test_beyond_rank),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
