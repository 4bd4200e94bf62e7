// RUN: sfa-opt %s -sfa-to-cpu | FileCheck %s
// RUN: sfa-opt %s -sfa-to-cpu="vector-bits=128" | FileCheck %s
// RUN: sfa-opt %s -sfa-to-cpu="vector-bits=512" | FileCheck %s

// Nothing but the LLVM dialect is left, for every strategy, softmax and element type.

// CHECK-NOT: {{^ *(%[^=]*= )?"?(func|arith|scf|memref|vector|tensor|math|cf|sfa|sfa_tile)\.[a-z]}}
// CHECK: llvm.func @sfa_cpu_parallel_for(
// CHECK-NOT: {{^ *(%[^=]*= )?"?(func|arith|scf|memref|vector|tensor|math|cf|sfa|sfa_tile)\.[a-z]}}

func.func @dense_online(%q: tensor<1x4x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x80xf32>)
    -> (tensor<1x4x?x80xf32>, tensor<1x4x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %v mask <window, left = 100, right = 0> schedule <strategy = dense, softmax = online>
    : tensor<1x4x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x80xf32>
    -> tensor<1x4x?x80xf32>, tensor<1x4x?xf32>
  return %o, %lse : tensor<1x4x?x80xf32>, tensor<1x4x?xf32>
}

func.func @dense_lazy(%q: tensor<1x4x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x80xf32>)
    -> (tensor<1x4x?x80xf32>, tensor<1x4x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %v mask <window, left = 100, right = 0> schedule <strategy = dense, softmax = lazy>
    : tensor<1x4x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x80xf32>
    -> tensor<1x4x?x80xf32>, tensor<1x4x?xf32>
  return %o, %lse : tensor<1x4x?x80xf32>, tensor<1x4x?xf32>
}

func.func @gather_online(%q: tensor<1x4x?x64xf16, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf16, #sfa.codes<k = 8>>, %v: tensor<1x2x?x80xf16>)
    -> (tensor<1x4x?x80xf16>, tensor<1x4x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %v mask <window, left = 100, right = 0> schedule <strategy = gather, softmax = online>
    : tensor<1x4x?x64xf16, #sfa.codes<k = 8>>, tensor<1x2x?x64xf16, #sfa.codes<k = 8>>, tensor<1x2x?x80xf16>
    -> tensor<1x4x?x80xf16>, tensor<1x4x?xf32>
  return %o, %lse : tensor<1x4x?x80xf16>, tensor<1x4x?xf32>
}

func.func @gather_lazy(%q: tensor<1x4x?x64xf16, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf16, #sfa.codes<k = 8>>, %v: tensor<1x2x?x80xf16>)
    -> (tensor<1x4x?x80xf16>, tensor<1x4x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %v mask <window, left = 100, right = 0> schedule <strategy = gather, softmax = lazy>
    : tensor<1x4x?x64xf16, #sfa.codes<k = 8>>, tensor<1x2x?x64xf16, #sfa.codes<k = 8>>, tensor<1x2x?x80xf16>
    -> tensor<1x4x?x80xf16>, tensor<1x4x?xf32>
  return %o, %lse : tensor<1x4x?x80xf16>, tensor<1x4x?xf32>
}

func.func @scatter_online(%q: tensor<1x4x?x64xbf16, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xbf16, #sfa.codes<k = 8>>, %v: tensor<1x2x?x80xbf16>)
    -> (tensor<1x4x?x80xbf16>, tensor<1x4x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %v mask <window, left = 100, right = 0> schedule <strategy = scatter, softmax = online>
    : tensor<1x4x?x64xbf16, #sfa.codes<k = 8>>, tensor<1x2x?x64xbf16, #sfa.codes<k = 8>>, tensor<1x2x?x80xbf16>
    -> tensor<1x4x?x80xbf16>, tensor<1x4x?xf32>
  return %o, %lse : tensor<1x4x?x80xbf16>, tensor<1x4x?xf32>
}

func.func @scatter_lazy(%q: tensor<1x4x?x64xbf16, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xbf16, #sfa.codes<k = 8>>, %v: tensor<1x2x?x80xbf16>)
    -> (tensor<1x4x?x80xbf16>, tensor<1x4x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %v mask <window, left = 100, right = 0> schedule <strategy = scatter, softmax = lazy>
    : tensor<1x4x?x64xbf16, #sfa.codes<k = 8>>, tensor<1x2x?x64xbf16, #sfa.codes<k = 8>>, tensor<1x2x?x80xbf16>
    -> tensor<1x4x?x80xbf16>, tensor<1x4x?xf32>
  return %o, %lse : tensor<1x4x?x80xbf16>, tensor<1x4x?xf32>
}

func.func @sparse_mma_online(%q: tensor<1x4x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x80xf32>)
    -> (tensor<1x4x?x80xf32>, tensor<1x4x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %v mask <window, left = 100, right = 0> schedule <strategy = sparse_mma, softmax = online>
    : tensor<1x4x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x80xf32>
    -> tensor<1x4x?x80xf32>, tensor<1x4x?xf32>
  return %o, %lse : tensor<1x4x?x80xf32>, tensor<1x4x?xf32>
}

func.func @sparse_mma_lazy(%q: tensor<1x4x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x80xf32>)
    -> (tensor<1x4x?x80xf32>, tensor<1x4x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %v mask <window, left = 100, right = 0> schedule <strategy = sparse_mma, softmax = lazy>
    : tensor<1x4x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x80xf32>
    -> tensor<1x4x?x80xf32>, tensor<1x4x?xf32>
  return %o, %lse : tensor<1x4x?x80xf32>, tensor<1x4x?xf32>
}
