// GGUF metadata and tensors that make no configuration, and what each is told.
// libs: va_arch
// SPDX-License-Identifier: Apache-2.0
#include "arch_gguf_case.h"

typedef struct refusal {
    const char *arch, *more;
    va_status code;
    const char *message;
} refusal;

static void check_refused(fixture *f, const refusal *cases, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        va_arch_config c;
        assert_error(f->ctx, cases[i].code, cases[i].message,
                     parse(f, cases[i].arch, cases[i].more, &c));
        assert_non_null(strstr(va_error_message(f->ctx), "t.gguf: "));
    }
}

static void test_missing(void **state) {
    static const refusal cases[] = {
        {"llama", "general.architecture=-", VA_ERR_FORMAT,
         "general.architecture: expected a string, got nothing"},
        {"llama", "general.architecture=u1", VA_ERR_FORMAT, "a string, got UINT32"},
        {"mamba", "", VA_ERR_UNSUPPORTED,
         "architecture 'mamba' is not supported, expected one of llama, qwen2, qwen3, phi3, olmo2, "
         "gemma2, gemma3, smollm3, gpt2, gptneox"},
        {"llama", ".block_count=-", VA_ERR_FORMAT,
         "llama.block_count: expected an integer from 1 to 4096, got nothing"},
        {"llama", ".embedding_length=-", VA_ERR_FORMAT, "llama.embedding_length: expected"},
        {"llama", ".attention.head_count=-", VA_ERR_FORMAT, "llama.attention.head_count: expected"},
        {"llama", ".feed_forward_length=-", VA_ERR_FORMAT, "llama.feed_forward_length: expected"},
        {"llama", ".context_length=-", VA_ERR_FORMAT, "llama.context_length: expected"},
        {"llama", ".attention.layer_norm_rms_epsilon=-", VA_ERR_FORMAT,
         "llama.attention.layer_norm_rms_epsilon: expected a number above 0, got nothing"},
        {"gpt2", ".attention.layer_norm_epsilon=-", VA_ERR_FORMAT,
         "gpt2.attention.layer_norm_epsilon: expected"},
        {"gptneox", "", VA_ERR_FORMAT,
         "gptneox.use_parallel_residual: expected true or false, got nothing"},
        {"llama", "token_embd.weight*32", VA_ERR_FORMAT,
         "tensor token_embd.weight: expected a matrix"},
        {"qwen2", ".rope.scaling.type=syarn .rope.scaling.factor=f4", VA_ERR_FORMAT,
         "qwen2.rope.scaling.original_context_length: expected a number with yarn, got nothing"},
        {"phi3", ".rope.scaling.type=slongrope", VA_ERR_FORMAT,
         "tensor rope_factors_short.weight: expected a vector of 4 F32, one for each rotating "
         "pair, got 0 elements of nothing"},
    };
    check_refused(*state, cases, VA_COUNT(cases));
}

