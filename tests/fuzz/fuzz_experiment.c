// An experiment file, as `vkalign validate` reads it: schema, references, the plan on a model.
// libs: va_experiment
// seeds: experiments/*.yaml
// max_len: 8192
// dict: experiment
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "vkalign/experiment.h"
#include "vkalign/io.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

// The models and concepts that the seeds name, beside the file.
static const char *prepare(void) {
    static char path[512];
    static const char *const links[] = {"models", "concepts"};
    if (*path)
        return path;
    for (int64_t i = 0; i < VA_COUNT(links); i++) {
        char target[512], link[512];
        snprintf(target, sizeof target, "%s/experiments/%s", VA_SOURCE_DIR, links[i]);
        snprintf(link, sizeof link, "%s/%s", fuzz_dir(), links[i]);
        FUZZ_REQUIRE(symlink(target, link) == 0);
    }
    static const char words[] = "{\"name\": \"Dog\", \"positives\": [\"a\", \"b\", \"c\", \"d\"], "
                                "\"hard_negatives\": [\"e\", \"f\", \"g\", \"h\"]}\n";
    fuzz_write("words.jsonl", words, sizeof words - 1);
    snprintf(path, sizeof path, "%s/fuzz.yaml", fuzz_dir());
    return path;
}

static void check_diagnostics(const va_experiment *e) {
    const va_diagnostic *list;
    int64_t n = va_experiment_diagnostics(e, &list);
    for (int64_t i = 0; i < n; i++) {
        FUZZ_REQUIRE(list[i].file && list[i].hint);
        FUZZ_REQUIRE(list[i].message && *list[i].message);
        FUZZ_REQUIRE(list[i].line >= 0 && list[i].col >= 0);
    }
}

static void check_plan(const va_experiment *e) {
    const va_diagnostic *list;
    const va_plan_summary plan = va_experiment_plan(e);
    va_strbuf text = {0};
    FUZZ_REQUIRE(va_experiment_diagnostics(e, &list) == 0);
    FUZZ_REQUIRE(plan.n_units > 0 && plan.n_results >= 0); // agreement has no results of its own
    FUZZ_REQUIRE(plan.flop >= 0);                          // files cost nothing
    FUZZ_REQUIRE(plan.weight_bytes > 0 && plan.device_bytes >= plan.weight_bytes);
    va_experiment_plan_text(e, &text);
    FUZZ_REQUIRE(text.len > 0);
    va_strbuf_free(&text);
}

// Loads one variant; the number of all.
static int64_t load(const char *path, int64_t variant) {
    va_ctx *ctx = fuzz_ctx();
    va_experiment *e = NULL;
    const va_experiment_params params = {.path = path, .variant = variant};
    va_status st = va_experiment_load(ctx, &params, &e);
    FUZZ_REQUIRE(e);
    check_diagnostics(e);
    const int64_t n = va_experiment_variant_count(e);
    FUZZ_REQUIRE(n >= 1 && n > variant && va_experiment_variant_name(e));
    if (st == VA_OK)
        check_plan(e);
    else // the file's mistake, or that of a file it names
        FUZZ_REFUSED(ctx, st, VA_ERR_SPEC, VA_ERR_FILE, VA_ERR_FORMAT, VA_ERR_SHAPE,
                     VA_ERR_UNSUPPORTED, VA_ERR_USAGE);
    va_experiment_free(&e);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = prepare();
    fuzz_write("fuzz.yaml", data, size);
    const int64_t n = load(path, 0);
    if (n > 1) // of a matrix: the last too
        load(path, n - 1);
    return 0;
}
