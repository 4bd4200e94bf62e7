#!/usr/bin/env bash
# The main job on real input, the queries, keys and values in test/data. First what sparse feature attention gains on this
# machine: dense attention against the schedule that the compiler chooses, from 2048 to 16384 tokens. Then every strategy on
# 256 tokens. Results are checked against the fp64 oracle. Sets up what is missing first.
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
longRuns=3
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

# Compiles and runs an example on PREFIX_q.npy and so on, leaves o.npy and lse.npy, prints what sfa-run prints.
#   run PREFIX FILE [FLAG...]
run() {
  local prefix=$1 file=$2
  shift 2
  "$bin/sfa-run" "$root/examples/$file" --arg "${prefix}_q.npy" --arg "${prefix}_k.npy" --arg "${prefix}_v.npy" \
    --out "$work/o.npy" --out "$work/lse.npy" "--time=$timedRuns" "$@"
}

# Judges o.npy and lse.npy; a bad verdict is not an error of this function.
#   judge PREFIX [FLAG...]
judge() {
  local prefix=$1 status=0
  shift
  "$bin/sfa-oracle" -q "${prefix}_q.npy" -k "${prefix}_k.npy" -v "${prefix}_v.npy" --mask causal \
    --compare "$work/o.npy" --compare-lse "$work/lse.npy" --plain "$@" || status=$?
  ((status <= 1))
}

# One row of the table; sets `allRight` to 0 for a result that is not right.
#   row NAME OUTPUT-OF-RUN OUTPUT-OF-JUDGE
row() {
  local name=$1 time error ratio verdictO verdictLse right=yes
  time=$(timeOf "$2")
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

# Milliseconds of the median run: timeOf OUTPUT-OF-RUN
timeOf() {
  local time
  time=$(valueOf 'time: median ' "$1")
  printf '%s\n' "${time%% ms*}"
}

# A file of as many copies of PREFIX_q.npy, one behind the other along the tokens, and so on: repeatTokens PREFIX COPIES TO
repeatTokens() {
  python3 - "$@" <<'END'
import ast, struct, sys

prefix, copies, to = sys.argv[1], int(sys.argv[2]), sys.argv[3]
for name in "qkv":
    data = open(f"{prefix}_{name}.npy", "rb").read()
    length, = struct.unpack("<H", data[8:10])
    header, elements = ast.literal_eval(data[10:10 + length].decode()), data[10 + length:]
    batch, heads, tokens, features = header["shape"]
    header["shape"] = (batch, heads, copies * tokens, features)
    size = len(elements) // (batch * heads)
    text = (repr(header) + " " * (117 - len(repr(header))) + "\n").encode()
    with open(f"{to}_{name}.npy", "wb") as file:
        file.write(data[:8] + struct.pack("<H", len(text)) + text)
        for head in range(batch * heads):
            file.write(elements[head * size:(head + 1) * size] * copies)
END
}

# The table of long sequences: table NAME [FLAG-OF-SFA-RUN...]
table() {
  local name=$1 tokens copies prefix denseOutput output judgement denseMs ms verdictOfCodes chosen=()
  shift
  printf '\n%s\n  %7s %20s %10s %15s %12s %12s %9s %7s\n' "$name" tokens 'dense attention, ms' 'codes, ms' 'times as fast' \
    'K cache, MB' 'as codes, MB' 'ratio' 'right'
  for copies in 1 2 4 8; do
    tokens=$((2048 * copies)) prefix=$data/layer4_long
    if ((copies > 1)); then
      prefix=$work/long$copies
      [[ -f ${prefix}_q.npy ]] || repeatTokens "$data/layer4_long" "$copies" "$prefix"
    fi
    denseOutput=$(timedRuns=$longRuns run "$prefix" dense-attention.mlir "$@")
    output=$(timedRuns=$longRuns run "$prefix" attention.mlir --print-schedule "$@")
    denseMs=$(timeOf "$denseOutput") ms=$(timeOf "$output")
    judgement='' verdictOfCodes=-
    if ((copies == 1)); then # the oracle would take minutes for more
      judgement=$(judge "$prefix" --topk 8)
      verdictOfCodes=yes
      if [[ $(valueOf 'o_verdict: ' "$judgement") != PASS || $(valueOf 'lse_verdict: ' "$judgement") != PASS ]]; then
        verdictOfCodes=NO allRight=0
      fi
      judgement=$(valueOf 'o_relative_frobenius_ratio: ' "$judgement")
    fi
    awk -v tokens="$tokens" -v dense="$denseMs" -v ms="$ms" -v ratio="${judgement:--}" -v right="$verdictOfCodes" \
      'BEGIN { printf "  %7d %20.2f %10.2f %15.2f %12.2f %12.2f %9s %7s\n", tokens, dense, ms, dense / ms,
                      2 * tokens * 128 * 2 / 1e6, 2 * tokens * 8 * 3 / 1e6, ratio, right }'
    chosen+=("$(valueOf 'schedule: ' "$output")")
  done
  printf '  chosen for %d tokens: %s\n' "$tokens" "${chosen[-1]}"
}

"$root/scripts/setup.sh" sfa-run sfa-oracle sfa-opt sfa-compile sfa-bench # all that README uses

allRight=1
cat <<'END'

What sparse feature attention gains: layer 4 of a trained model, 2 heads of 128 features, f16, causal; codes keep 8 features,
and their times have the top-k of queries and keys in them. test/data has 2048 tokens; longer sequences repeat them.
END
table 'on this CPU'
if compgen -G '/dev/nvidia[0-9]*' >/dev/null; then
  table 'on the GPU of this machine, where codes are densified: only the cache gains yet' --target=cuda
fi
cat <<'END'

Every strategy on short sequences, causal:
layers 1 and 4 of the model, 2 heads of 256 tokens and 128 features, f16; codes keep 8 features.
END
for layer in layer1 layer4; do
  denseTime=
  printf '\n%s\n  %-17s %9s %9s %12s %8s %7s\n' "$layer" '' 'time, ms' 'x dense' 'error' 'ratio' 'right'

  output=$(run "$data/$layer" dense-attention.mlir)
  judgement=$(judge "$data/$layer")
  row 'dense attention' "$output" "$judgement"
  for strategy in "${strategies[@]}"; do
    output=$(run "$data/$layer" attention.mlir "--strategy=$strategy")
    judgement=$(judge "$data/$layer" --topk 8)
    row "$strategy" "$output" "$judgement"
  done
  output=$(run "$data/$layer" attention.mlir --print-schedule)
  judgement=$(judge "$data/$layer" --topk 8)
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

time     one run, median; top-k of queries and keys included (of long sequences the median of 3)
x dense  how many times as fast as dense attention
error    of the output against fp64, relative Frobenius norm
ratio    of this error to that of dense attention computed in f16 on the same queries and keys; 1.5 is allowed
right    output and log-sum-exp within what is allowed

build/bin/sfa-bench compares the strategies on sizes of your choice.
END

((allRight == 0)) || verdict=PASS
