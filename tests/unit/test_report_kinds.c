// test_report_kinds.c: what reports say of every kind of metric: none, one and many that differ
// from chance; layers, prompts, intervals; failures and expectations. The documents hold to the
// schema.
// libs: va_report va_io va_base
// SPDX-License-Identifier: Apache-2.0
#include "report_case.h"

#define ANALYTIC(p)                                                                                \
    "'analytic': {'mean': 0, 'std': 0.2, 'low': -0.4, 'high': 0.4, 'p_value': 0.01,"               \
    " 'p_adjusted': " p "}"
#define COVARIANCE(low, high, p)                                                                   \
    "'covariance': {'mean': 0.1, 'std': 0.3, 'low': " low ", 'high': " high ", 'p_value': 0.01,"   \
    " 'p_adjusted': " p ", 'tail': 'abs', 'n_draws': 2000}"
#define TWO_NULLS                                                                                  \
    ", 'nulls': {'analytic': {'mean_std': 0.2, 'n_significant': 2, 'min_p_adjusted': 0.001},"      \
    " 'covariance': {'mean_std': 0.3, 'n_significant': 1, 'min_p_adjusted': 0.002}}"

// -- against chance ----------------------------------------------------------------------------

static const char three_results[] = RESULT(
    "Physical", "4", "P",
    COSINE(
        "0.7",
        ", 'nulls': {" ANALYTIC("0.001") "," COVARIANCE(
            "-0.25", "0.65",
            "0.002") "},"
                     " 'p_adjusted': 0.002, 'differs_from_chance': true,"
                     " 'interval_items': {'level': 0.95, 'low': 0.6, 'high': 0.8, 'std_error': 0.1,"
                     " 'n_resamples': 200}")) "," RESULT("Entity", "4", "P",
                                                         COSINE(
                                                             "-0.5",
                                                             ", 'nulls': {" ANALYTIC("0.02") "," COVARIANCE(
                                                                 "-0.7", "0.3",
                                                                 "0.4") "}, 'p_adjusted': 0.4, "
                                                                        "'differs_from_chance': "
                                                                        "false")) "," RESULT("Proce"
                                                                                             "ss",
                                                                                             "4",
                                                                                             "P",
                                                                                             COSINE(
                                                                                                 "0"
                                                                                                 "."
                                                                                                 "1",
                                                                                                 ","
                                                                                                 " "
                                                                                                 "'"
                                                                                                 "n"
                                                                                                 "u"
                                                                                                 "l"
                                                                                                 "l"
                                                                                                 "s"
                                                                                                 "'"
                                                                                                 ":"
                                                                                                 " "
                                                                                                 "{" ANALYTIC("1") "," COVARIANCE(
                                                                                                     "-0.3",
                                                                                                     "0.5",
                                                                                                     "1") "}, 'p_adjusted': 1, 'differs_from_chance': false"));

static void test_one(void **state) {
    report_case *r = *state;
    report_check(r, three_results,
                 STAT("far", "cosine", "3", "0.4333",
                      ", 'alpha': 0.05, 'correction': 'bonferroni', 'n_tests': 3,"
                      " 'chance_std': 0.2, 'chance_mean_abs': 0.16" TWO_NULLS ", 'significant':"
                      " ['Physical'], 'n_significant': 1, 'min_p_adjusted': 0.002"));
    expect(&r->md,
           "far (jac, mlp): 1 of 3 alignments differs from chance by every level asked for "
           "(analytic, covariance) after Bonferroni's correction (p <= 0.05; smallest 0.0020): "
           "Physical +0.700 (chance -0.250 to 0.650; 95 % interval over items 0.600 to 0.800). By "
           "the analytic level alone, 2 would. The mean |cosine| is 0.433; random directions of "
           "24 dimensions give 0.160.\n");
    expect(&r->md, "| Physical | 4 | +0.7000 | yes | 0.600 to 0.800 | -0.400 to 0.400, p 0.0010 | "
                   "-0.250 to 0.650, p 0.0020 |\n");
    expect(&r->md, "| Entity | 4 | -0.5000 | no | - | -0.400 to 0.400, p 0.0200 | -0.700 to 0.300, "
                   "p 0.4000 |\n");
    expect_none(&r->md, "Caution");
}

