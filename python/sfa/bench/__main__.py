"""python -m sfa.bench [--device cuda|cpu] [--op attention|strategies|schedules|varlen|decode|sparsify|overhead] ...; --help
says the rest."""

import argparse
import json
import os
import sys

from sfa import __version__
from . import overhead, plots

# Of --op strategies; the module that has them needs torch.
STRATEGIES = ("dense-rows", "dense", "int8", "sparse_mma", "sparse_mma-2:4", "gather", "scatter", "auto")
DATA = ("uniform", "same", "one", "real")


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m sfa.bench", description="Measure FlashSFA against other implementations of "
        "attention on this GPU, or on this CPU. All get the same data: N(0, 1), queries and keys with all but k "
        "features of each row 0.")
    parser.add_argument("--op", choices=("attention", "strategies", "schedules", "varlen", "decode", "sparsify", "overhead"),
                        default="attention")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: --op attention or strategies, against "
                        "torch's scaled_dot_product_attention on this CPU; other sizes where none are given")
    parser.add_argument("--schedule", action="append", default=[], metavar="TEXT", help="with --op schedules, any "
                        'number of them: parameters such as "grid = tiles, turns = free"; what is not given is as chosen')
    parser.add_argument("--n", type=int, nargs="+", help="tokens; 4096 16384 where not given, with --op strategies 16384, on a "
                        "CPU 256 1024")
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 16],
                        help="with --op decode: queries of a head, against n keys")
    parser.add_argument("--group", type=int, default=1,
                        help="with --op decode: query heads to a head of keys and values")
    parser.add_argument("--uneven", action="store_true",
                        help="with --op decode: a batch of sequences in one tensor, with n / 32 to n keys each")
    parser.add_argument("--d", type=int, nargs="+",
                        help="features of queries, keys and values; 64 128 256 where not given, on a CPU 64 128")
    parser.add_argument("--k", type=int, nargs="+", help="features that the codes keep, 8 where not given; with --op strategies "
                        "any number of them, 2 4 8 16 32 where not given")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES), help="with --op strategies: which; "
                        "all where not given, each on codes unless its name says otherwise; auto is the compiler's choice")
    parser.add_argument("--data", nargs="+", choices=DATA, help="with --op strategies: features of tokens. uniform: any k for each "
                        "token; same: the same k for all; one: one that all have, the others uniform; real: the largest k of "
                        "--real. Where not given all, real where --real is given")
    parser.add_argument("--real", metavar="DIR", help="with --op strategies: a folder with queries, keys and values of a model, files "
                        "*_q.npy, *_k.npy and *_v.npy with [heads, tokens, features] in f16; they are repeated or cropped")
    parser.add_argument("--values", choices=("int8",), help="with --op attention: codes with values of 8 bits besides, and how "
                        "far their outputs are from those of the codes that they were made of")
    parser.add_argument("--scales", choices=("tile", "token", "head"), help="with --values int8: which values of keys share a "
                        "scale; tile where not given. Queries have one for each token")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--heads-total", type=int, help="heads times d: there are as "
                        "many heads as that gives; 2048 where not given, on a CPU 256")
    parser.add_argument("--causal", action=argparse.BooleanOptionalAction, default=None,
                        help="one of the masks; both where not given, "
                        "with --op strategies the causal one")
    parser.add_argument("--dtype", choices=("bf16", "f16", "f32"),
                        help="bf16 where not given, on a CPU f32, which a GPU does not take")
    parser.add_argument("--softmax", nargs="+", choices=("online", "lazy"), default=["online", "lazy"])
    parser.add_argument("--chip", nargs="+", help="chips to compile for, such as sm_90a sm_80; all that "
                        "this GPU can run where not given, with --op strategies that of the GPU")
    parser.add_argument("--repeats", type=int, default=15, help="interleaved samples; medians count")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", help="write all figures, with all samples; with --op strategies after each "
                        "table")
    parser.add_argument("--plot", metavar="FILE", help="with --op attention: draw TFLOP/s over n; needs matplotlib")
    parser.add_argument("--plots", metavar="DIR", help="with --op strategies: draw times and ratios over k; needs matplotlib")
    parser.add_argument("--from", dest="sources", nargs="+", metavar="FILE", help="with --plots: measure nothing, and draw what "
                        "--json wrote; tables of several files are put together")
    options = parser.parse_args(arguments)
    if options.sources and not options.plots:
        parser.error("--from is for drawing: give --plots DIR as well")
    on_cpu, is_sweep = options.device == "cpu", options.op == "strategies" or bool(options.sources)
    for name, cuda, cpu in (("n", [16384] if is_sweep else [4096, 16384], [256, 1024]), ("d", [64, 128, 256], [64, 128]),
                            ("heads_total", 2048, 256), ("dtype", "bf16", "f32")):
        if getattr(options, name) is None:
            setattr(options, name, cpu if on_cpu else cuda)
    if on_cpu and options.op not in ("attention", "strategies"):
        parser.error(f"--device cpu measures --op attention and strategies only, not {options.op}")
    if not on_cpu and options.dtype == "f32":
        parser.error("--dtype f32 is for --device cpu")
    if options.values is not None and options.op != "attention":
        parser.error(f"--values int8 is measured with --op attention only, not {options.op}")
    if options.values is None and options.scales is not None:
        parser.error("--scales is for 8-bit values: give --values int8 as well")
    if options.values is not None and options.scales is None:
        options.scales = "tile"
    for name in ("data", "real", "plots"):
        if getattr(options, name) is not None and not is_sweep:
            parser.error(f"--{name} is for --op strategies, not {options.op}")
    if options.real is not None and not os.path.isdir(options.real):
        parser.error(f"there is no folder {options.real}; --real has to name one with files *_q.npy, *_k.npy and *_v.npy")
    if options.data is None:
        options.data = [kind for kind in DATA if kind != "real" or options.real is not None]
    elif "real" in options.data and options.real is None:
        parser.error("--data real needs --real, the folder of queries, keys and values")
    options.causal = [options.causal] if options.causal is not None else [True] if is_sweep else [True, False]
    ks = options.k or ([2, 4, 8, 16, 32] if is_sweep else [8])
    if not is_sweep and len(ks) > 1:
        parser.error(f"--op {options.op} takes one --k, given are {' '.join(map(str, ks))}; --op strategies takes several")
    for name, numbers in (("k", ks), *((name, [getattr(options, name)]) for name in ("batch", "group", "heads_total", "repeats"))):
        if min(numbers) < 1:
            parser.error(f"--{name.replace('_', '-')} has to be at least 1")
    options.k = ks if is_sweep else ks[0]
    return options


