#!/usr/bin/env python3
"""Mutation fuzzer over the textual IR.

Takes every .mlir file of test/ and examples/ as a seed, mutates its tokens and lines, splices files, and runs the result
through sfa-opt. A refused input is fine; a crash (a signal, an assertion, a bug report) or a hang is not: it is saved,
told apart from others by its top stack frame or assertion, and reduced line by line.

    scripts/fuzz.py 600                 ten minutes on all cores
    scripts/fuzz.py 60 --seed 7         the same inputs again
    scripts/fuzz.py --replay FILE...    run the given files through all pipelines

The last line is `fuzz: N inputs, N crashes`; the exit status is 1 when there was a crash.
"""

import argparse
import hashlib
import multiprocessing
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 20

PIPELINES = [
    ["--sfa-to-cpu"],
    ["--canonicalize", "--sfa-assign-schedule", "--convert-sfa-to-tile", "--canonicalize", "--cse"],
    ["--sfa-assign-schedule", "--convert-sfa-to-tile"],
    ["--mlir-print-op-generic"],
]
# Most of the time goes to the whole way down, which contains the others.
WEIGHTS = [6, 2, 1, 1]

TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[%@#!^][\w.$-]*|\d+\.\d*(?:[eE][-+]?\d+)?|0x[0-9a-fA-F]+|\d+'
                   r'|[A-Za-z_][\w.]*|->|::|\s+|.', re.S)

NUMBERS = ["0", "1", "-1", "2", "3", "4", "7", "8", "17", "64", "65", "127", "128", "255", "256", "257", "4096", "65535",
           "65536", "65537", "2147483647", "2147483648", "4294967296", "1099511627776", "4611686018427387904",
           "9223372036854775807", "9223372036854775808", "18446744073709551615", "99999999999999999999", "?"]
TYPES = ["f32", "f16", "bf16", "f64", "i1", "i8", "i16", "i32", "index", "none", "tf32", "f8E4M3FN", "i4", "complex<f32>",
         "tensor<*xf32>", "tensor<f32>", "tensor<?x?x?x?xf32>", "tensor<1x2x?x128xf16>",
         "tensor<1x2x?x64xf32, #sfa.codes<k = 8>>", "tensor<1x2x16x64xf32, #sfa.codes<k = 64>>", "memref<1x2x?x64xf32>",
         "memref<*xf32>", "memref<1x2x?x64xf32, strided<[?, ?, ?, 1], offset: ?>>", "vector<4xf32>",
         "!sfa_tile.tile<64x128xf32>", "!sfa_tile.tile<64xf32>", "!sfa_tile.codes<64x128xf32, k = 8>",
         "!sfa_tile.postings<128x128xf32, k = 8>", "!sfa_tile.two_four<64x128xf32, k = 8>",
         "!sfa_tile.surplus<64x128xf32, k = 8>", "!llvm.ptr", "() -> ()"]
WORDS = ["mask", "scale", "schedule", "strategy", "softmax", "q_tile", "k_tile", "stages", "consumers", "left", "right", "k",
         "none", "causal", "window", "dense", "gather", "scatter", "sparse_mma", "online", "lazy", "grid", "ins", "outs",
         "load", "score", "accumulate", "init", "step", "to", "of", "by", "above", "when", "attributes", "private",
         "memref.load", "tensor.cast", "tensor.dim", "tensor.empty", "arith.constant", "scf.if", "scf.for", "scf.yield",
         "func.call", "func.return", "sfa.sparsify", "sfa.densify", "sfa.attention", "sfa_tile.launch", "sfa_tile.kernel",
         "sfa_tile.key_loop", "sfa_tile.yield", "sfa_tile.return", "sfa_tile.load", "sfa_tile.store", "sfa_tile.dot",
         "sfa_tile.topk", "sfa_tile.expand", "sfa_tile.split", "sfa_tile.postings", "true", "false", "unit", "dense<0.0>"]
PUNCTUATION = list("<>(){}[],:=?*-+x") + ["->", "::", "%", "@", "#", "!", "^bb0:", "\n"]


