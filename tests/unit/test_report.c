// test_report.c: reports of a results.json as version 0.1 wrote it: cosines alone, Holm's
// correction, no ranges of chance; what cannot be reported; files. libs: va_report va_io va_base
// SPDX-License-Identifier: Apache-2.0
#include "report_case.h"

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

static char *replace_all(const char *text, const char *old, const char *with) {
    va_strbuf out = {0};
    for (const char *at; (at = strstr(text, old)); text = at + strlen(old)) {
        va_strbuf_append(&out, text, at - text);
        va_strbuf_puts(&out, with);
    }
    va_strbuf_puts(&out, text);
    return out.data;
}

static void load(report_case *r, const char *name, const char *concept_name) {
    char *one = replace_all(results, "NAME", name);
    char *two = replace_all(one, "CONCEPT", concept_name);
    report_forget(r);
    assert_ok(r->ctx, va_json_parse(r->ctx, "results", two, (int64_t)strlen(two), &r->doc));
    free(one);
    free(two);
    assert_ok(r->ctx, va_report_markdown(r->ctx, r->doc, &r->md));
    assert_ok(r->ctx, va_report_html(r->ctx, r->doc, &r->html));
}

static int setup(void **state) {
    report_setup(state);
    load(*state, "demo", "Physical");
    return 0;
}

static void test_markdown(void **state) {
    static const char *const parts[] = {
        "# demo\n\n> Is 1 < 2?\n\n",
        "## far: cosine across sites (flagged)\n",
        "## near: cosine at one site\n",
        "| Concept | Layer | Cosine | Differs | Chance, analytic (p adjusted) |\n",
        "| Physical | 2 | +0.9100 | yes | -0.400 to 0.400, p 2.0e-05 |\n",
        "| Physical | 2 | -0.1250 | no | -0.400 to 0.400, p 0.6543 |\n",
        "| Physical | 2 | +0.2500 |\n",
        "| Lost | 2 | failed | - | - |\n",
        "| near | 1 | -0.1250 | -0.1250 | 0.0000 | -0.1250 | -0.1250 | 0.0000 | 0.1250 |\n",
        "| far/Physical | mlp | norm:4@mean | 70 | 20 | 0.789 | 0.667 | 0.876 | - |\n",
        "| jac/Physical | embed@all | norm:2@last | exact | jx | - | 7 tokens | 7.152 | 13.27 | "
        "92.22 | 1.65 | - |\n",
        "## What failed\n\n| Unit | Error |\n|---|---|\n| far/Lost | x < NaN |\n\n## ",
        "gemma3, 4 layers, width 24, BF16, SHA-256 of the weights used abc123.",
        "Device Card, driver D 1, 1.23 MB of device memory",
        "vkalign 0.1, 2026-01-02T03:04:05Z, 12.3 s, seed 7.",
    };
    report_case *r = *state;
    for (int64_t i = 0; i < VA_COUNT(parts); i++)
        expect(&r->md, parts[i]);
    expect_none(&r->md, "nan");
}

static void test_html(void **state) {
    static const char *const parts[] = {
        "<!doctype html>\n",
        "<title>demo</title>",
        "<blockquote>Is 1 &lt; 2?</blockquote>",
        "<td>Physical</td><td class=\"r\">2</td><td class=\"r\">+0.9100</td>",
        "<td>Lost</td><td class=\"r\">2</td><td class=\"r\">failed</td>",
        "<td>far/Lost</td><td>x &lt; NaN</td>",
        "<p class=\"lead\"><strong>near</strong>: its one alignment",
    };
    report_case *r = *state;
    for (int64_t i = 0; i < VA_COUNT(parts); i++)
        expect(&r->html, parts[i]);
    check_page(&r->html);
    expect_none(&r->html, "href=");
    assert_int_equal(count(&r->html, "<svg "), 3);            // dots of three metrics
    assert_int_equal(count(&r->html, "class=\"yes\" cx"), 4); // far, bare, two legends
    assert_int_equal(count(&r->html, "class=\"no\" cx"), 3);  // near, two legends
}

// The sentences that answer the question stand before the first heading.
static void test_sentences(void **state) {
    report_case *r = *state;
    *strstr(r->md.data, "\n## ") = '\0';
    expect(&r->md, "far: 1 of 1 alignment differs from chance by the analytic level after Holm's "
                   "correction (p <= 0.05; smallest 2.0e-05): Physical +0.910 (chance -0.400 to "
                   "0.400). The mean |cosine| is 0.910; random directions of 24 dimensions give "
                   "0.165.");
    expect(&r->md,
           "near: its one alignment does not differ from chance by the analytic level after "
           "Holm's correction (smallest p 0.6543). The strongest is Physical, -0.125 "
           "(chance -0.400 to 0.400). The mean |cosine| is 0.125;");
    expect(&r->md, "bare: no chance level was asked for");
    expect(&r->md, "none: nothing could be measured");
    expect(&r->md, "Caution: far: vectors from different sites");
    expect(&r->md, "Caution: 1 of 3 directions failed");
}

