"""Write tests/fixtures/classifier: a small MLP trained by torch in float64, and scores by sklearn.

    python tests/reference/make_classifier.py

mlp.safetensors: X [64, 16], y [64]; a 16-8-4-1 ReLU network with given first weights, trained with
BCE on logits and AdamW (lr 1e-3, betas .9 .999, eps 1e-8, weight_decay .01) for 20 epochs, without
shuffling or dropout; `full.*` on the whole batch, `mini.*` in batches of 16 in order.
"""

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn import metrics

from fixture_files import fixture_dir, write_json

D, N, EPOCHS, BATCH = 16, 64, 20, 16


def network():
    """The 16-8-4-1 network in float64."""
    return torch.nn.Sequential(torch.nn.Linear(D, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4),
                               torch.nn.ReLU(), torch.nn.Linear(4, 1)).double()


def data(rng):
    """X, noisy labels of a nonlinear rule, and the first weights."""
    x = rng.standard_normal((N, D))
    y = (x[:, 0] + 0.5 * x[:, 1] * x[:, 2] + 0.5 * rng.standard_normal(N) > 0).astype(float)
    init = {name: torch.from_numpy(rng.uniform(-1, 1, p.shape) / np.sqrt(p.shape[-1]))
            for name, p in network().named_parameters()}
    return torch.from_numpy(x), torch.from_numpy(y), init


def train(x, y, init, batch):
    """Train from `init`; return the loss of every step (before it), weights and logits."""
    net = network()
    net.load_state_dict(init)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    loss_of = torch.nn.BCEWithLogitsLoss()
    losses = []
    for _ in range(EPOCHS):
        for at in range(0, N, batch):
            optimizer.zero_grad()
            loss = loss_of(net(x[at:at + batch])[:, 0], y[at:at + batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    with torch.no_grad():
        return torch.stack(losses), dict(net.named_parameters()), net(x)[:, 0]


def logits_of(weights, x):
    """Logits [n] of the network with given weights."""
    net = network()
    net.load_state_dict(weights)
    return net(x)[:, 0].detach()


def first_gradients(x, y, init):
    """Gradient of the full-batch loss at the first weights."""
    net = network()
    net.load_state_dict(init)
    torch.nn.BCEWithLogitsLoss()(net(x)[:, 0], y).backward()
    return {name: p.grad for name, p in net.named_parameters()}


def make_mlp(folder):
    """mlp.safetensors, all float64."""
    x, y, init = data(np.random.Generator(np.random.PCG64(42)))
    out = {"X": x, "y": y}
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits
    first = logits_of(init, x)
    out.update({f"init.{name}": w for name, w in init.items()})
    out.update({f"init.grad.{name}": g for name, g in first_gradients(x, y, init).items()})
    for name, batch in (("full", N), ("mini", BATCH)):
        losses, weights, logits = train(x, y, init, batch)
        assert loss_of(logits, y) < loss_of(first, y)
        out[f"{name}.loss"], out[f"{name}.logits"] = losses, logits
        out.update({f"{name}.final.{k}": w for k, w in weights.items()})
    save_file({k: v.detach().clone().contiguous() for k, v in sorted(out.items())},
              str(folder / "mlp.safetensors"))


def score_case(name, scores, labels, threshold=0.5):
    """F1 (0 where undefined) at scores > threshold and AUROC (null with one class only)."""
    predicted = [int(s > threshold) for s in scores]
    both = 0 < sum(labels) < len(labels)
    return {"name": name, "scores": scores, "labels": labels, "threshold": threshold,
            "accuracy": float(metrics.accuracy_score(labels, predicted)),
            "precision": float(metrics.precision_score(labels, predicted, zero_division=0)),
            "recall": float(metrics.recall_score(labels, predicted, zero_division=0)),
            "f1": float(metrics.f1_score(labels, predicted, zero_division=0)),
            "auroc": float(metrics.roc_auc_score(labels, scores)) if both else None}


def make_scores(folder):
    """scores.json: hand-made cases with ties and degenerate ones, and random ones."""
    rng = np.random.Generator(np.random.PCG64(7))
    labels = rng.integers(0, 2, 50).tolist()
    noisy = [round(float(v), 6) for v in rng.uniform(0, 1, 50) * 0.7 + 0.3 * np.array(labels)]
    tied = [round(v * 5) / 5 for v in noisy]
    logits = [round(float(v), 6) for v in rng.standard_normal(50) * 3]
    cases = [score_case("perfect", [0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]),
             score_case("reversed", [0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0]),
             score_case("all tied", [0.5, 0.5, 0.5, 0.5], [1, 0, 1, 0]),
             score_case("at the threshold", [0.5, 0.5, 0.6, 0.4], [1, 0, 1, 0]),
             score_case("tie across classes", [0.9, 0.7, 0.7, 0.7, 0.1], [1, 1, 0, 0, 0]),
             score_case("no positives predicted", [0.1, 0.2, 0.3], [1, 0, 1]),
             score_case("one class", [0.1, 0.7, 0.9], [1, 1, 1]),
             score_case("no positives", [0.1, 0.7, 0.9], [0, 0, 0]),
             score_case("one each", [0.3, 0.6], [0, 1]),
             score_case("random", noisy, labels), score_case("random, ties", tied, labels),
             score_case("logits", logits, labels, threshold=0.0)]
    write_json(folder / "scores.json", cases)


def main():
    """Write both files."""
    torch.set_num_threads(1)
    folder = fixture_dir("classifier")
    make_mlp(folder)
    make_scores(folder)


if __name__ == "__main__":
    main()
