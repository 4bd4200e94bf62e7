"""What the compiler chooses and why, the problems that a program has, and the tuner for them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from . import _arrays, _library, _operations, _recorded, errors
from ._plan import CPU, PlanTable
from ._recorded import Problems
from .api import _check_dtype
from .codes import Codes, Granularity

DATABASE_KNOB = "SFA_TUNING_DATABASE"


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What the compiler chooses for an attention, and why. As text it is a sentence.

    schedule  such as "strategy = dense, softmax = lazy, q_tile = 64, ..."
    ground    "measured": this problem is in a database of tuned schedules; "nearby": one of other sizes is; "estimated": none
              is, and the choice is the cost model's
    reason    of which measurement, with which times, or why there is none
    """

    schedule: str
    ground: Literal["measured", "nearby", "estimated"]
    reason: str

    def __str__(self) -> str:
        return f"The schedule is \"{self.schedule}\" ({self.ground}): {self.reason}."


def _parts(name: str, x: Any, v: Any) -> tuple[Any, Any, Any, int | None, str | None]:
    """Values, indices, scales, features and granularity of an operand; of a dense one itself."""
    if not isinstance(x, Codes):
        return x, None, None, None, None
    _check_dtype(name, x, v)
    return x._values, x._indices, x._scales, x._d, x._granularity


def explain(q: Any, k: Any, v: Any, *, topk: int | None = None, causal: bool = False,
            window: tuple[int | None, int | None] | None = None, scale: float | None = None, cu_seqlens: Any = None,
            return_lse: bool = False, schedule: str | None = None, values: Literal["int8"] | None = None,
            scales: Granularity | None = None) -> Explanation:
    """What the compiler chooses for `sfa.attention` with the same arguments, and why. Neither runs nor compiles anything, and
    does not look at the contents of tensors.

    All arguments are those of `sfa.attention`.

    Returns an Explanation, with `schedule`, `ground` and `reason`. Of CUDA tensors it is that of their device, whose driver has
    to be there. Of tensors on a CPU it is what this CPU would best run for a problem of these sizes, while `sfa.attention`
    compiles one function for all sizes there, by the cost model.

    Raises what `sfa.attention` raises of its arguments, and RuntimeError (library, driver, compiler, and where
    SFA_TUNING_DATABASE or SFA_SCHEDULE holds what it must not).
    """
    granularity = None
    if values is not None or scales is not None:
        granularity = _operations.quantization(values, scales)
        if scales is not None and isinstance(k, Codes):
            raise errors.ArgumentValueError(
                f"scales is {scales!r}, but k is codes already; it is for a dense k: leave it out")
    offsets = (None, None) if cu_seqlens is None else _operations.sequence_offsets(cu_seqlens)
    *q_parts, q_d, q_granularity = _parts("q", q, v)
    *k_parts, k_d, k_granularity = _parts("k", k, v)
    names = ("q" if q_d is None else "q.values", "q.indices", "q.scales", "k" if k_d is None else "k.values", "k.indices",
             "k.scales", "v", *_operations.OFFSET_NAMES)
    request = _arrays.ask("attention_request", names, (*q_parts, *k_parts, v, *offsets), q_d, k_d, q_granularity,
                          k_granularity, topk, granularity, causal, window, scale, return_lse, schedule)
    return explain_request(request)


def explain_request(request: Any, chip: str | None = None) -> Explanation:
    """The same of a request of `_operations`, for its device; with `chip`, such as "sm_90a", for the product that is most in use
    of that, which needs no driver."""
    shapes = [view.shape for view in request.arguments] + [()] * request.takes_scale
    device = request.device if chip is None else CPU
    choice, = json.loads(_library.jit_explain(request.module, chip, device, shapes))
    return Explanation(choice["schedule"], choice["ground"], choice["reason"])


_lock = threading.Lock()
_usual_plans: list[tuple[Any, PlanTable]] = []
"""The tables of plans that implementations had before somebody recorded."""


@contextlib.contextmanager
def record() -> Iterator[Problems]:
    """Collects each different attention problem that is asked for within the block, by any thread of the process, also where
    its program is compiled already:

        with sfa.record() as problems:
            model(tokens)
        problems.save("mine.json")

    Gives Problems, a sequence of dictionaries, which grows within the block. Calls that fail are not among them, nor are
    replays of CUDA graphs and what is not tuned, see `Problems.left_out`. Within the block the first call of each kind looks
    for its program again, some tens of microseconds; outside of it nothing is slower.
    """
    global _usual_plans
    problems = Problems()
    implementations = [module for module in (_arrays.torch, _arrays.numpy) if module is not None]
    with _lock:
        if not _recorded.recorders:
            _usual_plans = [(module, module._plans) for module in implementations]
        for module in implementations:
            module._plans = PlanTable()
        _recorded.recorders += (problems,)
    try:
        yield problems
    finally:
        with _lock:
            _recorded.recorders = tuple(other for other in _recorded.recorders if other is not problems)
            if not _recorded.recorders:
                for module, plans in _usual_plans:
                    module._plans = plans
                _usual_plans = []


def find_tuner() -> list[str]:
    """The beginning of a command that runs sfa-tune: the one of the library, in the folder beside its own or inside of it, or
    one of PATH."""
    library = _library.path().resolve()
    beside = library.parent.parent / "bin" / "sfa-tune"
    if os.access(beside, os.X_OK) and beside.is_file():
        return [str(beside)]
    if hasattr(_library.load(), "sfa_tool_main"):
        return [sys.executable, "-I", str(pathlib.Path(__file__).with_name("_tool.py")), str(library), "tune"]
    found = shutil.which("sfa-tune")
    if found is not None:
        return [found]
    raise errors.LibraryError(
        f"there is no sfa-tune: {library} does not hold it, and it is neither {beside} nor in PATH; it comes with the archive "
        "of tools and inside of the library of the wheel, and in a build tree `ninja -C build sfa-tune` makes it")


