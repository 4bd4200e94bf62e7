// RUN: sfa-opt --canonicalize --sfa-assign-schedule=chip=sm_80 --convert-sfa-to-tile --canonicalize --cse \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries" %s \
// RUN:   | not sfa-opt --convert-sfa-gpu-to-nvvm=chip=sm_80 2>&1 | FileCheck %s

// CHECK: 'sfa_tile.kernel' op has a key loop; run sfa-gpu-specialize, sfa-gpu-pipeline and sfa-gpu-allocate before

func.func @attention(%q: tensor<1x8x?x64xbf16>, %k: tensor<1x8x?x64xbf16>, %v: tensor<1x8x?x64xbf16>)
    -> tensor<1x8x?x64xbf16> {
  %o = sfa.attention %q, %k, %v
    : tensor<1x8x?x64xbf16>, tensor<1x8x?x64xbf16>, tensor<1x8x?x64xbf16> -> tensor<1x8x?x64xbf16>
  return %o : tensor<1x8x?x64xbf16>
}
