"""Expected concept vectors of experiments/layer0.yaml on the shipped model, in float64.

    python tests/reference/make_layer0.py

For each concept's prompt: the token ids by HF tokenizers, and, with J the derivative of
`norm:6@last` by `embed@all`, J x at the prompt in both modes. The weights are read through HF
transformers; the oracle is the one that make_families.py holds to HF's own forward pass.
"""

import json
import pathlib

import torch
from tokenizers import Tokenizer

import hf_model
from families import shape_of
from fixture_files import fixture_dir, write_tensors
from jacobians import SiteMap
from oracle import Oracle

ROOT = pathlib.Path(__file__).parents[2]
MODEL = ROOT / "experiments/models/tiny-gemma3"
CONCEPTS = ("Entity", "Physical", "Abstract", "Process", "Attribute")
LAYER = 6


def concept_vector(oracle, ids):
    """J x [d] of one prompt."""
    jac = SiteMap(oracle, ids, "embed@all", f"norm:{LAYER}@last")
    _, jx = torch.func.jvp(jac, (jac.point,), (jac.point,))
    return jx[0]


def main():
    """Write tests/fixtures/layer0/expected.safetensors."""
    model = hf_model.load(MODEL)
    shape = shape_of(model.config)
    exact = Oracle(shape, hf_model.weights64(model))
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tensors = {}
    for concept in CONCEPTS:
        ids = torch.tensor(tokenizer.encode(f"The concept of {concept} means").ids)
        tensors[f"{concept}.ids"] = ids
        for mode in ("exact", "detached"):
            vector = concept_vector(exact.with_mode(mode), ids)
            tensors[f"{concept}.jx.{mode}"] = vector.detach().float()
    write_tensors(fixture_dir("layer0") / "expected.safetensors", tensors)
    print(json.dumps({k: list(v.shape) for k, v in tensors.items()}, indent=1))


if __name__ == "__main__":
    main()
