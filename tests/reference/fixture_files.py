"""Where fixtures lie and how their files are written: always the same bytes for the same values."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def fixture_dir(name):
    """Return the folder of fixture `name`, made and emptied of plain files."""
    folder = FIXTURES / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_file():
            old.unlink()
    return folder


def write_json(path, value, sort_keys=False):
    """Write `value` as indented UTF-8 JSON with a final newline."""
    text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=sort_keys)
    path.write_text(text + "\n", encoding="utf-8")


def write_tensors(path, tensors):
    """Write tensors: floating ones that are float64 become f32, integers stay int64."""
    out = {}
    for name in sorted(tensors):
        value = tensors[name].detach()
        if value.dtype == torch.float64:
            value = value.float()
        out[name] = value.clone().contiguous()
    save_file(out, str(path), metadata={"format": "pt"})


def relative_error(got, want):
    """Frobenius norm of the difference over that of `want`, in float64."""
    got, want = got.double(), want.double()
    return float((got - want).norm() / want.norm().clamp_min(1e-300))
