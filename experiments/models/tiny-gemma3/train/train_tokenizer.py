"""Trains the byte-fallback BPE tokenizer of tiny-gemma3, in the form of Gemma's tokenizer.json.

    python train_tokenizer.py --corpus build/train.txt --out ..

Ids: <pad> 0, <eos> 1, <bos> 2, <unk> 3, the 256 byte tokens, then characters and merges. As with
Gemma, spaces become "▁" and the pre-tokenizer splits on " ", which therefore never matches: BPE
sees the whole text. Merges are learned within words, so none crosses a space or a punctuation mark.
"""

import argparse
import json
from pathlib import Path

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

HERE = Path(__file__).resolve().parent
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"]
BYTES = [f"<0x{i:02X}>" for i in range(256)]
VOCAB_SIZE = 2048


def learn_merges(lines, vocab_size):
    """Vocabulary and merges of a BPE whose merges stay within words."""
    learner = Tokenizer(models.BPE(unk_token="<unk>"))
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split("▁", "merged_with_next"),
        pre_tokenizers.Split(Regex(r"[^\p{L}▁]"), "isolated"),
    ])
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=SPECIAL + BYTES,
                                  show_progress=False)
    learner.train_from_iterator(lines, trainer)
    model = json.loads(learner.to_str())["model"]
    return model["vocab"], [tuple(m) for m in model["merges"]]


def gemma_tokenizer(vocab, merges):
    """The tokenizer with Gemma's normalizer, pre-tokenizer, post-processor and decoder."""
    tok = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True,
                               byte_fallback=True))
    tok.normalizer = normalizers.Replace(" ", "▁")
    tok.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tok.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos>:1 $B:1", special_tokens=[("<bos>", 2)])
    tok.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    return tok


def main():
    """Trains, checks a round trip and writes tokenizer.json and tokenizer_config.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=HERE / "build" / "train.txt")
    parser.add_argument("--out", type=Path, default=HERE.parent)
    parser.add_argument("--vocab-size", type=int, default=VOCAB_SIZE)
    args = parser.parse_args()
    lines = args.corpus.read_text(encoding="utf-8").splitlines()
    tok = gemma_tokenizer(*learn_merges(lines, args.vocab_size))
    for text in ("The concept of Physical means", "naïve  café 東京\n\t2,560"):
        ids = tok.encode(text).ids
        assert ids[0] == 2 and tok.decode(ids) == text, (text, tok.decode(ids))
    args.out.mkdir(parents=True, exist_ok=True)
    tok.save(str(args.out / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>",
              "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>",
              "clean_up_tokenization_spaces": False, "model_max_length": 512}
    (args.out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    print("vocabulary", tok.get_vocab_size())


if __name__ == "__main__":
    main()
