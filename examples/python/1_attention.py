"""Level 1: attention on queries and keys that keep 8 of their 64 features. Runs on a CPU."""

import torch

import sfa
from checks import check, check_close, keep, reference

# [batch, heads, tokens, features], as scaled_dot_product_attention of torch takes them.
torch.manual_seed(1)
q, k, v = (torch.randn(1, 4, 100, 64) for _ in range(3))

# Each query and each key keeps its 8 features of largest magnitude; the values stay as they are.
out = sfa.attention(q, k, v, topk=8, causal=True)
check("the output is like v, for each query", out.shape == q.shape and out.dtype == q.dtype)
check_close("the same as dense attention on what is kept", out, reference(keep(q, 8), keep(k, 8), v, causal=True))

# Without topk it is ordinary attention.
check_close("ordinary attention", sfa.attention(q, k, v, causal=True), reference(q, k, v, causal=True))

# A window: a query sees the 15 keys before its own, and that.
out, lse = sfa.attention(q, k, v, window=(15, 0), return_lse=True)
alone = sfa.attention(q[:, :, 50:51], k[:, :, 35:51], v[:, :, 35:51])
check_close("query 50 sees the keys 35 to 50", out[:, :, 50:51], alone)
check("a log-sum-exp for each query, in f32", lse.shape == (1, 4, 100) and lse.dtype == torch.float32)

# Wrong arguments are refused with what is given and what is allowed.
try:
    sfa.attention(q, k, v, topk=2.5)
except sfa.errors.ArgumentTypeError as error:
    check(f"an error that helps: {error}", "integer" in str(error))
else:
    check("topk=2.5 is refused", False)
