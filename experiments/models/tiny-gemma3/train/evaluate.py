"""Evaluates tiny-gemma3 as saved: perplexity beside n-gram baselines, concepts, samples.

    python evaluate.py                  writes ../evaluation.json and the tables of ../README.md

The bf16 weights are read from model.safetensors and the arithmetic is done in float32.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer
from transformers import Gemma3ForCausalLM

from train import BOS, EOS, encode_documents, perplexity

HERE = Path(__file__).resolve().parent
TEMPLATES = ["The concept of {} means", "The word {} means", "What is meant by {}?"]
SITES = ["norm:6@last", "norm:last@mean", "embed@mean"]
SAMPLES = ["The concept of Physical means", "The concept of Entity means",
           "The concept of Abstract means", "The concept of Process means",
           "The concept of Attribute means", "The concept of dog means",
           "The concept of triangle means", "The concept of melting means",
           "The concept of length means", "The concept of however means",
           "The concept of blick means", "Is a dog a process?", "Is a triangle an abstract thing?"]
N_FOLDS, N_PERMUTATIONS, SEED = 5, 10, 0
MARK = ("<!-- results begin -->", "<!-- results end -->")


def count_grams(documents):
    """Unigram and bigram counts; <bos> is context only."""
    one, two, context = Counter(), Counter(), Counter()
    for ids in documents:
        one.update(ids[1:])
        two.update(zip(ids, ids[1:]))
        context.update(ids[:-1])
    return one, two, context


def gram_perplexities(train_docs, heldout_docs, n_vocab):
    """Held-out perplexity of add-one unigrams, and of bigrams in Witten-Bell smoothing."""
    one, two, context = count_grams(train_docs)
    followers = Counter(a for a, _ in two)
    total = sum(one.values()) + n_vocab
    nll, n = np.zeros(2), 0
    for ids in heldout_docs:
        for a, b in zip(ids, ids[1:]):
            p1 = (one[b] + 1) / total
            p2 = (two[a, b] + followers[a] * p1) / max(1, context[a] + followers[a])
            nll -= np.log([p1, p2 if context[a] else p1])
            n += 1
    unigram, bigram = np.exp(nll / n)
    return {"unigram": float(unigram), "bigram": float(bigram), "heldout_tokens": n}


@torch.no_grad()
def features(model, tok, text):
    """The vector of each site at one prompt."""
    ids = torch.tensor([tok.encode(text).ids])
    states = model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
    return {"norm:6@last": model.model.norm(states[6])[0, -1].numpy(),
            "norm:last@mean": states[-1][0].mean(0).numpy(),
            "embed@mean": states[0][0].mean(0).numpy()}


def item_labels(concept):
    """Items and labels: 1 for positives, 0 for both kinds of negatives."""
    negatives = concept["hard_negatives"] + concept["random_negatives"]
    items = concept["positives"] + negatives
    return items, np.array([1] * len(concept["positives"]) + [0] * len(negatives))


def crossvalidate(x, y, seed):
    """Held-out scores of every prompt; x is [items, templates, d], folds are made of items."""
    scores = np.zeros(x.shape[:2])
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    for fit, held in folds.split(x, y):
        probe = make_pipeline(StandardScaler(),
                              LogisticRegression(C=0.1, solver="newton-cholesky",
                                                 class_weight="balanced"))
        probe.fit(x[fit].reshape(-1, x.shape[2]), np.repeat(y[fit], x.shape[1]))
        scores[held] = probe.decision_function(x[held].reshape(-1, x.shape[2])).reshape(
            len(held), -1)
    return scores


def summary(scores, y):
    """F1 and AUROC over all prompts."""
    flat, labels = scores.ravel(), np.repeat(y, scores.shape[1])
    return {"f1": float(f1_score(labels, flat > 0)), "auroc": float(roc_auc_score(labels, flat))}


def chance(x, y):
    """Mean F1 and AUROC when labels are permuted among items."""
    rng = np.random.default_rng(SEED)
    runs = [summary(crossvalidate(x, p, SEED), p)
            for p in (rng.permutation(y) for _ in range(N_PERMUTATIONS))]
    return {k: float(np.mean([r[k] for r in runs])) for k in runs[0]}


def readability(model, tok, concepts):
    """For every concept and site: held-out F1 and AUROC, by template too, against chance."""
    cache, out = {}, {}
    for concept in concepts:
        items, y = item_labels(concept)
        for item in items:
            cache.setdefault(item, [features(model, tok, t.format(item)) for t in TEMPLATES])
        out[concept["name"]] = {"items": len(items), "positives": int(y.sum())}
        for site in SITES:
            x = np.array([[f[site] for f in cache[item]] for item in items])
            scores = crossvalidate(x, y, SEED)
            by_template = {t: summary(scores[:, [i]], y) for i, t in enumerate(TEMPLATES)}
            out[concept["name"]][site] = {**summary(scores, y), "chance": chance(x, y),
                                          "by_template": by_template}
    return out


@torch.no_grad()
def continue_greedily(model, tok, text, limit=24):
    """The greedy continuation up to <eos>, the end of the sentence or the limit."""
    ids = tok.encode(text).ids
    start = len(ids)
    while len(ids) < start + limit:
        best = int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
        if best == EOS:
            break
        ids.append(best)
        if tok.id_to_token(best) == ".":
            break
    return tok.decode(ids[start:]).strip()


def rounded(value):
    """Numbers to four digits after the point, everywhere."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def tables(result):
    """The results as Markdown."""
    p = result["perplexity"]
    lines = ["| predictor | held-out perplexity per token |", "|---|---|",
             f"| unigram, add-one | {p['unigram']:.1f} |",
             f"| bigram, Witten-Bell | {p['bigram']:.2f} |",
             f"| tiny-gemma3 | **{p['model']:.2f}** |", "",
             "| concept | " + " | ".join(f"`{s}` F1 / AUROC | chance" for s in SITES) + " |",
             "|---|" + "---|" * (2 * len(SITES))]
    for name, row in result["readability"].items():
        cells = []
        for site in SITES:
            r, c = row[site], row[site]["chance"]
            cells += [f"{r['f1']:.2f} / {r['auroc']:.2f}", f"{c['f1']:.2f} / {c['auroc']:.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "| prompt | greedy continuation |", "|---|---|"]
    lines += [f"| {k} | {v} |" for k, v in result["samples"].items()]
    return "\n".join(lines)


def update_card(path, result):
    """Replaces what stands between the marks of the model card."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(MARK[0])
    after = rest.split(MARK[1])[1]
    path.write_text(f"{before}{MARK[0]}\n{tables(result)}\n{MARK[1]}{after}", encoding="utf-8")


def main():
    """Evaluates and writes evaluation.json and the card's tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=HERE.parent)
    parser.add_argument("--build", type=Path, default=HERE / "build")
    parser.add_argument("--concepts", type=Path,
                        default=HERE.parents[2] / "concepts" / "upper.yaml")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    threadpool_limits(args.threads)  # the classifiers are too small to share
    tok = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    model = Gemma3ForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    train_docs = encode_documents(tok, args.build / "train.txt")
    heldout_docs = encode_documents(tok, args.build / "heldout.txt")
    assert all(d[0] == BOS for d in heldout_docs)
    concepts = yaml.safe_load(args.concepts.read_text(encoding="utf-8"))
    result = rounded({
        "corpus": json.loads((args.build / "corpus.json").read_text()),
        "perplexity": {"model": perplexity(model, heldout_docs),
                       **gram_perplexities(train_docs, heldout_docs, tok.get_vocab_size())},
        "readability": readability(model, tok, concepts),
        "samples": {s: continue_greedily(model, tok, s) for s in SAMPLES}})
    (args.model / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    print(tables(result))
    if (args.model / "README.md").exists():
        update_card(args.model / "README.md", result)


if __name__ == "__main__":
    main()