def read_seeds():
    seeds = []
    for folder in ("test", "examples"):
        for path in sorted((ROOT / folder).rglob("*.mlir")):
            text = path.read_text(errors="replace")
            text = "\n".join(line for line in text.splitlines() if not line.strip().startswith("//")) + "\n"
            # The parts of a split file are seeds of their own.
            seeds += [text]
            parts = re.split(r"^// -----.*$", path.read_text(errors="replace"), flags=re.M)
            if len(parts) > 1:
                seeds += ["\n".join(l for l in part.splitlines() if not l.strip().startswith("//")) + "\n" for part in parts]
    return [seed for seed in seeds if seed.strip()]


def mutate_token(rng, tokens, pool):
    """Changes one token in place, mostly to another of its kind."""
    index = rng.randrange(len(tokens))
    for _ in range(20):
        if not tokens[index].isspace():
            break
        index = rng.randrange(len(tokens))
    token = tokens[index]
    kind = rng.random()
    if kind < 0.08:
        tokens[index] = ""
    elif kind < 0.14:
        tokens.insert(index, token)
    elif kind < 0.22:
        other = rng.randrange(len(tokens))
        tokens[index], tokens[other] = tokens[other], token
    elif kind < 0.27:
        tokens[index] = rng.choice(PUNCTUATION)
    elif kind < 0.32:
        tokens[index] = rng.choice(WORDS)
    elif token[0] in "%@#!^":
        same = [other for other in tokens if other[:1] == token[0]]
        tokens[index] = rng.choice(same)
    elif re.fullmatch(r"\d+", token):
        tokens[index] = rng.choice(NUMBERS) if rng.random() < 0.7 else str(max(0, int(token) + rng.choice((-1, 1))))
    elif re.fullmatch(r"x\w*", token):  # the rest of a shape: x128xf32
        parts = token.split("x")[1:]
        place = rng.randrange(len(parts))
        parts[place] = rng.choice(TYPES[:14]) if place + 1 == len(parts) and rng.random() < 0.7 else rng.choice(NUMBERS)
        tokens[index] = "x" + "x".join(parts)
    elif re.fullmatch(r"[a-z]+[\d]+|index|none", token):
        tokens[index] = rng.choice(TYPES)
    elif token.startswith(("sfa", "tensor", "arith", "scf", "memref", "func")):
        tokens[index] = rng.choice(WORDS + [other for other in pool if "." in other])
    else:
        tokens[index] = rng.choice(pool)


def mutate_lines(rng, lines, seeds):
    """Deletes, repeats, swaps or imports lines."""
    place = rng.randrange(len(lines))
    kind = rng.random()
    if kind < 0.3:
        del lines[place]
    elif kind < 0.5:
        lines.insert(rng.randrange(len(lines) + 1), lines[place])
    elif kind < 0.7:
        other = rng.randrange(len(lines))
        lines[place], lines[other] = lines[other], lines[place]
    else:
        donor = rng.choice(seeds).splitlines()
        start = rng.randrange(len(donor))
        lines[place:place] = donor[start:start + rng.choice((1, 1, 1, 2, 4, 12))]
    return lines or [""]


def make_input(rng, seeds):
    text = rng.choice(seeds)
    if rng.random() < 0.15:
        text += rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        if rng.random() < 0.25:
            text = "\n".join(mutate_lines(rng, text.splitlines() or [""], seeds)) + "\n"
        else:
            tokens = TOKEN.findall(text) or ["x"]
            mutate_token(rng, tokens, [token for token in tokens if not token.isspace()] or ["x"])
            text = "".join(tokens)
    return text[:200000]


