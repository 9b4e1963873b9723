"""transformers' own Gemma 3, unpatched, in float32: what every site holds at a prompt."""

import torch
from transformers import AutoModelForCausalLM, Gemma3ForCausalLM, Gemma3ForConditionalGeneration


def load(folder):
    """The model of a folder, by its own class and by AutoModelForCausalLM, which must agree."""
    keys = {"dtype": torch.float32, "attn_implementation": "eager"}
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **keys)
    nested = isinstance(model, Gemma3ForConditionalGeneration)
    missing = {n for n in info["missing_keys"] if "vision" not in n and n != "lm_head.weight"}
    assert not missing and not info["mismatched_keys"], info
    assert not {n for n in info["unexpected_keys"] if "vision" not in n}, info
    own = Gemma3ForConditionalGeneration if nested else Gemma3ForCausalLM
    again = own.from_pretrained(folder, **keys)
    ids = torch.tensor([[2, 7, 3]])
    with torch.no_grad():
        assert torch.equal(model.eval()(ids).logits, again.eval()(ids).logits)
    return model


def text_part(model):
    """The Gemma3TextModel inside either class."""
    return getattr(model.model, "language_model", model.model)


def capture(model, ids, prompt, **forward_keys):
    """{`p0.resid.2`: [T, d], ...} of one prompt; resid.L is the last block's output."""
    text, seen, hooks = text_part(model), {}, []

    def keep(key):
        """A hook that stores a module's output under `key`."""
        return lambda module, args, out: seen.__setitem__(key, (out if torch.is_tensor(out)
                                                               else out[0])[0].clone())

    for n, layer in enumerate(text.layers):
        hooks.append(layer.register_forward_hook(keep(f"resid.{n + 1}")))
        hooks.append(layer.post_attention_layernorm.register_forward_hook(keep(f"attn.{n}")))
        hooks.append(layer.post_feedforward_layernorm.register_forward_hook(keep(f"mlp.{n}")))
    with torch.no_grad():
        out = model(ids[None], output_hidden_states=True, use_cache=False, **forward_keys)
    for hook in hooks:
        hook.remove()
    layers = len(text.layers)
    seen["resid.0"] = out.hidden_states[0][0]
    seen["logits"] = out.logits[0]
    with torch.no_grad():
        seen.update({f"norm.{n}": text.norm(seen[f"resid.{n}"]) for n in range(layers + 1)})
    for n in range(layers):
        assert torch.equal(seen[f"resid.{n}"], out.hidden_states[n][0]), n
    assert torch.equal(seen[f"norm.{layers}"], out.hidden_states[layers][0])
    return {f"p{prompt}.ids": ids, **{f"p{prompt}.{key}": value for key, value in seen.items()}}


def jacobian_to_last_norm(model, ids, **forward_keys):
    """d norm:L@last / d embed@all by transformers' own float32 graph, [d, T, d]."""
    text = text_part(model)
    with torch.no_grad():
        x = text.embed_tokens(ids[None])
    x.requires_grad_(True)
    y = text(inputs_embeds=x, use_cache=False, **forward_keys).last_hidden_state[0, -1]
    rows = [torch.autograd.grad(y[i], x, retain_graph=True)[0][0] for i in range(y.numel())]
    return torch.stack(rows)


def weights64(model):
    """The text model's weights in float64 by names without prefix."""
    state = {n: w.detach().double() for n, w in text_part(model).named_parameters()}
    if model.lm_head.weight is not text_part(model).embed_tokens.weight:
        state["lm_head.weight"] = model.lm_head.weight.detach().double()
    return state
