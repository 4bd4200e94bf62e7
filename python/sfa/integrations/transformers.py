"""Models of transformers (5.17 or later) with sparse feature attention and a cache of codes.

    from sfa.integrations import transformers as sparse
    sparse.enable(model, topk=8)
    model.generate(**inputs, past_key_values=sparse.SparseCache(model.config))

Queries and keys keep topk features of each head, with or without the cache; what a model answers is the same with both. Sequences
may be padded on the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache, CacheLayerMixin

import sfa
from sfa import errors

__all__ = ["SparseCache", "SparseLayer", "attention_forward", "attention_mask", "enable", "register"]

NAME = "sfa"


def register() -> None:
    """Makes `attn_implementation="sfa"` known to transformers."""
    AttentionInterface.register(NAME, attention_forward)
    AttentionMaskInterface.register(NAME, attention_mask)


def enable(model: Any, topk: int | None | Sequence[int | None]) -> None:
    """Gives a model sparse feature attention: the number of features that queries and keys keep, None for dense layers, or such a
    number for each layer. It is kept in the config as `sfa_topk`.

    Raises ValueError where transformers cannot change the attention of the model."""
    register()
    config = model.config.get_text_config()
    config.sfa_topk = topk if topk is None or isinstance(topk, int) else list(topk)
    model.set_attn_implementation(NAME)


def topk_of_layer(config: Any, layer: int) -> int | None:
    if not hasattr(config, "sfa_topk"):
        raise errors.ArgumentValueError("the config of the model has no sfa_topk; call enable(model, topk) of this module")
    topk = config.sfa_topk
    return topk[layer] if isinstance(topk, (list, tuple)) else topk


class _Stored:
    """New keys or values on their way into a layer of the cache, which the attention function appends."""

    def __init__(self, layer: SparseLayer, new: Tensor) -> None:
        self.layer, self.new = layer, new
        self.shape, self.dtype, self.device = new.shape, new.dtype, new.device

    @classmethod
    def __torch_function__(cls, *_: Any) -> Any:
        raise errors.ArgumentTypeError(
            "keys in a SparseCache are codes, which only attn_implementation=\"sfa\" reads; call enable(model, topk) of "
            "sfa.integrations.transformers")


class SparseLayer(CacheLayerMixin):
    """A layer of a cache, whose keys are codes in pages.

    topk        features that a key keeps; None for dense keys
    page_size   tokens of a page
    max_length  tokens that there will be pages for from the start; None begins small. The pool grows where it does
                not suffice, which a CUDA graph cannot hold
    """

    is_sliding = False
    is_compileable = False
    is_croppable = True

    def __init__(self, topk: int | None, page_size: int = 64, max_length: int | None = None) -> None:
        super().__init__()
        self.topk, self.page_size, self.max_length = topk, page_size, max_length
        self.store: sfa.KVCache | None = None
        self._clear()

    def _clear(self) -> None:
        self.length = 0
        self.sequences: list[int] = []
        self.table: Any = None
        self.lengths: Any = None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        batch, heads, tokens, d = key_states.shape
        self.device, self.dtype = key_states.device, key_states.dtype
        count = batch * max(1, -(-max(self.max_length or 0, tokens) // self.page_size))
        self.store = sfa.KVCache(count, heads, d, value_states.shape[3], topk=self.topk, page_size=self.page_size,
                                 dtype=self.dtype, device=self.device)
        self.pages = sfa.PageAllocator(count, self.page_size)
        self.is_initialized = True

    def _begin(self, batch: int) -> None:
        self.sequences = [self.pages.allocate() for _ in range(batch)]
        self.lengths = torch.zeros(batch, dtype=torch.int32, device=self.device)

    def _grow(self, count: int) -> None:
        """Another pool with room for so many pages more."""
        old = self.store
        assert old is not None
        total = max(old.num_pages + count, 2 * old.num_pages)
        self.store = sfa.KVCache(total, old.h_kv, old.d, old.dv, topk=old.topk, page_size=old.page_size, dtype=self.dtype,
                                 device=self.device)
        self.store.pages[:old.num_pages].copy_(old.pages)
        self.pages.grow(total)

    def _extend(self, length: int) -> None:
        """Pages for so many tokens of each sequence."""
        needed = len(self.sequences) * (-(-length // self.page_size) + 1) - sum(len(self.pages.pages(s)) for s in self.sequences)
        if needed > self.pages.num_free:
            self._grow(needed - self.pages.num_free)
        assert self.store is not None
        before = [self.pages.pages(sequence) for sequence in self.sequences]
        copies = self.pages.extend_all(dict.fromkeys(self.sequences, length))
        if copies:
            self.store.copy_pages(*torch.tensor(copies, dtype=torch.int32, device=self.device).T.contiguous())
        if self.table is None or before != [self.pages.pages(sequence) for sequence in self.sequences]:
            # The width is part of a program: there are few of them.
            most = max(length, self.max_length or 0)
            width = 1 << (max(1, -(-most // self.page_size)) - 1).bit_length()
            self.table = self.pages.block_table(self.sequences, width, self.device)
        self.length = length

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Makes room for new tokens [batch, heads, tokens, features]. What it returns is for `attention_forward`, which writes
        them: it knows the padding."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if not self.sequences:
            self._begin(key_states.shape[0])
        self._extend(self.length + key_states.shape[2])
        return _Stored(self, key_states), _Stored(self, value_states)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        return self.length

    def get_max_length(self) -> int:
        return -1

    get_max_cache_shape = get_max_length

    def reset(self) -> None:
        for sequence in self.sequences:
            self.pages.free(sequence)
        self._clear()

    def crop(self, tokens_to_remove: int) -> None:
        """Forgets the last tokens of all sequences; a positive number is the length that stays, as in transformers before
        5.18."""
        kept = self.length + tokens_to_remove if tokens_to_remove <= 0 else min(tokens_to_remove, self.length)
        if kept == self.length or not self.sequences:
            return
        for sequence in self.sequences:
            self.pages.crop(sequence, kept)
        self.lengths = (self.lengths - (self.length - kept)).clamp_(min=0)
        self.length, self.table = kept, None

    def _select(self, rows: Tensor) -> None:
        """The sequences of `rows`, of which the same may be there many times."""
        if not self.sequences:
            return
        before = self.sequences
        self.sequences = [self.pages.fork(before[row]) for row in rows.tolist()]
        for sequence in before:
            self.pages.free(sequence)
        self.lengths, self.table = self.lengths.index_select(0, rows.to(self.device)), None

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self._select(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        self._select(torch.arange(len(self.sequences))[indices.cpu()])

    def batch_repeat_interleave(self, repeats: int) -> None:
        self._select(torch.arange(len(self.sequences)).repeat_interleave(repeats))

    def offload(self) -> None:
        raise errors.UnsupportedError("a SparseCache cannot be offloaded; leave offloading out")

    prefetch = offload


class SparseCache(Cache):
    """A cache for `generate`, with a SparseLayer for each layer of a model; `config` is that of a model that `enable` has
    changed. `page_size` and `max_length` are as in SparseLayer.

    `nbytes` are the bytes of all pools, `bytes_per_token` those of one token in all layers."""

    def __init__(self, config: Any, *, page_size: int = 64, max_length: int | None = None) -> None:
        config = config.get_text_config(decoder=True)
        super().__init__(layers=[SparseLayer(topk_of_layer(config, layer), page_size, max_length)
                                 for layer in range(config.num_hidden_layers)])

    @property
    def nbytes(self) -> int:
        return sum(layer.store.nbytes for layer in self.layers if layer.store is not None)

    @property
    def bytes_per_token(self) -> int:
        return sum(layer.store.bytes_per_token * layer.store.h_kv for layer in self.layers if layer.store is not None)


def attention_mask(batch_size: int, q_length: int, kv_length: int, q_offset: Any = 0, kv_offset: int = 0,
                   mask_function: Any = None, attention_mask: Tensor | None = None, use_vmap: bool = False,
                   **kwargs: Any) -> Tensor | None:
    """The padding, bool [batch, keys], or None; causal and window masks are those of the attention function."""
    if use_vmap or "allow_is_bidirectional_skip" in kwargs:
        raise errors.UnsupportedError("sparse feature attention in transformers has causal and sliding-window masks only")
    if attention_mask is None or attention_mask.shape[1] > kv_length:
        return None if attention_mask is None else attention_mask[:, -kv_length:]
    if q_length == 1 and attention_mask.is_cuda:
        return attention_mask  # looking at it would wait for the GPU
    if attention_mask.all():
        return None
    if not (attention_mask[:, 1:] >= attention_mask[:, :-1]).all():
        raise errors.UnsupportedError("sequences are padded on the right, or within; set padding_side=\"left\" in the tokenizer")
    return attention_mask


def attention_forward(module: Any, query: Tensor, key: Any, value: Any, attention_mask: Tensor | None, scaling: float | None = None,
                      dropout: float = 0.0, sliding_window: int | None = None, **kwargs: Any) -> tuple[Tensor, None]:
    """The attention function: query [batch, h_q, n_q, d], key and value tensors or what `SparseLayer.update` returns; the result
    is [batch, n_q, h_q, dv], and None for the weights, which nobody has."""
    if dropout or not getattr(module, "is_causal", True):
        raise errors.UnsupportedError("sparse feature attention in transformers is causal and has no dropout; call model.eval()")
    for name in ("softcap", "s_aux", "position_bias"):
        if kwargs.get(name) is not None:
            raise errors.UnsupportedError(f"sparse feature attention in transformers has no {name}")
    window = None if sliding_window is None else (sliding_window - 1, 0)
    if isinstance(key, _Stored):
        out = _attend_to_cache(key.layer, query, key.new, value.new, attention_mask, scaling, window)
    else:
        topk = topk_of_layer(module.config, module.layer_idx)
        out = _attend(query, key, value, topk, attention_mask, scaling, window)
    return out.transpose(1, 2).contiguous(), None


def _attend(q: Tensor, k: Any, v: Tensor, topk: int | None, mask: Tensor | None, scale: float | None, window: Any) -> Tensor:
    """Attention without a cache. With padding, what is padded is a sequence of its own."""
    if mask is None:
        return sfa.attention(q, k, v, topk=topk, causal=True, scale=scale, window=window)
    batch, _, tokens, _ = q.shape
    begins = torch.arange(batch, device=q.device) * tokens
    padding = tokens - mask.sum(1)
    offsets = torch.cat([torch.stack([begins, begins + padding], 1).flatten(), begins[-1:] + tokens]).int()
    q, k, v = (x.transpose(0, 1).reshape(1, x.shape[1], batch * tokens, x.shape[3]) for x in (q, k, v))
    out = sfa.attention(q, k, v, topk=topk, causal=True, scale=scale, window=window, cu_seqlens=offsets)
    return out.reshape(out.shape[1], batch, tokens, out.shape[3]).transpose(0, 1)


def _attend_to_cache(layer: SparseLayer, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None,
                     window: Any) -> Tensor:
    tokens = k.shape[2]
    is_first = layer.length == tokens
    # Sequences have their last tokens at the same place: those that are padded are shorter.
    layer.lengths = layer.lengths + tokens if mask is None else mask.sum(1, dtype=torch.int32)
    assert layer.store is not None
    layer.store.append(k, v, layer.table, layer.lengths)
    if is_first:
        return _attend(q, k, v, layer.topk, mask, scale, window)
    return sfa.decode(q, layer.store, layer.table, layer.lengths, scale=scale, window=window)
