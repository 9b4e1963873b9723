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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_experiment *e = NULL;
    const va_experiment_params params = {.path = prepare()};
    const va_diagnostic *list;
    fuzz_write("fuzz.yaml", data, size);
    va_status st = va_experiment_load(ctx, &params, &e);
    FUZZ_REQUIRE(e);
    check_diagnostics(e);
    if (st == VA_OK) {
        va_plan_summary plan = va_experiment_plan(e);
        va_strbuf text = {0};
        FUZZ_REQUIRE(va_experiment_diagnostics(e, &list) == 0);
        FUZZ_REQUIRE(plan.n_units > 0 && plan.n_results > 0 && plan.flop > 0);
        FUZZ_REQUIRE(plan.weight_bytes > 0 && plan.device_bytes >= plan.weight_bytes);
        va_experiment_plan_text(e, &text);
        FUZZ_REQUIRE(text.len > 0);
        va_strbuf_free(&text);
    } else { // the file's mistake, or that of a file it names
        FUZZ_REFUSED(ctx, st, VA_ERR_SPEC, VA_ERR_FILE, VA_ERR_FORMAT, VA_ERR_SHAPE,
                     VA_ERR_UNSUPPORTED, VA_ERR_USAGE);
    }
    va_experiment_free(&e);
    return 0;
}
