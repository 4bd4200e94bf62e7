#!/usr/bin/env bash
# The main job on real input: compiles examples/attention.mlir, runs it on the queries, keys and values in test/data
# under every strategy, checks each result against the fp64 oracle and compares with dense attention. Sets up what is
# missing first.
#
#   scripts/run-demo.sh
#
# The last line is `demo: PASS` or `demo: FAIL`; exit status 0 or 1. Environment: SFA_NUM_THREADS as for sfa-run.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
bin=$root/build/bin
data=$root/test/data
timedRuns=200
strategies=(dense scatter gather sparse_mma)

work=$(mktemp -d)
verdict=FAIL # until every step has ended well

# shellcheck disable=SC2317 # the trap calls it
finish() {
  trap - EXIT
  rm -rf -- "$work"
  printf 'demo: %s\n' "$verdict"
  [[ $verdict == PASS ]] || exit 1
  exit 0
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

# What follows `NAME` in a line of TEXT: valueOf NAME TEXT
valueOf() {
  local value
  value=$(sed -n "s/^$1//p" <<<"$2")
  [[ -n $value ]] || fail "no line \`$1\` in: $2"
  printf '%s\n' "$value"
}

# Compiles and runs an example on a layer, leaves o.npy and lse.npy, prints what sfa-run prints.
#   run LAYER FILE [FLAG...]
run() {
  local layer=$1 file=$2
  shift 2
  "$bin/sfa-run" "$root/examples/$file" --arg "$data/${layer}_q.npy" --arg "$data/${layer}_k.npy" \
    --arg "$data/${layer}_v.npy" --out "$work/o.npy" --out "$work/lse.npy" "--time=$timedRuns" "$@"
}

# Judges o.npy and lse.npy; a bad verdict is not an error of this function.
#   judge LAYER [FLAG...]
judge() {
  local layer=$1 status=0
  shift
  "$bin/sfa-oracle" -q "$data/${layer}_q.npy" -k "$data/${layer}_k.npy" -v "$data/${layer}_v.npy" --mask causal \
    --compare "$work/o.npy" --compare-lse "$work/lse.npy" --plain "$@" || status=$?
  ((status <= 1))
}

# One row of the table; sets `allRight` to 0 for a result that is not right.
#   row NAME OUTPUT-OF-RUN OUTPUT-OF-JUDGE
row() {
  local name=$1 time error ratio verdictO verdictLse right=yes
  time=$(valueOf 'time: median ' "$2")
  time=${time%% ms*}
  error=$(valueOf 'o_relative_frobenius: ' "$3")
  ratio=$(valueOf 'o_relative_frobenius_ratio: ' "$3")
  verdictO=$(valueOf 'o_verdict: ' "$3")
  verdictLse=$(valueOf 'lse_verdict: ' "$3")
  if [[ $verdictO != PASS || $verdictLse != PASS ]]; then
    right=NO
    allRight=0
  fi
  : "${denseTime:=$time}"
  awk -v name="$name" -v time="$time" -v dense="$denseTime" -v error="$error" -v ratio="$ratio" -v right="$right" \
    'BEGIN { printf "  %-17s %9.3f %9.2f %12.3e %8.2f %7s\n", name, time, dense / time, error, ratio, right }'
}

# Bytes of the elements of a .npy file (version 1): all but the header, whose length is at byte 8.
elementBytes() {
  local header total
  header=$(od -An -tu2 -j8 -N2 -- "$1")
  total=$(wc -c <"$1")
  echo $((total - 10 - header))
}

"$root/scripts/setup.sh" sfa-run sfa-oracle

allRight=1
cat <<'END'

Sparse feature attention on the queries, keys and values of a trained model, causal:
test/data, layers 1 and 4, 2 heads of 256 tokens and 128 features, f16; the codes keep 8 features.
END
for layer in layer1 layer4; do
  denseTime=
  printf '\n%s\n  %-17s %9s %9s %12s %8s %7s\n' "$layer" '' 'time, ms' 'x dense' 'error' 'ratio' 'right'

  output=$(run "$layer" dense-attention.mlir)
  judgement=$(judge "$layer")
  row 'dense attention' "$output" "$judgement"
  for strategy in "${strategies[@]}"; do
    output=$(run "$layer" attention.mlir "--strategy=$strategy")
    judgement=$(judge "$layer" --topk 8)
    row "$strategy" "$output" "$judgement"
  done
  output=$(run "$layer" attention.mlir --print-schedule)
  judgement=$(judge "$layer" --topk 8)
  row 'chosen' "$output" "$judgement"
  printf '  chosen: %s\n' "$(valueOf 'schedule: ' "$output")"

  "$bin/sfa-run" "$root/examples/1-sparsify.mlir" --arg "$data/${layer}_k.npy" --out "$work/values.npy" \
    --out "$work/features.npy"
  dense=$(elementBytes "$data/${layer}_k.npy")
  values=$(elementBytes "$work/values.npy")
  features=$(elementBytes "$work/features.npy")
  printf '  K cache: %d bytes dense, %d bytes as codes (%d%%)\n' "$dense" \
    $((values + features)) $((100 * (values + features) / dense))
done
cat <<'END'

time     one run, median; top-k of queries and keys included
x dense  how many times as fast as dense attention
error    of the output against fp64, relative Frobenius norm
ratio    of this error to that of dense attention computed in f16 on the same queries and keys; 1.5 is allowed
right    output and log-sum-exp within what is allowed

256 tokens are few for sparse scores to pay; build/bin/sfa-bench compares the strategies on longer sequences.
END

((allRight == 0)) || verdict=PASS