static void test_escapes(void **state) {
    report_case *r = *state;
    load(r, "a|b <c> & d *e* `f` [g] &lt;", "R&D | <i>\\\\");
    expect(&r->md, "# a|b \\<c> & d \\*e\\* \\`f\\` \\[g] \\&lt;\n");
    expect(&r->md, "| R\\&D \\| \\<i>\\\\ | 2 | +0.9100 |");
    expect(&r->html, "<h1>a|b &lt;c&gt; &amp; d *e* `f` [g] &amp;lt;</h1>");
    expect(&r->html, "<td>R&amp;D | &lt;i&gt;\\</td>");
    expect(&r->html, "text-anchor=\"end\">R&amp;D | &lt;i&gt;\\</text>");
    expect_none(&r->html, "<i>");
    expect_none(&r->html, "<c>");
}

// A long name is cut in figures, between characters, and whole in its tooltip.
static void test_long_name(void **state) {
    report_case *r = *state;
    load(
        r, "demo",
        "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4"
        "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4<<");
    expect(&r->html, "\u00e4&lt;&lt;</title>\u00e4");
    expect(&r->html, "\u00e4\u2026</text>");
    check_page(&r->html);
}

// A sweep's variants, each in a report of its own, are told apart by their titles.
static void test_variant(void **state) {
    report_case *r = *state;
    load(r, "demo\", \"variant\": \"mode=exact,seed=1", "Physical");
    expect(&r->md, "# demo, mode=exact,seed=1\n");
    expect(&r->html, "<title>demo, mode=exact,seed=1</title>");
}

static void test_reused(void **state) {
    report_case *r = *state;
    load(r, "demo\", \"n_units\": 7, \"n_units_reused\": 5, \"x\": \"", "A");
    expect(&r->md, "seed 7. 5 of 7 units were computed by earlier runs.\n");
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
    report_case *r = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        char *text = replace_all(results, cases[i].old, cases[i].with);
        va_strbuf out = {0};
        va_json_free(&r->doc);
        assert_ok(r->ctx, va_json_parse(r->ctx, "x", text, (int64_t)strlen(text), &r->doc));
        assert_error(r->ctx, VA_ERR_FORMAT, cases[i].message,
                     va_report_markdown(r->ctx, r->doc, &out));
        assert_error(r->ctx, VA_ERR_FORMAT, cases[i].message, va_report_html(r->ctx, r->doc, &out));
        va_strbuf_free(&out);
        free(text);
    }
}

// Numbers that are missing, or of another type, are "-".
static void test_missing_numbers(void **state) {
    static const char *const keys[] = {
        "\"cosine\"",         "\"p_adjusted\"", "\"mean\"", "\"mean_abs\"",
        "\"min_p_adjusted\"", "\"seed\"",       "\"norm\"", "\"n_train\"",
        "\"model_layer\"",    "\"std\"",        "\"n\"",    "\"alpha\""};
    report_case *r = *state;
    for (int64_t i = 0; i < VA_COUNT(keys); i++) {
        char *text = replace_all(results, keys[i], "\"gone\"");
        report_forget(r);
        assert_ok(r->ctx, va_json_parse(r->ctx, "x", text, (int64_t)strlen(text), &r->doc));
        assert_ok(r->ctx, va_report_markdown(r->ctx, r->doc, &r->md));
        assert_ok(r->ctx, va_report_html(r->ctx, r->doc, &r->html));
        expect_none(&r->md, "nan");
        expect(&r->md, " -");
        check_page(&r->html);
        free(text);
    }
}

// A folder: reports beside results.json; a document that cannot be reported leaves none.
static void test_write(void **state) {
    report_case *r = *state;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_test_temp_dir(dir);
    va_test_join(path, dir, "results.json");
    assert_error(r->ctx, VA_ERR_FILE, path, va_report_write(r->ctx, dir));
    assert_ok(r->ctx, va_file_write(r->ctx, path, "{}", 2));
    assert_error(r->ctx, VA_ERR_FORMAT, path, va_report_write(r->ctx, dir));
    assert_int_equal(va_test_count_files(dir), 1);
    assert_ok(r->ctx, va_file_write(r->ctx, path, results, (int64_t)strlen(results)));
    assert_ok(r->ctx, va_report_write(r->ctx, dir));
    assert_int_equal(va_test_count_files(dir), 3);
    va_map map;
    load(r, "NAME", "CONCEPT");
    assert_ok(r->ctx, va_map_open(r->ctx, va_test_join(path, dir, "report.md"), &map));
    assert_int_equal(map.size_bytes, r->md.len);
    assert_memory_equal(map.data, r->md.data, (size_t)r->md.len);
    va_map_close(&map);
    va_test_temp_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_markdown, setup, report_teardown),
        cmocka_unit_test_setup_teardown(test_html, setup, report_teardown),
        cmocka_unit_test_setup_teardown(test_sentences, setup, report_teardown),
        cmocka_unit_test_setup_teardown(test_long_name, setup, report_teardown),
        cmocka_unit_test_setup_teardown(test_escapes, setup, report_teardown),
        cmocka_unit_test_setup_teardown(test_reused, setup, report_teardown),
        cmocka_unit_test_setup_teardown(test_variant, setup, report_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_documents, setup, report_teardown),
        cmocka_unit_test_setup_teardown(test_missing_numbers, setup, report_teardown),
        cmocka_unit_test_setup_teardown(test_write, setup, report_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
