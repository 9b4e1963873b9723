"""Wrong readings of a config, each of which must move the logits: a fixture has to be able to fail.

A mutant takes (shape, weights) and returns both as a reader with one particular bug sees them.
"""

import dataclasses
import math

import torch

from fixture_files import relative_error
from oracle import Norms, Oracle

SENSITIVITY = 1e-2
# The two GELUs differ by 5e-4 at most, whatever x; tests of values allow 1e-4.
FAINT = {"tanh GELU": 1e-3, "erf GELU": 1e-3}


def keys(**changes):
    """A mutant that sees other values of some keys."""
    return lambda shape, weights: (dataclasses.replace(shape, **changes), weights)


# -- windows and layer types ----------------------------------------------------------------------


def window(change):
    """A mutant whose sliding window is off by `change`."""
    return lambda s, w: (dataclasses.replace(
        s, windows=tuple(n and n + change for n in s.windows)), w)


def no_window(shape, weights):
    """Every query sees all keys before it."""
    return dataclasses.replace(shape, windows=(None,) * shape.n_layers), weights


def windows_swapped(shape, weights):
    """Sliding and full attention confused."""
    size = next(n for n in shape.windows if n)
    swapped = tuple(None if n else size for n in shape.windows)
    return dataclasses.replace(shape, windows=swapped), weights


def all_local(shape, weights):
    """Every layer taken for a local one."""
    n = next(n for n, size in enumerate(shape.windows) if size)
    return dataclasses.replace(shape, windows=(shape.windows[n],) * shape.n_layers,
                               ropes=(shape.ropes[n],) * shape.n_layers), weights


def pattern_shifted(shape, weights):
    """Layer types off by one layer."""
    return dataclasses.replace(shape, windows=shape.windows[1:] + shape.windows[:1],
                               ropes=shape.ropes[1:] + shape.ropes[:1]), weights


# -- rotary embedding -----------------------------------------------------------------------------


def rope(**changes):
    """A mutant with other values in every layer's Rope; a function gets the old one."""
    def changed(old):
        new = {key: value(old) if callable(value) else value for key, value in changes.items()}
        return old and dataclasses.replace(old, **new)
    return lambda s, w: (dataclasses.replace(s, ropes=tuple(
        r and changed(r) for r in s.ropes)), w)


def rope_by_type(**changes):
    """A mutant whose local / global Rope come from functions of the right ones."""
    def mutant(shape, weights):
        layers = list(zip(shape.windows, shape.ropes))
        local = next(r for size, r in layers if size)
        full = next((r for size, r in layers if not size), local)
        new = {True: changes.get("local", lambda loc, glo: loc)(local, full),
               False: changes.get("full", lambda loc, glo: glo)(local, full)}
        ropes = tuple(new[bool(size)] for size, _ in layers)
        return dataclasses.replace(shape, ropes=ropes), weights
    return mutant


def rope_in_pairs(shape, weights):
    """Rotary embedding of dimensions (2i, 2i + 1): the same as permuted q and k."""
    e, r = shape.head_dim, next(x for x in shape.ropes if x).dims
    order = torch.cat((torch.arange(0, r, 2), torch.arange(1, r, 2), torch.arange(r, e)))
    out = dict(weights)
    for name, w in weights.items():
        if "q_norm" in name or "k_norm" in name:
            out[name] = w.view(-1, e)[:, order].reshape(w.shape)
        elif "q_proj" in name or "k_proj" in name:
            out[name] = w.view(-1, e, *w.shape[1:])[:, order].reshape(w.shape)
    return shape, out


def rope_everywhere(shape, weights):
    """The layers without rotary embedding not spared."""
    one = next(r for r in shape.ropes if r)
    return dataclasses.replace(shape, ropes=(one,) * shape.n_layers), weights


def rope_inverted(shape, weights):
    """no_rope_layers read as its name says: 1 for none."""
    one = next(r for r in shape.ropes if r)
    ropes = tuple(None if r else one for r in shape.ropes)
    return dataclasses.replace(shape, ropes=ropes), weights


