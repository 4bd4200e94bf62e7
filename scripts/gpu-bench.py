#!/usr/bin/env python3
"""The performance gate of FlashSFA; scripts/gpu-bench.sh runs this and says what it takes."""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

PARTS = ("forward", "long", "guard", "short", "flash2", "sparsify")
PART_SECONDS = {part: 240 if part == "long" else 110 for part in PARTS}
"""A part starts no further measurement after this; what is left is skipped."""
REPEATS = 9
FORWARD_REPEATS = 6
STUDY_ROUNDS = 3
REST_SECONDS = 0.2
"""Before a sample that is compared with the studies, which rest before theirs."""

# Speed of ours divided by that of the other, at least.
STUDY = 0.95
CUDNN = {(64, "lazy"): {16384: 1.2, 65536: 1.2},
         (128, "online"): {16384: 1.15, 65536: 1.1}, (128, "lazy"): {16384: 1.35, 65536: 1.2},
         (256, "online"): {16384: 1.0, 65536: 1.0}, (256, "lazy"): {16384: 1.1, 65536: 1.1}}
CUDNN_SHORT = 1.0
FLASH2 = 1.0
GUARD = 0.9
# Part of the bandwidth of a copy, by d and k.
SPARSIFY = {(64, 8): 0.7, (128, 8): 0.8, (256, 8): 0.7,
            **{(d, k): 0.6 for d in (64, 128, 256) for k in (16, 32)}}

# Variants of the study in tensor_core/spfa.cu, by d and softmax: the fastest counts.
STUDIES = {(64, "online"): ("d64 dense online", "d64 dense online W3"), (64, "lazy"): ("d64 dense S1 BN192",),
           (128, "online"): ("dense online",), (128, "lazy"): ("dense S1",)}
STUDY_PARAMETERS = {"d64 dense online": "64,64,128,2,{causal},0,1,2", "d64 dense online W3": "64,64,128,3,{causal},0,1,2",
                    "d64 dense S1 BN192": "64,64,192,2,{causal},0,1,2,true,0,0,1",
                    "dense online": "128,128,128,2,{causal},0,1,2",
                    "dense S1": "128,128,128,2,{causal},0,1,2,true,0,0,1"}
STUDY_LINE = re.compile(r"bench (?P<name>.+?) +(?P<data>randn|sfa|sfaraw) +D=(?P<d>\d+) N=(?P<n>\d+) H=\d+ "
                        r"causal=(?P<causal>[01]) +(?P<ms>[\d.]+) ms")


#===--- Studies --------------------------------------------------------------------------------===#

def build_studies(source, target):
    """Only the variants that are compared: nvcc takes minutes for all."""
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    kernels = pathlib.Path(source) / "tensor_core"
    if not (kernels / "spfa.cu").is_file():
        sys.exit(f"there is no {kernels}/spfa.cu; --source has to name the folder of the studies")
    if not os.access(nvcc, os.X_OK):
        sys.exit("there is no nvcc on PATH or in /usr/local/cuda/bin; it comes with the CUDA Toolkit")
    target = pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    for d in (64, 128):
        variants = target / f"spfa{d}.inc"
        variants.write_text("".join(
            f'V("{name}",{parameters.format(causal=causal)});\n' for name, parameters in STUDY_PARAMETERS.items()
            if parameters.startswith(f"{d},") for causal in ("true", "false")))
        subprocess.run([nvcc, "-O3", "-std=c++17", "-gencode=arch=compute_90a,code=sm_90a", "-cudart", "static",
                        f'-DVFILE="{variants.resolve()}"', "-DX", "-DLAG=4", kernels / "spfa.cu", "-o",
                        target / f"spfa{d}"], check=True)
        variants.unlink()
        print(f"built {target / f'spfa{d}'}")


def parse_study(text):
    """Milliseconds by (name, data, d, n, causal), from what a study prints."""
    return {(m["name"], m["data"], int(m["d"]), int(m["n"]), m["causal"] == "1"): float(m["ms"])
            for m in map(STUDY_LINE.match, text.splitlines()) if m}


