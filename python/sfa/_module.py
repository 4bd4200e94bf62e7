"""The text of the MLIR modules that the package compiles. Batch and tokens are dynamic in all of
them, but for the batch of sequences of several lengths, which is 1; heads, features and k are part of the text."""

import re

from . import errors

# What a schedule may be made of; its words are the compiler's to judge.
_SCHEDULE = re.compile(r"[A-Za-z0-9_=, ]*")


_OFFSETS = "tensor<?xi32>"


def tensor(heads, features, dtype, k=None, batch="?", two_four=False, granularity=None):
    """`tensor<?xHx?xDxf16>`, with the encoding of codes where k is given; of 8-bit values where the granularity
    of their scales is."""
    encoding = ""
    if k is not None:
        values = "" if granularity is None else f", values = i8, scales = {granularity}"
        encoding = f", #sfa.codes<k = {k}{', two_four' if two_four else ''}{values}>"
    return f"tensor<{batch}x{heads}x?x{features}x{dtype}{encoding}>"


def sparsify(heads, features, dtype, k, two_four=False, return_dense=False, granularity=None):
    """(x) -> (codes[, dense]): values and indices, and the rows that they stand for. With a granularity (x) ->
    8-bit codes: values, indices and scales."""
    dense, codes = tensor(heads, features, dtype), tensor(heads, features, dtype, k, two_four=two_four)
    if granularity is not None:
        integers = tensor(heads, features, dtype, k, two_four=two_four, granularity=granularity)
        return (f"func.func @sparsify(%x: {dense}) -> {integers} {{\n"
                f"  %codes = sfa.sparsify %x : {dense} -> {codes}\n"
                f"  %integers = sfa.quantize %codes : {codes} -> {integers}\n"
                f"  return %integers : {integers}\n"
                "}\n")
    results, types = ("%codes, %dense", f"{codes}, {dense}") if return_dense else ("%codes", codes)
    return (f"func.func @sparsify(%x: {dense}) -> ({types}) {{\n"
            f"  {results} = sfa.sparsify %x : {dense} -> {types}\n"
            f"  return {results} : {types}\n"
            "}\n")


def quantize(heads, features, dtype, k, granularity):
    """(values, indices) -> 8-bit codes: values, indices and scales."""
    codes, integers = (tensor(heads, features, dtype, k, granularity=each) for each in (None, granularity))
    return (f"func.func @quantize(%codes: {codes}) -> {integers} {{\n"
            f"  %integers = sfa.quantize %codes : {codes} -> {integers}\n"
            f"  return %integers : {integers}\n"
            "}\n")


def densify(heads, features, dtype, k, granularity=None):
    """(values, indices[, scales]) -> dense rows."""
    dense, codes = tensor(heads, features, dtype), tensor(heads, features, dtype, k, granularity=granularity)
    return (f"func.func @densify(%codes: {codes}) -> {dense} {{\n"
            f"  %x = sfa.densify %codes : {codes}\n"
            f"  return %x : {dense}\n"
            "}\n")


def scale_text(scale):
    """A float as MLIR writes it, with all its bits."""
    return f"{scale:.17e}"


def mask_text(causal, window):
    """The mask as the dialect writes it, or None for all keys. `window` is a pair of bounds, None
    where unbounded; together with causal it ends at the diagonal."""
    left, right = window if window is not None else (None, None)
    if causal:
        right = 0
    if left is None and (causal or right is None):
        return "causal" if causal else None
    parts = ["window"]
    if left is not None:
        parts.append(f"left = {left}")
    if right is not None:
        parts.append(f"right = {right}")
    return ", ".join(parts)


QUERY_GRANULARITY = "token"
"""Of the scales of queries that become 8-bit codes inside of attention."""


