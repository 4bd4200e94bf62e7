"""The parts of scripts/gpu-bench.py that need no GPU: gate.py SCRIPT"""

import importlib.util
import sys

spec = importlib.util.spec_from_file_location("gate", sys.argv[1])
gate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gate)

printed = """\
bench dense S1                   randn  D=128 N=16384 H=16 causal=1  1.2270 ms  896.1 TFLOP/s  min 1.2124  2076 MHz
bench d64 dense online W3        sfa    D=64 N=65536 H=32 causal=0  58.3 ms  896.1 TFLOP/s  min 58.1  2076 MHz
ERR out of memory line 4
"""
studies = gate.Studies("/nowhere")
for key, milliseconds in gate.parse_study(printed).items():
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
