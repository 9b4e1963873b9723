// config.json of every family: layers, rotations and windows as they are read, what is refused, and
// where weights stand in checkpoints. (Gemma 3, and reading as such: test_arch_config.c.)
// SPDX-License-Identifier: Apache-2.0
// libs: va_arch
#include "test_support.h"

#include "vkalign/arch.h"

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

#define SIZES                                                                                      \
    "\"num_hidden_layers\": 4, \"hidden_size\": 32, \"num_attention_heads\": 4, "                  \
    "\"intermediate_size\": 48, \"vocab_size\": 100, \"max_position_embeddings\": 64"

// A model of the type with SIZES and more keys.
static va_status parse(fixture *f, const char *type, const char *more, va_arch_config *c) {
    char text[2048];
    va_json *root = NULL;
    const char *heads = strstr(more, "num_key_value_heads") ? "" : ", \"num_key_value_heads\": 4";
    snprintf(text, sizeof text, "{\"model_type\": \"%s\", " SIZES "%s%s%s}", type, heads,
             more[0] ? ", " : "", more);
    assert_ok(f->ctx, va_json_parse(f->ctx, "c", text, (int64_t)strlen(text), &root));
    const va_status st = va_arch_parse(f->ctx, f->arena, root, "config.json", c);
    va_json_free(&root);
    return st;
}

static void test_layers(void **state) {
    static const struct {
        const char *type, *more, *text;
    } cases[] = {
        {"llama", "", "4 full (RoPE base 10000, factor 1)"},
        {"llama", "\"rope_theta\": 5e5, \"rope_scaling\": null",
         "4 full (RoPE base 500000, factor 1)"},
        {"llama",
         "\"rope_parameters\": {\"rope_theta\": 5e5, \"rope_type\": \"llama3\", \"factor\": 8, "
         "\"low_freq_factor\": 1, \"high_freq_factor\": 4, \"original_max_position_embeddings\": "
         "8}",
         "4 full (RoPE base 500000, llama3 factor 8)"},
        {"llama", "\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}",
         "4 full (RoPE base 10000, dynamic factor 2)"},
        {"qwen2", "\"sliding_window\": 7, \"max_window_layers\": 1",
         "4 full (RoPE base 10000, factor 1)"},
        {"qwen2", "\"use_sliding_window\": true, \"sliding_window\": 7, \"max_window_layers\": 1",
         "3 sliding (window 7, RoPE base 10000, factor 1), 1 full (RoPE base 10000, factor 1)"},
        {"qwen3", "\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4}, \"head_dim\": 8",
         "4 full (RoPE base 10000, yarn factor 4)"},
        {"mistral", "", "4 sliding (window 4096, RoPE base 10000, factor 1)"},
        {"mistral", "\"sliding_window\": null", "4 full (RoPE base 10000, factor 1)"},
        {"ministral3", "", "4 full (RoPE base 1e+06, yarn factor 16)"},
        {"phi3", "", "4 full (RoPE base 10000, factor 1)"},
        {"phi3",
         "\"partial_rotary_factor\": 0.5, \"rope_scaling\": {\"type\": \"su\", \"short_factor\": "
         "[1, 2], \"long_factor\": [3, 4]}, \"original_max_position_embeddings\": 16, "
         "\"sliding_window\": 9",
         "4 sliding (window 9, RoPE base 10000 on 0.5 of each head, longrope factor 4)"},
        {"olmo2", "", "4 full (RoPE base 10000, factor 1)"},
        {"olmo3", "\"sliding_window\": 5",
         "3 sliding (window 5, RoPE base 500000, factor 1), 1 full (RoPE base 500000, factor 1)"},
        {"gemma2", "",
         "2 sliding (window 4096, RoPE base 10000, factor 1), 2 full (RoPE base 10000, factor 1)"},
        {"smollm3", "", "3 full (RoPE base 2e+06, factor 1), 1 full (no RoPE)"},
        {"smollm3",
         "\"no_rope_layers\": [1, 0, 0, 1], \"use_sliding_window\": true, "
         "\"sliding_window\": 6",
         "2 sliding (window 6, no RoPE), 2 full (RoPE base 2e+06, factor 1)"},
        {"gpt_neox", "", "4 full (RoPE base 10000 on 0.25 of each head, factor 1)"},
        {"gpt_neox", "\"rotary_pct\": 1, \"rotary_emb_base\": 500",
         "4 full (RoPE base 500, factor 1)"},
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_arch_config c;
        char text[256];
        assert_ok(f->ctx, parse(f, cases[i].type, cases[i].more, &c));
        assert_string_equal(va_arch_layer_text(&c, text), cases[i].text);
        assert_int_equal(c.d_head, 8 + 120 * (strcmp(cases[i].type, "ministral3") == 0) +
                                       248 * (strcmp(cases[i].type, "gemma2") == 0));
    }
}

