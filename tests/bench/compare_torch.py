#!/usr/bin/env python3
"""vkalign bench beside PyTorch: the same work, weights and tokens, one machine, one run.

    tests/bench/compare_torch.py --vkalign build/vkalign --shape gemma-3-4b --layers 2 --tokens 7

Runs `vkalign bench --json`, then the same with HF transformers (eager attention): the forward pass,
J x by torch.func.jvp, the published torch.autograd.functional.jacobian(vectorize=True), top-8
singular values by forming J and by randomised SVD on jvp and vjp, exact and detached, a classifier,
products. Prints times, ratios (above 1: vkalign is faster) and how far the numbers agree, and keeps
all of it under tests/bench/results/. Needs torch, transformers, numpy.

--jacobian-rows auto has torch form as many rows of J as fit in memory and in the limit of time, and
leaves out what would take far longer; the table says what and why. --bench FILE compares with what
`vkalign bench --json` printed earlier. Exit status 77: torch's weights do not fit.

On a CPU with other work, --threads 1 and LP_NUM_THREADS=1 in the environment keep both sides from
waiting for threads that do not run; the processor's times are then the better ones.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import torch
import transformers

import torch_jobs as jobs
import torch_limits
from torch_model import Bench, config_of

HERE = pathlib.Path(__file__).parent
MODES = ("exact", "detached")


def arguments():
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--vkalign", default="build/vkalign")
    p.add_argument("--shape", default="tiny")
    p.add_argument("--layers", type=int)
    p.add_argument("--tokens", type=int, default=8)
    p.add_argument("--repeat", type=int, default=5)
    p.add_argument("--limit", type=float, default=20.0, help="seconds for each kind of work")
    p.add_argument("--vk-device", help="vkalign's --device")
    p.add_argument("--torch-device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--dtype", default="float32", help="of torch's weights and activations")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--jacobian-rows", type=lambda s: s if s == "auto" else int(s),
                   help="rows of J that torch forms, or auto (default: all)")
    p.add_argument("--bench", type=pathlib.Path, help="a document of vkalign bench --json")
    p.add_argument("--out", type=pathlib.Path, default=HERE / "results")
    return p.parse_args()


def run_vkalign(args):
    """The document of vkalign bench."""
    if args.bench:
        return json.loads(args.bench.read_text())
    command = [args.vkalign, "bench", "--json", "--shape", args.shape, "--tokens", str(args.tokens),
               "--repeat", str(args.repeat), "--limit", str(args.limit), "--quiet"]
    if args.layers:
        command += ["--layers", str(args.layers)]
    if args.vk_device:
        command += ["--device", args.vk_device]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def run_products(doc, timer, device):
    """The sweep's products, and a copy of 64 MiB."""
    out = {}
    for job in doc["jobs"]:
        if job["name"] != "matmul":
            continue
        rows, inner, n_out, n_in, prime, dtype = re.match(
            r"\[(\d+), (\d+)\] x \[(\d+), (\d+)\]('?) (\w+)", job["what"]).groups()
        kind = torch.bfloat16 if dtype == "BF16" and device == "cuda" else torch.float32
        out[job["what"]] = jobs.matmul(int(rows), int(n_in), int(n_out), not prime, kind, timer,
                                       device)
    return out


def choose_limits(args, doc, products, dtype):
    """What torch does of the work: all of it where no number of rows is asked for."""
    if args.jacobian_rows is None:
        return torch_limits.Limits()
    of_dtype = [j for j in products.values() if j["dtype"] == args.dtype] or products.values()
    best = max(job["flop"] / job["median_s"] for job in of_dtype)
    most = torch_limits.limits(doc, torch_limits.count_weights(config_of(doc)), args.torch_device,
                               dtype, best, args.limit)
    return most if args.jacobian_rows == "auto" else most._replace(rows=args.jacobian_rows,
                                                                   rows_why=None)


def run_torch(args, doc):
    """The same work in PyTorch; None for what the limits leave out."""
    device, timer = args.torch_device, jobs.Timer(args.torch_device, args.repeat, args.limit)
    dtype = getattr(torch, args.dtype)
    products = run_products(doc, timer, device)
    most = choose_limits(args, doc, products, dtype)
    bench = Bench(doc, device, dtype)
    out = {"matmul": products, "same_weights": bench.same_weights, "limits": most._asdict(),
           "forward": jobs.forward(bench, timer)}
    for mode in MODES:
        if mode == "detached":
            bench.detach()
        for name, why, run in (
                ("jvp", None, lambda: jobs.jvp(bench, timer)),
                ("published", None, lambda: jobs.published(bench, timer, most.rows)),
                ("dense_svd", most.svd_why, lambda: jobs.dense_svd(bench, timer, most.rows)),
                ("svd", most.randomised_why, lambda: jobs.randomised_svd(bench, timer))):
            print(f"torch: {name} {mode}{f': left out, {why}' if why else ''}", file=sys.stderr)
            out[f"{name} {mode}"] = None if why else run()
    out["probe"] = jobs.probe(bench.x.shape[1], timer, device)
    return out


