#!/usr/bin/env bash
# Runs all tests: sets up what is missing, builds, runs lit with the unit and execution tests on all cores.
#
#   scripts/run-tests.sh
#
# The last line is `N passed, N failed, N skipped`; every case of a GoogleTest binary counts as a test. Exit status: 0
# when tests ran and none failed, 1 otherwise. Environment: LIT_OPTS are further options of lit, such as --filter=SFA.
set -euo pipefail

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

litStatus=0
LIT_OPTS="${LIT_OPTS:-} --output='$results/lit.json' --xunit-xml-output='$results/lit.xml'" \
  ninja -C "$root/build" check-sfa || litStatus=$?

# Without results of lit the line stays the one of a failure.
status=0
counted=$(python3 "$root/scripts/summarize-tests.py" "$results/lit" "$litStatus") || status=$?
summary=${counted:-$summary}
exit "$status"
