#!/usr/bin/env python3
"""The performance gate of FlashSFA; scripts/gpu-bench.sh runs this and says what it takes."""

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from gpu_bench_studies import Studies, build_studies

PARTS = ("forward", "long", "guard", "short", "flash2", "integers", "strategies", "sparsify")
PART_SECONDS = {part: 240 if part == "long" else 110 for part in PARTS}
"""A part starts no further measurement after this; what is left is skipped."""
REPEATS = 9
FORWARD_REPEATS = 6
STUDY_ROUNDS = 3
REST_SECONDS = 0.2
"""Before a sample that is compared with the studies, which rest before theirs."""

# Time of this build divided by that of the one that --against names, at most.
AGAINST = 1.015
AGAINST_SECONDS = 400
SAMPLE_MS = 4.0
"""Short functions are called several times a sample."""

# Speed of ours divided by that of the other, at least.
STUDY = 0.95
CUDNN = {(64, "lazy"): {16384: 1.2, 65536: 1.2},
         (128, "online"): {16384: 1.15, 65536: 1.1}, (128, "lazy"): {16384: 1.35, 65536: 1.2},
         (256, "online"): {16384: 1.0, 65536: 1.0}, (256, "lazy"): {16384: 1.1, 65536: 1.1}}
CUDNN_SHORT = 1.0
FLASH2 = 1.0
GUARD = 0.9
# Codes of 8 bits, with what makes dense rows of them: against cuDNN and FlashAttention-3 on the same codes, by d and mask.
INTEGERS = {(64, True): (1.31, 1.05), (128, True): (1.36, 1.09), (128, False): (1.24, 1.05), (256, True): (1.63, 1.22)}
# What the compiler chooses for bf16 codes: against cuDNN on the same codes, and against the fastest strategy on them.
STRATEGIES_K = 8
AUTO_CUDNN = {64: 1.15, 128: 1.2, 256: 1.25}
AUTO_BEST = 0.95
# Part of the bandwidth of a copy, by d and k.
SPARSIFY = {(64, 8): 0.7, (128, 8): 0.8, (256, 8): 0.7,
            **{(d, k): 0.6 for d in (64, 128, 256) for k in (16, 32)}}


#===--- Checks ---------------------------------------------------------------------------------===#

class Gate:
    """Collects and prints the checks."""

    def __init__(self):
        self.checks, self.part, self.deadline = [], "", 0.0

    def begin(self, part, seconds=None):
        self.part, self.deadline = part, time.monotonic() + (seconds or PART_SECONDS[part])

    def is_late(self):
        return time.monotonic() > self.deadline

    def add(self, name, ratio, target, detail="", reason=None, is_most=False):
        """A ratio of None was not measured, for `reason`. With `is_most` it may be `target` at most, otherwise at
        least."""
        digits = 3 if is_most else 2
        passes = ratio is not None and (ratio <= target if is_most else ratio >= target)
        result = "skipped" if ratio is None else "pass" if passes else "FAIL"
        self.checks.append(dict(part=self.part, name=name, ratio=ratio, target=target, result=result, detail=detail,
                                reason=reason))
        number = f"{ratio:7.{digits}f}" if ratio is not None else f"{'-':>7}"
        print(f"{self.part:9} {name:58} {number} {target:7.{digits}f}  {result:8}"
              f"{detail if ratio is not None else reason}", flush=True)

    def fail(self, name, reason):
        """Something that is no ratio went wrong."""
        self.checks.append(dict(part=self.part, name=name, ratio=None, target=None, result="FAIL", detail="",
                                reason=reason))
        print(f"{self.part:9} {name:58} {'-':>7} {'-':>7}  {'FAIL':8}{reason}", flush=True)

    def compare_strategies(self, name, rows, target):
        """Rows of a table of `python -m sfa.bench --op strategies`: none may be wrong, and `auto` is compared with cuDNN and
        with the fastest of the strategies that take the same codes."""
        from sfa.bench.strategies import CHOICES, OK, REFUSED, is_bad
        for row in rows:
            if is_bad(row):
                self.fail(f"{name}, {row['name']}", f"{row['remark'] or row['status']}: {row['reason'] or row['error']}")
            elif row["status"] == REFUSED and row["strategy"] != "auto":
                self.add(f"{name}, {row['name']}", None, AUTO_BEST, reason=f"refused: {row['reason']}")
        auto = next(row for row in rows if row["strategy"] == "auto")
        if auto["ms"] is None:
            self.fail(f"{name}, auto", f"ours cannot be measured: {auto['reason']}")
            return
        cudnn, choices = auto["cudnn"], [row for row in rows if row["strategy"] in CHOICES and row["status"] == OK]
        self.add(f"{name}, {auto['name']} / cuDNN", cudnn, target, f"{auto['ms']:.3f} ms", reason="cuDNN cannot be measured")
        best = min(choices, key=lambda row: row["ms"], default=None)
        self.add(f"{name}, {auto['name']} / best", best and best["ms"] / auto["ms"], AUTO_BEST,
                 best and f"{auto['ms']:.3f} ms, {best['name']} {best['ms']:.3f} ms", reason="no strategy can be measured")

    def compare(self, name, ours, other, target):
        """Times of two contestants; either may be a (milliseconds, reason)."""
        (our_ms, our_reason), (other_ms, other_reason) = ours, other
        if our_ms is None:
            self.fail(name, f"ours cannot be measured: {our_reason}")
        elif other_ms is None:
            self.add(name, None, target, reason=other_reason)
        else:
            self.add(name, other_ms / our_ms, target, f"{our_ms:.3f} ms, {other_ms:.3f} ms")


    def compare_builds(self, name, new, old):
        """Samples in milliseconds of two builds; either may be the reason why there are none."""
        if isinstance(new, str):
            self.fail(name, f"this build cannot be measured: {new}")
        elif isinstance(old, str):
            self.add(name, None, AGAINST, reason=f"the other build cannot be measured: {old}", is_most=True)
        else:
            new, old = statistics.median(new), statistics.median(old)
            self.add(name, new / old, AGAINST, f"{new:.3f} ms, before {old:.3f} ms", is_most=True)


