// test_report_parts.c: what reports say beside their metrics of single results: metrics over
// several results, cautions, failures, expectations, how directions were found.
// libs: va_report va_io va_base
// SPDX-License-Identifier: Apache-2.0
#include "report_case.h"

static void test_entries(void **state) {
    report_case *r = *state;
    report_check(
        r, "",
        "{'name': 'again', 'kind': 'agreement', 'of': ['mlp'], 'over': 'prompts', 'n': 2,"
        " 'mean': 0.5, 'alpha': 0.05, 'correction': 'holm', 'n_tests': 2, 'n_significant': 1,"
        " 'entries': [{'concept': 'A', 'model_layer': 4, 'n': 3, 'value': 0.9, 'mean': 0.9,"
        "  'mean_abs': 0.9, 'min': 0.8, 'max': 1, 'chance_std': 0.1, 'chance_mean_abs': 0.08,"
        "  'chance_low': -0.196, 'chance_high': 0.196,"
        "  'p_value': 0.001, 'p_adjusted': 0.002, 'differs_from_chance': true},"
        " {'concept': 'B', 'n': 3, 'value': 0.1, 'chance_std': 0.1, 'p_adjusted': 0.5}]},"
        "{'name': 'order', 'kind': 'spearman', 'of': ['far', 'near'], 'n': 1, 'mean': -0.4,"
        " 'entries': [{'model_layer': 4, 'n': 5, 'value': -0.4, 'rho': -0.4, 'p_value': 0.5},"
        " {'model_layer': 5, 'n': 5, 'error': 'all equal'}]},"
        "{'name': 'over layers', 'kind': 'agreement', 'of': ['mlp'], 'over': 'layers', 'n': 1,"
        " 'mean': 0.25, 'entries': []},"
        "{'name': 'empty', 'kind': 'agreement', 'of': ['mlp'], 'over': 'seeds', 'n': 0,"
        " 'entries': []}");
    expect(&r->md, "again: mlp agrees with itself over prompts at a mean cosine of +0.500. 1 of 2 "
                   "differs from chance after Holm's correction: A, layer 4 +0.900 (+0.800 to "
                   "+1.000); B +0.100 (- to -).\n");
    expect(&r->md, "order: far, near rank the concepts alike with a mean correlation of -0.400. "
                   "layer 4 -0.400.\n");
    // what the name says is not said again
    expect(&r->md, "over layers: mlp agrees with itself at a mean cosine of +0.250.\n");
    expect(&r->md, "## over layers: agreement\n");
    expect(&r->md, "empty: nothing could be measured");
    expect(&r->md, "| A, layer 4 | 3 | +0.9000 | 0.9000 | +0.8000 | +1.0000 | 0.1000 | 0.0800 | "
                   "0.0020 |\n");
    expect(&r->md, "| layer 5 | 5 | - | - | - | all equal |\n");
    assert_int_equal(count(&r->html, "<svg "), 2);
    assert_int_equal(count(&r->html, "<rect class=\"n1\""), 2); // of A, and in the legend
}

// -- cautions, failures, expectations ------------------------------------------------------------

