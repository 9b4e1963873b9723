"""The random Gemma-3 models behind `tests/fixtures/gemma3-*`, one table.

config.json comes in three forms:

    older    rope_theta, rope_local_base_freq, rope_scaling, sliding_window_pattern
    between  the same rope keys, layer_types, _sliding_window_pattern
    current  layer_types, rope_parameters by layer type, dtype

`nested` puts it into the text_config of a multimodal config.
"""

import functools

from specs import ALL_TO_NORM, GLOBAL, LOCAL, sizes
from specs import Spec as AnySpec

Spec = functools.partial(AnySpec, "gemma3")

OLD_VISION = (("model.vision_tower.", "vision_tower.vision_model."), ("model.", ""))
NEW_VISION = (("model.vision_tower.", "model.vision_tower.vision_model."), ("model.", "model."))


def common(dtype_key, dtype):
    """Keys that every text-only config.json has, whatever its form."""
    return {"architectures": ["Gemma3ForCausalLM"], "attention_bias": False,
            "attention_dropout": 0.0, "attn_logit_softcapping": None, "bos_token_id": 2,
            "eos_token_id": [1, 5], "final_logit_softcapping": None,
            "hidden_activation": "gelu_pytorch_tanh", "initializer_range": 0.02,
            "max_position_embeddings": 2048, "model_type": "gemma3_text", "pad_token_id": 0,
            "query_pre_attn_scalar": 16, "rms_norm_eps": 1e-06, "sliding_window": 512,
            "use_cache": True, dtype_key: dtype}


def older(size, dtype="float32", **keys):
    """config.json as google/gemma-3-1b-it has it (transformers 4.50)."""
    base = {"cache_implementation": "hybrid", "rope_local_base_freq": 10000,
            "rope_scaling": None, "rope_theta": 1000000, "sliding_window_pattern": 6,
            "transformers_version": "4.50.0.dev0"}
    return {**common("torch_dtype", dtype), **base, **size, **keys}


def between(size, layer_types, dtype="float32", **keys):
    """config.json as google/gemma-3-270m has it (transformers 4.53 to 4.57)."""
    base = {"_sliding_window_pattern": 6, "layer_types": layer_types,
            "rope_local_base_freq": 10000.0, "rope_scaling": None, "rope_theta": 1000000.0,
            "transformers_version": "4.55.0.dev0", "use_bidirectional_attention": False}
    return {**common("torch_dtype", dtype), **base, **size, **keys}


def current(size, layer_types, dtype="float32", factor=None, theta=1e6, local=1e4, **keys):
    """config.json as transformers 5 writes it."""
    full = {"rope_theta": theta, "rope_type": "default"}
    if factor is not None:
        full = {"factor": factor, "rope_theta": theta, "rope_type": "linear"}
    base = {"_sliding_window_pattern": 6, "layer_types": layer_types,
            "rope_parameters": {GLOBAL: full,
                                LOCAL: {"rope_theta": local, "rope_type": "default"}},
            "tie_word_embeddings": True, "transformers_version": "5.23.0",
            "use_bidirectional_attention": False}
    return {**common("dtype", dtype), **base, **size, **keys}


def multimodal(dtype_key, **keys):
    """The outer part of a multimodal config.json, with a vision tower of a few hundred numbers."""
    vision = {"hidden_size": 4, "image_size": 4, "intermediate_size": 6,
              "model_type": "siglip_vision_model", "num_attention_heads": 2,
              "num_hidden_layers": 1, "patch_size": 2, "vision_use_head": False}
    return {"architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255999,
            "eoi_token_index": 256000, "eos_token_id": [1, 5], "image_token_index": 262144,
            "initializer_range": 0.02, "mm_tokens_per_image": 4, "model_type": "gemma3",
            dtype_key: "bfloat16", "vision_config": vision, **keys}


PAIRS = (ALL_TO_NORM, "embed@all>norm:1@last", "resid:1@last>resid:2@last",
         "resid:1@all>attn:1@last", "resid:1@all>mlp:1@last", "embed@all>logits@last",
         "embed@last>resid:{L}@mean")

