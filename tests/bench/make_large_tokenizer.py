#!/usr/bin/env python3
"""Write a tokenizer.json of the size of Gemma 3's, for bench_tokenizer.

    tests/bench/make_large_tokenizer.py OUT.json

262,144 pieces, 514,000 merges as pairs, 6,400 added tokens, indented as the real file is: 33 MB.
Pieces are random strings of characters, each the join of two earlier ones. Standard library only;
the same bytes every time.
"""

import argparse
import json
import pathlib
import random

PIECES, MERGES, ADDED, CHARACTERS, LONGEST = 262144, 514000, 6400, 8000, 18
SPACE = "\u2581"


def characters():
    """Single characters: Latin, Greek, Cyrillic, Devanagari, kana, Han."""
    ranges = ((0x21, 0x7F), (0xC0, 0x250), (0x391, 0x530), (0x905, 0x940), (0x3041, 0x3100),
              (0x4E00, 0x9FFF))
    found = [SPACE] + [chr(c) for low, high in ranges for c in range(low, high) if c != 0x3A2]
    return found[:CHARACTERS]


def learn(rng, vocab, n_pieces):
    """Adds pieces to vocab until it has n_pieces; returns the merges, one for each."""
    merges, pieces = [], characters()
    for c in pieces:
        vocab.setdefault(c, len(vocab))
    # Every string of up to four common letters: these have a merge for each place to cut them.
    short = [("", "")]
    for _ in range(4):
        short = [(a + b, c) for a, b in short for c in SPACE + "abcdefghilmnoprstu"]
        merges += [list(pair) for pair in short if pair[0]]
        pieces += [a + b for a, b in short if a]
        for a, b in short:
            vocab.setdefault(a + b, len(vocab))
    while len(vocab) < n_pieces:
        a, b = pieces[int(len(pieces) * rng.random())], pieces[int(len(pieces) * rng.random())]
        if len(a) + len(b) > LONGEST or a + b in vocab:
            continue
        merges.append([a, b])
        pieces.append(a + b)
        vocab[a + b] = len(vocab)
    return merges


def other_cuts(vocab, merges, n_merges):
    """More merges to the same pieces, cut in another place, until there are n_merges."""
    known = {tuple(m) for m in merges}
    for piece in list(vocab):
        for i in range(1, len(piece)):
            pair = (piece[:i], piece[i:])
            if len(merges) < n_merges and pair not in known and all(p in vocab for p in pair):
                merges.append(list(pair))
    return merges


def build():
    """The whole file as a dict."""
    rng = random.Random(0)
    added = ["<pad>", "<eos>", "<bos>", "<unk>"] + [f"<unused{i}>" for i in range(ADDED - 4)]
    vocab = {p: i for i, p in enumerate(added + [f"<0x{b:02X}>" for b in range(256)])}
    merges = other_cuts(vocab, learn(rng, vocab, PIECES), MERGES)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": p, **flags, "special": True}
                             for i, p in enumerate(added)],
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            "pre_tokenizer": {"type": "Split", "pattern": {"String": " "},
                              "behavior": "MergedWithPrevious", "invert": False},
            "post_processor": None,
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}]},
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                      "vocab": vocab, "merges": merges}}


def main():
    """Write the file and say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    path = parser.parse_args().out
    value = build()
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")
    model = value["model"]
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {len(model['vocab'])} pieces, "
          f"{len(model['merges'])} merges, {len(value['added_tokens'])} added tokens")


if __name__ == "__main__":
    main()
