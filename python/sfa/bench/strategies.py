"""The strategies by features kept, head size and supports, against other implementations on the same codes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

import sfa
from sfa import _library, _module
from sfa.codes import Granularity
from sfa.errors import ArgumentTypeError, ArgumentValueError, CompileError
from . import supports
from .cpu import DTYPES
from .gpu import Chip, native_chips
from .peers import CPU_PEERS, CUDNN, PEERS
from .problem import QUERY_SCALES, write_out
from .timing import ERROR_BOUND, Contestant, attention_of_rows, measure

GPU_PEERS = (CUDNN, "FA2 (torch)", "FA3", "FA4")
SAMPLED_ROWS = 32
KEY_SCALES: Granularity = "tile"

OK, WRONG, REFUSED, FAILED, MISSING = "ok", "WRONG", "refused", "failed", "n/a"
"""Statuses of a row: right; its error is above the bound; the compiler or the package does not take the problem; anything else that
went wrong in ours; a peer that cannot be measured."""


@dataclasses.dataclass(frozen=True)
class Strategy:
    """A row of a table.

    form      which operands it takes, as `Operands` names them
    schedule  None leaves all to the compiler
    prepared  the form whose preparation does not count in the second column, or None
    note      what the second column leaves out, or why there is none
    """

    form: str
    schedule: str | None
    prepared: str | None
    note: str


_ROWS_GIVEN = "none: the rows are there before the clock starts"
_INSIDE = "none: the program prepares its operands itself"
STRATEGIES = {
    "dense-rows": Strategy("rows", "strategy = dense", None, _ROWS_GIVEN),
    "dense": Strategy("codes", "strategy = dense", "rows", "without expanding the codes"),
    "int8": Strategy("codes to int8", "strategy = dense", "int8 codes",
                     "without rounding the values to 8 bits; expanding the 8-bit codes still counts"),
    "sparse_mma": Strategy("codes", "strategy = sparse_mma", "codes, rows", "without expanding the codes of keys"),
    "sparse_mma-2:4": Strategy("2:4 codes", "strategy = sparse_mma", "2:4 codes, rows", "without expanding the codes of keys"),
    "gather": Strategy("codes", "strategy = gather", None, _INSIDE),
    "scatter": Strategy("codes", "strategy = scatter", None, _INSIDE),
    "auto": Strategy("codes", None, None, _INSIDE),
}
CHOICES = ("dense", "sparse_mma", "gather", "scatter")
"""What the compiler chooses from: the strategies on the codes as they are."""


def sampled_rows(n, generator):
    """Some queries in ascending order, the last one among them."""
    count = min(SAMPLED_ROWS, n)
    others = torch.randperm(n - 1, generator=generator, device=generator.device)[:count - 1]
    return torch.cat([others, torch.tensor([n - 1], device=generator.device)]).sort().values


def error_of_rows(out, expected):
    """The root mean square of the relative errors of rows: a row counts as much as any other, however long it is."""
    return ((out.double() - expected).square().sum(-1) / expected.square().sum(-1)).mean().sqrt().item()


class Operands:
    """The same queries and keys in the forms that strategies take, each made when it is first asked for, and what attention on
    them should give.

    codes          k features of each token
    2:4 codes      other codes: of those features at most two of every four
    int8 codes     the codes with values of 8 bits, queries with a scale for a token, keys with one for a tile
    rows           the codes, written out
    codes to int8  the codes, which become 8-bit codes within a call
    codes, rows    queries as codes and keys written out; so does `2:4 codes, rows`
    """

    def __init__(self, kind, shape, k, causal, dtype, generator, folder=None):
        self.causal = causal
        if kind == supports.REAL:
            q, k_rows, self.v = supports.real_rows(folder, shape, dtype, generator.device)
            make = lambda two_four: tuple(sfa.sparsify(x, k, two_four) for x in (q, k_rows))
        else:
            rankings = supports.rankings(kind, shape, generator)
            self.v = torch.randn(shape, generator=generator, device=generator.device).to(dtype)
            # Which forms are asked for first does not change the data.
            seed = generator.initial_seed() + 1

            def make(two_four):
                own = torch.Generator(generator.device).manual_seed(seed)
                return tuple(supports.codes_of_rankings(x, k, dtype, own, two_four) for x in rankings)
        self._make_codes = functools.cache(make)
        self.rows = sampled_rows(shape[2], generator)
        self._expected: dict[str, torch.Tensor] = {}

    @functools.cached_property
    def written(self):
        return tuple(codes.dense() for codes in self._make_codes(False))

    @functools.cached_property
    def integers(self):
        return tuple(sfa.quantize(codes, scales) for codes, scales in zip(self._make_codes(False), (QUERY_SCALES, KEY_SCALES)))

    @functools.cached_property
    def two_four(self):
        """2:4 codes, and their keys written out."""
        q, k = self._make_codes(True)
        return q, k, k.dense()

    def function(self, form, schedule) -> Callable[[], Any]:
        """A call of attention on this form."""
        attend = functools.partial(sfa.attention, causal=self.causal, schedule=schedule)
        q, k = self._make_codes(form.startswith("2:4"))
        if form == "codes to int8":
            return lambda: attend(sfa.quantize(q, QUERY_SCALES), sfa.quantize(k, KEY_SCALES), self.v)
        if form == "int8 codes":
            q, k = self.integers
        elif form == "rows":
            q, k = self.written
        elif form == "codes, rows":
            k = self.written[1]
        elif form == "2:4 codes, rows":
            q, _, k = self.two_four
        return lambda: attend(q, k, self.v)

    def error(self, out, form):
        """Of an output against fp64 attention on the very numbers of this form."""
        kind = "int8" if "int8" in form else "2:4" if form.startswith("2:4") else "codes"
        if kind not in self._expected:
            operands = self.integers if kind == "int8" else self._make_codes(kind == "2:4")
            q, k = map(write_out, operands)
            self._expected[kind] = attention_of_rows(q, k, self.v, self.rows, self.causal)
        return error_of_rows(out[:, :, self.rows], self._expected[kind])


def first_line(error):
    """What an error says first; of one of the compiler, what follows its place in the module."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    found = next((line.partition(" error: ")[2] for line in lines if " error: " in line), lines[0])
    return " ".join(found.split())