def _number(value, digits):
    """`digits` after the point, or None for a number of any size."""
    if value is None:
        return "-"
    return f"{value:.1e}" if digits is None else f"{value:.{digits}f}"


def _print_table(title, rows, failure, columns):
    """columns: heading, key of a row, digits."""
    print(f"\n{title}")
    if failure:
        print(f"  {failure}")
        return
    print(f"  {'':30}" + "".join(f"{heading:>12}" for heading, _, _ in columns))
    for row in rows:
        status, reason = row.get("status", "n/a"), row["reason"]
        if row["ms"] is not None:
            text = "".join(f"{_number(row[key], digits):>12}" for _, key, digits in columns)
            if row.get("remark"):
                text += f"  {row['remark']}"
        else:
            text = f"  n/a ({reason})" if status == "n/a" else f"  {status}: {reason}"
        print(f"  {row['name']:30}{text}", flush=True)


# Heading, key of a row, digits.
Column = tuple[str, str, int | None]
ERROR_COLUMN: Column = ("error", "error", None)
"""Against fp64 attention on what was given."""
QUANTIZATION_COLUMN: Column = ("of int8", "quantization", None)
"""Against fp64 attention on codes before they got 8-bit values."""
ATTENTION_COLUMNS: tuple[Column, ...] = (("ms", "ms", 3), ("TFLOP/s", "tflops", 1), ("x best peer", "best_peer", 2),
                                         ("x cuDNN", "cudnn", 2))