def attention(*, q_heads, kv_heads, d, dv, dtype, q_k=None, k_k=None, q_granularity=None, k_granularity=None,
              q_topk=None, k_topk=None, topk_granularity=None, mask=None, scale=None,
              takes_scale=False, schedule=None, lse=False, sequences=False):
    """(query, key, value[, cu_q, cu_k][, scale]) -> (output[, lse]). Query and key are codes of q_k and k_k
    features where those are given, of 8-bit values where q_granularity and k_granularity are, else dense; q_topk
    and k_topk sparsify them first, and topk_granularity quantizes what was sparsified: of the key with scales of that
    granularity. With `sequences` there are two arguments for their offsets. The scale is `scale`, 1 / sqrt(d) where that is
    None, or the last argument where `takes_scale`."""
    batch = 1 if sequences else "?"
    q = tensor(q_heads, d, dtype, q_k, batch, granularity=q_granularity)
    k = tensor(kv_heads, d, dtype, k_k, batch, granularity=k_granularity)
    v, out = tensor(kv_heads, dv, dtype, None, batch), tensor(q_heads, dv, dtype, None, batch)
    sums = f"tensor<{batch}x{q_heads}x?xf32>"
    lines, names, types = [], {}, {"q": q, "k": k}
    for name, heads, topk, granularity in (("q", q_heads, q_topk, QUERY_GRANULARITY),
                                           ("k", kv_heads, k_topk, topk_granularity)):
        names[name] = f"%{name}"
        if topk is None:
            continue
        codes = tensor(heads, d, dtype, topk, batch)
        lines.append(f"  %{name}s = sfa.sparsify %{name} : {types[name]} -> {codes}")
        names[name], types[name] = f"%{name}s", codes
        if topk_granularity is not None:
            integers = tensor(heads, d, dtype, topk, batch, granularity=granularity)
            lines.append(f"  %{name}i = sfa.quantize %{name}s : {codes} -> {integers}")
            names[name], types[name] = f"%{name}i", integers
    text, more = f"{names['q']}, {names['k']}, %v", ""
    if sequences:
        more = f", %cu_q: {_OFFSETS}, %cu_k: {_OFFSETS}"
        text += f" sequences(%cu_q, %cu_k : {_OFFSETS}, {_OFFSETS})"
    if mask is not None:
        text += f" mask <{mask}>"
    if takes_scale:
        more += ", %scale: f64"
        text += " scale %scale"
    elif scale is not None:
        text += f" scale {scale_text(scale)}"
    if schedule is not None:
        if not _SCHEDULE.fullmatch(schedule):
            raise errors.ArgumentValueError(
                f"schedule is {schedule!r}; it has to be text such as \"strategy = dense, softmax = "
                "lazy, k_tile = 64\": names, numbers, = and commas")
        text += f" schedule <{schedule}>"
    results, shapes = ("%o, %lse", f"{out}, {sums}") if lse else ("%o", out)
    lines.append(f"  {results} = sfa.attention {text}\n"
                 f"    : {types['q']}, {types['k']}, {v} -> {shapes}")
    return (f"func.func @attention(%q: {q}, %k: {k}, %v: {v}{more}) -> ({shapes}) {{\n"
            + "\n".join(lines)
            + f"\n  return {results} : {shapes}\n}}\n")


def decode(*, q_heads, kv_heads, tokens, d, dv, dtype, page_size, max_pages, k=None, q_topk=None, left=None, scale=None,
           takes_scale=False, lse=False):
    """(query, keys, values, table, lengths[, scale]) -> (output[, lse]): `tokens` new queries of each sequence against pages.
    Keys are codes of k features where that is given. q_topk keeps so many features of a query first."""
    def pages(features, codes=None):
        encoding = "" if codes is None else f", #sfa.codes<k = {codes}>"
        return f"tensor<?x{kv_heads}x{page_size}x{features}x{dtype}{encoding}>"

    query, out = (f"tensor<?x{q_heads}x{tokens}x{features}x{dtype}>" for features in (d, dv))
    keys, values, sums = pages(d, k), pages(dv), f"tensor<?x{q_heads}x{tokens}xf32>"
    table, lengths = f"tensor<?x{max_pages}xi32>", "tensor<?xi32>"
    lines, name, more = [], "%q", ""
    if q_topk is not None:
        codes = f"tensor<?x{q_heads}x{tokens}x{d}x{dtype}, #sfa.codes<k = {q_topk}>>"
        lines.append(f"  %codes, %dense = sfa.sparsify %q : {query} -> {codes}, {query}\n")
        name = "%dense"
    text = f"{name}, %k, %v pages(%table, %lengths : {table}, {lengths})"
    if left is not None:
        text += f" left {left}"
    if takes_scale:
        more, text = ", %scale: f64", text + " scale %scale"
    elif scale is not None:
        text += f" scale {scale_text(scale)}"
    results, shapes = ("%o, %lse", f"{out}, {sums}") if lse else ("%o", out)
    return (f"func.func @decode(%q: {query}, %k: {keys}, %v: {values}, %table: {table}, %lengths: {lengths}{more}) "
            f"-> ({shapes}) {{\n{''.join(lines)}"
            f"  {results} = sfa.decode {text}\n    : {query}, {keys}, {values} -> {shapes}\n"
            f"  return {results} : {shapes}\n}}\n")


def append(*, heads, d, dv, dtype, page_size, k=None, given_codes=False, slots=False):
    """(key, value, slots | table, lengths, key pages, value pages) -> (): new rows go into pages, in place. Pages hold codes of k
    features where that is given; the key is codes where `given_codes`."""
    encoding = "" if k is None else f", #sfa.codes<k = {k}>"
    batch = 1 if slots else "?"
    key = tensor(heads, d, dtype, k if given_codes else None, batch)
    value = tensor(heads, dv, dtype, None, batch)
    key_pages = f"tensor<?x{heads}x{page_size}x{d}x{dtype}{encoding}>"
    value_pages = f"tensor<?x{heads}x{page_size}x{dv}x{dtype}>"
    if slots:
        more, where = "%slots: tensor<?xi64>", "slots(%slots : tensor<?xi64>)"
    else:
        more, where = "%table: tensor<?x?xi32>, %lengths: tensor<?xi32>", "pages(%table, %lengths : tensor<?x?xi32>, tensor<?xi32>)"
    return (f"func.func @append(%k: {key}, %v: {value}, {more}, %keys: {key_pages}, %values: {value_pages}) {{\n"
            f"  sfa.cache_append %k, %v to %keys, %values {where}\n"
            f"    : {key}, {value}, {key_pages}, {value_pages}\n"
            f"  return\n}}\n")
