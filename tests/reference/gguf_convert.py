"""A transformers checkpoint as a GGUF file, the way llama.cpp's converter lays it out.

Names of tensors are the gguf package's own map of transformers' names. What the file's readers take
for granted (Gemma's score scale by head width) and the checkpoint has otherwise is folded into the
weights, so that the function stays the same.
"""

import json
import math

import numpy as np
import torch
from gguf import (MODEL_ARCH, MODEL_ARCH_NAMES, GGUFWriter, LlamaFileType, RopeScalingType,
                  TokenType, get_tensor_name_map)
from safetensors.torch import load_file
from transformers import AutoConfig

ARCHS = {"llama": MODEL_ARCH.LLAMA, "mistral": MODEL_ARCH.LLAMA, "qwen2": MODEL_ARCH.QWEN2,
         "qwen3": MODEL_ARCH.QWEN3, "phi3": MODEL_ARCH.PHI3, "olmo2": MODEL_ARCH.OLMO2,
         "olmo3": MODEL_ARCH.OLMO2, "gemma2": MODEL_ARCH.GEMMA2,
         "gemma3_text": MODEL_ARCH.GEMMA3, "smollm3": MODEL_ARCH.SMOLLM3,
         "gpt2": MODEL_ARCH.GPT2, "gpt_neox": MODEL_ARCH.GPTNEOX}
PAIRED = ("llama", "mistral", "smollm3")  # q and k in the order of the original Llama
NO_WEIGHTS = (".attn.bias", ".masked_bias", ".attention.bias", ".rotary_emb.inv_freq")


def head_dim(config):
    """The width of a head."""
    own = getattr(config, "head_dim", None)
    return own or config.hidden_size // config.num_attention_heads


# -- metadata ----------------------------------------------------------------------------------------


def add_sizes(writer, config):
    """What every family has."""
    family = config.model_type
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    if family == "gpt2":
        writer.add_feed_forward_length(4 * config.hidden_size)
    else:
        writer.add_feed_forward_length(config.intermediate_size)
    if family in ("gpt2", "gpt_neox"):
        writer.add_layer_norm_eps(getattr(config, "layer_norm_epsilon", None)
                                  or config.layer_norm_eps)
        return
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if getattr(config, "head_dim", None) and family != "phi3":
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)


def add_scaling(writer, params):
    """rope.scaling.* of one entry of rope_parameters; Llama 3's and LongRoPE's factors are tensors."""
    kind = params.get("rope_type", "default")
    if kind == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(params["factor"])
    elif kind == "yarn":
        writer.add_rope_scaling_type(RopeScalingType.YARN)
        writer.add_rope_scaling_factor(params["factor"])
        writer.add_rope_scaling_orig_ctx_len(params["original_max_position_embeddings"])
        for key, add in (("attention_factor", writer.add_rope_scaling_yarn_attn_factor),
                         ("beta_fast", writer.add_rope_scaling_yarn_beta_fast),
                         ("beta_slow", writer.add_rope_scaling_yarn_beta_slow)):
            if params.get(key) is not None:
                add(params[key])
        if "attention_factor" not in params and "attn_factor" in params:
            writer.add_rope_scaling_yarn_attn_factor(params["attn_factor"])
    else:
        assert kind in ("default", "llama3", "longrope"), kind


def add_rope(writer, config):
    """rope.*"""
    family = config.model_type
    params = config.rope_parameters
    full = params.get("full_attention", params)
    if family == "gpt_neox":
        writer.add_rope_dimension_count(int(full.get("partial_rotary_factor", 1.0)
                                            * head_dim(config)))
        if full["rope_theta"] != 10000:  # the converter drops it, all readers know it
            writer.add_rope_freq_base(full["rope_theta"])
        return
    writer.add_rope_freq_base(full["rope_theta"])
    if "sliding_attention" in params:
        writer.add_rope_freq_base_swa(params["sliding_attention"]["rope_theta"])
    if family == "phi3":
        writer.add_rope_scaling_orig_ctx_len(config.original_max_position_embeddings)
        part = full.get("partial_rotary_factor", 1.0)
        writer.add_rope_dimension_count(int(part * config.hidden_size)
                                        // config.num_attention_heads)
        if "long_factor" in full:
            scale = config.max_position_embeddings / config.original_max_position_embeddings
            given = full.get("attention_factor")
            writer.add_rope_scaling_attn_factors(given if given else math.sqrt(
                1 + math.log(scale) / math.log(config.original_max_position_embeddings)))
        return
    if family in PAIRED:
        writer.add_rope_dimension_count(head_dim(config))
    add_scaling(writer, full)


def add_windows(writer, config):
    """attention.sliding_window and, where it is not what readers assume, its pattern."""
    family = config.model_type
    if family == "phi3":
        writer.add_sliding_window(config.sliding_window or 0)
    elif family in ("gemma2", "gemma3_text", "olmo3"):
        writer.add_sliding_window(config.sliding_window)
        period = {"gemma2": 2, "gemma3_text": 6, "olmo3": 0}[family]
        slides = [kind == "sliding_attention" for kind in config.layer_types]
        if period == 0 or slides != [n % period < period - 1 for n in range(len(slides))]:
            writer.add_sliding_window_pattern(slides)


def add_metadata(writer, config):
    """Every key of the architecture."""
    family = config.model_type
    add_sizes(writer, config)
    if family != "gpt2":
        add_rope(writer, config)
    add_windows(writer, config)
    if family in PAIRED:
        writer.add_vocab_size(config.vocab_size)
    if family == "gpt_neox":
        writer.add_parallel_residual(config.use_parallel_residual)
    if family == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
    if family.startswith("gemma") and config.final_logit_softcapping:
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def add_byte_bpe(writer, tokenizer_json, pre, bos, eos):
    """A vocabulary of tokenizer.json with BPE on bytes, which puts texts between bos and eos; `pre`
    is llama.cpp's name for its splits."""
    data = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    vocab = {**data["model"]["vocab"], **{t["content"]: t["id"] for t in data["added_tokens"]}}
    special = {t["content"] for t in data["added_tokens"] if t["special"]}
    tokens = sorted(vocab, key=vocab.get)
    assert sorted(vocab.values()) == list(range(len(tokens)))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if t in special else TokenType.NORMAL
                            for t in tokens])
    writer.add_token_merges([" ".join(m) if isinstance(m, list) else m
                             for m in data["model"]["merges"]])
    writer.add_bos_token_id(vocab[bos])
    writer.add_eos_token_id(vocab[eos])
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)


