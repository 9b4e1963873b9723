"""Write tests/fixtures/tokenizer-{gpt2,llama2,llama3,metaspace,splits}: other shapes of BPE.

    python tests/reference/make_tokenizers.py

`gpt2` and `llama3` work on bytes (ByteLevel), by GPT-2's expression and by a Split of their own;
`llama2` prepends U+2581 in the normalizer; `metaspace` does so in the pre-tokenizer, after NFKC,
lower case and a Replace by expression; `splits` runs text through most of the pre-tokenizers.
Added tokens come in all kinds: lstrip, rstrip, single_word, normalized. `expected.json` is as that
of tokenizer-gemma; offsets are left out where HF gives a composed or replaced run of characters
the place of one of them and vkalign that of all.
"""

import json

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

from fixture_files import fixture_dir, write_json
from tokenizer_texts import CASES, CORPUS

SPACE = "\u2581"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
MORE = ("I'm sure they'll say we've, you're; IT'S 12345 don'ts",
        "x<sep>y <sep> z<sep>", "a  <left>  b", "a  <right>  b", "a<word>b <word> c (<word>) <word>",
        "Norm Normal <Norm> aNorm", "<both>  <both>", "  <left><right>  <left>", "e<word>\u0301",
        "\u1e9b\u0323 A\u030a \u212b \u0344 \u0f73", "\ufb03 \u2460 \u3392 \ufdfa", "\u0130I\u03a3",
        "q\u0323\u0307 q\u0307\u0323 \u0958 \uac00\u11a8", "a\u0315\u0300\u05ae\u0327b",
        "\u1100\u1161\u11a8 \u1100\u1161\u1161", "tab\tand\u00a0space", "12 345 6 \u0663\u00bd\u2167",
        "one, two; three... (four)!", "under_score and-dash", "<s>[INST] x [/INST]</s>", "\u2028\u2029")


def base(vocab_size, alphabet=(), limit=200, **model):
    """BPE trained on the corpus; the caller adds the rest of the pipeline."""
    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, limit_alphabet=limit, show_progress=False,
                                  initial_alphabet=list(alphabet))
    return tokenizer, trainer, model


def finish(tokenizer, trainer, model, head=()):
    """Train, put `head` before the vocabulary, set the model's options."""
    tokenizer.train_from_iterator(CORPUS.splitlines(), trainer)
    out = json.loads(tokenizer.to_str())
    pieces = list(head) + sorted(out["model"]["vocab"], key=out["model"]["vocab"].get)
    out["model"]["vocab"] = {p: i for i, p in enumerate(dict.fromkeys(pieces))}
    out["model"].update(model)
    return Tokenizer.from_str(json.dumps(out))


def gpt2():
    """GPT-2: bytes, its expression, one special token."""
    tokenizer, trainer, model = base(420, pre_tokenizers.ByteLevel.alphabet(), 400)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = finish(tokenizer, trainer, model)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.add_tokens([AddedToken("<sep>", normalized=False)])
    return tokenizer, True


def llama3():
    """Llama 3 and Qwen 2: NFC, an expression, bytes, whole words before merges."""
    tokenizer, trainer, model = base(420, pre_tokenizers.ByteLevel.alphabet(), 400, ignore_merges=True)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer = finish(tokenizer, trainer, model, head=["\u0120Entity", "means"])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|begin|>", "<|end|>"])
    ids = [(t, tokenizer.token_to_id(t)) for t in ("<|begin|>", "<|end|>")]
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin|> $A <|end|>", special_tokens=ids)])
    return tokenizer, False


def llama2():
    """Llama 2: U+2581 by the normalizer, byte fallback, added tokens of every kind."""
    tokenizer, trainer, model = base(330, byte_fallback=True, fuse_unk=True, unk_token="<unk>",
                                     limit=90)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE),
                                                 normalizers.Replace(" ", SPACE)])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
    tokenizer = finish(tokenizer, trainer, model, head=["<unk>", "<s>", "</s>"] +
                       [f"<0x{b:02X}>" for b in range(256)])
    tokenizer.pre_tokenizer = None
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(),
                                           decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens(["<unk>", "<s>", AddedToken("</s>", rstrip=True, normalized=False)])
    tokenizer.add_tokens([
        AddedToken("<sep>", normalized=False), AddedToken("<left>", lstrip=True, normalized=False),
        AddedToken("<right>", rstrip=True, normalized=False), AddedToken("Norm", normalized=True),
        AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
        AddedToken("<word>", single_word=True, normalized=False)])
    return tokenizer, True


def metaspace():
    """Metaspace (only before the text's first word), NFKC, lower case, runs of spaces made one."""
    tokenizer, trainer, model = base(330, unk_token="<unk>", fuse_unk=False, limit=120)
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Strip(left=False, right=True), normalizers.NFKC(), normalizers.Lowercase(),
        normalizers.Replace(Regex(r" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer = finish(tokenizer, trainer, model, head=["<unk>", "<s>"])
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    tokenizer.add_special_tokens(["<unk>", "<s>"])
    tokenizer.add_tokens([
        AddedToken("Norm", normalized=True), AddedToken("<sep>", normalized=True, lstrip=True),
        AddedToken("<word>", single_word=True, normalized=True),
        AddedToken("<right>", rstrip=True, normalized=True)])
    return tokenizer, False


def splits():
    """Most pre-tokenizers one after another, NFKD before them, no decoder."""
    tokenizer, trainer, model = base(300, unk_token="<unk>", fuse_unk=True, limit=120)
    tokenizer.normalizer = normalizers.NFKD()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"[,;]"), "merged_with_previous"),
        pre_tokenizers.Split("(", "merged_with_next"),
        pre_tokenizers.Split(Regex(r"[.!?]"), "contiguous"),
        pre_tokenizers.Split(Regex(r"[^-_]+"), "isolated", invert=True),
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.Punctuation("merged_with_next"), pre_tokenizers.Whitespace()])
    tokenizer = finish(tokenizer, trainer, model, head=["<unk>"])
    return tokenizer, False


def case(tokenizer, text, special, offsets):
    """What the tokenizer makes of one text; offsets are in code points of the text."""
    out = tokenizer.encode(text, add_special_tokens=special)
    pieces = {i: p for p, i in tokenizer.get_vocab().items()}
    row = {"text": text, "add_special": special, "ids": out.ids,
           "tokens": [pieces[i] for i in out.ids],
           "decoded": tokenizer.decode(out.ids, skip_special_tokens=False),
           "decoded_skip_special": tokenizer.decode(out.ids, skip_special_tokens=True)}
    if offsets:
        row["offsets"] = [list(o) for o in out.offsets]
    return row


def write(folder, tokenizer, cases, offsets):
    """tokenizer.json and expected.json in a folder."""
    write_json(folder / "tokenizer.json", json.loads(tokenizer.to_str()))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = ",\n".join(json.dumps(case(tokenizer, *c, offsets), ensure_ascii=False) for c in cases)
    (folder / "expected.json").write_text("[\n" + rows + "\n]\n", encoding="utf-8")


def main():
    """Write all folders."""
    cases = [c for c in CASES if len(c[0]) < 100] + [(t, True) for t in MORE]
    for make in (gpt2, llama2, llama3, metaspace, splits):
        tokenizer, offsets = make()
        write(fixture_dir(f"tokenizer-{make.__name__}"), tokenizer, cases, offsets)
        print(make.__name__, tokenizer.get_vocab_size(), "pieces,", len(cases), "cases")


if __name__ == "__main__":
    main()
