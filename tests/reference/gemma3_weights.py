"""Random weights for a Gemma-3 text model, scaled so that every feature shows in the logits."""

import json

import numpy as np
import torch
from safetensors.torch import save_file


def text_shapes(config):
    """Name without prefix -> shape, for a transformers Gemma3TextConfig."""
    d, ff, e = config.hidden_size, config.intermediate_size, config.head_dim
    q, kv = config.num_attention_heads * e, config.num_key_value_heads * e
    shapes = {"embed_tokens.weight": (config.vocab_size, d), "norm.weight": (d,)}
    for n in range(config.num_hidden_layers):
        at = f"layers.{n}."
        for name, rows, cols in (("q", q, d), ("k", kv, d), ("v", kv, d), ("o", d, q)):
            shapes[f"{at}self_attn.{name}_proj.weight"] = (rows, cols)
            if config.attention_bias:
                shapes[f"{at}self_attn.{name}_proj.bias"] = (rows,)
        for name, rows, cols in (("gate", ff, d), ("up", ff, d), ("down", d, ff)):
            shapes[f"{at}mlp.{name}_proj.weight"] = (rows, cols)
        for name in ("q_norm", "k_norm"):
            shapes[f"{at}self_attn.{name}.weight"] = (e,)
        for name in ("input", "post_attention", "pre_feedforward", "post_feedforward"):
            shapes[f"{at}{name}_layernorm.weight"] = (d,)
    if not config.tie_word_embeddings:
        shapes["lm_head.weight"] = (config.vocab_size, d)
    return shapes


def draw(rng, name, shape):
    """One random tensor: fan-in scaling; norms around 0, QK norms raised so attention is peaked."""
    value = rng.standard_normal(shape)
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        value = 0.6 + 0.35 * value
    elif "norm" in name:
        value = 0.3 * value
    elif name.endswith(".bias"):
        value = 0.5 * value
    elif "gate_proj" in name:
        value = 1.5 * value / shape[1] ** 0.5
    elif len(shape) == 2:
        value = value / shape[1] ** 0.5
    return torch.from_numpy(value)


def random_weights(seed, shapes, dtype):
    """Every tensor of `shapes`, drawn in order of names, rounded to `dtype`."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return {name: draw(rng, name, shapes[name]).to(dtype) for name in sorted(shapes)}


def vision_weights(seed, config, dtype):
    """Names and values of a whole tiny vision tower and projector, to be ignored by a reader."""
    v, d = config.vision_config, config.text_config.hidden_size
    h, ff, p = v.hidden_size, v.intermediate_size, v.patch_size
    tower, layer = "vision_tower.vision_model.", "vision_tower.vision_model.encoder.layers.0."
    shapes = {f"{tower}embeddings.patch_embedding.weight": (h, 3, p, p),
              f"{tower}embeddings.patch_embedding.bias": (h,),
              f"{tower}embeddings.position_embedding.weight": ((v.image_size // p) ** 2, h),
              f"{layer}mlp.fc1.weight": (ff, h), f"{layer}mlp.fc1.bias": (ff,),
              f"{layer}mlp.fc2.weight": (h, ff), f"{layer}mlp.fc2.bias": (h,),
              "multi_modal_projector.mm_input_projection_weight": (h, d),
              "multi_modal_projector.mm_soft_emb_norm.weight": (h,)}
    for name in ("layer_norm1", "layer_norm2"):
        shapes[f"{layer}{name}.weight"] = shapes[f"{layer}{name}.bias"] = (h,)
    for name in ("q", "k", "v", "out"):
        shapes[f"{layer}self_attn.{name}_proj.weight"] = (h, h)
        shapes[f"{layer}self_attn.{name}_proj.bias"] = (h,)
    for kind in ("weight", "bias"):
        shapes[f"{tower}post_layernorm.{kind}"] = (h,)
    return random_weights(seed, shapes, dtype)


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