def status_of(contestant, error):
    """The status of a row, and its reason where there is no time."""
    if contestant.milliseconds is not None:
        return (OK if error is not None and error < ERROR_BOUND else WRONG), None
    failure = contestant.error
    if contestant.group == "peer":
        return MISSING, contestant.reason
    is_refused = isinstance(failure, (CompileError, ArgumentValueError, ArgumentTypeError))
    return (REFUSED if is_refused else FAILED), first_line(failure)


class _Chips:
    """What kernels are compiled for: the names, and a function under each."""

    def __init__(self, options):
        is_cpu = options.device == "cpu"
        self._chips = {"cpu": None} if is_cpu else {name: Chip(name) for name in options.chip or native_chips()[:1]}
        self.names = list(self._chips)

    def bound(self, name, function):
        chip = self._chips[name]
        return function if chip is None else chip.bound(function)


def chosen_strategy(shape, k, dtype, causal, chip):
    """The strategy that the compiler chooses for codes of this shape, or None where it does not say."""
    _, heads, _, d = shape
    codes = [(*shape[:3], k)] * 2
    try:
        module = _module.attention(q_heads=heads, kv_heads=heads, d=d, dv=d, dtype=dtype, q_k=k, k_k=k,
                                   mask=_module.mask_text(causal, (None, None)))
        text = _library.jit_schedules(module, None if chip == "cpu" else chip, [*codes, *codes, shape])
        return dict(part.split(" = ") for part in text.split(", ")).get("strategy")
    except Exception:
        return None


