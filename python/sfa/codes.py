"""Codes: rows that keep k of their d features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from . import _arrays, _operations, errors


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
    """k of d features of each row, as two tensors.

    values   [batch, heads, tokens, k], f16, bf16 or (on a CPU) f32
    indices  [batch, heads, tokens, k], u8 where d <= 256, u16 above: the feature of each value,
             ascending in a row
    d        how many features a row has
    two_four whether every aligned group of four features has two non-zeros at most

    Rows with fewer than k non-zeros are padded with the value 0, whose feature does not matter. The two
    tensors may be torch tensors, numpy arrays or anything with `__dlpack__`, both of the same kind, and are
    not copied. Codes with two_four come from `sfa.sparsify` only.

    Features of non-zeros have to ascend in a row, each at most once, and be below d: on a CPU ValueError says
    where they do not; on a GPU nobody looks at them, and what comes of others is not defined. Attributes
    are read-only. Changing the tensors in place is allowed where the features stay as they have to be.

    `codes[0:2, :, 5:]` are views of a part of batch, heads and tokens; `copy` and `pickle` work, and
    `torch.load` takes codes of torch tensors once this package is imported.

    Raises TypeError (kind, dtype), ValueError (shapes, k, d, devices, features).
    """

    values = _constant("values", "[batch, heads, tokens, k]: what is kept of each row.")
    indices = _constant("indices", "[batch, heads, tokens, k]: the feature of each value.")
    d = _constant("d", "How many features a row has.")
    two_four = _constant("two_four", "Whether every aligned group of four features has two non-zeros at most.")

    def __init__(self, values: Any, indices: Any, d: int) -> None:
        _arrays.check_codes(values, indices, d)
        self._values, self._indices, self._d, self._two_four = values, indices, int(d), False

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
        """That of the values."""
        return self._values.dtype

    @property
    def device(self) -> Any:
        """Where both tensors are; "cpu" for arrays that do not say."""
        return getattr(self._values, "device", "cpu")

    @property
    def nbytes(self) -> int:
        """Bytes of both tensors together."""
        return self._values.nbytes + self._indices.nbytes

    def dense(self) -> Any:
        """The dense tensor, see `sfa.densify`."""
        return densify(self)

    def to(self, device: Any = None, dtype: Any = None, non_blocking: bool = False) -> Codes:
        """Codes on another device, their values in another dtype; the indices keep theirs. What stays as it is
        is not copied. `codes.to("cuda")`, `codes.to(torch.float16)` and `codes.to("cuda", torch.float16)` are
        as of a torch tensor; arrays of numpy have no other device than "cpu".

        Raises TypeError (dtype that codes do not have on the device), ValueError (device)."""
        values, indices = _arrays.move(self._values, self._indices, self._d, device, dtype, non_blocking)
        return make(values, indices, self._d, self._two_four)

    def __getitem__(self, key: Any) -> Codes:
        """Views of a part: up to three slices, of batch, heads and tokens, or `...`; steps are positive.

        Raises TypeError (other keys), ValueError (steps)."""
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
        return make(self._values[tuple(parts)], self._indices[tuple(parts)], self._d, self._two_four)

    def __len__(self) -> int:
        """The batch."""
        return self._values.shape[0]

    def __reduce__(self) -> Any:
        return _restore, (self._values, _arrays.pack_indices(self._indices), self._d, self._two_four)

    def __repr__(self) -> str:
        batch, heads, tokens, d = self.shape
        two_four = ", two_four" if self._two_four else ""
        return (f"Codes({batch}x{heads}x{tokens}x{d}, k={self.k}{two_four}, dtype={self.dtype}, "
                f"device={self.device})")


def make(values: Any, indices: Any, d: int, two_four: bool = False) -> Codes:
    """Codes of tensors that are right already."""
    codes = Codes.__new__(Codes)
    codes._values, codes._indices, codes._d, codes._two_four = values, indices, d, two_four
    return codes


def _restore(values: Any, indices: Any, d: int, two_four: bool) -> Codes:
    """Codes from a file, which are checked as those of a caller are."""
    codes = Codes(values, _arrays.unpack_indices(indices), d)
    codes._two_four = bool(two_four)
    return codes


# What torch.load may call for a file whose origin is not known.
_arrays.allow_in_files([_restore])


def cat(codes: Sequence[Codes], dim: int = 2) -> Codes:
    """Codes joined along the batch (dim 0), heads (1) or tokens (2, as for keys that a cache gets): new tensors.

    codes   at least one, all of the same d, k, dtype, device and kind, and of the same shape but for dim

    Raises TypeError (what is not Codes, dtype, kind), ValueError (dim, d, k, shapes, devices, none given)."""
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
    values, indices = (_arrays.concatenate([getattr(part, name) for part in codes], dim)
                       for name in ("_values", "_indices"))
    return make(values, indices, first._d, all(part._two_four for part in codes))


def densify(codes: Codes) -> Any:
    """Codes written out: [batch, heads, tokens, d] in the dtype of the values, 0 where a row has no
    value. Raises what `sparsify` raises."""
    if not isinstance(codes, Codes):
        raise errors.ArgumentTypeError(
            f"codes is a {type(codes).__name__}; it has to be sfa.Codes, see sfa.sparsify")
    if _arrays.is_tensor(codes._values):
        return _arrays.torch.densify(codes._values, codes._indices, codes._d)[0]
    return _arrays.call("densify", ("codes.values", "codes.indices"), (codes._values, codes._indices),
                        codes._d)[0]
