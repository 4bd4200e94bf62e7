"""Codes: rows that keep k of their d features."""

from . import _arrays, errors


class Codes:
    """k of d features of each row, as two tensors.

    values   [batch, heads, tokens, k], f16, bf16 or (on a CPU) f32
    indices  [batch, heads, tokens, k], u8 where d <= 256, u16 above: the feature of each value,
             ascending in a row
    d        how many features a row has
    two_four whether every aligned group of four features has two non-zeros at most

    Rows with fewer than k non-zeros are padded with the value 0. The two tensors may be torch
    tensors, numpy arrays or anything with `__dlpack__`, both of the same kind, and are not copied.
    Indices that are not below d raise ValueError on a CPU; on a GPU nobody looks at them. Codes with
    two_four come from `sfa.sparsify` only.
    """

    def __init__(self, values, indices, d):
        _arrays.check_codes(values, indices, d)
        self.values, self.indices, self.d, self.two_four = values, indices, int(d), False

    @property
    def k(self):
        """How many features a row keeps."""
        return self.values.shape[3]

    @property
    def shape(self):
        """That of the dense tensor: (batch, heads, tokens, d)."""
        return (*self.values.shape[:3], self.d)

    @property
    def dtype(self):
        """That of the values."""
        return self.values.dtype

    @property
    def device(self):
        """Where both tensors are; "cpu" for arrays that do not say."""
        return getattr(self.values, "device", "cpu")

    @property
    def nbytes(self):
        """Bytes of both tensors together."""
        return self.values.nbytes + self.indices.nbytes

    def dense(self):
        """The dense tensor, see `sfa.densify`."""
        return densify(self)

    def __repr__(self):
        batch, heads, tokens, d = self.shape
        two_four = ", two_four" if self.two_four else ""
        return (f"Codes({batch}x{heads}x{tokens}x{d}, k={self.k}{two_four}, dtype={self.dtype}, "
                f"device={self.device})")


def make(values, indices, d, two_four=False):
    """Codes of tensors that are right already."""
    codes = Codes.__new__(Codes)
    codes.values, codes.indices, codes.d, codes.two_four = values, indices, d, two_four
    return codes


def densify(codes):
    """Codes written out: [batch, heads, tokens, d] in the dtype of the values, 0 where a row has no
    value. Raises what `sparsify` raises."""
    if not isinstance(codes, Codes):
        raise errors.ArgumentTypeError(
            f"codes is a {type(codes).__name__}; it has to be sfa.Codes, see sfa.sparsify")
    return _arrays.call("densify", ("codes.values", "codes.indices"), (codes.values, codes.indices),
                        codes.d)[0]
