// RUN: not sfa-opt %s -sfa-assign-schedule="shapes=1x32xmany" 2>&1 | FileCheck %s --check-prefix=SHAPE
// SHAPE: shape '1x32xmany' is not one such as '1x32x4096x128'
// RUN: not sfa-opt %s -sfa-assign-schedule="shapes=1x32x-1x128" 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// NEGATIVE: shape '1x32x-1x128' is not one
// RUN: not sfa-opt %s -sfa-assign-schedule="shapes=1x16x1x128,1x16x9x128,1x16x9x128" 2>&1 | FileCheck %s --check-prefix=FEW
// FEW: 'sfa.attention' op cannot use the shapes: there is no dimension 0 of argument 3 among the 3 shapes
// RUN: not sfa-opt %s -sfa-assign-schedule="shapes=1x16x1x128,1x16x9x128,1x16,3,3" 2>&1 | FileCheck %s --check-prefix=RANK
// RANK: cannot use the shapes: there is no dimension 2 of argument 2
// RUN: not sfa-opt %s -sfa-assign-schedule="shapes=1x16x1x128,1x16x9x128,1x16x9x128,1,1" 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: cannot use the shapes: s sequences have s + 1 offsets, and at least 1 sequence is needed

!x = tensor<1x16x?x128xbf16>
func.func @sequences(%q: !x, %k: !x, %v: !x, %a: tensor<?xi32>, %b: tensor<?xi32>) -> !x {
  %o = sfa.attention %q, %k, %v sequences(%a, %b : tensor<?xi32>, tensor<?xi32>) : !x, !x, !x -> !x
  return %o : !x
}