class Studies:
    """Samples of the studies' times, taken between those of the others."""

    def __init__(self, folder):
        self.folder, self.samples = folder and pathlib.Path(folder), {}

    def missing(self, d):
        if self.folder is None:
            return "--prototypes names no folder"
        if not any(key[0] == d for key in STUDIES):
            return f"no study for d = {d}"
        program = self.folder / f"spfa{d}"
        return None if os.access(program, os.X_OK) else f"there is no {program}"

    def run(self, d, n, causal):
        if self.missing(d):
            return
        # Batch 1, 2048 / d heads, normal data and codes of 8 features.
        done = subprocess.run([self.folder / f"spfa{d}", "bench", str(d), str(n), str(int(causal)), "0", "dense", "1"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        found = parse_study(done.stdout)
        if done.returncode or not found:
            raise RuntimeError(f"the study spfa{d} failed: {done.stdout[-200:]}")
        for key, milliseconds in found.items():
            self.samples.setdefault(key, []).append(milliseconds)

    def milliseconds(self, d, softmax, data, n, causal):
        times = [statistics.median(self.samples[key])
                 for key in ((name, data, d, n, causal) for name in STUDIES.get((d, softmax), ()))
                 if key in self.samples]
        return min(times, default=None)


#===--- Checks ---------------------------------------------------------------------------------===#

class Gate:
    """Collects and prints the checks."""

    def __init__(self):
        self.checks, self.part, self.deadline = [], "", 0.0

    def begin(self, part):
        self.part, self.deadline = part, time.monotonic() + PART_SECONDS[part]

    def is_late(self):
        return time.monotonic() > self.deadline

    def add(self, name, ratio, target, detail="", reason=None):
        """A ratio of None was not measured, for `reason`."""
        result = "skipped" if ratio is None else "pass" if ratio >= target else "FAIL"
        self.checks.append(dict(part=self.part, name=name, ratio=ratio, target=target, result=result, detail=detail,
                                reason=reason))
        number = f"{ratio:7.2f}" if ratio is not None else f"{'-':>7}"
        print(f"{self.part:9} {name:58} {number} {target:7.2f}  {result:8}{detail if ratio is not None else reason}",
              flush=True)

    def fail(self, name, reason):
        """Something that is no ratio went wrong."""
        self.checks.append(dict(part=self.part, name=name, ratio=None, target=None, result="FAIL", detail="",
                                reason=reason))
        print(f"{self.part:9} {name:58} {'-':>7} {'-':>7}  {'FAIL':8}{reason}", flush=True)

    def compare(self, name, ours, other, target):
        """Times of two contestants; either may be a (milliseconds, reason)."""
        (our_ms, our_reason), (other_ms, other_reason) = ours, other
        if our_ms is None:
            self.fail(name, f"ours cannot be measured: {our_reason}")
        elif other_ms is None:
            self.add(name, None, target, reason=other_reason)
        else:
            self.add(name, other_ms / our_ms, target, f"{our_ms:.3f} ms, {other_ms:.3f} ms")


def outcome(contestant):
    return contestant.milliseconds, contestant.reason


def words(n, d, causal, *more):
    return " ".join([f"d={d}", f"n={n}", "causal" if causal else "full", *more])


def run_parts(options):
    """All that needs torch and a GPU."""
    import torch

    import sfa
    from sfa.bench.gpu import Chip, native_chips
    from sfa.bench.peers import CUDNN as CUDNN_PEER, PEERS
    from sfa.bench.timing import Contestant, measure

    gate, studies = Gate(), Studies(options.prototypes)
    native = Chip(native_chips()[0])
    generator = torch.Generator("cuda").manual_seed(1)

    def normal(*shape):
        return torch.randn(shape, generator=generator, device="cuda").to(torch.bfloat16)

    def ours(q, k, v, causal, softmax=None, chip=native):
        schedule = softmax and f"softmax = {softmax}"
        return Contestant(f"sfa {softmax}", lambda: chip.bound(
            lambda: sfa.attention(q, k, v, causal=causal, schedule=schedule)), group="sfa")

    def peer(name, q, k, v, causal):
        return Contestant(name, lambda: PEERS[name](q, k, v, causal))

    def problem(n, d, data, heads=None, batch=1):
        q, k, v = (normal(batch, heads or 2048 // d, n, d) for _ in range(3))
        if data == "sfa":
            # Codes of 8 features, written out, with the scores of the studies.
            q, k = (2 * sfa.sparsify(x, 8).dense() for x in (q, k))
        return q, k, v

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
            q, k, v = problem(n, d, "randn")
            # 100 nats more from each tile of 128 keys to the next: every tile trips the guard.
            growth = (100 / 128 * n * d ** 0.5) ** 0.5
            q[..., 0] = growth
            k[..., 0] = growth * torch.arange(n, device="cuda") / n
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
        n, chip = 16384, Chip("sm_80")
        for d in (64, 128):
            for causal in (True, False):
                q, k, v = problem(n, d, "randn")
                both = ours(q, k, v, causal, chip=chip), peer("FA2 (torch)", q, k, v, causal)
                measure(both, REPEATS)
                gate.compare(words(n, d, causal, "sm_80, the compiler's choice / FA2"), *map(outcome, both), FLASH2)

    def sparsify():
        rows = 2**20
        for d in (64, 128, 256):
            x = normal(1, 16, rows // 16, d)
            target = torch.empty_like(x)
            copy = Contestant("copy", lambda: lambda: target.copy_(x))
            kernels = {(k, return_dense): Contestant(
                f"k={k}", lambda k=k, return_dense=return_dense: native.bound(
                    lambda: sfa.sparsify(x, k, return_dense=return_dense)), group="sfa")
                for return_dense in (False, True) for k in (8, 16, 32)}
            measure([copy, *kernels.values()], REPEATS)
            for (k, return_dense), contestant in kernels.items():
                # The copy's time for as many bytes.
                row_bytes = 2 * d * (1 + return_dense) + 3 * k
                scaled = copy.milliseconds and copy.milliseconds * row_bytes / (4 * d)
                gate.compare(f"d={d} k={k} 1M rows{', written out too' * return_dense}, bandwidth / copy",
                             outcome(contestant), (scaled, copy.reason), SPARSIFY[d, k])

    parts = {"forward": lambda: forward([16384]), "long": lambda: forward([65536]), "guard": guard, "short": short,
             "flash2": flash2, "sparsify": sparsify}
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, flashsfa {sfa.__version__}; medians of "
          f"{REPEATS} interleaved samples, bf16\n")
    print(f"{'part':9} {'check':58} {'ratio':>7} {'target':>7}  result")
    for name in options.only or [part for part in PARTS if part != "long" or options.long]:
        gate.begin(name)
        try:
            parts[name]()
        except Exception as error:
            gate.fail("the rest of the part", " ".join(f"{type(error).__name__}: {error}".split()))
        torch.cuda.empty_cache()
    return gate.checks


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
    parser.add_argument("--json", metavar="FILE", help="write all checks")
    parser.add_argument("--list", action="store_true", help="print the parts")
    parser.add_argument("--build", metavar="DIR", help="build the studies into a folder, and nothing else")
    parser.add_argument("--source", metavar="DIR", help="where the studies are; for --build")
    options = parser.parse_args()
    for name in options.only or ():
        if name not in PARTS:
            parser.error(f"there is no part {name}; there are {', '.join(PARTS)}")
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
    checks = run_parts(options)
    line, status = summarize(checks)
    print(f"\n{line}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(dict(
            device=torch.cuda.get_device_name(), torch=torch.__version__, checks=checks), indent=1) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
