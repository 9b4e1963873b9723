// test_report_sweep.c: the report that sets a sweep's variants side by side.
// libs: va_report va_io va_base
// SPDX-License-Identifier: Apache-2.0
#include "report_case.h"

#define FAR(mean, n_significant, names)                                                            \
    "{'name': 'far', 'kind': 'cosine', 'n': 5, 'mean': " mean ", 'mean_abs': " mean                \
    ", 'std': 0.1, 'chance_mean_abs': 0.06, 'n_tests': 5, 'n_significant': " n_significant         \
    ", 'significant': [" names "], 'min_p_adjusted': 0.01, 'nulls': {'analytic':"                  \
    " {'mean_std': 0.08}, 'covariance': {'mean_std': 0.1}}}"
#define VARIANT(name, mode, layers, status, metrics, rest)                                         \
    "{'name': '" name "', 'set': {'directions.j.mode': '" mode "', 'model.layers': '" layers       \
    "'}, 'status': '" status "', 'statistics': {'by_metric': [" metrics "]}" rest "}"

static const char whole[] =
    "{'schema_version': 1, 'name': 'a|b <c>', 'question': 'Which mode?',"
    " 'variants': [" VARIANT(
        "mode=exact", "exact", "[2]", "success", FAR("0.25", "2", "'A', 'B'"),
        ", 'expectations': [{'holds': true}, {'holds': false}]") "," VARIANT("mode=<x>:", "<x>",
                                                                             "[2]", "failed",
                                                                             FAR("-0.05", "0",
                                                                                 "") ", "
                                                                                     "{'name': "
                                                                                     "'late', "
                                                                                     "'kind': "
                                                                                     "'subspace"
                                                                                     "', 'n': "
                                                                                     "0}",
                                                                             ", "
                                                                             "'expectations': "
                                                                             "[{'holds': "
                                                                             "true}]") "]}";

static void make(report_case *r, const char *json) {
    va_strbuf text = {0};
    report_forget(r);
    report_json(&text, json);
    assert_ok(r->ctx, va_json_parse(r->ctx, "sweep", text.data, text.len, &r->doc));
    assert_ok(r->ctx, va_report_sweep_markdown(r->ctx, r->doc, &r->md));
    assert_ok(r->ctx, va_report_sweep_html(r->ctx, r->doc, &r->html));
    va_strbuf_free(&text);
    check_page(&r->html);
    expect_none(&r->md, "nan");
}

static void test_sweep(void **state) {
    report_case *r = *state;
    make(r, whole);
    expect(&r->md, "# a|b \\<c>\n\n> Which mode?\n\n2 variants, each with its own report.\n\n"
                   "far: the mean |cosine| goes from -0.050 (mode=\\<x>:) to 0.250 (mode=exact). "
                   "Results differ from chance in 1 of 2 variants: mode=exact (2 of 5: A, B).\n\n"
                   "late: nothing could be measured.\n\n"
                   "Expected: 2 of 3 bounds hold; not all in mode=exact (1 of 2).\n\n"
                   "Caution: something failed in 1 of 2 variants: mode=\\<x>:. Their own reports "
                   "say what.\n\n## far\n\n");
    expect(&r->md, "| Variant | mode | layers | n | Mean cosine | Mean \\|cosine\\| | By chance | "
                   "Std | Differ | Smallest p | Which |\n");
    expect(&r->md, "| [mode=exact](mode=exact/report.html) | exact | \\[2] | 5 | +0.2500 | 0.2500 "
                   "| 0.0600 | 0.1000 | 2 of 5 | 0.0100 | A, B |\n");
    expect(&r->md, "| [mode=\\<x>:](mode=%3Cx%3E%3A/report.html) | ");
    expect(&r->md, "## late\n\n| Variant | mode | layers | n | Mean overlap | Std |");
    expect(&r->html, "<td><a href=\"mode=%3Cx%3E%3A/report.html\">mode=&lt;x&gt;:</a></td>");
    assert_int_equal(count(&r->html, "<svg "), 2);
    assert_int_equal(count(&r->html, "<rect class=\"n3\""), 3); // two variants, the legend
    expect_none(&r->html, "<x>");
}

// Nothing differs; numbers missing; a variant whose name is no folder of ours is not led to.
static void test_bare(void **state) {
    report_case *r = *state;
    make(r, "{'variants': [{'name': '../x', 'statistics': {'by_metric': [{'name': 'm', 'kind':"
            " 'cka', 'n_significant': 0, 'mean': 0.5}]}}, {'name': 5}, 7]}");
    expect(&r->md, "m: the mean CKA is 0.500. Nothing differs from chance in any variant.\n");
    expect(&r->md, "| ../x | - | 0.5000 | - | 0 of - | - |  |\n|  | - | - | - | - | - |  |\n");
    expect_none(&r->html, "href=");
    make(r, "{'variants': []}");
    expect(&r->md, "0 variants");
}

static void test_many_variants(void **state) {
    report_case *r = *state;
    va_strbuf text = {0};
    va_strbuf_puts(&text, "{'variants': [");
    for (int i = 0; i < 70; i++)
        va_strbuf_printf(&text, "%s{'name': 'v%d', 'statistics': {'by_metric': [%s]}}",
                         i ? "," : "", i, FAR("0.5", "1", "'A'"));
    va_strbuf_puts(&text, "]}");
    make(r, text.data);
    va_strbuf_free(&text);
    assert_int_equal(count(&r->md, "/report.html)"), 60);
    expect(&r->md, "60 of 70 rows; all are in sweep.json.");
    expect(&r->md, "in 70 of 70 variants: v0 (1 of 5: A), v1");
    expect(&r->md, " and 64 more.");
}

static void test_wrong(void **state) {
    report_case *r = *state;
    report_forget(r);
    assert_ok(r->ctx, va_json_parse(r->ctx, "x", "{\"variants\": {}}", 16, &r->doc));
    assert_error(r->ctx, VA_ERR_FORMAT, "variants: expected a list, got object",
                 va_report_sweep_markdown(r->ctx, r->doc, &r->md));
    assert_error(r->ctx, VA_ERR_FORMAT, "variants: expected a list, got object",
                 va_report_sweep_html(r->ctx, r->doc, &r->html));
}

static void test_write(void **state) {
    report_case *r = *state;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_strbuf text = {0};
    va_test_temp_dir(dir);
    va_test_join(path, dir, "sweep.json");
    assert_error(r->ctx, VA_ERR_FILE, path, va_report_sweep_write(r->ctx, dir));
    assert_ok(r->ctx, va_file_write(r->ctx, path, "{}", 2));
    assert_error(r->ctx, VA_ERR_FORMAT, path, va_report_sweep_write(r->ctx, dir));
    assert_int_equal(va_test_count_files(dir), 1);
    report_json(&text, whole);
    assert_ok(r->ctx, va_file_write(r->ctx, path, text.data, text.len));
    va_strbuf_free(&text);
    assert_ok(r->ctx, va_report_sweep_write(r->ctx, dir));
    assert_int_equal(va_test_count_files(dir), 3);
    va_map map;
    make(r, whole);
    assert_ok(r->ctx, va_map_open(r->ctx, va_test_join(path, dir, "report.md"), &map));
    assert_int_equal(map.size_bytes, r->md.len);
    assert_memory_equal(map.data, r->md.data, (size_t)r->md.len);
    va_map_close(&map);
    va_test_temp_remove(dir);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, report_setup, report_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sweep), TEST(test_bare),  TEST(test_many_variants),
        TEST(test_wrong), TEST(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
