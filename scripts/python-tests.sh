#!/usr/bin/env bash
# Makes the Python environment that the tests of the Python package run in: numpy, torch for CPUs, mypy and matplotlib.
#
#   scripts/python-tests.sh          prints the path of its interpreter
#   scripts/python-tests.sh --run    runs those tests on the library of build/, or of SFA_LIBRARY
#
# The environment is ${XDG_CACHE_HOME:-$HOME/.cache}/flashsfa-tests, outside of the checkout, so that all checkouts share
# it: 1.6 GB, made in a minute or two, and again where scripts/python-tests.txt has changed. It needs a network connection
# then, Python 3.11 or later with its module venv, and a C compiler. Exit status: 0, or 1 with a line that says why there
# is none.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
wanted=$root/scripts/python-tests.txt
base=${XDG_CACHE_HOME:-${HOME:?}/.cache}/flashsfa-tests
python=$base/venv/bin/python

say() { printf 'python-tests: %s\n' "$*" >&2; }

fail() {
  say "no environment with numpy and torch: $*"
  exit 1
}

# Of what the environment is made of.
stamp() { { python3 --version && cat -- "$wanted" "$root/scripts/torch-stubs.py"; } | sha256sum; }

make() {
  local log=$base/log started=$SECONDS
  say "installing numpy and torch into $base"
  rm -rf -- "$base/venv" "$base/stamp"
  if ! python3 -m venv "$base/venv" >"$log" 2>&1; then
    # Debian has the module in a package of its own.
    { ((EUID == 0)) && command -v apt-get >/dev/null && apt-get -q install -y --no-install-recommends python3-venv &&
      python3 -m venv --clear "$base/venv"; } >>"$log" 2>&1 || fail "python3 -m venv fails; $log says why (python3-venv?)"
  fi
  "$python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: \
    --retries 2 --timeout 20 -r "$wanted" >>"$log" 2>&1 ||
    fail "they cannot be installed; $log says why (no network connection?)"
  "$root/scripts/torch-stubs.py" "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" >>"$log" 2>&1 ||
    fail "the stubs cannot be made; $log says why"
  "$python" -c 'import numpy, torch; torch.ones(2, 2) @ torch.ones(2, 2)' >>"$log" 2>&1 ||
    fail "torch cannot be used; $log says why"
  stamp >"$base/stamp"
  say "done in $((SECONDS - started)) s, $(du -sh -- "$base" | cut -f1)"
}

mkdir -p -- "$base"
exec 9>"$base/lock"
flock 9
[[ -f $base/stamp && $(<"$base/stamp") == "$(stamp)" ]] || make
exec 9>&-

if [[ ${1-} == --run ]]; then
  cd -- "$root/python/tests"
  export SFA_LIBRARY=${SFA_LIBRARY:-$root/build/lib/libsfa.so}
  PYTHONPATH=$root/python PYTHONDONTWRITEBYTECODE=1 exec "$python" -m unittest discover
fi
printf '%s\n' "$python"
