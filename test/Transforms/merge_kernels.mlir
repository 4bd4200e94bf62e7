// RUN: sfa-opt --sfa-assign-schedule --convert-sfa-to-tile --sfa-merge-kernels %s | FileCheck %s
// RUN: sfa-opt --sfa-to-cpu %s | FileCheck %s --check-prefix=CPU
// RUN: sfa-opt --sfa-to-ptx=chip=sm_90a %s | FileCheck %s --check-prefix=PTX
// RUN: sfa-opt --sfa-to-ptx=chip=sm_80 %s | FileCheck %s --check-prefix=PTX

// The layers of a model are the same operations: a kernel each, whatever their places in the file.

// CHECK-LABEL: func.func @layers
// CHECK: sfa_tile.launch @[[FIRST:attention_dense_online[_0-9]*]] grid
// CHECK: sfa_tile.launch @[[FIRST]] grid
// CHECK: sfa_tile.launch @[[CAUSAL:attention_dense_online[_0-9]*]] grid
// CHECK: sfa_tile.launch @[[FIRST]] grid
// CHECK-COUNT-2: sfa_tile.kernel
// CHECK-NOT: sfa_tile.kernel

// CPU-COUNT-2: llvm.func {{.*}}@attention_dense_online
// CPU-NOT: llvm.func {{.*}}@attention_dense_online

// PTX-COUNT-4: gpu.launch_func @sfa_kernels::@attention_dense_online
// PTX-COUNT-2: .visible .entry attention_dense_online
// PTX-NOT: .visible .entry

!t = tensor<1x2x?x64xf16>

func.func @layers(%q: !t, %k: !t, %v: !t) -> !t {
  %a = sfa.attention %q, %k, %v schedule <strategy = dense, softmax = online> : !t, !t, !t -> !t
  %b = sfa.attention %a, %k, %v schedule <strategy = dense, softmax = online> : !t, !t, !t -> !t
  %c = sfa.attention %b, %k, %v mask <causal> schedule <strategy = dense, softmax = online> : !t, !t, !t -> !t
  %d = sfa.attention %c, %k, %v schedule <strategy = dense, softmax = online> : !t, !t, !t -> !t
  return %d : !t
}
