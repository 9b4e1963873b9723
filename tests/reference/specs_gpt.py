"""GPT-2 and GPT-NeoX (Pythia): LayerNorm, biases, plain GELUs, fused q, k, v."""

import functools

import torch

from specs import ALL_TO_NORM, ATTN, LAST_TO_MEAN, LOGITS, MLP, Spec, older
from weights import gpt2_buffers, gpt_neox_buffers

ALL_TO_MLP = "resid:1@all>mlp:1@last"


def gpt2(d, layers, heads, vocab, **keys):
    """openai-community/gpt2's keys."""
    return {"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"],
            "attn_pdrop": 0.1, "bos_token_id": 1, "embd_pdrop": 0.1, "eos_token_id": 1,
            "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2",
            "n_ctx": 16, "n_embd": d, "n_head": heads, "n_layer": layers, "n_positions": 16,
            "resid_pdrop": 0.1, "summary_activation": None, "summary_first_dropout": 0.1,
            "summary_proj_to_labels": True, "summary_type": "cls_index",
            "summary_use_proj": True, "vocab_size": vocab,
            "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
            **keys}


def neox(d, ff, layers, heads, vocab, **keys):
    """EleutherAI/pythia-160m's keys."""
    size = {"hidden_size": d, "intermediate_size": ff, "num_attention_heads": heads,
            "num_hidden_layers": layers, "vocab_size": vocab}
    out = older("gpt_neox", "GPTNeoXForCausalLM", size, "float16", **{
        "hidden_act": "gelu", "layer_norm_eps": 1e-05, "max_position_embeddings": 16,
        "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": False,
        "transformers_version": "4.24.0", "use_parallel_residual": True, "bos_token_id": 0,
        "eos_token_id": 0, **keys})
    del out["attention_dropout"]
    return out


def neox_bytes(config):
    """The same buffers with masks of one byte instead of bool."""
    return gpt_neox_buffers(config, torch.uint8)


GPT2 = functools.partial(Spec, "gpt2")
NeoX = functools.partial(Spec, "gpt_neox", prefix="gpt_neox.", head="embed_out.weight")

SPECS = (
    # The names of openai-community/gpt2's own file, and its mask buffers.
    GPT2("plain", 801, gpt2(18, 3, 3, 50), (8, 16), ((ALL_TO_NORM, ATTN, MLP, LAST_TO_MEAN), ()),
         prefix="", buffers=gpt2_buffers,
         mutants=("no bias", "no q, k, v bias", "no norm bias", "RMS norm", "no positions",
                  "positions shifted", "q, k, v by head", "o_proj not transposed", "erf GELU",
                  "SiLU")),
    # What save_pretrained writes; an MLP of another width, another eps, another GELU.
    GPT2("prefix", 812, gpt2(16, 3, 2, 44, activation_function="gelu", layer_norm_epsilon=0.05,
                             n_inner=36, reorder_and_upcast_attn=False,
                             scale_attn_by_inverse_layer_idx=False, scale_attn_weights=True,
                             torch_dtype="float32", transformers_version="4.40.0", use_cache=True),
         (6,), ((ALL_TO_NORM, ALL_TO_MLP, LOGITS),), prefix="transformer.",
         mutants=("eps 1e-6", "tanh GELU", "no bias")),
    # Heads of 16, a quarter of which is rotated.
    NeoX("plain", 901, neox(32, 48, 3, 2, 57), (7,),
         ((ALL_TO_NORM, MLP, LAST_TO_MEAN, LOGITS),), dtype="float16",
         buffers=gpt_neox_buffers,
         mutants=("serial", "q, k, v in thirds", "whole heads rotated", "no bias",
                  "frequencies over head_dim", "rope in pairs", "tanh GELU", "RMS norm", "tied",
                  "no norm bias")),
    NeoX("serial", 902, neox(18, 26, 3, 3, 44, attention_bias=True, layer_norm_eps=0.02,
                             rotary_emb_base=500, rotary_pct=0.7, torch_dtype="float32",
                             transformers_version="4.40.0", use_parallel_residual=False), (6,),
         ((ALL_TO_NORM, ATTN, MLP),), buffers=neox_bytes,
         mutants=("parallel", "q, k, v in thirds", "default base", "eps 1e-6",
                  "whole heads rotated")),
    NeoX("no-attention-bias", 903, neox(18, 26, 3, 3, 44, attention_bias=False, rotary_pct=1.0,
                                        hidden_act="gelu_new", torch_dtype="float32"), (6,),
         ((ALL_TO_NORM, ATTN),), mutants=("no bias", "erf GELU", "rope in pairs")),
)
