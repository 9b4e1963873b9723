// test_report.c: what the reports say of a small results.json.
// libs: va_report va_io va_base
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/report.h"

// Two concepts, of which one failed; three metrics: significant, not significant, without chance.
// NAME and CONCEPT are replaced by names that need escaping.
static const char results[] =
    "{\"schema_version\": 1,"
    " \"metadata\": {\"name\": \"NAME\", \"question\": \"Is 1 < 2?\", \"tool\": \"vkalign 0.1\","
    "  \"created\": \"2026-01-02T03:04:05Z\", \"seconds\": 12.34, \"seed\": 7,"
    "  \"model\": {\"path\": \"models/m\", \"family\": \"gemma3\", \"n_layer\": 4, \"d_model\": 24,"
    "   \"dtype\": \"BF16\", \"sha256\": \"abc123\"},"
    "  \"device\": {\"name\": \"Card\", \"driver\": \"D 1\", \"kind\": \"cpu\","
    "   \"peak_bytes\": 1230000}},"
    " \"results\": ["
    "  {\"concept\": \"CONCEPT\", \"model_layer\": 2, \"prompt\": \"P one\", \"status\": "
    "\"success\","
    "   \"metrics\": ["
    "    {\"name\": \"far\", \"cosine\": 0.91, \"abs_cosine\": 0.91, \"nulls\": {\"analytic\":"
    "     {\"std\": 0.2041, \"p_value\": 0.00001, \"p_adjusted\": 0.00002}}},"
    "    {\"name\": \"near\", \"cosine\": -0.125, \"abs_cosine\": 0.125, \"nulls\": {\"analytic\":"
    "     {\"std\": 0.2041, \"p_value\": 0.5432, \"p_adjusted\": 0.6543}}},"
    "    {\"name\": \"bare\", \"cosine\": 0.25, \"abs_cosine\": 0.25}]},"
    "  {\"concept\": \"Lost\", \"model_layer\": 2, \"prompt\": \"P two\", \"status\": \"failed\","
    "   \"error\": \"far/Lost: no\", \"metrics\": []}],"
    " \"statistics\": {\"by_metric\": ["
    "  {\"name\": \"far\", \"n\": 1, \"across_sites\": true, \"dimension\": 24, \"mean\": 0.91,"
    "   \"median\": 0.91, \"std\": 0, \"min\": 0.91, \"max\": 0.91, \"range\": 0,"
    "   \"mean_abs\": 0.91, \"histogram\": {\"edges\": [-1, 0, 1], \"counts\": [0, 1]},"
    "   \"alpha\": 0.05, \"chance_std\": 0.2041, \"chance_mean_abs\": 0.1646,"
    "   \"nulls\": {\"analytic\": {\"n_significant\": 1, \"min_p_adjusted\": 0.00002}},"
    "   \"significant\": [\"CONCEPT\"], \"n_significant\": 1, \"min_p_adjusted\": 0.00002},"
    "  {\"name\": \"near\", \"n\": 1, \"across_sites\": false, \"dimension\": 24, \"mean\": -0.125,"
    "   \"median\": -0.125, \"std\": 0, \"min\": -0.125, \"max\": -0.125, \"range\": 0,"
    "   \"mean_abs\": 0.125, \"histogram\": {\"edges\": [-1, 0, 1], \"counts\": [1, 0]},"
    "   \"alpha\": 0.05, \"chance_std\": 0.2041, \"chance_mean_abs\": 0.1646,"
    "   \"nulls\": {\"analytic\": {\"n_significant\": 0, \"min_p_adjusted\": 0.6543}},"
    "   \"significant\": [], \"n_significant\": 0, \"min_p_adjusted\": 0.6543},"
    "  {\"name\": \"bare\", \"n\": 1, \"across_sites\": false, \"mean\": 0.25},"
    "  {\"name\": \"none\", \"n\": 0, \"across_sites\": false}]},"
    " \"directions\": ["
    "  {\"name\": \"jac/CONCEPT\", \"kind\": \"jacobian\", \"status\": \"success\","
    "   \"site\": \"norm:2@last\", \"from\": \"embed@all\", \"mode\": \"exact\", \"n_tokens\": 7,"
    "   \"norm\": 7.152, \"forward_time\": 0.01327, \"jvp_time\": 0.09222,"
    "   \"reconstruction_error\": 1.65},"
    "  {\"name\": \"far/CONCEPT\", \"kind\": \"mlp\", \"status\": \"success\","
    "   \"site\": \"norm:4@mean\", \"classifier\": {\"n_train\": 70, \"n_test\": 20, \"f1\": "
    "0.7891,"
    "    \"f1_all_positive\": 0.6667, \"auroc\": 0.8765}},"
    "  {\"name\": \"far/Lost\", \"kind\": \"mlp\", \"status\": \"failed\", \"error\": \"x < "
    "NaN\"}]}";

