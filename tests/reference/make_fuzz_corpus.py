#!/usr/bin/env python3
"""Seeds for the fuzz targets: small inputs that together use all of what each parser reads.

Run without arguments; writes seed_* in tests/fuzz/corpus/<target>, and hostile_*: what once cost
without end, or broke a promise. Inputs that a fuzzer found stand beside them under other names and
are left alone. Needs Python alone.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent.parent / "fuzz" / "corpus"


def write(target, name, data, prefix="seed"):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{prefix}_{name}").write_bytes(data if isinstance(data, bytes) else data.encode())


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# -- json, index -----------------------------------------------------------------------------------


def make_json():
    write("json", "values", compact({"a": [1, -2.5e-7, 1e300, True, False, None, "x\n\u00e9"],
                                     "b": {"c": [], "d": {}}, "": 9007199254740993}))
    write("json", "escapes", '["\\u0041\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\"\\\\", 0, -0, 0.5E+3]')
    write("json", "keys", compact({f"k{i}": i for i in range(40)}))  # the sorted search
    write("json", "nested", "[" * 40 + "]" * 40)
    write("json", "mark", b'\xef\xbb\xbf {"a" : [ ] }\r\n\t')


def make_index():
    shards = {"a": "a.safetensors", "b": "b.safetensors"}
    write("index", "two", compact({"metadata": {"total_size": 16}, "weight_map": shards}))
    write("index", "one", compact({"weight_map": {"b": "b.safetensors"}}))
    write("index", "missing", compact({"weight_map": {"a": "c.safetensors"}}))
    write("json_doc", "objects", compact({"a": {"b": {"x": 1, "y\n": "z\u00e9\n"}, "c": [1.5, [2], {}]}}))
    write("json_doc", "spaces", '{ "a" : { "b" : [ ] , "\\u0063" : { "k" : [ 1 , { } ] } } , "d" : 0 }')
    write("json_doc", "scalars", compact({"a": {"b": 7, "c": "x", "d": {"b": [1]}}}))
    write("index", "wrong", compact({"weight_map": {"a": "b.safetensors", "b": "b.safetensors"}}))


# -- safetensors, npy ------------------------------------------------------------------------------

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8,
         "U32": 4, "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}


def safetensors(tensors, metadata=None, padding=0):
    header, at, data = {}, 0, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape) in tensors.items():
        n = SIZES[dtype]
        for size in shape:
            n *= size
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + n]}
        data += bytes((7 * i + at) % 256 for i in range(n))
        at += n
    text = compact(header).encode() + b" " * padding
    return struct.pack("<Q", len(text)) + text + data


def make_safetensors():
    write("safetensors", "empty", safetensors({}))
    write("safetensors", "scalar", safetensors({"s": ("F64", [])}, padding=5))
    write("safetensors", "dtypes", safetensors({t.lower(): (t, [2, 1]) for t in SIZES}))
    write("safetensors", "zero", safetensors({"a": ("F32", [0, 3]), "b": ("BF16", [2, 2]),
                                              "c": ("U8", [0])}, {"format": "pt", "x": ""}))
    write("safetensors", "eight", safetensors({"e": ("I8", [1, 2, 1, 2, 1, 2, 1, 2])}))


def npy(dtype, shape, data, version=1, header=None):
    text = header or f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text = (text + " " * (-len(text) % 16) + "\n").encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def make_npy():
    write("npy", "f4", npy("<f4", "(2, 3)", struct.pack("<6f", *range(6))))
    write("npy", "f8", npy("<f8", "(3,)", struct.pack("<3d", 1, 1e300, -2)))
    write("npy", "f2", npy("<f2", "()", b"\x00\x3c", version=2))
    write("npy", "zero", npy("<f4", "(0, 9)", b""))
    write("npy", "order", npy("", "", b"\x00" * 8, header='{"shape": (1, 2,), '
                              '"fortran_order": False, "descr": "<f4"}'))


# -- yaml, experiment ------------------------------------------------------------------------------

YAML = {
    "block": "a: 1\nb:\n  - x\n  - 'y'\n  - \"z\\n\\u00e9\"\nc: {d: [1, 2], e: ~}\n",
    "anchors": "a: &x [1, &y two]\nb: *x\nc: {d: *y}\n",
    "scalars": "- |\n  kept\n   so\n- >-\n  folded\n  text\n- !!str 12\n- ! 13\n- .inf\n- 0x1F\n- 0o17\n",
    "keys": "? long key\n: 1\n\"quoted\": 2\nnull: 3\n1: 4\n",
    "comments": "# one\n%s: # two\n  - a # three\n---\n" % "k",
    "empty": "{a: [], b: {}, c: '', d: \"\"}\n",
}

CONCEPT = "{name: Physical, definition: a thing, positives: [rock, tree, river, chair], " \
    "hard_negatives: [idea, law], random_negatives: [run, blue]}"
EXPERIMENT = f"""version: 1
name: seed
model: {{path: models/tiny-gemma3, layers: [1]}}
concepts:
  - {CONCEPT}
