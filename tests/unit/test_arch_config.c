// config.json of Gemma 3: what is read, by which default, and what is refused by name and value.
// SPDX-License-Identifier: Apache-2.0
// libs: va_arch
#include "test_support.h"

#include "vkalign/arch.h"

#define SIZES                                                                                      \
    "\"model_type\": \"gemma3_text\", \"num_hidden_layers\": 6, \"hidden_size\": 32, "             \
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 8, "                    \
    "\"intermediate_size\": 48, \"vocab_size\": 100"

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->arena = va_arena_create();
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static va_status parse(fixture *f, const char *text, va_arch_config *c) {
    va_json *root = NULL;
    assert_ok(f->ctx, va_json_parse(f->ctx, "c", text, (int64_t)strlen(text), &root));
    const va_status st = va_arch_parse(f->ctx, f->arena, root, "config.json", c);
    va_json_free(&root);
    return st;
}

// SIZES and one more key.
static va_status parse_with(fixture *f, const char *more, va_arch_config *c) {
    char text[2048];
    snprintf(text, sizeof text, "{" SIZES "%s%s}", more[0] ? ", " : "", more);
    return parse(f, text, c);
}

static void test_sizes(void **state) {
    fixture *f = *state;
    va_arch_config c;
    assert_ok(f->ctx, parse_with(f, "\"max_position_embeddings\": 2048, \"bos_token_id\": 7", &c));
    assert_string_equal(c.family, "gemma3");
    assert_string_equal(c.model_type, "gemma3_text");
    assert_int_equal(c.n_layer, 6);
    assert_int_equal(c.d_model, 32);
    assert_int_equal(c.n_head, 4);
    assert_int_equal(c.n_kv_head, 2);
    assert_int_equal(c.d_head, 8);
    assert_int_equal(c.d_ff, 48);
    assert_int_equal(c.vocab_size, 100);
    assert_int_equal(c.max_context, 2048);
    assert_int_equal(c.bos_id, 7);
    assert_true(c.tied_embeddings);
    assert_string_equal(c.unembed_weight, c.embed_weight);
}

static void test_defaults(void **state) {
    fixture *f = *state;
    va_arch_config c;
    char text[256];
    assert_ok(f->ctx, parse(f, "{\"model_type\": \"gemma3\", \"text_config\": {}}", &c));
    assert_int_equal(c.n_layer, 26);
    assert_int_equal(c.d_model, 2304);
    assert_int_equal(c.n_head, 8);
    assert_int_equal(c.n_kv_head, 4);
    assert_int_equal(c.d_head, 256);
    assert_int_equal(c.d_ff, 9216);
    assert_int_equal(c.vocab_size, 262208);
    assert_int_equal(c.max_context, 131072);
    assert_int_equal(c.bos_id, 2);
    assert_string_equal(va_arch_layer_text(&c, text),
                        "22 sliding (window 4096, RoPE base 10000, factor 1), "
                        "4 full (RoPE base 1e+06, factor 1)");
}

