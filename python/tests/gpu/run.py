"""All tests that need a GPU; scripts/gpu-test.sh runs this.

    python python/tests/gpu/run.py [--only GROUP,...] [--chips sm_90a,sm_80] [--jobs N] [--count N] [--seed N]
        [--tools DIR] [--programs DIR]

Groups that depend on the chip run once for each: the one of the device, and sm_80, whose PTX runs on
all later GPUs. Processes share the cases of most groups, since the driver assembles one kernel at a
time for each. One that dies or hangs is replaced, and the group that it was in has failed. Exit status 0 when all passed or there is no GPU.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time

GROUP_SECONDS = 240
SHOWN_FAILURES = 8


def parse():
    parser = argparse.ArgumentParser(description="Tests of FlashSFA that need a GPU.")
    parser.add_argument("--only", help="groups to run, with commas between them")
    parser.add_argument("--chips", help="chips to compile for, with commas between them")
    parser.add_argument("--jobs", type=int, default=max(1, min(12, (os.cpu_count() or 1) - 1)),
                        help="processes that share the cases")
    parser.add_argument("--count", type=int, default=1000, help="random configurations, for all chips "
                        "together")
    parser.add_argument("--seed", type=int, default=None, help="of the random configurations")
    parser.add_argument("--tools", metavar="DIR", help="an unpacked archive, for the group tools")
    parser.add_argument("--programs", metavar="DIR", help="what scripts/gpu-test-programs.sh has made, for the group programs")
    parser.add_argument("--list", action="store_true", help="print the groups")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--share", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--sanitized", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def skip_reason():
    """Why nothing can be run here, or None."""
    try:
        import torch
    except ImportError as error:
        return f"no torch: {error}"
    return None if torch.cuda.is_available() else "no GPU"


#===--- Worker: the groups of one chip ---------------------------------------------------------===#

def load_groups():
    import correctness  # noqa: F401, registers its groups
    import sequences  # noqa: F401
    import paged  # noqa: F401
    import caches  # noqa: F401
    import execution  # noqa: F401
    import integers  # noqa: F401
    import append  # noqa: F401
    import tools  # noqa: F401
    import programs  # noqa: F401
    from harness import GROUPS
    return GROUPS


def work(options):
    """Runs groups, a line of JSON on stdout for each when it is done."""
    import torch
    groups = load_groups()
    from harness import Run
    for name in options.only.split(","):
        share = (options.share, options.jobs) if groups[name][2] else (0, 1)
        run = Run(options.count, options.seed, options.tools, share, options.programs)
        start = time.perf_counter()
        try:
            groups[name][0](run)
            torch.cuda.synchronize()
            broken = False
        except Exception as error:
            run.failures.append(f"{type(error).__name__}: {error}")
            broken = True
        try:
            torch.zeros(1, device="cuda").item()
        except Exception:
            broken = True
        print(json.dumps(dict(group=name, passed=run.passed, failures=run.failures, notes=run.notes,
                              seconds=time.perf_counter() - start)), flush=True)
        if broken:
            # An error of the device stays: the next group gets a new process.
            os._exit(3)


#===--- Driver ---------------------------------------------------------------------------------===#

def run_share(chip, names, share, options):
    """Yields the results of a process's share of groups on one chip."""
    names = list(names)
    while names:
        process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "--worker", "--only", ",".join(names),
             "--count", str(options.count), "--seed", str(options.seed),
             "--jobs", str(options.jobs), "--share", str(share),
             *(("--tools", options.tools) if options.tools else ()),
             *(("--programs", options.programs) if options.programs else ())],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "SFA_CHIP": chip})
        lines = queue.Queue()

        def read(stream=process.stdout, lines=lines):
            for line in stream:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        while names:
            start = time.perf_counter()
            try:
                line = lines.get(timeout=GROUP_SECONDS)
            except queue.Empty:
                line, why = None, f"no end after {GROUP_SECONDS} s"
            else:
                why = None
            if line is None:
                process.kill()
                status = process.wait()
                if why is None and status == 3:
                    break
                yield dict(group=names.pop(0), passed=0, notes=[],
                           failures=[why or f"the process died with status {status}"],
                           seconds=time.perf_counter() - start)
                break
            if line.startswith("{"):
                result = json.loads(line)
                names.remove(result["group"])
                yield result
        process.kill()
        process.wait()


