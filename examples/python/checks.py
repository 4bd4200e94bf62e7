"""What the examples check their results with."""

import sys

import torch


def check(what, is_right):
    """Prints what is checked; ends the example with exit status 1 where it is wrong."""
    print(f"{'right' if is_right else 'WRONG'}: {what}")
    if not is_right:
        sys.exit(1)


def check_close(what, result, expected, tolerance=1e-5):
    """The largest difference, in f32, is at most `tolerance`."""
    error = (result.float() - expected.float()).abs().max().item()
    check(f"{what}, largest difference {error:.1e}", error <= tolerance)


def keep(x, k):
    """x with all but the k features of largest magnitude of each row 0, in plain torch."""
    # Of equal magnitudes the lower feature stays, which torch.topk does not promise.
    kept = x.abs().sort(descending=True, stable=True).indices[..., :k]
    return torch.zeros_like(x).scatter(-1, kept, x.gather(-1, kept))


def reference(q, k, v, causal=False, scale=None):
    """Attention written out in f64, for as many heads of k and v as of q; aligned at the bottom right."""
    q, k, v = (x.double() for x in (q, k, v))
    scores = q @ k.transpose(-1, -2) * (q.shape[3] ** -0.5 if scale is None else scale)
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1 + k.shape[2] - q.shape[2])
        scores = scores.masked_fill(hidden, -float("inf"))
    return scores.softmax(-1) @ v
