"""Compares the GPU code that two revisions of the compiler make: docs/development.md, "Refactoring GPU code"."""

import argparse
import collections
import concurrent.futures
import os
import re
import sys
from pathlib import Path

from ptx import modules
from ptx.assembly import Assembler, Comparison, find_tool
from ptx.compiler import ROOT, CannotCompare, Compiler, build, build_revision


def parse():
    parser = argparse.ArgumentParser(
        prog="compare-ptx.sh", description="Compares PTX of the working tree and of an old revision.",
        epilog="Exit status: 0 when all is identical, 1 where something differs, 2 on errors.")
    parser.add_argument("revision", nargs="?", help="the old one, a commit; it is built in BUILD/compare-ptx/")
    parser.add_argument("--old", metavar="PATH", help="instead of a revision: a build folder or an sfa-opt")
    parser.add_argument("--new", metavar="PATH", help="the same instead of the working tree, which is built else")
    parser.add_argument("--build", metavar="DIR", type=Path, default=ROOT / "build", help="the build of the working tree (build)")
    parser.add_argument("--filter", metavar="REGEX", default="", help="modules whose name matches; see --list")
    parser.add_argument("--quick", action="store_true",
                        help="of the GPU tests only the random problems: a fifth of all modules")
    parser.add_argument("--chips", default="sm_80,sm_90a", help="with commas between them (sm_80,sm_90a)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time (as many as cores)")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="writes modules and the PTX of both into a folder")
    parser.add_argument("--summary", action="store_true", help="counts only; does not assemble what differs")
    parser.add_argument("--list", action="store_true", help="prints the names of the modules")
    parser.add_argument("--ptxas", metavar="TOOL", help="of PATH or CUDA_HOME where not given")
    parser.add_argument("--nvdisasm", metavar="TOOL", help="nvdisasm or cuobjdump; of PATH or CUDA_HOME where not given")
    options = parser.parse_args()
    if not options.list and (options.revision is None) == (options.old is None):
        parser.error("name the old revision, or its build with --old")
    try:
        re.compile(options.filter)
    except re.error as error:
        parser.error(f"--filter {options.filter!r} is no regular expression: {error}")
    for name in ("ptxas", "nvdisasm"):
        if getattr(options, name) and not find_tool(name, getattr(options, name)):
            parser.error(f"--{name}: there is no program {getattr(options, name)}")
    return options


def compilers(options):
    def program(path):
        return Path(path) / "bin/sfa-opt" if Path(path).is_dir() else Path(path)

    new = program(options.new) if options.new else build(options.build)
    old = program(options.old) if options.old else build_revision(options.revision, options.build)
    return Compiler(old, options.build / "compare-ptx/results"), Compiler(new)


#===--- Comparing ------------------------------------------------------------------------------===#

IDENTICAL, NO_KERNEL, BOTH_REFUSE, OTHER_MESSAGE = "identical", "without kernels", "refused by both", "refused by both, otherwise"
DIFFERENT, OTHER_LAUNCHES = "different", "same PTX, other launches"
OLD_REFUSES, NEW_REFUSES = "refused by the old one only", "refused by the new one only"
DIFFERENCES = (DIFFERENT, OTHER_LAUNCHES, OLD_REFUSES, NEW_REFUSES)


def judge(old, new):
    if "error" in old and "error" in new:
        return BOTH_REFUSE if old["error"] == new["error"] else OTHER_MESSAGE
    if "error" in old or "error" in new:
        return OLD_REFUSES if "error" in old else NEW_REFUSES
    if old["ptx"] != new["ptx"]:
        return DIFFERENT
    if old["launches"] != new["launches"]:
        return OTHER_LAUNCHES
    return IDENTICAL if old["ptx"] else NO_KERNEL