static void test_directions(void **state) {
    report_case *r = *state;
    report_make(
        r,
        "{'concept': 'Lost', 'layer': 0, 'model_layer': 4, 'prompt': 'P', 'status': 'failed',"
        " 'error': 'far: the widths differ', 'metrics': []},"
        "{'concept': 'Gone', 'layer': 0, 'model_layer': 4, 'prompt': 'P', 'status': 'failed',"
        " 'error': 'far: j/Gone: out of memory', 'metrics': []}",
        "{'name': 'far', 'kind': 'cosine', 'n': 0, 'across_sites': true},"
        "{'name': 'same', 'kind': 'cka', 'n': 0, 'across_sites': true}",
        "{'name': 'j/A', 'direction': 'j', 'kind': 'jacobian', 'concept': 'A', 'status': 'success',"
        " 'site': 'embed@all', 'from': 'embed@all', 'to': 'norm:4@last', 'mode': 'detached',"
        " 'reduce': 'right', 'rank': 2, 'n_prompts': 3, 'sigma': [21.5, 3], 'residual': [0.1, 1],"
        " 'converged': false, 'norm': 1, 'map_time': 0.5, 'forward_time': 0.25},"
        "{'name': 'j/Gone', 'direction': 'j', 'kind': 'jacobian', 'concept': 'Gone',"
        " 'status': 'failed', 'error': 'out of memory'},"
        "{'name': 'l/A', 'direction': 'l', 'kind': 'logistic', 'concept': 'A', 'status': 'success',"
        " 'method': 'logistic regression', 'converged': false, 'iterations': 30, 'site': 'norm:4',"
        " 'classifier': {'n_train': 9, 'n_test': 4, 'f1': 0.6, 'f1_all_positive': 0.6,"
        "  'auroc': 0.5}},"
        "{'name': 'f/A', 'direction': 'f', 'kind': 'file', 'concept': 'A', 'status': 'success',"
        " 'site': 'norm:4', 'method': 'from a file', 'norm': 2, 'path': 'a.npy'}",
        "{'metric': 'far', 'statistic': 'value', 'concept': 'A', 'model_layer': 4, 'min': 0.1,"
        " 'max': 0.2, 'got': 0.15, 'holds': true},"
        "{'metric': 'far', 'statistic': 'abs', 'concept': 'A', 'max': 1, 'got': 2, 'holds': false},"
        "{'metric': 'far', 'statistic': 'abs', 'concept': 'B', 'max': 1, 'got': 0.5,"
        " 'holds': true},"
        "{'metric': 'far', 'statistic': 'abs', 'concept': 'C', 'max': 1, 'got': 0.25,"
        " 'holds': true},"
        "{'metric': 'far', 'statistic': 'mean_abs', 'min': 0.5, 'got': null, 'holds': false}");
    schema_check_file(r->ctx, "results.schema.json", r->doc);
    check_page(&r->html);
    expect(&r->md, "Expected: 3 of 5 bounds hold; the others are marked below.\n");
    expect(&r->md, "Caution: far: vectors from different sites"); // cka needs no common space
    expect(&r->md, "Caution: l/A: no better on held-out items than always saying yes.");
    expect(&r->md, "Caution: j/A: the singular vectors did not converge.");
    expect(&r->md, "Caution: l/A: the fit did not converge.");
    expect(&r->md, "Caution: 1 of 4 directions failed, see below.");
    expect(&r->md, "| j/Gone | out of memory |\n\n| Concept | Layer | Prompt | Error |\n"
                   "|---|---:|---|---|\n| Lost | 4 | P | far: the widths differ |\n\n");
    expect(&r->md, "|---|---|---|---|---:|---|\n| far | abs | A | at most 1 | 2.0000 | NO |\n"
                   "| far | mean_abs | all | at least 0.5 | - | NO |\n"
                   "| far | value | A, layer 4 | 0.1 to 0.2 | 0.1500 | yes |\n"
                   "| far | abs | 2 results | at most 1 | 0.2500 to 0.5000 | yes |\n");
    expect(&r->md, "| l/A | logistic | norm:4 | 9 | 4 | 0.600 | 0.600 | 0.500 | NO, 30 "
                   "iterations |\n");
    expect(&r->md, "| f/A | from a file | norm:4 | 2.0000 | a.npy |\n");
    expect(&r->md, "| j/A | embed@all | norm:4@last | detached | right | 2 | mean of 3 prompts | "
                   "sigma 21.5 | 250.00 | 500.00 | - | NO |\n");
}

// A metric that does not depend on the layer stands at the first: the others are not failures.
static void test_single_layer_metric(void **state) {
    report_case *r = *state;
    report_check(
        r,
        RESULT("A", "2", "P", COSINE("0.5", "")) ","
                                                 "{'concept': 'A', 'layer': 0, 'model_layer': 3, "
                                                 "'prompt': 'P', 'status': 'failed',"
                                                 " 'error': 'other: no', 'metrics': []},"
                                                 "{'concept': 'B', 'layer': 0, 'model_layer': 2, "
                                                 "'prompt': 'P', 'status': 'failed',"
                                                 " 'error': 'far: no', 'metrics': []}",
        STAT("far", "cosine", "1", "0.5", ""));
    expect(&r->md, "| A | 2 | +0.5000 |\n| B | 2 | failed |\n\n");
    expect(&r->md, "The mean |cosine| is 0.500. 1 could not be measured.\n");
}

static void test_unknown_kind(void **state) {
    report_case *r = *state;
    report_make(r, "{'concept': 'A', 'metrics': [{'name': 'm', 'value': 1e300}]}",
                "{'name': 'm', 'kind': 'later', 'n': 1, 'mean_abs': 2}", "", NULL);
    expect(&r->md, "m: no chance level was asked for, so nothing can be said about chance. The "
                   "mean |number| is 2.000.\n");
    expect(&r->md, "| A | +1.0e+300 |\n");
    check_page(&r->html);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, report_setup, report_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_entries),
        TEST(test_directions),
        TEST(test_single_layer_metric),
        TEST(test_unknown_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
