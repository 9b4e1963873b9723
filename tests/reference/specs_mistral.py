"""Mistral, Ministral and Ministral 3 (text alone)."""

import functools

from specs import (ALL_TO_NORM, GLOBAL, LAST_TO_MEAN, LOCAL, LOGITS, MLP, Spec, current, older,
                   sizes)

Mistral = functools.partial(Spec, "mistral")


def mistral(size, dtype="float32", architecture="MistralForCausalLM", **keys):
    """mistralai/Mistral-7B-v0.1's keys."""
    return older("mistral", architecture, size, dtype, **{
        "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": False, **keys})


SPECS = (
    Mistral("window", 301, mistral(sizes(24, 30, 3, 4, 2, None, 57), sliding_window=3), (9, 3),
            ((ALL_TO_NORM, LAST_TO_MEAN, LOGITS), ()),
            mutants=("window + 1", "window - 1", "no window", "kv heads tiled", "tied")),
    # mistralai/Mistral-Nemo-Base-2407: heads wider than d / H, no window.
    Mistral("nemo", 302, mistral(sizes(16, 24, 3, 4, 2, 14, 44), head_dim=14,
                                 max_position_embeddings=1024000, rope_theta=1000000.0,
                                 sliding_window=None), (6,), ((ALL_TO_NORM, MLP),),
            mutants=("window of 3", "rope in pairs", "default base")),
    # AutoConfig takes mistral with layer_types for ministral.
    Mistral("layer-types", 303, mistral(sizes(16, 24, 4, 2, 1, 8, 50),
                                        architecture="MinistralForCausalLM",
                                        layer_types=[GLOBAL, LOCAL, LOCAL, GLOBAL],
                                        sliding_window=4), (8,), ((ALL_TO_NORM,),),
            mutants=("window + 1", "no window", "window of 3", "windows swapped")),
    Spec("ministral", "plain", 304,
         current("ministral", "MinistralForCausalLM", sizes(16, 24, 4, 4, 2, 6, 44),
                 hidden_act="silu", layer_types=[GLOBAL, LOCAL, LOCAL, LOCAL],
                 max_position_embeddings=32768, rms_norm_eps=1e-05,
                 rope_parameters={"rope_theta": 100000.0, "rope_type": "default"},
                 sliding_window=3, tie_word_embeddings=False), (8,),
         ((ALL_TO_NORM, "resid:2@all>attn:2@last", LOGITS),),
         mutants=("window + 1", "window - 1", "all local", "pattern shifted")),
    # mistralai/Ministral-3-3B's text_config; queries grow every 5 tokens instead of 16384.
    Spec("ministral3", "plain", 305,
         current("ministral3", "Ministral3ForCausalLM", sizes(16, 24, 3, 4, 2, 10, 44),
                 hidden_act="silu", max_position_embeddings=80, rms_norm_eps=1e-05,
                 rope_parameters={"beta_fast": 1.0, "beta_slow": 0.25, "factor": 16.0,
                                  "llama_4_scaling_beta": 0.5, "mscale": 1.0,
                                  "mscale_all_dim": 1.0, "original_max_position_embeddings": 5,
                                  "rope_theta": 50.0, "rope_type": "yarn", "type": "yarn"},
                 sliding_window=None, tie_word_embeddings=True), (13,),
         ((ALL_TO_NORM, LAST_TO_MEAN),),
         mutants=("no query growth", "unscaled rope", "linear rope", "magnitude by factor",
                  "default betas")),
    # The form of its released files: a multimodal Mistral3Config around the text_config.
    Spec("ministral3", "nested", 306,
         {"attention_dropout": 0.0, "hidden_act": "silu", "initializer_range": 0.02,
          "max_position_embeddings": 64, "model_type": "ministral3", "rms_norm_eps": 1e-05,
          "rope_parameters": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 4.0,
                              "llama_4_scaling_beta": 0.1, "mscale": 1.0, "mscale_all_dim": 1.0,
                              "original_max_position_embeddings": 16, "rope_theta": 1000.0,
                              "rope_type": "yarn", "type": "yarn"},
          "sliding_window": None, "tie_word_embeddings": False, "use_cache": True,
          **sizes(16, 24, 3, 2, 1, 10, 44)}, (7,), ((ALL_TO_NORM, LOGITS),), dtype="bfloat16",
         prefix="language_model.model.", head="language_model.lm_head.weight",
         nested={"architectures": ["Mistral3ForConditionalGeneration"], "dtype": "bfloat16",
                 "image_token_index": 10, "model_type": "mistral3",
                 "multimodal_projector_bias": False, "projector_hidden_act": "gelu",
                 "spatial_merge_size": 2, "tie_word_embeddings": False,
                 "transformers_version": "5.0.0.dev0", "vision_feature_layer": -1,
                 "vision_config": {"head_dim": 4, "hidden_act": "silu", "hidden_size": 8,
                                   "image_size": 4, "intermediate_size": 6,
                                   "model_type": "pixtral", "num_attention_heads": 2,
                                   "num_channels": 3, "num_hidden_layers": 1, "patch_size": 2}},
         mutants=("unscaled rope", "tied", "rope in pairs")),
)
