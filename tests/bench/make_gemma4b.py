#!/usr/bin/env python3
"""Write a folder with the shape of gemma-3-4b and random bf16 weights.

    tests/bench/make_gemma4b.py OUT [--blocks 6]

config.json says 34 blocks, as the real one does; only the first --blocks are written (188 MB each)
beside the embedding table (1.34 GB), which is what a run to that layer reads. The tokenizer is that
of the model that ships with vkalign. Standard library only; the same bytes every time.
"""

import argparse
import json
import pathlib
import random
import shutil
import struct

D, HEADS, KV_HEADS, D_HEAD, D_FF, VOCAB = 2560, 8, 4, 256, 10240, 262208
CONFIG = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "model_type": "gemma3",
    "text_config": {
        "hidden_size": D,
        "intermediate_size": D_FF,
        "model_type": "gemma3_text",
        "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    },
    "torch_dtype": "bfloat16",
}
TOKENIZER = pathlib.Path(__file__).parents[2] / "experiments/models/tiny-gemma3/tokenizer.json"


def tensors(blocks):
    """Name and shape of every tensor, in file order."""
    yield "language_model.model.embed_tokens.weight", [VOCAB, D]
    for n in range(blocks):
        block = f"language_model.model.layers.{n}."
        yield block + "self_attn.q_proj.weight", [HEADS * D_HEAD, D]
        yield block + "self_attn.k_proj.weight", [KV_HEADS * D_HEAD, D]
        yield block + "self_attn.v_proj.weight", [KV_HEADS * D_HEAD, D]
        yield block + "self_attn.o_proj.weight", [D, HEADS * D_HEAD]
        yield block + "self_attn.q_norm.weight", [D_HEAD]
        yield block + "self_attn.k_norm.weight", [D_HEAD]
        yield block + "mlp.gate_proj.weight", [D_FF, D]
        yield block + "mlp.up_proj.weight", [D_FF, D]
        yield block + "mlp.down_proj.weight", [D, D_FF]
        for norm in ("input", "post_attention", "pre_feedforward", "post_feedforward"):
            yield block + norm + "_layernorm.weight", [D]
    yield "language_model.model.norm.weight", [D]


def elements(shape):
    """Product of a shape."""
    count = 1
    for n in shape:
        count *= n
    return count


def random_bf16(rng, count):
    """Random bf16 of either sign and magnitude 2^-7 to 2^-5, as little-endian bytes."""
    sign = bytes([0x3C] * 128 + [0xBC] * 128)  # the byte of sign and upper exponent
    data = bytearray(2 * count)
    data[0::2] = rng.randbytes(count)
    data[1::2] = rng.randbytes(count).translate(sign)
    return data


def main():
    """Write config, tokenizer and weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--blocks", type=int, default=6)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")
    shutil.copy(TOKENIZER, args.out / "tokenizer.json")
    header, offset = {}, 0
    for name, shape in tensors(args.blocks):
        size = 2 * elements(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng, chunk = random.Random(0), 1 << 24
    with open(args.out / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, shape in tensors(args.blocks):
            for first in range(0, elements(shape), chunk):
                f.write(random_bf16(rng, min(chunk, elements(shape) - first)))


if __name__ == "__main__":
    main()
