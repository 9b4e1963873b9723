"""Write tests/fixtures/stats: the cosine null, summaries and histograms (stats.json), comparisons
(compare.json, see stats_compare.py) and resampling (resample.json, see stats_resample.py).

    python tests/reference/make_stats.py

For a uniformly random unit vector in d dimensions and a fixed one, cos^2 ~ Beta(1/2, (d - 1)/2),
so P(|cos| >= c) = I_{1 - c^2}((d - 1)/2, 1/2). Values are computed
twice, by the Beta and by Student's t with d - 1 degrees of freedom, and must agree.
"""

import math

import numpy as np
from scipy import stats

import stats_compare
import stats_resample
from fixture_files import fixture_dir, write_json

DIMENSIONS = (2, 3, 10, 160, 2560)
COSINES = (0.0, 1e-6, 0.0052, 0.01, 0.0198, 0.0377, 0.05, 0.1, 0.25, 0.5, 0.9, 0.999, 1.0)
PUBLISHED = [-0.0377, -0.0318, -0.0229, -0.0062, 0.0052]


def p_value(c, d):
    """P(|cos| >= c) for random directions in d dimensions; even in c."""
    c = abs(c)
    p = float(stats.beta.sf(c * c, 0.5, (d - 1) / 2))
    if 0 < c < 1:
        t = c * math.sqrt((d - 1) / ((1 - c) * (1 + c)))
        other = 2 * float(stats.t.sf(t, d - 1))
        assert math.isclose(p, other, rel_tol=1e-9, abs_tol=1e-300), (c, d, p, other)
    return p


def null_table():
    """p for every d and c; where p underflows double precision, cases are left out."""
    rows = [{"d": d, "cos": s * c, "p": p_value(c, d)} for d in DIMENSIONS for c in COSINES
            for s in ((1, -1) if 0 < c < 1 else (1,))]
    return [r for r in rows if r["p"] > 1e-290 or r["cos"] == 1.0]


def null_moments():
    """E cos = 0, sd = 1/sqrt(d), E|cos| = Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2))."""
    mean = {d: math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / math.sqrt(math.pi)
            for d in DIMENSIONS}
    return [{"d": d, "std": 1 / math.sqrt(d), "mean_abs": mean[d],
             "abs_cos_at_p_0.05": math.sqrt(float(stats.beta.isf(0.05, 0.5, (d - 1) / 2)))}
            for d in DIMENSIONS]


def summary(name, values):
    """Mean, median, std with ddof 0 and 1 (null for one value), extremes."""
    v = np.asarray(values, dtype=float)
    return {"name": name, "values": values, "mean": float(v.mean()),
            "median": float(np.median(v)), "std_ddof0": float(v.std()),
            "std_ddof1": float(v.std(ddof=1)) if len(v) > 1 else None,
            "mean_abs": float(np.abs(v).mean()), "min": float(v.min()), "max": float(v.max())}


def histogram(name, values, bins):
    """Counts over [-1, 1] in equal bins; each [a, b) but the last, which is [a, b]."""
    counts, edges = np.histogram(values, bins=bins, range=(-1, 1))
    return {"name": name, "values": values, "bins": bins, "edges": edges.tolist(),
            "counts": counts.tolist()}


def benjamini_hochberg(name, p):
    """Adjusted p-values of Benjamini and Hochberg, and of Holm and Bonferroni."""
    m = len(p)
    order = sorted(range(m), key=lambda i: p[i])
    holm, running = [0.0] * m, 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (m - rank) * p[i]))
        holm[i] = running
    return {"name": name, "p": p, "bh": stats.false_discovery_control(p, method="bh").tolist(),
            "by": stats.false_discovery_control(p, method="by").tolist(), "holm": holm,
            "bonferroni": [min(1.0, m * v) for v in p]}


def main():
    """Write the three files."""
    rng = np.random.Generator(np.random.PCG64(11))
    random = [round(float(v), 6) for v in rng.uniform(-1, 1, 40)]
    sets = (("published", PUBLISHED), ("one", [0.25]), ("two", [-0.5, 0.125]),
            ("equal", [0.3, 0.3, 0.3]), ("large offset", [1e6 + v for v in (0.1, 0.2, 0.4)]),
            ("random", random))
    in_range = [(n, v) for n, v in sets if n != "large offset"]
    edges = ("edges", [-1.0, -0.5, 0.0, 0.5, 1.0])
    published = [p_value(c, 2560) for c in PUBLISHED]
    out = {"cosine_null": null_table(), "cosine_null_moments": null_moments(),
           "summaries": [summary(n, v) for n, v in sets],
           "histograms": [histogram(n, v, b) for n, v in (*in_range, edges) for b in (4, 20)],
           "corrections": [benjamini_hochberg("published", published),
                           benjamini_hochberg("ties", [0.01, 0.04, 0.04, 0.04, 0.9, 0.01]),
                           benjamini_hochberg("one", [0.03]),
                           benjamini_hochberg("large", [0.6, 0.9, 1.0])]}
    folder = fixture_dir("stats")
    write_json(folder / "stats.json", out)
    write_json(folder / "compare.json", stats_compare.cases())
    write_json(folder / "resample.json", stats_resample.cases())


if __name__ == "__main__":
    main()
