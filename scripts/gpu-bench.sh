#!/usr/bin/env bash
# The performance gate: times the kernels against hand-written studies, cuDNN and FlashAttention-2 (of torch) and copies, all
# interleaved in one run, and holds the ratios against targets.
#
#   scripts/gpu-bench.sh [WHEEL] [--only PART,...] [--long] [--prototypes DIR] [--json FILE] [--list]
#   scripts/gpu-bench.sh [WHEEL] --against WHEEL [--only PART,...] [--long] [--json FILE]
#   scripts/gpu-bench.sh --build DIR --source DIR
#
# WHEEL is put into a folder that is gone afterwards; without it the package is the installed one, or that of this tree where
# SFA_LIBRARY names its libsfa.so. PYTHON is the interpreter (python3), with torch. The studies are CUDA programs: the third
# form builds them with nvcc, where no GPU is needed, and --prototypes names the folder that they are in.
#
# The second form compares two builds of this project in one run, row by row, each in a process of its own; a row fails where
# the first takes more than 1.5% longer than that of --against.
#
# Prints a line for each check: pass, FAIL or skipped. Exit status: 1 where one has failed, otherwise 0, also with the line
# "SKIPPED: no GPU". The targets are in scripts/gpu-bench.py.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/use-package.sh"
"$python" "$root/scripts/gpu-bench.py" "$@"