CPU_COLUMNS: tuple[Column, ...] = (("ms", "ms", 3), ("GFLOP/s", "gflops", 1), ("x SDPA", "sdpa", 2), ERROR_COLUMN)
STRATEGIES_COLUMNS: tuple[Column, ...] = (("ms", "ms", 3), ("prepared", "prepared_ms", 3), ("x cuDNN", "cudnn", 2),
                                          ("x FA3", "fa3", 2), ("x best peer", "best_peer", 2), ERROR_COLUMN)
CPU_STRATEGIES_COLUMNS: tuple[Column, ...] = (("ms", "ms", 3), ("prepared", "prepared_ms", 3), ("x SDPA", "best_peer", 2),
                                              ERROR_COLUMN)
SCHEDULES_COLUMNS = (("ms", "ms", 3), ("TFLOP/s", "tflops", 1), ("x chosen", "chosen", 3), ("x cuDNN", "cudnn", 2))
VARLEN_COLUMNS = (("ms", "ms", 3), ("TFLOP/s", "tflops", 1), ("x equal", "equal", 2))
DECODE_COLUMNS = (("ms", "ms", 4), ("GB/s", "gbytes", 0), ("x copy", "copy", 2), ("x best peer", "best_peer", 2))
SPARSIFY_COLUMNS = (("ms", "ms", 3), ("GB/s", "gbytes", 0), ("x copy", "copy", 2))


def _plot(file, tables):
    """A curve over n for each contestant, a panel for each d and mask."""
    try:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
    except Exception as error:
        print(f"no plot: n/a ({error})")
        return
    panels: dict[tuple[int, bool], dict[str, list[tuple[int, float]]]] = {}
    for record, rows in tables:
        for row in rows:
            if row["ms"] is not None:
                curves = panels.setdefault((record["d"], record["causal"]), {})
                curves.setdefault(row["name"], []).append((record["n"], row["tflops"]))
    if not panels:
        print("no plot: n/a (nothing was measured)")
        return
    figure, axes = pyplot.subplots(1, len(panels), figsize=(5 * len(panels), 4), squeeze=False)
    for axis, ((d, causal), curves) in zip(axes[0], panels.items()):
        for name, points in curves.items():
            axis.plot(*zip(*sorted(points)), marker="o", label=name,
                      linestyle="-" if name.startswith("sfa") else "--")
        axis.set(title=f"d = {d}, {'causal' if causal else 'no mask'}", xlabel="tokens",
                 ylabel="TFLOP/s", xscale="log", ylim=(0, None))
    axes[0][-1].legend(fontsize="x-small")
    figure.tight_layout()
    figure.savefig(file, dpi=150)
    print(f"\nwrote {file}")


def _run_overhead(_options):
    rows = overhead.table()
    print("\noverhead of a warm call on the host, and of the compiler")
    for row in rows:
        value = (f"{row['value']:10.2f} {row['unit']}" if row["value"] is not None
                 else f"n/a ({row['reason']})")
        print(f"  {row['name']:52}{value}")
    return [dict(op="overhead", rows=rows)]


def _data(options):
    return "values N(0, sqrt(d))" if options.op == "strategies" else "N(0, 1)"


def _run_gpu(options, save):
    """The tables of an operation, or None without a GPU."""
    try:
        import torch
        reason = None if torch.cuda.is_available() else "no GPU"
    except ImportError as error:
        reason = f"no torch: {error}"
    if reason:
        print(f"SKIPPED: {reason}; --device cpu measures this CPU")
        return None
    from . import gpu
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, flashsfa {__version__}; median of "
          f"{options.repeats} interleaved samples, {_data(options)}, seed {options.seed}")
    if options.op == "strategies":
        return _run_strategies(options, save)
    measure, columns = {"attention": (gpu.attention, ATTENTION_COLUMNS),
                        "schedules": (gpu.schedules, SCHEDULES_COLUMNS),
                        "varlen": (gpu.varlen, VARLEN_COLUMNS),
                        "decode": (gpu.decode, DECODE_COLUMNS),
                        "sparsify": (gpu.sparsify, SPARSIFY_COLUMNS)}[options.op]
    if options.values is not None:
        columns = (*columns, ERROR_COLUMN, QUANTIZATION_COLUMN)
    results, tables = [], []
    for title, record, rows, failure in measure(options):
        _print_table(title, rows, failure, columns)
        results.append({**record, "rows": rows, "failure": failure})
        tables.append((record, rows))
    if options.plot and options.op == "attention":
        _plot(options.plot, tables)
    return results