# -- tensors -----------------------------------------------------------------------------------------


def paired(tensor, heads):
    """Rows of each head's halves interleaved: 0, e/2, 1, e/2 + 1, ..."""
    e = tensor.shape[0] // heads
    return tensor.view(heads, 2, e // 2, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)


def in_thirds(tensor, heads):
    """GPT-NeoX's q, k, v by head as all q, all k, all v."""
    e = tensor.shape[0] // heads // 3
    return tensor.view(heads, 3, e, *tensor.shape[1:]).transpose(0, 1).reshape(tensor.shape)


def score_factor(config):
    """What Gemma's queries are multiplied by so that scores are those of 1 / sqrt(head_dim)."""
    if not config.model_type.startswith("gemma"):
        return 1.0
    return math.sqrt(head_dim(config) / config.query_pre_attn_scalar)


def modified(config, name, tensor):
    """A tensor in the layout of GGUF."""
    family, stem = config.model_type, name.rsplit(".", 1)[0]
    if family in PAIRED and stem.endswith("q_proj"):
        return paired(tensor, config.num_attention_heads)
    if family in PAIRED and stem.endswith("k_proj"):
        return paired(tensor, config.num_key_value_heads)
    if family == "gpt_neox" and stem.endswith("query_key_value"):
        return in_thirds(tensor, config.num_attention_heads)
    if family == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return tensor.T
    if family.startswith("gemma") and name.endswith("norm.weight"):
        tensor = tensor + 1
    last = "q_norm" if family == "gemma3_text" else "q_proj"
    return tensor * score_factor(config) if stem.endswith(last) else tensor


def frequency_factors(config):
    """rope_freqs.weight of Llama 3: what frequencies are divided by."""
    params = config.rope_parameters
    dims, trained = head_dim(config), params["original_max_position_embeddings"]
    low, high = params["low_freq_factor"], params["high_freq_factor"]
    out = []
    for i in range(0, dims, 2):
        wave = 2 * math.pi * params["rope_theta"] ** (i / dims)
        smooth = min(max((trained / wave - low) / (high - low), 0.0), 1.0)
        out.append(1 / ((1 - smooth) / params["factor"] + smooth))
    return out


def extra_tensors(config):
    """Tensors that no checkpoint has."""
    params = getattr(config, "rope_parameters", None) or {}
    if params.get("rope_type") == "llama3":
        yield "rope_freqs.weight", torch.tensor(frequency_factors(config))
    if params.get("rope_type") == "longrope":
        yield "rope_factors_long.weight", torch.tensor(params["long_factor"]).float()
        yield "rope_factors_short.weight", torch.tensor(params["short_factor"]).float()


def tensors(config, folder):
    """{name in GGUF: float32 tensor} of a folder with one file of weights."""
    names = get_tensor_name_map(ARCHS[config.model_type], config.num_hidden_layers)
    out = dict(extra_tensors(config))
    for name, tensor in load_file(folder / "model.safetensors").items():
        if name.endswith(NO_WEIGHTS):
            continue
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert new, name
        out[new] = modified(config, name, tensor.float()).contiguous()
    return out


def write(path, config, weights, file_type=LlamaFileType.ALL_F32, more=None):
    """One GGUF file. `weights`: name -> float32 tensor, or (packed rows, their type)."""
    writer = GGUFWriter(str(path), MODEL_ARCH_NAMES[ARCHS[config.model_type]])
    writer.add_type("model")
    writer.add_name(path.stem)
    add_metadata(writer, config)
    writer.add_file_type(file_type)
    writer.add_quantization_version(2)
    if more:
        more(writer)
    for name, value in weights.items():
        if isinstance(value, tuple):
            writer.add_tensor(name, value[0], raw_dtype=value[1])
        else:
            writer.add_tensor(name, value.numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def convert(folder, path):
    """The folder's model in float32."""
    config = AutoConfig.from_pretrained(folder).get_text_config()
    write(path, config, tensors(config, folder))
    return config
