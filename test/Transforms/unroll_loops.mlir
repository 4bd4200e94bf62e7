// RUN: sfa-opt --sfa-unroll-loops --canonicalize %s | FileCheck %s

!t = tensor<1x2x?x64xf16>

// CHECK-LABEL: func.func @constant
// CHECK-NOT: scf.for
// CHECK: %[[A:.*]] = sfa.attention %arg0, %arg1, %arg2
// CHECK: %[[B:.*]] = sfa.attention %[[A]], %arg1, %arg2
// CHECK: %[[C:.*]] = sfa.attention %[[B]], %arg1, %arg2
// CHECK: return %[[C]]
func.func @constant(%q: !t, %k: !t, %v: !t) -> !t {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%x = %q) -> (!t) {
    %o = sfa.attention %x, %k, %v : !t, !t, !t -> !t
    scf.yield %o : !t
  }
  return %r : !t
}

// CHECK-LABEL: func.func @nested
// CHECK-NOT: scf.for
// CHECK-COUNT-6: sfa.attention
// CHECK-NOT: sfa.attention
// CHECK: return
func.func @nested(%q: !t, %k: !t, %v: !t) -> !t {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%x = %q) -> (!t) {
    %s = scf.for %j = %c0 to %c2 step %c1 iter_args(%y = %x) -> (!t) {
      %o = sfa.attention %y, %k, %v : !t, !t, !t -> !t
      scf.yield %o : !t
    }
    scf.yield %s : !t
  }
  return %r : !t
}

// Nobody knows how often, or it is too often together with the loop around it.

// CHECK-LABEL: func.func @unknown
// CHECK: scf.for
// CHECK: sfa.attention
// CHECK-NOT: sfa.attention
func.func @unknown(%q: !t, %k: !t, %v: !t, %n: index) -> !t {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%x = %q) -> (!t) {
    %o = sfa.attention %x, %k, %v : !t, !t, !t -> !t
    scf.yield %o : !t
  }
  return %r : !t
}

// CHECK-LABEL: func.func @many
// CHECK-COUNT-33: scf.for
// CHECK-NOT: scf.for
func.func @many(%q: !t, %k: !t, %v: !t) -> !t {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c33 = arith.constant 33 : index
  %r = scf.for %i = %c0 to %c33 step %c1 iter_args(%x = %q) -> (!t) {
    %s = scf.for %j = %c0 to %c33 step %c1 iter_args(%y = %x) -> (!t) {
      %o = sfa.attention %y, %k, %v : !t, !t, !t -> !t
      scf.yield %o : !t
    }
    scf.yield %s : !t
  }
  return %r : !t
}

// Loops of others stay.

// CHECK-LABEL: func.func @other
// CHECK: scf.for
func.func @other(%x: f32) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%y = %x) -> (f32) {
    %s = arith.mulf %y, %y : f32
    scf.yield %s : f32
  }
  return %r : f32
}
