"""The parts of scripts/gpu-bench.py that need no GPU: gate.py SCRIPT"""

import importlib.util
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[1]).parent))
from gpu_bench_studies import Studies, parse_study

spec = importlib.util.spec_from_file_location("gate", sys.argv[1])
gate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gate)

printed = """\
bench dense S1                   randn  D=128 N=16384 H=16 causal=1  1.2270 ms  896.1 TFLOP/s  min 1.2124  2076 MHz
bench d64 dense online W3        sfa    D=64 N=65536 H=32 causal=0  58.3 ms  896.1 TFLOP/s  min 58.1  2076 MHz
ERR out of memory line 4
"""
studies = Studies("/nowhere")
for key, milliseconds in parse_study(printed).items():
    studies.samples[key] = [milliseconds, 10 * milliseconds, milliseconds]
print(studies.milliseconds(128, "lazy", "randn", 16384, True))
print(studies.milliseconds(64, "online", "sfa", 65536, False), studies.milliseconds(64, "online", "sfa", 65536, True))
print(studies.missing(128), "|", studies.missing(256))

checks = gate.Gate()
checks.begin("short")
checks.compare("faster", (1.0, None), (1.2, None), 1.15)
checks.compare("slower", (1.0, None), (1.1, None), 1.15)
checks.compare("no peer", (1.0, None), (None, "not installed"), 1.15)
checks.compare("none of ours", (None, "no kernel"), (1.0, None), 1.15)
print(*gate.summarize(checks.checks))
print(*gate.summarize([check for check in checks.checks if check["result"] == "skipped"]))

# Two builds, each of which is a process: the other one takes 1 ms for every row, this one more, or has no kernel, or ends.
rows = list(gate.rows_of("guard"))
print(len(rows), [len(list(gate.rows_of(part))) for part in gate.PARTS], rows[0][0])
gate.rows_of = lambda part: [(f"{part} {number}", row) for number, (_, row) in enumerate(rows)]
fake = [sys.executable, str(pathlib.Path(__file__).with_name("fake_build.py"))]
new, old = gate.Build([*fake, "1.0", "1.014", "1.016", "none"]), gate.Build([*fake, *4 * ["1"]])
print(*gate.summarize(gate.compare_builds(["guard"], new, old)))
gate.REPEATS = 3
print(gate.measure_builds({}, new, old))
print(gate.measure_builds({}, gate.Build([*fake, "ends"]), old)[0])
new.close()
old.close()
