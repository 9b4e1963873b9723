"""Random tensors in the blocks of GGUF's quantised types."""

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize

# Of K-quants: bytes at which a block's f16 scale stands, and that of its minimum with what makes
# the mean of all codes 0 (d * scale * code - m * minimum).
SCALE_AT = {Type.Q4_K: 0, Type.Q5_K: 0, Type.Q6_K: 208}
MINIMUM = {Type.Q4_K: (2, 7.5), Type.Q5_K: (2, 15.5)}


def put_f16(blocks, at, values):
    """Write one f16 into every block [n, bytes]."""
    blocks[:, at:at + 2] = values.astype(np.float16).view(np.uint8).reshape(-1, 2)


def k_blocks(kind, rng, n_rows, n_cols, deviation):
    """[n_rows, bytes] of random codes and scales, whose values have about that deviation."""
    n, size = GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (n_rows * n_cols // n, size), dtype=np.uint8)
    scale = rng.uniform(0.5, 1.5, len(blocks)) * rng.choice((-1.0, 1.0), len(blocks))

    def put(factor):
        put_f16(blocks, SCALE_AT[kind], scale * factor)
        if kind in MINIMUM:
            at, ratio = MINIMUM[kind]
            put_f16(blocks, at, scale * factor * ratio)

    put(1e-3)
    put(1e-3 * deviation / dequantize(blocks, kind).std())
    return blocks.reshape(n_rows, -1)


def pack(kind, rng, tensor):
    """A float32 matrix as (bytes, type): quantised, or for K-quants random blocks of its size."""
    values = tensor.numpy()
    if kind in SCALE_AT:
        return k_blocks(kind, rng, *values.shape, float(values.std())), kind
    return quantize(values, kind), kind