def outcome(contestant):
    return contestant.milliseconds, contestant.reason


def words(n, d, causal, *more):
    return " ".join([f"d={d}", f"n={n}", "causal" if causal else "full", *more])


class Kernels:
    """Data, and functions of this package on them; needs torch and a GPU."""

    def __init__(self):
        import torch

        import sfa
        from sfa.bench.gpu import Chip, native_chips
        self.torch, self.sfa = torch, sfa
        self.generator = torch.Generator("cuda").manual_seed(1)
        self.chips = {name: Chip(name) for name in ("sm_80", *native_chips())}
        self.native = native_chips()[0]

    def normal(self, *shape):
        return self.torch.randn(shape, generator=self.generator, device="cuda").to(self.torch.bfloat16)

    def problem(self, n, d, data, heads=None, batch=1):
        """Queries, keys and values: "randn"; "sfa", codes of 8 features, written out, with the scores of the studies;
        "codes" of 8 features; "int8", the same in 8 bits; or "growing" scores, which trip the guard of a lazy softmax in every
        tile."""
        q, k, v = (self.normal(batch, heads or 2048 // d, n, d) for _ in range(3))
        if data == "sfa":
            q, k = (2 * self.sfa.sparsify(x, 8).dense() for x in (q, k))
        if data == "codes":
            q, k = (self.sfa.sparsify(x, 8) for x in (q, k))
        if data == "int8":
            q, k = (self.sfa.sparsify(x, 8, values="int8", scales=s) for x, s in ((q, "token"), (k, "tile")))
        if data == "growing":
            # 100 nats more from each tile of 128 keys to the next.
            growth = (100 / 128 * n * d ** 0.5) ** 0.5
            q[..., 0] = growth
            k[..., 0] = growth * self.torch.arange(n, device="cuda") / n
        return q, k, v

    def attention(self, q, k, v, causal, softmax=None, chip=None, strategy=None):
        given = (("softmax", softmax), ("strategy", strategy))
        schedule = ", ".join(f"{name} = {value}" for name, value in given if value) or None
        return self.chips[chip or self.native].bound(
            lambda: self.sfa.attention(q, k, v, causal=causal, schedule=schedule))

    def sparsify(self, x, k, return_dense):
        return self.chips[self.native].bound(lambda: self.sfa.sparsify(x, k, return_dense=return_dense))


def run_parts(options):
    """All that needs torch and a GPU."""
    import torch

    import sfa
    from sfa.bench.peers import CUDNN as CUDNN_PEER, PEERS
    from sfa.bench.timing import Contestant, measure

    gate, studies, kernels = Gate(), Studies(options.prototypes), Kernels()
    normal, problem = kernels.normal, kernels.problem

    def ours(q, k, v, causal, softmax=None, chip=None):
        return Contestant(f"sfa {softmax}", lambda: kernels.attention(q, k, v, causal, softmax, chip), group="sfa")

    def peer(name, q, k, v, causal):
        return Contestant(name, lambda: PEERS[name](q, k, v, causal))

    def forward(lengths):
        for n in lengths:
            for d in (64, 128, 256):
                for causal in (True, False):
                    if gate.is_late():
                        gate.add(words(n, d, causal), None, STUDY, reason="the time of the part is over")
                        continue
                    contestants = {}
                    for data in ("randn", "sfa"):
                        q, k, v = problem(n, d, data)
                        contestants[data] = {softmax: ours(q, k, v, causal, softmax) for softmax in ("online", "lazy")}
                        contestants[data]["cudnn"] = peer(CUDNN_PEER, q, k, v, causal)
                    everyone = [c for group in contestants.values() for c in group.values()]
                    failure = studies.missing(d)
                    for _ in range(STUDY_ROUNDS):
                        measure(everyone, FORWARD_REPEATS // STUDY_ROUNDS, REST_SECONDS)
                        try:
                            studies.run(d, n, causal)
                        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
                            failure = " ".join(str(error).split())
                    for data, group in contestants.items():
                        kind = "random" if data == "randn" else "codes"
                        for softmax in ("online", "lazy"):
                            gate.compare(words(n, d, causal, kind, softmax, "/ study"), outcome(group[softmax]),
                                         (studies.milliseconds(d, softmax, data, n, causal), failure), STUDY)
                            target = CUDNN.get((d, softmax), {}).get(n)
                            if target is not None:
                                gate.compare(words(n, d, causal, kind, softmax, "/ cuDNN"), outcome(group[softmax]),
                                             outcome(group["cudnn"]), target)

    def guard():
        n, d = 16384, 128
        for causal in (True, False):
            q, k, v = problem(n, d, "growing")
            online, lazy = (ours(q, k, v, causal, softmax) for softmax in ("online", "lazy"))
            measure([online, lazy], REPEATS)
            gate.compare(words(n, d, causal, "growing scores, lazy / online"), outcome(lazy), outcome(online), GUARD)

    def short():
        d = 128
        for n in (512, 1024, 2048, 4096):
            for total in (16, 64, 512):
                for causal in (True, False):
                    name = words(n, d, causal, f"{total} heads, the compiler's choice / cuDNN")
                    if gate.is_late():
                        gate.add(name, None, CUDNN_SHORT, reason="the time of the part is over")
                        continue
                    q, k, v = problem(n, d, "randn", heads=16, batch=total // 16)
                    both = ours(q, k, v, causal), peer(CUDNN_PEER, q, k, v, causal)
                    measure(both, REPEATS)
                    gate.compare(name, *map(outcome, both), CUDNN_SHORT)

    def flash2():
        n = 16384
        for d in (64, 128):
            for causal in (True, False):
                q, k, v = problem(n, d, "randn")
                both = ours(q, k, v, causal, chip="sm_80"), peer("FA2 (torch)", q, k, v, causal)
                measure(both, REPEATS)
                gate.compare(words(n, d, causal, "sm_80, the compiler's choice / FA2"), *map(outcome, both), FLASH2)

    def integers():
        n = 16384
        for (d, causal), targets in INTEGERS.items():
            q, k, v = problem(n, d, "int8")
            us = ours(q, k, v, causal)
            peers = {name: peer(name, q.dense(), k.dense(), v, causal) for name in (CUDNN_PEER, "FA3")}
            measure([us, *peers.values()], REPEATS)
            for (name, other), target in zip(peers.items(), targets):
                gate.compare(words(n, d, causal, "codes of 8 bits /", name.split()[0]), outcome(us), outcome(other), target)

    def strategies():
        from sfa.bench.__main__ import parse
        from sfa.bench.strategies import sweep
        for d, target in AUTO_CUDNN.items():
            for data in ("uniform", "same"):
                name = words(16384, d, True, f"k={STRATEGIES_K}", data)
                if gate.is_late():
                    gate.add(name, None, target, reason="the time of the part is over")
                    continue
                small = parse(["--op", "strategies", "--d", str(d), "--k", str(STRATEGIES_K), "--data", data, "--repeats",
                               str(REPEATS)])
                for _, _, rows, failure in sweep(small):
                    if failure is None:
                        gate.compare_strategies(name, rows, target)
                    else:
                        gate.fail(name, failure)

    def sparsify():
        rows = 2**20
        for d in (64, 128, 256):
            x = normal(1, 16, rows // 16, d)
            target = torch.empty_like(x)
            copy = Contestant("copy", lambda: lambda: target.copy_(x))
            ours = {(k, return_dense): Contestant(
                f"k={k}", lambda k=k, return_dense=return_dense: kernels.sparsify(x, k, return_dense), group="sfa")
                for return_dense in (False, True) for k in (8, 16, 32)}
            measure([copy, *ours.values()], REPEATS)
            for (k, return_dense), contestant in ours.items():
                # The copy's time for as many bytes.
                row_bytes = 2 * d * (1 + return_dense) + 3 * k
                scaled = copy.milliseconds and copy.milliseconds * row_bytes / (4 * d)
                gate.compare(f"d={d} k={k} 1M rows{', written out too' * return_dense}, bandwidth / copy",
                             outcome(contestant), (scaled, copy.reason), SPARSIFY[d, k])

    parts = {"forward": lambda: forward([16384]), "long": lambda: forward([65536]), "guard": guard, "short": short,
             "flash2": flash2, "integers": integers, "strategies": strategies, "sparsify": sparsify}
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, flashsfa {sfa.__version__}; medians of "
          f"{REPEATS} interleaved samples, bf16\n")
    print(f"{'part':9} {'check':58} {'ratio':>7} {'target':>7}  result")
    for name in options.parts:
        gate.begin(name)
        try:
            parts[name]()
        except Exception as error:
            gate.fail("the rest of the part", " ".join(f"{type(error).__name__}: {error}".split()))
        torch.cuda.empty_cache()
    return gate.checks


#===--- Two builds -----------------------------------------------------------------------------===#

def rows_of(part):
    """What two builds measure of a part: pairs of a name and what `Builder.make` takes."""
    masks = (True, False)
    if part in ("forward", "long"):
        n = 16384 if part == "forward" else 65536
        for d, causal, data, softmax in itertools.product((64, 128, 256), masks, ("randn", "sfa"), ("online", "lazy")):
            kind = "random" if data == "randn" else "codes"
            yield words(n, d, causal, kind, softmax), dict(n=n, d=d, causal=causal, data=data, softmax=softmax,
                                                           rest=REST_SECONDS)
    elif part == "guard":
        for causal, softmax in itertools.product(masks, ("online", "lazy")):
            yield words(16384, 128, causal, "growing scores", softmax), dict(
                n=16384, d=128, causal=causal, data="growing", softmax=softmax)
    elif part == "short":
        for n, total, causal in itertools.product((512, 1024, 2048, 4096), (16, 64, 512), masks):
            yield words(n, 128, causal, f"{total} heads"), dict(n=n, d=128, causal=causal, heads=16, batch=total // 16)
    elif part == "flash2":
        for d, causal in itertools.product((64, 128), masks):
            yield words(16384, d, causal, "sm_80"), dict(n=16384, d=d, causal=causal, chip="sm_80")
    elif part == "integers":
        for d, causal in INTEGERS:
            yield words(16384, d, causal, "codes of 8 bits"), dict(n=16384, d=d, causal=causal, data="int8")
    elif part == "strategies":
        for d, strategy in itertools.product((64, 128, 256), (None, "sparse_mma", "gather")):
            yield words(16384, d, True, "codes,", strategy or "auto"), dict(n=16384, d=d, causal=True, data="codes",
                                                                            strategy=strategy)
    elif part == "sparsify":
        for d, return_dense, k in itertools.product((64, 128, 256), (False, True), (8, 16, 32)):
            yield f"d={d} k={k} 1M rows{', written out too' * return_dense}", dict(d=d, k=k, return_dense=return_dense)


class Builder:
    """Makes the rows of one build, in a process of its own: two builds are both the package sfa."""

    def __init__(self):
        self.kernels = Kernels()
        self.flush = self.kernels.torch.empty(2**27, dtype=self.kernels.torch.uint8, device="cuda")

    def make(self, d, n=None, causal=False, data="randn", softmax=None, heads=None, batch=1, chip=None, k=None,
             return_dense=False, rest=0.0, strategy=None):
        self.kernels.generator.manual_seed(1)
        self.rest = rest
        if k is not None:
            self.function = self.kernels.sparsify(self.kernels.normal(1, 16, 2**16, d), k, return_dense)
        else:
            self.function = self.kernels.attention(*self.kernels.problem(n, d, data, heads, batch), causal, softmax, chip,
                                                   strategy)
        for self.calls in (1, 2):
            once = self.elapsed()
        self.calls = max(1, round(SAMPLE_MS / max(once, 1e-3)))

    def elapsed(self):
        """Milliseconds of a call."""
        start, end = (self.kernels.torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(self.calls):
            self.function()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / self.calls

    def sample(self):
        self.kernels.torch.cuda.synchronize()
        time.sleep(self.rest)
        # Nothing of the call before is left in the L2 cache.
        self.flush.zero_()
        return self.elapsed()

    def serve(self):
        """Answers each line of the standard input: the arguments of `make`, or null for a sample."""
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = self.sample() if request is None else self.make(**request)
            except Exception as error:
                answer = " ".join(f"{type(error).__name__}: {error}".split())
            print(json.dumps(answer), flush=True)


class Build:
    """A process that runs `Builder.serve` with one of the builds."""

    def __init__(self, command, environment=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)

    def ask(self, request):
        """The answer, which is a text where the request failed."""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else "its process has ended"

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


def measure_builds(row, new, old):
    """Samples of both builds, one after the other in turn; in place of them the reason why there are none."""
    samples = []
    for build in (new, old):
        failure = build.ask(row)
        samples.append(failure if isinstance(failure, str) else [])
    for number in range(REPEATS):
        for place in (0, 1) if number % 2 else (1, 0):
            if isinstance(samples[place], str):
                continue
            sample = (new, old)[place].ask(None)
            if isinstance(sample, str):
                samples[place] = sample
            else:
                samples[place].append(sample)
    return samples


def compare_builds(parts, new, old):
    gate = Gate()
    print(f"{'part':9} {'row':58} {'new/old':>7} {'at most':>7}  result")
    for part in parts:
        gate.begin(part, AGAINST_SECONDS)
        for name, row in rows_of(part):
            if gate.is_late():
                gate.add(name, None, AGAINST, reason="the time of the part is over", is_most=True)
            else:
                gate.compare_builds(name, *measure_builds(row, new, old))
    return gate.checks


def run_against(wheel, parts):
    """This package against a wheel of another build of it."""
    command = [sys.executable, __file__, "--serve"]
    with tempfile.TemporaryDirectory() as scratch:
        site = os.path.join(scratch, "site")
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site,
                        wheel], check=True)
        # Programs of two builds of one version have the same names in a cache.
        environment = {**os.environ, "SFA_CACHE_DIR": os.path.join(scratch, "cache"),
                       "PYTHONPATH": os.pathsep.join(filter(None, (site, os.environ.get("PYTHONPATH"))))}
        environment.pop("SFA_LIBRARY", None)
        new, old = Build(command), Build(command, environment)
        try:
            return compare_builds(parts, new, old)
        finally:
            new.close()
            old.close()


def summarize(checks):
    """The last line, and the exit status."""
    count = {result: sum(check["result"] == result for check in checks) for result in ("pass", "FAIL", "skipped")}
    return (f"{count['pass']} passed, {count['FAIL']} failed, {count['skipped']} skipped",
            1 if count["FAIL"] or not count["pass"] else 0)


def main():
    parser = argparse.ArgumentParser(description="The performance gate of FlashSFA.")
    parser.add_argument("--only", type=lambda text: text.split(","), help="parts to run, with commas between them")
    parser.add_argument("--long", action="store_true", help="also 65536 tokens")
    parser.add_argument("--prototypes", metavar="DIR", help="folder of the studies, as --build leaves them")
    parser.add_argument("--against", metavar="WHEEL", help="compare this build with that of WHEEL instead, row by row, "
                        f"and fail where it takes more than {AGAINST} of the time")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", metavar="FILE", help="write all checks")
    parser.add_argument("--list", action="store_true", help="print the parts")
    parser.add_argument("--build", metavar="DIR", help="build the studies into a folder, and nothing else")
    parser.add_argument("--source", metavar="DIR", help="where the studies are; for --build")
    options = parser.parse_args()
    for name in options.only or ():
        if name not in PARTS:
            parser.error(f"there is no part {name}; there are {', '.join(PARTS)}")
    options.parts = options.only or [part for part in PARTS if part != "long" or options.long]
    if options.against and not os.path.isfile(options.against):
        parser.error(f"there is no wheel {options.against}")
    if options.serve:
        Builder().serve()
        return 0
    if options.list:
        print("\n".join(PARTS))
        return 0
    if options.build:
        if not options.source:
            parser.error("--build needs --source, the folder of the studies")
        build_studies(options.source, options.build)
        return 0
    try:
        import torch
        reason = None if torch.cuda.is_available() else "no GPU"
    except ImportError as error:
        reason = f"no torch: {error}"
    if reason:
        print(f"SKIPPED: {reason}")
        return 0
    checks = run_against(options.against, options.parts) if options.against else run_parts(options)
    line, status = summarize(checks)
    print(f"\n{line}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(dict(
            device=torch.cuda.get_device_name(), torch=torch.__version__, checks=checks), indent=1) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
