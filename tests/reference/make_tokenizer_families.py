"""Write tests/fixtures/tokenizer-families: small tokenizers in the form of well-known models'.

    python tests/reference/make_tokenizer_families.py

NAME.tokenizer.json has the components, expressions and flags of the model's own file; NAME.json is
what HF tokenizers makes of many texts: `text`, `add_special`, `ids` and, where they are not the text
again, `decoded` and `decoded_skip_special`. Where llama.cpp knows the pre-tokenizer by name,
NAME.gguf is the same vocabulary as its converter writes it, held to the same ids. cuts-NAME has
no merges and a space put before every piece, so that its ids show where random texts were cut.
"""

import collections
import json
import random

import gguf
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors

from fixture_files import fixture_dir, write_json
from make_tokenizer import joined
from tokenizer_texts import CASES, CORPUS, CUT_CHARACTERS, FAMILY_CASES

SPACE = "\u2581"
MERGES = 180
S = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = S + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + TAIL
QWEN2 = S + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + TAIL
UP, LOW = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASE_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?{UP}*{LOW}+{S}?|[^\r\n\p{{L}}\p{{N}}]?{UP}+{LOW}*{S}?|"
         r"\p{N}{1,3}|" + CASE_TAIL)
TEKKEN = (rf"[^\r\n\p{{L}}\p{{N}}]?{UP}*{LOW}+|[^\r\n\p{{L}}\p{{N}}]?{UP}+{LOW}*|\p{{N}}|"
          + CASE_TAIL)
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
DEEPSEEK_V3 = (r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
               r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"
               r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|"
               r"\s+(?!\S)|\s+")
CJK = "[一-龥\u0800-一가-\ud7ff]+"
CASED = ("A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af"
         "\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1"
         "\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5"
         "\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a"
         "\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d"
         "\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3"
         "\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115"
         "\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f"
         "\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3"
         "\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf"
         "\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f"
         "\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"
         "\U000118a0-\U000118df\U0001e900-\U0001e943")
DEEPSEEK_LLM = ("[\r\n]", rf"\s?[{CASED}]+", "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", r"\s+$", CJK)
IM = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
DEEPSEEK = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<think>")


def regexes(*expressions, digits=False, invert=False):
    """Splits by expressions one after another, then bytes."""
    behavior = "removed" if invert else "isolated"
    steps = [pre_tokenizers.Split(Regex(e), behavior, invert=invert) for e in expressions]
    steps += [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    return pre_tokenizers.Sequence(
        steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def around(before="", after=""):
    """A template, given how the tokens' ids are found."""
    def make(ids):
        names = [(t, ids[t]) for t in (before, after) if t]
        return processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{before} $A {after}".strip(),
                                          special_tokens=names)])
    return make


def roberta(ids):
    """RoBERTa's own processor."""
    return processors.RobertaProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"]),
                                        trim_offsets=True, add_prefix_space=False)


def bert(ids):
    """BERT's own processor."""
    return processors.BertProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"]))


def byte_family(pre, special, pre_name=None, post=None, norm=None, more=(), **model):
    """A family that works on bytes; more: added tokens that are not special."""
    return {"pre": pre, "special": special, "pre_name": pre_name, "post": post, "norm": norm,
            "more": more, "model": model, "bytes": True}


