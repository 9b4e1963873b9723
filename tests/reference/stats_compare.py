"""References for metric_compare.h: subspaces, spectra, CKA, Spearman, ICC, agreement.

Each by another route than the C code's: projectors rather than principal vectors, HSIC in Song's
form rather than U-centring, Haar frames by QR rather than Wishart factors, every permutation
with numpy's own order.
"""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
from scipy import linalg, stats
from scipy.spatial import distance

SEED = 5


def rows(rng, n, d, digits=2):
    """Values that JSON, float32 and float64 hold alike enough: rounded, then as float32 reads."""
    return np.round(rng.standard_normal((n, d)), digits).tolist()


def as_float32(x):
    """What a C float made of the JSON number is, as float64."""
    return np.asarray(x, dtype=np.float32).astype(np.float64)


def unit(x):
    """Rows of length 1."""
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def exact_angles(a, b):
    """Principal angles in 40 digits, where the arc cosine of nearly 1 is no trouble."""
    with mpmath.workdps(40):
        P, Q = (mpmath.qr(mpmath.matrix(x.T.tolist()), mode="skinny")[0] for x in (a, b))
        cosines = mpmath.svd_r(P.T * Q, compute_uv=False)
        return sorted(float(mpmath.acos(min(c, 1))) for c in cosines)


def frames(name, U, V):
    """Principal angles of the row spans, close to scipy's; the overlap by projectors."""
    a, b = unit(as_float32(U)), unit(as_float32(V))  # of the same span
    angles = np.array(exact_angles(a, b))
    # scipy takes small angles from cosines when the others are large: half the digits
    assert np.allclose(angles, np.sort(linalg.subspace_angles(a.T, b.T)), rtol=0, atol=5e-8)
    P, Q = np.linalg.pinv(a) @ a, np.linalg.pinv(b) @ b
    overlap = float(np.trace(P @ Q)) / min(len(U), len(V))
    assert math.isclose(overlap, float(np.mean(np.cos(angles) ** 2)), abs_tol=1e-12)
    return {"name": name, "U": U, "V": V, "angles": angles.tolist(), "overlap": overlap}


def frame_cases(rng):
    """Random, orthonormal, nested, close, skewed in length, and complementary frames."""
    A, B = rows(rng, 3, 12), rows(rng, 5, 12)
    eye = np.eye(6)
    tilt = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]
    near = [[1.0, 0.0, 1e-5, 0.0], [0.0, 1.0, 0.0, 3e-3]]
    mix = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0], [2.0, 1.0, 1.0]])
    mixed = (mix @ np.asarray(A)).tolist()
    scaled = [[1e20 * v for v in A[0]], [1e-20 * v for v in A[1]], A[2]]
    return [frames("3 and 5 of 12", A, B), frames("5 and 3 of 12", B, A),
            frames("lines", A[:1], B[:1]), frames("line and plane", A[:1], B[:2]),
            frames("axes", eye[:3].tolist(), eye[2:5].tolist()),
            frames("complements", eye[:2].tolist(), eye[2:].tolist()),
            frames("close", tilt, near), frames("same span", A, mixed),
            frames("lengths", scaled, B), frames("everything", rows(rng, 4, 4), rows(rng, 2, 4)),
            frames("must meet", rows(rng, 5, 7), rows(rng, 4, 7))]


def haar_cosines(rng, r, s, d, n):
    """Principal cosines of n pairs of Haar subspaces; one of them may as well be fixed."""
    Q = np.linalg.qr(rng.standard_normal((n, d, r)))[0]
    return np.linalg.svd(Q[:, :s, :], compute_uv=False)


