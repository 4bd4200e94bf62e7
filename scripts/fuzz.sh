#!/bin/sh
# Mutates the .mlir files of test/ and examples/ and runs the compiler on them: fuzz.sh [SECONDS] [OPTIONS]
# Needs a build (ninja -C build sfa-opt). All options: scripts/fuzz.py --help
exec python3 "$(dirname "$0")/fuzz.py" "$@"
