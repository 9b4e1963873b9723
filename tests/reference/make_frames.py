"""Write tests/fixtures/frames: frames of several directions, by numpy's SVD.

    python tests/reference/make_frames.py

For the networks of classifier_directions (wide, tall): the first RANK right singular vectors of the
first layer [RANK, d], of the sign that has a nonnegative product with the logit's mean gradient, and
their singular values. For rows X [40, 12] and two problems on them (rows, labels; the second has
more negatives than positives): the same of the differences of the i-th positive and the i-th
negative, along the sum of these differences. Values that go in are float32's, the arithmetic is
float64.
"""

import numpy as np
from safetensors.numpy import load_file, save_file

from fixture_files import FIXTURES, fixture_dir

RANK = 5


def frame(matrix, along):
    """The first right singular vectors along a vector, and their values."""
    _, sigma, vt = np.linalg.svd(matrix, full_matrices=False)
    dots = vt[:RANK] @ along
    assert np.abs(dots).min() > 1e-3 * np.linalg.norm(along)
    assert (sigma[:RANK] > 1.02 * np.append(sigma, 0)[1:RANK + 1]).all()
    return vt[:RANK] * np.sign(dots)[:, None], sigma[:RANK]


def problem(rng, x, n_positive, n_negative):
    """Rows of X in any order, some twice, with labels."""
    labels = rng.permutation([1] * n_positive + [0] * n_negative)
    rows = rng.integers(0, len(x), len(labels))
    n = min(n_positive, n_negative)
    differences = x[rows[labels == 1][:n]] - x[rows[labels == 0][:n]]
    vectors, sigma = frame(differences, differences.sum(0))
    return {"rows": rows.astype(np.int64), "labels": labels.astype(np.float32),
            "frame": vectors, "sigma": sigma}


def main():
    """Write the file."""
    rng = np.random.Generator(np.random.PCG64(23))
    out = {}
    networks = load_file(str(FIXTURES / "classifier_directions" / "directions.safetensors"))
    for name in ("wide", "tall"):
        out[f"{name}.frame"], out[f"{name}.sigma"] = frame(
            networks[f"{name}.0.weight"].astype(np.float64), networks[f"{name}.mean_gradient"])
    x = rng.standard_normal((40, 12)).astype(np.float32)
    out["X"] = x
    for i, counts in enumerate([(9, 9), (10, 16)]):
        for key, value in problem(rng, x.astype(np.float64), *counts).items():
            out[f"{i}.{key}"] = value
    save_file({k: np.ascontiguousarray(v) for k, v in out.items()},
              str(fixture_dir("frames") / "frames.safetensors"))


if __name__ == "__main__":
    main()
