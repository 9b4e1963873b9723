"""Write tests/fixtures/gguf-models: small GGUF models, and what they must compute.

    python tests/reference/make_gguf_models.py      # after make_families.py

`FAMILY-NAME.gguf` without a file of values beside it is tests/fixtures/FAMILY-NAME in float32, so
its values are those of that folder; transformers' own GGUF loader, where it knows the architecture,
must find the folder's model in it. The others have `NAME.safetensors` as make_families.py writes it,
computed by transformers, for quantised ones from the weights that its loader dequantises.
"""

import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import LlamaFileType, get_tensor_name_map
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
from transformers.utils import logging as hf_logging

import gguf_convert
import hf_model
from families import shape_of
from fixture_files import FIXTURES, fixture_dir, relative_error, write_json, write_tensors
from gguf_blocks import pack
from make_families import expected
from specs import Spec, older, sizes
from weights import random_weights

FOLDERS = ("llama-plain", "llama-llama3", "llama-smollm2", "llama-bias", "mistral-nemo",
           "qwen2-plain", "qwen2-yarn", "qwen3-plain", "qwen3-yarn", "phi3-mini", "phi3-mini4",
           "olmo2-plain", "olmo3-plain", "olmo3-current", "gemma2-plain",
           "gemma3-window", "gemma3-rope", "gpt2-plain", "gpt_neox-plain", "gpt_neox-serial")
NOT_IN_LOADER = ("olmo2", "olmo3", "gpt_neox", "smollm3")  # of transformers 5.23
LOADER_TOLERANCE = 1e-6
# Of the config that transformers makes of the metadata, keys that are not the folder's.
NOT_COMPARED = ("model_type", "_model_name_or_path", "architectures", "bos_token_id",
                "eos_token_id")


def load_gguf(path, config):
    """The file's tensors as transformers' loader reads them, under a config."""
    if config.model_type == "mistral":  # the same arrays by the same names
        keys = {k: v for k, v in config.to_dict().items() if k != "model_type"}
        config = AutoConfig.for_model("llama", **keys)
    if config.model_type.startswith("gemma"):
        config.query_pre_attn_scalar = gguf_convert.head_dim(config)
    return AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, config=config, dtype=torch.float32,
        attn_implementation="eager").eval()


def check_metadata(path, config):
    """Hold what transformers reads out of the metadata to the config."""
    read = load_gguf_checkpoint(str(path))["config"]
    assert len(read) >= 8, read
    for key, value in read.items():
        if key in NOT_COMPARED or (key == "n_ctx" and config.n_positions == value):
            continue
        want = getattr(config, key, None)
        if key == "rope_theta":
            want = config.rope_parameters.get("full_attention", config.rope_parameters)[key]
        if key == "head_dim":
            want = gguf_convert.head_dim(config)
        if key == "feed_forward_length":
            want = 4 * config.hidden_size
        assert value == want or abs(value - want) < 1e-6 * abs(want), (path.name, key, value, want)


def check_loader(path, folder):
    """Hold the file, as transformers reads it, to the folder."""
    config = AutoConfig.from_pretrained(folder).get_text_config()
    if config.model_type in NOT_IN_LOADER:
        return
    check_metadata(path, config)
    ids = torch.arange(3, 14)[None]
    with torch.no_grad():
        want = hf_model.load(folder).eval()(ids).logits
        got = load_gguf(path, config)(ids).logits
    error = relative_error(got, want)
    print(f"  {error:.1e}")
    assert error < LOADER_TOLERANCE, path.name


# -- with values of their own ------------------------------------------------------------------------

