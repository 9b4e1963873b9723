"""Write tests/fixtures/gemma3-*: random small Gemma-3 models and what they must compute.

    python tests/reference/make_tokenizer.py      # first: gemma3-bf16 takes its tokenizer
    python tests/reference/make_gemma3.py [NAME...]

Forward values are transformers' in float32, from the folder on disk. Jacobians come from the
float64 oracle, which is held to transformers' forward pass, to its float32 autograd and to
central differences before anything is written.
"""

import os
import shutil
import sys

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, Gemma3Config
from transformers.utils import logging as hf_logging

import gemma3_hf
from fixture_files import FIXTURES, fixture_dir, relative_error, write_json, write_tensors
from gemma3_mutants import check_mutants
from gemma3_oracle import Oracle, shape_of
from gemma3_specs import SPECS
from gemma3_weights import random_weights, save_weights, text_shapes, vision_weights
from jacobians import SiteMap

FORWARD_TOLERANCE = 2e-5    # float32 forward pass against float64
HF_GRAD_TOLERANCE = 2e-4    # float32 autograd against float64
DIFFERENCE_TOLERANCE = 1e-7  # central differences, step 1e-5, in float64


def write_model(spec, folder):
    """config.json, weights and tokenizer of one fixture."""
    config = dict(spec.config)
    if spec.tokenizer:
        source = FIXTURES / spec.tokenizer / "tokenizer.json"
        shutil.copyfile(source, folder / "tokenizer.json")
        config["vocab_size"] = Tokenizer.from_file(str(source)).get_vocab_size()
    if spec.nested:
        config = {**spec.nested, "text_config": config}
    write_json(folder / "config.json", config, sort_keys=True)

    read = AutoConfig.from_pretrained(folder)
    text = read.get_text_config()
    dtype = getattr(torch, spec.dtype)
    weights = random_weights(spec.seed, text_shapes(text), dtype)
    named = {(n if n == "lm_head.weight" else spec.prefix + n): w for n, w in weights.items()}
    if isinstance(read, Gemma3Config):
        vision = vision_weights(spec.seed + 1000, read, dtype)
        named.update({spec.vision_prefix + n: w for n, w in vision.items()})
    save_weights(folder, named, spec.shards)


def prompt_ids(spec, folder, vocab):
    """The ids [T] of every prompt: of a text, or drawn at random after <bos> = 2."""
    if spec.tokenizer:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        ids = [tokenizer.encode(text).ids for text in spec.prompts]
        write_json(folder / "prompts.json",
                   [{"text": t, "ids": i} for t, i in zip(spec.prompts, ids)])
        return [torch.tensor(i) for i in ids]
    draw = torch.Generator().manual_seed(spec.seed)
    return [torch.cat((torch.tensor([2]), torch.randint(3, vocab, (n - 1,), generator=draw)))
            for n in spec.prompts]


def check_forward(oracle, want, prompt):
    """Hold every site of the oracle to transformers' values."""
    with torch.no_grad():
        sites = oracle.sites(oracle.embed(want[f"p{prompt}.ids"]))
    worst = 0.0
    for (name, n), got in sites.items():
        key = f"p{prompt}.{name}" + ("" if name == "logits" else f".{n}")
        worst = max(worst, relative_error(got, want[key]))
    assert worst < FORWARD_TOLERANCE, worst
    return worst


def check_exact(oracle, model, ids, **forward_keys):
    """Hold the exact Jacobian to transformers' autograd and to central differences."""
    layers = oracle.shape.n_layers
    step = SiteMap(oracle, ids, "embed@all", f"norm:{layers}@last")
    dense = step.dense()
    by_difference = relative_error(step.finite_differences(), dense)
    assert by_difference < DIFFERENCE_TOLERANCE, by_difference
    by_hf = relative_error(gemma3_hf.jacobian_to_last_norm(model, ids, **forward_keys), dense)
    assert by_hf < HF_GRAD_TOLERANCE, by_hf
    return by_difference, by_hf


def check_reconstruction(oracle, ids):
    """Detached, from all positions: J x is the output where the model has no biases."""
    for target in (f"norm:{oracle.shape.n_layers}@last", "logits@last", "attn:1@last"):
        step = SiteMap(oracle.with_mode("detached"), ids, "resid:1@all", target)
        jx = torch.einsum("otd,td->o", step.dense(), step.point)
        assert relative_error(jx, step(step.point)[0].detach()) < 1e-10, target


def jacobians(oracle, ids, pairs, prompt):
    """{`p0.jac.exact.A>B`: tensor} for every pair and both modes."""
    out = {}
    for pair in pairs:
        pair = pair.format(L=oracle.shape.n_layers)
        source, target = pair.split(">")
        for mode in ("exact", "detached"):
            step = SiteMap(oracle.with_mode(mode), ids, source, target)
            out[f"p{prompt}.jac.{mode}.{pair}"] = step.dense()
    return out


def expected(spec, model, prompts, softcap=None):
    """Everything that expected.safetensors holds, checked.

    transformers' Gemma 3 never passes attn_logit_softcapping to its attention function, which
    would apply it; `softcap` hands it in from outside.
    """
    keys = {} if softcap is None else {"softcap": softcap}
    config = text_config(model)
    oracle = Oracle(shape_of(config, softcap), gemma3_hf.weights64(model))
    out = {}
    for p, ids in enumerate(prompts):
        out.update(gemma3_hf.capture(model, ids, p, **keys))
        forward = check_forward(oracle, out, p)
        if p == 0:
            difference, grad = check_exact(oracle, model, ids, **keys)
            print(f"  forward {forward:.1e}, differences {difference:.1e}, HF grad {grad:.1e}")
        if not config.attention_bias:
            check_reconstruction(oracle, ids)
        out.update(jacobians(oracle, ids, spec.jac[p], p))
    check_mutants(oracle, prompts[0], spec.mutants if softcap is None else ("no attn softcap",))
    return out


def text_config(model):
    """The Gemma3TextConfig of either class."""
    return model.config.get_text_config()


def make(spec):
    """Write one fixture."""
    print(spec.name)
    folder = fixture_dir("gemma3-" + spec.name)
    write_model(spec, folder)
    model = gemma3_hf.load(folder)
    config = text_config(model)
    prompts = prompt_ids(spec, folder, config.vocab_size)
    write_tensors(folder / "expected.safetensors", expected(spec, model, prompts))
    cap = config.attn_logit_softcapping
    if cap is not None:
        write_tensors(folder / "expected-attn-softcap.safetensors",
                      expected(spec, model, prompts, softcap=cap))


def main(names):
    """Write the named fixtures, or all."""
    torch.set_num_threads(1)
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    for spec in SPECS:
        if not names or spec.name in names:
            make(spec)


if __name__ == "__main__":
    main(sys.argv[1:])
