"""Write tests/fixtures/gguf/: one GGUF with every tensor type that vkalign reads, and its values.

    python tests/reference/make_gguf_quants.py

`quants.gguf` is written by the gguf package; `expected.safetensors` holds, by the same names, what
gguf.quants.dequantize makes of each floating or quantised tensor, in float32. Blocks are bytes as
they come, with scales set by hand: zeros of both signs, subnormal and largest f16, both signs, and
codes all set, all clear or random.
"""

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFEndian, GGUFValueType, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize
from safetensors.numpy import save_file

from fixture_files import fixture_dir

# f16 bits: +0, -0, least and largest subnormals of both signs, largest, 1, -1, some of no pattern.
SCALES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x7BFF, 0xFBFF, 0x3C00, 0xBC00,
          0x2E66, 0xA1B7]
# Bytes of a block at which its f16 scales stand.
SCALE_AT = {Type.Q8_0: (0,), Type.Q4_0: (0,), Type.Q4_K: (0, 2), Type.Q5_K: (0, 2),
            Type.Q6_K: (208,)}


def blocks(kind, rng, n_rows, n_blocks):
    """Return [n_rows, bytes of a row] of packed blocks."""
    n_bytes = GGML_QUANT_SIZES[kind][1]
    out = rng.integers(0, 256, (n_rows * n_blocks, n_bytes), dtype=np.uint8)
    out[0::4] = 0xFF
    out[1::4] = 0x00
    for i, block in enumerate(out):
        for k, at in enumerate(SCALE_AT[kind]):
            scale = SCALES[(i // 4 * (5 + k) + i % 4 * 3 + k) % len(SCALES)]
            block[at:at + 2] = (scale & 0xFF, scale >> 8)
    return out.reshape(n_rows, n_blocks * n_bytes)


def add_tensors(writer, rng):
    """Add every tensor; return name -> expected float32."""
    expected = {}
    for kind, n_rows, n_blocks in ((Type.Q8_0, 7, 3), (Type.Q4_0, 7, 3), (Type.Q4_K, 6, 2),
                                   (Type.Q5_K, 6, 2), (Type.Q6_K, 6, 2)):
        data = blocks(kind, rng, n_rows, n_blocks)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        expected[kind.name] = dequantize(data, kind)
    f16 = rng.integers(0, 0x7C00, (2, 3), dtype=np.uint16) | rng.integers(0, 2, (2, 3),
                                                                       dtype=np.uint16) << 15
    bf16 = (rng.standard_normal((3, 5)).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    plain = rng.standard_normal((2, 3, 4)).astype(np.float32)
    writer.add_tensor("F32", plain)
    writer.add_tensor("F16", f16.view(np.float16))
    writer.add_tensor("BF16", bf16.view(np.uint8).reshape(3, 10), raw_dtype=Type.BF16)
    writer.add_tensor("F64", rng.standard_normal(5))
    expected["F32"] = plain
    expected["F16"] = f16.view(np.float16).astype(np.float32)
    expected["BF16"] = (bf16.astype(np.uint32) << 16).view(np.float32)
    for dtype in (np.int8, np.int16, np.int32, np.int64):
        low = np.iinfo(dtype).min
        writer.add_tensor(f"I{8 * dtype().itemsize}", np.array([low, -1, 7], dtype=dtype))
    return expected


def add_values(writer):
    """Add a value of every type, and arrays."""
    writer.add_uint8("test.u8", 255)
    writer.add_int8("test.i8", -128)
    writer.add_uint16("test.u16", 65535)
    writer.add_int16("test.i16", -32768)
    writer.add_uint32("test.u32", 4294967295)
    writer.add_int32("test.i32", -2147483648)
    writer.add_uint64("test.u64", 2**64 - 1)
    writer.add_int64("test.i64", -(2**63))
    writer.add_float32("test.f32", 0.1)
    writer.add_float64("test.f64", 0.1)
    writer.add_bool("test.yes", True)
    writer.add_bool("test.no", False)
    writer.add_string("test.text", "Grüße, 世界")
    writer.add_array("test.tokens", ["a", "Ġthe", b"\xff\xfe\x00", "世"])
    writer.add_array("test.numbers", [3, -1, 2**31 - 1])
    writer.add_array("test.scores", [0.5, -1e30, float("-inf")])
    writer.add_array("test.flags", [True, False, True])
    writer.add_key_value("test.bytes", [250, 251, 252], GGUFValueType.ARRAY, GGUFValueType.UINT8)


def main():
    """Write the folder."""
    folder = fixture_dir("gguf")
    rng = np.random.Generator(np.random.PCG64(20))
    writer = GGUFWriter(str(folder / "quants.gguf"), "test")
    add_values(writer)
    expected = add_tensors(writer, rng)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file,
                 writer.write_tensors_to_file):
        step()
    writer.close()
    assert all(np.isfinite(v).all() for v in expected.values())
    save_file(dict(sorted(expected.items())), str(folder / "expected.safetensors"))
    writer = GGUFWriter(str(folder / "big-endian.gguf"), "test", endianess=GGUFEndian.BIG)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file,
                 writer.write_tensors_to_file):
        step()
    writer.close()


if __name__ == "__main__":
    main()
