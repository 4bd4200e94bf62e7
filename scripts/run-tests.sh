#!/usr/bin/env bash
# Runs all tests: sets up what is missing, builds, runs lit with the unit and execution tests on all cores.
#
#   scripts/run-tests.sh             what continuous integration runs
#   scripts/run-tests.sh --full      all cases of all tests: docs/testing.md says what an ordinary run leaves out
#
# The last line is `N passed, N failed, N skipped`; every case of a GoogleTest binary counts as a test. Exit status: 0
# when tests ran and none failed, 1 otherwise. Environment: LIT_OPTS are further options of lit, such as --filter=SFA;
# SFA_TEST_PYTHON is a Python with numpy and torch, for which scripts/python-tests.sh is asked where it is not set.
set -euo pipefail

case "$*" in
'') ;;
--full) export SFA_TEST_FULL=1 ;;
*)
  echo "run-tests: error: the arguments are '$*'; only --full is allowed" >&2
  exit 1
  ;;
esac

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
results=$(mktemp -d)
summary='0 passed, 1 failed, 0 skipped'

# shellcheck disable=SC2317 # the trap calls it
finish() {
  local status=$?
  trap - EXIT
  rm -rf -- "$results"
  printf '%s\n' "$summary"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$root/scripts/setup.sh"

if [[ -z ${SFA_TEST_PYTHON-} ]]; then
  if SFA_TEST_PYTHON=$("$root/scripts/python-tests.sh"); then
    export SFA_TEST_PYTHON
  else
    unset SFA_TEST_PYTHON
    echo 'SKIPPED: tests of the Python package that need numpy or torch, where python3 has none; the lines above say why'
  fi
fi

litStatus=0
LIT_OPTS="${LIT_OPTS:-} --output='$results/lit.json' --xunit-xml-output='$results/lit.xml'" \
  ninja -C "$root/build" check-sfa || litStatus=$?

# Without results of lit the line stays the one of a failure.
status=0
counted=$(python3 "$root/scripts/summarize-tests.py" "$results/lit" "$litStatus") || status=$?
summary=${counted:-$summary}
exit "$status"
