"""Gemma 2: both softcaps, every other layer local."""

import functools

from specs import ALL_TO_NORM, GLOBAL, LAST_TO_MEAN, LOCAL, MLP, Spec, current, older, sizes

Gemma2 = functools.partial(Spec, "gemma2")
LOGITS = "resid:1@all>logits@last"  # past the final softcap, from all positions

COMMON = {"attention_bias": False, "cache_implementation": "hybrid", "eos_token_id": 1,
          "bos_token_id": 2, "hidden_activation": "gelu_pytorch_tanh", "pad_token_id": 0,
          "max_position_embeddings": 8192, "rms_norm_eps": 1e-06}

SPECS = (
    # google/gemma-2-2b's keys: no layer_types, and a hidden_act that nobody reads.
    Gemma2("plain", 601, older("gemma2", "Gemma2ForCausalLM", sizes(20, 30, 3, 4, 2, 10, 44),
                               **{**COMMON, "attn_logit_softcapping": 1.5,
                                  "final_logit_softcapping": 1.25, "hidden_act": "silu",
                                  "query_pre_attn_scalar": 14, "rope_theta": 10000.0,
                                  "sliding_window": 3}), (7,),
           ((ALL_TO_NORM, MLP, LAST_TO_MEAN, LOGITS),),
           mutants=("no attn softcap", "no final softcap", "query scalar = head_dim",
                    "windows swapped", "window + 1", "no embedding scale", "norms w", "SiLU",
                    "kv heads tiled", "base 1e6")),
    Gemma2("current", 602, current("gemma2", "Gemma2ForCausalLM", sizes(16, 24, 4, 2, 1, 14, 44),
                                   **{**COMMON, "attn_logit_softcapping": None,
                                      "final_logit_softcapping": None,
                                      "layer_types": [LOCAL, GLOBAL, GLOBAL, LOCAL],
                                      "query_pre_attn_scalar": 14, "sliding_window": 4,
                                      "rope_parameters": {"rope_theta": 300.0,
                                                          "rope_type": "default"},
                                      "tie_word_embeddings": True}), (9,), ((ALL_TO_NORM,),),
           mutants=("windows swapped", "window - 1", "default base")),
)
