"""A small transformer with sparse feature attention generates text, with a cache of codes and with one of dense keys.

    python3 examples/generate/generate.py [--tokens 64] [--batch 2] [--topk 8] [--device cpu]

Its weights are random, so that what it says is noise: it shows how a model uses the cache, and what that takes. On a GPU a step is a
CUDA graph. Prints tokens a second and the bytes of a token; the tokens are checked against a run without a cache."""

import argparse
import sys
import time

import torch
from torch import nn
from torch.nn import functional

import sfa

ALPHABET = "abcdefghijklmnopqrstuvwxyz ,.\n"


class Block(nn.Module):
    """Attention with grouped heads and a gated layer, each on normalized inputs."""

    def __init__(self, width, h_q, h_kv, d):
        super().__init__()
        self.h_q, self.h_kv, self.d = h_q, h_kv, d
        self.project = nn.Linear(width, (h_q + 2 * h_kv) * d, bias=False)
        self.back = nn.Linear(h_q * d, width, bias=False)
        self.up, self.down = nn.Linear(width, 8 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x, positions, attend):
        batch, tokens, width = x.shape
        states = self.project(functional.rms_norm(x, (width,))).view(batch, tokens, -1, self.d).transpose(1, 2)
        q, k, v = states.split([self.h_q, self.h_kv, self.h_kv], 1)
        q, k = (_rotate(functional.rms_norm(part, (self.d,)), positions) for part in (q, k))
        x = x + self.back(attend(q, k, v.contiguous()).transpose(1, 2).reshape(batch, tokens, -1))
        up, gate = self.up(functional.rms_norm(x, (width,))).chunk(2, -1)
        return x + self.down(up * functional.silu(gate))


def _rotate(x, positions):
    """Rotary position embedding; positions [batch, tokens]."""
    half = x.shape[3] // 2
    angles = positions[:, None, :, None] * 10000 ** (-torch.arange(half, device=x.device) / half)
    a, b = x.float().chunk(2, -1)
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1).to(x.dtype)


class Model(nn.Module):
    def __init__(self, layers=4, width=256, h_q=4, h_kv=2, d=64):
        super().__init__()
        self.embed, self.head = nn.Embedding(len(ALPHABET), width), nn.Linear(width, len(ALPHABET), bias=False)
        self.blocks = nn.ModuleList(Block(width, h_q, h_kv, d) for _ in range(layers))

    def forward(self, ids, positions, attend):
        """Logits of the last token. `attend(layer, q, k, v)` is the attention."""
        x = self.embed(ids)
        width = x.shape[2]
        for layer, block in enumerate(self.blocks):
            x = block(x, positions, lambda q, k, v, layer=layer: attend(layer, q, k, v))
        return self.head(functional.rms_norm(x[:, -1], (width,))).float()


@torch.no_grad()
def recompute(model, ids, count, topk):
    """Greedy tokens without a cache, and the least distance of the two largest logits."""
    def attend(layer, q, k, v):
        return sfa.attention(q, k, v, topk=topk, causal=True)

    gap = float("inf")
    for _ in range(count):
        positions = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
        logits = model(ids, positions, attend)
        first, second = logits.topk(2).values.unbind(1)
        gap = min(gap, float((first - second).min()))
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
    return ids, gap


@torch.no_grad()
def generate(model, ids, count, topk):
    """The same with a cache: the tokens, seconds of the steps after the prompt, and the caches of the layers."""
    (batch, prompt), device, dtype = ids.shape, ids.device, model.embed.weight.dtype
    block, size = model.blocks[0], 64
    pages = sfa.PageAllocator(batch * -(-(prompt + count) // size), size)
    sequences = [pages.allocate(prompt + count) for _ in range(batch)]
    table = pages.block_table(sequences, device=device)  # one table for all layers
    caches = [sfa.KVCache(pages.num_pages, block.h_kv, block.d, topk=topk, page_size=size, dtype=dtype, device=device)
              for _ in model.blocks]
    lengths = torch.full((batch,), prompt, dtype=torch.int32, device=device)

    def begin(layer, q, k, v):
        caches[layer].append(k, v, table, lengths)
        return sfa.attention(q, k, v, topk=topk, causal=True)

    def go_on(layer, q, k, v):
        caches[layer].append(k, v, table, lengths)
        return sfa.decode(q, caches[layer], table, lengths)

    last = model(ids, torch.arange(prompt, device=device).expand(batch, prompt), begin).argmax(-1, keepdim=True)

    def step():
        """In place: `last` is the newest token, which gets its place, and then its successor."""
        lengths.add_(1)
        last.copy_(model(last, (lengths - 1)[:, None], go_on).argmax(-1, keepdim=True))

    found, run = [ids, last.clone()], step
    for number in range(count - 1):
        if number == 1:  # the first step has loaded all programs
            if ids.is_cuda:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):  # records, and runs nothing
                    step()
                run = graph.replay
                torch.cuda.synchronize()
            start = time.perf_counter()
        run()
        found.append(last.clone())
    if ids.is_cuda:
        torch.cuda.synchronize()
    return torch.cat(found, 1), time.perf_counter() - start, caches


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=64, help="new ones, at least 3")
    parser.add_argument("--prompt", type=int, default=100)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--topk", type=int, default=8)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    if options.tokens < 3:
        parser.error(f"--tokens is {options.tokens}; it has to be at least 3")
    torch.manual_seed(1)
    dtype = torch.bfloat16 if options.device.startswith("cuda") else torch.float32
    model = Model().to(options.device, dtype).eval()
    ids = torch.randint(len(ALPHABET), (options.batch, options.prompt), device=options.device)
    is_right = True
    for name, topk in (("dense", None), ("codes", options.topk)):
        found, seconds, caches = generate(model, ids, options.tokens, topk)
        expected, gap = recompute(model, ids, options.tokens, topk)
        same = int((found == expected).all(0).long().cumprod(0).sum()) - options.prompt
        bytes_of_token = sum(cache.bytes_per_token * cache.h_kv for cache in caches)
        print(f"{name}: {options.batch * (options.tokens - 2) / seconds:8.1f} tokens/s, {bytes_of_token} bytes a token, "
              f"{same} of {options.tokens} tokens as without a cache, least gap of two logits {gap:.1e}")
        # In 16 bits logits are rounded, and two that are nearly the same may change places.
        is_right &= same == options.tokens or gap < (0.1 if dtype is torch.bfloat16 else 1e-3)
    print("text:", "".join(ALPHABET[token] for token in found[0, options.prompt:].tolist()).replace("\n", " "))
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
