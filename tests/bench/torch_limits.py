"""What of the work in PyTorch fits this machine, by memory and by time.

Whatever is left out or done in part has a reason, which stands in the results.
"""

from typing import NamedTuple, Optional

import torch
from transformers import AutoModel

from torch_jobs import OVERSAMPLE, TOP_K

LIVE = 8  # tensors [rows, T, d_ff] at once in a block's backward pass: 5 to 7 seen, and J itself
SHARE = 0.8  # of the memory that is free
# Of the best product's rate: decompositions by LAPACK and by cuSOLVER.
SVD_RATE = {"cpu": 0.1, "cuda": 0.01}
SVD_COPIES = 4  # J, what is decomposed, its right vectors, room to work
PATIENCE = 5  # a single run may take so many times the limit


class Limits(NamedTuple):
    """How much of each; a reason where it is not all."""
    rows: Optional[int] = None  # of J; None: all
    rows_why: Optional[str] = None
    svd_why: Optional[str] = None  # J's decomposition is left out
    randomised_why: Optional[str] = None  # so is that on jvp and vjp


def free_bytes(device):
    """Memory that nobody uses."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    for line in open("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("/proc/meminfo: expected MemAvailable")


def count_weights(config):
    """Of the model, embeddings included; makes none of them."""
    with torch.device("meta"):
        return sum(p.numel() for p in AutoModel.from_config(config).parameters())


def weights_why(n_weights, device, dtype):
    """Why the weights do not fit, or None. They are made on the host, in float32."""
    for where, size in (("cpu", 4), (device, dtype.itemsize)):
        need, free = n_weights * size, free_bytes(where)
        if need > SHARE * free:
            return (f"torch's {n_weights / 1e9:.2f}e9 weights take {need / 1e9:.1f} GB on {where}, "
                    f"which has {free / 1e9:.1f} GB free (at most {SHARE:.0%} are used)")
    return None


def fit_rows(doc, n_weights, device, dtype, flop_per_s, limit_s):
    """Rows of J for which there is memory and time, or None for all, and what limits them."""
    config, tokens = doc["config"], doc["tokens"]
    wide = max(config["intermediate_size"], config["num_attention_heads"] * tokens)
    memory = SHARE * free_bytes(device) - n_weights * dtype.itemsize
    by_memory = int(memory / (LIVE * tokens * wide * dtype.itemsize))
    by_time = int(limit_s * flop_per_s / (2.0 * n_weights * tokens))
    rows = max(min(by_memory, by_time), 1)
    if rows >= config["hidden_size"]:
        return None, None
    why = (f"memory for {by_memory}" if by_memory < by_time else
           f"time for {by_time} in {limit_s:g} s at {flop_per_s / 1e9:.3g} GFLOP/s")
    return rows, why


def limits(doc, n_weights, device, dtype, flop_per_s, limit_s):
    """The limits at torch's best product, flop_per_s."""
    d, tokens = doc["config"]["hidden_size"], doc["tokens"]
    rows, rows_why = fit_rows(doc, n_weights, device, dtype, flop_per_s, limit_s)
    svd_s = 6.0 * d * d * d * tokens / (SVD_RATE[device] * flop_per_s)
    svd_bytes = SVD_COPIES * 4.0 * d * d * tokens
    svd_why = randomised_why = None
    if svd_s > PATIENCE * limit_s:
        svd_why = f"about {svd_s:.0f} s expected, {PATIENCE * limit_s:g} allowed"
    elif svd_bytes > SHARE * free_bytes(device) - n_weights * dtype.itemsize:
        svd_why = f"{svd_bytes / 1e9:.1f} GB expected"
    # One step: forward and jvp of a block, vjp of it, and the residual's jvp.
    step_s = (TOP_K + OVERSAMPLE) * 8.0 * n_weights * tokens / flop_per_s
    if step_s > PATIENCE * limit_s:
        randomised_why = f"about {step_s:.0f} s a step expected, {PATIENCE * limit_s:g} allowed"
    return Limits(rows, rows_why, svd_why, randomised_why)
