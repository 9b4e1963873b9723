// GGUF metadata as a configuration: what absent keys mean, windows, rotations. (What is refused:
// test_arch_gguf_bad.c; models as such: test_gguf_models.c.)
// libs: va_arch
// SPDX-License-Identifier: Apache-2.0
#include "arch_gguf_case.h"

static void test_layers(void **state) {
    static const struct {
        const char *arch, *more, *text;
    } cases[] = {
        // rope.freq_base is 10000, and heads rotate as a whole
        {"llama", "", "4 full (RoPE base 10000, factor 1)"},
        {"smollm3", ".rope.dimension_count=u8",
         "3 full (RoPE base 10000, factor 1), 1 full (no RoPE)"},
        {"gptneox", ".use_parallel_residual=b1", "4 full (RoPE base 10000, factor 1)"},
        {"gptneox", ".use_parallel_residual=b0 .rope.dimension_count=u2 .rope.freq_base=f500",
         "4 full (RoPE base 500 on 0.25 of each head, factor 1)"},
        {"gpt2", "", "4 full (learned positions)"},
        // without a type scaling is linear, by either name; factors 0 and 1 are none
        {"llama", ".rope.scaling.factor=f4", "4 full (RoPE base 10000, factor 4)"},
        {"llama", ".rope.scale_linear=f4", "4 full (RoPE base 10000, factor 4)"},
        {"llama", ".rope.scale_linear=f4 .rope.scaling.factor=f2",
         "4 full (RoPE base 10000, factor 2)"},
        {"llama", ".rope.scaling.type=slinear .rope.scaling.factor=f0",
         "4 full (RoPE base 10000, factor 1)"},
        {"llama", ".rope.scaling.type=snone .rope.scaling.factor=f4",
         "4 full (RoPE base 10000, factor 1)"},
        {"qwen2",
         ".rope.scaling.type=syarn .rope.scaling.factor=f4 "
         ".rope.scaling.original_context_length=u16 .rope.scaling.yarn_ext_factor=f1",
         "4 full (RoPE base 10000, yarn factor 4)"},
        {"llama", "rope_freqs.weight*4 .rope.freq_base=f500000",
         "4 full (RoPE base 500000, longrope factor 1)"},
        {"phi3",
         ".rope.scaling.original_context_length=u16 .rope.scaling.attn_factor=f1.25 "
         ".rope.dimension_count=u4 rope_factors_short.weight*2 rope_factors_long.weight*2",
         "4 full (RoPE base 10000 on 0.5 of each head, longrope factor 4)"},
        {"phi3", ".attention.sliding_window=u0", "4 full (RoPE base 10000, factor 1)"},
        {"phi3", ".attention.sliding_window=u9", "4 sliding (window 9, RoPE base 10000, factor 1)"},
        // windows by period, by a list, and absent
        {"gemma2", "",
         "2 sliding (window 4096, RoPE base 10000, factor 1), 2 full (RoPE base 10000, factor 1)"},
        {"gemma2", ".attention.sliding_window=u5 .attention.sliding_window_pattern=u1",
         "4 full (RoPE base 10000, factor 1)"},
        {"gemma3", ".rope.freq_base=f1000000 .block_count=u7 .attention.sliding_window=u5",
         "6 sliding (window 5, RoPE base 10000, factor 1), 1 full (RoPE base 1e+06, factor 1)"},
        {"gemma3", ".rope.freq_base=f1000000", "4 full (RoPE base 1e+06, factor 1)"},
        {"gemma3",
         ".rope.freq_base=f1000000 .rope.freq_base_swa=f2000 .attention.sliding_window=u5 "
         ".rope.scaling.type=slinear .rope.scaling.factor=f8 "
         ".attention.sliding_window_pattern=U0100",
         "1 sliding (window 5, RoPE base 2000, factor 1), 3 full (RoPE base 1e+06, factor 8)"},
        {"gemma3",
         ".rope.freq_base=f1000000 .attention.sliding_window=u5 "
         ".attention.sliding_window_pattern=u0",
         "4 sliding (window 5, RoPE base 10000, factor 1)"},
        {"olmo2", ".rope.freq_base=f2000", "4 full (RoPE base 2000, factor 1)"},
        {"olmo2",
         ".rope.freq_base=f2000 .attention.sliding_window=u5 .rope.scaling.type=syarn "
         ".rope.scaling.factor=f8 .rope.scaling.original_context_length=u8 "
         ".rope.scaling.yarn_attn_factor=f1.2079442",
         "3 sliding (window 5, RoPE base 2000, factor 1), 1 full (RoPE base 2000, yarn factor 8)"},
        {"olmo2",
         ".rope.freq_base=f2000 .rope.freq_base_swa=f300 .attention.sliding_window=u5 "
         ".attention.sliding_window_pattern=B1010",
         "2 sliding (window 5, RoPE base 300, factor 1), 2 full (RoPE base 2000, factor 1)"},
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_arch_config c;
        char text[256];
        assert_ok(f->ctx, parse(f, cases[i].arch, cases[i].more, &c));
        assert_string_equal(va_arch_layer_text(&c, text), cases[i].text);
        assert_string_equal(f->warning, "");
        assert_true(c.is_gguf);
    }
}