typedef struct fixture {
    va_ctx *ctx;
    va_json *doc;
    va_strbuf md, html;
} fixture;

static char *replace_all(const char *text, const char *old, const char *with) {
    va_strbuf out = {0};
    for (const char *at; (at = strstr(text, old)); text = at + strlen(old)) {
        va_strbuf_append(&out, text, at - text);
        va_strbuf_puts(&out, with);
    }
    va_strbuf_puts(&out, text);
    return out.data;
}

static void load(fixture *f, const char *name, const char *concept_name) {
    char *one = replace_all(results, "NAME", name);
    char *two = replace_all(one, "CONCEPT", concept_name);
    va_json_free(&f->doc);
    assert_ok(f->ctx, va_json_parse(f->ctx, "results", two, (int64_t)strlen(two), &f->doc));
    free(one);
    free(two);
    va_strbuf_free(&f->md);
    va_strbuf_free(&f->html);
    assert_ok(f->ctx, va_report_markdown(f->ctx, f->doc, &f->md));
    assert_ok(f->ctx, va_report_html(f->ctx, f->doc, &f->html));
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    load(f, "demo", "Physical");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_json_free(&f->doc);
    va_strbuf_free(&f->md);
    va_strbuf_free(&f->html);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static void expect(const va_strbuf *text, const char *part) {
    if (!strstr(text->data, part))
        fail_msg("expected '%s' in: %s", part, text->data);
}

static void test_markdown(void **state) {
    static const char *const parts[] = {
        "# demo\n\n> Is 1 \\< 2?\n\n",
        "## far: cosine across sites (flagged)\n",
        "## near: cosine at one site\n",
        "| Physical | 2 | P one | +0.9100 | 0.2041 | 1.0e-05 | 2.0e-05 |\n",
        "| Physical | 2 | P one | -0.1250 | 0.2041 | 0.5432 | 0.6543 |\n",
        "| Physical | 2 | P one | +0.2500 |\n",
        "| Lost | 2 | P two | failed | - | - | - |\n",
        "| near | 1 | -0.1250 | -0.1250 | +0.0000 | -0.1250 | -0.1250 | +0.0000 | +0.1250 |\n",
        "| far/Physical | norm:4@mean | 70 | 20 | 0.789 | 0.667 | 0.876 |\n",
        "| jac/Physical | embed@all | norm:2@last | exact | 7 | 7.152 | 13.27 | 92.22 | 1.65 |\n",
        "## What failed\n\n| Unit | Error |\n|---|---|\n| far/Lost | x \\< NaN |\n",
        "gemma3, 4 layers, width 24, BF16, SHA-256 of the weights used abc123.",
        "Device Card, driver D 1, 1.23 MB of device memory",
        "vkalign 0.1, 2026-01-02T03:04:05Z, 12.3 s, seed 7.",
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(parts); i++)
        expect(&f->md, parts[i]);
    assert_null(strstr(f->md.data, "nan"));
}

static void test_html(void **state) {
    static const char *const parts[] = {
        "<!doctype html>\n",
        "<title>demo</title>",
        "<blockquote>Is 1 &lt; 2?</blockquote>",
        "<td>Physical</td><td class=\"r\">2</td><td>P one</td><td class=\"r\">+0.9100</td>",
        "<td>Lost</td><td class=\"r\">2</td><td>P two</td><td class=\"r\">failed</td>",
        "<td>far/Lost</td><td>x &lt; NaN</td>",
        "<td>far/Physical</td><td>norm:4@mean</td><td class=\"r\">70</td>",
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(parts); i++)
        expect(&f->html, parts[i]);
    assert_null(strstr(f->html.data, "<script"));
    assert_null(strstr(f->html.data, "nan"));
    assert_null(strstr(f->html.data, "src=")); // self-contained
    assert_null(strstr(f->html.data, "href="));
    int n_open = 0, n_close = 0, n_dots = 0;
    for (const char *s = f->html.data; (s = strstr(s, "<svg ")); s++)
        n_open++;
    for (const char *s = f->html.data; (s = strstr(s, "</svg>")); s++)
        n_close++;
    for (const char *s = f->html.data; (s = strstr(s, "<circle ")); s++)
        n_dots++;
    assert_int_equal(n_open, 8); // dots and histogram of four metrics
    assert_int_equal(n_close, n_open);
    assert_int_equal(n_dots, 3); // one concept, three metrics
}

// The sentences that answer the question.
static void test_sentences(void **state) {
    fixture *f = *state;
    expect(&f->md,
           "far: 1 of 1 alignments differs from chance: Physical (two-sided p \\<= 0.05 after "
           "Holm's correction; the smallest is 2.0e-05).");
    expect(&f->md, "The mean absolute cosine is 0.9100; random directions of 24 dimensions give "
                   "0.1646.");
    expect(&f->md, "near: none of the 1 alignments differs from chance (smallest p after Holm's "
                   "correction: 0.6543).");
    expect(&f->md, "The mean absolute cosine is 0.1250; random directions of 24");
    expect(&f->md, "bare: no chance level was asked for");
    expect(&f->md, "none: nothing could be measured");
    expect(&f->md, "Caution: far compares vectors from different sites");
    assert_null(strstr(f->md.data, "Caution: near"));
}

static void test_escapes(void **state) {
    fixture *f = *state;
    load(f, "a|b <c> & d *e* `f` [g] &lt;", "R&D | <i>\\\\");
    expect(&f->md, "# a\\|b \\<c> & d \\*e\\* \\`f\\` \\[g] \\&lt;\n");
    expect(&f->md, "| R\\&D \\| \\<i>\\\\ | 2 | P one | +0.9100 |");
    expect(&f->html, "<h1>a|b &lt;c&gt; &amp; d *e* `f` [g] &amp;lt;</h1>");
    expect(&f->html, "<td>R&amp;D | &lt;i&gt;\\</td>");
    expect(&f->html,
           "<text x=\"120.0\" y=\"31.0\" text-anchor=\"end\">R&amp;D | &lt;i&gt;\\</text>");
    assert_null(strstr(f->html.data, "<i>"));
    assert_null(strstr(f->html.data, "<c>"));
}

static void test_wrong_documents(void **state) {
    static const struct {
        const char *old, *with, *message;
    } cases[] = {
        {"\"metadata\"", "\"meta\"", "metadata: expected an object, got nothing"},
        {"\"results\"", "\"result\"", "results: expected a list, got nothing"},
        {"\"statistics\"", "\"statistic\"", "statistics: expected an object, got nothing"},
        {"\"by_metric\"", "\"by\"", "statistics.by_metric: expected a list, got nothing"},
        {"\"directions\"", "\"directions\": 5, \"x\"", "directions: expected a list, got number"},
        {"\"model\"", "\"modle\"", "metadata.model: expected an object, got nothing"},
        {"\"device\"", "\"devise\"", "metadata.device: expected an object, got nothing"},
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        char *text = replace_all(results, cases[i].old, cases[i].with);
        va_strbuf out = {0};
        va_json_free(&f->doc);
        assert_ok(f->ctx, va_json_parse(f->ctx, "x", text, (int64_t)strlen(text), &f->doc));
        assert_error(f->ctx, VA_ERR_FORMAT, cases[i].message,
                     va_report_markdown(f->ctx, f->doc, &out));
        assert_error(f->ctx, VA_ERR_FORMAT, cases[i].message, va_report_html(f->ctx, f->doc, &out));
        va_strbuf_free(&out);
        free(text);
    }
}

// A folder: reports beside results.json; a document that cannot be reported leaves none.
static void test_write(void **state) {
    fixture *f = *state;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_test_temp_dir(dir);
    va_test_join(path, dir, "results.json");
    assert_error(f->ctx, VA_ERR_FILE, path, va_report_write(f->ctx, dir));
    assert_ok(f->ctx, va_file_write(f->ctx, path, "{}", 2));
    assert_error(f->ctx, VA_ERR_FORMAT, path, va_report_write(f->ctx, dir));
    assert_int_equal(va_test_count_files(dir), 1);
    assert_ok(f->ctx, va_file_write(f->ctx, path, results, (int64_t)strlen(results)));
    assert_ok(f->ctx, va_report_write(f->ctx, dir));
    assert_int_equal(va_test_count_files(dir), 3);
    va_map map;
    load(f, "NAME", "CONCEPT");
    assert_ok(f->ctx, va_map_open(f->ctx, va_test_join(path, dir, "report.md"), &map));
    assert_int_equal(map.size_bytes, f->md.len);
    assert_memory_equal(map.data, f->md.data, (size_t)f->md.len);
    va_map_close(&map);
    va_test_temp_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_markdown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_html, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sentences, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_documents, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
