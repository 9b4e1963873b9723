"""Write tests/fixtures/FAMILY-NAME: random small models and what they must compute.

    python tests/reference/make_tokenizer.py      # first: gemma3-bf16 takes its tokenizer
    python tests/reference/make_families.py [FAMILY | FAMILY-NAME ...]

Forward values are transformers' in float32, from the folder on disk. Jacobians come from the
float64 oracle, which is held to transformers' forward pass, to its float32 autograd and to
central differences before anything is written.
"""

import dataclasses
import os
import shutil
import sys

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig
from transformers.utils import logging as hf_logging

import hf_model
import specs_gemma2
import specs_gemma3
import specs_gpt
import specs_llama
import specs_mistral
import specs_olmo
import specs_phi
import specs_qwen
import specs_smollm3
from families import shape_of
from fixture_files import FIXTURES, fixture_dir, relative_error, write_json, write_tensors
from jacobians import SiteMap
from mutants import check_mutants
from oracle import Oracle
from weights import random_weights, save_weights

SPECS = (specs_gemma3.SPECS + specs_llama.SPECS + specs_qwen.SPECS + specs_mistral.SPECS
         + specs_olmo.SPECS + specs_phi.SPECS + specs_gemma2.SPECS + specs_smollm3.SPECS
         + specs_gpt.SPECS)

FORWARD_TOLERANCE = 2e-5    # float32 forward pass against float64
HF_GRAD_TOLERANCE = 2e-4    # float32 autograd against float64
DIFFERENCE_TOLERANCE = 1e-7  # central differences, step 1e-5, in float64


def on_disk(name, prefixes):
    """`name` with the first of transformers' prefixes that it has replaced by the file's."""
    old, new = next(pair for pair in prefixes if name.startswith(pair[0]))
    return new + name.removeprefix(old)


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
    text, dtype = read.get_text_config(), getattr(torch, spec.dtype)
    shape = shape_of(text)
    weights = random_weights(spec.seed, hf_model.tensor_shapes(text), dtype, shape.norm_offset,
                             peaked=shape.qk_norm is None)
    if spec.buffers:
        weights.update(spec.buffers(text))
    named = {(spec.head if n == "lm_head.weight" else spec.prefix + n): w
             for n, w in weights.items()}
    if read is not text:
        shapes = {on_disk(n, spec.others): s for n, s in hf_model.other_shapes(read).items()}
        named.update(random_weights(spec.seed + 1000, shapes, dtype))
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
    by_hf = relative_error(hf_model.jacobian_to_last_norm(model, ids, **forward_keys), dense)
    assert by_hf < HF_GRAD_TOLERANCE, by_hf
    return by_difference, by_hf


def share_of_biases(step):
    """What the biases alone give the target, [p_out, d_out]: detached, sites are linear in both
    the source and the biases."""
    biases = [w.clone().requires_grad_(True) for w in step.oracle.biases().values()]
    weights = {**step.oracle.weights, **dict(zip(step.oracle.biases(), biases))}
    y = step.with_oracle(Oracle(step.oracle.shape, weights, "detached"))(step.point)
    eye = torch.eye(y.numel(), dtype=y.dtype).view(-1, *y.shape)
    jacs = torch.autograd.grad(y, biases, eye, is_grads_batched=True, allow_unused=True)
    parts = [(j * b).flatten(1).sum(1) for j, b in zip(jacs, biases) if j is not None]
    return sum(parts).view(y.shape).detach()


def check_reconstruction(step, jac):
    """Detached, from all positions: J x and what the biases give (returned) are the output."""
    y = step(step.point).detach()
    constant = share_of_biases(step) if step.oracle.biases() else None
    jx = torch.einsum("...td,td->...", jac, step.point).view(y.shape)
    assert relative_error(jx if constant is None else jx + constant, y) < 1e-10, step.target
    return constant


def jacobians(oracle, ids, pairs, prompt):
    """{`p0.jac.exact.A>B`: tensor} of every pair in both modes, and `p0.bias.A>B`."""
    out, detached = {}, oracle.with_mode("detached")
    for pair in pairs:
        pair = pair.format(L=oracle.shape.n_layers)
        source, target = pair.split(">")
        out[f"p{prompt}.jac.exact.{pair}"] = SiteMap(oracle, ids, source, target).dense()
        step = SiteMap(detached, ids, source, target)
        jac = out[f"p{prompt}.jac.detached.{pair}"] = step.dense()
        if step.source_at == "all":
            constant = check_reconstruction(step, jac)
            if constant is not None:
                all_kept = step.target[2] == "all"
                out[f"p{prompt}.bias.{pair}"] = constant if all_kept else constant[0]
    for target in (f"norm:{oracle.shape.n_layers}@last", "logits@last", "attn:1@last"):
        step = SiteMap(detached, ids, "resid:1@all", target)
        check_reconstruction(step, step.dense())
    return out


def expected(spec, model, prompts, softcap=None):
    """Everything that expected.safetensors holds, checked.

    transformers' Gemma 3 never passes attn_logit_softcapping to its attention function, which
    would apply it; `softcap` hands it in from outside.
    """
    keys = {} if softcap is None else {"softcap": softcap}
    shape = shape_of(text_config(model))
    if softcap is not None:
        shape = dataclasses.replace(shape, attn_softcap=softcap)
    oracle = Oracle(shape, hf_model.weights64(model))
    out = {}
    for p, ids in enumerate(prompts):
        out.update(hf_model.capture(model, ids, p, **keys))
        forward = check_forward(oracle, out, p)
        difference, grad = check_exact(oracle, model, ids, **keys)
        print(f"  forward {forward:.1e}, differences {difference:.1e}, HF grad {grad:.1e}")
        out.update(jacobians(oracle, ids, spec.jac[p], p))
    check_mutants(oracle, prompts, spec.mutants if softcap is None else ("no attn softcap",))
    return out


def text_config(model):
    """The config of the decoder, which a multimodal model's holds."""
    return model.config.get_text_config()


def make(spec):
    """Write one fixture."""
    print(f"{spec.family}-{spec.name}")
    folder = fixture_dir(f"{spec.family}-{spec.name}")
    write_model(spec, folder)
    model = hf_model.load(folder)
    config = text_config(model)
    prompts = prompt_ids(spec, folder, config.vocab_size)
    write_tensors(folder / "expected.safetensors", expected(spec, model, prompts))
    cap = getattr(config, "attn_logit_softcapping", None)
    if cap is not None and spec.family == "gemma3":
        write_tensors(folder / "expected-attn-softcap.safetensors",
                      expected(spec, model, prompts, softcap=cap))


def main(names):
    """Write the named fixtures, or all."""
    torch.set_num_threads(1)
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    for spec in SPECS:
        if not names or spec.family in names or f"{spec.family}-{spec.name}" in names:
            make(spec)


if __name__ == "__main__":
    main(sys.argv[1:])