def find(doc, name, mode=None):
    """A job of vkalign's document."""
    return next(j for j in doc["jobs"] if j["name"] == name and j.get("mode") == mode)


def times(*parts):
    """(by the clock, of the processor) of jobs one after another; of a part of J's rows those of
    all."""
    out = []
    for key in ("median_s", "cpu_s"):
        out.append(sum(j[key] * j.get("rows_all", 1) / j.get("rows", 1) for j in parts))
    return tuple(out)


def compare(doc, ref):
    """Rows (what, vkalign's times, torch's times)."""
    rows = [("forward", times(find(doc, "forward")), times(ref["forward"]))]
    for mode in MODES:
        published, decomposed = ref[f"published {mode}"], ref[f"dense_svd {mode}"]
        jvp, svd = times(find(doc, "jvp", mode)), times(find(doc, "svd", mode))
        randomised = ref[f"svd {mode}"]
        formed = [published] + ([decomposed] if decomposed else [])
        rows += [(f"J x, {mode}; torch.func.jvp", jvp, times(ref[f"jvp {mode}"])),
                 (f"J x, {mode}; published method", jvp, times(published)),
                 (f"J, {mode}; published method", times(find(doc, "dense", mode)),
                  times(published)),
                 (f"top 8, {mode}; J formed, " +
                  ("torch.linalg.svd" if decomposed else "its SVD left out"), svd, times(*formed))]
        if randomised:
            stopped = "" if randomised["residual"] <= jobs.TOLERANCE else ", not converged"
            rows.append((f"top 8, {mode}; randomised on jvp and vjp{stopped}", svd,
                         times(randomised)))
    rows.append(("classifier", times(find(doc, "probe")), times(ref["probe"])))
    return rows


def differences(doc, ref):
    """Largest relative differences between the numbers of both."""
    out = {}

    def differ(what, a, b):
        out[what] = abs(a - b) / abs(b)

    differ("norm of norm:N@last", find(doc, "forward")["norm"], ref["forward"]["norm"])
    for mode in MODES:
        differ(f"norm of J x, {mode}", find(doc, "jvp", mode)["norm"], ref[f"jvp {mode}"]["norm"])
        other = ref[f"dense_svd {mode}"]
        if not (other and other["sigma"]):
            other = ref[f"svd {mode}"]
        if other and other.get("residual", 0) <= jobs.TOLERANCE:
            ours, theirs = find(doc, "svd", mode)["sigma"], other["sigma"]
            out[f"top 8 of J, {mode}"] = max(abs(a - b) / b for a, b in zip(ours, theirs))
        dense, published = find(doc, "dense", mode), ref[f"published {mode}"]
        if dense["rows"] == published["rows"]:
            differ(f"norm of J, {mode}", dense["norm"], published["norm"])
    return out


def provenance(args, load):
    """Where and with what."""
    def git(*words):
        if not shutil.which("git"):
            return ""
        return subprocess.run(["git", "-C", str(HERE), *words], capture_output=True,
                              text=True).stdout.strip()

    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), platform.processor())
    return {"date": datetime.date.today().isoformat(),
            "commit": git("rev-parse", "--short", "HEAD") or "unknown",
            "uncommitted": bool(git("status", "--porcelain", "--untracked-files=no")), "cpu": cpu,
            "cores": os.cpu_count(), "torch": torch.__version__,
            "transformers": transformers.__version__,
            "torch_device": torch.cuda.get_device_name() if args.torch_device == "cuda" else "cpu",
            "torch_dtype": args.dtype, "torch_threads": torch.get_num_threads(),
            "lavapipe_threads": os.environ.get("LP_NUM_THREADS", "default"),
            "load": {"before": load, "after": os.getloadavg()[0]}}


def table_head(doc, where):
    """What was measured, where."""
    return [f"# {doc['shape']}, {doc['layers']} of {doc['config']['num_hidden_layers']} blocks, "
            f"{doc['tokens']} tokens", "",
            f"{where['date']}, commit {where['commit']}"
            f"{' with changes' if where['uncommitted'] else ''}. vkalign on {doc['device']}, "
            f"driver {doc['driver']}; torch "
            f"{where['torch']}, transformers "
            f"{where['transformers']} on {where['torch_device']} ({where['cpu']}), "
            f"{where['torch_dtype']}, {where['torch_threads']} threads of {where['cores']} cores "
            f"(lavapipe's: {where['lavapipe_threads']}). "
            f"Load {where['load']['before']:.1f} before, {where['load']['after']:.1f} after.", "",
            f"vkalign's own ceilings: {doc['ceiling_flop_per_s'] / 1e9:.1f} GFLOP/s, "
            f"{doc['ceiling_bytes_per_s'] / 1e9:.1f} GB/s."]