# -- weights --------------------------------------------------------------------------------------


def kv_tiled(shape, weights):
    """Query head h reads key/value head h mod K instead of h // (H / K)."""
    e, times = shape.head_dim, shape.n_heads // shape.n_kv
    out = dict(weights)
    for name, w in weights.items():
        if "k_proj" in name or "v_proj" in name:
            rows = w.view(-1, e, *w.shape[1:])
            out[name] = torch.cat((rows,) * times).reshape(-1, *w.shape[1:])
        elif "k_norm" in name and shape.qk_norm == "full":
            out[name] = w.repeat(times)
    return dataclasses.replace(shape, n_kv=shape.n_heads), out


def without(*suffixes):
    """A mutant that does not see the tensors whose names end so."""
    return lambda s, weights: (s, {n: w for n, w in weights.items() if not n.endswith(suffixes)})


def qkv_regrouped(to_parts, to_rows):
    """A mutant that cuts a fused projection the wrong way: rows as stored, then as misread."""
    def mutant(shape, weights):
        out = dict(weights)
        for name in weights:
            if ".q_proj." in name:
                names = [name.replace(".q_proj.", f".{part}_proj.") for part in "qkv"]
                stored = to_rows([weights[n] for n in names], shape)
                out.update(zip(names, to_parts(stored, shape)))
        return shape, out
    return mutant


def in_thirds(parts, shape):
    """(q, k, v) one after the other, and back with a tensor."""
    return torch.cat(parts) if isinstance(parts, list) else parts.chunk(3)


def by_head(parts, shape):
    """[q, k, v] of every head in turn, and back with a tensor."""
    h, e = shape.n_heads, shape.head_dim
    if isinstance(parts, list):
        rows = torch.stack([p.view(h, e, *p.shape[1:]) for p in parts], dim=1)
        return rows.reshape(-1, *parts[0].shape[1:])
    rows = parts.view(h, 3, e, *parts.shape[1:]).unbind(1)
    return [r.reshape(h * e, *parts.shape[1:]) for r in rows]


def gate_up_swapped(shape, weights):
    """The halves of gate_up_proj exchanged."""
    swap = {".gate_proj.": ".up_proj.", ".up_proj.": ".gate_proj."}
    out = dict(weights)
    for name in weights:
        for old, new in swap.items():
            if old in name:
                out[name] = weights[name.replace(old, new)]
    return shape, out


def square_untransposed(shape, weights):
    """GPT-2's square [in, out] matrices read as [out, in]."""
    return shape, {n: w.T if n.endswith("o_proj.weight") else w for n, w in weights.items()}


def positions_shifted(shape, weights):
    """Learned positions that begin at row 1."""
    table = weights["positions.weight"]
    return shape, {**weights, "positions.weight": table.roll(-1, 0)}


def norms_first(shape, weights):
    """OLMo 2's norms taken for Llama's, which come before attention and MLP."""
    norms = Norms(shape.norms.post_attn, None, shape.norms.post_mlp, None)
    return dataclasses.replace(shape, norms=norms), weights


