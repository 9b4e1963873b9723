"""Expected linear relation operators (arXiv 2308.09124) of random small models, in float64.

    python tests/reference/make_relation.py

For each model of MODELS, with s the stream entering block LAYER at a prompt's subject token, o the
stream after the last block at the last token and J = do/ds with all other positions held: W is the
mean of J over the first N_TRAIN prompts, b that of o - J s. For the other prompts: beta W s + b and
its logits, and what the model says when s is moved by W_r^+ (o' - o), o' being that of the next
held-out prompt. The oracle is the one that make_families.py holds to transformers; here its
forward passes, patched and not, are held to transformers' own once more.
"""

import json

import torch

import hf_model
from families import shape_of
from fixture_files import FIXTURES, fixture_dir, relative_error, write_tensors
from oracle import Oracle

MODELS = ("gemma3-plain", "gpt2-plain")
LAYER, N_TRAIN, BETA, RANK = 1, 5, 1.5, 4
# Lengths and subjects: two pairs of train prompts alike in both, one alike in length alone.
SHAPES = ((7, 2), (5, 1), (7, 2), (7, 4), (5, 1), (6, 3), (7, 2), (5, 0))


def prompts(vocab):
    """[(ids, subject)] with ids drawn at random."""
    rng = torch.Generator().manual_seed(11)
    return [(torch.randint(0, vocab, (n,), generator=rng), at) for n, at in SHAPES]


def through(oracle, stream, subject, s):
    """The stream after the last block when it enters block LAYER with s at the subject."""
    rows = torch.cat((stream[:subject], s[None], stream[subject + 1:]))
    return oracle.sites(rows, LAYER)["resid", oracle.shape.n_layers]


def jacobian(oracle, stream, subject):
    """J = d o / d s, [d, d]."""
    def f(s):
        """o as a function of s."""
        return through(oracle, stream, subject, s)[-1]
    return torch.func.jacrev(f)(stream[subject])


def check_hf(model, ids, subject, delta, logits):
    """transformers, in float64, says the same with delta added to what enters block LAYER."""
    block = hf_model.part(hf_model.text_part(model), "layers", "h")[LAYER]

    def add(module, args, kwargs):
        """The block's arguments with delta added."""
        h = args[0] if args else kwargs["hidden_states"]
        h = h.clone()
        h[0, subject] += delta
        return ((h, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": h})

    hook = block.register_forward_pre_hook(add, with_kwargs=True)
    with torch.no_grad():
        got = model(ids[None], use_cache=False).logits[0, -1]
    hook.remove()
    error = relative_error(got, logits)
    assert error < 1e-5, error  # rotary tables and some norms stay float32 there
    return error


def means(oracle, streams, items, outputs):
    """W and b of the training prompts in the oracle's mode."""
    jacobians = [jacobian(oracle, h, at) for h, (_, at) in zip(streams, items[:N_TRAIN])]
    rests = [o - j @ h[at] for j, h, o, (_, at) in zip(jacobians, streams, outputs, items)]
    return torch.stack(jacobians).mean(0), torch.stack(rests).mean(0)


def low_rank_inverse(w, rank):
    """V_r S_r^-1 U_r^T."""
    u, s, vt = torch.linalg.svd(w)
    return vt[:rank].T @ torch.diag(1 / s[:rank]) @ u[:, :rank].T


def relation(name):
    """All tensors of one model, by name."""
    model = hf_model.load(FIXTURES / name)
    oracle = Oracle(shape_of(model.config), hf_model.weights64(model))
    model = model.double()
    items = prompts(model.config.vocab_size)
    out, errors = {}, []
    with torch.no_grad():
        sites = [oracle.sites(oracle.embed(ids)) for ids, _ in items]
    last = oracle.shape.n_layers
    streams = [v["resid", LAYER] for v in sites]
    outputs = [v["resid", last][-1] for v in sites]
    for i, (ids, at) in enumerate(items):
        out.update({f"p{i}.ids": ids, f"p{i}.s": streams[i][at], f"p{i}.o": outputs[i],
                    f"p{i}.logits": sites[i]["logits", last][-1]})
        errors.append(check_hf(model, ids, at, 0.0, out[f"p{i}.logits"]))
    out["subjects"] = torch.tensor([at for _, at in items])
    for mode in ("exact", "detached"):
        w, b = means(oracle.with_mode(mode), streams, items, outputs)
        out.update({f"{mode}.W": w, f"{mode}.b": b, f"{mode}.sigma": torch.linalg.svdvals(w)})
        inverse = low_rank_inverse(w, RANK)
        for i in range(N_TRAIN, len(items)):
            target = N_TRAIN + (i + 1 - N_TRAIN) % (len(items) - N_TRAIN)
            ids, at = items[i]
            z = BETA * w @ streams[i][at] + b
            delta = inverse @ (outputs[target] - outputs[i])
            o = through(oracle, streams[i], at, streams[i][at] + delta)[-1]
            logits = oracle.logits(o[None])[0]
            errors.append(check_hf(model, ids, at, delta, logits))
            out.update({f"{mode}.p{i}.lre": z, f"{mode}.p{i}.lre.logits": oracle.logits(z[None])[0],
                        f"{mode}.p{i}.delta": delta, f"{mode}.p{i}.edited.logits": logits})
    print(name, "worst difference from transformers", max(errors))
    return out


def main():
    """Write tests/fixtures/relation/MODEL.safetensors."""
    folder = fixture_dir("relation")
    for name in MODELS:
        tensors = relation(name)
        write_tensors(folder / f"{name}.safetensors", tensors)
        print(json.dumps({k: list(v.shape) for k, v in tensors.items()}))


if __name__ == "__main__":
    main()
