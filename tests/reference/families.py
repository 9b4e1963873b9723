"""Each family as the oracle sees it: its config -> Shape, its tensors -> Llama's names."""

import math

from oracle import Norms, Shape
from rope import Rope

PRE = Norms("input_layernorm", None, "post_attention_layernorm", None)
POST = Norms(None, "post_attention_layernorm", None, "post_feedforward_layernorm")
BOTH = Norms("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
             "post_feedforward_layernorm")
GPT2 = Norms("ln_1", None, "ln_2", None)

LLAMA_LIKE = ("llama", "qwen2", "qwen3", "mistral", "ministral", "ministral3", "phi3", "smollm3")
WINDOW_EVERYWHERE = ("mistral", "ministral3", "phi3")  # no layer types: every layer slides


def log_growth(factor, weight=1.0):
    """YaRN's magnitude 0.1 weight ln(factor) + 1 (arXiv 2309.00071, equation 22)."""
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0


def yarn(params, common):
    """YaRN from a config's rope parameters."""
    factor, both = params["factor"], (params.get("mscale"), params.get("mscale_all_dim"))
    magnitude = params.get("attention_factor")
    if magnitude is None:
        magnitude = log_growth(factor)
        if all(both):
            magnitude = log_growth(factor, both[0]) / log_growth(factor, both[1])
    return Rope(kind="yarn", factor=factor, trained=params["original_max_position_embeddings"],
                slow=params.get("beta_slow") or 1, fast=params.get("beta_fast") or 32,
                truncate=params.get("truncate", True), magnitude=magnitude, **common)


def longrope(params, longest, common):
    """LongRoPE; without a factor, it is that of the two maximal lengths."""
    trained = params["original_max_position_embeddings"]
    factor = params.get("factor") or longest / trained
    magnitude = params.get("attention_factor")
    if magnitude is None:
        magnitude = math.sqrt(1 + math.log(factor) / math.log(trained)) if factor > 1 else 1.0
    return Rope(kind="longrope", trained=trained, magnitude=magnitude,
                short=tuple(params["short_factor"]), long=tuple(params["long_factor"]), **common)


def rope(params, head_dim, longest):
    """One entry of rope_parameters; `longest` is max_position_embeddings."""
    kind = params["rope_type"]
    dims = int(head_dim * params.get("partial_rotary_factor", 1.0))
    common = {"base": float(params["rope_theta"]), "dims": dims}
    if kind == "linear":
        return Rope(kind=kind, factor=params["factor"], **common)
    if kind == "dynamic":
        return Rope(kind=kind, factor=params["factor"], trained=longest, **common)
    if kind == "llama3":
        return Rope(kind=kind, factor=params["factor"], slow=params["low_freq_factor"],
                    fast=params["high_freq_factor"],
                    trained=params["original_max_position_embeddings"], **common)
    if kind == "yarn":
        return yarn(params, common)
    if kind == "longrope":
        return longrope(params, longest, common)
    assert kind == "default", params
    return Rope(**common)


def layer_ropes(config, head_dim):
    """The rotary embedding of every layer; None where a layer has none."""
    layers, params = config.num_hidden_layers, getattr(config, "rope_parameters", None)
    if config.model_type == "gpt2":
        return (None,) * layers
    longest = config.max_position_embeddings
    if "rope_type" not in params:  # one entry per layer type
        return tuple(rope(params[kind], head_dim, longest) for kind in config.layer_types)
    rotated = getattr(config, "no_rope_layers", None) or [1] * layers
    return tuple(rope(params, head_dim, longest) if rotated[n] else None for n in range(layers))


def layer_windows(config):
    """How many keys a query sees in every layer; None: all before it."""
    layers = config.num_hidden_layers
    if config.model_type in WINDOW_EVERYWHERE:
        return (config.sliding_window,) * layers
    types = getattr(config, "layer_types", None) or ("full_attention",) * layers
    return tuple(config.sliding_window if t == "sliding_attention" else None for t in types)


