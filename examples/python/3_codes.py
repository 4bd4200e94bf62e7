"""Level 3: codes, their bytes, and a cache of keys that grows. Runs on a CPU."""

import io

import torch

import sfa
from checks import check, check_close, keep

torch.manual_seed(1)
q, k, v = (torch.randn(1, 4, 256, 128, dtype=torch.float16) for _ in range(3))

# Codes are two tensors: the values that are kept, and the feature of each, ascending in a row.
codes = sfa.sparsify(k, 8)
print(codes)
print("values  ", codes.values[0, 0, 0].tolist())
print("features", codes.indices[0, 0, 0].tolist())
check("written out again, the rows are what is kept", torch.equal(codes.dense(), keep(k, 8)))

# A value takes 2 bytes and its feature 1 (2 where d > 256): 24 bytes a key instead of 256.
rows = codes.shape[0] * codes.shape[1] * codes.shape[2]
print(f"{k.nbytes} bytes dense, {codes.nbytes} bytes as codes")
check("24 bytes a key", codes.nbytes == 24 * rows and k.nbytes == 256 * rows)

# Attention takes codes in the place of q, of k, or of both; v is dense.
check_close("keys as codes", sfa.attention(q, codes, v, topk=8, causal=True), sfa.attention(q, k, v, topk=8, causal=True), 1e-3)

# A cache of keys: codes of new tokens are joined to those that are there; slices are views.
cache = codes[:, :, :200]
for token in range(200, 256, 14):
    cache = sfa.cat([cache, sfa.sparsify(k[:, :, token:token + 14], 8)])
check("a cache that has grown", cache.shape == codes.shape and torch.equal(cache.indices, codes.indices))

# They go into files, and to other devices and dtypes.
file = io.BytesIO()
torch.save({"keys": cache}, file)
file.seek(0)
check("out of a file", torch.equal(torch.load(file)["keys"].values, cache.values))
check("in f32", cache.to(torch.float32).dtype == torch.float32)
device = "cuda" if torch.cuda.is_available() else "cpu"
check(f"on {device}", cache.to(device).device.type == device)