// Every chance level is drawn, each in its own way, for every concept and in the legend.
static void test_dots(void **state) {
    report_case *r = *state;
    report_check(
        r, three_results,
        STAT("far", "cosine", "3", "0.4333",
             ", 'alpha': 0.05, 'correction': 'holm', 'n_tests': 3" TWO_NULLS
             ", 'significant': ['Physical'], 'n_significant': 1, 'min_p_adjusted': 0.002"));
    assert_int_equal(count(&r->html, "<svg "), 1);
    assert_int_equal(count(&r->html, "<rect class=\"n1\""), 4);
    assert_int_equal(count(&r->html, "<rect class=\"n3\""), 4); // covariance, wherever it stands
    assert_int_equal(count(&r->html, "<circle class=\"yes\""), 2);
    assert_int_equal(count(&r->html, "<circle class=\"no\""), 3);
    assert_int_equal(count(&r->html, "<path class=\"bar\""), 2); // one interval, the legend
    expect(&r->html, ">chance, covariance</text>");
    expect(&r->html, ">95 % interval over items</text>");
}

static void test_none(void **state) {
    report_case *r = *state;
    report_check(r, three_results,
                 STAT("far", "cosine", "3", "0.4333",
                      ", 'alpha': 0.05, 'correction': 'benjamini-hochberg', 'n_tests': 3" TWO_NULLS
                      ", 'significant': [], 'n_significant': 0, 'min_p_adjusted': 0.4"));
    expect(&r->md, "none of the 3 alignments differs from chance by every level asked for "
                   "(analytic, covariance) after the Benjamini-Hochberg correction (smallest p "
                   "0.4000). The strongest is Physical, +0.700 (chance");
    expect(&r->md, "By the analytic level alone, 2 would. By the covariance level alone, 1 would.");
}

// -- layers and prompts ------------------------------------------------------------------------

#define POINT(concept_name, layer, prompt, value, differs)                                         \
    RESULT(concept_name, layer, prompt,                                                            \
           COSINE(value, ", 'nulls': {" ANALYTIC("0.01") "}, 'p_adjusted': 0.01,"                  \
                                                         " 'differs_from_chance': " differs))
#define LAYER(layer, mean, names, n)                                                               \
    "{'model_layer': " layer ", 'n': 4, 'mean': " mean ", 'mean_abs': " mean ", 'std': 0.1,"       \
    " 'min': 0, 'max': 0.6, 'significant': [" names "], 'n_significant': " n                       \
    ", 'min_p_adjusted': 0.01}"
#define MEAN(concept_name, layer, mean)                                                            \
    "{'concept': '" concept_name "', 'model_layer': " layer ", 'n': 2, 'mean': " mean              \
    ", 'mean_abs': " mean ", 'std': 0.1, 'min': 0.1, 'max': 0.6, 'same_sign': 0.5,"                \
    " 'n_significant': 1, 'interval_prompts': {'level': 0.9, 'low': 0.05, 'high': 0.55}}"

static void test_many(void **state) {
    report_case *r = *state;
    report_check(
        r,
        POINT("Physical", "2", "P", "0.2", "false") "," POINT("Physical", "2", "Q", "0.5", "true") "," POINT(
            "Entity", "2", "P", "0.1",
            "false") "," POINT("Entity", "2", "Q", "0",
                               "false") "," POINT("Physical", "5", "P", "0.6",
                                                  "true") "," POINT("Physical", "5", "Q", "0.6",
                                                                    "true") "," POINT("Entity", "5",
                                                                                      "P", "0.1",
                                                                                      "false") "," POINT("Entity",
                                                                                                         "5",
                                                                                                         "Q",
                                                                                                         "0.55",
                                                                                                         "true"),
        STAT(
            "far", "cosine", "8", "0.33",
            ", 'alpha': 0.05, 'correction': 'holm', 'n_tests': 8, 'nulls': {'analytic':"
            " {'mean_std': 0.2, 'n_significant': 4, 'min_p_adjusted': 0.01}}, 'significant':"
            " ['Physical', 'Physical', 'Physical', 'Entity'], 'n_significant': 4,"
            " 'min_p_adjusted': 0.01, 'by_layer': [" LAYER("2", "0.2", "'Physical'", "1") "," LAYER(
                "5", "0.46", "'Physical', 'Physical', 'Entity'",
                "3") "], 'by_concept': [" MEAN("Physical", "2",
                                               "0.35") "," MEAN("Entity", "2",
                                                                "0.05") "," MEAN("Physical", "5",
                                                                                 "0.6") "," MEAN("E"
                                                                                                 "n"
                                                                                                 "t"
                                                                                                 "i"
                                                                                                 "t"
                                                                                                 "y",
                                                                                                 "5",
                                                                                                 "0"
                                                                                                 "."
                                                                                                 "3"
                                                                                                 "2"
                                                                                                 "5") "]") ","
                                                                                                           "{'name': 'seeds', 'kind': 'agreement', 'of': ['mlp'], 'over': 'seeds', 'n': 1,"
                                                                                                           " 'mean': 0.8, 'entries': [{'concept': 'Physical', 'n': 3, 'value': 0.8, 'min': 0.7,"
                                                                                                           " 'max': 0.9, 'mean_abs': 0.8}]}");
    expect(&r->md, "4 of 8 alignments differ from chance by the analytic level after Holm's "
                   "correction (p <= 0.05; smallest 0.0100): Physical in 3 of 4, strongest +0.600 "
                   "at layer 5 (chance -0.400 to 0.400); Entity in 1 of 4, strongest +0.550 at "
                   "layer 5 (chance -0.400 to 0.400).");
    expect(&r->md, "Over layers, the mean |cosine| is largest at layer 5 (0.460, 3 of 4 from "
                   "chance) and smallest at layer 2 (0.200, 1 of 4 from chance).");
    expect(&r->md, "Over 2 prompts at layer 5: Physical mean +0.600 (90 % interval 0.050 to "
                   "0.550), same sign in 50 %; Entity mean +0.325 (90 %");
    expect(&r->md, "seeds: mlp agrees with itself at a mean cosine of +0.800.");
    assert_int_equal(count(&r->md, "agrees with itself"), 1); // in no other metric's answer
    expect(&r->md, "| 5 | +0.4600 | 0.4600 | 0.1000 | +0.0000 | +0.6000 | 3 of 4 | 0.0100 | "
                   "Physical, Physical, Entity |\n");
    expect(&r->md, "| Physical | 5 | 2 | +0.6000 | 0.050 to 0.550 | 0.1000 | +0.1000 | +0.6000 | "
                   "50 % | 1 of 2 |\n");
    expect(&r->md, "| Entity | 5 | Q | +0.5500 | yes | -0.400 to 0.400, p 0.0100 |\n");
    assert_int_equal(count(&r->html, "<svg "), 3); // over layers, dots at layer 5, seeds
    expect(&r->html, "<th>Prompt</th>");
    expect(&r->html, "<td class=\"w\">Q</td>");
    assert_int_equal(count(&r->html, "<path class=\"band n1\""), 1);
    assert_int_equal(count(&r->html, "<path class=\"l k"), 4); // two lines, twice with the labels
    expect(&r->html, "at layer 5, where it is strongest");
}

