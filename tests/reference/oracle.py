"""Decoder-only transformers in float64, differentiable in the modes `exact` and `detached`.

Written from the architectures, not from transformers: no step leaves the dtype of the weights.
`make_families.py` holds its forward pass to transformers' own in float32.

    serial block     h' = h + post(attn(pre(h))),  h' + post(mlp(pre(h')))
    parallel block   h + attn(pre(h)) + mlp(pre'(h))

where a family has each of the norms pre and post or has not. Tensors have one family's names
(Llama's), whatever the file says: see families.py.

Shapes: T tokens, d width, H query heads, K key/value heads, e head_dim.
"""

import dataclasses
import math

import torch
import torch.nn.functional as F

from rope import rotate


@dataclasses.dataclass(frozen=True)
class Norms:
    """Names of a block's norms; None: the family has none there."""

    pre_attn: str | None
    post_attn: str | None
    pre_mlp: str | None
    post_mlp: str | None


@dataclasses.dataclass(frozen=True)
class Shape:
    """What the forward pass needs to know of a config."""

    n_layers: int
    n_heads: int
    n_kv: int
    head_dim: int
    eps: float
    activation: str
    norms: Norms
    windows: tuple                      # per layer: how many keys a query sees; None: all
    ropes: tuple                        # per layer: Rope, or None
    query_scalar: float                 # scores are divided by its square root
    layer_norm: bool = False            # LayerNorm instead of RMS norm
    norm_offset: float = 0.0            # norms multiply by offset + w
    qk_norm: str | None = None          # "head": over e; "full": over all heads at once
    gated: bool = True                  # down(act(gate) * up) instead of down(act(up))
    parallel: bool = False
    embed_scale: float = 1.0
    attn_softcap: float | None = None
    final_softcap: float | None = None
    query_growth: tuple | None = None   # (beta, n): q at t times 1 + beta ln(1 + floor(t / n))


def visible(n_tokens, window):
    """Mask [T, T]: query i sees keys j with j <= i and, where there is a window, j > i - window."""
    i = torch.arange(n_tokens)[:, None]
    j = torch.arange(n_tokens)[None, :]
    mask = j <= i
    return mask if window is None else mask & (j > i - window)


def gelu_tanh_share(x):
    """s(x) of the tanh GELU x s(x)."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3))))


# An activation is x s(x); this is s.
SHARES = {"silu": torch.sigmoid, "gelu": lambda x: 0.5 * (1 + torch.erf(x / math.sqrt(2))),
          "gelu_new": gelu_tanh_share, "gelu_pytorch_tanh": gelu_tanh_share}


class Oracle:
    """The model as plain functions of the residual stream h [T, d]."""

    def __init__(self, shape, weights, mode="exact"):
        """`weights`: name without prefix (`layers.0.mlp.up_proj.weight`) -> float64 tensor."""
        assert mode in ("exact", "detached")
        self.shape, self.weights, self.mode = shape, weights, mode

    def with_mode(self, mode):
        """The same model in another differentiation mode."""
        return Oracle(self.shape, self.weights, mode)

    def biases(self):
        """The weights that are added: without any, detached maps have no constant."""
        return {n: w for n, w in self.weights.items() if n.endswith(".bias")}

    def frozen(self, x):
        """x, or x cut off from differentiation in detached mode."""
        return x.detach() if self.mode == "detached" else x

    def rms(self, x, weight):
        """RMS norm over the last axis."""
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.shape.eps)
        return x * self.frozen(scale) * (self.shape.norm_offset + weight)

    def norm(self, x, name):
        """The family's norm over the last axis; x itself where it has none there (name None)."""
        if name is None:
            return x
        weight = self.weights[name + ".weight"]
        if not self.shape.layer_norm:
            return self.rms(x, weight)
        x = x - x.mean(-1, keepdim=True)
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.shape.eps)
        return x * self.frozen(scale) * weight + self.weights.get(name + ".bias", 0.0)

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

    def heads(self, x, count):
        """[T, count e] to [count, T, e]."""
        return x.view(x.shape[0], count, self.shape.head_dim).transpose(0, 1)

    def query_or_key(self, x, n, which, count):
        """Rotated queries or keys [count, T, e] of block n at normed input x."""
        s, at = self.shape, f"layers.{n}.self_attn.{which}"
        y = self.linear(x, at + "_proj")
        if s.qk_norm == "full":
            y = self.rms(y, self.weights[at + "_norm.weight"])
        elif s.qk_norm == "head":
            weight = self.weights[at + "_norm.weight"].view(-1, s.head_dim)
            y = self.rms(y.view(x.shape[0], count, s.head_dim), weight)
        return rotate(self.heads(y.reshape(x.shape[0], -1), count), s.ropes[n])

    def probabilities(self, x, n):
        """Attention probabilities [H, T, T] of block n at normed input x."""
        s = self.shape
        q = self.query_or_key(x, n, "q", s.n_heads)
        if s.query_growth:
            beta, length = s.query_growth
            steps = torch.floor(torch.arange(x.shape[0], dtype=x.dtype) / length)
            q = q * (1 + beta * torch.log(1 + steps))[:, None]
        k = self.query_or_key(x, n, "k", s.n_kv).repeat_interleave(s.n_heads // s.n_kv, dim=0)
        scores = self.softcap(q @ k.transpose(1, 2) / math.sqrt(s.query_scalar), s.attn_softcap)
        scores = scores.masked_fill(~visible(x.shape[0], s.windows[n]), -math.inf)
        return torch.softmax(scores, dim=-1)

    def attention(self, x, n):
        """Attention output [T, d] of block n at normed input x, before any post norm."""
        s, at = self.shape, f"layers.{n}.self_attn."
        v = self.heads(self.linear(x, at + "v_proj"), s.n_kv)
        v = v.repeat_interleave(s.n_heads // s.n_kv, dim=0)
        mixed = self.frozen(self.probabilities(x, n)) @ v
        return self.linear(mixed.transpose(0, 1).reshape(x.shape[0], -1), at + "o_proj")

    def mlp(self, x, n):
        """MLP of block n; detached freezes act(gate) of a gated one, s(x) of a plain x s(x)."""
        at, share = f"layers.{n}.mlp.", SHARES[self.shape.activation]
        up = self.linear(x, at + "up_proj")
        if self.shape.gated:
            gate = self.linear(x, at + "gate_proj")
            return self.linear(self.frozen(gate * share(gate)) * up, at + "down_proj")
        return self.linear(up * self.frozen(share(up)), at + "down_proj")

    def block(self, h, n):
        """Return what block n's attention and MLP add to the stream, (attn, mlp)."""
        norms = {place: name and f"layers.{n}.{name}"
                 for place, name in dataclasses.asdict(self.shape.norms).items()}
        attn = self.attention(self.norm(h, norms["pre_attn"]), n)
        attn = self.norm(attn, norms["post_attn"])
        mlp_in = h if self.shape.parallel else h + attn
        mlp = self.mlp(self.norm(mlp_in, norms["pre_mlp"]), n)
        return attn, self.norm(mlp, norms["post_mlp"])

    def embed(self, ids):
        """resid:0: embedding rows, scaled, plus learned positions where the model has them."""
        h = self.weights["embed_tokens.weight"][ids] * self.shape.embed_scale
        if "positions.weight" in self.weights:
            h = h + self.weights["positions.weight"][:ids.numel()]
        return h

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
