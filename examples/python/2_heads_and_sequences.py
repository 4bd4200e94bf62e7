"""Level 2: query heads that share keys (GQA), and sequences of several lengths in one tensor. Runs on a CPU."""

import torch

import sfa
from checks import check, check_close, keep, reference

torch.manual_seed(1)

# 8 heads of queries, 2 of keys and values: four query heads use the same keys. h_q is any multiple of h_kv.
q, k, v = (torch.randn(1, heads, 90, 64) for heads in (8, 2, 2))
out = sfa.attention(q, k, v, topk=8, causal=True)
repeated = [x.repeat_interleave(4, dim=1) for x in (keep(k, 8), v)]
check_close("grouped heads", out, reference(keep(q, 8), *repeated, causal=True))

# Three sequences of 20, 0 and 70 tokens, one after the other in a batch of 1. The offsets are where they begin, and the end.
lengths = [20, 0, 70]
cu_seqlens = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32)
out = sfa.attention(q, k, v, topk=8, causal=True, cu_seqlens=cu_seqlens)
for begin, end in zip(cu_seqlens.tolist(), cu_seqlens.tolist()[1:]):
    alone = sfa.attention(*(x[:, :, begin:end] for x in (q, k, v)), topk=8, causal=True)
    if end > begin:
        check_close(f"tokens {begin} to {end} are a sequence of their own", out[:, :, begin:end], alone)

# Decoding: one new query for each of three sequences, against 30, 40 and 20 keys. A pair of offsets, for q and for k.
q_offsets = torch.tensor([0, 1, 2, 3], dtype=torch.int32)
k_offsets = torch.tensor([0, 30, 70, 90], dtype=torch.int32)
out = sfa.attention(q[:, :, :3], k, v, causal=True, cu_seqlens=(q_offsets, k_offsets))
alone = sfa.attention(q[:, :, 1:2], k[:, :, 30:70], v[:, :, 30:70])
check_close("query 1 sees the 40 keys of its sequence", out[:, :, 1:2], alone)

try:
    sfa.attention(q, k, v, cu_seqlens=torch.tensor([0, 50, 40, 90], dtype=torch.int32))
except ValueError as error:
    check(f"offsets that descend are refused: {error}", "descends" in str(error))
else:
    check("offsets that descend are refused", False)