// Each spelling of layers and rotary embeddings, as the line of text says them.
static void test_layers(void **state) {
    static const struct {
        const char *more, *text;
    } cases[] = {
        {"",
         "5 sliding (window 4096, RoPE base 10000, factor 1), 1 full (RoPE base 1e+06, factor 1)"},
        {"\"sliding_window_pattern\": 2, \"sliding_window\": 5, \"rope_theta\": 500, "
         "\"rope_local_base_freq\": 20, \"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": "
         "8}",
         "3 sliding (window 5, RoPE base 20, factor 1), 3 full (RoPE base 500, factor 8)"},
        {"\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4.0}",
         "5 sliding (window 4096, RoPE base 10000, factor 1), 1 full (RoPE base 1e+06, factor 4)"},
        {"\"rope_scaling\": null, \"rope_parameters\": null, \"layer_types\": null",
         "5 sliding (window 4096, RoPE base 10000, factor 1), 1 full (RoPE base 1e+06, factor 1)"},
        {"\"layer_types\": [\"full_attention\", \"full_attention\", \"full_attention\", "
         "\"full_attention\", \"full_attention\", \"sliding_attention\"], "
         "\"_sliding_window_pattern\": 3, \"rope_parameters\": {\"full_attention\": "
         "{\"rope_type\": "
         "\"linear\", \"factor\": 2, \"rope_theta\": 7}, \"sliding_attention\": {\"rope_type\": "
         "\"default\", \"rope_theta\": 9}}",
         "1 sliding (window 4096, RoPE base 9, factor 1), 5 full (RoPE base 7, factor 2)"},
        {"\"rope_theta\": 11, \"rope_parameters\": {\"full_attention\": {\"rope_type\": "
         "\"default\"}}",
         "5 sliding (window 4096, RoPE base 10000, factor 1), 1 full (RoPE base 11, factor 1)"},
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_arch_config c;
        char text[256];
        assert_ok(f->ctx, parse_with(f, cases[i].more, &c));
        assert_string_equal(va_arch_layer_text(&c, text), cases[i].text);
    }
}

static void test_accepted(void **state) {
    static const char *const cases[] = {
        "\"transformers_version\": \"9.9\"",
        "\"torch_dtype\": \"bfloat16\"",
        "\"attention_dropout\": 0.5",
        "\"use_cache\": false",
        "\"id2label\": {\"0\": \"a\"}",
        "\"attn_logit_softcapping\": null",
        "\"attn_logit_softcapping\": 50.0",
        "\"final_logit_softcapping\": 30",
        "\"hidden_activation\": \"gelu_pytorch_tanh\"",
        "\"use_bidirectional_attention\": false",
        "\"use_bidirectional_attention\": null",
        "\"is_encoder_decoder\": false",
        "\"pruned_heads\": {}",
        "\"eos_token_id\": [1, 106]",
        "\"bos_token_id\": null",
        "\"attention_bias\": true",
        "\"cache_implementation\": \"hybrid\"",
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_arch_config c;
        assert_ok(f->ctx, parse_with(f, cases[i], &c));
    }
}

static void test_untied(void **state) {
    fixture *f = *state;
    va_arch_config c;
    assert_ok(f->ctx, parse_with(f, "\"tie_word_embeddings\": false", &c));
    assert_false(c.tied_embeddings);
    assert_string_equal(c.unembed_weight, "lm_head.weight");
    assert_ok(f->ctx, parse(f,
                            "{\"model_type\": \"gemma3\", \"tie_word_embeddings\": false, "
                            "\"text_config\": {}}",
                            &c));
    assert_false(c.tied_embeddings);
    assert_error(f->ctx, VA_ERR_UNSUPPORTED, "disagrees with text_config.tie_word_embeddings",
                 parse(f,
                       "{\"model_type\": \"gemma3\", \"tie_word_embeddings\": false, "
                       "\"text_config\": {\"tie_word_embeddings\": true}}",
                       &c));
}

