"""transformers' own models, unpatched, in float32: what every site holds at a prompt."""

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from families import canonical, shape_of


def own_class(config):
    """The class that a config.json names."""
    return getattr(transformers, config.architectures[0])


def load(folder):
    """The model of a folder by the class its config names; the automatic one must agree."""
    keys = {"dtype": torch.float32, "attn_implementation": "eager"}
    config = AutoConfig.from_pretrained(folder)
    model, info = own_class(config).from_pretrained(folder, output_loading_info=True, **keys)
    tied = config.get_text_config().tie_word_embeddings
    missing = {n for n in info["missing_keys"]
               if "vision" not in n and not (tied and n == "lm_head.weight")}
    assert not missing and not info["mismatched_keys"], info
    assert not {n for n in info["unexpected_keys"] if "vision" not in n}, info
    text = type(config) in AutoModelForCausalLM._model_mapping
    auto = AutoModelForCausalLM if text else AutoModelForImageTextToText
    again = auto.from_pretrained(folder, **keys)
    ids = torch.tensor([[2, 7, 3]])
    with torch.no_grad():
        assert torch.equal(model.eval()(ids).logits, again.eval()(ids).logits)
    return model


def text_part(model):
    """The decoder without its head."""
    base = model.base_model
    return getattr(base, "language_model", base)


def part(module, *names):
    """The submodule that has one of `names`, as families call it."""
    return next(getattr(module, name) for name in names if hasattr(module, name))


def contributions(model):
    """Per block, the modules whose outputs are added to the stream: [(attn, mlp)]."""
    norms = shape_of(model.config.get_text_config()).norms
    out = []
    for layer in part(text_part(model), "layers", "h"):
        attn, mlp = part(layer, "self_attn", "attention", "attn"), layer.mlp
        out.append((getattr(layer, norms.post_attn) if norms.post_attn else attn,
                    getattr(layer, norms.post_mlp) if norms.post_mlp else mlp))
    return out


def capture(model, ids, prompt, **forward_keys):
    """{`p0.resid.2`: [T, d], ...} of one prompt; resid.L is the last block's output."""
    text, seen, hooks = text_part(model), {}, []
    blocks, norm = part(text, "layers", "h"), part(text, "norm", "ln_f", "final_layer_norm")

    def keep(key):
        """A hook that stores a module's output under `key`."""
        return lambda module, args, out: seen.__setitem__(key, (out if torch.is_tensor(out)
                                                               else out[0])[0].clone())

    for n, (attn, mlp) in enumerate(contributions(model)):
        hooks.append(blocks[n].register_forward_hook(keep(f"resid.{n + 1}")))
        hooks.append(attn.register_forward_hook(keep(f"attn.{n}")))
        hooks.append(mlp.register_forward_hook(keep(f"mlp.{n}")))
    with torch.no_grad():
        out = model(ids[None], output_hidden_states=True, use_cache=False, **forward_keys)
    for hook in hooks:
        hook.remove()
    layers = len(blocks)
    seen["resid.0"] = out.hidden_states[0][0]
    seen["logits"] = out.logits[0]
    with torch.no_grad():
        seen.update({f"norm.{n}": norm(seen[f"resid.{n}"]) for n in range(layers + 1)})
    for n in range(layers):
        assert torch.equal(seen[f"resid.{n}"], out.hidden_states[n][0]), n
    assert torch.equal(seen[f"norm.{layers}"], out.hidden_states[layers][0])
    return {f"p{prompt}.ids": ids, **{f"p{prompt}.{key}": value for key, value in seen.items()}}


def jacobian_to_last_norm(model, ids, **forward_keys):
    """d norm:L@last / d embed@all by transformers' own float32 graph, [d, T, d]."""
    text = text_part(model)
    with torch.no_grad():
        x = text.get_input_embeddings()(ids[None])
    x.requires_grad_(True)
    y = text(inputs_embeds=x, use_cache=False, **forward_keys).last_hidden_state[0, -1]
    rows = [torch.autograd.grad(y[i], x, retain_graph=True)[0][0] for i in range(y.numel())]
    return torch.stack(rows)


def weights64(model):
    """The text model's weights in float64 by the oracle's names."""
    state = {n: w.detach().double() for n, w in text_part(model).named_parameters()}
    head = model.get_output_embeddings().weight
    if head is not text_part(model).get_input_embeddings().weight:
        state["lm_head.weight"] = head.detach().double()
    return canonical(model.config.get_text_config(), state)


def tensor_shapes(config):
    """Name without prefix -> shape of every weight of a text model, as transformers names them."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    shapes = {n: tuple(w.shape) for n, w in text_part(model).named_parameters()}
    if not config.tie_word_embeddings:
        shapes["lm_head.weight"] = tuple(model.get_output_embeddings().weight.shape)
    return shapes


def other_shapes(config):
    """The same, by full names, of what a multimodal model has besides its text model."""
    with torch.device("meta"):
        model = own_class(config)(config)
    text = {id(w) for w in [*text_part(model).parameters(), model.get_output_embeddings().weight]}
    return {n: tuple(w.shape) for n, w in model.named_parameters() if id(w) not in text}
