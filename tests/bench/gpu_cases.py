"""The self-test of ci/gpu: devices, crashes and faults that no machine has at hand."""
# SPDX-License-Identifier: Apache-2.0
import argparse
import contextlib
import io
import json
import subprocess
import tempfile
from pathlib import Path


def outcome_of(gpu, run, *args):
    """What it returns, or the name of what it raises."""
    try:
        return run(*args)
    except (gpu.Skip, *gpu.FAULTS) as e:
        return type(e).__name__


def cases_of_choice(gpu):
    """The choice of a device, which no machine has enough of to try: (what, expected, got)."""
    def device(index, name, kind, usable=True):
        return {"index": index, "name": name, "kind": kind, "usable": usable, "why_not": "old"}
    cpu, old = device(0, "llvmpipe", "cpu"), device(1, "Voodoo", "discrete", False)
    integrated, big = device(2, "Iris", "integrated"), device(3, "RTX 4090", "discrete")
    cases = [([cpu], None, None), ([cpu], "LLVM", 0), ([], None, None), ([cpu, old], None, None),
             ([cpu, old], "voodoo", None), ([cpu, old, integrated], None, 2),
             ([cpu, old, integrated, big], None, 3), ([cpu, old, integrated, big], "0", 0),
             ([cpu, old, integrated, big], "iris", 2), ([cpu, old, integrated, big], "4090", 3)]
    for devices, wanted, want in cases:
        got = outcome_of(gpu, gpu.choose_device, {"devices": devices}, wanted)
        yield ([d["name"] for d in devices], wanted), "Skip" if want is None else want, \
            got["index"] if isinstance(got, dict) else got


def cases_of_list(gpu):
    """No device is no crash, and a crash is not "no device"."""
    none, failed = '{"error": "no driver", "exit_status": 4}', '{"devices": [], "exit_status": 4}'
    for status, stdout, want in [(4, none, None), (4, failed, None), (0, '{"devices": []}', None),
                                 (-11, "", "RuntimeError"), (-6, failed, "RuntimeError"),
                                 (139, "", "RuntimeError"), (0, "[]", "RuntimeError"),
                                 (2, '{"error": "what?"}', "RuntimeError")]:
        got = outcome_of(gpu, gpu.read_devices, status, stdout, "")
        yield ("vkalign devices", status, stdout), want or json.loads(stdout), got


def cases_of_kernels(gpu):
    """The kernels that tests are repeated with."""
    def kernel(name, built, offered):
        return {"name": name, "built": built, "offered": offered, "passed": False}
    kernels = [kernel("scalar", True, True), kernel("coopmat", True, True)]
    for last, want in [((True, True), ["coopmat", "coopmat2"]), ((True, False), ["coopmat"]),
                       ((False, True), ["coopmat"])]:
        got = gpu.matrix_kernels({"kernels": [*kernels, kernel("coopmat2", *last)]})
        yield ("coopmat2 built, offered", last), want, got
    yield "a device whose self-test did not run", [], gpu.matrix_kernels({})
    yield "programs that are not there", [], \
        [t for t in gpu.MATRIX_TESTS if not (gpu.SOURCE / f"tests/op/{t}.c").exists()]


def cases_of_steps(gpu):
    """Nothing that a step fails by keeps the next from running, nor loses the summary."""
    def left_out():
        raise gpu.LeftOut("no torch")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "summary.json"
        parts = {"start": lambda: subprocess.run([f"{folder}/none"]),
                 "json": lambda: json.loads("{"), "key": lambda: {}["jobs"],
                 "exit": lambda: gpu.run_quietly(["false"], Path(folder) / "log"),
                 "left out": left_out, "good": lambda: 1}
        with contextlib.redirect_stdout(io.StringIO()):
            out, failed = gpu.run_each("", parts, lambda out: file.write_text(json.dumps(
                {"steps": out})))
            earlier = gpu.read_summary(file)
            file.write_text('{"steps": ')
            broken = gpu.read_summary(file)
    yield "parts that fail, and the last outcome", (4, 1), (failed, out["good"])
    yield "a missing key", "FAILED: KeyError: 'jobs'", out["key"]
    yield "what is left out", "left out: no torch", out["left out"]
    yield "an earlier summary", out, earlier
    yield "half a summary", {}, broken


def cases_of_parts(gpu):
    """A size in float32 that fails costs bfloat16 nothing; forced kernels cost no other run."""
    ran = []

    def compare(_args, layers, tokens, dtype):
        ran.append(f"{dtype} {layers}x{tokens}")
        if dtype == "float32":
            raise RuntimeError("status 1")
        return "done"

    def ctest(_args, name, _choice, kernel=None):
        ran.append(f"{name} {kernel}")
        raise RuntimeError("1 of 4 tests failed")
    gpu.torch_dtypes, gpu.compare_one = lambda _python: ["float32", "bfloat16"], compare
    gpu.run_ctest, gpu.build = ctest, lambda _args, _targets: None
    args = argparse.Namespace(python="python3", layers=[1], tokens=[4, 7], quick=False)
    kernels = [{"name": n, "built": True, "offered": True} for n in gpu.MATRIX_KERNELS]
    with contextlib.redirect_stdout(io.StringIO()):
        compared = outcome_of(gpu, gpu.step_compare, args, {})
        tested = outcome_of(gpu, gpu.step_tests, args, {"kernels": kernels})
    yield "compare and tests fail", ("RuntimeError",) * 2, (compared, tested)
    yield "all that was run", ["float32 1x4", "float32 1x7", "bfloat16 1x4", "bfloat16 1x7",
                               "tests None", "tests-coopmat coopmat",
                               "tests-coopmat-bf16 coopmat-bf16",
                               "tests-coopmat2 coopmat2"], ran


def self_test(gpu):
    """gpu: the script as a module. Its exit status."""
    n, failures = 0, 0
    for cases in (cases_of_choice, cases_of_list, cases_of_kernels, cases_of_steps,
                  cases_of_parts):
        for what, want, got in cases(gpu):
            n += 1
            if got != want:
                failures += 1
                print(f"{what}: expected {want}, got {got}")
    print(f"{n} cases, {failures} failures")
    return 1 if failures else 0
