"""Wrong readings of a config, each of which must move the logits: a fixture has to be able to fail.

A mutant takes (shape, weights) and returns both as a reader with one particular bug sees them.
"""

import dataclasses

import torch

from fixture_files import relative_error
from gemma3_oracle import Oracle
from gemma3_specs import GLOBAL, LOCAL

SENSITIVITY = 1e-2


def keys(**changes):
    """A mutant that sees other values of some keys."""
    return lambda shape, weights: (dataclasses.replace(shape, **changes), weights)


def window(change):
    """A mutant whose sliding window is off by `change`."""
    return lambda s, w: (dataclasses.replace(s, window=s.window + change), w)


def all_local(shape, weights):
    """Every layer taken for a local one."""
    return dataclasses.replace(shape, layer_types=(LOCAL,) * shape.n_layers), weights


def pattern_shifted(shape, weights):
    """Layer types off by one layer."""
    types = shape.layer_types
    return dataclasses.replace(shape, layer_types=types[1:] + types[:1]), weights


def rope(**changes):
    """A mutant whose local / global (base, factor) come from functions of the right ones."""
    def mutant(shape, weights):
        new = {LOCAL: changes.get("local", lambda loc, glo: loc),
               GLOBAL: changes.get("full", lambda loc, glo: glo)}
        new = {kind: f(shape.rope[LOCAL], shape.rope[GLOBAL]) for kind, f in new.items()}
        return dataclasses.replace(shape, rope=new), weights
    return mutant


def rope_in_pairs(shape, weights):
    """Rotary embedding of dimensions (2i, 2i + 1): the same as permuted q and k."""
    e = shape.head_dim
    order = torch.cat((torch.arange(0, e, 2), torch.arange(1, e, 2)))
    out = dict(weights)
    for name, w in weights.items():
        if "q_norm" in name or "k_norm" in name:
            out[name] = w[order]
        elif "q_proj.weight" in name or "k_proj.weight" in name:
            out[name] = w.view(-1, e, w.shape[1])[:, order].reshape(w.shape)
    return shape, out


def kv_tiled(shape, weights):
    """Query head h reads key/value head h mod K instead of h // (H / K)."""
    e, times = shape.head_dim, shape.n_heads // shape.n_kv
    out = dict(weights)
    for name, w in weights.items():
        if "k_proj.weight" in name or "v_proj.weight" in name:
            out[name] = w.view(-1, e, w.shape[1]).repeat(times, 1, 1).reshape(-1, w.shape[1])
    return dataclasses.replace(shape, n_kv=shape.n_heads), out


def without(suffix):
    """A mutant that does not see the tensors whose names end so."""
    return lambda s, weights: (s, {n: w for n, w in weights.items() if not n.endswith(suffix)})


MUTANTS = {
    "window + 1": window(1),
    "window - 1": window(-1),
    "no window": keys(window=1 << 30),
    "all local": all_local,
    "pattern shifted": pattern_shifted,
    "query scalar = head_dim": lambda s, w: (dataclasses.replace(s, query_scalar=s.head_dim), w),
    "kv heads tiled": kv_tiled,
    "local base": rope(local=lambda loc, glo: glo),
    "no rope factor": rope(full=lambda loc, glo: (glo[0], 1.0)),
    "rope factor everywhere": rope(local=lambda loc, glo: (loc[0], glo[1])),
    "bases swapped": rope(local=lambda loc, glo: (glo[0], loc[1]),
                          full=lambda loc, glo: (loc[0], glo[1])),
    "default bases": rope(local=lambda loc, glo: (1e4, loc[1]),
                          full=lambda loc, glo: (1e6, glo[1])),
    "rope in pairs": rope_in_pairs,
    "no final softcap": keys(final_softcap=None),
    "attn softcap": keys(attn_softcap=1.5),
    "no attn softcap": keys(attn_softcap=None),
    "eps 1e-6": keys(eps=1e-6),
    "no bias": without(".bias"),
    "tied": without("lm_head.weight"),
}


def check_mutants(oracle, ids, names):
    """Assert that each named bug moves the logits by more than SENSITIVITY (relative)."""
    def logits(model):
        with torch.no_grad():
            return model.sites(model.embed(ids))["logits", model.shape.n_layers]

    right = logits(oracle)
    for name in names:
        moved = relative_error(logits(Oracle(*MUTANTS[name](oracle.shape, oracle.weights))), right)
        assert moved > SENSITIVITY, (name, moved)
        print(f"  {name}: {moved:.3f}")
