"""Write tests/fixtures/tokenizer-gemma*: small tokenizers built as Gemma's is, and what they say.

    python tests/reference/make_tokenizer.py

The shape of Gemma's tokenizer.json: byte-fallback BPE over text whose spaces became U+2581; a
pre-tokenizer that splits on spaces and so, after that normaliser, never finds one; special tokens
at the head of the vocabulary; added tokens for runs of newlines, runs of U+2581 and a few tags.
`tokenizer-gemma-strings` is the same with merges as "a b" (written by tokenizers before 0.20);
`tokenizer-gemma-unk` is without byte fallback, so that unknown characters fuse into <unk>.
"""

import collections
import json
import re

from tokenizers import Tokenizer

from fixture_files import fixture_dir, write_json
from tokenizer_texts import CASES, CORPUS

SPACE = "\u2581"
SPECIALS = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>",
            "<unused0>", "<unused1>"]
NEWLINES = ["\n" * n for n in range(2, 9)]
SPACES = [SPACE * n for n in range(2, 13)]
TAGS = ["<table>", "</table>", "<tr>", "</tr>", "<td>", "</td>"]
BYTES = [f"<0x{b:02X}>" for b in range(256)]
ALPHABET = 190  # most frequent characters of the corpus; the others fall back to bytes
LEARNED = 520  # size of the trained part: characters and merges


def words():
    """Counted words of the corpus as tuples of characters; digits alone, U+2581 only in front."""
    text = CORPUS.replace(" ", SPACE)
    found = re.findall(rf"\d|{SPACE}?[^{SPACE}\d\n]+|{SPACE}", text)
    return collections.Counter(tuple(word) for word in found)


def joined(word, pair):
    """The word with every occurrence of a pair of pieces joined, from the left."""
    out, i = [], 0
    while i < len(word):
        step = 2 if word[i:i + 2] == pair else 1
        out.append("".join(word[i:i + step]))
        i += step
    return tuple(out)


def train():
    """Learn characters and merges: most frequent first, ties by code point.

    Not by the trainer of `tokenizers`, whose ties fall differently from run to run.
    """
    counts = words()
    letters = collections.Counter()
    for word, times in counts.items():
        letters.update({c: times * word.count(c) for c in set(word)})
    kept = set(sorted(letters, key=lambda c: (-letters[c], c))[:ALPHABET])
    pieces, merges = sorted(kept), []
    while len(pieces) < LEARNED:
        pairs = collections.Counter()
        for word, times in counts.items():
            for pair in zip(word, word[1:]):
                if all(c in kept for c in "".join(pair)):
                    pairs[pair] += times
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        pieces.append("".join(best))
        counts = collections.Counter({joined(w, best): n for w, n in counts.items()})
    return list(dict.fromkeys(pieces)), merges


def run_merges(character, longest):
    """Merges that build runs of a character, in Gemma's order: two halves of every length."""
    return [(character * a, character * (n - a)) for n in range(2, longest + 1)
            for a in range(1, n)]


def added_token(number, content, special):
    """One entry of added_tokens."""
    return {"id": number, "content": content, "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": False, "special": special}


def build():
    """The whole tokenizer.json as a dict, merges as pairs."""
    learned, merges = train()
    merges = run_merges("\n", 8) + run_merges(SPACE, 12) + merges
    vocab = {}
    for piece in SPECIALS + NEWLINES + SPACES + TAGS + BYTES + ["\n", "\t", SPACE] + learned:
        vocab.setdefault(piece, len(vocab))
    added = [added_token(vocab[p], p, True) for p in SPECIALS]
    added += [added_token(vocab[p], p, False) for p in NEWLINES + SPACES + TAGS]
    bos = {"SpecialToken": {"id": "<bos>", "type_id": 0}}
    second = {"SpecialToken": {"id": "<bos>", "type_id": 1}}
    template = {"type": "TemplateProcessing",
                "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [bos, {"Sequence": {"id": "A", "type_id": 0}}, second,
                         {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"<bos>": {"id": "<bos>", "ids": [vocab["<bos>"]],
                                             "tokens": ["<bos>"]}}}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            "pre_tokenizer": {"type": "Split", "pattern": {"String": " "},
                              "behavior": "MergedWithPrevious", "invert": False},
            "post_processor": template,
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}]},
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                      "vocab": vocab, "merges": [list(m) for m in merges]}}


def case(tokenizer, text, special):
    """What the tokenizer makes of one text; offsets are in code points of the text."""
    out = tokenizer.encode(text, add_special_tokens=special)
    return {"text": text, "add_special": special, "ids": out.ids, "tokens": out.tokens,
            "offsets": [list(o) for o in out.offsets],
            "decoded": tokenizer.decode(out.ids, skip_special_tokens=False),
            "decoded_skip_special": tokenizer.decode(out.ids, skip_special_tokens=True)}


def write(name, value):
    """One fixture folder: tokenizer.json and expected.json."""
    folder = fixture_dir(name)
    write_json(folder / "tokenizer.json", value)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    cases = [case(tokenizer, *c) for c in CASES]
    rows = ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases)
    (folder / "expected.json").write_text("[\n" + rows + "\n]\n", encoding="utf-8")
    print(name, tokenizer.get_vocab_size(), "pieces,", len(value["model"]["merges"]), "merges,",
          len(cases), "cases")
    return cases


def main():
    """Write the three tokenizers; the two that differ in form alone must say the same."""
    value = build()
    cases = write("tokenizer-gemma", value)
    strings = json.loads(json.dumps(value))
    strings["model"]["merges"] = [" ".join(m) for m in value["model"]["merges"]]
    assert write("tokenizer-gemma-strings", strings) == cases
    unknown = json.loads(json.dumps(value))
    unknown["model"]["byte_fallback"] = False
    assert any("<unk>" in c["tokens"] and c["text"] != "<unk>"
               for c in write("tokenizer-gemma-unk", unknown))
    for c in cases:
        if "<" not in c["text"] and SPACE not in c["text"]:
            assert c["decoded_skip_special"] == c["text"], c


if __name__ == "__main__":
    main()