def table_ratios(result):
    """Both side by side."""
    lines = ["", "| seconds by the clock (of the processor), medians | vkalign | torch | "
             "torch / vkalign |",
             "|---|---|---|---|"]
    for what, ours, theirs in result["ratios"]:
        lines.append(f"| {what} | {ours[0]:.4g} ({ours[1]:.4g}) | {theirs[0]:.4g} "
                     f"({theirs[1]:.4g}) | {theirs[0] / ours[0]:.3g} "
                     f"({theirs[1] / ours[1]:.3g}) |")
    for what, theirs in result["torch"]["matmul"].items():
        ours = next(j for j in result["vkalign"]["jobs"] if j["what"] == what)["flop_per_s"] / 1e9
        speed = theirs["flop"] / theirs["median_s"] / 1e9
        lines.append(f"| {what} | {ours:.4g} GFLOP/s | {speed:.4g} GFLOP/s | {ours / speed:.3g} |")
    return lines + ["", "Above 1 vkalign is faster."]


def table_notes(doc, ref, differences_of):
    """What the figures mean, and how far both agree."""
    lines = [""]
    limits = ref["limits"]
    for mode in MODES:
        formed, theirs = find(doc, "dense", mode)["rows"], ref[f"published {mode}"]["rows"]
        svd = ref[f"svd {mode}"]
        done = (f"went to a residual of {svd['residual']:.1e} sigma_1 in {svd['steps']} steps" if svd
                else f"was left out ({limits['randomised_why']})")
        lines.append(f"- J, {mode}: vkalign formed {formed} of its rows, torch {theirs} of "
                     f"{ref[f'published {mode}']['rows_all']}; the time of all is in proportion. "
                     f"torch's randomised SVD {done}; vkalign's went to 1e-5 in "
                     f"{find(doc, 'svd', mode)['vectors']} vectors.")
    if limits["rows_why"]:
        lines.append(f"- torch's rows of J: {limits['rows_why']}.")
    if limits["svd_why"]:
        lines.append(f"- torch's SVD of J was left out: {limits['svd_why']}.")
    elif limits["rows"] is not None:
        lines.append("- torch.linalg.svd was timed on a random matrix of J's shape.")
    if not ref["same_weights"]:
        lines.append("- torch's weights are other random ones: the numbers are not compared.")
    return lines + [f"- {what}: relative difference {value:.1e}"
                    for what, value in differences_of.items()]


def table_shaders(doc):
    """Where vkalign's time goes."""
    lines = ["", "| one run with timestamps | calls | ms | share |", "|---|---|---|---|"]
    for job in doc["jobs"]:
        if job["name"] not in ("forward", "jvp", "svd", "dense"):
            continue
        total, device = job["profiled_s"], job["device_s"]
        lines.append(f"| **{job['name']}** {job.get('mode', '')}, outside shaders | | "
                     f"{1e3 * (total - device):.2f} | {100 * (1 - device / total):.0f}% |")
        lines += [f"| {op['label']} | {op['calls']} | {op['time_ns'] / 1e6:.2f} | "
                  f"{op['time_ns'] / total / 1e7:.0f}% |" for op in job["ops"][:6]]
    return lines


def table(result):
    """The report, Markdown."""
    doc = result["vkalign"]
    lines = (table_head(doc, result["provenance"]) + table_ratios(result) +
             table_notes(doc, result["torch"], result["differences"]) + table_shaders(doc))
    return "\n".join(lines) + "\n"


def main():
    """Measure, print, keep."""
    args = arguments()
    torch.set_num_threads(args.threads)
    load = os.getloadavg()[0]
    doc = run_vkalign(args)
    why = torch_limits.weights_why(torch_limits.count_weights(config_of(doc)), args.torch_device,
                                   getattr(torch, args.dtype))
    if why:
        print(f"compare_torch: {why}", file=sys.stderr)
        return 77
    ref = run_torch(args, doc)
    result = {"provenance": provenance(args, load), "ratios": compare(doc, ref),
              "differences": differences(doc, ref) if ref["same_weights"] else {}, "vkalign": doc,
              "torch": ref}
    text = table(result)
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    device = re.sub(r"[^a-z0-9]+", "-", doc["device"].split("(")[0].lower()).strip("-")
    dtype = "" if args.dtype == "float32" else f"-{args.dtype}"
    name = (f"{result['provenance']['date']}-{device}-{doc['shape']}-{doc['layers']}x"
            f"{doc['tokens']}-{args.threads}threads{dtype}")
    (args.out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.out / f"{name}.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
