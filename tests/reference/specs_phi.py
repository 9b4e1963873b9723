"""Phi 3 and 4: fused q, k, v and fused gate and up."""

import functools

from specs import ALL_TO_NORM, LAST_TO_MEAN, LOGITS, MLP, Spec, current, older, sizes

Phi = functools.partial(Spec, "phi3")


def phi(size, dtype="float32", **keys):
    """What microsoft/Phi-3-mini-4k-instruct, phi-4 and Phi-4-mini-instruct have in common."""
    return older("phi3", "Phi3ForCausalLM", size, dtype, **{
        "attention_bias": False, "embd_pdrop": 0.0, "hidden_act": "silu",
        "original_max_position_embeddings": 4096, "pad_token_id": 3, "resid_pdrop": 0.0,
        "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 10000.0,
        "tie_word_embeddings": False, **keys})


def longrope(short, long):
    """rope_scaling as microsoft wrote it: no factor, no original length."""
    return {"long_factor": long, "short_factor": short, "type": "longrope"}


SPECS = (
    Phi("mini", 501, phi(sizes(24, 30, 3, 4, 4, None, 57), max_position_embeddings=4096,
                         sliding_window=3), (8,), ((ALL_TO_NORM, MLP, LAST_TO_MEAN, LOGITS),),
        mutants=("window + 1", "no window", "gate and up swapped", "q, k, v by head", "tied",
                 "rope in pairs")),
    Phi("phi4", 502, phi(sizes(20, 30, 3, 2, 1, None, 50), max_position_embeddings=16384,
                         original_max_position_embeddings=16384, rope_theta=250000,
                         sliding_window=None), (6,), ((ALL_TO_NORM, MLP),),
        mutants=("window of 3", "default base", "gate and up swapped")),
    # Phi-3-mini-128k's form; one prompt as long as the original length, one longer.
    Phi("mini-long", 503, phi(sizes(20, 30, 3, 2, 2, None, 50), max_position_embeddings=160,
                              original_max_position_embeddings=5, rope_theta=100.0,
                              rope_scaling=longrope([1.0, 1.25, 1.5, 2.0, 2.5],
                                                    [1.5, 2.5, 4.0, 9.0, 20.0]),
                              sliding_window=262144), (5, 9), ((), (ALL_TO_NORM,)),
        mutants=("unscaled rope", "magnitude 1", "long factors always", "short factors always",
                 "trained length doubled")),
    # Three quarters of 8 dimensions: 6 are rotated.
    Phi("mini4", 514, phi(sizes(24, 32, 3, 3, 1, None, 44), max_position_embeddings=192,
                          full_attn_mod=1, interpolate_factor=1, lm_head_bias=False,
                          mlp_bias=False, original_max_position_embeddings=6,
                          partial_rotary_factor=0.75, rope_theta=100.0, sliding_window=262144,
                          rope_scaling=longrope([1, 1.5, 2.5], [1.25, 4.5, 18.0]),
                          tie_word_embeddings=True), (5, 10),
        ((), (ALL_TO_NORM, MLP, LAST_TO_MEAN)),
        mutants=("unscaled rope", "magnitude 1", "long factors always", "short factors always",
                 "frequencies over head_dim", "rope in pairs")),
    Phi("current", 505, current("phi3", "Phi3ForCausalLM", sizes(24, 28, 3, 3, 3, None, 44),
                                attention_bias=False, embd_pdrop=0.0, hidden_act="silu",
                                max_position_embeddings=128, original_max_position_embeddings=6,
                                pad_token_id=3, resid_pdrop=0.0, rms_norm_eps=1e-05,
                                rope_parameters={"attention_factor": 1.5,
                                                 "long_factor": [1.25, 4.5],
                                                 "original_max_position_embeddings": 6,
                                                 "partial_rotary_factor": 0.5,
                                                 "rope_theta": 100.0, "rope_type": "longrope",
                                                 "short_factor": [1.0, 2.0]},
                                sliding_window=None, tie_word_embeddings=False), (7,),
        ((ALL_TO_NORM, LAST_TO_MEAN),),
        mutants=("magnitude 1", "short factors always", "frequencies over head_dim")),
)
