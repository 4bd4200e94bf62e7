"""Other implementations of attention. Each function takes q, k, v of [batch, heads, tokens, features]
and causal, and returns what to call; it raises where the implementation is not there."""

import importlib
import importlib.metadata
from typing import Any

import torch


def _tokens_first(x):
    """[batch, tokens, heads, features], contiguous: made before the measurement."""
    return x.transpose(1, 2).contiguous()


def _import(name):
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise RuntimeError(f"cannot import {name}: {error}") from None


def _sdpa(backend):
    def make(q, k, v, causal):
        from torch.nn.attention import SDPBackend, sdpa_kernel
        chosen = getattr(SDPBackend, backend)
        # Older versions know no groups of heads.
        options: dict[str, Any] = dict(enable_gqa=True) if q.shape[1] != k.shape[1] else {}

        def call():
            with sdpa_kernel(chosen):
                return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, **options)
        return call
    return make


def _flex(q, k, v, causal):
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention
    # A shape of its own each time would soon exceed how often torch compiles one function.
    torch._dynamo.reset()
    compiled = torch.compile(flex_attention, dynamic=False)
    mask = None
    if causal:
        mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, q.shape[2], k.shape[2],
                                 device=q.device)
    return lambda: compiled(q, k, v, block_mask=mask)


def _first(result):
    return result[0] if isinstance(result, tuple) else result


def _flash(module):
    def make(q, k, v, causal):
        function = _import(module).flash_attn_func
        q, k, v = _tokens_first(q), _tokens_first(k), _tokens_first(v)
        return lambda: _first(function(q, k, v, causal=causal)).transpose(1, 2)
    return make


def flash2_of_sequences(q, k, v, offsets, longest):
    """FlashAttention-2 of torch, without a mask: [1, heads, tokens, features], and of queries and of keys
    the offsets of sequences, int32 [s + 1], and how many the longest has. torch has no public name for it
    that takes groups of heads."""
    q, k, v = (_tokens_first(x)[0] for x in (q, k, v))
    forward = torch.ops.aten._flash_attention_forward

    def call():
        return forward(q, k, v, *offsets, *longest, 0.0, False, False)[0].transpose(0, 1).unsqueeze(0)
    return call


def _flashinfer(q, k, v, causal):
    function = _import("flashinfer").single_prefill_with_kv_cache
    if q.shape[0] != 1:
        raise RuntimeError("measured for a batch of 1 only")
    q, k, v = (_tokens_first(x)[0] for x in (q, k, v))
    return lambda: function(q, k, v, causal=causal).transpose(0, 1).unsqueeze(0)


# FA3 is the package fa3-fwd, FA4 the package flash-attn-4.
PEERS = {
    "FA2 (torch)": _sdpa("FLASH_ATTENTION"),
    "cuDNN (torch)": _sdpa("CUDNN_ATTENTION"),
    "FlexAttention": _flex,
    "FA3": _flash("flash_attn_interface"),
    "FA4": _flash("flash_attn.cute"),
    "FlashInfer": _flashinfer,
}
CUDNN = "cuDNN (torch)"


def _sdpa_of_cpu(q, k, v, causal):
    return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)


SDPA = "torch SDPA, dense"
CPU_PEERS = {SDPA: _sdpa_of_cpu}

_DISTRIBUTIONS = ("torch", "flash-attn", "fa3-fwd", "flash-attn-3", "flash-attn-4", "nvidia-cutlass-dsl", "nvidia-cudnn-cu12",
                  "nvidia-cudnn-cu13", "flashinfer-python")


def versions():
    """The versions of what is installed of the peers."""
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
