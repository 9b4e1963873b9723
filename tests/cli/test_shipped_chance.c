// The shipped experiments that train a thousand classifiers on permuted labels: their results are
// within the bounds that they set, their concept vectors torch's. Minutes, so lavapipe alone.
// drivers: lavapipe
// timeout_s: 1800
// SPDX-License-Identifier: Apache-2.0
#include "shipped_check.h"

// Three times what it takes; processor time, so that a loaded machine does not fail it.
static const double MAX_CPU_SECONDS = 900;
// With lavapipe's device memory: 1000 networks with their moments are trained at once.
static const int64_t MAX_BYTES = 1000000000;

static void test_layer0(void **state) {
    (void)state;
    outcome o;
    run_shipped("layer0");
    assert_true(env.p.cpu_seconds < MAX_CPU_SECONDS);
    assert_true(env.p.peak_bytes < MAX_BYTES);
    open_outcome(&o, path_of(env.dir, "layer0"));
    expect_whole(&o, 5);
    const va_json *r = va_json_first(va_json_get(o.results, "results"));
    for (; r; r = va_json_next(r)) {
        const va_json *nulls = va_json_get(item(va_json_get(r, "metrics"), 0), "nulls");
        assert_int_equal(number(va_json_get(nulls, "permutation"), "n_draws"), 200);
    }
    expect_concept_vectors(&o);
    expect_networks(&o, 5);
    expect_device_memory(&o, "layer0");
    close_outcome(&o);
}

static void test_subspace(void **state) {
    (void)state;
    outcome o;
    run_shipped("subspace");
    open_outcome(&o, path_of(env.dir, "subspace"));
    assert_int_equal(va_json_count(va_json_get(o.results, "results")), 5);
    close_outcome(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer0),
        cmocka_unit_test(test_subspace),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
