"""What is right, in fp64 with numpy; nothing of the package is used."""

import numpy


def bfloat16(x):
    """x rounded to bfloat16, to nearest even, as float32."""
    bits = numpy.ascontiguousarray(x, numpy.float32).view(numpy.uint32)
    rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000
    return rounded.astype(numpy.uint32).view(numpy.float32)


def topk(x, k, two_four=False):
    """The k features of largest magnitude of each row, ascending: NaN above infinity, ties to the
    lower feature. With two_four the first two of every four in that order."""
    magnitude = numpy.abs(x.astype(numpy.float64))
    # A stable sort of the negated ranks keeps the lower of two equal features.
    rank = numpy.where(numpy.isnan(magnitude), 2.0, 0.0)
    rank = numpy.where(numpy.isinf(magnitude), 1.0, rank)
    finite = numpy.where(numpy.isfinite(magnitude), magnitude, 0.0)
    order = numpy.empty(x.shape, numpy.int64)
    for row in numpy.ndindex(x.shape[:-1]):
        order[row] = sorted(range(x.shape[-1]), key=lambda i: (-rank[row][i], -finite[row][i], i))
    kept = numpy.empty((*x.shape[:-1], min(k, x.shape[-1])), numpy.int64)
    for row in numpy.ndindex(x.shape[:-1]):
        taken, in_group = [], [0] * x.shape[-1]
        for feature in order[row]:
            in_group[feature // 4] += 1
            if len(taken) < k and (not two_four or in_group[feature // 4] <= 2):
                taken.append(feature)
        kept[row] = sorted(taken)
    return kept


def keep(x, k, two_four=False):
    """x with all but k features of each row 0."""
    kept = topk(x, k, two_four)
    dense = numpy.zeros_like(x)
    numpy.put_along_axis(dense, kept, numpy.take_along_axis(x, kept, -1), -1)
    return dense


def attention(q, k, v, *, causal=False, window=(None, None), scale=None):
    """Output and log-sum-exp in fp64 of dense q, k and v."""
    q, k, v = (x.astype(numpy.float64) for x in (q, k, v))
    ratio = q.shape[1] // k.shape[1]
    k, v = k.repeat(ratio, axis=1), v.repeat(ratio, axis=1)
    scores = q @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    n_q, n_k = scores.shape[-2:]
    diagonal = numpy.arange(n_q)[:, None] + n_k - n_q
    keys = numpy.arange(n_k)[None, :]
    left, right = window
    seen = numpy.ones((n_q, n_k), bool)
    if left is not None:
        seen &= keys >= diagonal - left
    if causal:
        right = 0
    if right is not None:
        seen &= keys <= diagonal + right
    out = numpy.zeros((*scores.shape[:-1], v.shape[-1]))
    lse = numpy.full(scores.shape[:-1], -numpy.inf)
    for i in range(n_q):
        if seen[i].any():
            row = scores[:, :, i, seen[i]]
            largest = row.max(-1, keepdims=True)
            p = numpy.exp(row - largest)
            total = p.sum(-1, keepdims=True)
            out[:, :, i] = ((p / total)[:, :, None] @ v[:, :, seen[i]])[:, :, 0]
            lse[:, :, i] = (largest + numpy.log(total))[..., 0]
    return out, lse


def repeat_scales(scales, granularity, tokens):
    """The scale of each token, [batch, heads, tokens], of scales of 8-bit codes."""
    if granularity == "tile":
        return scales.repeat(128, axis=-1)[..., :tokens]
    return numpy.broadcast_to(scales, (*scales.shape[:2], tokens))


def write_out(values, indices, d, scales=None, granularity=None):
    """Codes as dense rows in fp64."""
    values = values.astype(numpy.float64)
    if scales is not None:
        values = values * repeat_scales(scales.astype(numpy.float64), granularity, values.shape[2])[..., None]
    dense = numpy.zeros((*values.shape[:3], d))
    # Padding, a value of 0, may have the feature of another value.
    for row in numpy.ndindex(values.shape[:3]):
        kept = values[row] != 0
        dense[row][indices[row][kept]] = values[row][kept]
    return dense


def largest_of_scales(values, granularity):
    """The largest magnitude of the values that share a scale, in the shape of the scales."""
    rows = numpy.abs(values.astype(numpy.float64)).max(-1)
    if granularity == "token":
        return rows
    step = 128 if granularity == "tile" else max(rows.shape[-1], 1)
    starts = range(0, rows.shape[-1], step) if granularity == "tile" else [0]
    parts = [rows[..., i:i + step].max(-1, initial=0.0) for i in starts]
    return numpy.stack(parts, -1) if parts else rows[..., :0]


def errors_of_candidates(row):
    """Of one row of values the scales among which that of a token is searched, and the squared error of each."""
    row = row.astype(numpy.float64)
    scales = numpy.abs(row).max() / numpy.arange(127, 95, -1)
    rounded = numpy.clip(numpy.rint(row / scales[:, None]), -127, 127) * scales[:, None]
    return scales, ((rounded - row) ** 2).sum(-1)
