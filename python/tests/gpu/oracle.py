"""What is right, in fp64 on the GPU, with nothing of the package."""

import torch

_CHUNK = 2**25  # scores at a time


def topk(x, k, two_four=False):
    """The features that sparsify keeps, [..., k] int64 ascending: largest magnitude first, NaN above
    infinity, ties to the lower feature. With two_four of every four those that follow two others in
    this order rank below all the rest."""
    bits = x.contiguous().view(torch.int16).to(torch.int32) & 0x7fff
    infinity = 0x7c00 if x.dtype == torch.float16 else 0x7f80
    rank = bits.clamp_max(infinity + 1)
    if two_four:
        groups = rank.unflatten(-1, (-1, 4))
        last = groups.sort(dim=-1, descending=True, stable=True).indices[..., 2:]
        rank = groups.scatter(-1, last, -1).flatten(-2)
    order = rank.sort(dim=-1, descending=True, stable=True).indices
    return order[..., :k].sort(dim=-1).values


def keep(x, k):
    """x with all but k features of each row 0."""
    kept = topk(x, k)
    return torch.zeros_like(x).scatter_(-1, kept, x.gather(-1, kept))


TOKENS_OF_SCALE = 128


def dequantized(codes):
    """Codes of 8-bit values as dense rows of f32: integers times scales."""
    tokens, scales = codes.shape[2], codes.scales
    if codes.granularity == "tile":
        scales = scales.repeat_interleave(TOKENS_OF_SCALE, -1)[..., :tokens]
    values = codes.values.float() * scales.expand(*codes.shape[:2], tokens).unsqueeze(-1)
    # Padding has the value 0 and may name the feature of another value: sums, not stores.
    return torch.zeros(codes.shape, device=values.device).scatter_add_(-1, codes.indices.long(), values)


def step_of(q, k, scale=None):
    """What a product of integers is worth in a score, for the largest scales: kernels are exact to less than that."""
    if not q.scales.numel() or not k.scales.numel():
        return 0.0
    scale = q.shape[3] ** -0.5 if scale is None else abs(scale)
    return (q.scales.max() * k.scales.max()).item() * scale


def _hidden(first, rows, n_q, n_k, left, right, device):
    """Which keys the rows [first, first + rows) do not see; None where they see all."""
    if left is None and right is None:
        return None
    diagonal = torch.arange(first, first + rows, device=device).unsqueeze(1) + (n_k - n_q)
    keys = torch.arange(n_k, device=device)
    hidden = torch.zeros(rows, n_k, dtype=torch.bool, device=device)
    if left is not None:
        hidden |= keys < diagonal - left
    if right is not None:
        hidden |= keys > diagonal + right
    return hidden


def _rounded_in_tiles(scores, largest, total, dtype, tile):
    """Probabilities of which the numerators are rounded to `dtype`, relative to the largest score of their tile of keys."""
    parts = []
    for part in scores.split(tile, -1):
        reference = part.amax(-1, keepdim=True)
        reference = reference.masked_fill(reference == -float("inf"), 0)
        numerators = (part - reference).exp_().to(dtype).to(scores.dtype)
        parts.append(numerators * (reference - largest).exp_() / total)
    return torch.cat(parts, -1)


def _attention(q, k, v, scale, left, right, wide, round_p, tile=None):
    batch, h_q, n_q, d = q.shape
    h_kv, n_k, dv = v.shape[1], v.shape[2], v.shape[3]
    scale = d ** -0.5 if scale is None else scale
    out = torch.zeros(batch, h_q, n_q, dv, dtype=wide, device=q.device)
    size = torch.zeros_like(out)
    lse = torch.full((batch, h_q, n_q), -float("inf"), dtype=wide, device=q.device)
    if not out.numel() or not n_k:
        return out, lse, size
    ratio = h_q // h_kv
    k, v = k.to(wide).unsqueeze(2), v.to(wide).unsqueeze(2)
    rows = max(1, _CHUNK // (batch * h_q * n_k))
    for first in range(0, n_q, rows):
        part = q[:, :, first:first + rows].to(wide).reshape(batch, h_kv, ratio, -1, d)
        count = part.shape[3]
        scores = (part @ k.transpose(-1, -2)) * scale
        hidden = _hidden(first, count, n_q, n_k, left, right, q.device)
        if hidden is not None:
            scores.masked_fill_(hidden, -float("inf"))
        largest = scores.amax(-1, keepdim=True)
        blind = largest == -float("inf")
        finite = largest.masked_fill(blind, 0)
        p = (scores - finite).exp_()
        total = p.sum(-1, keepdim=True)
        p /= total.masked_fill(blind, 1)
        if tile is not None:
            multiplied = _rounded_in_tiles(scores, finite, total.masked_fill(blind, 1), round_p, tile)
        else:
            multiplied = p if round_p is None else p.to(round_p).to(wide)
        result = multiplied @ v
        if hidden is not None and bool(hidden.any()):
            result = result.masked_fill(blind, 0)
        out[:, :, first:first + rows] = result.reshape(batch, h_q, count, dv)
        size[:, :, first:first + rows] = (p.square() @ v.square()).reshape(batch, h_q, count, dv)
        lse[:, :, first:first + rows] = (largest + total.log()).masked_fill(blind, -float("inf")) \
            .reshape(batch, h_q, count)
    return out, lse, (size + out.square()).sqrt()


def attention64(q, k, v, scale=None, left=None, right=None):
    """Output and log-sum-exp in fp64, and for each output the size of what is rounded on the way to it in
    a narrow dtype: the root of the squares of itself and of each probability times its value. Query i
    of n_q sees the keys j with i + n_k - n_q - left <= j <= i + n_k - n_q + right."""
    return _attention(q, k, v, scale, left, right, torch.float64, None)


def attention_in_dtype(q, k, v, scale=None, left=None, right=None, tile=None):
    """What the errors are held against: dense attention of the dtype of v, written out. Scores and softmax
    in f32, probabilities rounded to the dtype, products summed in f32, output rounded to the dtype.
    With `tile` probabilities are rounded relative to the largest of so many keys, as kernels do that see
    one tile of keys after the other. It matters where many keys have the same score, as those have that
    share no feature with a query: in a tile all of these are rounded by the same factor, and what the
    factors of two tiles do differs, where the values of all keys together would cancel."""
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        out, lse, _ = _attention(q, k, v, scale, left, right, torch.float32, v.dtype, tile)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed
    return out.to(v.dtype), lse
