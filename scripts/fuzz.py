#!/usr/bin/env python3
"""Mutation fuzzer over the textual IR.

Seeds are every .mlir file of test/ and examples/, random programs in the sfa dialect, and what the compiler makes of such
programs in sfa_tile. A mutation changes single tokens and lines, which mostly ends in the parser and the verifiers, or one
number or type all over the file, which mostly stays valid and reaches the passes. The result goes through sfa-opt. A
refused input is fine; a crash (a signal, an assertion, a bug report) or a hang is not: it is saved, told apart from others
by its top stack frame or assertion, and reduced line by line.

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
         "!sfa_tile.tile<64x128xf32>", "!sfa_tile.tile<64xf32>", "!sfa_tile.tile<64xf32, partial>", "!sfa_tile.tile<64xi1>",
         "!sfa_tile.codes<64x128xf32, k = 8>",
         "!sfa_tile.postings<128x128xf32, k = 8>", "!sfa_tile.two_four<64x128xf32, k = 8>",
         "!sfa_tile.surplus<64x128xf32, k = 8>", "tensor<?xi32>", "memref<?xi32>", "!llvm.ptr", "() -> ()"]
WORDS = ["mask", "scale", "schedule", "strategy", "softmax", "q_tile", "k_tile", "stages", "consumers", "splits", "left", "right",
         "k", "none", "causal", "window", "dense", "gather", "scatter", "sparse_mma", "online", "lazy", "grid", "ins", "outs",
         "load", "score", "accumulate", "init", "step", "to", "of", "by", "raise", "difference_first", "mostly_ones", "partial", "when", "limit", "sequences",
         "attributes", "private",
         "memref.load", "tensor.cast", "tensor.dim", "tensor.empty", "arith.constant", "scf.if", "scf.for", "scf.yield",
         "func.call", "func.return", "sfa.sparsify", "sfa.densify", "sfa.attention", "sfa_tile.launch", "sfa_tile.kernel",
         "sfa_tile.key_loop", "sfa_tile.yield", "sfa_tile.return", "sfa_tile.load", "sfa_tile.store", "sfa_tile.dot",
         "sfa_tile.topk", "sfa_tile.expand", "sfa_tile.split", "sfa_tile.postings", "sfa_tile.sequence_tile",
         "sfa_tile.map_rows", "sfa_tile.any", "sfa_tile.retry", "sfa_tile.total", "sfa_tile.is_due", "true", "false", "unit", "dense<0.0>"]
# What crashes MLIR's own parser: docs/fuzzing.md.
UPSTREAM = re.compile(r"#\d{5,}")

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
        if re.fullmatch(r"\d+", parts[place]):
            parts[place] = rng.choice(NUMBERS)
        elif parts[place]:
            parts[place] = rng.choice(TYPES[:14])
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


def mutate_everywhere(rng, text):
    """Changes one number, type or keyword in all its places."""
    kind = rng.random()
    if kind < 0.45:
        numbers = sorted(set(re.findall(r"\d+", text)))
        if not numbers:
            return text
        old = rng.choice(numbers)
        new = rng.choice(NUMBERS if rng.random() < 0.3 else ("1", "2", "4", "5", "8", "16", "32", "33", "64", "96", "100"))
        return re.sub(rf"(?<!\d){old}(?!\d)", new, text)
    if kind < 0.6:
        return re.sub(rng.choice((r"\bf32\b|(?<=x)f32\b", r"\bf16\b|(?<=x)f16\b", r"\bbf16\b|(?<=x)bf16\b")),
                      rng.choice(("f32", "f16", "bf16", "f64", "i8")), text)
    if kind < 0.7:
        old = rng.choice(("1", "2", "4", "64", "128", r"\?"))
        return re.sub(rf"(?<=x){old}(?=x)", rng.choice(("?", "?", "1", "7", "0")), text)
    if kind < 0.85:
        families = (("dense", "gather", "scatter", "sparse_mma"), ("online", "lazy"), ("none", "causal", "window"))
        family = rng.choice(families)
        return re.sub(r"\b" + rng.choice(family) + r"\b", rng.choice(family), text)
    if kind < 0.93:
        return re.sub(r", #sfa\.codes<k = \d+>", rng.choice(("", ", #sfa.codes<k = 1>", ", #sfa.codes<k = 500>")), text)
    names = sorted(set(re.findall(r"%\w+", text)))
    if len(names) < 2:
        return text
    old, new = rng.sample(names, 2)
    # All uses but not the definition.
    return re.sub(rf"(?<!^)(?<!^  )(?<!^    ){old}\b(?! =)", new, text)


DEFINITION = re.compile(r"^\s*%(\w+) = .*?([!\w.]*(?:<[^<>]*>)?)$", re.M)
ARGUMENT = re.compile(r"%(\w+): ([!\w.]+(?:<(?:[^<>]|<[^<>]*>)*>)?)")


def mutate_typed(rng, text):
    """Gives a value to an operation that expects another of its type, or puts an operation between the two."""
    types = dict(ARGUMENT.findall(text))
    types.update(DEFINITION.findall(text))
    uses = [use for use in re.finditer(r"%(\w+)\b(?! =|:)", text) if types.get(use[1])]
    if not uses:
        return text
    use = rng.choice(uses)
    kind = types[use[1]]
    same = [name for name in types if types[name] == kind]
    new = rng.choice(same)
    if rng.random() < 0.4:
        fresh = f"fresh{rng.randrange(10 ** 4)}"
        a, b = f"%{use[1]}", f"%{new}"
        flag = f"%{rng.choice([name for name in types if types[name] == 'i1'] or ['true'])}"
        operation = rng.choice((
            f"arith.select {flag}, {a}, {b} : {kind}", f'"my.op"({a}) : ({kind}) -> {kind}',
            f"builtin.unrealized_conversion_cast {a} : {kind} to {kind}", f"ub.poison : {kind}",
            f"sfa_tile.add {a}, {b} : {kind}", f"sfa_tile.fma {a}, {b}, {a} : {kind}", f"sfa_tile.mul {a}, {b} : {kind}",
            f"sfa_tile.any {a} : {kind}", f"sfa_tile.scale {a} by 2.0 : {kind}",
            f"sfa_tile.fill 1.0 : {kind}", f"arith.addi {a}, {b} : {kind}", f"arith.divui {a}, {b} : {kind}",
            f"scf.if {flag} -> {kind} {{ scf.yield {a} : {kind} }} else {{ scf.yield {b} : {kind} }}",
            f"scf.if {flag} -> {kind} {{ %y = sfa_tile.scale {a} by 2.0 : {kind} scf.yield %y : {kind} }} else {{ scf.yield {b} : {kind} }}",
            f"scf.execute_region -> {kind} {{ scf.yield {a} : {kind} }}"))
        line = text.rfind("\n", 0, use.start()) + 1
        truth = "%true0 = arith.constant true\n" if flag == "%true" else ""
        operation = operation.replace("%true,", "%true0,").replace("%true ", "%true0 ")
        return f"{text[:line]}{truth}%{fresh} = {operation}\n{text[line:use.start()]}%{fresh}{text[use.end():]}"
    return f"{text[:use.start()]}%{new}{text[use.end():]}"


def make_program(rng):
    """A random function in the sfa dialect, mostly valid."""
    element = rng.choice(("f32", "f16", "bf16"))
    sizes = [1, 1, 2, 3, 5, 8, 16, 17, 64, 100, 255, 257, 1000]
    features = rng.choice([1, 2, 3, 4, 8, 32, 64, 66, 80, 128, 256, 257, 300])
    value_features = rng.choice([1, 2, 3, 7, 16, 32, 64, 80, 128, 300])
    key_heads = rng.choice((1, 1, 2, 3))
    heads = key_heads * rng.choice((1, 1, 2, 4, 5))
    batch, queries, keys = (rng.choice([rng.choice(sizes), "?", "?"]) for _ in range(3))
    batch = rng.choice((batch, 1, 0 if rng.random() < 0.05 else 2))
    k = rng.choice((1, 2, 4, 8, features, features + 3, max(1, features // 2)))
    encoding = f", #sfa.codes<k = {k}>"
    dense_query = f"tensor<{batch}x{heads}x{queries}x{features}x{element}"
    dense_key = f"tensor<{batch}x{key_heads}x{keys}x{features}x{element}"
    value = f"tensor<{batch}x{key_heads}x{keys}x{value_features}x{element}>"
    output = f"tensor<{batch}x{heads}x{queries}x{value_features}x{element}>"
    lse = f"tensor<{batch}x{heads}x{queries}xf32>"
    query_codes, key_codes = rng.random() < 0.7, rng.random() < 0.7
    query = dense_query + (encoding if query_codes else "") + ">"
    key = dense_key + (encoding if key_codes else "") + ">"

    def clause():
        text = ""
        if rng.random() < 0.6:
            bounds = "".join(f", {side} = {rng.choice(sizes + [0])}" for side in ("left", "right") if rng.random() < 0.7)
            text += rng.choice((" mask <none>", " mask <causal>", f" mask <window{bounds}>"))
        if rng.random() < 0.3:
            text += f" scale {rng.choice(('0.125', '-2.0', '0.0', '1.0e-40', '1.0e300', '3.0e38'))}"
        if rng.random() < 0.7:
            parameters = [f"softmax = {rng.choice(('online', 'lazy'))}", f"q_tile = {rng.choice((8, 16, 24, 64, 128, 3))}",
                          f"k_tile = {rng.choice((16, 32, 64, 96, 128, 5))}"]
            possible = ["dense"] + query_codes * ["gather"] + (query_codes and key_codes) * ["scatter"]
            possible += (query_codes and features % 4 == 0) * ["sparse_mma"]
            parameters.append(f"strategy = {rng.choice(possible)}")
            text += f" schedule <{', '.join(rng.sample(parameters, rng.randrange(5)))}>"
        return text

    arguments, lines, names = [], [], {}
    for name, have, plain in (("q", query, dense_query + ">"), ("k", key, dense_key + ">")):
        if have != plain and rng.random() < 0.5:
            arguments.append(f"%{name}0: {plain}")
            lines.append(f"%{name} = sfa.sparsify %{name}0 : {plain} -> {have}")
        else:
            arguments.append(f"%{name}: {have}")
        names[name] = f"%{name}"
        if have != plain and rng.random() < 0.25:
            lines.append(f"%{name}1 = sfa.densify %{name} : {have}")
            lines.append(f"%{name}2 = sfa.sparsify %{name}1 : {plain} -> {have}")
            names[name] = f"%{name}2"
    arguments += [f"%v: {value}", "%c: i1", "%n: index"]
    same = [name for name, have in (("q", query), ("k", key)) if "codes" in have]
    if same and rng.random() < 0.4:
        name = rng.choice(same)
        have = {"q": query, "k": key}[name]
        old, new = names[name], f"%{name}3"
        lines += rng.choice((
            [f"{new} = scf.if %c -> {have} {{", f"  scf.yield {old} : {have}", "} else {", f"  scf.yield %{name} : {have}", "}"],
            [f"{new} = scf.for %i = %n to %n step %n iter_args(%x = {old}) -> ({have}) {{", f"  scf.yield %x : {have}", "}"],
            [f"{new} = arith.select %c, {old}, %{name} : {have}"],
            [f"{new} = func.call @pass(%c, {old}) : (i1, {have}) -> {have}"]))
        names[name] = new
    with_lse = rng.random() < 0.5
    lines.append(f"%o{', %lse' if with_lse else ''} = sfa.attention {names['q']}, {names['k']}, %v{clause()} : "
                 f"{query}, {key}, {value} -> {output}{', ' + lse if with_lse else ''}")
    results, types = ["%o"] + with_lse * ["%lse"], [output] + with_lse * [lse]
    if same and rng.random() < 0.3:
        results.append(f"%{same[0]}")
        types.append({"q": query, "k": key}[same[0]])
    if rng.random() < 0.2:
        lines.append(f"%d = tensor.dim %o, %n : {output}")
        results.append("%d")
        types.append("index")
    lines.append(f"return {', '.join(results)} : {', '.join(types)}")
    body = "\n".join("  " + line for line in lines)
    passed = {"q": query, "k": key}[same[0]] if same else query
    for name in ("q", "k"):
        if f"@pass(%c, %{name}" in body:
            passed = {"q": query, "k": key}[name]
    other = f"func.func private @pass(%c: i1, %x: {passed}) -> {passed} {{\n  return %x : {passed}\n}}\n"
    return f"func.func @f({', '.join(arguments)}) -> ({', '.join(types)}) {{\n{body}\n}}\n" + other


def make_input(rng, seeds, tile_programs):
    kind = rng.random()
    if kind < 0.6:
        text = make_program(rng) if kind < 0.3 or not tile_programs else rng.choice(tile_programs)
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            text = rng.choice((mutate_everywhere, mutate_typed, mutate_typed))(rng, text)
        changes = rng.choice((0, 0, 0, 1, 1, 2))
    else:
        text = rng.choice(seeds)
        if rng.random() < 0.15:
            text += rng.choice(seeds)
        changes = rng.choice((1, 1, 1, 2, 2, 3, 5))
    for _ in range(changes):
        kind = rng.random()
        if kind < 0.25:
            text = "\n".join(mutate_lines(rng, text.splitlines() or [""], seeds)) + "\n"
        elif kind < 0.5:
            text = mutate_everywhere(rng, text)
        else:
            tokens = TOKEN.findall(text) or ["x"]
            mutate_token(rng, tokens, [token for token in tokens if not token.isspace()] or ["x"])
            text = "".join(tokens)
    return UPSTREAM.sub("#7", text)[:200000]


def make_tile_programs(rng, tool, count):
    """What the compiler makes of random programs: kernels and launches."""
    programs = []
    for _ in range(count):
        passes = ["--sfa-assign-schedule", "--convert-sfa-to-tile"] + rng.choice(([], ["--canonicalize", "--cse"]))
        result = subprocess.run([tool, *passes], input=make_program(rng).encode(), stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)
        if result.returncode == 0:
            programs.append(result.stdout.decode())
    return programs


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
    # The first frame below the signal handlers and the C library.
    for frame in re.findall(r"^ *#\d+ 0x[0-9a-f]+ (.*)$", error, re.M):
        if "::" in frame and not frame.startswith("llvm::sys::"):
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
    tile_programs = make_tile_programs(rng, arguments.tool, 100)
    seen = set()
    with tempfile.TemporaryDirectory(prefix="sfa-fuzz-") as folder:
        path = pathlib.Path(folder) / "input.mlir"
        while time.time() < deadline:
            text = make_input(rng, seeds, tile_programs)
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