static void test_sizes(void **state) {
    fixture *f = *state;
    va_arch_config c;
    assert_ok(f->ctx, parse(f, "llama", "\"num_key_value_heads\": 2", &c));
    assert_int_equal(c.n_kv_head, 2);
    assert_int_equal(c.bos_id, 1);
    assert_false(c.tied_embeddings);
    assert_string_equal(c.unembed_weight, "lm_head.weight");
    assert_ok(f->ctx, parse(f, "mistral", "\"num_key_value_heads\": null", &c));
    assert_int_equal(c.n_kv_head, 4);
    assert_ok(f->ctx,
              parse(f, "llama", "\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}", &c));
    assert_int_equal(c.max_context, 128); // the base grows beyond 64
    va_json *root = NULL;
    static const char gpt2[] = "{\"model_type\": \"gpt2\", \"n_layer\": 2, \"n_embd\": 24, "
                               "\"n_head\": 3, \"n_ctx\": 16, \"n_positions\": 16}";
    assert_ok(f->ctx, va_json_parse(f->ctx, "c", gpt2, sizeof gpt2 - 1, &root));
    assert_ok(f->ctx, va_arch_parse(f->ctx, f->arena, root, "config.json", &c));
    va_json_free(&root);
    assert_int_equal(c.d_ff, 96);
    assert_int_equal(c.d_head, 8);
    assert_int_equal(c.bos_id, 50256);
    assert_true(c.tied_embeddings);
}

static void test_refused(void **state) {
    static const struct {
        const char *type, *more;
        va_status code;
        const char *message;
    } cases[] = {
        {"llama", "\"quantization_config\": {\"bits\": 4}", VA_ERR_UNSUPPORTED,
         "quantization_config = {\"bits\":4}"},
        {"llama", "\"num_experts\": 8", VA_ERR_UNSUPPORTED, "num_experts = 8: unknown key"},
        {"llama", "\"a\": 1, \"b\": 2", VA_ERR_UNSUPPORTED,
         "a = 1: unknown key, which may change "
         "the forward pass; refused (so is b)"},
        {"llama", "\"rope_interleaved\": true", VA_ERR_UNSUPPORTED, "rope_interleaved = true"},
        {"llama", "\"rope_parameters\": {\"partial_rotary_factor\": 0.5}", VA_ERR_UNSUPPORTED,
         "this family rotates whole heads"},
        {"llama", "\"num_key_value_heads\": 3", VA_ERR_FORMAT,
         "num_attention_heads = 4 is no multiple of num_key_value_heads = 3"},
        {"llama", "\"head_dim\": 7", VA_ERR_FORMAT, "head_dim = 7, of which 1 rotate"},
        {"qwen2",
         "\"layer_types\": [\"sliding_attention\", \"full_attention\", "
         "\"full_attention\", \"full_attention\"]",
         VA_ERR_UNSUPPORTED, "layer_types[0] is sliding_attention, but no sliding_window"},
        {"mistral",
         "\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 2, "
         "\"llama_4_scaling_beta\": 0.1}",
         VA_ERR_UNSUPPORTED, "llama_4_scaling_beta is read for ministral3 only"},
        {"phi3", "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}", VA_ERR_UNSUPPORTED,
         "expected longrope for this family"},
        {"phi3", "\"rope_scaling\": {\"type\": \"longrope\"}", VA_ERR_FORMAT,
         "longrope needs short_factor and long_factor"},
        {"olmo3", "\"rope_theta\": 10000", VA_ERR_UNSUPPORTED, "rope_theta = 10000"},
        {"gemma2", "\"sliding_window\": null", VA_ERR_UNSUPPORTED, "sliding_window = null"},
        {"smollm3", "\"no_rope_layers\": [1, 0]", VA_ERR_FORMAT, "a number for each layer"},
        {"smollm3", "\"no_rope_layers\": [1, 0, 2, 1]", VA_ERR_FORMAT, "zeros and ones"},
        {"gpt_neox", "\"hidden_act\": \"quick_gelu\"", VA_ERR_UNSUPPORTED, "quick_gelu"},
        {"gpt_neox", "\"rotary_pct\": 0.1", VA_ERR_FORMAT, "of which 0.1 rotate"},
        {"mistral3", "\"text_config\": {\"model_type\": \"llama\"}", VA_ERR_UNSUPPORTED,
         "text_config.model_type = \"llama\": expected mistral or ministral3"},
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_arch_config c;
        assert_error(f->ctx, cases[i].code, cases[i].message,
                     parse(f, cases[i].type, cases[i].more, &c));
    }
}

// -- weights in files -----------------------------------------------------------------------------