static void test_refused(void **state) {
    static const struct {
        const char *more;
        va_status code;
        const char *message;
    } cases[] = {
        {"\"new_norm\": \"odd\"", VA_ERR_UNSUPPORTED, "config.json: new_norm = \"odd\""},
        {"\"quantization_config\": null", VA_ERR_UNSUPPORTED, "quantization_config = null"},
        {"\"quantization_config\": {\"bits\": 4}", VA_ERR_UNSUPPORTED, "quantization_config = {"},
        {"\"use_bidirectional_attention\": true", VA_ERR_UNSUPPORTED,
         "use_bidirectional_attention = true"},
        {"\"is_encoder_decoder\": true", VA_ERR_UNSUPPORTED, "is_encoder_decoder = true"},
        {"\"pruned_heads\": {\"1\": [0]}", VA_ERR_UNSUPPORTED, "pruned_heads"},
        {"\"hidden_activation\": \"laplace\"", VA_ERR_UNSUPPORTED,
         "hidden_activation = \"laplace\""},
        {"\"rope_scaling\": {\"rope_type\": \"ntk\", \"factor\": 8}", VA_ERR_UNSUPPORTED,
         "rope_scaling.rope_type = \"ntk\""},
        {"\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 8, \"beta_odd\": 1}",
         VA_ERR_UNSUPPORTED, "rope_scaling.beta_odd = 1"},
        {"\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8}", VA_ERR_FORMAT,
         "rope_scaling.high_freq_factor: llama3 scaling needs low_freq_factor"},
        {"\"rope_scaling\": {\"rope_type\": \"longrope\", \"short_factor\": [1, 2, 3], "
         "\"long_factor\": [1, 2, 3]}",
         VA_ERR_FORMAT, "short_factor: expected 4 numbers, one for each rotating pair, got 3"},
        {"\"rope_scaling\": {\"rope_type\": \"longrope\", \"short_factor\": [1, 2, 3, 4], "
         "\"long_factor\": [1, 2, 3]}",
         VA_ERR_FORMAT, "long_factor: expected as many numbers as in short_factor"},
        {"\"rope_scaling\": {\"rope_type\": \"longrope\", \"short_factor\": [1, -2, 3, 4]}",
         VA_ERR_FORMAT, "short_factor: expected numbers above 0, got -2"},
        {"\"rope_scaling\": {\"factor\": 8}", VA_ERR_UNSUPPORTED, "without rope_type"},
        {"\"rope_scaling\": {\"rope_type\": \"linear\"}", VA_ERR_FORMAT, "needs a number above 0"},
        {"\"rope_scaling\": 8", VA_ERR_FORMAT, "rope_scaling: expected an object"},
        {"\"rope_parameters\": {\"rope_theta\": 1}", VA_ERR_UNSUPPORTED,
         "expected full_attention and sliding_attention"},
        {"\"layer_types\": [\"full_attention\"]", VA_ERR_FORMAT, "expected a list of 6 entries"},
        {"\"layer_types\": [\"full_attention\", \"chunked_attention\", \"full_attention\", "
         "\"full_attention\", \"full_attention\", \"full_attention\"]",
         VA_ERR_UNSUPPORTED, "layer_types[1] = chunked_attention"},
        {"\"_sliding_window_pattern\": 3", VA_ERR_UNSUPPORTED, "_sliding_window_pattern = 3"},
        {"\"sliding_window\": null", VA_ERR_UNSUPPORTED, "sliding_window = null"},
        {"\"sliding_window\": 0", VA_ERR_FORMAT, "sliding_window: expected an integer from 1"},
        {"\"rms_norm_eps\": -1e-6", VA_ERR_FORMAT, "rms_norm_eps: expected a number above 0"},
        {"\"rms_norm_eps\": \"small\"", VA_ERR_FORMAT, "got \"small\""},
        {"\"rms_norm_eps\": 1e-50", VA_ERR_FORMAT, "expected a number that float32 holds"},
        {"\"rope_theta\": 1e39", VA_ERR_FORMAT, "rope_theta: expected a number that float32 holds"},
        {"\"query_pre_attn_scalar\": 0", VA_ERR_FORMAT, "query_pre_attn_scalar"},
        {"\"attention_bias\": \"yes\"", VA_ERR_FORMAT, "attention_bias: expected true or false"},
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_arch_config c;
        assert_error(f->ctx, cases[i].code, cases[i].message, parse_with(f, cases[i].more, &c));
    }
}

