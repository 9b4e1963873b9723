"""The work of `vkalign bench` in PyTorch, timed in the same way."""

import statistics
import time

import torch
from torch import nn

TOP_K, OVERSAMPLE, TOLERANCE, MAX_STEPS = 8, 8, 1e-5, 100
ROWS, H1, H2, EPOCHS, BATCH = 128, 128, 64, 5, 32


class Timer:
    """Median seconds of a function: one run to warm up, then up to `repeat` within limit_s."""

    def __init__(self, device, repeat, limit_s):
        self.device, self.repeat, self.limit_s = device, repeat, limit_s

    def once(self, run):
        if self.device == "cuda":
            torch.cuda.synchronize()
        start, cpu = time.perf_counter(), time.process_time()
        out = run()
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start, time.process_time() - cpu, out

    def __call__(self, run):
        first, first_cpu, out = self.once(run)
        slow = first > self.limit_s / 2  # so that it is no warm-up
        seconds, cpu = ([first], [first_cpu]) if slow else ([], [])
        while (len(seconds) < self.repeat and
               sum(seconds) * (1 + 1 / max(len(seconds), 1)) < self.limit_s):
            s, c, out = self.once(run)
            seconds.append(s)
            cpu.append(c)
        return {"seconds": seconds, "median_s": statistics.median(seconds),
                "fastest_s": min(seconds), "cpu_s": statistics.median(cpu)}, out


def forward(bench, timer):
    def run():
        with torch.no_grad():
            return bench.f(bench.x)

    job, y = timer(run)
    return job | {"norm": float(y.double().norm())}


def jvp(bench, timer):
    """J x by forward mode."""
    job, (_, jx) = timer(lambda: torch.func.jvp(bench.f, (bench.x,), (bench.x,)))
    return job | {"norm": float(jx.double().norm())}


def jacobian(bench, rows):
    """The published method; its first rows alone, when told."""
    f = bench.f if rows is None else lambda x: bench.f(x)[:rows]
    return torch.autograd.functional.jacobian(f, bench.x, vectorize=True).flatten(1)


def published(bench, timer, rows):
    """J x by forming J, as published: with fewer rows the time of all is in proportion."""
    d = bench.x.shape[1]
    job, J = timer(lambda: jacobian(bench, rows))
    jx = (J @ bench.x.flatten()).double().norm() if rows is None else None
    return job | {"rows": rows or d, "rows_all": d, "norm": float(J.double().norm()),
                  "jx_norm": None if jx is None else float(jx)}


def dense_svd(bench, timer, rows):
    """The whole decomposition of J, once formed. Where only some of its rows are, of a random matrix
    of its shape: the time hangs on that alone."""
    if rows is None:
        J = jacobian(bench, None).float()
    else:
        J = torch.randn(bench.x.shape[1], bench.x.numel(), device=bench.x.device)
    job, sigma = timer(lambda: torch.linalg.svd(J, full_matrices=False)[1])
    return job | {"sigma": sigma[:TOP_K].double().tolist() if rows is None else None}


def randomised_svd(bench, timer):
    """Top k by subspace iteration on torch.func's jvp and vjp, to vkalign's residual or until the
    limit of time."""

    def run():
        start = time.perf_counter()
        y, pullback = torch.func.vjp(bench.f, bench.x)
        back = torch.func.vmap(lambda u: pullback(u)[0])
        ahead = torch.func.vmap(lambda v: torch.func.jvp(bench.f, (bench.x,), (v,))[1])
        generator = torch.Generator(device="cpu").manual_seed(0)
        b = min(TOP_K + OVERSAMPLE, y.numel())
        V = torch.randn(b, bench.x.numel(), generator=generator).to(bench.x.device)
        for step in range(1, MAX_STEPS + 1):  # float32 but in the model
            V = torch.linalg.qr(V.T)[0].T
            U, _ = torch.linalg.qr(ahead(V.reshape(b, *bench.x.shape).to(bench.x)).float().T)
            V = back(U.T.contiguous().to(bench.x)).float().flatten(1)  # J' U, [b, n]
            W, sigma, Z = torch.linalg.svd(V, full_matrices=False)
            left = U @ W
            Jv = ahead(Z[:TOP_K].reshape(-1, *bench.x.shape).to(bench.x)).float().T
            residual = Jv - left[:, :TOP_K] * sigma[:TOP_K]
            worst = float(residual.norm(dim=0).max() / sigma[0])
            if worst <= TOLERANCE or time.perf_counter() - start > timer.limit_s:
                break
        return sigma[:TOP_K], step, worst

    job, (sigma, steps, worst) = timer(run)
    return job | {"sigma": sigma.double().tolist(), "steps": steps, "residual": worst}


def probe(d, timer, device):
    """Training the classifier d-128-64-1."""
    torch.manual_seed(0)
    X = torch.randn(ROWS, d, device=device)
    labels = (torch.arange(ROWS, device=device) % 2).float()

    def run():
        net = nn.Sequential(nn.Linear(d, H1), nn.ReLU(), nn.Dropout(0.2), nn.Linear(H1, H2),
                            nn.ReLU(), nn.Dropout(0.2), nn.Linear(H2, 1)).to(device)
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
        for _ in range(EPOCHS):
            order = torch.randperm(ROWS, device=device)
            for at in range(0, ROWS, BATCH):
                i = order[at:at + BATCH]
                optimizer.zero_grad()
                loss = nn.functional.binary_cross_entropy_with_logits(net(X[i])[:, 0], labels[i])
                loss.backward()
                optimizer.step()
        return loss

    return timer(run)[0]


def matmul(rows, n_in, n_out, back, dtype, timer, device):
    """A product of vkalign's sweep, activations in the weight's dtype."""
    W = torch.randn(n_out, n_in, device=device).to(dtype)
    x = torch.randn(rows, n_out if back else n_in, device=device).to(dtype)
    job, _ = timer(lambda: x @ W if back else x @ W.T)
    return job | {"flop": 2.0 * rows * n_in * n_out, "dtype": str(dtype).removeprefix("torch.")}
