"""Write tests/fixtures/probe_captures: held-out scores of classifiers on real activations.

    python tests/reference/make_probe_captures.py

Activations of the shipped tiny-gemma3, by HF transformers in float32: the final norm applied to
hidden_states[2] at the last token, for the items of one concept of upper.yaml in two templates, an
early layer because later ones tell the concept apart without a mistake. Half of the items, drawn
with a seed, are for training. X [n, 160] f16 (what both sides fit), y and train [n] u8, and for each
method the F1 and AUROC of the other half: logistic regression (C = 1) and LDA (lsqr, shrinkage
auto) by scikit-learn in float64, the difference of means with the midpoint as its threshold by
numpy, and the network of make_classifier_f1.py, mean over 32 seeds.
"""

import numpy as np
import torch
import yaml
from safetensors.torch import save_file
from sklearn import metrics
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer

from fixture_files import fixture_dir
from hf_model import load, text_part
from make_classifier_f1 import train

ROOT = "experiments"
CONCEPT, LAYER, SEEDS = "Physical", 2, 32
TEMPLATES = ("The concept of {} means", "What is meant by {}?")


def items():
    """[(item, label)]"""
    with open(f"{ROOT}/concepts/upper.yaml", encoding="utf-8") as f:
        concept = next(c for c in yaml.safe_load(f) if c["name"] == CONCEPT)
    negatives = concept["hard_negatives"] + concept["random_negatives"]
    return [(i, 1) for i in concept["positives"]] + [(i, 0) for i in negatives]


def captures(texts):
    """[n, d] float32: norm:LAYER@last of every text."""
    folder = f"{ROOT}/models/tiny-gemma3"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), load(folder)
    rows = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt").input_ids
        with torch.no_grad():
            hidden = model(ids, output_hidden_states=True).hidden_states[LAYER]
            rows.append(text_part(model).norm(hidden)[0, -1])
    return torch.stack(rows)


def network_scores(x, y, rest, truth):
    """F1 and AUROC of every seed."""
    out = []
    for seed in range(SEEDS):
        net = train(x, y, seed)
        with torch.no_grad():
            logits = net(rest)[:, 0].numpy()
        out.append((metrics.f1_score(truth, logits > 0), metrics.roc_auc_score(truth, logits)))
    return np.array(out)


def linear_scores(x, y, rest, truth):
    """{method: (F1, AUROC)}"""
    models = {"logistic": LogisticRegression(C=1, tol=1e-10, max_iter=10000),
              "lda": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")}
    scores = {name: m.fit(x, y).decision_function(rest) for name, m in models.items()}
    means = [x[y == k].mean(axis=0) for k in (0, 1)]
    w = means[1] - means[0]
    scores["difference"] = (rest - (means[0] + means[1]) / 2) @ w
    return {name: (metrics.f1_score(truth, s > 0), metrics.roc_auc_score(truth, s))
            for name, s in scores.items()}


def main():
    """Write the file and say what it holds."""
    torch.set_num_threads(1)
    all_items = items()
    half = captures([t.format(i) for i, _ in all_items for t in TEMPLATES]).to(torch.float16)
    y = np.repeat([label for _, label in all_items], len(TEMPLATES))
    rng = np.random.Generator(np.random.PCG64(7))
    chosen = np.repeat(rng.permutation(len(all_items)) < len(all_items) // 2, len(TEMPLATES))
    x = half.double().numpy()
    out = linear_scores(x[chosen], y[chosen], x[~chosen], y[~chosen])
    nets = network_scores(half.float()[chosen], torch.tensor(y[chosen], dtype=torch.float32),
                          half.float()[~chosen], y[~chosen])
    out["mlp"] = tuple(nets.mean(axis=0))
    for name, (f1, auroc) in out.items():
        print(f"{name}: f1 {f1:.4f}, auroc {auroc:.4f}")
    print("deviation of one network:", nets.std(axis=0, ddof=1))
    tensors = {name: torch.tensor(v, dtype=torch.float64) for name, v in out.items()}
    save_file({"X": half, "y": torch.tensor(y, dtype=torch.uint8),
               "train": torch.tensor(chosen, dtype=torch.uint8), **tensors},
              str(fixture_dir("probe_captures") / "captures.safetensors"))


if __name__ == "__main__":
    main()