static void test_kinds(void **state) {
    static const refusal cases[] = {
        {"llama", ".block_count=s4", VA_ERR_FORMAT,
         "llama.block_count: expected an integer from 1 "
         "to 4096, got '4'"},
        {"llama", ".block_count=u4097", VA_ERR_FORMAT, "to 4096, got 4097"},
        {"llama", ".block_count=i-1", VA_ERR_FORMAT, "to 4096, got -1"},
        {"llama", ".attention.head_count=u0", VA_ERR_FORMAT, "to 65536, got 0"},
        {"llama", ".attention.head_count_kv=U4411", VA_ERR_FORMAT, "got ARRAY of UINT32"},
        {"llama", ".feed_forward_length=f48", VA_ERR_FORMAT, "got 48"},
        {"llama", ".attention.head_count=u5", VA_ERR_FORMAT, "a divisor of embedding_length"},
        {"llama", ".rope.freq_base=f0", VA_ERR_FORMAT,
         "llama.rope.freq_base: expected a number above 0, got 0"},
        {"llama", ".rope.freq_base=fnan", VA_ERR_FORMAT, "got FLOAT32"},
        {"llama", ".rope.scaling.type=u1", VA_ERR_UNSUPPORTED,
         "llama.rope.scaling.type: expected none, linear, yarn or longrope, got 1"},
        {"llama", ".rope.scaling.type=sdynamic", VA_ERR_UNSUPPORTED, "longrope, got 'dynamic'"},
        {"llama", ".rope.scaling.factor=f-2", VA_ERR_FORMAT, "a number of at least 0, got -2"},
        {"llama", ".attention.causal=u1", VA_ERR_UNSUPPORTED, "attention.causal: expected true"},
        {"gemma2", ".attn_logit_softcapping=f0", VA_ERR_FORMAT,
         "gemma2.attn_logit_softcapping: expected a number above 0, got 0"},
        {"gemma2", ".attention.sliding_window=u0", VA_ERR_FORMAT,
         "gemma2.attention.sliding_window: expected an integer from 1 to 2147483647, got 0"},
        {"gemma2", ".attention.sliding_window_pattern=B101", VA_ERR_FORMAT,
         "gemma2.attention.sliding_window_pattern: expected one for each of 4 blocks, got 3"},
        {"gemma3", ".attention.sliding_window=u3 .attention.sliding_window_pattern=B10101",
         VA_ERR_FORMAT, "for each of 4 blocks, got 5"},
        {"gemma2", ".attention.sliding_window_pattern=sx", VA_ERR_FORMAT,
         "expected a period, or a list, got 'x'"},
        {"gemma2", ".attention.sliding_window_pattern=i-2", VA_ERR_FORMAT, "a list, got -2"},
    };
    check_refused(*state, cases, VA_COUNT(cases));
}

static void test_unsupported(void **state) {
    static const refusal cases[] = {
        {"llama", ".expert_count=u8", VA_ERR_UNSUPPORTED,
         "llama.expert_count: unknown key, which may change the forward pass; refused"},
        {"llama", ".attention.sliding_window=u4096", VA_ERR_UNSUPPORTED,
         "llama.attention.sliding_window: unknown key"},
        {"qwen2", ".attention.sliding_window=u4096", VA_ERR_UNSUPPORTED,
         "qwen2.attention.sliding_window: unknown key"},
        {"llama", ".final_logit_softcapping=f30", VA_ERR_UNSUPPORTED,
         "llama.final_logit_softcapping: unknown key"},
        {"gpt2", ".rope.freq_base=f500", VA_ERR_UNSUPPORTED, "gpt2.rope.freq_base: unknown key"},
        {"llama", ".attention.key_length=u8 .attention.value_length=u16", VA_ERR_UNSUPPORTED,
         "llama.attention.value_length: expected the width of the keys, got 16"},
        {"llama", ".attention.value_length=u16", VA_ERR_UNSUPPORTED, "of the keys, got 16"},
        {"gpt2", ".attention.head_count_kv=u2", VA_ERR_UNSUPPORTED,
         "gpt2.attention.head_count_kv: expected as in attention.head_count, got 2"},
        {"llama", ".attention.causal=b0", VA_ERR_UNSUPPORTED,
         "llama.attention.causal: expected true, got false"},
        {"llama", ".rope.dimension_count=u4", VA_ERR_UNSUPPORTED,
         "llama.rope.dimension_count: expected the width of a head, got 4"},
        {"phi3", ".rope.dimension_count=u16", VA_ERR_UNSUPPORTED, "of a head, got 16"},
        {"gemma2", ".rope.freq_base_swa=f500", VA_ERR_UNSUPPORTED,
         "gemma2.rope.freq_base_swa: expected the same as rope.freq_base, got 500"},
        // scales of attention that nothing explains
        {"llama", ".rope.scaling.attn_factor=f1.5", VA_ERR_UNSUPPORTED,
         "llama.rope.scaling.attn_factor: expected 1 without factors in tensors, got 1.5"},
        {"qwen3",
         ".rope.scaling.type=syarn .rope.scaling.factor=f4 "
         ".rope.scaling.original_context_length=u16 .rope.scaling.yarn_attn_factor=f1",
         VA_ERR_UNSUPPORTED,
         "qwen3.rope.scaling.yarn_attn_factor: expected 0.1 ln(factor) + 1 with yarn"},
        {"qwen3", ".rope.scaling.yarn_attn_factor=f1.2", VA_ERR_UNSUPPORTED, "got 1.2"},
        {"qwen3", ".rope.scaling.yarn_ext_factor=f0.5", VA_ERR_UNSUPPORTED,
         "yarn_ext_factor: expected 1, got 0.5"},
        {"qwen3", ".rope.scaling.yarn_log_multiplier=f0.1", VA_ERR_UNSUPPORTED,
         "qwen3.rope.scaling.yarn_log_multiplier: unknown key"},
    };
    check_refused(*state, cases, VA_COUNT(cases));
}

