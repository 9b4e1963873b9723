// The experiments that ship: all valid; those of a minute run, and their results are within the
// bounds that they set, their concept vectors torch's. Not on SwiftShader, where it takes minutes.
// drivers: lavapipe
// SPDX-License-Identifier: Apache-2.0
#include "shipped_check.h"

#include <glob.h>

static void test_all_valid(void **state) {
    (void)state;
    glob_t files;
    assert_int_equal(glob(EXPERIMENTS "/*.yaml", 0, NULL, &files), 0);
    assert_true(files.gl_pathc >= 6);
    for (size_t i = 0; i < files.gl_pathc; i++)
        cli_run(&env.p, 0, "VK_ICD_FILENAMES=/nonexistent",
                CLI_ARGS("validate", files.gl_pathv[i]));
    globfree(&files);
}

static void test_matched(void **state) {
    (void)state;
    outcome o;
    run_shipped("layer0_matched");
    open_outcome(&o, path_of(env.dir, "layer0_matched"));
    expect_whole(&o, 5);
    expect_concept_vectors(&o);
    expect_networks(&o, 10);
    expect_device_memory(&o, "layer0_matched");
    close_outcome(&o);
}

// The same of the detached map; all else is taken from the cache.
static void test_detached(void **state) {
    (void)state;
    const char *out = path_of(env.dir, "detached");
    outcome o;
    cli_run(&env.p, 0, "VA_VALIDATION=0",
            CLI_ARGS("run", shipped("layer0_matched"), "--out", out, "--set",
                     "directions.jacobian.mode=detached"));
    open_outcome(&o, out);
    expect_concept_vectors(&o);
    assert_int_equal(reused(&o), n_units(&o) - 5);
    close_outcome(&o);
}

static void test_prompts(void **state) {
    (void)state;
    outcome o;
    run_shipped("prompts");
    open_outcome(&o, path_of(env.dir, "prompts"));
    expect_whole(&o, 50);
    assert_true(reused(&o) >= 5); // the first prompt is that of layer0_matched
    close_outcome(&o);
}

static void test_layers(void **state) {
    (void)state;
    outcome o;
    run_shipped("layers");
    open_outcome(&o, path_of(env.dir, "layers"));
    expect_whole(&o, 40);
    expect_device_memory(&o, "layers");
    close_outcome(&o);
}

// A sweep over both modes.
static void test_contexts(void **state) {
    (void)state;
    static const char *const modes[] = {"mode=exact", "mode=detached"};
    outcome o;
    run_shipped("contexts");
    for (int i = 0; i < 2; i++) {
        open_outcome(&o, path_of(path_of(env.dir, "contexts"), modes[i]));
        expect_whole(&o, 5);
        close_outcome(&o);
    }
    assert_true(va_path_exists(path_of(env.dir, "contexts/sweep.json")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_valid), cmocka_unit_test(test_matched),
        cmocka_unit_test(test_detached),  cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_layers),    cmocka_unit_test(test_contexts),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