static va_arch_source first_source(fixture *f, const char *type, const char *more, const char *name,
                                   int64_t n_rows) {
    va_arch_config c;
    va_arch_source s[VA_ARCH_MAX_SOURCES];
    assert_ok(f->ctx, parse(f, type, more, &c));
    assert_true(va_arch_sources(&c, f->arena, name, n_rows, s) >= 1);
    return s[0];
}

// Row r of the weight is the file's row expected[r].
static void check_rows(const va_arch_source *s, const int64_t *expected, int64_t n) {
    for (int64_t r = 0; r < n; r++)
        assert_int_equal(va_arch_source_row(s, r), expected[r]);
}

static void test_fused(void **state) {
    fixture *f = *state;
    va_arch_source s = first_source(f, "phi3", "\"num_key_value_heads\": 2",
                                    "model.layers.3.self_attn.v_proj.weight", 16);
    assert_string_equal(s.name, "model.layers.3.self_attn.qkv_proj.weight");
    assert_int_equal(s.n_rows, 32 + 2 * 16);
    assert_true(va_arch_source_is_plain(&s, 16));
    check_rows(&s, (const int64_t[]){48, 49, 50}, 3);
    s = first_source(f, "phi3", "", "model.layers.0.mlp.up_proj.weight", 48);
    assert_string_equal(s.name, "model.layers.0.mlp.gate_up_proj.weight");
    assert_int_equal(s.n_rows, 96);
    assert_int_equal(s.first, 48);
}

static void test_heads_in_turn(void **state) {
    fixture *f = *state;
    const va_arch_source s =
        first_source(f, "gpt_neox", "", "model.layers.1.self_attn.k_proj.bias", 32);
    assert_string_equal(s.name, "gpt_neox.layers.1.attention.query_key_value.bias");
    assert_int_equal(s.n_rows, 96);
    assert_false(va_arch_source_is_plain(&s, 32));
    check_rows(&s, (const int64_t[]){8, 9, 10, 11, 12, 13, 14, 15, 32, 33}, 10);
}

static void test_transposed(void **state) {
    fixture *f = *state;
    va_json *root = NULL;
    va_arch_config c;
    va_arch_source s[VA_ARCH_MAX_SOURCES];
    static const char gpt2[] = "{\"model_type\": \"gpt2\", \"n_embd\": 24, \"n_head\": 3}";
    assert_ok(f->ctx, va_json_parse(f->ctx, "c", gpt2, sizeof gpt2 - 1, &root));
    assert_ok(f->ctx, va_arch_parse(f->ctx, f->arena, root, "config.json", &c));
    va_json_free(&root);
    assert_int_equal(va_arch_sources(&c, f->arena, "model.layers.2.self_attn.q_proj.weight", 24, s),
                     3);
    assert_string_equal(s[0].name, "transformer.h.2.attn.c_attn.weight");
    assert_string_equal(s[2].name, "h.2.attn.c_attn.weight");
    assert_true(s[0].transposed);
    va_arch_sources(&c, f->arena, "model.layers.2.self_attn.q_proj.bias", 24, s);
    assert_false(s[0].transposed);
    va_arch_sources(&c, f->arena, "model.embed_positions.weight", 24, s);
    assert_string_equal(s[0].name, "transformer.wpe.weight");
    va_arch_sources(&c, f->arena, "lm_head.weight", 24, s);
    assert_string_equal(s[0].name, "lm_head.weight");
}

// In GGUF files of Llama's form the halves of each head of q and k are interleaved.
static void test_paired(void **state) {
    fixture *f = *state;
    va_arch_config c;
    va_arch_source s[VA_ARCH_MAX_SOURCES];
    assert_ok(f->ctx, parse(f, "llama", "", &c));
    c.is_gguf = true;
    assert_int_equal(va_arch_sources(&c, f->arena, "model.layers.0.self_attn.q_proj.weight", 32, s),
                     1);
    assert_string_equal(s[0].name, "blk.0.attn_q.weight");
    check_rows(&s[0], (const int64_t[]){0, 2, 4, 6, 1, 3, 5, 7, 8, 10}, 10);
    va_arch_sources(&c, f->arena, "model.layers.0.post_attention_layernorm.weight", 32, s);
    assert_string_equal(s[0].name, "blk.0.ffn_norm.weight");
    va_arch_sources(&c, f->arena, "model.norm.weight", 32, s);
    assert_string_equal(s[0].name, "output_norm.weight");
    assert_ok(f->ctx, parse(f, "gemma2", "", &c));
    c.is_gguf = true;
    va_arch_sources(&c, f->arena, "model.layers.0.post_attention_layernorm.weight", 32, s);
    assert_string_equal(s[0].name, "blk.0.post_attention_norm.weight");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_heads_in_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transposed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paired, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
