"""Modules of attention in its default schedules, of sparsify and of quantize: what has to assemble for every chip."""

import itertools
import json
import re
from pathlib import Path

MASKS = {"none": "", "causal": "mask <causal>", "window": "mask <window, left = 100, right = 30>"}


def attention(dtype, d, dv, mask, softmax, has_sequences=False, splits=1, has_lse=True, packed_heads=1):
    b = "1" if has_sequences else "?"
    heads, kv = 2 * max(packed_heads, 2), 2
    q, k, v = f"tensor<{b}x{heads}x?x{d}x{dtype}>", f"tensor<{b}x{kv}x?x{d}x{dtype}>", f"tensor<{b}x{kv}x?x{dv}x{dtype}>"
    o, lse, c = f"tensor<{b}x{heads}x?x{dv}x{dtype}>", f"tensor<{b}x{heads}x?xf32>", "tensor<?xi32>"
    offsets = f", %c: {c}" if has_sequences else ""
    sequences = f"sequences(%c, %c : {c}, {c})" if has_sequences else ""
    results, types = ("%o, %l", f"{o}, {lse}") if has_lse else ("%o", o)
    return (f"func.func @f(%q: {q}, %k: {k}, %v: {v}{offsets}) -> ({types}) {{\n"
            f"  {results} = sfa.attention %q, %k, %v {sequences} {MASKS[mask]} schedule <softmax = {softmax}, splits = {splits}, packed_heads = {packed_heads}>\n"
            f"    : {q}, {k}, {v} -> {types}\n  return {results} : {types}\n}}\n")


def sparse_mma(dtype, d, dv, k, form, mask, softmax, splits=1, packed_heads=1):
    heads = 2 * max(packed_heads, 2)
    q, k, v = (f"tensor<?x{heads}x?x{d}x{dtype}, #sfa.codes<k = {k}{form}>>", f"tensor<?x2x?x{d}x{dtype}>",
               f"tensor<?x2x?x{dv}x{dtype}>")
    o, lse = f"tensor<?x{heads}x?x{dv}x{dtype}>", f"tensor<?x{heads}x?xf32>"
    return (f"func.func @f(%q: {q}, %k: {k}, %v: {v}) -> ({o}, {lse}) {{\n"
            f"  %o, %l = sfa.attention %q, %k, %v {MASKS[mask]} schedule <strategy = sparse_mma, softmax = {softmax}, splits = {splits}, packed_heads = {packed_heads}>\n"
            f"    : {q}, {k}, {v} -> {o}, {lse}\n  return %o, %l : {o}, {lse}\n}}\n")


def integers(dtype, d, scales, mask, softmax, has_sequences, splits, packed_heads, has_lse):
    """Attention on 8-bit codes: each query has a scale, and keys share theirs as `scales` says."""
    b = "1" if has_sequences else "?"
    heads = 2 * max(packed_heads, 2)

    def codes(heads, scales):
        return f"tensor<{b}x{heads}x?x{d}x{dtype}, #sfa.codes<k = 8, values = i8, scales = {scales}>>"

    q, k, v = codes(heads, "token"), codes(2, scales), f"tensor<{b}x2x?x{d}x{dtype}>"
    o, lse, c = f"tensor<{b}x{heads}x?x{d}x{dtype}>", f"tensor<{b}x{heads}x?xf32>", "tensor<?xi32>"
    offsets, sequences = (f", %c: {c}", f"sequences(%c, %c : {c}, {c})") if has_sequences else ("", "")
    results, types = ("%o, %l", f"{o}, {lse}") if has_lse else ("%o", o)
    return (f"func.func @f(%q: {q}, %k: {k}, %v: {v}{offsets}) -> ({types}) {{\n"
            f"  {results} = sfa.attention %q, %k, %v {sequences} {MASKS[mask]} schedule <softmax = {softmax}, splits = {splits}, packed_heads = {packed_heads}>\n"
            f"    : {q}, {k}, {v} -> {types}\n  return {results} : {types}\n}}\n")


def of_key_tiles(strategy, dtype, d, dv, k, keys, mask, schedule):
    packed_heads = int(*re.findall(r"packed_heads = (\d+)", schedule) or "1")
    heads = 2 * max(packed_heads, 2)
    q, k, v = (f"tensor<?x{heads}x?x{d}x{dtype}, #sfa.codes<k = {k}>>",
               f"tensor<?x2x?x{d}x{dtype}{f', #sfa.codes<k = {k}>' * (keys == 'codes')}>", f"tensor<?x2x?x{dv}x{dtype}>")
    o, lse = f"tensor<?x{heads}x?x{dv}x{dtype}>", f"tensor<?x{heads}x?xf32>"
    return (f"func.func @f(%q: {q}, %k: {k}, %v: {v}) -> ({o}, {lse}) {{\n"
            f"  %o, %l = sfa.attention %q, %k, %v {MASKS[mask]} schedule <strategy = {strategy}, {schedule}>\n"
            f"    : {q}, {k}, {v} -> {o}, {lse}\n  return %o, %l : {o}, {lse}\n}}\n")


