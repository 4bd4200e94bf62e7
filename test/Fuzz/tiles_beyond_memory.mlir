// RUN: not sfa-opt --sfa-to-cpu %s 2>&1 | FileCheck %s

// Tiles beyond what an address constant can hold.

// CHECK: error: {{.*}} has tiles that do not fit

func.func @f(%q: tensor<1x1x7x65536xf32>) -> tensor<1x1x7x65536xf32> {
  %o = sfa.attention %q, %q, %q schedule <q_tile = 4096, k_tile = 4096> : tensor<1x1x7x65536xf32>, tensor<1x1x7x65536xf32>, tensor<1x1x7x65536xf32> -> tensor<1x1x7x65536xf32>
  return %o : tensor<1x1x7x65536xf32>
}
