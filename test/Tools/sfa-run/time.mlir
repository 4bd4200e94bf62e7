// REQUIRES: sfa-run
// What the flags print, and that a schedule of the flags goes before that of the file.

// DEFINE: %{data} = %S/../../data/layer1
// DEFINE: %{args} = --arg %{data}_q.npy --arg %{data}_k.npy --arg %{data}_v.npy

// RUN: sfa-run %s %{args} | count 0
// RUN: sfa-run %s %{args} --time=3 --print-schedule | FileCheck %s
// CHECK:      schedule: #sfa.schedule<strategy = scatter, softmax = online, q_tile = 32, k_tile = {{[0-9]+}}, {{.*}}>
// CHECK-NEXT: compile: {{[0-9]+\.[0-9]}} ms
// CHECK-NEXT: time: median {{[0-9.]+}} ms, min {{[0-9.]+}} ms, 3 runs, {{[0-9]+}} threads
// CHECK-NEXT: speed: {{[0-9.]+}} GFLOP/s dense-equivalent

// RUN: sfa-run %s %{args} --print-schedule --strategy=gather --k-tile=48 | FileCheck %s --check-prefix=FLAGS
// FLAGS: schedule: #sfa.schedule<strategy = gather, softmax = online, q_tile = 32, k_tile = 48, {{.*}}>

// RUN: env SFA_NUM_THREADS=3 sfa-run %s %{args} --time | FileCheck %s --check-prefix=THREADS
// RUN: env OMP_NUM_THREADS=3 sfa-run %s --time %{args} | FileCheck %s --check-prefix=THREADS
// THREADS: 10 runs, 3 threads
// RUN: sfa-run %s %{args} --time 4 | FileCheck %s --check-prefix=FOUR
// RUN: sfa-run --time 4 %s %{args} | FileCheck %s --check-prefix=FOUR
// FOUR: 4 runs

func.func @attention(%q: tensor<1x2x?x128xf16>, %k: tensor<1x2x?x128xf16>, %v: tensor<1x2x?x128xf16>)
    -> tensor<1x2x?x128xf16> {
  %qc = sfa.sparsify %q : tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16, #sfa.codes<k = 8>>
  %kc = sfa.sparsify %k : tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16, #sfa.codes<k = 8>>
  %o = sfa.attention %qc, %kc, %v mask <causal> schedule <strategy = scatter, softmax = online, q_tile = 32>
    : tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16>
    -> tensor<1x2x?x128xf16>
  return %o : tensor<1x2x?x128xf16>
}