static void test_sizes(void **state) {
    static const char *const archs[] = {"llama", "qwen2",  "qwen3",  "phi3",
                                        "olmo2", "gemma2", "gemma3", "smollm3"};
    fixture *f = *state;
    va_arch_config c;
    for (int64_t i = 0; i < VA_COUNT(archs); i++) { // never the configuration class's defaults
        assert_ok(f->ctx, parse(f, archs[i], "", &c));
        assert_int_equal(c.d_head, 8);
        assert_int_equal(c.n_kv_head, 4);
        assert_int_equal(c.vocab_size, 10);
        assert_true(c.tied_embeddings);
    }
    assert_ok(f->ctx, parse(f, "qwen3",
                            ".attention.key_length=u16 .attention.value_length=u16 "
                            ".attention.head_count_kv=u2 tokenizer.ggml.bos_token_id=u7 "
                            "output.weight*32",
                            &c));
    assert_int_equal(c.d_head, 16);
    assert_int_equal(c.n_kv_head, 2);
    assert_int_equal(c.bos_id, 7);
    assert_false(c.tied_embeddings);
    assert_ok(f->ctx, parse(f, "llama", ".attention.value_length=u8", &c));
    assert_int_equal(c.d_head, 8);
    assert_ok(f->ctx, parse(f, "gpt2", ".attention.head_count_kv=u4", &c));
    assert_int_equal(c.d_ff, 48);
}

// What published files hold besides, and what is no part of the forward pass.
static void test_harmless(void **state) {
    fixture *f = *state;
    va_arch_config c;
    assert_ok(f->ctx, parse(f, "llama",
                            "general.type=smodel general.name=sMy_model general.file_type=u15 "
                            "general.quantization_version=u2 general.base_model.count=u1 "
                            "tokenizer.ggml.model=sgpt2 tokenizer.chat_template=sx "
                            "quantize.imatrix.entries_count=i32 quantize.imatrix.file=sa.dat "
                            "split.no=u0 split.count=u0 llama2.block_count=u9 "
                            ".vocab_size=u10 .rope.dimension_count=u8 .rope.scaling.finetuned=b1 "
                            ".tensor_data_layout=sMeta .attention.causal=b1 .pooling_type=u3",
                            &c));
}

// The scale of YaRN that transformers and llama.cpp both leave out.
static void test_warned(void **state) {
    fixture *f = *state;
    va_arch_config c;
    assert_ok(f->ctx, parse(f, "qwen3",
                            ".rope.scaling.type=syarn .rope.scaling.factor=f4 "
                            ".rope.scaling.original_context_length=u16 "
                            ".rope.scaling.yarn_attn_factor=f0.87824886",
                            &c));
    assert_non_null(strstr(f->warning, "qwen3.rope.scaling.yarn_attn_factor = 0.878249 is not"));
}

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_layers), TEST(test_sizes), TEST(test_harmless),
                                       TEST(test_warned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
