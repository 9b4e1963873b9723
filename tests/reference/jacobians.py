"""Jacobians between sites of an oracle, by autograd, and finite differences to check them."""

import copy

import torch


def parse_site(text, n_layers):
    """`NAME[:N][@POSITION]` -> (name, n, position); position defaults to `last`."""
    place, _, position = text.partition("@")
    name, _, index = place.partition(":")
    if name == "embed":
        name, index = "resid", "0"
    return name, int(index) if index else n_layers, position or "last"


def pick(values, position):
    """Rows [p, width] of values [T, width] at a position, and whether the axis p is kept."""
    if position == "all":
        return values, True
    if position == "mean":
        return values.mean(0, keepdim=True), False
    row = -1 if position == "last" else int(position)
    return values[row][None], False


class SiteMap:
    """The map from one site to another at one prompt, as a function of rows [p_in, d]."""

    def __init__(self, oracle, ids, source, target):
        layers = oracle.shape.n_layers
        name, self.start, self.source_at = parse_site(source, layers)
        assert name == "resid" and self.source_at in ("all", "last")
        self.target = parse_site(target, layers)
        self.oracle = oracle
        with torch.no_grad():
            self.stream = oracle.sites(oracle.embed(ids))["resid", self.start]
        self.point, self.keep_in = pick(self.stream, self.source_at)

    def with_oracle(self, oracle):
        """The same map, at the same point, of another oracle."""
        other = copy.copy(self)
        other.oracle = oracle
        return other

    def __call__(self, rows):
        """Rows at the source -> rows [p_out, d_out] at the target."""
        head = self.stream[:0] if self.source_at == "all" else self.stream[:-1]
        name, n, position = self.target
        sites = self.oracle.sites(torch.cat((head, rows)), self.start)
        return pick(sites[name, n], position)[0]

    def dense(self):
        """[p_out, d_out, p_in, d_in] by reverse mode, then with axes of one position dropped."""
        x = self.point.clone().requires_grad_(True)
        y = self(x)
        eye = torch.eye(y.numel(), dtype=y.dtype).view(-1, *y.shape)
        (jac,) = torch.autograd.grad(y, x, eye, is_grads_batched=True)
        return self.drop_axes(jac.view(*y.shape, *x.shape))

    def finite_differences(self, step=1e-5):
        """The same by central differences (f(x + s e) - f(x - s e)) / 2s, truncation O(s^2)."""
        columns = []
        with torch.no_grad():
            for i in range(self.point.numel()):
                e = torch.zeros_like(self.point).view(-1)
                e[i] = step
                e = e.view_as(self.point)
                columns.append((self(self.point + e) - self(self.point - e)) / (2 * step))
        y = columns[0]
        jac = torch.stack(columns, dim=-1)
        return self.drop_axes(jac.view(*y.shape, *self.point.shape))

    def drop_axes(self, jac):
        """Drop p_in and p_out where the site names one position; `@all` keeps its axis."""
        if not self.keep_in:
            jac = jac[:, :, 0]
        return jac if self.target[2] == "all" else jac[0]
