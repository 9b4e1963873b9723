"""Write tests/fixtures/linear: directions that scikit-learn and numpy fit in float64.

    python tests/reference/make_linear.py

{wide,tall,separable}.safetensors: X (f32) and held-out `test.X`, `test.y`; problems `P.rows`,
`P.labels`; `P.METHOD.w`, `.b` (f64) and `P.METHOD.f1` on the held-out rows. Columns have standard
deviations of .01 to 100 and means of up to 1000, as activations of language models have.
"""

import warnings

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from fixture_files import fixture_dir

# name, held-in rows, held-out rows, columns, strength of the labels' direction
SIZES = [("wide", 60, 60, 96, 1.5), ("tall", 240, 120, 12, 1.5), ("separable", 40, 40, 64, 12.0)]
L2 = (1.0, 0.01)


def data(rng, n, d, strength):
    """Badly scaled rows (as f32 holds them) and their labels."""
    y = (rng.uniform(size=n) < 0.45).astype(float)
    along = rng.standard_normal(d)
    z = rng.standard_normal((n, d)) + strength * np.outer(y - 0.45, along / np.linalg.norm(along))
    scale = 10.0 ** rng.uniform(-2, 2, d)
    mean = rng.uniform(-1, 1, d) * 10.0 ** rng.uniform(0, 3, d)
    return (z * scale + mean).astype(np.float32), y


def logistic(x, y, l2):
    """The minimum, from rows less their mean (b absorbs it), by two solvers that must agree."""
    mean = x.mean(0)
    fits = []
    for solver, tol, iterations in (("newton-cholesky", 1e-12, 1000), ("lbfgs", 1e-12, 200000)):
        with warnings.catch_warnings():  # both ask for more than double precision gives
            warnings.simplefilter("ignore")
            fit = LogisticRegression(C=1 / l2, solver=solver, tol=tol, max_iter=iterations)
            fit.fit(x - mean, y)
        fits.append((fit.coef_[0], fit.intercept_[0] - fit.coef_[0] @ mean))
    w, b = fits[0]
    p = 1 / (1 + np.exp(-(x @ w + b)))
    gradient = x.T @ (p - y) + l2 * w - mean * (p - y).sum()
    start = (x - mean).T @ (y.mean() - y)
    apart = np.linalg.norm(fits[1][0] - w) / np.linalg.norm(w)
    assert np.linalg.norm(gradient) < 1e-11 * np.linalg.norm(start)
    assert apart < 2e-4, apart  # lbfgs stops early on columns of such scales
    return w, b


def difference(x, y):
    """Difference of means; their midpoint scores 0."""
    high, low = x[y == 1].mean(0), x[y == 0].mean(0)
    return high - low, -(high - low) @ (high + low) / 2


def pca(x, y):
    """First right singular vector of the paired differences."""
    n = int(min(y.sum(), (1 - y).sum()))
    high, low = x[y == 1].mean(0), x[y == 0].mean(0)
    w = np.linalg.svd(x[y == 1][:n] - x[y == 0][:n], full_matrices=False)[2][0]
    w = w * np.sign(w @ (high - low))
    return w, -w @ (high + low) / 2


def lda(x, y, shrinkage):
    """Fisher's discriminant."""
    fit = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(x, y)
    return fit.coef_[0], fit.intercept_[0]


def methods(x, y, wide):
    """(name, (w, b)) of every method on rows x."""
    yield from ((f"logistic.{l2}", logistic(x, y, l2)) for l2 in L2)
    yield "difference", difference(x, y)
    yield "pca", pca(x, y)
    yield "lda.auto", lda(x, y, "auto")
    yield "lda.0.3", lda(x, y, 0.3)
    if not wide:
        yield "lda.none", lda(x, y, None)


def problems(rng, y):
    """All rows; a random half in random order; a bootstrap sample; shuffled labels."""
    n = len(y)
    yield np.arange(n), y
    half = rng.permutation(n)[:n // 2]
    yield half, y[half]
    again = rng.integers(0, n, n)
    yield again, y[again]
    yield np.arange(n), rng.permutation(y)


def make(folder, seed, name, n, n_test, d, strength):
    """One file."""
    rng = np.random.Generator(np.random.PCG64(seed))
    x, y = data(rng, n + n_test, d, strength)
    out = {"X": x[:n], "test.X": x[n:], "test.y": y[n:].astype(np.float32)}
    for p, (rows, labels) in enumerate(problems(rng, y[:n])):
        out[f"{p}.rows"], out[f"{p}.labels"] = rows.astype(np.int64), labels.astype(np.float32)
        for method, (w, b) in methods(x[rows].astype(np.float64), labels, n <= d):
            scores = x[n:].astype(np.float64) @ w + b
            out[f"{p}.{method}.w"], out[f"{p}.{method}.b"] = w, np.array([b])
            out[f"{p}.{method}.f1"] = np.array([f1_score(y[n:], scores > 0)])
    save_file({k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in sorted(out.items())},
              str(folder / f"{name}.safetensors"))


def main():
    """Write all files."""
    folder = fixture_dir("linear")
    for seed, size in enumerate(SIZES):
        make(folder, seed, *size)


if __name__ == "__main__":
    main()
