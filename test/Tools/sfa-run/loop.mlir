// REQUIRES: sfa-run
// Attention in a loop, whose output is the next query, and in a branch. A loop that goes around three times computes
// what three operations do, on the CPU and, by its program, on a GPU.

// DEFINE: %{data} = %S/../../data/layer1
// DEFINE: %{args} = --arg %{data}_q.npy --arg %{data}_k.npy --arg %{data}_v.npy

// RUN: sfa-run %s --entry=loop %{args} --out %t.loop.npy
// RUN: sfa-run %s --entry=unrolled %{args} --out %t.unrolled.npy
// RUN: cmp %t.loop.npy %t.unrolled.npy
// RUN: sfa-run %s --entry=by_size %{args} --out %t.by_size.npy
// RUN: cmp %t.by_size.npy %t.unrolled.npy
// RUN: sfa-run %s --entry=branch %{args} --out %t.branch.npy
// RUN: sfa-run %s --entry=once %{args} --out %t.once.npy
// RUN: cmp %t.branch.npy %t.once.npy

// The copies share a kernel.
// RUN: sfa-compile %s --entry=loop --chip=sm_90a --emit=ptx | FileCheck %s --check-prefix=PTX
// PTX-COUNT-1: .visible .entry
// PTX-NOT: .visible .entry
// RUN: sfa-compile %s --entry=loop --chip=sm_80 -o %t.loop.json
// RUN: sfa-compile %s --entry=unrolled --chip=sm_80 -o %t.unrolled.json
// RUN: diff %t.loop.json %t.unrolled.json

// RUN: not sfa-compile %s --entry=by_size 2>&1 | FileCheck %s --check-prefix=BY-SIZE
// BY-SIZE: sfa-compile: error: {{.*}}loop.mlir:[[@LINE+32]]:{{[0-9]+}}: 'scf.for' is not supported in a function that runs on a GPU, which is a list of launches: give a loop bounds that are constants, for 1024 iterations at most, or call a function without it once for each iteration
// RUN: not sfa-compile %s --entry=branch 2>&1 | FileCheck %s --check-prefix=BRANCH
// BRANCH: 'scf.if' is not supported in a function that runs on a GPU

!t = tensor<1x2x?x128xf16>

func.func @loop(%q: !t, %k: !t, %v: !t) -> !t {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%x = %q) -> (!t) {
    %o = sfa.attention %x, %k, %v mask <causal> schedule <strategy = dense, q_tile = 64, k_tile = 64> : !t, !t, !t -> !t
    scf.yield %o : !t
  }
  return %r : !t
}

func.func @unrolled(%q: !t, %k: !t, %v: !t) -> !t {
  %a = sfa.attention %q, %k, %v mask <causal> schedule <strategy = dense, q_tile = 64, k_tile = 64> : !t, !t, !t -> !t
  %b = sfa.attention %a, %k, %v mask <causal> schedule <strategy = dense, q_tile = 64, k_tile = 64> : !t, !t, !t -> !t
  %c = sfa.attention %b, %k, %v mask <causal> schedule <strategy = dense, q_tile = 64, k_tile = 64> : !t, !t, !t -> !t
  return %c : !t
}

// Three times, which only the call tells.
func.func @by_size(%q: !t, %k: !t, %v: !t) -> !t {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %n = tensor.dim %q, %c2 : !t
  %some = arith.minui %n, %c2 : index
  %count = arith.addi %some, %c1 : index
  %r = scf.for %i = %c0 to %count step %c1 iter_args(%x = %q) -> (!t) {
    %o = sfa.attention %x, %k, %v mask <causal> schedule <strategy = dense, q_tile = 64, k_tile = 64> : !t, !t, !t -> !t
    scf.yield %o : !t
  }
  return %r : !t
}

func.func @branch(%q: !t, %k: !t, %v: !t) -> !t {
  %c2 = arith.constant 2 : index
  %n = tensor.dim %q, %c2 : !t
  %is_some = arith.cmpi ugt, %n, %c2 : index
  %r = scf.if %is_some -> (!t) {
    %o = sfa.attention %q, %k, %v mask <causal> schedule <strategy = dense, q_tile = 64, k_tile = 64> : !t, !t, !t -> !t
    scf.yield %o : !t
  } else {
    scf.yield %q : !t
  }
  return %r : !t
}

func.func @once(%q: !t, %k: !t, %v: !t) -> !t {
  %o = sfa.attention %q, %k, %v mask <causal> schedule <strategy = dense, q_tile = 64, k_tile = 64> : !t, !t, !t -> !t
  return %o : !t
}
