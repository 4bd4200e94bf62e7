"""One problem of attention in all forms that a measurement calls, and the errors of what they give."""

from typing import Any

import torch

import sfa
from sfa.codes import Granularity
from .timing import last_rows, make_check, relative_error

QUERY_SCALES: Granularity = "token"
"""Of 8-bit queries; `--scales` are those of keys."""


def write_out(codes):
    """Codes as dense rows in fp64; products of 8-bit values and their scales are exact there."""
    values = codes.values.double()
    if codes.scales is not None:
        scales = codes.scales.double()
        if codes.granularity == "tile":
            scales = scales.repeat_interleave(128, -1)[..., :values.shape[2]]
        values = values * scales.unsqueeze(-1)
    rows = torch.zeros(codes.shape, dtype=torch.float64, device=values.device)
    # Padding, a value of 0, may have the feature of another value.
    return rows.scatter_add_(-1, codes.indices.to(torch.int64), values)


class Problem:
    """Queries, keys and values, as they are and with k features of each query and key kept; where `scales` is given,
    also with values of 8 bits.

    forms    what `attend` can be called with
    errors   by the names of contestants, once they were checked: the relative error of the last rows in the root mean
             square, against fp64 attention on what the contestant was given; and against fp64 attention on the same codes
             before they got 8-bit values, None for forms without those
    """

    def __init__(self, raw, k, causal, scales=None):
        self.v, self.causal = raw[2], causal
        self.errors: dict[str, tuple[float, float | None]] = {}
        codes = [sfa.sparsify(x, k) for x in raw[:2]]
        self.q, self.k = (x.dense() for x in codes)
        self._expected = last_rows(self.q, self.k, self.v)(causal)
        self._calls: dict[str, tuple[Any, dict[str, Any]]] = {
            "codes": (codes, {}), "topk": (raw[:2], dict(topk=k)), "dense": ((self.q, self.k), {})}
        if scales is not None:
            integers = [sfa.sparsify(x, k, values="int8", scales=each) for x, each in zip(raw, (QUERY_SCALES, scales))]
            q, k_rows = map(write_out, integers)
            self._expected_of_integers = last_rows(q, k_rows, self.v)(causal)
            self._calls = {"int8 codes": (integers, {}), "int8 topk": (raw[:2], dict(topk=k, values="int8", scales=scales)),
                           **self._calls}

    @property
    def forms(self):
        return list(self._calls)

    def attend(self, form, schedule=None):
        """The output of attention on operands of this form."""
        (q, k), options = self._calls[form]
        return sfa.attention(q, k, self.v, causal=self.causal, schedule=schedule, **options)

    def check(self, name, form="dense"):
        """What keeps the errors of a result of contestant `name`, and raises where it is wrong."""
        is_integer = form.startswith("int8")
        expected = self._expected_of_integers if is_integer else self._expected
        refuse_wrong = make_check(expected)

        def look(out):
            self.errors[name] = relative_error(out, expected), relative_error(out, self._expected) if is_integer else None
            refuse_wrong(out)
        return look