def sparsify(d, k, form, results="%codes"):
    x, codes = f"tensor<?x4x?x{d}xbf16>", f"tensor<?x4x?x{d}xbf16, #sfa.codes<k = {k}{form}>>"
    types = {"%codes": codes, "%dense": x, "%codes, %dense": f"{codes}, {x}"}[results]
    return (f"func.func @f(%x: {x}) -> ({types}) {{\n  %codes, %dense = sfa.sparsify %x : {x} -> {codes}, {x}\n"
            f"  return {results} : {types}\n}}\n")


def quantize(d, k, scales):
    """Rounds codes that are given, and writes them out: what gives codes back gives the indices that it was given."""
    ordinary, codes, rows = (f"tensor<?x4x?x{d}xbf16, #sfa.{encoding}>" for encoding in (
        f"codes<k = {k}>", f"codes<k = {k}, values = i8, scales = {scales}>", f"dense<values = i8, scales = {scales}>"))
    return (f"func.func @f(%codes: {ordinary}) -> {rows} {{\n  %rounded = sfa.quantize %codes : {ordinary} -> {codes}\n"
            f"  %rows = sfa.densify %rounded quantized : {codes}\n  return %rows : {rows}\n}}\n")


def sparsify_and_round(d, k, form, scales, result):
    x, codes, rows = (f"tensor<?x4x?x{d}xbf16{encoding}>" for encoding in (
        "", f", #sfa.codes<k = {k}{form}, values = i8, scales = {scales}>", f", #sfa.dense<values = i8, scales = {scales}>"))
    type = {"%codes": codes, "%rows": rows}[result]
    return (f"func.func @f(%x: {x}) -> {type} {{\n  %codes, %rows = sfa.sparsify %x : {x} -> {codes}, {rows}\n"
            f"  return {result} : {type}\n}}\n")


def tuned(chip):
    """Attention with each schedule of the shipped database that is the fastest for some problem, with and without the
    log-sum-exp: a choice for one of them may be for the other."""
    database = Path(__file__).parents[4] / "lib/Schedule/Tuned/database.json"
    modules = {}
    for entry in json.loads(database.read_text())["entries"]:
        if entry["device"]["chip"] != chip:
            continue
        key, heads = entry["key"], entry["measured"]["query_heads"]
        kv, dtype = heads // key["group"], key["dtype"]
        form, _, scales = key["form"].partition(" ")

        def operand(heads, scales):
            codes = f", #sfa.codes<k = {key['k']}{', two_four' * (form == 'codes' and scales == '2:4')}"
            values = f", values = i8, scales = {scales}" if form == "int8" else ""
            return f"tensor<?x{heads}x?x{key['d']}x{dtype}{f'{codes}{values}>' if key['k'] else ''}>"

        q, k = operand(heads, "token" if form == "int8" else scales), operand(kv, scales)
        v, o = (f"tensor<?x{each}x?x{key['dv']}x{dtype}>" for each in (kv, heads))
        schedule = ", ".join(f"{name} = {value}" for name, value in entry["winner"]["schedule"].items())
        for lse in ("", " lse"):
            results, types = ("%o, %l", f"{o}, tensor<?x{heads}x?xf32>") if lse else ("%o", o)
            name = f"tuned {key['form']} d={key['d']} dv={key['dv']} {key['mask']} {heads} heads of {kv}{lse}: {schedule}"
            modules[name] = (f"func.func @f(%q: {q}, %k: {k}, %v: {v}) -> ({types}) {{\n"
                             f"  {results} = sfa.attention %q, %k, %v {MASKS[key['mask']]} schedule <{schedule}>\n"
                             f"    : {q}, {k}, {v} -> {types}\n  return {results} : {types}\n}}\n")
    return modules


def append(d, dv, k, page_size, is_dense, places):
    """New tokens of a cache: slots, or pages."""
    codes = "" if k is None else f", #sfa.codes<k = {k}>"
    batch = "1" if places == "slots" else "?"
    key, value = f"tensor<{batch}x8x?x{d}xbf16{'' if is_dense else codes}>", f"tensor<{batch}x8x?x{dv}xbf16>"
    keys, values = f"tensor<?x8x{page_size}x{d}xbf16{codes}>", f"tensor<?x8x{page_size}x{dv}xbf16>"
    names, text = (("%s: tensor<?xi64>", "slots(%s : tensor<?xi64>)") if places == "slots" else
                   ("%t: tensor<?x?xi32>, %n: tensor<?xi32>", "pages(%t, %n : tensor<?x?xi32>, tensor<?xi32>)"))
    return (f"func.func @f(%k: {key}, %v: {value}, {names}, %keys: {keys}, %values: {values}) {{\n"
            f"  sfa.cache_append %k, %v to %keys, %values {text} : {key}, {value}, {keys}, {values}\n  return\n}}\n")


