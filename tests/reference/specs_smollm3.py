"""SmolLM 3: some layers without rotary embedding."""

from specs import ALL_TO_NORM, ATTN, GLOBAL, LAST_TO_MEAN, MLP, Spec, older, sizes


def smollm3(size, **keys):
    """HuggingFaceTB/SmolLM3-3B's keys."""
    return older("smollm3", "SmolLM3ForCausalLM", size, **{
        "attention_bias": False, "hidden_act": "silu", "max_position_embeddings": 65536,
        "max_window_layers": 28, "mlp_bias": False, "no_rope_layer_interval": 4,
        "pad_token_id": 4, "pretraining_tp": 2, "rms_norm_eps": 1e-06, "rope_scaling": None,
        "rope_theta": 5000000.0, "sliding_window": None, "transformers_version": "4.54.0",
        "use_sliding_window": False, **keys})


SPECS = (
    Spec("smollm3", "plain", 701,
         smollm3(sizes(24, 30, 4, 4, 2, None, 57), layer_types=[GLOBAL] * 4,
                 no_rope_layers=[1, 0, 1, 0]), (8,),
         ((ALL_TO_NORM, ATTN, "resid:2@last>mlp:2@last", LAST_TO_MEAN),),
         mutants=("rope everywhere", "rope inverted", "rope in pairs", "default base",
                  "kv heads tiled")),
    # No lists: every third layer is without rotary embedding, and those are the ones that slide.
    Spec("smollm3", "interval", 702,
         smollm3(sizes(20, 26, 4, 2, 1, None, 44), no_rope_layer_interval=3, sliding_window=3,
                 rope_theta=10000.0, tie_word_embeddings=False, use_sliding_window=True,
                 attention_bias=True, mlp_bias=True), (9,),
         ((ALL_TO_NORM, MLP),),
         mutants=("rope everywhere", "rope inverted", "window + 1", "windows swapped",
                  "no window", "no mlp bias", "tied")),
)
