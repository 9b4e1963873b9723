"""Write tests/fixtures/pack: a folder of trained classifiers as packs lay them out.

    python tests/reference/make_pack.py

layer1/Physical_classifier.pt and layer0/Abstract.pt (both names occur) are 24-16-8-1 networks for
the width of gemma3-bf16; expected.safetensors holds the top right singular vectors of their first
layers, computed in float64. See tests/fixtures/README.md.
"""

import torch
from safetensors.torch import save_file

from fixture_files import fixture_dir

D, H1, H2 = 24, 16, 8


def classifier(seed):
    """The state of a network with weights of its own."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for place, (rows, columns) in {0: (H1, D), 3: (H2, H1), 6: (1, H2)}.items():
        state[f"{place}.weight"] = torch.randn(rows, columns, generator=generator) / columns**0.5
        state[f"{place}.bias"] = torch.randn(rows, generator=generator) / 10
    return state


def main():
    """Write the pack and what its directions must be."""
    folder = fixture_dir("pack")
    expected = {}
    for seed, (concept, name) in enumerate(
            [("Physical", "layer1/Physical_classifier"), ("Abstract", "layer0/Abstract")]):
        state = classifier(seed)
        path = folder / f"{name}.pt"
        path.parent.mkdir(exist_ok=True)
        torch.save(state, path)
        _, _, v = torch.linalg.svd(state["0.weight"].double(), full_matrices=False)
        expected[concept] = v[0].float().contiguous()
    save_file(expected, folder / "expected.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