def run_tuner(arguments: Sequence[str]) -> int:
    """Runs sfa-tune in a process of its own and shows its output. Returns its exit status."""
    command = [*find_tuner(), *arguments]
    sys.stdout.flush()
    try:
        shares_output = sys.stdout.fileno() == 1
    except (OSError, ValueError, AttributeError):  # a notebook, or a test
        shares_output = False
    if shares_output:
        return subprocess.run(command).returncode
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
        return process.wait()


def _budget_text(budget: str | float) -> str:
    if isinstance(budget, bool) or not isinstance(budget, (str, int, float)):
        raise errors.ArgumentTypeError(
            f"budget is {budget!r}; it has to be a number of seconds, or text such as \"90s\", \"10min\" or \"2h\"")
    text = budget if isinstance(budget, str) else f"{budget}s"
    if not re.fullmatch(r"(?=.*[1-9])\d+(\.\d+)?(s|min|h)?", text):
        raise errors.ArgumentValueError(
            f"budget is {budget!r}; it has to be a positive number of seconds, or text such as \"90s\", \"10min\" or \"2h\"")
    return text


def _target_arguments(target: str) -> list[str]:
    kind, separator, number = target.partition(":") if isinstance(target, str) else (None, "", "")
    if kind not in ("cpu", "cuda") or (separator and (kind == "cpu" or not number.isdecimal())):
        raise errors.ArgumentValueError(
            f"target is {target!r}; it has to be \"cpu\", \"cuda\", or \"cuda:\" and the number of a GPU")
    return ["--target", kind, *(["--device", number] if separator else [])]


def _on_target(problems: Problems, target: str | None) -> tuple[list[dict[str, Any]], str]:
    """Those of the problems that were asked for on `target`, and the target, which is theirs where it is None."""
    devices = sorted(set(problems.devices))
    if target is None:
        if len(devices) > 1:
            raise errors.ArgumentValueError(
                f"problems were recorded on {' and '.join(devices)}; say with target which of them to tune")
        target = devices[0] if devices else "cuda"
    _target_arguments(target)
    kept = [problem for problem, device in zip(problems, problems.devices)
            if device == target or device.partition(":")[0] == target]
    if not kept:
        left_out = "".join(f"; {reason}" for reason in problems.left_out)
        raise errors.ArgumentValueError(
            f"there is no problem on {target} to tune: recorded were {len(problems)} on {', '.join(devices) or 'any device'}"
            f"{left_out}")
    return kept, target


def tune(what: Callable[[], object] | Iterable[Mapping[str, Any]], *, database: str | os.PathLike[str],
         budget: str | float | None = None, target: str | None = None) -> pathlib.Path:
    """Finds the fastest schedules of attention problems on this machine, by measuring, and keeps them in a database.

    what      problems as `sfa.record` collects them, a list of dictionaries; or a function without arguments that is called
              once, and whose problems are recorded meanwhile
    database  a file, which is made where there is none; what it has already from this build is not tuned again
    budget    how long to work: seconds, or text such as "90s", "10min" or "2h"; None works to the end, a minute or so a problem
    target    "cuda" for the first GPU, "cuda:1" for another one, or "cpu"; None is where the problems were recorded, and the
              first GPU of plain dictionaries

    Runs `sfa-tune` in a process of its own and shows what it prints. The GPU should have nothing else to do meanwhile, and
    memory for the problems besides what this process holds. An interrupted call goes on where it was when it is repeated.

    Returns the absolute path of the database, and prints that the environment variable SFA_TUNING_DATABASE has to name it
    before the library is first used: a process reads its databases once.

    Raises TypeError and ValueError (arguments, no problem to tune), RuntimeError (no sfa-tune, or it fails: what it printed
    says why), OSError (files).
    """
    arguments = [] if budget is None else ["--budget", _budget_text(budget)]
    if target is not None:
        _target_arguments(target)
    if callable(what):
        with record() as problems:
            what()
        what = problems
    if isinstance(what, Problems):
        chosen, target = _on_target(what, target)
    else:
        if isinstance(what, (str, bytes, Mapping)) or not isinstance(what, Iterable):
            raise errors.ArgumentTypeError(
                f"what is a {type(what).__name__}; it has to be a list of problems, as sfa.record collects them, or a function "
                "that computes what is to be tuned")
        chosen, target = [dict(problem) for problem in what], target or "cuda"
        if not chosen:
            raise errors.ArgumentValueError("what holds no problem; it has to hold at least 1, as sfa.record collects them")
    path = pathlib.Path(database).absolute()
    with tempfile.TemporaryDirectory(prefix="sfa-tune-") as folder:
        cases = pathlib.Path(folder, "cases.json")
        cases.write_text(json.dumps(chosen), encoding="utf-8")
        status = run_tuner(["--database", str(path), "--cases", str(cases), *_target_arguments(target), *arguments])
    if status != 0:
        raise errors.RunError(f"sfa-tune has ended with status {status}; what it printed says why")
    if str(path) not in os.environ.get(DATABASE_KNOB, "").split(":"):
        print(f"Schedules are in {path}. They count in processes that start with {DATABASE_KNOB}={path}, or that set it before "
              "their first call of sfa.")
    return path