def run_chip(chip, names, groups, options):
    """Yields the results of groups on one chip, each when all shares of it are there."""
    # The first process has the groups that are not shared, behind the others.
    alone = [name for name in names if not groups[name][2]]
    together = [name for name in names if groups[name][2]]
    lists = [together + (alone if share == 0 else []) for share in range(options.jobs)]
    results = queue.Queue()

    def collect(share):
        for result in run_share(chip, lists[share], share, options):
            results.put(result)

    threads = [threading.Thread(target=collect, args=(share,), daemon=True)
               for share in range(options.jobs) if lists[share]]
    for thread in threads:
        thread.start()
    missing = {name: sum(name in names for names in lists) for name in names}
    whole = {name: dict(group=name, passed=0, failures=[], notes=[], seconds=0.0) for name in names}
    while any(missing.values()):
        part = results.get()
        name = part["group"]
        total = whole[name]
        total["passed"] += part["passed"]
        total["failures"] += part["failures"]
        total["notes"] += [note for note in part["notes"] if note not in total["notes"]]
        total["seconds"] = max(total["seconds"], part["seconds"])
        missing[name] -= 1
        if not missing[name]:
            yield total
    for thread in threads:
        thread.join()


def drive(options):
    import torch
    groups = load_groups()
    names = options.only.split(",") if options.only else list(groups)
    unknown = [name for name in names if name not in groups]
    if unknown:
        sys.exit(f"there is no group {', '.join(unknown)}; there are {', '.join(groups)}")
    major, minor = torch.cuda.get_device_capability()
    native = "sm_90a" if (major, minor) == (9, 0) else "sm_80"
    chips = options.chips.split(",") if options.chips else list(dict.fromkeys((native, "sm_80")))
    options.seed = int(time.time()) if options.seed is None else options.seed
    options.count = max(1, options.count // len(chips))
    options.jobs = max(1, options.jobs)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, chips {', '.join(chips)}, seed "
          f"{options.seed}\n", flush=True)
    print(f"{'group':14} {'chip':8} {'passed':>7} {'failed':>7} {'seconds':>8}", flush=True)
    start, passed, failures, notes = time.perf_counter(), 0, [], []
    for chip in chips:
        wanted = [name for name in names if groups[name][1] or chip == chips[0]]
        for result in run_chip(chip, wanted, groups, options):
            failed = result["failures"]
            print(f"{result['group']:14} {chip:8} {result['passed']:7} {len(failed):7} "
                  f"{result['seconds']:8.1f}", flush=True)
            for failure in failed[:SHOWN_FAILURES]:
                print(f"    {failure}", flush=True)
            if len(failed) > SHOWN_FAILURES:
                print(f"    and {len(failed) - SHOWN_FAILURES} more", flush=True)
            passed += result["passed"]
            failures += failed
            notes += [f"{note} ({chip})" for note in result["notes"]]
    print()
    for note in notes:
        print(note)
    print(f"{time.perf_counter() - start:.0f} s")
    print(f"{passed} passed, {len(failures)} failed", flush=True)
    return 1 if failures or not passed else 0


def main():
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    options = parse()
    if reason := skip_reason():
        print(f"SKIPPED: {reason}")
        return 0
    if options.list:
        print("\n".join(load_groups()))
        return 0
    if options.sanitized:
        import execution
        execution.run_sanitized()
        return 0
    if options.worker:
        work(options)
        return 0
    return drive(options)


if __name__ == "__main__":
    sys.exit(main())
