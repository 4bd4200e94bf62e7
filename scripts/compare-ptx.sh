#!/bin/sh
# Compares the GPU code of two revisions of the compiler over the modules of the tests and examples:
#   compare-ptx.sh REVISION [OPTIONS]            the working tree against a commit, which is built in build/compare-ptx/
#   compare-ptx.sh --old PATH [OPTIONS]          against a ready build, a folder or its sfa-opt
# All options: scripts/compare-ptx.py --help. Exit status: 0 all identical, 1 some differ, 2 errors.
exec python3 "$(dirname "$0")/compare-ptx.py" "$@"