static void test_wrong_documents(void **state) {
    static const struct {
        const char *text;
        va_status code;
        const char *message;
    } cases[] = {
        {"[]", VA_ERR_FORMAT, "expected an object"},
        {"{}", VA_ERR_FORMAT, "model_type: expected a string"},
        {"{\"model_type\": 3}", VA_ERR_FORMAT, "model_type: expected a string"},
        {"{\"model_type\": \"gemma4\"}", VA_ERR_UNSUPPORTED, "expected one of llama, qwen2"},
        {"{\"model_type\": \"gemma3\"}", VA_ERR_FORMAT, "text_config: expected an object"},
        {"{\"model_type\": \"gemma3\", \"text_config\": {\"odd\": 1}}", VA_ERR_UNSUPPORTED,
         "text_config.odd = 1"},
        {"{\"model_type\": \"gemma3\", \"text_config\": {}, \"odd\": 1}", VA_ERR_UNSUPPORTED,
         "config.json: odd = 1"},
        {"{\"model_type\": \"gemma3_text\", \"num_attention_heads\": 3}", VA_ERR_FORMAT,
         "no multiple of num_key_value_heads = 4"},
        {"{\"model_type\": \"gemma3_text\", \"head_dim\": 7}", VA_ERR_FORMAT, "head_dim = 7"},
        {"{\"model_type\": \"gemma3_text\", \"num_hidden_layers\": 2.5}", VA_ERR_FORMAT, "got 2.5"},
        {"{\"model_type\": \"gemma3_text\", \"hidden_size\": 1e30}", VA_ERR_FORMAT, "hidden_size"},
        {"{\"model_type\": \"gemma3_text\", \"vocab_size\": -1}", VA_ERR_FORMAT, "vocab_size"},
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_arch_config c;
        assert_error(f->ctx, cases[i].code, cases[i].message, parse(f, cases[i].text, &c));
    }
}

// What a head's part rotates is computed only once the part is known to be one.
static void test_rotating_part(void **state) {
    fixture *f = *state;
    static const char *const parts[] = {"1.5", "1e30", "1e-30"};
    for (int64_t i = 0; i < VA_COUNT(parts); i++) {
        va_arch_config c;
        char text[256];
        snprintf(text, sizeof text,
                 "{\"model_type\": \"phi3\", \"partial_rotary_factor\": %s, \"pad_token_id\": 0}",
                 parts[i]);
        assert_error(f->ctx, VA_ERR_FORMAT, "rotate: expected an even number of at least 2",
                     parse(f, text, &c));
    }
}

// Numbers that are fine one by one can make angles that are not.
static void test_angles_without_end(void **state) {
    fixture *f = *state;
    va_arch_config c;
    assert_ok(f->ctx, parse_with(f,
                                 "\"rope_theta\": 2e-38, \"layer_types\": [\"full_attention\", "
                                 "\"full_attention\", \"full_attention\", \"full_attention\", "
                                 "\"full_attention\", \"full_attention\"], \"rope_scaling\": "
                                 "{\"rope_type\": \"linear\", \"factor\": 1e-37}",
                                 &c));
    va_graph *g = va_graph_create(f->ctx);
    assert_non_null(g);
    const va_site site = {.kind = VA_SITE_RESID, .layer = 1};
    const va_arch_build_params params = {.n_seq = 1, .seq_len = 2, .sites = &site, .n_sites = 1};
    va_node ids, node;
    assert_error(f->ctx, VA_ERR_NUMERIC, "by no finite angle (base 2e-38, factor 1e-37)",
                 va_arch_build(f->ctx, g, &c, &params, 2, &ids, &node));
    va_graph_destroy(&g);
}

static void test_aliases(void **state) {
    fixture *f = *state;
    va_arch_config c;
    assert_ok(f->ctx, parse_with(f, "", &c));
    static const char *const norm[] = {"model.norm.weight", "language_model.model.norm.weight",
                                       "model.language_model.norm.weight", "norm.weight"};
    va_arch_source s[VA_ARCH_MAX_SOURCES];
    assert_int_equal(va_arch_sources(&c, f->arena, norm[0], 32, s), 4);
    for (int64_t i = 0; i < 4; i++) {
        assert_string_equal(s[i].name, norm[i]);
        assert_true(va_arch_source_is_plain(&s[i], 32));
    }
    assert_int_equal(va_arch_sources(&c, f->arena, "lm_head.weight", 100, s), 2);
    assert_string_equal(s[1].name, "language_model.lm_head.weight");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_untied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_documents, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotating_part, setup, teardown),
        cmocka_unit_test_setup_teardown(test_angles_without_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_aliases, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