SPECS = (
    Spec("plain", 1, older(sizes(32, 48, 3, 2, 2, 16, 100)), (7, 4),
         (PAIRS, ("resid:1@all>resid:2@all", "embed@all>resid:{L}@all")),
         mutants=("base 1e6", "rope in pairs")),
    Spec("window", 2, older(sizes(24, 40, 8, 2, 1, 8, 120), sliding_window=4,
                            query_pre_attn_scalar=8), (13, 4),
         ((ALL_TO_NORM, "resid:5@all>attn:5@last", "resid:4@all>attn:4@last",
           "embed@last>resid:{L}@mean", "resid:6@last>resid:8@last"), ()),
         mutants=("window + 1", "window - 1", "no window", "all local", "pattern shifted")),
    Spec("gqa", 3, current(sizes(24, 36, 4, 6, 3, 10, 110), [GLOBAL, LOCAL, LOCAL, GLOBAL],
                           sliding_window=3, query_pre_attn_scalar=24), (6,),
         ((ALL_TO_NORM, "resid:2@all>attn:2@last", "resid:1@last>resid:2@last"),),
         mutants=("query scalar = head_dim", "kv heads tiled", "pattern shifted", "window + 1")),
    Spec("rope", 4, older(sizes(32, 40, 4, 4, 2, 16, 128), rope_theta=500000,
                          rope_local_base_freq=20000, sliding_window_pattern=2,
                          sliding_window=6, query_pre_attn_scalar=20,
                          rope_scaling={"factor": 8.0, "rope_type": "linear"}), (12,),
         ((ALL_TO_NORM, "resid:1@all>attn:1@last", "resid:2@all>attn:2@last"),),
         mutants=("no rope factor", "rope factor everywhere", "bases swapped", "rope in pairs",
                  "default bases", "window - 1")),
    Spec("softcap", 5, current(sizes(24, 40, 3, 4, 1, 12, 101), [LOCAL, GLOBAL, LOCAL],
                               sliding_window=5, attn_logit_softcapping=1.5,
                               final_logit_softcapping=1.25, query_pre_attn_scalar=12), (8,),
         (("embed@all>logits@last", ALL_TO_NORM, "resid:1@all>attn:1@last"),),
         mutants=("no final softcap", "attn softcap")),
    Spec("bf16", 6, between(sizes(24, 40, 4, 4, 2, 8, 0), [LOCAL, GLOBAL, LOCAL, GLOBAL],
                            "bfloat16", sliding_window=5),
         ("The concept of Physical means", "The concept of Entity means", "Ünïcode 漢字 🙂"),
         ((ALL_TO_NORM, "embed@last>resid:{L}@mean"), (ALL_TO_NORM,), ()), dtype="bfloat16",
         tokenizer="tokenizer-gemma", mutants=("pattern shifted", "window - 1")),
    Spec("bf16-sharded", 7, older(sizes(32, 48, 3, 4, 1, 12, 150), "bfloat16",
                                  sliding_window_pattern=3), (6,),
         ((ALL_TO_NORM, "resid:2@all>mlp:2@last"),), dtype="bfloat16", shards=3),
    Spec("f16", 8, current(sizes(40, 56, 3, 2, 1, 14, 100), [LOCAL, LOCAL, GLOBAL], "float16",
                           factor=8.0, sliding_window=4), (6,), ((ALL_TO_NORM,),),
         dtype="float16", mutants=("no rope factor",)),
    Spec("odd", 9, older(sizes(36, 50, 3, 3, 1, 10, 131), rms_norm_eps=0.05,
                         sliding_window_pattern=3, sliding_window=3), (5, 1),
         ((ALL_TO_NORM, "resid:1@all>resid:3@all"),
          (ALL_TO_NORM, "resid:1@last>resid:2@last")),
         mutants=("eps 1e-6", "window + 1")),
    Spec("bias", 10, older(sizes(24, 36, 3, 2, 1, 12, 100), attention_bias=True,
                           sliding_window_pattern=2), (6,),
         ((ALL_TO_NORM, "resid:1@all>attn:1@last"),), mutants=("no bias",)),
    Spec("untied", 11, current(sizes(24, 36, 3, 2, 2, 10, 101), [LOCAL, GLOBAL, LOCAL],
                               tie_word_embeddings=False, query_pre_attn_scalar=10), (5,),
         (("embed@all>logits@last", ALL_TO_NORM),), mutants=("tied",)),
    # As sparse as google/gemma-3-4b-it's: 8 heads, 4 kv heads, head_dim 256, scalar 256, both
    # bases, eps and the pattern of 6 come from defaults.
    Spec("nested", 12, {"hidden_size": 8, "intermediate_size": 24, "model_type": "gemma3_text",
                        "num_hidden_layers": 6, "sliding_window": 4, "vocab_size": 120,
                        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}, (8,),
         ((ALL_TO_NORM, "embed@last>resid:{L}@mean"),), dtype="bfloat16",
         prefix="language_model.model.", others=OLD_VISION,
         nested=multimodal("torch_dtype", transformers_version="4.50.0.dev0"),
         mutants=("no rope factor", "all local", "window + 1")),
    Spec("nested-prefix", 13,
         {k: v for k, v in current(sizes(24, 32, 3, 2, 1, 12, 120), [LOCAL, GLOBAL, LOCAL],
                                   "bfloat16", factor=8.0, sliding_window=3).items()
          if k not in ("architectures", "transformers_version")}, (7,), ((ALL_TO_NORM,),),
         dtype="bfloat16", prefix="model.language_model.", others=NEW_VISION,
         nested=multimodal("dtype", tie_word_embeddings=True, transformers_version="5.23.0"),
         mutants=("no rope factor", "window + 1")),
)