static void test_tensors(void **state) {
    static const refusal cases[] = {
        {"llama", "rope_freqs.weight*3", VA_ERR_FORMAT,
         "tensor rope_freqs.weight: expected a vector of 4 F32, one for each rotating pair, got 3 "
         "elements of F32"},
        {"phi3", "rope_factors_short.weight*4", VA_ERR_FORMAT,
         "tensor rope_factors_long.weight: expected a vector of 4 F32"},
        {"qwen2", "rope_freqs.weight*4", VA_ERR_UNSUPPORTED,
         "factors of frequencies in tensors are not supported for qwen2"},
        {"llama", "rope_freqs.weight*4 .rope.scaling.factor=f2", VA_ERR_UNSUPPORTED,
         "llama.rope.scaling.factor: expected no scaling besides factors in tensors, got 2"},
        {"llama", "blk.4.attn_norm.weight*32", VA_ERR_UNSUPPORTED,
         "tensor blk.4.attn_norm.weight: not a part of llama as far as is known; refused"},
        {"llama", "blk.0.attn_norm.bias*32", VA_ERR_UNSUPPORTED, "tensor blk.0.attn_norm.bias"},
        {"llama", "blk.0.attn_q_norm.weight*8", VA_ERR_UNSUPPORTED, "blk.0.attn_q_norm.weight"},
        {"llama", "blk.1.attn_q.bias*32", VA_ERR_UNSUPPORTED, "tensor blk.1.attn_q.bias"},
        {"llama", "blk.0.attn_output.bias*32", VA_ERR_UNSUPPORTED, "blk.0.attn_output.bias"},
        {"qwen2", "output.bias*10", VA_ERR_UNSUPPORTED, "tensor output.bias"},
        {"llama", "blk.0.attn_q.scale*1", VA_ERR_UNSUPPORTED, "tensor blk.0.attn_q.scale"},
        {"llama", "blk.0.ffn_gate_inp.weight*32", VA_ERR_UNSUPPORTED, "blk.0.ffn_gate_inp.weight"},
        {"phi3", "blk.0.attn_q.weight*32", VA_ERR_UNSUPPORTED, "tensor blk.0.attn_q.weight"},
        {"llama", "position_embd.weight*32", VA_ERR_UNSUPPORTED, "tensor position_embd.weight"},
        {"llama", "cls.weight*32", VA_ERR_UNSUPPORTED, "tensor cls.weight"},
    };
    fixture *f = *state;
    va_arch_config c;
    check_refused(f, cases, VA_COUNT(cases));
    assert_ok(f->ctx, parse(f, "llama",
                            "blk.0.attn_q.bias*32 blk.3.attn_output.bias*32 blk.0.ffn_up.bias*48 "
                            "blk.3.ffn_down.bias*32 output_norm.weight*32",
                            &c));
    assert_ok(f->ctx, parse(f, "qwen2", "blk.1.attn_v.bias*32 blk.3.ffn_norm.weight*32", &c));
    assert_ok(f->ctx, parse(f, "gpt2", "position_embd.weight*32 blk.0.attn_norm.bias*32", &c));
    assert_ok(f->ctx, parse(f, "qwen3", "blk.0.attn_q_norm.weight*8", &c));
}

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_missing), TEST(test_kinds), TEST(test_unsupported),
                                       TEST(test_tensors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