// More rows than a table holds: those that differ first.
static void test_long_table(void **state) {
    report_case *r = *state;
    va_strbuf text = {0};
    for (int i = 0; i < 70; i++)
        va_strbuf_printf(
            &text, "%s" RESULT("C%d", "4", "P", COSINE("0.%02d", ", 'differs_from_chance': %s")),
            i ? "," : "", i, i, i, i == 69 ? "true" : "false");
    report_check(
        r, text.data,
        STAT("far", "cosine", "70", "0.35",
             ", 'n_significant': 1, 'histogram': {'edges': [-1, 0, 1], 'counts': [0, 70]}"));
    va_strbuf_free(&text);
    assert_int_equal(count(&r->md, "| 4 | +0."), 60);
    expect(&r->md, "|---|---:|---:|\n| C69 | 4 | +0.6900 |\n| C0 | 4 | +0.0000 |\n");
    expect(&r->md, "60 of 70 rows, those that differ from chance first; all are in results.json.");
    expect(&r->html, "cosine of the first 40 of 70 concepts.");
    assert_int_equal(count(&r->html, "<rect class=\"bin\""), 1);
}

// -- the other kinds ---------------------------------------------------------------------------

#define RANK(r, value)                                                                             \
    "{'name': 'frames rank " r "', 'kind': 'subspace', 'value': " value ", 'overlap': " value      \
    ", 'rank': " r ", 'principal_cosines': [0.5], 'principal_angles': [1]," AT                     \
    ", 'nulls': {'permutation': {'mean': 0.1, 'std': 0.01, 'low': 0.05, 'high': 0.15,"             \
    " 'p_value': 0.01, 'p_adjusted': 0.02, 'tail': 'greater', 'n_draws': 200}},"                   \
    " 'p_adjusted': 0.02, 'differs_from_chance': true}"
#define RANK_STAT(r)                                                                               \
    STAT("frames rank " r, "subspace", "2", "0.3",                                                 \
         ", 'alpha': 0.05, 'correction': 'holm', 'n_tests': 2, 'nulls': {'permutation':"           \
         " {'mean_std': 0.01, 'n_significant': 2, 'min_p_adjusted': 0.02, 'n_unconverged': 3}},"   \
         " 'significant': ['A', 'B'], 'n_significant': 2, 'min_p_adjusted': 0.02")

