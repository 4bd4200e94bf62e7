#!/usr/bin/env bash
# Installs the programs of scripts/package-tools.txt for scripts/package.sh, and prints the path of their Python.
#
#   scripts/package-tools.sh
#
# Their environment is ${XDG_CACHE_HOME:-$HOME/.cache}/flashsfa-package, outside of the checkout, so that all checkouts
# share it: 0.4 GB, made again where that file or python-tests.txt has changed. It needs a network connection then, and Python 3.10
# or later with its module venv. Exit status: 0, or 1 with a line that says why there is none.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
wanted=$root/scripts/package-tools.txt
base=${XDG_CACHE_HOME:-${HOME:?}/.cache}/flashsfa-package
python=$base/venv/bin/python

stamp() { { python3 --version && cat -- "$wanted" "$root/scripts/python-tests.txt"; } | sha256sum; }

mkdir -p -- "$base"
exec 9>"$base/lock"
flock 9
if [[ ! -f $base/stamp || $(<"$base/stamp") != "$(stamp)" ]]; then
  printf 'package-tools: installing into %s\n' "$base" >&2
  rm -rf -- "$base/venv" "$base/stamp"
  if ! { python3 -m venv "$base/venv" && "$python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps \
    --only-binary :all: -r "$wanted"; } >"$base/log" 2>&1; then
    printf 'package-tools: error: the programs of %s cannot be installed; %s says why (no network connection? no python3-venv?)\n' \
      "$wanted" "$base/log" >&2
    exit 1
  fi
  stamp >"$base/stamp"
fi
printf '%s\n' "$python"
