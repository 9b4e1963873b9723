"""Write tests/fixtures/classifier_directions: directions of classifiers, by torch.

    python tests/reference/make_classifier_directions.py

Two ReLU networks d-h1-h2-1 in the names of torch.nn.Sequential with dropout, wide (20-12-7) and tall
(6-15-5), each with X [n, d]; all values are float32's, the arithmetic float64. Per network:
mean_gradient [d] (autograd, over the rows), importance [h1] (the mean over the rows of |d logit / d
z1|, z1 the first layer's output before the ReLU, which is 0 where it is off), and for the matrices
W1 and diag(importance) W1: sigma and the top right singular vector, of the sign that has a
nonnegative product with the mean gradient; `gradient` is the mean gradient at unit length.
"""

import numpy as np
import torch
from safetensors.numpy import save_file

from fixture_files import fixture_dir

SHAPES = {"wide": (20, 12, 7, 9), "tall": (6, 15, 5, 11)}  # d, h1, h2, rows


def float32(rng, *shape):
    """Normal numbers that float32 holds, in float64."""
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)


def network(rng, d, h1, h2):
    """Weights by name; hidden unit 1 is never on."""
    w = {"0.weight": float32(rng, h1, d), "0.bias": float32(rng, h1),
         "3.weight": float32(rng, h2, h1), "3.bias": float32(rng, h2),
         "6.weight": float32(rng, 1, h2), "6.bias": float32(rng, 1)}
    w["0.bias"][1] = -1e3
    return w


def gradients(w, x):
    """d logit / d x [n, d] and d logit / d z1 [n, h1], by autograd."""
    t = {name: torch.from_numpy(value) for name, value in w.items()}
    rows = torch.from_numpy(x).requires_grad_()
    z1 = rows @ t["0.weight"].T + t["0.bias"]
    z1.retain_grad()
    a2 = torch.relu(torch.relu(z1) @ t["3.weight"].T + t["3.bias"])
    (a2 @ t["6.weight"].T + t["6.bias"]).sum().backward()
    return rows.grad.numpy(), z1.grad.numpy()


def oriented(matrix, gradient):
    """All singular values, and the top right singular vector along the gradient."""
    _, sigma, vt = np.linalg.svd(matrix, full_matrices=False)
    along = vt[0] @ gradient
    assert abs(along) > 1e-2 and sigma[0] > 1.05 * sigma[1]
    return sigma, vt[0] * np.sign(along)


def case(rng, d, h1, h2, n):
    """Tensors of one network."""
    w, x = network(rng, d, h1, h2), float32(rng, n, d)
    by_x, by_z1 = gradients(w, x)
    mean, importance = by_x.mean(0), np.abs(by_z1).mean(0)
    assert importance[1] == 0
    out = {name: value.astype(np.float32) for name, value in w.items()}
    out.update({"X": x.astype(np.float32), "mean_gradient": mean, "importance": importance,
                "gradient": mean / np.linalg.norm(mean)})
    out["w1.sigma"], out["w1.direction"] = oriented(w["0.weight"], mean)
    out["weighted.sigma"], out["weighted.direction"] = oriented(
        importance[:, None] * w["0.weight"], mean)
    return out


def main():
    """Write the file."""
    rng = np.random.Generator(np.random.PCG64(11))
    out = {f"{name}.{key}": np.ascontiguousarray(value)
           for name, shape in SHAPES.items() for key, value in case(rng, *shape).items()}
    save_file(out, str(fixture_dir("classifier_directions") / "directions.safetensors"))


if __name__ == "__main__":
    main()
