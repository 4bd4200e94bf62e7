"""python -m sfa.bench [--device cuda|cpu] [--op attention|schedules|varlen|decode|sparsify|overhead] ...; --help says
the rest."""

import argparse
import json
import sys

from sfa import __version__
from . import overhead


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m sfa.bench", description="Measure FlashSFA against other implementations of "
        "attention on this GPU, or on this CPU. All get the same data: N(0, 1), queries and keys with all but k "
        "features of each row 0.")
    parser.add_argument("--op", choices=("attention", "schedules", "varlen", "decode", "sparsify", "overhead"),
                        default="attention")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: --op attention, against torch's "
                        "scaled_dot_product_attention on this CPU; other sizes where none are given")
    parser.add_argument("--schedule", action="append", default=[], metavar="TEXT", help="with --op schedules, any "
                        'number of them: parameters such as "grid = tiles, turns = free"; what is not given is as chosen')
    parser.add_argument("--n", type=int, nargs="+", help="tokens; 4096 16384 where not given, on a CPU 256 1024")
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 16],
                        help="with --op decode: queries of a head, against n keys")
    parser.add_argument("--group", type=int, default=1,
                        help="with --op decode: query heads to a head of keys and values")
    parser.add_argument("--uneven", action="store_true",
                        help="with --op decode: a batch of sequences in one tensor, with n / 32 to n keys each")
    parser.add_argument("--d", type=int, nargs="+",
                        help="features of queries, keys and values; 64 128 256 where not given, on a CPU 64 128")
    parser.add_argument("--k", type=int, default=8, help="features that the codes keep")
    parser.add_argument("--values", choices=("int8",), help="with --op attention: codes with values of 8 bits besides, and how "
                        "far their outputs are from those of the codes that they were made of")
    parser.add_argument("--scales", choices=("tile", "token", "head"), help="with --values int8: which values of keys share a "
                        "scale; tile where not given. Queries have one for each token")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--heads-total", type=int, help="heads times d: there are as "
                        "many heads as that gives; 2048 where not given, on a CPU 256")
    parser.add_argument("--causal", action=argparse.BooleanOptionalAction, default=None,
                        help="one of the masks; both where not given")
    parser.add_argument("--dtype", choices=("bf16", "f16", "f32"),
                        help="bf16 where not given, on a CPU f32, which a GPU does not take")
    parser.add_argument("--softmax", nargs="+", choices=("online", "lazy"), default=["online", "lazy"])
    parser.add_argument("--chip", nargs="+", help="chips to compile for, such as sm_90a sm_80; all that "
                        "this GPU can run where not given")
    parser.add_argument("--repeats", type=int, default=15, help="interleaved samples; medians count")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", help="write all figures, with all samples")
    parser.add_argument("--plot", metavar="FILE", help="draw TFLOP/s over n; needs matplotlib")
    options = parser.parse_args(arguments)
    on_cpu = options.device == "cpu"
    for name, cuda, cpu in (("n", [4096, 16384], [256, 1024]), ("d", [64, 128, 256], [64, 128]), ("heads_total", 2048, 256),
                            ("dtype", "bf16", "f32")):
        if getattr(options, name) is None:
            setattr(options, name, cpu if on_cpu else cuda)
    if on_cpu and options.op != "attention":
        parser.error(f"--device cpu measures --op attention only, not {options.op}")
    if not on_cpu and options.dtype == "f32":
        parser.error("--dtype f32 is for --device cpu")
    if options.values is not None and options.op != "attention":
        parser.error(f"--values int8 is measured with --op attention only, not {options.op}")
    if options.values is None and options.scales is not None:
        parser.error("--scales is for 8-bit values: give --values int8 as well")
    if options.values is not None and options.scales is None:
        options.scales = "tile"
    options.causal = [True, False] if options.causal is None else [options.causal]
    for name in ("k", "batch", "group", "heads_total", "repeats"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} has to be at least 1")
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
        text = (f"  n/a ({row['reason']})" if row["ms"] is None else
                "".join(f"{_number(row[key], digits):>12}" for _, key, digits in columns))
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
SCHEDULES_COLUMNS = (("ms", "ms", 3), ("TFLOP/s", "tflops", 1), ("x chosen", "chosen", 3), ("x cuDNN", "cudnn", 2))
VARLEN_COLUMNS = (("ms", "ms", 3), ("TFLOP/s", "tflops", 1), ("x equal", "equal", 2))
DECODE_COLUMNS = (("ms", "ms", 4), ("GB/s", "gbytes", 0), ("x best peer", "best_peer", 2))
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


def _run_gpu(options):
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
          f"{options.repeats} interleaved samples, N(0, 1), seed {options.seed}")
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


def _run_cpu(options):
    """The tables of attention on this CPU, or None without torch."""
    try:
        import torch
    except ImportError as error:
        print(f"SKIPPED: no torch: {error}")
        return None
    from . import cpu
    from sfa.info import processor
    print(f"{processor()}, torch {torch.__version__} with {torch.get_num_threads()} threads, flashsfa {__version__}; median of "
          f"{options.repeats} interleaved samples, N(0, 1), seed {options.seed}")
    columns, results = CPU_COLUMNS + (() if options.values is None else (QUANTIZATION_COLUMN,)), []
    for title, record, rows in cpu.attention(options):
        _print_table(title, rows, None, columns)
        results.append({**record, "rows": rows})
    return results


def main(arguments=None):
    options = parse(arguments)
    run = _run_cpu if options.device == "cpu" else _run_overhead if options.op == "overhead" else _run_gpu
    results = run(options)
    if options.json and results is not None:
        from sfa.info import lines
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(dict(machine=dict(lines()), results=results), file, indent=1)
            file.write("\n")
        print(f"\nwrote {options.json}")
    if options.device == "cpu" and results is not None:
        failed = [row["name"] for result in results for row in result["rows"] if row["ms"] is None]
        print(f"\n{len(failed)} of {sum(len(result['rows']) for result in results)} could not be measured or are wrong")
        return 1 if failed else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