FAMILIES = {
    "qwen2": byte_family(regexes(QWEN2), IM, "qwen2", norm=normalizers.NFC(),
                         more=[AddedToken("<tool_call>", normalized=False)]),
    "deepseek-r1-qwen": byte_family(regexes(QWEN2), DEEPSEEK, "deepseek-r1-qwen",
                                    around(DEEPSEEK[0])),
    "llama3": byte_family(regexes(CL100K), ("<|begin_of_text|>", "<|eot_id|>"), "llama-bpe",
                          around("<|begin_of_text|>"), ignore_merges=True),
    "olmo2": byte_family(regexes(CL100K), ("<|endoftext|>",), "dbrx"),
    "phi4": byte_family(regexes(CL100K, invert=True), [
        AddedToken(t, lstrip=True, rstrip=True, normalized=False) for t in IM]),
    "phi4-mini": byte_family(regexes(O200K, invert=True), ("<|endoftext|>",), "gpt-4o",
                             around("", "<|endoftext|>")),
    "tekken": byte_family(regexes(TEKKEN), ("<s>", "</s>", "[INST]"), "tekken", around("<s>"),
                          ignore_merges=True),
    "smollm": byte_family(pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)]), IM, "smollm"),
    "neox": byte_family(pre_tokenizers.ByteLevel(add_prefix_space=False),
                        ("<|endoftext|>", "<|padding|>"), norm=normalizers.NFC(),
                        more=[AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)]),
    "roberta": byte_family(pre_tokenizers.ByteLevel(add_prefix_space=True), ("<s>", "</s>"),
                           post=roberta),
    "bert": byte_family(pre_tokenizers.ByteLevel(add_prefix_space=False), ("<s>", "</s>"),
                        post=bert),
    "default": byte_family(regexes(r"[\p{P}$+<=>^~|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"),
                           ("<|endoftext|>",), "default"),
    "deepseek-v3": byte_family(regexes(*DEEPSEEK_V3), DEEPSEEK, "deepseek-v3", around(DEEPSEEK[0])),
    "deepseek-llm": byte_family(regexes(*DEEPSEEK_LLM, digits=True), DEEPSEEK[:2], "deepseek-llm",
                                around(DEEPSEEK[0])),
    "mistral3": {"pre": pre_tokenizers.Metaspace(SPACE, prepend_scheme="first", split=False),
                 "special": ("<unk>", "<s>", "</s>", "[INST]"), "pre_name": None,
                 "post": around("<s>"), "norm": None, "more": (), "bytes": False,
                 "model": {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}},
}

CUTS = {"qwen2": (QWEN2,), "o200k": (O200K,), "gpt2": (GPT2,), "deepseek-v3": DEEPSEEK_V3,
        "deepseek-llm": DEEPSEEK_LLM}


def words(family):
    """Counted words of the corpus, as tuples of characters."""
    counts = collections.Counter()
    for line in CORPUS.splitlines():
        text = family["norm"].normalize_str(line) if family["norm"] else line
        pieces = family["pre"].pre_tokenize_str(text)
        if not family["bytes"]:  # one piece a line: cut before spaces
            pieces = [(SPACE + p, 0) for w, _ in pieces for p in w.split(SPACE) if p]
        counts.update(tuple(p) for p, _ in pieces)
    return counts


def learn(family):
    """Merges, most frequent first, ties by code point; and the alphabet."""
    counts = words(family)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if not family["bytes"]:
        letters = collections.Counter(c for w, n in counts.items() for c in w * n)
        alphabet = sorted(c for c, n in letters.items() if n > 9)
    merges, known = [], set(alphabet)
    while len(merges) < MERGES:
        pairs = collections.Counter()
        for word, times in counts.items():
            for pair in zip(word, word[1:]):
                if known.issuperset("".join(pair)):
                    pairs[pair] += times
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        counts = collections.Counter({joined(w, best): n for w, n in counts.items()})
    return alphabet, merges


def build(family):
    """The tokenizer and the kind of each id."""
    alphabet, merges = learn(family)
    fallback = [] if family["bytes"] else [f"<0x{b:02X}>" for b in range(256)]
    special = [t.content if isinstance(t, AddedToken) else t for t in family["special"]]
    head = [] if family["bytes"] else special
    pieces = list(dict.fromkeys(head + fallback + alphabet + ["".join(m) for m in merges]))
    if family["model"].get("ignore_merges"):  # words that merges do not make
        pieces += ["\u0120Entity", "means"]
    vocab = {p: i for i, p in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, **family["model"]))
    tokenizer.pre_tokenizer = family["pre"]
    if family["norm"]:
        tokenizer.normalizer = family["norm"]
    tokenizer.add_special_tokens(list(family["special"]))
    tokenizer.add_tokens(list(family["more"]))
    ids = {t: tokenizer.token_to_id(t) for t in special}
    if family["post"]:
        tokenizer.post_processor = family["post"](ids)
    tokenizer.decoder = decoders.ByteLevel() if family["bytes"] else decoders.Sequence([
        decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(" ", 1, 0)])
    return tokenizer, merges, ids


