"""Write tests/fixtures/pt and tests/fixtures/directions: PyTorch checkpoints, directions in files.

    python tests/reference/make_pt.py

NAME.pt is written by torch.save (or assembled here where torch.save would not), NAME.safetensors
beside it holds what the tensors must be, by name, in their own dtype. See tests/fixtures/README.md.
"""

import collections
import io
import os
import zipfile

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

from fixture_files import fixture_dir, write_json

D, H1, H2 = 6, 5, 3
PLACES = {0: (H1, D), 3: (H2, H1), 6: (1, H2)}


class Classifier(torch.nn.Module):
    """The form with a prefix: net.0, net.3, net.6."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(D, H1), torch.nn.ReLU(), torch.nn.Dropout(0.2),
            torch.nn.Linear(H1, H2), torch.nn.ReLU(), torch.nn.Dropout(0.2),
            torch.nn.Linear(H2, 1))


def save(folder, name, value, expected=None, **how):
    """Write NAME.pt and, for a flat dict of tensors, NAME.safetensors."""
    torch.save(value, folder / f"{name}.pt", **how)
    if expected is not None:
        save_file({k: v.detach().clone().contiguous() for k, v in sorted(expected.items())},
                  str(folder / f"{name}.safetensors"))


def classifiers(folder):
    """The three forms of trained classifiers, and three that are none."""
    model = Classifier()
    flat = model.net.state_dict()
    save(folder, "flat", flat, flat)
    half = Classifier().half().state_dict()
    save(folder, "prefixed", half, {k.removeprefix("net."): v for k, v in half.items()})
    nested = Classifier().bfloat16().state_dict()
    save(folder, "nested", {
        "epoch": 12, "concept": "Physical", "f1": np.float64(0.8125), "loss": 0.25,
        "model_state_dict": nested, "optimizer_state_dict": {"state": {}, "param_groups": []}},
        {k.removeprefix("net."): v for k, v in nested.items()}, pickle_protocol=4)
    normed = torch.nn.Sequential(torch.nn.Linear(D, H1), torch.nn.BatchNorm1d(H1), torch.nn.ReLU(),
                                 torch.nn.Linear(H1, H2), torch.nn.BatchNorm1d(H2),
                                 torch.nn.ReLU(), torch.nn.Linear(H2, 1))
    save(folder, "batchnorm", normed.state_dict())
    save(folder, "two", {**flat, **{f"net.{k}": v for k, v in flat.items()}})
    save(folder, "wrong-shape", {**flat, "3.weight": torch.ones(H2, H1 + 1)})


def views(folder):
    """Tensors that share storages, lie in another order, have no or few elements."""
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) * 0.5
    out = {
        "base": base, "transposed": base[0].t(), "permuted": base.permute(2, 0, 1),
        "rows": base[1, 1:], "columns": base[:, :, 1:3], "every_other": base.reshape(-1)[1::2],
        "ones": base[:, 1:2, 2:3], "scalar": base[1, 2, 3], "zero_size": torch.zeros(0, 7),
        "no_rows": base[:, 3:], "parameter": torch.nn.Parameter(base[0].clone()),
        "f64": torch.tensor([1.0, 1e300, -2.5], dtype=torch.float64),
        "f16": torch.tensor([[1.5, -65504.0]], dtype=torch.float16),
        "bf16": torch.tensor([[1.5], [3e38]], dtype=torch.bfloat16).t(),
        "i64": torch.tensor([1, -2, 2**62]), "i32": torch.tensor([5, -6], dtype=torch.int32),
        "i16": torch.tensor([7, -8], dtype=torch.int16), "u8": torch.tensor([250], dtype=torch.uint8),
        "i8": torch.tensor([-100], dtype=torch.int8), "bool": torch.tensor([True, False, True]),
        "eight": torch.arange(4.0).reshape(1, 2, 1, 2, 1, 1, 1, 1)}
    save(folder, "views", out, out)
    save(folder, "views5", out, pickle_protocol=5)
    save(folder, "expanded", {"e": torch.tensor([1.0, 2.0]).expand(3, 2)})
    save(folder, "nine-dimensions", {"n": torch.ones([1] * 9)})


def values():
    """One of everything that is no tensor."""
    shared = ["once"]
    return collections.OrderedDict([
        ("none", None), ("true", True), ("false", False), ("zero", 0), ("byte", 255),
        ("short", 65535), ("int", -70000), ("long", 2**40), ("longest", -2**63), ("float", -0.375),
        ("inf", float("inf")), ("text", "caf\u00e9 \u2207 \U0001f600"), ("nul", "a\0b"),
        ("long_text", "x" * 300), ("list", [1, [2, [], {}], (), (3,), (4, 5), (6, 7, 8), (9,) * 4]),
        ("ints", {-1: "minus one", 0: "zero", 7: {"7": 7}}), ("size", torch.Size([2, 3])),
        ("dtype", torch.bfloat16), ("device", torch.device("cuda", 1)), ("a", shared),
        ("b", shared), ("numpy", [np.float64(0.5), np.float32(1.5), np.int64(-3), np.int32(9),
                                  np.bool_(True), np.float64(-1e300)])])


def lens(folder):
    """The form of a Jacobian lens, and the same as a checkpoint of its fitting."""
    rng = torch.Generator().manual_seed(5)
    jacobians = {n: torch.randn(D, D, generator=rng).half() for n in (0, 1, 4)}
    save(folder, "lens", {"J": jacobians, "n_prompts": 100, "source_layers": [0, 1, 4],
                          "d_model": D, "metadata": {"model_name": "tiny", "target_layer": 5}},
         {str(n): j for n, j in jacobians.items()})


class Command:
    """What an attacker would write."""

    def __reduce__(self):
        return os.system, ("touch executed",)


def archive(folder, name, members, compression=zipfile.ZIP_STORED):
    """A zip archive by Python: members under NAME/."""
    with zipfile.ZipFile(folder / f"{name}.pt", "w", compression) as z:
        for member, data in members.items():
            z.writestr(zipfile.ZipInfo(f"{name}/{member}"), data, compression)


def refused(folder):
    """Files that must not be read, each for one reason."""
    save(folder, "command", {"weights": torch.ones(2), "x": Command()})
    archive(folder, "os-system", {"data.pkl": b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."})
    save(folder, "whole-model", Classifier())
    # Without tensors, which it would name by their addresses.
    save(folder, "legacy", {"epoch": 12}, _use_new_zipfile_serialization=False)
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(2)}, buffer)
    with zipfile.ZipFile(buffer) as z:
        members = {i.filename.split("/", 1)[1]: z.read(i) for i in z.infolist()}
    archive(folder, "deflated", members, zipfile.ZIP_DEFLATED)
    archive(folder, "big-endian", {**members, "byteorder": b"big"})
    archive(folder, "script", {**members, "constants.pkl": b"\x80\x02)."})
    archive(folder, "rezipped", members)  # this one is read: stored, by another program
    torch.serialization.set_crc32_options(False)
    save(folder, "no-checksums", {"w": torch.ones(2)})  # and this one
    torch.serialization.set_crc32_options(True)


def directions(folder):
    """One frame of 3 x 8 in each kind of file."""
    rng = np.random.Generator(np.random.PCG64(11))
    frame = rng.standard_normal((3, 8)).astype(np.float32)
    np.save(folder / "frame.npy", frame)
    np.save(folder / "one.npy", frame[1].astype(np.float64))
    np.save(folder / "zero.npy", frame * np.array([[1], [0], [1]], np.float32))
    np.save(folder / "nan.npy", np.where(frame == frame[2, 5], np.nan, frame))
    tensors = {n: torch.from_numpy(frame[i]) for i, n in enumerate(("a", "b.c", "c:d"))}
    save_file({**tensors, "ids": torch.arange(8)}, str(folder / "some.safetensors"))
    torch.save({"Physical": {"vectors": {6: tensors["a"].half(), "6.x": tensors["b.c"]}},
                "Abstract": [torch.from_numpy(frame), tensors["c:d"]],
                "Abstract.part": tensors["a"], "n": 3}, folder / "nested.pt")
    for name, n_layers, hint in (("control.gguf", 4, "qwen2"), ("odd.gguf", 2, "qwen2")):
        writer = gguf.GGUFWriter(folder / name, "controlvector")
        writer.add_string("controlvector.model_hint", hint)
        writer.add_uint32("controlvector.layer_count", n_layers)
        for i, layer in enumerate((1, 2, 3)):
            row = frame[i] if name == "control.gguf" or i < 2 else frame[i][:7]
            writer.add_tensor(f"direction.{layer}", row)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    write_json(folder / "frame.json", frame.astype(float).tolist())


def main():
    """Write both folders."""
    torch.set_num_threads(1)
    torch.manual_seed(3)
    folder = fixture_dir("pt")
    classifiers(folder)
    views(folder)
    save(folder, "values", values())
    save(folder, "values4", values(), pickle_protocol=4)
    lens(folder)
    refused(folder)
    directions(fixture_dir("directions"))


if __name__ == "__main__":
    main()
