#!/usr/bin/env bash
# Makes programs for the group `programs` of the GPU tests (scripts/gpu-test.sh --programs DIR), on a machine that needs no GPU.
#
#   scripts/gpu-test-programs.sh BUILD DIR
#
# BUILD is a build folder with sfa-opt, sfa-compile and sfa-toy-compile; DIR gets NAME.json, the programs, and NAME.mlir, what each
# was compiled from: examples/dense-attention.mlir with a score operation of another dialect (toy-*), and its program of a block
# on sm_90a, edited (dense-*).
set -euo pipefail

if [[ $# -ne 2 ]]; then
  echo "usage: scripts/gpu-test-programs.sh BUILD DIR" >&2
  exit 1
fi
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
bin=$(cd -- "$1" && pwd)/bin
mkdir -p -- "$2"
cd -- "$2"

# edit FILE SED-COMMAND...: FILE with all edits, each of which has to change something.
edit() {
  local before after command
  before=$(cat -- "$1")
  for command in "${@:2}"; do
    after=$(sed -e "$command" <<< "$before")
    if [[ $after == "$before" ]]; then
      echo "gpu-test-programs.sh: nothing matches $command" >&2
      exit 1
    fi
    before=$after
  done
  printf '%s\n' "$before"
}

# The tile program, with toy.dot in place of the product on matrix units.
for chip in sm_80 sm_90a; do
  for type in f16 bf16; do
    sed -e "s/f16/$type/g" "$root/examples/dense-attention.mlir" |
      "$bin/sfa-opt" --sfa-assign-schedule=chip=$chip --convert-sfa-to-tile --canonicalize --cse -o tile
    edit tile 's/sfa_tile\.dot/toy.dot/' > "toy-$type-$chip.mlir"
    "$bin/sfa-toy-compile" "toy-$type-$chip.mlir" $chip program > "toy-$type-$chip.json"
  done
done

# The program of a block, with consumers that take turns; with three places for keys and values instead of two.
"$bin/sfa-opt" --sfa-assign-schedule=chip=sm_90a --convert-sfa-to-tile --canonicalize --cse \
  --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" \
  --canonicalize --cse --sfa-gpu-specialize=chip=sm_90a "$root/examples/dense-attention.mlir" -o block
edit block 's/ lookahead 1 / lookahead 1 turns /' > dense-turns.mlir
edit block 's/ring<2 of/ring<3 of/g' 's/ of 2 : !sfa_gpu.position/ of 3 : !sfa_gpu.position/' 's/ stages 2 / stages 3 /' \
  > dense-stages.mlir
for name in dense-turns dense-stages; do
  "$bin/sfa-compile" $name.mlir --chip=sm_90a -o $name.json
done
rm tile block