def describe(kind, old, new):
    """What the lines below a difference say, but for the kernels."""
    if kind == OTHER_LAUNCHES:
        changed = [(a, b) for a, b in zip(old["launches"], new["launches"]) if a != b]
        lines = [f"{len(old['launches'])} launches -> {len(new['launches'])}"] if not changed else []
        return lines + [line for a, b in changed for line in (f"old: {a}", f"new: {b}")]
    return [f"{side}: {result['error']}" for side, result in (("old", old), ("new", new)) if "error" in result]


def keep(folder, name, chip, results):
    """Writes what both made of a module."""
    stem = re.sub(r"[^\w.=+-]+", "_", name)
    for side, result in results.items():
        file = folder / chip / side / (stem + (".ptx" if "ptx" in result else ".txt"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(result.get("ptx") or result.get("error", ""))


def compare(options, sources, old, new, assembler):
    """Yields (chip, name, kind, lines, comparison or None) in the order of the modules."""

    def work(task):
        chip, name = task
        before, after = old.compile(sources[name], chip), new.compile(sources[name], chip)
        if options.keep:
            keep(options.keep, name, chip, dict(old=before, new=after))
        kind = judge(before, after)
        comparison = Comparison(assembler, before["ptx"], after["ptx"], chip) if kind == DIFFERENT and assembler else None
        return chip, name, kind, describe(kind, before, after), comparison

    tasks = [(chip, name) for chip in options.chips.split(",") for name in sources]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for number, result in enumerate(pool.map(work, tasks), 1):
            if sys.stderr.isatty():
                print(f"\r{number} of {len(tasks)}\033[K", end="\r", file=sys.stderr, flush=True)
            yield result


#===--- Report ---------------------------------------------------------------------------------===#

def report(options, results, assembler):
    """Prints the differences and the summary; the exit status."""
    counts, comparisons = collections.Counter(), []
    for chip, name, kind, lines, comparison in results:
        counts[kind] += 1
        if comparison:
            comparisons.append(comparison)
        if (kind in DIFFERENCES or kind == OTHER_MESSAGE) and not options.summary:
            print(f"{kind}: {chip} {name}")
            for line in lines + (comparison.lines if comparison else []):
                print(f"    {line}")
    print(f"{sum(counts.values())} modules for {options.chips}: "
          + ", ".join(f"{count} {kind}" for kind, count in counts.most_common()))
    if comparisons:
        growth = [value for comparison in comparisons for value in comparison.growth]
        same = sum(comparison.is_same_code for comparison in comparisons)
        spills = sum(comparison.has_new_spills for comparison in comparisons)
        messages = sum(comparison.has_new_messages for comparison in comparisons)
        print(f"of those that differ: {same} have the same instructions, {spills} more spills, {messages} other messages of "
              "ptxas" + (f"; main loops change by {min(growth):+.1%} to {max(growth):+.1%}" if growth else ""))
        if not assembler.disassembler:
            print("without nvdisasm and cuobjdump, instructions are those of the PTX"
                  + ("" if assembler.ptxas else "; without ptxas, registers and spills are not known"))
    return 1 if any(counts[kind] for kind in DIFFERENCES) else 0


def main():
    options = parse()
    sources, origins = modules.collect(options.filter, options.quick)
    if not sources:
        raise CannotCompare(f"no module has a name that matches {options.filter!r}; --list prints them")
    if options.list:
        print("\n".join(sources))
        return 0
    print(f"{len(sources)} modules: {origins}", flush=True)
    old, new = compilers(options)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        for name, text in sources.items():
            (options.keep / (re.sub(r"[^\w.=+-]+", "_", name) + ".mlir")).write_text(text)
    assembler = None if options.summary else Assembler(
        find_tool("ptxas", options.ptxas), find_tool("nvdisasm", options.nvdisasm) or find_tool("cuobjdump"))
    return report(options, compare(options, sources, old, new, assembler), assembler)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CannotCompare as error:
        print(f"compare-ptx: {error}", file=sys.stderr)
        sys.exit(2)
