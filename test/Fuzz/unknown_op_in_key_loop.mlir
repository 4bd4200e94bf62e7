// RUN: not sfa-opt -allow-unregistered-dialect --sfa-to-cpu %s 2>&1 | FileCheck %s

// An unknown operation in the loop over key tiles.

// CHECK: error: 'my.op' op takes or returns '!sfa_tile.tile<128x32xf32>', which the CPU supports for sfa_tile operations only

module {
  sfa_tile.kernel @attention_scatter(%query_values: memref<1x2x8x4xf32, strided<[?, ?, ?, 1], offset: ?>>, %query_indices: memref<1x2x8x4xi8, strided<[?, ?, ?, 1], offset: ?>>, %key_values: memref<1x1x?x4xf32, strided<[?, ?, ?, 1], offset: ?>>, %key_indices: memref<1x1x?x4xi8, strided<[?, ?, ?, 1], offset: ?>>, %value: memref<1x1x?x16xf32, strided<[?, ?, ?, 1], offset: ?>>, %output: memref<1x2x8x16xf32, strided<[?, ?, ?, 1], offset: ?>>, %lse: memref<1x2x8xf32, strided<[?, ?, 1], offset: ?>>) grid(%batch, %head, %tile) schedule <strategy = scatter, softmax = lazy, q_tile = 128, k_tile = 32, stages = 2, consumers = 2> {
    %c8 = arith.constant 8 : index
    %c0 = arith.constant 0 : index
    %c2 = arith.constant 2 : index
    %c128 = arith.constant 128 : index
    %0 = arith.muli %tile, %c128 : index
    %1 = arith.divui %head, %c2 : index
    %dim = memref.dim %key_values, %c2 : memref<1x1x?x4xf32, strided<[?, ?, ?, 1], offset: ?>>
    %2 = sfa_tile.load_codes %query_values, %query_indices[%batch, %head, %0] : memref<1x2x8x4xf32, strided<[?, ?, ?, 1], offset: ?>>, memref<1x2x8x4xi8, strided<[?, ?, ?, 1], offset: ?>> -> !sfa_tile.codes<128x8xf32, k = 4>
    %3 = arith.subi %dim, %c8 : index
    %4 = arith.addi %0, %c128 : index
    %5 = arith.minsi %4, %c8 : index
    %6 = arith.addi %5, %3 : index
    %7 = arith.minsi %dim, %6 : index
    %8 = arith.maxsi %7, %c0 : index
    %9 = sfa_tile.fill 0.000000e+00 : !sfa_tile.tile<128x16xf32>
    %10 = sfa_tile.fill 0xFF800000 : !sfa_tile.tile<128xf32>
    %11 = sfa_tile.fill 0.000000e+00 : !sfa_tile.tile<128xf32, partial>
    %acc, %max, %sum = sfa_tile.key_loop %c0 to %8 step 32 init(%9, %10, %11) : !sfa_tile.tile<128x16xf32>, !sfa_tile.tile<128xf32>, !sfa_tile.tile<128xf32, partial> load {
    ^bb0(%first_key: index):
      %14 = sfa_tile.load_codes %key_values, %key_indices[%batch, %1, %first_key] : memref<1x1x?x4xf32, strided<[?, ?, ?, 1], offset: ?>>, memref<1x1x?x4xi8, strided<[?, ?, ?, 1], offset: ?>> -> !sfa_tile.codes<32x8xf32, k = 4>
      %15 = sfa_tile.postings %14 : !sfa_tile.codes<32x8xf32, k = 4> -> !sfa_tile.postings<32x8xf32, k = 4>
      %16 = sfa_tile.load %value[%batch, %1, %first_key] : memref<1x1x?x16xf32, strided<[?, ?, ?, 1], offset: ?>> -> !sfa_tile.tile<32x16xf32>
      sfa_tile.yield %15, %16 : !sfa_tile.postings<32x8xf32, k = 4>, !sfa_tile.tile<32x16xf32>
    } score {
    ^bb0(%key: !sfa_tile.postings<32x8xf32, k = 4>):
      %14 = sfa_tile.scatter_dot %2, %key : !sfa_tile.codes<128x8xf32, k = 4>, !sfa_tile.postings<32x8xf32, k = 4> -> !sfa_tile.tile<128x32xf32>
      %15 = sfa_tile.scale %14 by 9.999940e-41 : !sfa_tile.tile<128x32xf32>
      sfa_tile.yield %15 : !sfa_tile.tile<128x32xf32>
    } mask {
    ^bb0(%first_key: index, %scores: !sfa_tile.tile<128x32xf32>):
      %14 = sfa_tile.mask %scores[%0, %first_key] of[%c8, %dim] by <causal> : !sfa_tile.tile<128x32xf32>
      sfa_tile.yield %14 : !sfa_tile.tile<128x32xf32>
    } softmax {
    ^bb0(%scores: !sfa_tile.tile<128x32xf32>, %max_0: !sfa_tile.tile<128xf32>, %sum_1: !sfa_tile.tile<128xf32, partial>, %is_first: i1):
      %scale0 = arith.constant 1.44269502 : f32
      %14 = sfa_tile.exp2 %scores, %max_0 scale %scale0 : !sfa_tile.tile<128x32xf32>, !sfa_tile.tile<128xf32>
      %15 = sfa_tile.row_sum %14 : !sfa_tile.tile<128x32xf32> -> !sfa_tile.tile<128xf32, partial>
      %17:3 = scf.if %is_first -> (!sfa_tile.tile<128x32xf32>, !sfa_tile.tile<128xf32>, !sfa_tile.tile<128xf32, partial>) {
%fresh7090 = "my.op"(%scores) : (!sfa_tile.tile<128x32xf32>) -> !sfa_tile.tile<128x32xf32>
        %18 = sfa_tile.row_max %fresh7090, %max_0 : !sfa_tile.tile<128x32xf32>, !sfa_tile.tile<128xf32>
        %scale1 = arith.constant 1.44269502 : f32
        %19 = sfa_tile.exp2 %scores, %18 scale %scale1 : !sfa_tile.tile<128x32xf32>, !sfa_tile.tile<128xf32>
        %21 = sfa_tile.row_sum %19 : !sfa_tile.tile<128x32xf32> -> !sfa_tile.tile<128xf32, partial>
        scf.yield %19, %18, %21 : !sfa_tile.tile<128x32xf32>, !sfa_tile.tile<128xf32>, !sfa_tile.tile<128xf32, partial>
      } else {
        %19 = sfa_tile.add %sum_1, %15 : !sfa_tile.tile<128xf32, partial>
        scf.yield %14, %max_0, %19 : !sfa_tile.tile<128x32xf32>, !sfa_tile.tile<128xf32>, !sfa_tile.tile<128xf32, partial>
      }
      sfa_tile.yield %17#0, %17#1, %17#2 : !sfa_tile.tile<128x32xf32>, !sfa_tile.tile<128xf32>, !sfa_tile.tile<128xf32, partial>
    } accumulate {
    ^bb0(%acc_0: !sfa_tile.tile<128x16xf32>, %p: !sfa_tile.tile<128x32xf32>, %v: !sfa_tile.tile<32x16xf32>, %max_1: !sfa_tile.tile<128xf32>, %sum_2: !sfa_tile.tile<128xf32, partial>):
      %15 = sfa_tile.accumulate %acc_0, %p, %v : !sfa_tile.tile<128x16xf32>, !sfa_tile.tile<128x32xf32>, !sfa_tile.tile<32x16xf32>
      sfa_tile.yield %15, %max_1, %sum_2 : !sfa_tile.tile<128x16xf32>, !sfa_tile.tile<128xf32>, !sfa_tile.tile<128xf32, partial>
    }
  }
}
