"""OLMo 2 and 3: norms after attention and MLP alone, QK norm over the full width."""

from specs import (ALL_TO_NORM, GLOBAL, LAST_TO_MEAN, LOCAL, LOGITS, MLP, PAIRS, Spec, current,
                   older, sizes)


def olmo(version, size, **keys):
    """allenai/OLMo-2-0425-1B's keys."""
    return older(f"olmo{version}", f"Olmo{version}ForCausalLM", size, **{
        "attention_bias": False, "hidden_act": "silu", "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 500000,
        "tie_word_embeddings": False, **keys})


SPECS = (
    Spec("olmo2", "plain", 401, olmo(2, sizes(24, 30, 3, 4, 2, None, 57)), (8,),
         (PAIRS + (LOGITS,),),
         mutants=("no QK norm", "QK norm by head", "kv heads tiled", "rope in pairs", "tied",
                  "default base", "norms first")),
    Spec("olmo2", "bias", 402, olmo(2, sizes(20, 26, 3, 2, 2, None, 44), attention_bias=True,
                                    rms_norm_eps=0.05, rope_theta=10000.0), (6,),
         ((ALL_TO_NORM,),), mutants=("no bias", "eps 1e-6", "QK norm by head")),
    # allenai/Olmo-3-7B's keys: YaRN on the full layers alone.
    Spec("olmo3", "plain", 403,
         olmo(3, sizes(16, 24, 4, 4, 2, 10, 44), layer_types=[LOCAL, LOCAL, LOCAL, GLOBAL],
              max_position_embeddings=512, sliding_window=4,
              rope_scaling={"attention_factor": 1.2079441541679836, "beta_fast": 32.0,
                            "beta_slow": 1.0, "factor": 8.0, "rope_type": "yarn",
                            "original_max_position_embeddings": 64}), (11,),
         ((ALL_TO_NORM, "resid:3@all>attn:3@last", LOGITS),),
         mutants=("full rope everywhere", "unscaled frequencies", "magnitude 1", "window + 1",
                  "pattern shifted", "QK norm by head")),
    Spec("olmo3", "current", 404,
         current("olmo3", "Olmo3ForCausalLM", sizes(16, 24, 4, 2, 1, None, 44),
                 attention_bias=False, hidden_act="silu", layer_types=[LOCAL, GLOBAL] * 2,
                 max_position_embeddings=512, rms_norm_eps=1e-06, sliding_window=3,
                 rope_parameters={GLOBAL: {"rope_theta": 20000.0, "rope_type": "default"},
                                  LOCAL: {"rope_theta": 50.0, "rope_type": "default"}},
                 tie_word_embeddings=False), (8,), ((ALL_TO_NORM, LAST_TO_MEAN, MLP),),
         mutants=("full rope everywhere", "bases swapped", "windows swapped")),
)