def subspace_chance(rng, r, s, d, n=40000):
    """Moments by simulation and by the formula, quantiles of overlap and largest cosine."""
    cosines = haar_cosines(rng, r, s, d, n)
    overlap = np.mean(cosines ** 2, axis=1)
    levels = [0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    return {"r": r, "s": s, "d": d, "n": n, "mean": float(overlap.mean()),
            "std": float(overlap.std()), "levels": levels,
            "overlap": np.quantile(overlap, levels).tolist(),
            "largest": np.quantile(cosines[:, 0], levels).tolist(),
            "smallest": np.quantile(cosines[:, -1], levels).tolist()}


def overlap_p(overlap, m, d):
    """P(overlap >= the value) of a line and an m-dimensional subspace."""
    return {"overlap": overlap, "m": m, "d": d,
            "p": float(stats.beta.sf(overlap, m / 2, (d - m) / 2))}


def hsic_unbiased(K, L):
    """HSIC_1 of Song et al. 2012, their equation (5), exact for Fractions."""
    n = len(K)
    off = 1 - np.eye(n, dtype=int)
    K, L = K * off, L * off
    one = np.ones(n, dtype=int)
    return (np.trace(K @ L) + (one @ K @ one) * (one @ L @ one) / Fraction((n - 1) * (n - 2))
            - Fraction(2, n - 2) * (one @ K @ L @ one)) / Fraction(n * (n - 3))


def fractions(x):
    """The same numbers, exactly."""
    return np.array([[Fraction(float(v)) for v in row] for row in x], dtype=object)


def cka(name, X, Y):
    """Linear CKA: biased by features, unbiased by HSIC_1 in exact fractions."""
    x, y = as_float32(X), as_float32(Y)
    xc, yc = x - x.mean(0), y - y.mean(0)
    biased = (np.linalg.norm(yc.T @ xc) ** 2
              / np.linalg.norm(xc.T @ xc) / np.linalg.norm(yc.T @ yc))
    unbiased = None
    if len(x) >= 4:
        K, L = (f @ f.T for f in (fractions(x), fractions(y)))
        unbiased = (float(hsic_unbiased(K, L))
                    / math.sqrt(hsic_unbiased(K, K)) / math.sqrt(hsic_unbiased(L, L)))
    return {"name": name, "X": X, "Y": Y, "biased": float(biased), "unbiased": unbiased}


def cka_cases(rng):
    """Unrelated, related, rotated, more features than rows, few rows, an offset."""
    X = rows(rng, 10, 4)
    Y = np.round(np.asarray(X) @ rng.standard_normal((4, 3)) + rng.standard_normal((10, 3)), 2)
    shifted = np.round(np.asarray(X) + 100, 2)
    return [cka("unrelated", X, rows(rng, 10, 6)), cka("related", X, Y.tolist()),
            cka("wide", rows(rng, 6, 15), rows(rng, 6, 12)), cka("four", X[:4], Y[:4].tolist()),
            cka("two", X[:2], Y[:2].tolist()), cka("offset", shifted.tolist(), Y.tolist())]


def exact_spearman_p(x, y):
    """P(|rho| >= observed) over all pairings, in integers: ranks doubled."""
    a = np.rint(2 * stats.rankdata(x)).astype(np.int64) - len(x) - 1
    b = np.rint(2 * stats.rankdata(y)).astype(np.int64) - len(x) - 1
    observed, hits, total = abs(int(a @ b)), 0, 0
    batches = itertools.permutations(b.tolist())
    while chunk := list(itertools.islice(batches, 50000)):
        sums = np.abs(np.asarray(chunk, dtype=np.int64) @ a)
        hits, total = hits + int((sums >= observed).sum()), total + len(chunk)
    assert total == math.factorial(len(x))
    return hits / total


def spearman(name, x, y):
    """Spearman's rho by scipy; p exact up to nine pairs, else scipy's t."""
    rho, p = stats.spearmanr(x, y)
    return {"name": name, "x": x, "y": y, "rho": float(rho),
            "p": exact_spearman_p(x, y) if len(x) <= 9 else float(p)}


def spearman_cases(rng):
    """Without and with ties, perfect, short, and long."""
    values = [round(float(v), 3) for v in rng.standard_normal(40)]
    ties = [float(v) for v in rng.integers(0, 4, 40)]
    x, cases = values[:20], [spearman("two", [1.0, 2.0], [5.0, 3.0])]
    for n in (3, 5, 7, 9, 10, 20):
        cases += [spearman(f"{n}", x[:n], values[20:20 + n]),
                  spearman(f"{n} ties", ties[:n], ties[20:20 + n]),
                  spearman(f"{n} ties in one", x[:n], ties[20:20 + n])]
    return [*cases, spearman("published", [-.0377, -.0318, -.0229, -.0062, .0052],
                             [3.0, 1.0, 2.0, 5.0, 4.0]),
            spearman("order", [1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 20.0, 30.0, 40.0, 50.0])]


def icc(name, x):
    """ICC(1,1) from scipy's one-way F: (F - 1) / (F + k - 1)."""
    F, p = stats.f_oneway(*np.asarray(x, dtype=float))
    k = len(x[0])
    return {"name": name, "x": x, "icc": float((F - 1) / (F + k - 1)), "p": float(p)}


def icc_cases(rng):
    """The table of Shrout and Fleiss (1979), whose ICC(1,1) is .17, and others."""
    shrout = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    shrout = [[float(v) for v in row] for row in shrout]
    out = icc("shrout-fleiss", shrout)
    assert round(out["icc"], 2) == 0.17
    level = rng.standard_normal((5, 1))
    strong = np.round(level + 0.2 * rng.standard_normal((5, 3)), 3).tolist()
    return [out, icc("strong", strong), icc("none", rows(rng, 4, 6, 3)),
            icc("pairs", rows(rng, 9, 2, 3))]


def agreement(name, X):
    """Pairwise cosines by numpy."""
    x = unit(as_float32(X))
    c = (x @ x.T)[np.triu_indices(len(x), 1)]
    return {"name": name, "X": X, "mean": float(c.mean()), "mean_abs": float(np.abs(c).mean()),
            "min": float(c.min()), "max": float(c.max())}


def agreement_chance(rng, n, d, draws=40000):
    """Quantiles of the mean cosine and mean |cosine| of n random directions."""
    x = rng.standard_normal((draws, n, d))
    x /= np.linalg.norm(x, axis=2, keepdims=True)
    i, j = np.triu_indices(n, 1)
    c = (x @ x.transpose(0, 2, 1))[:, i, j]
    levels = [0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    mean, mean_abs = c.mean(1), np.abs(c).mean(1)
    return {"n": n, "d": d, "draws": draws, "levels": levels, "std": float(mean.std()),
            "abs_mean": float(mean_abs.mean()), "abs_std": float(mean_abs.std()),
            "mean": np.quantile(mean, levels).tolist(),
            "mean_abs": np.quantile(mean_abs, levels).tolist()}


def spectra(name, a, b):
    """Two spectra by numpy and scipy: the divergence is the square of scipy's distance."""
    out = {"name": name, "a": a, "b": b}
    shares = []
    for key, sigma in (("a", np.asarray(a)), ("b", np.asarray(b))):
        p = (sigma / sigma[0]) ** 2 / np.sum((sigma / sigma[0]) ** 2)
        shares.append(p)
        out[key + "_ranks"] = [float(1 / p[0]), float(1 / np.sum(p ** 2)),
                               float(np.exp(stats.entropy(p)))]
        out[key + "_normalised"] = (sigma / sigma[0]).tolist()
    out["divergence"] = float(distance.jensenshannon(*shares, base=2) ** 2)
    return out


def spectra_cases():
    """Random, geometric, rank deficient, and of other scales."""
    rng = np.random.Generator(np.random.PCG64(SEED + 1))
    random = [np.sort(np.abs(rng.standard_normal(20)))[::-1].tolist() for _ in range(2)]
    fast, slow = [0.5 ** i for i in range(30)], [0.9 ** i for i in range(30)]
    return [spectra("random", *random), spectra("geometric", fast, slow),
            spectra("deficient", [3.0, 2.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0]),
            spectra("scaled", [v * 1e-150 for v in fast], [v * 1e150 for v in slow])]


def cases():
    """All of compare.json."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    dims = ((1, 1, 8), (1, 3, 8), (2, 2, 5), (3, 5, 20), (4, 4, 5), (5, 4, 7), (2, 8, 64))
    return {"frames": frame_cases(rng),
            "subspace_chance": [subspace_chance(rng, *rsd) for rsd in dims],
            "overlap_p": [overlap_p(x, m, d) for x in (1e-4, 0.02, 0.3, 0.9)
                          for m, d in ((1, 2), (1, 160), (3, 8), (32, 2560), (7, 8))],
            "cka": cka_cases(rng), "spectra": spectra_cases(),
            "spearman": spearman_cases(rng), "icc": icc_cases(rng),
            "agreement": [agreement("five", rows(rng, 5, 8)), agreement("two", rows(rng, 2, 3)),
                          agreement("scaled", [[1e-30, 2e-30], [3e30, 1e30], [-1.0, 1.0]])],
            "agreement_chance": [agreement_chance(rng, n, d)
                                 for n, d in ((2, 3), (5, 2), (5, 64), (10, 6))]}