def sweep(options) -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]], str | None]]:
    """Yields a table for each d, n, mask, kind of supports and k: title, record, rows, and None or why there are no rows."""
    chips = _Chips(options)
    for d, n, causal, kind, k in itertools.product(options.d, options.n, options.causal, options.data, options.k):
        shape = options.batch, max(1, options.heads_total // d), n, d
        yield measure_problem(options, chips, shape, causal, kind, min(k, d))
        if options.device == "cuda":
            # It raises once a kernel has failed; what follows says so, too.
            with contextlib.suppress(RuntimeError):
                torch.cuda.empty_cache()


def measure_problem(options, chips, shape, causal, kind, k):
    batch, heads, n, d = shape
    title = (f"strategies, data {kind}, k = {k}, batch {batch}, {heads} heads, {n} tokens, d = dv = {d}, {options.dtype}, "
             f"{'causal' if causal else 'no mask'}")
    record = dict(op="strategies", device=options.device, data=kind, k=k, batch=batch, heads=heads, n=n, d=d, causal=causal,
                  dtype=options.dtype, repeats=options.repeats, seed=options.seed)
    try:
        generator = torch.Generator(options.device).manual_seed(options.seed)
        operands = Operands(kind, shape, k, causal, DTYPES[options.dtype], generator, options.real)
    except Exception as error:
        return title, record, [], f"failed: {first_line(error)}"
    errors: dict[str, float] = {}

    def add(name, form, make, group):
        def check(out):
            errors[name] = operands.error(out, form)
        return Contestant(name, make, check, group)

    def ours(name, chip, form, schedule):
        return add(name, form, lambda: chips.bound(chip, operands.function(form, schedule)), "sfa")

    lines: list[tuple[dict[str, Any], Contestant, Contestant | None]] = []
    for chip, name in itertools.product(chips.names, options.strategies):
        strategy = STRATEGIES[name]
        shown = name if len(chips.names) == 1 else f"{name}, {chip}"
        prepared = strategy.prepared and ours(f"{shown}, prepared", chip, strategy.prepared, strategy.schedule)
        choice = chosen_strategy(shape, k, options.dtype, causal, chip) if strategy.schedule is None else None
        lines.append((dict(name=f"{shown} ({choice})" if choice else shown, label=shown, group="sfa", strategy=name, chip=chip,
                           choice=choice, prepared_note=strategy.note),
                      ours(shown, chip, strategy.form, strategy.schedule), prepared or None))
    peers = CPU_PEERS if options.device == "cpu" else {name: PEERS[name] for name in GPU_PEERS}
    for name, make in peers.items():
        call = lambda m=make: m(*operands.written, operands.v, causal)
        lines.append((dict(name=name, label=name, group="peer", strategy=None, chip=None, choice=None, prepared_note=_ROWS_GIVEN),
                      add(name, "rows", call, "peer"), None))
    contestants = [each for _, *both in lines for each in both if each is not None]
    try:
        measure(contestants, options.repeats, on_cpu=options.device == "cpu")
    except Exception as error:
        for contestant in contestants:
            if contestant.error is None:
                contestant.give_up(error)
    rows = [_row(about, contestant, prepared, errors) for about, contestant, prepared in lines]
    times = {row["name"]: row["ms"] for row in rows if row["group"] == "peer" and row["status"] == OK}
    for row in rows:
        row["ratios"] = {name: ms / row["ms"] for name, ms in times.items()} if row["ms"] else {}
        row["cudnn"], row["fa3"] = row["ratios"].get(CUDNN), row["ratios"].get("FA3")
        row["best_peer"] = min(row["ratios"].values(), default=None)
    return title, record, rows, None


def _row(about, contestant, prepared, errors):
    """The figures of a line. `remark` is what a reader has to know besides the numbers."""
    error = _finite(errors.get(contestant.name))
    status, reason = status_of(contestant, error)
    row = dict(about, ms=contestant.milliseconds, samples=contestant.samples, status=status, reason=reason, error=error,
               prepared_ms=None, prepared_samples=[], prepared_status=None, prepared_error=None,
               remark=WRONG if status == WRONG else None)
    if prepared is None:
        return row
    error = _finite(errors.get(prepared.name))
    prepared_status, prepared_reason = status_of(prepared, error)
    row.update(prepared_ms=prepared.milliseconds, prepared_samples=prepared.samples, prepared_status=prepared_status,
               prepared_error=error)
    if prepared_reason is not None:
        row["prepared_note"] = f"{prepared_status}: {prepared_reason}"
    if prepared_status != OK and status == OK:
        why = prepared_reason or ("error NaN" if error is None else f"error {error:.1e}")
        row["remark"] = f"prepared: {prepared_status}: {why}"
    return row


def _finite(error):
    """JSON has no other numbers."""
    return error if error is not None and math.isfinite(error) else None


def is_bad(row):
    """Whether a row makes a run fail: one that is wrong, whoever it is of, and one of ours that failed without being refused."""
    return bool({row["status"], row["prepared_status"]} & {WRONG, FAILED})
