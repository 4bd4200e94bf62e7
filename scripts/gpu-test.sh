#!/usr/bin/env bash
# Runs the tests that need a GPU, with torch and an installed package.
#
#   scripts/gpu-test.sh [WHEEL] [--only GROUP,...] [--jobs N] [--count N] [--seed N] [--tools DIR] [--programs DIR] [--list]
#
# WHEEL is put into a folder that is gone afterwards; without it the package is the installed one, or that of this tree
# where SFA_LIBRARY names its libsfa.so. PYTHON is the interpreter (python3). SFA_REAL_DATA may name a folder of arrays
# *_q.npy, *_k.npy and *_v.npy, f16, [heads, tokens, features]. The DIR of --tools is an unpacked archive of
# scripts/package.sh, whose tools and tests of the runtime run too; that of --programs is what scripts/gpu-test-programs.sh has
# made in a build folder.
#
# Prints a table of groups and the failures. Exit status: 0 when all passed, and with the line "SKIPPED: no GPU" where
# there is none; 1 otherwise.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/use-package.sh"
"$python" "$root/python/tests/gpu/run.py" "$@"
