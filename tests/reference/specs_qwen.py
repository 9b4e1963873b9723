"""Qwen 2, 2.5 and 3."""

import functools

from specs import (ALL_TO_NORM, GLOBAL, LAST_TO_MEAN, LOCAL, LOGITS, MLP, PAIRS, Spec, current,
                   older, sizes)

Qwen2 = functools.partial(Spec, "qwen2")
Qwen3 = functools.partial(Spec, "qwen3")


def qwen2(size, dtype="float32", **keys):
    """Qwen/Qwen2.5-7B's keys."""
    return older("qwen2", "Qwen2ForCausalLM", size, dtype, **{
        "hidden_act": "silu", "max_position_embeddings": 32768, "max_window_layers": 28,
        "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072,
        "tie_word_embeddings": False, "use_sliding_window": False, **keys})


def qwen3(size, dtype="float32", **keys):
    """Qwen/Qwen3-0.6B's keys."""
    return older("qwen3", "Qwen3ForCausalLM", size, dtype, **{
        "attention_bias": False, "hidden_act": "silu", "max_position_embeddings": 40960,
        "max_window_layers": 28, "rms_norm_eps": 1e-06, "rope_scaling": None,
        "rope_theta": 1000000, "sliding_window": None, "tie_word_embeddings": True,
        "transformers_version": "4.51.0", "use_sliding_window": False, **keys})


SPECS = (
    # A window that is switched off.
    Qwen2("plain", 201, qwen2(sizes(24, 30, 3, 4, 2, None, 57), max_window_layers=1,
                              sliding_window=3), (8,), ((ALL_TO_NORM, MLP, LAST_TO_MEAN, LOGITS),),
          mutants=("window of 3", "no q, k, v bias", "tied", "kv heads tiled", "rope in pairs",
                   "default base")),
    Qwen2("window", 202, qwen2(sizes(20, 26, 4, 2, 1, None, 44), max_window_layers=2,
                               rope_theta=10000.0, sliding_window=4, tie_word_embeddings=True,
                               use_sliding_window=True), (8,),
          ((ALL_TO_NORM, "resid:2@all>attn:2@last", LAST_TO_MEAN),),
          mutants=("window + 1", "window - 1", "no window", "windows swapped")),
    # As Qwen2.5's model card has it for long texts, on smaller numbers.
    Qwen2("yarn", 203, qwen2(sizes(20, 24, 3, 2, 2, None, 44), rope_theta=1000.0,
                             rope_scaling={"factor": 4.0, "type": "yarn",
                                           "original_max_position_embeddings": 512}), (12,),
          ((ALL_TO_NORM,),), mutants=("unscaled rope", "linear rope", "magnitude 1")),
    Qwen3("plain", 204, qwen3(sizes(24, 30, 3, 4, 2, 10, 57), "bfloat16"), (7, 4),
          (PAIRS, (ALL_TO_NORM,)), dtype="bfloat16",
          mutants=("no QK norm", "rope in pairs", "kv heads tiled", "norms 1 + w")),
    # deepseek-ai/DeepSeek-R1-0528-Qwen3-8B's rope_scaling; transformers does not know attn_factor.
    Qwen3("yarn", 205, qwen3(sizes(16, 24, 3, 2, 1, 14, 44), rope_theta=1000,
                             rope_scaling={"attn_factor": 0.8782488562869419, "factor": 4.0,
                                           "original_max_position_embeddings": 512,
                                           "rope_type": "yarn"},
                             tie_word_embeddings=False), (12,), ((ALL_TO_NORM, LOGITS),),
          mutants=("unscaled rope", "linear rope", "magnitude 1", "tied")),
    Qwen3("window", 206, current("qwen3", "Qwen3ForCausalLM", sizes(16, 24, 4, 3, 1, 6, 44),
                                 attention_bias=True, hidden_act="silu",
                                 layer_types=[LOCAL, GLOBAL, LOCAL, GLOBAL],
                                 max_position_embeddings=64, max_window_layers=3,
                                 rms_norm_eps=0.02, sliding_window=3,
                                 rope_parameters={"rope_theta": 5000.0, "rope_type": "default"},
                                 tie_word_embeddings=True, use_sliding_window=True), (9,),
          ((ALL_TO_NORM, "resid:2@all>attn:2@last", MLP),),
          mutants=("window + 1", "windows swapped", "no bias", "eps 1e-6")),
)
