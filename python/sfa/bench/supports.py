"""Codes for the sweep of strategies, by which features their tokens share."""

from __future__ import annotations

import pathlib

import torch

import sfa

SYNTHETIC = ("uniform", "same", "one")
REAL = "real"
KINDS = {
    "uniform": "each token has k features of its own, any of the d",
    "same": "all tokens have the same k features",
    "one": "all tokens have one feature in common, the others are uniform",
    REAL: "the largest k features of queries and keys of a trained model",
}


def rankings(kind, shape, generator):
    """Numbers for queries and for keys, [batch, heads, tokens, d]: the features of a token are those with the largest. They
    are f16, where few of N(0, 1) are equal."""
    device = generator.device
    normal = lambda *sizes: torch.randn(sizes, generator=generator, device=device).to(torch.float16)
    if kind == "same":
        common = normal(1, 1, 1, shape[3]).expand(shape)
        return [common, common]
    if kind not in SYNTHETIC:
        raise ValueError(f"there are no supports {kind!r}; there are {', '.join(SYNTHETIC)}")
    both = [normal(*shape), normal(*shape)]
    if kind == "one":
        feature = int(torch.randint(shape[3], (1,), generator=generator, device=device))
        for ranking in both:
            ranking[..., feature] = 100
    return both


def codes_of_rankings(ranking, k, dtype, generator, two_four=False):
    """Codes of the k features that rank highest. Their values are N(0, sqrt(d)): then a feature in common adds the product of two
    numbers of N(0, 1) to a score. That is enough for errors to show, and not so much that a lazy softmax has to rescale."""
    indices = sfa.sparsify(ranking.contiguous(), k, two_four).indices.to(torch.int64)
    values = torch.randn(indices.shape, generator=generator, device=indices.device) * ranking.shape[3] ** 0.25
    rows = torch.zeros(ranking.shape, dtype=dtype, device=indices.device).scatter_(-1, indices, values.to(dtype))
    return sfa.sparsify(rows, k, two_four)


def real_rows(folder, shape, dtype, device):
    """Queries, keys and values, [batch, heads, tokens, d], of the files *_q.npy, *_k.npy and *_v.npy of a folder, each [heads,
    tokens, features] in f16. The heads of all files count; heads and tokens are repeated or cropped. Features beyond those
    of a head are those of the next head, so that no feature is there twice."""
    import numpy
    batch, heads, tokens, d = shape
    found = []
    for name in "qkv":
        files = sorted(pathlib.Path(folder).glob(f"*_{name}.npy"))
        if not files:
            raise FileNotFoundError(f"there is no file *_{name}.npy in {folder}")
        rows = torch.cat([torch.from_numpy(numpy.load(file)) for file in files])
        if rows.dim() != 3:
            raise ValueError(f"the arrays *_{name}.npy of {folder} have shape {list(rows.shape)} together; they have to be [heads, "
                             "tokens, features]")
        parts = -(-d // rows.shape[2])
        if parts > rows.shape[0]:
            raise ValueError(f"{folder} has {rows.shape[0]} heads of {rows.shape[2]} features; {d} features take {parts} heads")
        rows = torch.cat([rows.roll(-part, 0) for part in range(parts)], 2)[..., :d]
        # Batches have the heads that follow.
        rows = rows[torch.arange(batch * heads) % rows.shape[0]][:, torch.arange(tokens) % rows.shape[1]]
        found.append(rows.view(batch, heads, tokens, d).to(device, dtype))
    return found
