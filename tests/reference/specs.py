"""What a fixture is made of: the tables specs_*.py are lists of these.

A spec's `config` is config.json as it is written to disk, in a form that people have.
`jac` lists, per prompt, the Jacobians to store; `mutants` the wrong readings of the config that
must change the logits.
"""

import dataclasses
from collections.abc import Callable

LOCAL, GLOBAL = "sliding_attention", "full_attention"
ALL_TO_NORM = "embed@all>norm:{L}@last"
ATTN, MLP = "resid:1@all>attn:1@last", "resid:1@last>mlp:1@last"
LAST_TO_MEAN, LOGITS = "embed@last>resid:{L}@mean", "resid:2@last>logits@last"
PAIRS = (ALL_TO_NORM, ATTN, MLP, LAST_TO_MEAN)


@dataclasses.dataclass(frozen=True)
class Spec:
    """One fixture; `prompts` are prompt lengths, or texts where the fixture has a tokenizer."""

    family: str
    name: str
    seed: int
    config: dict
    prompts: tuple
    jac: tuple
    dtype: str = "float32"
    shards: int = 1
    prefix: str = "model."              # of the decoder's tensors
    head: str = "lm_head.weight"
    nested: dict | None = None          # the multimodal config whose text_config `config` is
    others: tuple = (("model.", ""),)   # prefixes of the rest of a multimodal model: HF's, ours
    tokenizer: str | None = None
    buffers: Callable | None = None     # config -> tensors without prefix that are no weights
    mutants: tuple = ()


def sizes(d, ff, layers, heads, kv, head_dim, vocab):
    """The size keys as most families call them; head_dim None leaves it to be derived."""
    out = {"hidden_size": d, "intermediate_size": ff, "num_hidden_layers": layers,
           "num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": vocab}
    return out if head_dim is None else {**out, "head_dim": head_dim}


def older(family, architecture, size, dtype="float32", **keys):
    """The keys of a config.json as transformers 4 wrote it."""
    return {"architectures": [architecture], "attention_dropout": 0.0, "bos_token_id": 1,
            "eos_token_id": 2, "initializer_range": 0.02, "model_type": family,
            "torch_dtype": dtype, "transformers_version": "4.46.0", "use_cache": True,
            **size, **keys}


def current(family, architecture, size, dtype="float32", **keys):
    """The same as transformers 5 writes it: dtype, rope_parameters."""
    out = older(family, architecture, size, **keys)
    del out["torch_dtype"]
    return {**out, "dtype": dtype, "transformers_version": "5.23.0"}