def run(tool, pipeline, path):
    """Returns what makes a crash its own, or None when the tool ended in an orderly way."""
    process = subprocess.Popen([tool, "--allow-unregistered-dialect", *pipeline, str(path), "-o", os.devnull],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    try:
        error = process.communicate(timeout=TIMEOUT_SECONDS)[1].decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "timeout"
    if process.returncode in (0, 1) and "PLEASE submit a bug report" not in error and "Assertion" not in error:
        return None
    match = re.search(r"Assertion `?(.*?)' failed|(LLVM ERROR: .*)|(UNREACHABLE executed.*)", error)
    if match:
        return next(group for group in match.groups() if group)
    # The first frame below the signal handlers.
    for frame in re.findall(r"^ *#\d+ 0x[0-9a-f]+ (.*)$", error, re.M):
        if not re.match(r"\(|llvm::sys::|SignalHandler|PrintStack|abort|raise", frame):
            return re.sub(r"\([^()]*\+0x[0-9a-f]+\)|0x[0-9a-f]+", "", frame).strip()
    return f"exit status {process.returncode}"


def minimise(tool, pipeline, text, crash, path, deadline):
    """Deletes lines for as long as the crash stays."""
    lines = text.splitlines()
    size = max(1, len(lines) // 2)
    while True:
        changed = False
        start = 0
        while start < len(lines) and time.time() < deadline:
            shorter = lines[:start] + lines[start + size:]
            path.write_text("\n".join(shorter) + "\n")
            if run(tool, pipeline, path) == crash:
                lines, changed = shorter, True
            else:
                start += size
        if time.time() >= deadline or (size == 1 and not changed):
            return "\n".join(lines) + "\n"
        size = max(1, size // 2)


def work(worker, arguments, deadline, queue):
    rng = random.Random(f"{arguments.seed}/{worker}")
    seeds = read_seeds()
    seen = set()
    with tempfile.TemporaryDirectory(prefix="sfa-fuzz-") as folder:
        path = pathlib.Path(folder) / "input.mlir"
        while time.time() < deadline:
            text = make_input(rng, seeds)
            pipeline = rng.choices(arguments.pipelines, arguments.weights)[0]
            path.write_text(text)
            crash = run(arguments.tool, pipeline, path)
            if crash and crash not in seen:
                seen.add(crash)
                if crash != "timeout":
                    text = minimise(arguments.tool, pipeline, text, crash, path, time.time() + 60)
                queue.put((crash, pipeline, text))
            else:
                queue.put(None)
    queue.put("done")


def replay(arguments):
    crashes = 0
    for path in arguments.replay:
        for pipeline in arguments.pipelines:
            crash = run(arguments.tool, pipeline, path)
            if crash:
                crashes += 1
                print(f"{path}: {' '.join(pipeline)}: {crash}")
    print(f"fuzz: {len(arguments.replay)} inputs, {crashes} crashes")
    return 1 if crashes else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", nargs="?", type=float, default=600, help="how long to run (default 600)")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers (default: from the clock)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    parser.add_argument("--tool", default=str(ROOT / "build" / "bin" / "sfa-opt"), help="sfa-opt (default: build/bin)")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "fuzz", help="folder for crashes (default: build/fuzz)")
    parser.add_argument("--pipeline", action="append", help="flags of sfa-opt in place of the usual pipelines, repeatable")
    parser.add_argument("--replay", nargs="+", help="files to run instead of fuzzing")
    arguments = parser.parse_args()
    if not os.access(arguments.tool, os.X_OK):
        sys.exit(f"fuzz: no sfa-opt at {arguments.tool}; build it (ninja -C build sfa-opt) or name one with --tool")
    arguments.pipelines = [flags.split() for flags in arguments.pipeline] if arguments.pipeline else PIPELINES
    arguments.weights = [1] * len(arguments.pipelines) if arguments.pipeline else WEIGHTS
    if arguments.replay:
        return replay(arguments)
    if arguments.seed is None:
        arguments.seed = int(time.time())

    print(f"fuzz: seed {arguments.seed}, {len(read_seeds())} files to mutate, {arguments.jobs} jobs, "
          f"{arguments.seconds:g} s", flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    start = time.time()
    queue = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=work, args=(number, arguments, start + arguments.seconds, queue), daemon=True)
               for number in range(arguments.jobs)]
    for worker in workers:
        worker.start()

    inputs, crashes, running, reported = 0, {}, len(workers), start
    while running:
        message = queue.get()
        if message == "done":
            running -= 1
            continue
        inputs += 1
        if message and message[0] not in crashes:
            crash, pipeline, text = message
            path = arguments.out / f"{hashlib.sha1(crash.encode()).hexdigest()[:10]}.mlir"
            path.write_text(f"// RUN: sfa-opt --allow-unregistered-dialect {' '.join(pipeline)} %s\n// {crash[:200]}\n{text}")
            crashes[crash] = path
            print(f"fuzz: crash: {crash[:160]}\n      {path}", flush=True)
        if time.time() - reported > 30:
            reported = time.time()
            print(f"fuzz: {reported - start:.0f} s, {inputs} inputs, {len(crashes)} crashes", flush=True)
    print(f"fuzz: {inputs} inputs, {len(crashes)} crashes")
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
