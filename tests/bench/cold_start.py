#!/usr/bin/env python3
"""Time from the start of `vkalign run` until the device gets its first work.

    cold_start.py VKALIGN [TIMES] [--limit SECONDS]

The experiment is experiments/layer0.yaml without chance by permutation: five classifiers instead of
a thousand, all of which come after the first dispatch. Each time has two runs: with empty caches
(vkalign's and the driver's) and with what the first left there, units apart. Prints for each what
the program says (first_dispatch_s, from the beginning of main); with --limit, status 1 when a
median is above it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile


METRICS = ("metrics=[{name: alignment, kind: cosine, of: [jacobian, published],"
           " across_sites: true, nulls: [analytic, covariance]}]")


def first_dispatch_s(vkalign, experiment, cache, out):
    environment = dict(os.environ, XDG_CACHE_HOME=cache)
    done = subprocess.run(
        [vkalign, "run", experiment, "--json", "--quiet", "--no-cache", "--out", out,
         "--set", METRICS],
        env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["first_dispatch_s"]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("vkalign")
    parser.add_argument("times", nargs="?", type=int, default=3)
    parser.add_argument("--limit", type=float)
    asked = parser.parse_args()
    experiment = os.path.join(here, "../../experiments/layer0.yaml")
    taken = {"empty caches": [], "warm caches": []}
    for i in range(asked.times):
        with tempfile.TemporaryDirectory() as cache:
            for kind, list_s in taken.items():
                out = os.path.join(cache, kind.replace(" ", "-"))
                list_s.append(first_dispatch_s(asked.vkalign, experiment, cache, out))
    slow = False
    for kind, list_s in taken.items():
        median = statistics.median(list_s)
        slow = slow or (asked.limit is not None and median > asked.limit)
        print(f"{kind}: first dispatch after {median:.3f} s"
              f" ({min(list_s):.3f} to {max(list_s):.3f}, {asked.times} times)")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
