"""Write tests/fixtures/tokenizer-spm: SentencePiece BPE vocabularies as GGUF, and what sentencepiece
makes of many texts with them.

    python tests/reference/make_tokenizer_spm.py

NAME.gguf is written as llama.cpp's converter does it (spaces in user-defined pieces unescaped);
NAME.json has `text`, `add_special`, `ids` and, where it is not the text again, `decoded_skip_special`
(null where sentencepiece writes unknown pieces its own way); `decoded` is null: sentencepiece
prints no control tokens.

| name | like | what differs |
|---|---|---|
| `prefix` | Llama 2 | a space before every text, BOS |
| `plain` | Gemma | no such space; user-defined runs of spaces and newlines, and tags |
| `unknown` | | no bytes to fall back to: unknown characters become `<unk>`, runs of them one |
"""

import io
import json

import gguf
import sentencepiece as spm

from fixture_files import fixture_dir
from tokenizer_texts import CASES, CORPUS, FAMILY_CASES

SPACE = "\u2581"
COMMON = dict(model_type="bpe", normalization_rule_name="identity", remove_extra_whitespaces=False,
              character_coverage=0.98, split_digits=True, num_threads=1, minloglevel=2,
              unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
RUNS = ["\n" * n for n in range(2, 6)] + [SPACE * n for n in range(2, 7)]
MODELS = {
    "prefix": dict(byte_fallback=True, vocab_size=620),
    "plain": dict(byte_fallback=True, vocab_size=640, add_dummy_prefix=False,
                  user_defined_symbols=RUNS + ["<tag>", "</tag>", "\t"]),
    "unknown": dict(byte_fallback=False, vocab_size=360),
}


def train(options):
    """A model trained on the corpus."""
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS.splitlines()), model_writer=model,
                                   **COMMON, **options)
    return spm.SentencePieceProcessor(model_proto=model.getvalue())


def kind(sp, i):
    """The type of a piece as GGUF has it."""
    types = gguf.TokenType
    if sp.is_unknown(i):
        return types.UNKNOWN
    if sp.is_control(i):
        return types.CONTROL
    if sp.is_byte(i):
        return types.BYTE
    if sp.is_unused(i):
        return types.UNUSED
    return types.NORMAL


def write_gguf(path, sp, options):
    """The vocabulary as llama.cpp's converter writes it."""
    user = set(options.get("user_defined_symbols", ()))
    pieces = [sp.id_to_piece(i) for i in range(sp.vocab_size())]
    types = [gguf.TokenType.USER_DEFINED if p in user else kind(sp, i)
             for i, p in enumerate(pieces)]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([p.replace(SPACE, " ") if p in user else p for p in pieces])
    writer.add_token_scores([sp.get_score(i) for i in range(sp.vocab_size())])
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    if not options.get("add_dummy_prefix", True):
        writer.add_add_space_prefix(False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def case(sp, text, special, by_bytes):
    """What sentencepiece makes of one text."""
    ids = sp.encode(text, add_bos=special)
    row = {"text": text, "add_special": special, "ids": ids, "decoded": None}
    decoded = sp.decode(ids) if by_bytes else None
    if decoded != text:
        row["decoded_skip_special"] = decoded
    return row


def main():
    """Write all models."""
    folder = fixture_dir("tokenizer-spm")
    texts = [c for c in CASES if len(c[0]) < 100] + [(t, True) for t in FAMILY_CASES]
    texts += [("<tag>x</tag> <tag> y", False), ("x<tag>\t\t<tag>\n\n\n\n\n\n\n", False)]
    for name, options in MODELS.items():
        sp = train(options)
        write_gguf(folder / f"{name}.gguf", sp, options)
        control = [sp.id_to_piece(i) for i in range(3)]  # sentencepiece does not look for these
        kept = [c for c in texts if not any(p in c[0] for p in control)]
        rows = [case(sp, *c, options["byte_fallback"]) for c in kept]
        text = ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows)
        (folder / f"{name}.json").write_text("[\n" + text + "\n]\n", encoding="utf-8")
        print(name, sp.vocab_size(), "pieces,", len(rows), "cases")


if __name__ == "__main__":
    main()
