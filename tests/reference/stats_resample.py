"""References for metric_resample.h and the power of the cosine test, by scipy."""

from types import SimpleNamespace

import numpy as np
from scipy import stats

SEED = 6


def interval(name, data, statistic, n_resamples, level):
    """scipy's percentile and BCa intervals from draws made here (it adds none of its own)."""
    rng = np.random.Generator(np.random.PCG64([SEED, len(name)]))
    data = np.asarray(data)
    draws = np.round([statistic(rng.choice(data, len(data))) for _ in range(n_resamples)], 6)
    out = {"name": name, "level": level, "estimate": float(statistic(data)),
           "draws": draws.tolist(), "std_error": float(draws.std(ddof=1)),
           "jackknife": [float(statistic(np.delete(data, i))) for i in range(len(data))]}
    for method in ("percentile", "BCa"):
        made = SimpleNamespace(bootstrap_distribution=draws)
        ci = stats.bootstrap((data,), statistic, vectorized=False, n_resamples=0, method=method,
                             confidence_level=level, bootstrap_result=made).confidence_interval
        out[method.lower()] = [float(ci.low), float(ci.high)]
    return out


def tail_p(name, observed, null):
    """The +1 rule, counted by numpy."""
    null = np.asarray(null)
    out = {"name": name, "observed": observed, "null": null.tolist()}
    total = len(null) + 1
    greater, less = (np.sum(null >= observed) + 1) / total, (np.sum(null <= observed) + 1) / total
    out["greater"], out["less"] = float(greater), float(less)
    out["either"] = float(min(1, 2 * min(greater, less)))
    out["abs"] = float((np.sum(np.abs(null) >= abs(observed)) + 1) / total)
    return out


def power(shift, alpha, d):
    """P(|cos| >= critical), by noncentral F: t = cos sqrt(d - 1) / sqrt(1 - cos^2), F = t^2."""
    critical = float(stats.f.isf(alpha, 1, d - 1))
    t = np.sqrt(critical)
    by_t = float(stats.nct.sf(t, d - 1, shift) + stats.nct.cdf(-t, d - 1, shift))
    if shift:  # scipy's ncf does not take 0
        by_f = float(stats.ncf.sf(critical, 1, d - 1, shift * shift))
        assert abs(by_f - by_t) < 1e-8, (shift, alpha, d, by_f, by_t)
    return {"shift": shift, "alpha": alpha, "d": d, "power": by_t}


def cases():
    """All of resample.json."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    normal = np.round(rng.standard_normal(15), 3).tolist()
    skewed = np.round(rng.exponential(1.0, 12), 3).tolist()
    null = np.round(rng.standard_normal(39), 1).tolist()
    levels = (1e-12, 1e-4, 0.025, 0.3, 0.5, 0.75, 0.975, 1 - 1e-6)
    return {"intervals": [interval("mean", normal, np.mean, 399, 0.95),
                          interval("skewed mean", skewed, np.mean, 299, 0.9),
                          interval("median, ties", normal[:9], np.median, 199, 0.95),
                          interval("spread", skewed, np.std, 299, 0.95)],
            "tails": [tail_p("tie", 0.5, null), tail_p("far", -9.0, null),
                      tail_p("zero", 0.0, null), tail_p("one", 2.0, [2.0]),
                      tail_p("off centre", 3.0, [4.0, 5.0, 6.0, 5.5])],
            "power": [power(s, a, d) for d in (2, 5, 64, 2560) for a in (0.05, 1e-3)
                      for s in (0.5, 2.0, 4.0)] + [power(0.0, 0.05, 64)],
            "normal_quantile": [{"p": p, "z": float(stats.norm.ppf(p))} for p in levels]}