prompts: ["The {{concept}} means"]
directions:
  j: {{kind: jacobian, from: embed@all, to: "norm:{{layer}}@last", mode: detached, reduce: jx}}
  m: {{kind: mlp, site: "norm:{{layer}}@last", hidden: [4, 2], epochs: 1, batch: 2}}
metrics:
  - {{name: alignment, kind: cosine, of: [j, m], across_sites: true, nulls: [analytic, covariance]}}
seed: 3
output: results/seed
"""


def make_yaml():
    for name, text in YAML.items():
        write("yaml", name, text)
    write("yaml", "long_alias", '[&a "%s",%s]' % ("x" * 3000, ",".join(["*a"] * 300)), "hostile")
    write("experiment", "whole", EXPERIMENT)
    write("experiment", "jacobian", EXPERIMENT.replace("  m: {kind: mlp, site: \"norm:{layer}@last\","
                                                       " hidden: [4, 2], epochs: 1, batch: 2}\n", "")
          .replace("of: [j, m]", "of: [j, j]").replace("analytic, covariance", "analytic"))
    write("experiment", "file", EXPERIMENT.replace(f"\n  - {CONCEPT}", " {file: concepts/upper.yaml}"))
    write("experiment", "mistakes", "version: 2\nnam: x\nmodel: {path: nowhere, layers: [-1, a]}\n"
          "concepts: 3\nprompts: [x]\ndirections: {d: {kind: mpl}}\nmetrics: [{of: [a]}]\n")


# -- tokenizer -------------------------------------------------------------------------------------


def bpe(pieces, merges, **settings):
    vocab = {piece: i for i, piece in enumerate(pieces)}
    return {"type": "BPE", "vocab": vocab, "merges": merges, **settings}


def added(content, number, **settings):
    token = {"id": number, "content": content, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": True}
    return {**token, **settings}


def sequence(key, *steps):
    return {"type": "Sequence", key: list(steps)}


def gemma():
    pieces = ["<unk>", "<bos>", *(f"<0x{b:02X}>" for b in range(256)), "\u2581", "t", "h", "e",
              "a", "th", "the", "\u2581the", "aa", "aaaa"]
    merges = [["t", "h"], ["th", "e"], ["\u2581", "the"], ["a", "a"], ["aa", "aa"]]
    return {
        "added_tokens": [added("<bos>", 1)],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "},
                          "behavior": "MergedWithPrevious", "invert": False},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [1], "tokens": ["<bos>"]}}},
        "decoder": sequence("decoders", {"type": "Replace", "pattern": {"String": "\u2581"},
                                         "content": " "}, {"type": "ByteFallback"},
                            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1,
                                               "stop": 0}),
        "model": bpe(pieces, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)}


def llama():
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added("<|s|>", 6, rstrip=True, lstrip=True, single_word=True),
                         added("TheE", 7, normalized=True, special=False)],
        "normalizer": sequence("normalizers", {"type": "NFKC"}, {"type": "Lowercase"},
                               {"type": "Strip", "strip_left": True, "strip_right": True},
                               {"type": "Prepend", "prepend": "_"}),
        "pre_tokenizer": sequence(
            "pretokenizers", {"type": "Digits", "individual_digits": True},
            {"type": "Split", "pattern": {"Regex": "(?i:'s|'t)|\\p{L}+|\\s+(?!\\S)"},
             "behavior": "Isolated", "invert": False}, {"type": "Punctuation"},
            {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}),
        "post_processor": sequence("processors", {"type": "ByteLevel"}),
        "decoder": {"type": "ByteLevel"},
        "model": bpe(["t", "h", "e", "\u0120", "th", "\u0120th"], ["t h", "\u0120 th"],
                     unk_token="t", ignore_merges=True)}


def metaspace():
    space = {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": True}
    return {
        "added_tokens": None, "normalizer": {"type": "NFD"}, "post_processor": None,
        "pre_tokenizer": sequence("pretokenizers", {"type": "WhitespaceSplit"}, space),
        "decoder": space, "model": bpe(["_", "a", "_a", "u"], [["_", "a"]], unk_token="u")}


def make_tokenizer():
    for make in (gemma, llama, metaspace):
        write("tokenizer", make.__name__, compact(make()))
    plain = {"pre_tokenizer": {"type": "Whitespace"},
             "model": bpe(["a", "u"], [], unk_token="u", fuse_unk=False)}
    write("tokenizer", "plain", compact(plain))


def make_hostile_tokenizer():
    model = bpe(["a", "b", "ab"], ["a b"], unk_token="b")
    tenfold = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10}
    bos = {"type": "TemplateProcessing", "special_tokens": {"b": {"ids": [1] * 16}},
           "single": [{"SpecialToken": {"id": "b"}}, {"Sequence": {"id": "A"}}]}
    hostile = {
        "normalizer": {"normalizer": sequence("normalizers", *[tenfold] * 12)},
        "bytes": {"pre_tokenizer": sequence("pretokenizers", *[{"type": "ByteLevel"}] * 40)},
        "decoder": {"decoder": sequence("decoders", *[tenfold] * 12)},
        "backtrack": {"pre_tokenizer": {"type": "Split", "behavior": "Isolated",
                                        "pattern": {"Regex": "(a|a)*[cd]"}}},
        "half_character": {"pre_tokenizer": {"type": "Split", "behavior": "Isolated",
                                             "pattern": {"Regex": "\\C"}}},
        "templates": {"post_processor": sequence("processors", *[bos] * 5)}}
    for name, parts in hostile.items():
        write("tokenizer", name, compact({**parts, "model": model}), "hostile")


# -- gguf ------------------------------------------------------------------------------------------

GGUF_TYPES = {"u8": (0, "B"), "i8": (1, "b"), "u16": (2, "H"), "i16": (3, "h"), "u32": (4, "I"),
              "i32": (5, "i"), "f32": (6, "f"), "bool": (7, "?"), "str": (8, None), "u64": (10, "Q"),
              "i64": (11, "q"), "f64": (12, "d")}


def gguf_string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_element(kind, value):
    return gguf_string(value) if kind == "str" else struct.pack("<" + GGUF_TYPES[kind][1], value)


def gguf(values, tensors=(), alignment=32, version=3):
    """values: key -> (kind, value or list); tensors: (name, GGUF's dimensions, type, bytes or
    their number)"""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    for key, (kind, value) in values.items():
        out += gguf_string(key)
        number = struct.pack("<I", GGUF_TYPES[kind][0])
        if isinstance(value, list):
            out += struct.pack("<I", 9) + number + struct.pack("<Q", len(value))
            out += b"".join(gguf_element(kind, v) for v in value)
        else:
            out += number + gguf_element(kind, value)
    data = b""
    for name, shape, type_number, content in tensors:
        data += b"\0" * (-len(data) % alignment)
        out += gguf_string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        out += struct.pack("<IQ", type_number, len(data))
        if isinstance(content, int):
            content = bytes((11 * i + len(data)) % 256 for i in range(content))
        data += content
    return out + b"\0" * (-len(out) % alignment) + data


def make_gguf():
    scalars = {f"v.{k}": (k, "text" if k == "str" else 1) for k in GGUF_TYPES}
    arrays = {f"a.{k}": (k, ["x", "", "yz"] if k == "str" else [0, 1, 1]) for k in GGUF_TYPES}
    write("gguf", "scalars", gguf(scalars))
    write("gguf", "arrays", gguf(arrays, version=2))
    write("gguf", "empty", gguf({}))
    tensors = [("f32", [3, 2], 0, 24), ("f16", [2], 1, 4), ("q8_0", [32, 2], 8, 68),
               ("q4_0", [64], 2, 36), ("none", [0, 4], 0, 0), ("scalar", [], 28, 8),
               ("bf16", [1, 1, 2, 1], 30, 4)]
    write("gguf", "tensors", gguf({"general.alignment": ("u32", 64)}, tensors, alignment=64))


def make_tokenizer_gguf():
    t = "tokenizer.ggml."
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in (0x41, 0x0A, 0xC3, 0xA9)), "\u2581",
              "t", "h", "e", "th", "the", "\u2581the", "<x>", "aa", "a"]
    types = [2, 3, 3, 6, 6, 6, 6, *[1] * 7, 4, 1, 1]
    llama = {t + "model": ("str", "llama"), t + "tokens": ("str", pieces),
             t + "scores": ("f32", [-float(i) for i in range(len(pieces))]),
             t + "token_type": ("i32", types), t + "bos_token_id": ("u32", 1),
             t + "eos_token_id": ("u32", 2), t + "unknown_token_id": ("u32", 0),
             t + "add_bos_token": ("bool", True), t + "add_eos_token": ("bool", True),
             t + "add_space_prefix": ("bool", True)}
    write("tokenizer_gguf", "llama", gguf(llama))
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    pieces = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    pieces += ["th", "\u0120th", "<|s|>"]
    gpt2 = {t + "model": ("str", "gpt2"), t + "pre": ("str", "llama-bpe"),
            t + "tokens": ("str", pieces), t + "token_type": ("u8", [1] * 258 + [3]),
            t + "merges": ("str", ["t h", "\u0120 th"]), t + "bos_token_id": ("u32", 258)}
    write("tokenizer_gguf", "gpt2", gguf(gpt2))
    for pre in ("default", "qwen2", "deepseek-llm"):
        parts = {**gpt2, t + "pre": ("str", pre), t + "add_bos_token": ("bool", False)}
        write("tokenizer_gguf", pre.replace("-", "_"), gguf(parts))


def make_config_gguf():
    def keys(arch, **more):
        eps = "epsilon" if arch in ("gpt2", "gptneox") else "rms_epsilon"
        sizes = {"block_count": ("u32", 2), "embedding_length": ("u32", 8),
                 "attention.head_count": ("u32", 2), "attention.head_count_kv": ("u32", 2),
                 "feed_forward_length": ("u32", 16), "context_length": ("u32", 64),
                 f"attention.layer_norm_{eps}": ("f32", 1e-5), "rope.freq_base": ("f32", 1e4)}
        sizes.update({k.replace("__", "."): v for k, v in more.items()})
        return {"general.architecture": ("str", arch), **{f"{arch}.{k}": v for k, v in sizes.items()}}

    embd = ("token_embd.weight", [8, 4], 0, 128)
    write("config_gguf", "llama", gguf(keys("llama", rope__dimension_count=("u32", 4),
                                            rope__scaling__type=("str", "linear"),
                                            rope__scaling__factor=("f32", 2.0)), [embd]))
    write("config_gguf", "gemma3", gguf(keys("gemma3", attention__key_length=("u32", 4),
                                             attention__value_length=("u32", 4),
                                             attention__sliding_window=("u32", 2)), [embd]))
    write("config_gguf", "gpt2", gguf(keys("gpt2"), [embd, ("output.weight", [8, 4], 0, 128)]))
    write("config_gguf", "gptneox", gguf(keys("gptneox", use_parallel_residual=("bool", True),
                                              rope__dimension_count=("u32", 2)), [embd]))
    write("config_gguf", "phi3", gguf(
        keys("phi3", rope__scaling__original_context_length=("u32", 32),
             rope__scaling__attn_factor=("f32", 1.0)),
        [embd, *((f"rope_factors_{which}.weight", [2], 0, struct.pack("<2f", 1, 2))
                 for which in ("short", "long"))]))
    write("config_gguf", "qwen3", gguf(keys("qwen3", rope__scaling__type=("str", "yarn"),
                                            rope__scaling__factor=("f32", 4.0)), [embd]))


# -- pt --------------------------------------------------------------------------------------------


def archive(members, zip64=False, root="a/"):
    """A zip archive of stored members without checksums, so that a fuzzer may change them."""
    out, directory = b"", b""
    for name, data in members.items():
        name, at = (root + name).encode(), len(out)
        sizes = struct.pack("<IIIHH", 0, len(data), len(data), len(name), 0)
        out += b"PK\3\4" + bytes(10) + sizes + name + data
        extra = struct.pack("<HHQ", 1, 8, at) if zip64 else b""
        sizes = struct.pack("<IIIHH", 0, len(data), len(data), len(name), len(extra))
        place = struct.pack("<I", 0xFFFFFFFF if zip64 else at)
        directory += b"PK\1\2" + bytes(12) + sizes + bytes(10) + place + name + extra
    n, at = len(members), len(out)
    out += directory
    if zip64:
        end_at = len(out)
        out += b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 0, 45, 0, 0, n, n, len(directory), at)
        out += b"PK\6\7" + struct.pack("<IQI", 0, end_at, 1)
    return out + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, n, n, len(directory), at, 0)


def word(text):
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def tensor(kind="Float", key="0", n=16, view=b"K\0K\2K\3\x86K\3K\1\x86"):
    storage = b"(" + word("storage") + f"ctorch\n{kind}Storage\n".encode() + word(key) + word("cpu")
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K" + bytes([n]) + b"tQ" + view
            + b"\x89ccollections\nOrderedDict\n)RtR")


def make_pt():
    """Whole archives, and pickles that the target puts into one with data/0 of 64 bytes."""
    state = b"\x80\2ccollections\nOrderedDict\n)Rq\0(" + word("0.weight") + tensor() + word("b") \
        + tensor(view=b"K\0K\2\x85K\3\x85") + b"u}" + word("_metadata") + b"Nsb."
    lens = b"\x80\2}q\0(" + word("J") + b"}(K\0" + tensor("Half", n=32) + b"K\1" \
        + tensor("BFloat16", n=32, view=b"K\1))") + b"u" + word("n_prompts") + b"Kd" \
        + word("source_layers") + b"](K\0K\1eu."
    values = b"\x80\4\x95\x20\0\0\0\0\0\0\0](\x8c\1a\x94N\x88\x89M\1\2J\xfe\xff\xff\xff\x8a\3abc" \
        b"G?\xf0\0\0\0\0\0\0h\0)N\x85NN\x86NNN\x87(NNNNt}K\1Ns\x8c\5torch\x8c\7float32\x93" \
        b"ctorch\nSize\nK\2\x85\x85Rctorch\ndevice\nh\0\x85R]Nae."
    numpy = b"\x80\2cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n" + word("f8") \
        + b"\x89\x88\x87R(K\3" + word("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb" \
        + b"c_codecs\nencode\n" + word("\0\0\0\0\0\0\u00e0?") + word("latin1") + b"\x86R\x86R."
    parameter = b"\x80\2ctorch._utils\n_rebuild_parameter\n" + tensor("Double", n=8) + b"\x88)\x87R."
    for name, pickle in (("state", state), ("lens", lens), ("values", values), ("numpy", numpy),
                         ("parameter", parameter)):
        write("pt", name, pickle)
    data = bytes(range(64))
    write("pt", "archive", archive({"data.pkl": state, "byteorder": b"little", "data/0": data}))
    write("pt", "archive64", archive({"data.pkl": lens, "version": b"3\n", "data/0": data}, True))
    write("pt", "paths", b"\x80\2N" + b"q\0h\0\x86" * 60 + b".", "hostile")
    write("pt", "memo", b"\x80\2Nr\xff\xff\x1f\0.", "hostile")


# -- report ----------------------------------------------------------------------------------------


def make_report():
    chance = {"analytic": {"std": 0.2, "p_value": 1e-5, "p_adjusted": 2e-5}}
    metric = {"name": "far", "n": 1, "across_sites": True, "dimension": 24, "mean": 0.9,
              "median": 0.9, "std": 0, "min": 0.9, "max": 0.9, "range": 0, "mean_abs": 0.9,
              "histogram": {"edges": [-1, 0, 1], "counts": [0, 1]}, "alpha": 0.05,
              "chance_std": 0.2, "chance_mean_abs": 0.16, "n_significant": 1,
              "nulls": {"analytic": {"n_significant": 1}}, "significant": ["A <b>", "C"],
              "min_p_adjusted": 2e-5}
    write("report", "whole", compact({
        "metadata": {"name": "n & m", "question": "1 < 2?", "tool": "t", "created": "2026",
                     "seconds": 1.5, "seed": 7,
                     "model": {"path": "p", "family": "f", "n_layer": 4, "d_model": 24,
                               "dtype": "F32", "sha256": "0"},
                     "device": {"name": "d", "driver": "1", "kind": "cpu", "peak_bytes": 5}},
        "results": [{"concept": "A <b>", "model_layer": 2, "prompt": "P", "status": "success",
                     "metrics": [{"name": "far", "cosine": 0.9, "abs_cosine": 0.9,
                                  "nulls": chance}]},
                    {"concept": "C", "status": "failed", "error": "no", "metrics": []}],
        "statistics": {"by_metric": [metric, {"name": "none", "n": 0}]},
        "directions": [{"name": "j", "status": "success", "from": "embed@all", "mode": "exact",
                        "site": "norm:1@last", "n_tokens": 7, "norm": 7.1, "forward_time": 0.01,
                        "jvp_time": 0.09, "reconstruction_error": 1.6},
                       {"name": "m", "status": "success", "site": "s",
                        "classifier": {"n_train": 7, "n_test": 2, "f1": 0.7, "auroc": 0.8}},
                       {"name": "x", "status": "failed", "error": "x < NaN"}]}))
    write("report", "kinds", compact(report_kinds()))
    write("report", "sweep", compact({
        "name": "s", "question": "q", "variants": [
            {"name": "mode=a", "set": {"d.mode": "a", "l": "[2]"}, "status": "success",
             "statistics": {"by_metric": [dict(metric, kind="cosine", n_tests=1)]},
             "expectations": [{"metric": "far", "holds": False}]},
            {"name": "<b>", "set": {"d.mode": "b", "l": "[3]"}, "status": "failed",
             "statistics": {"by_metric": [metric, {"name": "o", "kind": "cka", "mean": 0.5}]}}]}))


def report_kinds():
    null = {"std": 0.2, "low": -0.4, "high": 0.4, "p_value": 0.01, "p_adjusted": 0.02}
    stats = {"n": 4, "mean": 0.3, "mean_abs": 0.4, "std": 0.1, "min": -0.2, "max": 0.9}
    verdict = {"significant": ["A"], "n_significant": 1, "min_p_adjusted": 0.02}
    interval = {"level": 0.95, "low": 0.1, "high": 0.5}
    sigma = [{"sigma": [3, 1, 0.1]}, {"sigma": [2, 0.5]}]
    names = [("far", "cosine"), ("o rank 1", "subspace"), ("o rank 4", "subspace"),
             ("s", "spectrum"), ("c", "cka"), ("t", "transfer")]
    results = [{"concept": "A", "model_layer": layer, "prompt": p, "status": "success",
                "metrics": [{"name": n, "kind": k, "value": 0.1 * layer, "nulls": {"random": null},
                             "differs_from_chance": layer > 2, "interval_items": interval,
                             **({"spectra": sigma} if n == "s" else {})}
                            for n, k in names[:1 if p == "Q" else 6]]}
               for layer in (2, 4) for p in ("P", "Q")]
    by_metric = [{"name": n, "kind": k, "of": ["j", "m"], "n": 2, "mean": 0.1, **verdict,
                  "nulls": {"random": {"n_significant": 2}}} for n, k in names]
    by_metric[0].update(stats, alpha=0.05, correction="holm", n_tests=4,
                        by_layer=[dict(stats, model_layer=m, **verdict) for m in (2, 4)],
                        by_concept=[dict(stats, concept="A", model_layer=m, same_sign=1,
                                         interval_prompts=interval) for m in (2, 4)])
    entry = {"concept": "A", "model_layer": 2, "n": 3, "value": 0.5, "min": 0.1, "max": 0.9,
             "chance_std": 0.1, "p_adjusted": 0.1, "differs_from_chance": False}
    by_metric += [{"name": "again", "kind": "agreement", "of": ["m"], "over": "seeds", "n": 1,
                   "mean": 0.5, "n_significant": 0, "n_tests": 1, "entries": [entry]},
                  {"name": "order", "kind": "spearman", "of": ["far", "t"], "n": 1, "mean": -0.5,
                   "entries": [{"model_layer": 2, "error": "equal"}]}]
    return {"metadata": {"name": "n", "model": {}, "device": {},
                         "concepts": [{"name": "A", "positives": 5}]},
            "results": results, "statistics": {"by_metric": by_metric},
            "expectations": [{"metric": "far", "statistic": "mean", "min": 0, "got": 1,
                              "holds": True}],
            "directions": [
                {"name": "j", "kind": "jacobian", "map_time": 1, "sigma": [2], "n_prompts": 3,
                 "converged": False},
                {"name": "l", "classifier": {"f1": 0.1, "f1_all_positive": 0.5}, "iterations": 3,
                 "converged": False},
                {"name": "f", "path": "p", "norm": 1}]}


# -- config ----------------------------------------------------------------------------------------


def make_config():
    text = {"model_type": "gemma3_text", "num_hidden_layers": 2, "hidden_size": 8,
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
            "intermediate_size": 16, "vocab_size": 32, "sliding_window": 2,
            "layer_types": ["sliding_attention", "full_attention"],
            "rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    write("config", "text", compact(text))
    write("config", "nested", compact({"model_type": "gemma3", "text_config": text,
                                       "tie_word_embeddings": False, "vision_config": {}}))
    by_type = {"full_attention": {"rope_type": "default", "rope_theta": 1e6},
               "sliding_attention": {"rope_theta": 1e4}}
    del text["rope_scaling"]
    write("config", "by_type", compact({**text, "rope_parameters": by_type, "bos_token_id": None,
                                        "final_logit_softcapping": 30.0, "attention_bias": True}))


# -- concepts --------------------------------------------------------------------------------------


def ontology(layer, *concepts):
    keys = ("sumo_term", "category_children", "definition")
    return compact({"layer": layer, "concepts": [dict(zip(keys, c)) for c in concepts]})


def make_concepts():
    write("concepts", "lines", compact(
        {"name": "A", "definition": "a", "layer": 1, "positives": ["b", "c"],
         "hard_negatives": ["d"], "random_negatives": ["e"]}) + "\n\n"
        + compact({"name": "B", "positives": []}) + "\r\n")
    items = [("A", "a", 1), ("B", "b", 0), ("A", "c", 0, "random"), ("B", "d", 0, "hard")]
    write("concepts", "items", "\n".join(
        compact(dict(zip(("concept", "text", "label", "kind"), i))) for i in items))
    write("concepts", "fault", compact({"name": "A", "positives": []}) + '\n{"name": "B", "name": 1}')
    write("concepts", "shared", ontology(
        0, ("Top", ["Left", "Right"], "all"), ("Left", ["AThing", "B"], "l"),
        ("Right", ["B", "C"]), ("B", ["B1"]), ("C", ["B1", "a_thing"], "l"), ("Other",)))
    write("concepts", "cycle", ontology(
        2, ("X", ["Y", "X"]), ("Y", ["X", "Z", "Z"]), ("Own", ["Own", "W"]), ("V", [], "v")))
    write("concepts", "files", "\0".join(
        [ontology(0, ("Top", ["A", "B"])), ontology(1, ("A", ["C"], "a"), ("B", ["D"])),
         ontology(1, ("B", ["D"]), ("D", None, None))]))
    write("concepts", "twice", "\0".join([ontology(0, ("A",)), ontology(0, ("A", ["B"]))]))


def main():
    make_json()
    make_index()
    make_safetensors()
    make_npy()
    make_yaml()
    make_tokenizer()
    make_hostile_tokenizer()
    make_config()
    make_report()
    make_gguf()
    make_config_gguf()
    make_tokenizer_gguf()
    make_pt()
    make_concepts()


if __name__ == "__main__":
    main()