COMMON = {"max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0}


def llama_q8_0():
    """Llama with a vocabulary, all matrices Q8_0."""
    keys = older("llama", "LlamaForCausalLM", sizes(64, 96, 2, 4, 2, None, 424),
                 hidden_act="silu", tie_word_embeddings=False, **COMMON)
    return keys, lambda name: Type.Q8_0, LlamaFileType.MOSTLY_Q8_0


def qwen2_q4_0():
    """Qwen 2, Q4_0; the unembedding Q8_0, other dtypes here and there."""
    keys = older("qwen2", "Qwen2ForCausalLM", sizes(64, 96, 2, 4, 1, None, 32), hidden_act="silu",
                 tie_word_embeddings=False, **COMMON)
    kinds = {"output.weight": Type.Q8_0, "blk.0.attn_k.weight": Type.BF16,
             "blk.1.ffn_up.weight": Type.F16}
    return keys, lambda name: kinds.get(name, Type.Q4_0), LlamaFileType.MOSTLY_Q4_0


def gemma2_q8_0():
    """Gemma 2, whose table of embeddings is the unembedding, Q8_0; widths that are 32's multiples."""
    keys = older("gemma2", "Gemma2ForCausalLM", sizes(64, 96, 3, 2, 1, 32, 32),
                 attn_logit_softcapping=1.5, final_logit_softcapping=1.25,
                 hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=32,
                 sliding_window=3, tie_word_embeddings=True, **COMMON)
    return keys, lambda name: Type.Q4_0 if "ffn" in name else Type.Q8_0, LlamaFileType.MOSTLY_Q8_0


def phi3_q4_0():
    """Phi 3: q, k, v, and gate and up, are rows of one quantised tensor."""
    keys = older("phi3", "Phi3ForCausalLM", sizes(64, 96, 2, 4, 2, None, 32), hidden_act="silu",
                 original_max_position_embeddings=128, pad_token_id=3, sliding_window=None,
                 tie_word_embeddings=False, **COMMON)
    return keys, lambda name: Type.Q4_0, LlamaFileType.MOSTLY_Q4_0


def llama_k():
    """Llama, 256 wide, with the mixture that llama.cpp calls Q4_K_M."""
    keys = older("llama", "LlamaForCausalLM", sizes(256, 256, 2, 8, 1, None, 32),
                 hidden_act="silu", tie_word_embeddings=False, **COMMON)
    kinds = {"output.weight": Type.Q6_K, "token_embd.weight": Type.Q5_K,
             "blk.0.attn_v.weight": Type.Q6_K, "blk.0.attn_q.weight": Type.Q5_K,
             "blk.1.attn_k.weight": Type.Q6_K, "blk.1.ffn_down.weight": Type.Q5_K}
    return keys, lambda name: kinds.get(name, Type.Q4_K), LlamaFileType.MOSTLY_Q4_K_M


def smollm3():
    """SmolLM 3 in float32; GGUF's readers know by heart that the fourth layer rotates nothing."""
    keys = older("smollm3", "SmolLM3ForCausalLM", sizes(24, 36, 4, 3, 1, None, 32),
                 hidden_act="silu", no_rope_layer_interval=4, pad_token_id=4, sliding_window=None,
                 tie_word_embeddings=True, use_sliding_window=False,
                 **{**COMMON, "rope_theta": 5000.0})
    return keys, None, LlamaFileType.ALL_F32


TO_NORM, TO_LOGITS = ("embed@all>norm:{L}@last",), ("embed@all>logits@last",)
OWN = (("llama-q8_0", 1001, llama_q8_0, TO_NORM), ("qwen2-q4_0", 1002, qwen2_q4_0, TO_LOGITS),
       ("gemma2-q8_0", 1003, gemma2_q8_0, TO_LOGITS), ("phi3-q4_0", 1004, phi3_q4_0, TO_LOGITS),
       ("llama-q4_k_m", 1005, llama_k, TO_LOGITS), ("smollm3-f32", 1006, smollm3, TO_LOGITS))
WITH_VOCABULARY, VOCABULARY = "llama-q8_0", FIXTURES / "tokenizer-llama3" / "tokenizer.json"
TEXTS = (" Entity means", "The concept of Physical means 123.")


def draw(config, seed):
    """Random weights by transformers' names."""
    shape = shape_of(config)
    drawn = random_weights(seed, hf_model.tensor_shapes(config), torch.float32, shape.norm_offset,
                           peaked=shape.qk_norm is None)
    return {name if name == "lm_head.weight" else "model." + name: tensor
            for name, tensor in drawn.items()}


def in_gguf(config, weights, seed, kind_of):
    """{name in GGUF: tensor, or (bytes, type) of matrices if `kind_of` tells types}."""
    names = get_tensor_name_map(gguf_convert.ARCHS[config.model_type], config.num_hidden_layers)
    rng = np.random.Generator(np.random.PCG64(seed + 1))
    out = {}
    for name, tensor in weights.items():
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        tensor = gguf_convert.modified(config, name, tensor).contiguous()
        out[new] = pack(kind_of(new), rng, tensor) if kind_of and tensor.dim() == 2 else tensor
    return out


def model_of(config, weights):
    """transformers' model with these weights."""
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32,
                                             attn_implementation="eager").eval()
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    return model


def add_vocabulary(writer):
    """tokenizer.ggml.*"""
    gguf_convert.add_byte_bpe(writer, VOCABULARY, "llama-bpe", "<|begin|>", "<|end|>")


def prompts_of(name, seed, vocab, folder):
    """Ids of every prompt; of texts where the model has a vocabulary."""
    if name != WITH_VOCABULARY:
        generator = torch.Generator().manual_seed(seed)
        return [torch.randint(3, vocab, (4,), generator=generator)]
    tokenizer = Tokenizer.from_file(str(VOCABULARY))
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    write_json(folder / f"{name}.prompts.json",
               [{"text": t, "ids": i} for t, i in zip(TEXTS, ids)])
    return [torch.tensor(i) for i in ids]


def make_own(folder, name, seed, build, pairs):
    """One model and its values."""
    print(name)
    keys, kind_of, file_type = build()
    config = AutoConfig.for_model(keys.pop("model_type"), **keys)
    path = folder / f"{name}.gguf"
    weights = draw(config, seed)
    gguf_convert.write(path, config, in_gguf(config, weights, seed, kind_of), file_type,
                       add_vocabulary if name == WITH_VOCABULARY else None)
    if config.model_type == "llama":
        check_metadata(path, config)
    prompts = prompts_of(name, seed, config.vocab_size, folder)
    spec = Spec(config.model_type, name, seed, keys, (), (pairs,) + ((),) * (len(prompts) - 1))
    model = load_gguf(path, config) if kind_of else model_of(config, weights)
    write_tensors(folder / f"{name}.safetensors", expected(spec, model, prompts))


def main():
    """Write the folder."""
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    torch.set_num_threads(2)
    folder = fixture_dir("gguf-models")
    for name in FOLDERS:
        print(name)
        gguf_convert.convert(FIXTURES / name, folder / f"{name}.gguf")
        check_loader(folder / f"{name}.gguf", FIXTURES / name)
    for item in OWN:
        make_own(folder, *item)


if __name__ == "__main__":
    main()