def modules(chip):
    """Name to text of each module for a chip."""
    modules = tuned(chip)
    widths = [(64, 64), (128, 128), (256, 256), (64, 256), (256, 64)]
    # Every pair of values of two parameters; all of the widest on warpgroups, which are short of registers.
    is_scarce = chip == "sm_90a"
    kernels = [((d, dv), mask, softmax, False)
               for (i, (d, dv)), (j, mask), softmax in itertools.product(
                   enumerate(widths), enumerate(MASKS), ["online", "lazy"])
               if (i + j) % 2 == (softmax == "lazy") or (is_scarce and (d, dv) == (256, 256))]
    kernels.append(((128, 128), "causal", "lazy", True))
    for (d, dv), mask, softmax, has_sequences in kernels:
        # Types differ in the instructions' names only.
        dtype = "f16" if mask == "none" else "bf16"
        # Without the log-sum-exp the lazy softmax has no sums in lanes.
        for has_lse in (True, False) if softmax == "lazy" and d == dv else (True,):
            name = f"{dtype} d={d} dv={dv} {mask} {softmax}{' sequences' * has_sequences}{' lse' * has_lse}"
            modules[name] = attention(dtype, d, dv, mask, softmax, has_sequences, has_lse=has_lse)
    # Sizes of heads whose panels are not full.
    for number, ((d, dv), softmax) in enumerate(itertools.product(
            [(80, 80), (96, 96), (112, 112), (192, 128), (24, 40), (72, 200), (256, 136)], ["online", "lazy"])):
        mask = ("causal", "window", "none")[number % 3]
        modules[f"bf16 d={d} dv={dv} {mask} {softmax}"] = attention("bf16", d, dv, mask, softmax)
    for (d, dv), softmax in itertools.product(widths[:3], ["online", "lazy"]):
        mask, splits = ("window", 100) if softmax == "lazy" else ("causal", 4)
        modules[f"bf16 d={d} dv={dv} {mask} {softmax} {splits} splits"] = attention(
            "bf16", d, dv, mask, softmax, splits=splits)
    for (d, dv), packed_heads, softmax in itertools.product(widths[:3], [4, 8, 7], ["online", "lazy"]):
        # 8 heads have tiles of their own, 7 leave rows over; with splits there is a log-sum-exp in any case.
        mask, splits = ("window", 5) if (packed_heads == 8) == (softmax == "lazy") else ("causal", 1)
        modules[f"bf16 d={d} dv={dv} {mask} {softmax} {packed_heads} packed heads {splits} splits"] = attention(
            "bf16", d, dv, mask, softmax, splits=splits, packed_heads=packed_heads)
    for (d, dv), packed_heads, softmax in itertools.product(widths[:3], [1, 16], ["online", "lazy"]):
        # Few queries: warps with rows of several heads.
        mask, splits = ("window", 5) if (packed_heads == 1) == (softmax == "lazy") else ("causal", 1)
        modules[f"bf16 d={d} dv={dv} {mask} {softmax} {packed_heads} packed heads of few queries {splits} splits"] = attention(
            "bf16", d, dv, mask, f"{softmax}, q_tile = 64", splits=splits, packed_heads=packed_heads)
    for (d, dv), (packed_heads, tile), softmax in itertools.product(widths[:3], [(4, ""), (5, ", q_tile = 64")], ["online", "lazy"]):
        mask, splits = ("window", 1) if (packed_heads == 4) == (softmax == "online") else ("causal", 4)
        modules[f"bf16 d={d} dv={dv} {mask} {softmax}{tile} {packed_heads} packed heads of sequences {splits} splits"] = attention(
            "bf16", d, dv, mask, softmax + tile, has_sequences=True, splits=splits, packed_heads=packed_heads)
    for number, ((d, dv), form, softmax) in enumerate(itertools.product(
            [(64, 64), (128, 128), (256, 256), (80, 96), (192, 128)], ["", ", two_four"], ["online", "lazy"])):
        mask, k = ("causal", "window", "none")[number % 3], (4, 8, 13, 32)[number // 2 % 4]
        splits, packed_heads = ((1, 1), (4, 1), (1, 4), (3, 5))[number // 3 % 4]
        name = f"{'f16' if number % 5 == 4 else 'bf16'} d={d} dv={dv} k={k}{form} {mask} sparse_mma {softmax} {packed_heads} packed heads {splits} splits"
        modules[name] = sparse_mma(name.split()[0], d, dv, k, form, mask, softmax, splits, packed_heads)
    # 8-bit codes whose keys share a scale, or have one each; the chosen tiles of keys are others for each of these.
    for number, ((d, _), scales, mask) in enumerate(itertools.product(widths[:3], ["tile", "token"], MASKS)):
        has_lse = number % 2 == 0
        name = f"bf16 d={d} dv={d} 8 bits {scales} {mask} lazy{' lse' * has_lse}"
        modules[name] = integers("bf16", d, scales, mask, "lazy", False, 1, 1, has_lse)
    for d, _ in widths[:3]:
        modules[f"f16 d={d} dv={d} 8 bits tile causal online"] = integers("f16", d, "tile", "causal", "online", False, 1, 1, False)
        # Tiles of sequences have keys of two scales.
        modules[f"bf16 d={d} dv={d} 8 bits tile causal lazy 4 packed heads of sequences lse"] = integers(
            "bf16", d, "tile", "causal", "lazy", True, 1, 4, True)
        modules[f"bf16 d={d} dv={d} 8 bits token causal lazy sequences"] = integers(
            "bf16", d, "token", "causal", "lazy", True, 1, 1, False)
    for number, ((d, dv), k, softmax) in enumerate(itertools.product(
            [(64, 64), (128, 128), (256, 256), (80, 96), (256, 64)], [4, 8, 13, 32], ["online", "lazy"])):
        mask, dtype, keys = ("causal", "window", "none")[number % 3], ("bf16", "f16")[number // 2 % 2], ("rows", "codes")[number // 3 % 2]
        more = ("", ", splits = 4", ", packed_heads = 4", ", packed_heads = 5, splits = 3", ", lookahead = 0")[number % 5]
        modules[f"{dtype} d={d} dv={dv} k={k} {mask} gather of {keys} {softmax}{more}"] = of_key_tiles(
            "gather", dtype, d, dv, k, keys, mask, f"softmax = {softmax}{more}")
        modules[f"{dtype} d={d} dv={dv} k={k} {mask} scatter {softmax}{more}"] = of_key_tiles(
            "scatter", dtype, d, dv, k, "codes", mask, f"softmax = {softmax}{more}")
    for d, k, form in [(24, 8, ""), (80, 16, ", two_four"), (64, 8, ""), (128, 32, ""), (256, 32, ""), (256, 100, ""), (128, 8, ", two_four")]:
        modules[f"sparsify d={d} k={k}{form}"] = sparsify(d, k, form)
    for d, k, form, results in [(64, 8, "", "%dense"), (128, 8, "", "%codes, %dense"),
                                (256, 32, "", "%codes, %dense"), (256, 100, ", two_four", "%dense")]:
        modules[f"sparsify d={d} k={k}{form} {results}"] = sparsify(d, k, form, results)
    for d, k, form, scales, result in [(128, 8, "", "token", "%rows"), (128, 8, "", "tile", "%rows"), (40, 8, "", "tile", "%codes"),
                                       (256, 32, "", "token", "%rows"), (256, 32, ", two_four", "tile", "%codes")]:
        modules[f"sparsify d={d} k={k}{form} 8 bits {scales} {result}"] = sparsify_and_round(d, k, form, scales, result)
    # Up to 32 values of a token are in registers while its scale is searched for.
    for d, k, scales in [(256, 32, "token"), (256, 33, "token"), (128, 8, "tile"), (128, 8, "head")]:
        modules[f"quantize d={d} k={k} {scales}"] = quantize(d, k, scales)
    for d, k, page_size, is_dense, places in [(128, 8, 64, True, "slots"), (128, 8, 64, False, "table"), (256, 3, 16, False, "slots"),
                                              (80, None, 128, True, "table")]:
        modules[f"append d={d} dv={d} k={k} {'dense' if is_dense else 'codes'} {places}"] = append(
            d, d, k, page_size, is_dense, places)
    return modules


def in_ordinary_run(modules):
    """Of each kind of module the widest, where registers are scarcest; the usual heads, and some whose panels are not full."""
    def kind(name):
        # What is left without sizes, types, masks.
        return re.sub(r"\b(f16|bf16|causal|window|none)\b|\b(d|dv|k)=\d+|, two_four| \d+ splits| lse", "", name)

    def width(name):
        return sum(map(int, re.findall(r"\bdv?=(\d+)", name)))

    widest = {}
    for name in modules:
        if kind(name) not in widest or width(name) >= width(widest[kind(name)]):
            widest[kind(name)] = name
    usual = re.compile(r"bf16 d=(128 dv=128 causal|24 dv=40 \w+|72 dv=200 \w+|(64|128) dv=\d+ 8 bits \w+ causal) \w+( lse)?$")
    return {name: text for name, text in modules.items() if name in widest.values() or usual.match(name)
            or (name.startswith("tuned") and " lse" not in name)}
