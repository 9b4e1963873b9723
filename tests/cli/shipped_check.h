// shipped_check.h: the experiments that ship, run as people run them, and held to what torch
// computes.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_SHIPPED_CHECK_H
#define VA_SHIPPED_CHECK_H

#include "run_check.h"

#define EXPERIMENTS VA_SOURCE_DIR "/experiments"

// The file of an experiment.
static inline const char *shipped(const char *name) {
    return va_arena_printf(env.arena, "%s/%s.yaml", EXPERIMENTS, name);
}

// Runs it into DIR/name, with --check where it says what it expects. Without validation, which
// takes several times as long, and with the units of the experiments before it.
static inline void run_shipped(const char *name) {
    char *yaml = cli_load(shipped(name), NULL);
    const char *check = strstr(yaml, "\nexpect:") ? "--check" : NULL;
    free(yaml);
    cli_run(&env.p, 0, "VA_VALIDATION=0",
            CLI_ARGS("run", shipped(name), "--out", path_of(env.dir, name), check));
    if (check)
        expect_text(env.p.out, "expectations hold\n");
    print_message("%s: %.1f s, %.1f of processors, %lld bytes of host memory\n", name,
                  env.p.seconds, env.p.cpu_seconds, (long long)env.p.peak_bytes);
}

// Every result was measured; there are n.
static inline void expect_whole(const outcome *o, int64_t n) {
    const va_json *r = va_json_first(va_json_get(o->results, "results"));
    assert_int_equal(va_json_count(va_json_get(o->results, "results")), n);
    for (; r; r = va_json_next(r)) {
        assert_string_equal(text(r, "status"), "success");
        assert_true(fabs(number(r, "alignment")) <= 1);
    }
}

// Relative error of a vector of unit length times its norm against the expected J x.
static inline double error_of(const outcome *o, const va_safetensors *expected,
                              const va_json *direction_of) {
    const char *mode = text(direction_of, "mode");
    const char *name = va_arena_printf(env.arena, "%s.jx.%s", text(direction_of, "concept"), mode);
    const va_file_tensor *t = va_safetensors_find(expected, name);
    assert_non_null(t);
    const float *want = floats(t, t->n_elem),
                *got = saved(o, text(direction_of, "name"), t->n_elem);
    double sum = 0, norm = number(direction_of, "norm");
    for (int64_t i = 0; i < t->n_elem; i++)
        sum += (norm * got[i] - want[i]) * (norm * got[i] - want[i]);
    return sqrt(sum / dot(want, want, t->n_elem));
}

// J x of all five concepts is torch's in float64 (tests/fixtures/layer0).
static inline void expect_concept_vectors(const outcome *o) {
    static const double TOLERANCE = 1e-4; // of J x in f32 (DESIGN section 7)
    int64_t n = 0;
    va_safetensors *expected;
    assert_ok(env.ctx,
              va_safetensors_open(env.ctx, VA_FIXTURES "/layer0/expected.safetensors", &expected));
    const va_json *d = va_json_first(va_json_get(o->results, "directions"));
    for (; d; d = va_json_next(d))
        if (strcmp(text(d, "kind"), "jacobian") == 0) {
            const double error = error_of(o, expected, d);
            if (!(error < TOLERANCE))
                fail_msg("%s: relative error %g", text(d, "name"), error);
            n++;
        }
    assert_int_equal(n, 5);
    va_safetensors_close(&expected);
}

// The model's card gives F1 above .95 by logistic regression; the networks here see one split.
static inline void expect_networks(const outcome *o, int64_t n_expected) {
    int64_t n = 0;
    const va_json *d = va_json_first(va_json_get(o->results, "directions"));
    for (; d; d = va_json_next(d)) {
        const va_json *c = va_json_get(d, "classifier");
        if (strcmp(text(d, "kind"), "mlp") != 0)
            continue;
        assert_true(number(c, "f1") > 0.85 && number(c, "f1") > number(c, "f1_all_positive"));
        assert_true(number(c, "auroc") > 0.95);
        n++;
    }
    assert_int_equal(n, n_expected);
}

// What --dry-run says of device memory, on a machine without a device, is what it takes.
static inline void expect_device_memory(const outcome *o, const char *name) {
    va_json *dry;
    cli_run(&env.p, 0, "VK_ICD_FILENAMES=/nonexistent",
            CLI_ARGS("run", shipped(name), "--dry-run", "--json"));
    assert_ok(env.ctx,
              va_json_parse(env.ctx, "stdout", env.p.out, (int64_t)strlen(env.p.out), &dry));
    const double planned = number(va_json_get(dry, "plan"), "device_bytes");
    const va_json *meta = va_json_get(o->results, "metadata");
    const double taken = number(va_json_get(meta, "device"), "peak_bytes");
    if (!(fabs(planned - taken) <= 0.05 * taken))
        fail_msg("%s: planned %.0f bytes, taken %.0f", name, planned, taken);
    va_json_free(&dry);
}

#endif
