// What the test of a module does not need is taken out of it, functions and operations within a function.
// REQUIRES: sfa-reduce
// RUN: sfa-reduce %s --erase-operations='test=%S/Inputs/interesting.sh test-arg=%sfa_bin/bin/sfa-opt' | FileCheck %s

// CHECK:      module {
// CHECK-NEXT:   func.func @densified(%arg0: tensor<1x2x64x32xf32>, {{.*}}%[[CODES:arg[0-9]+]]: tensor<1x2x64x32xf32, #sfa.codes<k = 8>>
// CHECK-NEXT:     %{{.*}} = sfa.densify %[[CODES]]
// CHECK-NEXT:     return
// CHECK-NEXT:   }
// CHECK-NEXT: }

func.func @other(%q: tensor<1x2x64x32xf32>) -> tensor<1x2x64x32xf32, #sfa.codes<k = 4>> {
  %0 = sfa.sparsify %q : tensor<1x2x64x32xf32> -> tensor<1x2x64x32xf32, #sfa.codes<k = 4>>
  return %0 : tensor<1x2x64x32xf32, #sfa.codes<k = 4>>
}

func.func @densified(%q: tensor<1x2x64x32xf32>) -> (tensor<1x2x64x32xf32>, tensor<1x2x64xf32>) {
  %0 = sfa.sparsify %q : tensor<1x2x64x32xf32> -> tensor<1x2x64x32xf32, #sfa.codes<k = 8>>
  %1 = sfa.densify %0 : tensor<1x2x64x32xf32, #sfa.codes<k = 8>>
  %2:2 = sfa.attention %1, %1, %1 mask <causal>
    : tensor<1x2x64x32xf32>, tensor<1x2x64x32xf32>, tensor<1x2x64x32xf32> -> tensor<1x2x64x32xf32>, tensor<1x2x64xf32>
  return %2#0, %2#1 : tensor<1x2x64x32xf32>, tensor<1x2x64xf32>
}


// A test that finds nothing is no reason to reduce anything.
// RUN: not sfa-reduce %sfa_src/examples/1-sparsify.mlir \
// RUN:   --erase-operations='test=%S/Inputs/interesting.sh test-arg=false' 2>&1 | FileCheck %s --check-prefix=NOTHING
// NOTHING: error: the test '{{.*}}interesting.sh' does not find the module interesting
// RUN: sfa-reduce --version | FileCheck %s --check-prefix=VERSION
// VERSION: {{^}}FlashSFA {{[0-9.]+}}, with LLVM
