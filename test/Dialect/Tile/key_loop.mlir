// RUN: sfa-opt %s | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --emit-bytecode %s | sfa-opt | FileCheck %s

// Results and the arguments of the stages have names that say what they are.
// CHECK: %acc, %max, %sum = sfa_tile.key_loop %{{.*}} to %{{.*}} step 32 init(%{{.*}}, %{{.*}}, %{{.*}}) : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32> load {
// CHECK-NEXT: ^bb0(%first_key: index):
// CHECK: } score {
// CHECK-NEXT: ^bb0(%key: !sfa_tile.tile<32x16xf32>):
// CHECK: } mask {
// CHECK-NEXT: ^bb0(%first_key: index, %scores: !sfa_tile.tile<64x32xf32>):
// CHECK: } softmax {
// CHECK-NEXT: ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max_0: !sfa_tile.tile<64xf32>, %sum_1: !sfa_tile.tile<64xf32>):
// CHECK: } accumulate {
// CHECK-NEXT: ^bb0(%acc_0: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %v: !sfa_tile.tile<32x128xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o : !sfa_tile.tile<64x128xf32>
  }
  return
}