static void test_subspace(void **state) {
    report_case *r = *state;
    report_check(r,
                 RESULT("A", "4", "P", RANK("1", "0.2") "," RANK("4", "0.4")) "," RESULT(
                     "B", "4", "P", RANK("1", "0.3") "," RANK("4", "0.5")),
                 RANK_STAT("1") "," RANK_STAT("4"));
    expect(&r->md, "frames rank 4 (jac, mlp): 2 of 2 overlaps differ from chance by the "
                   "permutation level after Holm's correction (p <= 0.05; smallest 0.0200): A "
                   "0.400 (chance 0.050 to 0.150); B 0.500 (chance 0.050 to 0.150). The mean "
                   "overlap is 0.300.\n");
    expect(&r->md, "## frames rank 1: overlap of subspaces\n");
    expect(&r->md, "| B | 4 | 0.5000 | yes | 4 | 0.050 to 0.150, p 0.0200 |\n");
    expect(&r->md, "Caution: frames rank 1: 3 of the fits behind the permutation chance level did "
                   "not converge.");
    assert_int_equal(count(&r->html, "<svg "), 3); // dots of both, and over rank once
    expect(&r->html, "Overlap of the first R vectors over R.");
}

// The range beside a verdict is of the level that decides it, though another's be wider.
static void test_binding_level(void **state) {
    report_case *r = *state;
    report_check(
        r,
        RESULT("A", "4", "P",
               "{'name': 'frames', 'kind': 'subspace', 'value': 0.286, 'overlap': 0.286, 'rank': "
               "4," AT ", 'nulls': {'analytic': {'mean': 0.045, 'std': 0.01, 'low': 0.028,"
               " 'high': 0.065, 'p_value': 1e-9, 'p_adjusted': 1e-9},"
               " 'permutation': {'mean': 0.275, 'std': 0.005, 'low': 0.265, 'high': 0.29,"
               " 'p_value': 0.075, 'p_adjusted': 0.075, 'tail': 'greater', 'n_draws': 200}},"
               " 'p_adjusted': 0.075, 'differs_from_chance': false}"),
        STAT("frames", "subspace", "1", "0.286",
             ", 'alpha': 0.05, 'correction': 'holm', 'n_tests': 1, 'nulls': {'analytic':"
             " {'mean_std': 0.01, 'n_significant': 1, 'min_p_adjusted': 1e-9}, 'permutation':"
             " {'mean_std': 0.005, 'n_significant': 0, 'min_p_adjusted': 0.075}},"
             " 'significant': [], 'n_significant': 0, 'min_p_adjusted': 0.075"));
    expect(&r->md, "The strongest is A, 0.286 (chance 0.265 to 0.290).");
}

static void test_spectrum(void **state) {
    report_case *r = *state;
    report_check(
        r,
        RESULT("A", "4", "P",
               "{'name': 's', 'kind': 'spectrum', 'value': 0.25, 'divergence': 0.25, 'rank': 3," AT
               ", 'spectra': [{'sigma': [9, 3, 1], 'stable_rank': 1.5, 'entropy_rank': 2.5},"
               " {'sigma': [5, 0.5, 0], 'stable_rank': 1.25, 'entropy_rank': 2}]}"),
        STAT("s", "spectrum", "1", "0.25", ""));
    expect(&r->md, "s (jac, mlp): spectra are compared by their divergence, which has no chance "
                   "level. The mean divergence is 0.250.\n");
    expect(&r->md, "| A | 4 | 0.2500 | 3 | 1.50, 1.25 | 2.50, 2.00 |\n");
    assert_int_equal(count(&r->html, "<svg "), 2);
    expect(&r->html, ">singular value (log)</text>");
    // of the second, two values are drawn: a logarithm has no zero
    assert_int_equal(count(&r->html, "class=\"k1 f1\""), 3);
    assert_int_equal(count(&r->html, "class=\"k2 f2\""), 2);
}

static void test_items_kinds(void **state) {
    report_case *r = *state;
    report_check(
        r,
        RESULT("A", "4", "P",
               "{'name': 'c', 'kind': 'cka', 'value': -0.02, 'cka': -0.02, 'cka_biased': 0.1,"
               " 'n_items': 40," AT "},"
               "{'name': 't', 'kind': 'transfer', 'value': 0.25, 'auroc': 0.25, 'f1': 0.5,"
               " 'accuracy': 0.4, 'threshold': 1, 'n_test': 12," AT "}"),
        STAT("c", "cka", "1", "-0.02", "") "," STAT("t", "transfer", "1", "0.25", ""));
    expect(&r->md, "| A | 4 | -0.0200 | 0.1000 | 40 |\n");
    expect(&r->md, "| A | 4 | 0.2500 | 0.500 | 0.400 | 12 |\n");
    expect(&r->md, "t (jac, mlp): no chance level was asked for, so nothing can be said about "
                   "chance. The mean AUROC is 0.250.\n");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, report_setup, report_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_one),           TEST(test_dots),       TEST(test_none),
        TEST(test_many),          TEST(test_long_table), TEST(test_subspace),
        TEST(test_binding_level), TEST(test_spectrum),   TEST(test_items_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
