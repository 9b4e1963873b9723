"""Rotary embeddings of every scaling kind, from the papers, in the dtype of what they rotate.

    default    frequency_i = base^(-2i / r), r the rotated dimensions of a head
    linear     frequency_i / factor                                        (arXiv 2306.15595)
    dynamic    a base that grows with the prompt beyond the trained length ("NTK-aware")
    llama3     long waves divided by factor, short ones kept, a ramp between   (Llama 3.1)
    yarn       the same by dimension, and a magnitude for cos and sin      (arXiv 2309.00071)
    longrope   a divisor per dimension, one list for short prompts and one for long (2402.13753)
"""

import dataclasses
import math

import torch


@dataclasses.dataclass(frozen=True)
class Rope:
    """One layer's rotary embedding."""

    base: float
    dims: int                   # rotated dimensions of a head, the first ones
    kind: str = "default"
    factor: float = 1.0
    trained: int = 0            # prompt length before scaling
    slow: float = 1.0           # llama3: low_freq_factor; yarn: beta_slow
    fast: float = 1.0           # llama3: high_freq_factor; yarn: beta_fast
    truncate: bool = True       # yarn: the ramp begins and ends at whole dimensions
    magnitude: float = 1.0      # yarn, longrope: multiplies cos and sin
    short: tuple = ()           # longrope: divisors up to `trained` tokens
    long: tuple = ()            # longrope: beyond


def llama3_frequencies(rope, plain):
    """Waves longer than trained / slow are slowed by factor, shorter than trained / fast not."""
    turns = rope.trained * plain / (2 * math.pi)
    kept = ((turns - rope.slow) / (rope.fast - rope.slow)).clamp(0, 1)
    return kept * plain + (1 - kept) * plain / rope.factor


def yarn_frequencies(rope, plain):
    """The dimensions that turn more than `fast` times in `trained` tokens keep their frequency."""
    def dimension(turns):
        return (rope.dims * math.log(rope.trained / (2 * math.pi * turns))
                / (2 * math.log(rope.base)))

    first, last = dimension(rope.fast), dimension(rope.slow)
    if rope.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, rope.dims - 1)
    steps = torch.arange(plain.numel(), dtype=plain.dtype)
    slowed = ((steps - first) / max(last - first, 1e-3)).clamp(0, 1)
    return (1 - slowed) * plain + slowed * plain / rope.factor


def frequencies(rope, n_tokens, dtype):
    """Radians per token of each rotated pair, [dims / 2], for a prompt of n_tokens."""
    base = rope.base
    if rope.kind == "dynamic" and n_tokens > rope.trained:
        growth = rope.factor * n_tokens / rope.trained - (rope.factor - 1)
        base *= growth ** (rope.dims / (rope.dims - 2))
    plain = base ** (-2 * torch.arange(rope.dims // 2, dtype=dtype) / rope.dims)
    if rope.kind == "linear":
        return plain / rope.factor
    if rope.kind == "llama3":
        return llama3_frequencies(rope, plain)
    if rope.kind == "yarn":
        return yarn_frequencies(rope, plain)
    if rope.kind == "longrope":
        divisors = rope.long if n_tokens > rope.trained else rope.short
        return plain / torch.tensor(divisors, dtype=dtype)
    assert rope.kind in ("default", "dynamic"), rope.kind
    return plain


def rotate(x, rope):
    """x [H, T, e] with pairs (i, i + dims / 2) of its first `dims` dimensions rotated."""
    if rope is None:
        return x
    half = rope.dims // 2
    positions = torch.arange(x.shape[1], dtype=x.dtype)
    angle = positions[:, None] * frequencies(rope, x.shape[1], x.dtype)
    cos, sin = rope.magnitude * angle.cos(), rope.magnitude * angle.sin()
    a, b, rest = x[..., :half], x[..., half:rope.dims], x[..., rope.dims:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin, rest), dim=-1)
