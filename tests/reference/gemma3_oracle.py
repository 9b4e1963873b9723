"""Gemma 3's text model in float64, differentiable in the modes `exact` and `detached`.

Written from the architecture, not from transformers: no step leaves the dtype of the weights.
`make_gemma3.py` holds its forward pass to transformers' own in float32.

    block(h) = h' + post_ff_norm(mlp(pre_ff_norm(h'))),  h' = h + post_attn_norm(attn(norm(h)))
    norm(x)  = x / sqrt(mean(x^2) + eps) * (1 + w)

Shapes: T tokens, d width, H query heads, K key/value heads, e head_dim.
"""

import dataclasses
import math

import torch
import torch.nn.functional as F


@dataclasses.dataclass(frozen=True)
class Shape:
    """What the forward pass needs to know of a config; rope = {layer type: (base, factor)}."""

    n_layers: int
    n_heads: int
    n_kv: int
    head_dim: int
    eps: float
    query_scalar: float
    window: int
    layer_types: tuple
    rope: dict
    attn_softcap: float | None
    final_softcap: float | None
    activation: str = "gelu_pytorch_tanh"


def shape_of(config, attn_softcap=None):
    """Read a transformers Gemma3TextConfig.

    transformers ignores attn_logit_softcapping for Gemma 3, so it is an argument here.
    """
    rope = {}
    for kind, params in config.rope_parameters.items():
        assert params["rope_type"] in ("default", "linear"), params
        rope[kind] = (float(params["rope_theta"]), float(params.get("factor", 1.0)))
    return Shape(
        n_layers=config.num_hidden_layers, n_heads=config.num_attention_heads,
        n_kv=config.num_key_value_heads, head_dim=config.head_dim, eps=config.rms_norm_eps,
        query_scalar=config.query_pre_attn_scalar, window=config.sliding_window,
        layer_types=tuple(config.layer_types), rope=rope, attn_softcap=attn_softcap,
        final_softcap=config.final_logit_softcapping, activation=config.hidden_activation)


def rotate(x, base, factor):
    """Rotary embedding of x [H, T, e]: pairs (i, i + e/2), angle t / factor * base^(-2i/e)."""
    half = x.shape[-1] // 2
    power = torch.arange(half, dtype=x.dtype) / half
    angle = torch.arange(x.shape[1], dtype=x.dtype)[:, None] / factor * base ** -power
    cos, sin = angle.cos(), angle.sin()
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def visible(n_tokens, kind, window):
    """Mask [T, T]: query i sees keys j with j <= i and, in a local layer, j > i - window."""
    i = torch.arange(n_tokens)[:, None]
    j = torch.arange(n_tokens)[None, :]
    mask = j <= i
    return mask & (j > i - window) if kind == "sliding_attention" else mask


class Oracle:
    """The model as plain functions of the residual stream h [T, d]."""

    def __init__(self, shape, weights, mode="exact"):
        """`weights`: name without prefix (`layers.0.mlp.up_proj.weight`) -> float64 tensor."""
        assert mode in ("exact", "detached")
        self.shape, self.weights, self.mode = shape, weights, mode

    def with_mode(self, mode):
        """The same model in another differentiation mode."""
        return Oracle(self.shape, self.weights, mode)

    def frozen(self, x):
        """x, or x cut off from differentiation in detached mode."""
        return x.detach() if self.mode == "detached" else x

    def norm(self, x, name):
        """RMS norm over the last axis with weight 1 + w."""
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.shape.eps)
        return x * self.frozen(scale) * (1.0 + self.weights[name + ".weight"])

    def linear(self, x, name):
        """x W^T (+ bias where the model has one)."""
        return F.linear(x, self.weights[name + ".weight"], self.weights.get(name + ".bias"))

    def softcap(self, x, cap):
        """cap * tanh(x / cap), as the product of x with a factor that detached mode freezes."""
        if cap is None:
            return x
        ratio = x / cap
        factor = torch.where(ratio == 0, torch.ones_like(ratio), torch.tanh(ratio) / ratio)
        return x * self.frozen(factor) if self.mode == "detached" else cap * torch.tanh(ratio)

    def heads(self, x, name, count):
        """Project x [T, d] to [count, T, e]."""
        return self.linear(x, name).view(x.shape[0], count, self.shape.head_dim).transpose(0, 1)

    def probabilities(self, x, n):
        """Attention probabilities [H, T, T] of block n at normed input x."""
        s, at = self.shape, f"layers.{n}.self_attn."
        kind = s.layer_types[n]
        q = rotate(self.norm(self.heads(x, at + "q_proj", s.n_heads), at + "q_norm"), *s.rope[kind])
        k = rotate(self.norm(self.heads(x, at + "k_proj", s.n_kv), at + "k_norm"), *s.rope[kind])
        k = k.repeat_interleave(s.n_heads // s.n_kv, dim=0)
        scores = self.softcap(q @ k.transpose(1, 2) / math.sqrt(s.query_scalar), s.attn_softcap)
        scores = scores.masked_fill(~visible(x.shape[0], kind, s.window), -math.inf)
        return torch.softmax(scores, dim=-1)

    def attention(self, x, n):
        """Attention output [T, d] of block n at normed input x, before the post norm."""
        s, at = self.shape, f"layers.{n}.self_attn."
        v = self.heads(x, at + "v_proj", s.n_kv).repeat_interleave(s.n_heads // s.n_kv, dim=0)
        mixed = self.frozen(self.probabilities(x, n)) @ v
        return self.linear(mixed.transpose(0, 1).reshape(x.shape[0], -1), at + "o_proj")

    def mlp(self, x, n):
        """Gated MLP of block n; detached mode freezes act(gate)."""
        assert self.shape.activation == "gelu_pytorch_tanh"
        at = f"layers.{n}.mlp."
        gate = F.gelu(self.linear(x, at + "gate_proj"), approximate="tanh")
        return self.linear(self.frozen(gate) * self.linear(x, at + "up_proj"), at + "down_proj")

    def block(self, h, n):
        """Return what block n's attention and MLP add to the stream, (attn, mlp)."""
        at = f"layers.{n}."
        attn = self.attention(self.norm(h, at + "input_layernorm"), n)
        attn = self.norm(attn, at + "post_attention_layernorm")
        mlp = self.mlp(self.norm(h + attn, at + "pre_feedforward_layernorm"), n)
        return attn, self.norm(mlp, at + "post_feedforward_layernorm")

    def embed(self, ids):
        """resid:0: embedding rows times sqrt(d)."""
        table = self.weights["embed_tokens.weight"]
        return table[ids] * math.sqrt(table.shape[1])

    def logits(self, h):
        """Unembedding of the final norm of h, softcapped."""
        head = self.weights.get("lm_head.weight", self.weights["embed_tokens.weight"])
        return self.softcap(F.linear(self.norm(h, "norm"), head), self.shape.final_softcap)

    def sites(self, h, start=0):
        """All sites from residual stream h entering block `start`: {(name, n): [T, width]}."""
        out = {("resid", start): h}
        for n in range(start, self.shape.n_layers):
            attn, mlp = self.block(h, n)
            h = h + attn + mlp
            out.update({("attn", n): attn, ("mlp", n): mlp, ("resid", n + 1): h})
        for n in range(start, self.shape.n_layers + 1):
            out["norm", n] = self.norm(out["resid", n], "norm")
        out["logits", self.shape.n_layers] = self.logits(h)
        return out
