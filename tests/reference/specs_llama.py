"""Llama 2 and 3 and what shares their config: SmolLM 1 and 2."""

import functools

from specs import ALL_TO_NORM, ATTN, LAST_TO_MEAN, LOGITS, MLP, PAIRS, Spec, current, older, sizes
from weights import llama_buffers

Llama = functools.partial(Spec, "llama")
old = functools.partial(older, "llama", "LlamaForCausalLM")
new = functools.partial(current, "llama", "LlamaForCausalLM")

# As meta-llama/Llama-3.2-1B has it; `trained` so small that waves fall on both sides and between.
LLAMA3 = {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
          "original_max_position_embeddings": 40, "rope_type": "llama3"}

SPECS = (
    # No rope_theta, no head_dim, no *_bias: meta-llama/Llama-2-7b-hf's keys, and its old buffers.
    Llama("plain", 101, old(sizes(24, 30, 3, 4, 2, None, 61), "float16", hidden_act="silu",
                            max_position_embeddings=4096, pretraining_tp=1, rms_norm_eps=1e-05,
                            rope_scaling=None, tie_word_embeddings=False,
                            transformers_version="4.31.0.dev0"), (8, 5),
          (PAIRS + (LOGITS,), ()), dtype="float16", buffers=llama_buffers,
          mutants=("tied", "kv heads tiled", "rope in pairs", "base 1e6", "norms 1 + w")),
    Llama("llama3", 102, old(sizes(16, 24, 4, 4, 2, 10, 50), attention_bias=False,
                             eos_token_id=[2, 8, 9], hidden_act="silu", mlp_bias=False,
                             max_position_embeddings=320, pretraining_tp=1, rms_norm_eps=1e-05,
                             rope_scaling=LLAMA3, rope_theta=500.0, tie_word_embeddings=True,
                             transformers_version="4.45.0.dev0"), (12,),
          ((ALL_TO_NORM, MLP, LAST_TO_MEAN),),
          mutants=("unscaled rope", "linear rope", "no ramp", "trained length doubled",
                   "default base", "rope in pairs")),
    Llama("bias", 103, old(sizes(18, 26, 3, 3, 1, 10, 50), attention_bias=True, hidden_act="silu",
                           max_position_embeddings=2048, mlp_bias=True, pretraining_tp=1,
                           rms_norm_eps=0.05, rope_scaling=None, rope_theta=10000.0,
                           tie_word_embeddings=False, transformers_version="4.45.0"), (7,),
          ((ALL_TO_NORM, "resid:1@all>mlp:1@last"),),
          mutants=("no bias", "no mlp bias", "eps 1e-6")),
    Llama("linear", 104, old(sizes(20, 26, 3, 2, 1, None, 44), hidden_act="silu",
                             max_position_embeddings=64, pretraining_tp=1, rms_norm_eps=1e-06,
                             rope_scaling={"factor": 3.0, "type": "linear"},
                             tie_word_embeddings=False), (9,), ((ALL_TO_NORM,),),
          mutants=("unscaled rope",)),
    # One prompt as long as max_position_embeddings, one longer.
    Llama("dynamic", 105, old(sizes(16, 26, 3, 2, 2, 8, 44), hidden_act="silu",
                              max_position_embeddings=5, rms_norm_eps=1e-06,
                              rope_scaling={"factor": 4.0, "type": "dynamic"}, rope_theta=100.0,
                              tie_word_embeddings=True), (5, 12),
          ((ATTN,), (ALL_TO_NORM,)),
          mutants=("unscaled rope", "linear rope", "trained length doubled")),
    Llama("yarn", 106, new(sizes(16, 24, 3, 2, 1, 12, 44), attention_bias=False,
                           hidden_act="silu", max_position_embeddings=256, mlp_bias=False,
                           pretraining_tp=1, rms_norm_eps=1e-06, tie_word_embeddings=False,
                           rope_parameters={"beta_fast": 4.0, "beta_slow": 1.0, "factor": 4.0,
                                            "mscale": 1.0, "mscale_all_dim": 0.25,
                                            "original_max_position_embeddings": 64,
                                            "rope_theta": 100.0, "rope_type": "yarn",
                                            "truncate": False}), (11,),
          ((ALL_TO_NORM, ATTN),),
          mutants=("unscaled rope", "linear rope", "magnitude 1", "default betas",
                   "ramp not truncated")),
    # HuggingFaceTB/SmolLM2-135M's keys.
    Llama("smollm2", 107, old(sizes(24, 32, 3, 3, 1, None, 44), "bfloat16", attention_bias=False,
                              hidden_act="silu", is_llama_config=True,
                              max_position_embeddings=8192, mlp_bias=False, pretraining_tp=1,
                              rms_norm_eps=1e-05, rope_interleaved=False, rope_scaling=None,
                              rope_theta=100000, tie_word_embeddings=True), (6,),
          ((ALL_TO_NORM, MLP, LAST_TO_MEAN),), dtype="bfloat16", mutants=("rope in pairs",)),
)
