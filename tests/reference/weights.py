"""Random weights, scaled so that every feature shows in the logits, and how files hold them."""

import json

import numpy as np
import torch
from safetensors.torch import save_file

EMBEDDINGS = ("embed_tokens", "embed_in", "wte", "wpe")
PLAIN_UP, PLAIN_DOWN = ("mlp.c_fc.", "dense_h_to_4h."), ("mlp.c_proj.weight", "4h_to_h.weight")
QUERIES = ("q_proj", "k_proj", "qkv_proj", "c_attn", "query_key_value")

def is_norm(name):
    """Whether `name` is a norm's weight or bias, as any family calls it."""
    return "norm" in name or "ln_" in name


def draw(rng, name, shape, offset, peaked):
    """One random tensor: fan-in scaling; norms (offset + w) around 1, QK norms raised so that
    attention is peaked; without QK norms (`peaked`) q and k are larger instead."""
    value = rng.standard_normal(shape)
    fan_in = shape[0] if ".c_" in name else shape[-1]  # GPT-2's are stored [in, out]
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        value = 0.6 + 0.35 * value + (1 - offset)
    elif is_norm(name):
        value = 0.3 * value + (1 - offset if name.endswith(".weight") else 0)
    elif name.endswith(".bias"):
        # Around -2 the erf and the tanh GELU differ by the largest share of their value.
        value = 0.5 * value - (2 if any(part in name for part in PLAIN_UP) else 0)
    elif "gate_proj" in name:
        value = 1.5 * value / fan_in ** 0.5
    elif name.startswith(EMBEDDINGS) and offset == 0:
        value = 0.7 * value
    elif peaked and any(part in name for part in QUERIES):
        value = 1.5 * value / fan_in ** 0.5
    elif name.endswith(PLAIN_DOWN):
        value = 6 * value / fan_in ** 0.5
    elif len(shape) == 2:
        value = value / fan_in ** 0.5
    return torch.from_numpy(value)


def random_weights(seed, shapes, dtype, offset=1.0, peaked=False):
    """Every tensor of `shapes`, drawn in order of names, rounded to `dtype`."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return {name: draw(rng, name, shapes[name], offset, peaked).to(dtype)
            for name in sorted(shapes)}


def causal_mask(config, dtype):
    """The mask [1, 1, P, P] that older files hold for every layer."""
    longest = config.max_position_embeddings
    return torch.ones(longest, longest).tril().to(dtype).view(1, 1, longest, longest)


def gpt2_buffers(config):
    """What openai-community/gpt2's file holds besides weights."""
    return {f"h.{n}.attn.bias": causal_mask(config, torch.float32)
            for n in range(config.num_hidden_layers)}


def inverse_frequencies(base, dims):
    """rotary_emb.inv_freq [dims / 2]."""
    return 1.0 / base ** (torch.arange(0, dims, 2).float() / dims)


def llama_buffers(config):
    """What files converted before transformers 4.31 hold besides weights."""
    dims = config.hidden_size // config.num_attention_heads
    return {f"layers.{n}.self_attn.rotary_emb.inv_freq": inverse_frequencies(1e4, dims)
            for n in range(config.num_hidden_layers)}


def gpt_neox_buffers(config, mask_dtype=torch.bool):
    """What EleutherAI/pythia's files hold besides weights; masked_bias has no dimension."""
    dims = config.hidden_size // config.num_attention_heads // 4
    out = {}
    for n in range(config.num_hidden_layers):
        at = f"layers.{n}.attention."
        out[at + "bias"] = causal_mask(config, mask_dtype)
        out[at + "masked_bias"] = torch.tensor(-1e9)
        out[at + "rotary_emb.inv_freq"] = inverse_frequencies(1e4, dims)
    return out


def save_weights(folder, tensors, shards):
    """model.safetensors, or `shards` files and their index, as save_pretrained lays them out."""
    meta = {"format": "pt"}
    names = sorted(tensors)
    if shards == 1:
        save_file(tensors, str(folder / "model.safetensors"), metadata=meta)
        return
    weight_map = {}
    for s in range(shards):
        part = names[s::shards]
        file = f"model-{s + 1:05d}-of-{shards:05d}.safetensors"
        save_file({n: tensors[n] for n in part}, str(folder / file), metadata=meta)
        weight_map.update({n: file for n in part})
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
