"""Codes: rows that keep k of their d features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NoReturn

from . import _arrays, _operations, errors

# Which values of 8-bit codes share a scale.
Granularity = Literal["tile", "token", "head"]


def _constant(name: str, doc: str) -> Any:
    """An attribute that is set when the codes are made: a call remembers what it has checked by the shapes of
    its tensors, and compiled programs trust it."""
    def get(codes: Codes) -> Any:
        return getattr(codes, "_" + name)

    def refuse(codes: Codes, value: object) -> NoReturn:
        raise errors.ReadOnlyError(
            f"{name} of codes is read-only; make others of the tensors that you have: sfa.Codes(values, indices, d)")
    return property(get, refuse, doc=doc)


class Codes:
    """k of d features of each row, as two tensors, or as three where the values have 8 bits.

    values      [batch, heads, tokens, k], f16, bf16 or (on a CPU) f32; int8 with scales
    indices     [batch, heads, tokens, k], u8 where d <= 256, u16 above: the feature of each value,
                ascending in a row
    d           how many features a row has
    scales      None, or f32: a value of 8 bits stands for itself times its scale, which is positive
    granularity which values share a scale: "tile", those of the 128 tokens from a multiple of 128 on,
                [batch, heads, ceil(tokens / 128)]; "token", those of a token, [batch, heads, tokens]; "head",
                those of a head, [batch, heads, 1]. None without scales
    dtype       with scales only: f16, bf16 or (on a CPU) f32, the dtype of the numbers that the values stand
                for, which `densify` gives and in which v and the output of an attention are
    two_four    whether every aligned group of four features has two non-zeros at most

    Rows with fewer than k non-zeros are padded with the value 0, whose feature does not matter. The
    tensors may be torch tensors, numpy arrays or anything with `__dlpack__`, all of the same kind, and are
    not copied. Codes with two_four come from `sfa.sparsify` only. Codes of 8-bit values, integers from -127 to 127,
    come from `sfa.sparsify(x, k, values="int8")` and `sfa.quantize`, and have k of at most 1040.

    Features of non-zeros have to ascend in a row, each at most once, and be below d: on a CPU ValueError says
    where they do not; on a GPU nobody looks at them, and what comes of others is not defined. Attributes
    are read-only. Changing the tensors in place is allowed where the features stay as they have to be.

    `codes[0:2, :, 5:]` are views of a part of batch, heads and tokens; where scales are those of tiles, tokens are
    cut at multiples of 128. `copy` and `pickle` work, and `torch.load` takes codes of torch tensors once this package is
    imported.

    Raises TypeError (kind, dtype, scales without their granularity and dtype), ValueError (shapes, k, d, devices,
    features, granularity, scales that are not positive).
    """

    values = _constant("values", "[batch, heads, tokens, k]: what is kept of each row.")
    indices = _constant("indices", "[batch, heads, tokens, k]: the feature of each value.")
    d = _constant("d", "How many features a row has.")
    two_four = _constant("two_four", "Whether every aligned group of four features has two non-zeros at most.")
    scales = _constant("scales", "What values of 8 bits are multiplied by, f32; None of other values.")
    granularity = _constant("granularity", "Which values share a scale, \"tile\", \"token\" or \"head\"; None without scales.")

    def __init__(self, values: Any, indices: Any, d: int, scales: Any = None, granularity: Granularity | None = None,
                 dtype: Any = None) -> None:
        self._dtype = _arrays.check_codes(values, indices, scales, d, granularity, dtype)
        self._values, self._indices, self._d, self._two_four = values, indices, int(d), False
        self._scales, self._granularity = scales, granularity

    @property
    def k(self) -> int:
        """How many features a row keeps."""
        return self._values.shape[3]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """That of the dense tensor: (batch, heads, tokens, d)."""
        return (*self._values.shape[:3], self._d)

    @property
    def dtype(self) -> Any:
        """That of the values; of 8-bit values the one of the numbers that they stand for."""
        return self._values.dtype if self._scales is None else self._dtype

    @property
    def device(self) -> Any:
        """Where the tensors are; "cpu" for arrays that do not say."""
        return getattr(self._values, "device", "cpu")

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors together."""
        return self._values.nbytes + self._indices.nbytes + (0 if self._scales is None else self._scales.nbytes)

    def dense(self) -> Any:
        """The dense tensor, see `sfa.densify`."""
        return densify(self)

    def to(self, device: Any = None, dtype: Any = None, non_blocking: bool = False) -> Codes:
        """Codes on another device, their values in another dtype; the indices keep theirs, and 8-bit values stay as they
        are: they stand for numbers of the other dtype then. What stays as it is
        is not copied. `codes.to("cuda")`, `codes.to(torch.float16)` and `codes.to("cuda", torch.float16)` are
        as of a torch tensor; arrays of numpy have no other device than "cpu".

        Raises TypeError (dtype that codes do not have on the device), ValueError (device)."""
        parts = [self._values, self._indices] + ([] if self._scales is None else [self._scales])
        parts, dtype = _arrays.move(parts, self._d, self._granularity, self.dtype, device, dtype, non_blocking)
        values, indices, scales = (*parts, None)[:3]
        return make(values, indices, self._d, self._two_four, scales, self._granularity, dtype)

    def __getitem__(self, key: Any) -> Codes:
        """Views of a part: up to three slices, of batch, heads and tokens, or `...`; steps are positive. Where scales are
        those of tiles, a slice of tokens begins at a multiple of 128 and has step 1.

        Raises TypeError (other keys), ValueError (steps, slices that cut a tile)."""
        parts = list(key) if isinstance(key, tuple) else [key]
        if sum(part is Ellipsis for part in parts) == 1 and len(parts) <= 4:
            place = next(i for i, part in enumerate(parts) if part is Ellipsis)
            parts[place:place + 1] = [slice(None)] * (4 - len(parts))
        if len(parts) > 3 or not all(isinstance(part, slice) for part in parts):
            raise errors.ArgumentTypeError(
                f"the key of codes is {key!r}; it has to be up to three slices, of batch, heads and tokens, such as "
                "[:, :, 2:5]; one row is a slice too, [:, :, 2:3]")
        for part in parts:
            if part.step is not None:
                _operations.integer("the step of a slice of codes", part.step, 1)
        scales = None if self._scales is None else self._scales[tuple(self._slices_of_scales(parts))]
        return make(self._values[tuple(parts)], self._indices[tuple(parts)], self._d, self._two_four, scales, self._granularity,
                    self._dtype)

    def _slices_of_scales(self, parts: list[Any]) -> list[Any]:
        """Those of the scales for these slices of the values."""
        if len(parts) < 3 or self._granularity == "token":
            return parts
        if self._granularity == "head":
            return parts[:2]
        begin, end, step = parts[2].indices(self._values.shape[2])
        tile = _operations.TOKENS_OF_SCALE
        if begin >= end:
            return [*parts[:2], slice(0, 0)]
        if begin % tile or step != 1:
            raise errors.ArgumentValueError(
                f"the slice of tokens of codes is {parts[2]}; {tile} tokens share a scale here, so that it has to begin at a "
                f"multiple of {tile} and have step 1: take scales=\"token\" for others")
        return [*parts[:2], slice(begin // tile, (end + tile - 1) // tile)]

    def __len__(self) -> int:
        """The batch."""
        return self._values.shape[0]

    def __reduce__(self) -> Any:
        parts = (self._values, _arrays.pack_indices(self._indices), self._d, self._two_four)
        return _restore, parts if self._scales is None else (*parts, self._scales, self._granularity, self._dtype)

    def __repr__(self) -> str:
        batch, heads, tokens, d = self.shape
        two_four = ", two_four" if self._two_four else ""
        integers = "" if self._scales is None else f", values=int8, scales={self._granularity}"
        return (f"Codes({batch}x{heads}x{tokens}x{d}, k={self.k}{two_four}{integers}, dtype={self.dtype}, "
                f"device={self.device})")


def make(values: Any, indices: Any, d: int, two_four: bool = False, scales: Any = None,
         granularity: Granularity | None = None, dtype: Any = None) -> Codes:
    """Codes of tensors that are right already."""
    codes = Codes.__new__(Codes)
    codes._values, codes._indices, codes._d, codes._two_four = values, indices, d, two_four
    codes._scales, codes._granularity, codes._dtype = scales, granularity, None if scales is None else dtype
    return codes


def _restore(values: Any, indices: Any, d: int, two_four: bool, scales: Any = None,
             granularity: Granularity | None = None, dtype: Any = None) -> Codes:
    """Codes from a file, which are checked as those of a caller are."""
    codes = Codes(values, _arrays.unpack_indices(indices), d, scales, granularity, dtype)
    codes._two_four = bool(two_four)
    return codes


# What torch.load may call for a file whose origin is not known.
_arrays.allow_in_files([_restore])


def cat(codes: Sequence[Codes], dim: int = 2) -> Codes:
    """Codes joined along the batch (dim 0), heads (1) or tokens (2, as for keys that a cache gets): new tensors.

    codes   at least one, all of the same d, k, dtype, device, kind and granularity of scales, and of the same shape but
            for dim. Where scales are those of tiles, all but the last are joined along tokens by whole tiles of 128;
            where they are those of heads, they cannot be joined along tokens

    Raises TypeError (what is not Codes, dtype, kind), ValueError (dim, d, k, shapes, devices, scales, none given)."""
    codes = list(codes)
    dim = _operations.integer("dim", dim, 0, 2)
    for number, part in enumerate(codes):
        if not isinstance(part, Codes):
            raise errors.ArgumentTypeError(
                f"part {number} of cat is a {type(part).__name__}; it has to be sfa.Codes, see sfa.sparsify")
    if not codes:
        raise errors.ArgumentValueError("cat has no codes to join; at least one is needed")
    first = codes[0]
    for number, part in enumerate(codes):
        if type(part._values) is not type(first._values) or part.dtype != first.dtype:
            raise errors.ArgumentTypeError(
                f"part {number} of cat is a {type(part._values).__name__} of {part.dtype} and part 0 a "
                f"{type(first._values).__name__} of {first.dtype}; all have to be of one kind and dtype")
        shapes = [list(x.shape[:dim]) + list(x.shape[dim + 1:]) + [x.k] for x in (part, first)]
        if shapes[0] != shapes[1] or part.device != first.device:
            raise errors.ArgumentValueError(
                f"part {number} of cat is {part} and part 0 {first}; all but dimension {dim} has to be the same")
        _check_scales_to_join(number, part, first, dim, number + 1 == len(codes))
    values, indices, scales = (None if getattr(first, name) is None else
                               _arrays.concatenate([getattr(part, name) for part in codes], dim)
                               for name in ("_values", "_indices", "_scales"))
    return make(values, indices, first._d, all(part._two_four for part in codes), scales, first._granularity, first._dtype)


def _check_scales_to_join(number: int, part: Codes, first: Codes, dim: int, is_last: bool) -> None:
    if part._granularity != first._granularity:
        raise errors.ArgumentValueError(
            f"part {number} of cat is {part} and part 0 {first}; all have to have 8-bit values with scales of one "
            "granularity, or none: see sfa.quantize")
    if dim != 2 or first._granularity in (None, "token"):
        return
    if first._granularity == "head":
        if number:
            raise errors.ArgumentValueError(
                "parts of cat have scales of heads, one for all tokens, which cannot be joined along tokens (dim 2); "
                "take scales=\"token\" or \"tile\"")
        return
    tokens, tile = part._values.shape[2], _operations.TOKENS_OF_SCALE
    if not is_last and tokens % tile:
        raise errors.ArgumentValueError(
            f"part {number} of cat has {tokens} tokens, and {tile} tokens share a scale; all parts but the last have to "
            f"have a multiple of {tile} tokens along dim 2: take scales=\"token\" for others")


def quantize(codes: Codes, scales: Granularity = "tile") -> Codes:
    """The same codes with values of 8 bits: `round(value / scale)`, to nearest even.

    codes    codes whose values are not 8-bit integers, with k of at most 1040
    scales   which values share a scale, see `sfa.Codes`. Let a be their largest magnitude: "tile" and "head"
             have the scale a / 127; of "token" it is searched, the first of a / 127, a / 126, ..., a / 96 with the
             least squared error of the row. Queries take "token", keys "tile": a GPU multiplies scores by the scale of a
             key tile once for all, and by those of queries row by row

    Where a is 0 the scale is 1, and where a / 127 is no normal f32, 2^-126. An infinity or a NaN makes the scale NaN,
    which shows in the output of an attention. On a GPU the codes are written out and found anew, so where x is at hand
    `sfa.sparsify(x, k, values="int8")` takes less time. Raises what `sparsify` raises."""
    if not isinstance(codes, Codes):
        raise errors.ArgumentTypeError(f"codes is a {type(codes).__name__}; it has to be sfa.Codes, see sfa.sparsify")
    if codes._scales is not None:
        raise errors.ArgumentValueError(
            f"codes is {codes}, which has 8-bit values already; quantize those that it was made of")
    _operations.check_granularity("scales", scales)
    given = codes._values
    if _arrays.is_tensor(given):
        values, indices, factors = _arrays.torch.quantize(given, codes._indices, codes._d, scales)
    else:
        values, indices, factors = _arrays.call("quantize", ("codes.values", "codes.indices"), (given, codes._indices), codes._d,
                                                scales)
    dtype = _arrays.logical_dtype(given, _arrays.convert("codes.values", given), values)
    return make(values, indices, codes._d, codes._two_four, factors, scales, dtype)


def densify(codes: Codes) -> Any:
    """Codes written out: [batch, heads, tokens, d] in the dtype of the codes, 0 where a row has no
    value; 8-bit values are multiplied by their scales. Raises what `sparsify` raises."""
    if not isinstance(codes, Codes):
        raise errors.ArgumentTypeError(
            f"codes is a {type(codes).__name__}; it has to be sfa.Codes, see sfa.sparsify")
    if _arrays.is_tensor(codes._values):
        return _arrays.torch.densify(codes._values, codes._indices, codes._scales, codes._d, codes._granularity,
                                     codes._dtype)[0]
    return _arrays.call("densify", ("codes.values", "codes.indices", "codes.scales"),
                        (codes._values, codes._indices, codes._scales), codes._d, codes._granularity, codes._dtype)[0]