MUTANTS = {
    "window + 1": window(1),
    "window - 1": window(-1),
    "no window": no_window,
    "windows swapped": windows_swapped,
    "window of 3": lambda s, w: (dataclasses.replace(s, windows=(3,) * s.n_layers), w),
    "all local": all_local,
    "pattern shifted": pattern_shifted,
    "query scalar = head_dim": lambda s, w: (dataclasses.replace(s, query_scalar=s.head_dim), w),
    "no query growth": keys(query_growth=None),
    "kv heads tiled": kv_tiled,
    "local base": rope_by_type(local=lambda loc, glo: glo),
    "no rope factor": rope_by_type(full=lambda loc, glo: dataclasses.replace(glo, factor=1.0)),
    "rope factor everywhere": rope_by_type(local=lambda loc, glo: dataclasses.replace(
        loc, kind=glo.kind, factor=glo.factor)),
    "full rope everywhere": rope_by_type(local=lambda loc, glo: glo),
    "bases swapped": rope_by_type(local=lambda loc, glo: dataclasses.replace(loc, base=glo.base),
                                  full=lambda loc, glo: dataclasses.replace(glo, base=loc.base)),
    "default bases": rope_by_type(local=lambda loc, glo: dataclasses.replace(loc, base=1e4),
                                  full=lambda loc, glo: dataclasses.replace(glo, base=1e6)),
    "rope in pairs": rope_in_pairs,
    "default base": rope(base=1e4),
    "base 1e6": rope(base=1e6),
    "unscaled rope": rope(kind="default", magnitude=1.0),
    "unscaled frequencies": rope(kind="default"),
    "linear rope": rope(kind="linear", magnitude=1.0),
    "magnitude 1": rope(magnitude=1.0),
    "magnitude by factor": rope(magnitude=lambda r: 0.1 * math.log(r.factor) + 1),
    "no ramp": rope(slow=lambda r: r.fast * (1 - 1e-9)),
    "default betas": rope(slow=1.0, fast=32.0),
    "ramp not truncated": rope(truncate=lambda r: not r.truncate),
    "trained length doubled": rope(trained=lambda r: 2 * r.trained),
    "long factors always": rope(short=lambda r: r.long),
    "short factors always": rope(long=lambda r: r.short),
    "whole heads rotated": lambda s, w: rope(dims=s.head_dim)(s, w),
    "frequencies over head_dim": lambda s, w: rope(
        base=lambda r: r.base ** (r.dims / s.head_dim))(s, w),
    "rope everywhere": rope_everywhere,
    "rope inverted": rope_inverted,
    "no final softcap": keys(final_softcap=None),
    "attn softcap": keys(attn_softcap=1.5),
    "no attn softcap": keys(attn_softcap=None),
    "norms first": norms_first,
    "eps 1e-6": keys(eps=1e-6),
    "norms 1 + w": keys(norm_offset=1.0),
    "norms w": keys(norm_offset=0.0),
    "no embedding scale": keys(embed_scale=1.0),
    "no QK norm": keys(qk_norm=None),
    "QK norm by head": keys(qk_norm="head"),
    "no bias": without(".bias"),
    "no q, k, v bias": without("q_proj.bias", "k_proj.bias", "v_proj.bias"),
    "no mlp bias": without("gate_proj.bias", "up_proj.bias", "down_proj.bias"),
    "no norm bias": without("norm.bias", "ln_1.bias", "ln_2.bias"),
    "tied": without("lm_head.weight"),
    "RMS norm": keys(layer_norm=False),
    "parallel": keys(parallel=True),
    "serial": keys(parallel=False),
    "tanh GELU": keys(activation="gelu_new"),
    "erf GELU": keys(activation="gelu"),
    "SiLU": keys(activation="silu"),
    "q, k, v in thirds": qkv_regrouped(in_thirds, by_head),
    "q, k, v by head": qkv_regrouped(by_head, in_thirds),
    "gate and up swapped": gate_up_swapped,
    "o_proj not transposed": square_untransposed,
    "no positions": without("positions.weight"),
    "positions shifted": positions_shifted,
}


def check_mutants(oracle, prompts, names):
    """Assert that each named bug moves some prompt's logits by more than SENSITIVITY (relative)."""
    def logits(model, ids):
        with torch.no_grad():
            return model.sites(model.embed(ids))["logits", model.shape.n_layers]

    for name in names:
        mutant = Oracle(*MUTANTS[name](oracle.shape, oracle.weights))
        moved = max(relative_error(logits(mutant, ids), logits(oracle, ids)) for ids in prompts)
        assert moved > FAINT.get(name, SENSITIVITY), (name, moved)
        print(f"  {name}: {moved:.3g}")