def write_gguf(path, tokenizer, merges, ids, name):
    """The vocabulary as llama.cpp's converter writes it."""
    pieces = sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)
    added = {t.content: t.special for t in tokenizer.get_added_tokens_decoder().values()}
    kinds = {None: gguf.TokenType.NORMAL, True: gguf.TokenType.CONTROL,
             False: gguf.TokenType.USER_DEFINED}
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name)
    writer.add_token_list(pieces)
    writer.add_token_types([kinds[added.get(p)] for p in pieces])
    writer.add_token_merges([" ".join(m) for m in merges])
    around_text = [tokenizer.id_to_token(i) for i in tokenizer.encode("").ids]
    ends = [t for t in ids if "end" in t or t == "</s>"]
    begins = [t for t in around_text if t not in ends]
    if begins:
        writer.add_bos_token_id(ids[begins[0]])
    if ends:
        writer.add_eos_token_id(ids[ends[0]])
    writer.add_add_bos_token(bool(begins))
    writer.add_add_eos_token(any(t in ends for t in around_text))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def case(tokenizer, text, special):
    """What the tokenizer makes of one text."""
    ids = tokenizer.encode(text, add_special_tokens=special).ids
    row = {"text": text, "add_special": special, "ids": ids}
    for key, skip in (("decoded", False), ("decoded_skip_special", True)):
        decoded = tokenizer.decode(ids, skip_special_tokens=skip)
        if decoded != text:
            row[key] = decoded
    return row


def write_cuts(folder, rng, name, expressions):
    """A tokenizer that shows its cuts, and random texts."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    splits = [pre_tokenizers.Split(Regex(e), "isolated") for e in expressions]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        splits + [pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    value = json.loads(tokenizer.to_str())
    path = folder / f"cuts-{name}.tokenizer.json"
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
    texts = ["".join(rng.choices(CUT_CHARACTERS, k=rng.randrange(4, 16))) for _ in range(100)]
    rows = ",\n".join(json.dumps(case(tokenizer, t, False), ensure_ascii=False) for t in texts)
    (folder / f"cuts-{name}.json").write_text("[\n" + rows + "\n]\n", encoding="utf-8")


def main():
    """Write all families."""
    folder = fixture_dir("tokenizer-families")
    rng = random.Random(0)
    for name, expressions in CUTS.items():
        write_cuts(folder, rng, name, expressions)
    for name, family in FAMILIES.items():
        tokenizer, merges, ids = build(family)
        value = json.loads(tokenizer.to_str())
        path = folder / f"{name}.tokenizer.json"
        path.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
        tokenizer = Tokenizer.from_file(str(path))
        tags = [(f"a {t}b{t}  {t} c", s) for t in ids for s in (True, False)]
        cases = [c for c in CASES if len(c[0]) < 100] + [(t, True) for t in FAMILY_CASES] + tags
        rows = ",\n".join(json.dumps(case(tokenizer, *c), ensure_ascii=False) for c in cases)
        (folder / f"{name}.json").write_text("[\n" + rows + "\n]\n", encoding="utf-8")
        if family["pre_name"]:
            write_gguf(folder / f"{name}.gguf", tokenizer, merges, ids, family["pre_name"])
        print(name, tokenizer.get_vocab_size(), "pieces,", len(cases), "cases")


if __name__ == "__main__":
    main()
