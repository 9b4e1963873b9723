"""Write tests/fixtures/classifier_f1: held-out scores of classifiers that torch trained.

    python tests/reference/make_classifier_f1.py

X [1240, 64] f16 and y [1240] of two overlapping clouds as activations look: a few coordinates with a
large mean and a large spread, the others small, and correlated noise; the first 240 rows are for
training. f1 [32] and auroc [32] are those of the other 1000 rows by scikit-learn, one of each
seed's network: torch.nn.Sequential 64-128-64-1 with ReLU and dropout .2, torch's default
initialisation, AdamW (lr 1e-3, weight_decay .01), BCE on logits, 50 epochs in shuffled batches of
32, a row counted as positive where its logit is above 0.
"""

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn import metrics

from fixture_files import fixture_dir

D, N_TRAIN, N_TEST, SEEDS, EPOCHS, BATCH = 64, 240, 1000, 32, 50, 32


def data():
    """X in float16 and y."""
    rng = np.random.Generator(np.random.PCG64(5))
    n = N_TRAIN + N_TEST
    y = (rng.uniform(size=n) < 0.4).astype(np.float32)
    direction = rng.standard_normal(D)
    direction /= np.linalg.norm(direction)
    mixing = rng.standard_normal((D, D)) / np.sqrt(D)
    x = rng.standard_normal((n, D)) @ (np.eye(D) + 0.5 * mixing)
    x += np.outer(1.1 * (2 * y - 1), direction)
    x[:, :3] = 3 * x[:, :3] + np.array([8, -5, 12])
    return torch.from_numpy(x.astype(np.float16)), torch.from_numpy(y)


def network(d):
    """d-128-64-1."""
    nn = torch.nn
    return nn.Sequential(nn.Linear(d, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64),
                         nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 1))


def train(x, y, seed):
    """A network in evaluation mode."""
    torch.manual_seed(seed)
    net = network(x.shape[1])
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    loss_of = torch.nn.BCEWithLogitsLoss()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss_of(net(x[rows])[:, 0], y[rows]).backward()
            optimizer.step()
    return net.eval()


def main():
    """Write the file and say what it holds."""
    torch.set_num_threads(1)
    half, y = data()
    x = half.float()
    f1, auroc = [], []
    for seed in range(SEEDS):
        net = train(x[:N_TRAIN], y[:N_TRAIN], seed)
        with torch.no_grad():
            logits = net(x[N_TRAIN:])[:, 0].numpy()
        truth = y[N_TRAIN:].numpy()
        f1.append(metrics.f1_score(truth, logits > 0))
        auroc.append(metrics.roc_auc_score(truth, logits))
    for name, values in (("f1", f1), ("auroc", auroc)):
        print(f"{name}: mean {np.mean(values):.4f}, deviation {np.std(values, ddof=1):.4f}")
    save_file({"X": half, "y": y.to(torch.uint8), "f1": torch.tensor(f1, dtype=torch.float64),
               "auroc": torch.tensor(auroc, dtype=torch.float64)},
              str(fixture_dir("classifier_f1") / "f1.safetensors"))


if __name__ == "__main__":
    main()
