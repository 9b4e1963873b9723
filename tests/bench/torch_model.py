"""The model of `vkalign bench` in HF transformers: the same shape, weights, tokens, and J.

The weights are runtime/vec/random.c's numbers, written down again from its formula: number i of a
weight is 16 bits of Philox4x32-10's block i / 8 under (seed, FNV-1a of the weight's name), put on
65536 even steps about the mean and rounded to bf16.
"""

import sys

import numpy as np
import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, AutoConfig, AutoModel
from transformers.masking_utils import eager_mask

SAME_NAMES = ("gemma3_text", "llama", "qwen3")  # weights have one name and shape in both
CHUNK = 1 << 20  # blocks of eight numbers


def philox(blocks, stream, seed):
    """Philox4x32-10 of the counters (block, stream): [n, 4] uint32."""
    low = np.uint64(0xFFFFFFFF)
    c = [blocks & low, blocks >> np.uint64(32),
         np.full_like(blocks, stream & 0xFFFFFFFF), np.full_like(blocks, stream >> 32)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & low,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=1).astype(np.uint32)


def fnv1a(text):
    """64-bit FNV-1a."""
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def numbers(name, seed, first, n, mean, deviation):
    """Numbers first..first+n-1 of a weight, float32 of bf16 values."""
    unit = np.float32(np.float64(np.float32(deviation)) / np.sqrt((65536.0**2 - 1) / 12))
    out = np.empty(n, np.float32)
    begin = first // 8
    for at in range(begin, (first + n + 7) // 8, CHUNK):
        blocks = np.arange(at, min(at + CHUNK, (first + n + 7) // 8), dtype=np.uint64)
        words = philox(blocks, fnv1a(name), seed)
        halves = np.stack([words & 0xFFFF, words >> 16], axis=2).reshape(-1)
        values = np.float32(mean) + (halves.astype(np.float32) - np.float32(32767.5)) * unit
        lo, hi = max(first, at * 8), min(first + n, at * 8 + values.size)
        out[lo - first:hi - first] = values[lo - at * 8:hi - at * 8]
    return torch.from_numpy(out).to(torch.bfloat16).float()


def fill(model, config, seed, ids):
    """Gives the model vkalign's weights; of the table the rows of ids alone."""
    gemma = config.model_type.startswith("gemma")
    d = config.hidden_size
    with torch.no_grad():
        for name, p in model.named_parameters():
            full = "model." + name
            if name == "embed_tokens.weight":
                for row, i in enumerate(ids):
                    p[row] = numbers(full, seed, i * d, d, 0, 1 / np.sqrt(np.float64(d)))
            elif p.dim() == 2:
                p.copy_(numbers(full, seed, 0, p.numel(), 0,
                                1 / np.sqrt(np.float64(p.shape[1]))).view_as(p))
            else:
                mean = 0 if gemma or name.endswith("bias") else 1
                p.copy_(numbers(full, seed, 0, p.numel(), mean,
                                0.02 if name.endswith("bias") else 0.1))


# -- detached (J. R. Golden, arXiv 2505.24293) -----------------------------------------------------


class FrozenNorm(nn.Module):
    """An RMSNorm or LayerNorm whose scale is held at its value."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm
        self.centred = isinstance(norm, nn.LayerNorm)
        self.eps = getattr(norm, "variance_epsilon", getattr(norm, "eps", None))
        self.offset = 1.0 if type(norm).__name__.startswith("Gemma") else 0.0

    def forward(self, x):
        y = x - x.mean(-1, keepdim=True) if self.centred else x
        scale = torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps).detach()
        out = y * scale * (self.norm.weight + self.offset)
        return out + self.norm.bias if self.centred else out


class FrozenGate(nn.Module):
    """act(gate) of a gated MLP, held at its value; without a gate its factor act(x) / x."""

    def __init__(self, act, gated):
        super().__init__()
        self.act = act
        self.gated = gated

    def forward(self, x):
        return self.act(x).detach() if self.gated else x * (self.act(x) / x).detach()


def eager_of(module):
    """The eager attention of the module's own family."""
    return sys.modules[type(module).__module__].eager_attention_forward


def frozen_attention(module, query, key, value, *args, **kwargs):
    """Attention whose probabilities are held at their values: nothing flows through q and k."""
    return eager_of(module)(module, query.detach(), key.detach(), value, *args, **kwargs)


AttentionInterface.register("frozen", frozen_attention)
AttentionMaskInterface.register("frozen", eager_mask)


def detach(model):
    """Wraps norms and activations, and takes the frozen attention."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if "Norm" in type(child).__name__ and "Frozen" not in type(child).__name__:
                setattr(parent, name, FrozenNorm(child))
            elif name in ("act_fn", "act") and not isinstance(child, FrozenGate):
                setattr(parent, name, FrozenGate(child, hasattr(parent, "gate_proj")))
    model.set_attn_implementation("frozen")
    return model


# -- the model -------------------------------------------------------------------------------------


def config_of(doc):
    """transformers' configuration of the shape, cut to the blocks and the tokens' rows."""
    text = dict(doc["config"])
    kind, full_layers = text.pop("model_type"), text["num_hidden_layers"]
    text["num_hidden_layers"] = doc["layers"]
    text["vocab_size"] = max(doc["tokens"], 2)  # rows of the tokens alone
    config = AutoConfig.for_model(kind, **text, pad_token_id=None, bos_token_id=None,
                                  eos_token_id=None)
    config._attn_implementation = "eager"
    assert full_layers >= doc["layers"]
    return config


class Bench:
    """f: the embeddings [T, d] to norm:N@last [d]."""

    def __init__(self, doc, device, dtype):
        config = config_of(doc)
        self.same_weights = config.model_type in SAME_NAMES
        torch.manual_seed(0)
        model = AutoModel.from_config(config, attn_implementation="eager").float().eval()
        if self.same_weights:
            fill(model, config, doc["seed"], doc["ids"])
        for p in model.parameters():
            p.requires_grad_(False)
        self.model = model.to(device=device, dtype=dtype)
        ids = torch.arange(doc["tokens"], device=device)
        self.x = self.model.get_input_embeddings()(ids[None])[0].detach()

    def detach(self):
        """From now on what is detached is held at its value."""
        self.model = detach(self.model)

    def f(self, x):
        """norm:N@last of the embeddings x [T, d]."""
        return self.model(inputs_embeds=x[None], use_cache=False).last_hidden_state[0, -1]
