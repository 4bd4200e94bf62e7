"""Level 5: in the place of scaled_dot_product_attention of torch and of flash_attn_func. Runs on a CPU."""

import torch
from torch.nn import functional

import sfa
from checks import check_close, keep, reference

torch.manual_seed(1)


def sdpa(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, *, topk=None):
    """scaled_dot_product_attention. The layout is the same, [batch, heads, tokens, features]. Without `topk` so are the
    results. Masks that are tensors, and dropout, are not supported."""
    if attn_mask is not None or dropout_p:
        raise NotImplementedError("no masks of tensors, no dropout: use is_causal, or window of sfa.attention")
    if is_causal and query.shape[2] != key.shape[2]:
        # torch aligns its mask at the top left, sfa at the bottom right, where the last query sees the last key.
        raise NotImplementedError("is_causal with other numbers of queries than of keys means something else here")
    if query.shape[1] != key.shape[1] and not enable_gqa:
        raise ValueError("q has more heads than k; say enable_gqa=True")
    return sfa.attention(query, key, value, topk=topk, causal=is_causal, scale=scale)


def flash_attn_func(q, k, v, dropout_p=0.0, softmax_scale=None, causal=False, window_size=(-1, -1), *, topk=None):
    """flash_attn_func. Its layout is [batch, tokens, heads, features]; transposing copies nothing. causal and window_size
    mean the same as causal and window here, -1 included, also for fewer queries than keys."""
    if dropout_p:
        raise NotImplementedError("no dropout")
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return sfa.attention(q, k, v, topk=topk, causal=causal, window=window_size, scale=softmax_scale).transpose(1, 2)


q, k, v = (torch.randn(2, heads, 70, 64) for heads in (4, 2, 2))
for options in (dict(), dict(is_causal=True), dict(is_causal=True, scale=0.3)):
    expected = functional.scaled_dot_product_attention(q, k, v, enable_gqa=True, **options)
    check_close(f"scaled_dot_product_attention, {options}", sdpa(q, k, v, enable_gqa=True, **options), expected)
expected = functional.scaled_dot_product_attention(keep(q, 8), keep(k, 8), v, is_causal=True, enable_gqa=True)
check_close("the same with topk=8", sdpa(q, k, v, is_causal=True, enable_gqa=True, topk=8), expected)

# A whole model, without touching its code: what looks the function up in torch.nn.functional gets the other one.
layer = torch.nn.TransformerEncoderLayer(256, 4, 512, dropout=0.0, batch_first=True)
x, original = torch.randn(2, 30, 256), functional.scaled_dot_product_attention
with torch.no_grad():
    layer.train()  # the fast path of evaluation would go around it
    expected, calls = layer(x), []
    functional.scaled_dot_product_attention = lambda *args, **options: calls.append(1) or sdpa(*args, **options)
    try:
        result = layer(x)
    finally:
        functional.scaled_dot_product_attention = original
check_close(f"a layer of torch.nn, {len(calls)} call replaced", result, expected if calls else expected + 1)

q, k, v = (torch.randn(2, tokens, 4, 64) for tokens in (5, 70, 70))
rows = [x.transpose(1, 2) for x in (q, k, v)]
check_close("flash_attn_func, 5 queries, 70 keys, causal", flash_attn_func(q, k, v, causal=True, softmax_scale=0.2),
            reference(*rows, causal=True, scale=0.2).transpose(1, 2))
check_close("flash_attn_func, window_size=(-1, 0) is causal", flash_attn_func(q, k, v, window_size=(-1, 0)),
            flash_attn_func(q, k, v, causal=True))
check_close("the same with topk=8", flash_attn_func(q, k, v, causal=True, topk=8),
            reference(keep(rows[0], 8), keep(rows[1], 8), rows[2], causal=True).transpose(1, 2))