def own_features(config):
    """What sets a family apart from Llama."""
    family = config.model_type
    if family in ("gemma2", "gemma3_text"):
        cap = config.attn_logit_softcapping if family == "gemma2" else None  # gemma3: not applied
        return {"norms": BOTH, "norm_offset": 1.0, "embed_scale": math.sqrt(config.hidden_size),
                "activation": config.hidden_activation, "attn_softcap": cap,
                "query_scalar": config.query_pre_attn_scalar,
                "final_softcap": config.final_logit_softcapping,
                "qk_norm": "head" if family == "gemma3_text" else None}
    if family in ("olmo2", "olmo3"):
        return {"norms": POST, "qk_norm": "full"}
    if family == "gpt2":
        return {"norms": GPT2, "layer_norm": True, "gated": False,
                "eps": config.layer_norm_epsilon, "activation": config.activation_function}
    if family == "gpt_neox":
        return {"layer_norm": True, "gated": False, "eps": config.layer_norm_eps,
                "parallel": config.use_parallel_residual}
    assert family in LLAMA_LIKE, family
    if family == "ministral3":
        params = config.rope_parameters
        return {"query_growth": (params["llama_4_scaling_beta"],
                                 params["original_max_position_embeddings"])}
    return {"qk_norm": "head"} if family == "qwen3" else {}


def shape_of(config):
    """Read a transformers text config."""
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    common = {"n_layers": config.num_hidden_layers, "n_heads": heads,
              "n_kv": getattr(config, "num_key_value_heads", heads), "head_dim": head_dim,
              "eps": getattr(config, "rms_norm_eps", None), "norms": PRE,
              "activation": getattr(config, "hidden_act", None), "query_scalar": head_dim,
              "ropes": layer_ropes(config, head_dim), "windows": layer_windows(config)}
    return Shape(**{**common, **own_features(config)})


# -- names -----------------------------------------------------------------------------------------

GPT2_NAMES = {"wte.": "embed_tokens.", "wpe.": "positions.", "ln_f.": "norm.", "h.": "layers.",
              ".attn.c_proj.": ".self_attn.o_proj.", ".attn.c_attn.": ".self_attn.qkv_proj.",
              ".mlp.c_fc.": ".mlp.up_proj.", ".mlp.c_proj.": ".mlp.down_proj."}
GPT_NEOX_NAMES = {"embed_in.": "embed_tokens.", "final_layer_norm.": "norm.",
                  ".attention.dense.": ".self_attn.o_proj.", ".attention.": ".self_attn.",
                  ".query_key_value.": ".qkv_proj.", ".dense_h_to_4h.": ".up_proj.",
                  ".dense_4h_to_h.": ".down_proj."}


def renamed(name, names):
    """`name` with every old part that it begins with or holds replaced."""
    for old, new in names.items():
        if name.startswith(old) or old.startswith("."):
            name = name.replace(old, new, 1)
    return name


def split_qkv(tensor, shape, interleaved):
    """Rows of a fused projection -> (q, k, v): one after the other, or by head [q, k, v]."""
    e = shape.head_dim
    if not interleaved:
        return tensor.split((shape.n_heads * e, shape.n_kv * e, shape.n_kv * e))
    parts = tensor.view(shape.n_heads, 3, e, *tensor.shape[1:]).unbind(1)
    return tuple(part.reshape(shape.n_heads * e, *tensor.shape[1:]) for part in parts)


def canonical(config, state):
    """A text model's tensors (names without prefix) under Llama's names, in Llama's layout."""
    family, shape, out = config.model_type, shape_of(config), {}
    names = {"gpt2": GPT2_NAMES, "gpt_neox": GPT_NEOX_NAMES}.get(family, {})
    for name, tensor in state.items():
        name = renamed(name, names)
        if family == "gpt2" and "_proj.weight" in name:
            tensor = tensor.T  # stored [in, out]
        if ".qkv_proj." in name:
            for part, rows in zip("qkv", split_qkv(tensor, shape, family == "gpt_neox")):
                out[name.replace("qkv", part)] = rows
        elif ".gate_up_proj." in name:
            for part, rows in zip(("gate", "up"), tensor.chunk(2)):
                out[name.replace("gate_up", part)] = rows
        else:
            out[name] = tensor
    return out