def _run_cpu(options, save):
    """The tables of an operation on this CPU, or None without torch."""
    try:
        import torch
    except ImportError as error:
        print(f"SKIPPED: no torch: {error}")
        return None
    from . import cpu
    from sfa.info import processor
    print(f"{processor()}, torch {torch.__version__} with {torch.get_num_threads()} threads, flashsfa {__version__}; median of "
          f"{options.repeats} interleaved samples, {_data(options)}, seed {options.seed}")
    if options.op == "strategies":
        return _run_strategies(options, save)
    columns, results = CPU_COLUMNS + (() if options.values is None else (QUANTIZATION_COLUMN,)), []
    for title, record, rows in cpu.attention(options):
        _print_table(title, rows, None, columns)
        results.append({**record, "rows": rows})
    return results


def _run_strategies(options, save):
    """The tables of the sweep; each is saved when it is there, as a sweep takes minutes."""
    from . import strategies
    print("\nms: the clock starts at codes, so what a strategy makes of them counts; peers have their dense rows already.\n"
          "prepared: what that column leaves out, by strategy")
    for name in options.strategies:
        print(f"  {name:30}  {strategies.STRATEGIES[name].note}")
    columns = CPU_STRATEGIES_COLUMNS if options.device == "cpu" else STRATEGIES_COLUMNS
    results, reasons = [], set()
    for title, record, rows, failure in strategies.sweep(options):
        shown = []
        for row in rows:
            # A peer that is not there is not there for any problem; once is enough to say why.
            is_known = row["status"] == "n/a" and (row["name"], row["reason"]) in reasons
            reasons.add((row["name"], row["reason"]))
            shown.append(dict(row, reason="as above") if is_known else row)
        _print_table(title, shown, failure, columns)
        results.append({**record, "rows": rows, "failure": failure})
        save(results)
    return results


def _draw(results, folder):
    """The exit status."""
    try:
        for file in plots.draw(results, folder):
            print(f"wrote {file}")
    except plots.NoMatplotlib as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _saver(file):
    """What writes results into a file, or does nothing without one."""
    if not file:
        return lambda results: None
    from sfa.info import lines
    about = dict(machine=dict(lines()))
    try:
        from . import peers
        about["versions"] = peers.versions()
    except ImportError:
        pass

    def save(results):
        # Whoever ends the process never finds half of a file.
        with open(f"{file}.part", "w", encoding="utf-8") as stream:
            json.dump(dict(about, results=results), stream, indent=1)
            stream.write("\n")
        os.replace(f"{file}.part", file)
    return save


def main(arguments=None):
    options = parse(arguments)
    if options.sources:
        try:
            results = plots.read(options.sources)
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            return 1
        return _draw(results, options.plots)
    save = _saver(options.json)
    if options.op == "overhead":
        results = _run_overhead(options)
    else:
        results = (_run_cpu if options.device == "cpu" else _run_gpu)(options, save)
    if results is None:
        return 0
    if options.json:
        save(results)
        print(f"\nwrote {options.json}")
    status = 0
    if options.op == "strategies":
        from . import strategies
        rows = [row for result in results for row in result["rows"]]
        bad = sum(strategies.is_bad(row) for row in rows) + sum(result["failure"] is not None for result in results)
        print(f"\n{bad} of {len(rows)} rows are wrong or failed; "
              f"{sum(row['status'] == strategies.REFUSED for row in rows)} are refused")
        status = 1 if bad else 0
        if options.plots:
            status = _draw(results, options.plots) or status
    elif options.device == "cpu":
        failed = [row["name"] for result in results for row in result["rows"] if row["ms"] is None]
        print(f"\n{len(failed)} of {sum(len(result['rows']) for result in results)} could not be measured or are wrong")
        status = 1 if failed else 0
    return status


if __name__ == "__main__":
    sys.exit(main())
