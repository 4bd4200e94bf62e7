// REQUIRES: sfa-run
// Several operations and results: their schedules have places, and their files are not the same.

// DEFINE: %{data} = %S/../../data/layer1
// DEFINE: %{args} = --arg %{data}_q.npy --arg %{data}_k.npy --arg %{data}_v.npy

// RUN: sfa-run %s %{args} --print-schedule --out %t.a.npy --out %t.b.npy | FileCheck %s
// CHECK:      schedule of {{.*}}several.mlir:[[@LINE+13]]:8: #sfa.schedule<strategy = dense, softmax = online, q_tile = 32, {{.*}}>
// CHECK-NEXT: schedule of {{.*}}several.mlir:[[@LINE+13]]:8: #sfa.schedule<strategy = dense, softmax = online, q_tile = 64, {{.*}}>

// RUN: not sfa-run %s %{args} --out %t.a.npy --out %t.a.npy 2>&1 | FileCheck %s --check-prefix=SAME
// RUN: rm -f %t.new.npy
// RUN: not sfa-run %s %{args} --out %t.new.npy --out %t.new.npy 2>&1 | FileCheck %s --check-prefix=SAME
// SAME: sfa-run: error: --out={{.*}}.npy and --out={{.*}}.npy are the same file; give each result a file of its own
// RUN: ln -sf %t.a.npy %t.link.npy
// RUN: not sfa-run %s %{args} --out %t.a.npy --out %t.link.npy 2>&1 | FileCheck %s --check-prefix=SAME

!t = tensor<1x2x?x128xf16>

func.func @attention(%q: !t, %k: !t, %v: !t) -> (!t, !t) {
  %a = sfa.attention %q, %k, %v schedule <strategy = dense, softmax = online, q_tile = 32> : !t, !t, !t -> !t
  %b = sfa.attention %a, %k, %v schedule <strategy = dense, softmax = online, q_tile = 64> : !t, !t, !t -> !t
  return %a, %b : !t, !t
}
