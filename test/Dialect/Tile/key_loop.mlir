// RUN: sfa-opt %s | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --emit-bytecode %s | sfa-opt | FileCheck %s

// Results and the arguments of the stages have names that say what they are.
// CHECK: %acc, %max, %state = sfa_tile.key_loop %{{.*}} to %{{.*}} step 32 init(%{{.*}}, %{{.*}}, %{{.*}}) : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32> load {
// CHECK-NEXT: ^bb0(%first_key: index):
// CHECK: } score {
// CHECK-NEXT: ^bb0(%key: !sfa_tile.tile<32x16xf32>):
// CHECK: } mask {
// CHECK-NEXT: ^bb0(%first_key: index, %scores: !sfa_tile.tile<64x32xf32>):
// CHECK: } softmax {
// CHECK-NEXT: ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max_0: !sfa_tile.tile<64xf32>, %state_1: !sfa_tile.tile<64xf32>, %is_first: i1):
// CHECK: } accumulate {
// CHECK-NEXT: ^bb0(%acc_0: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %v: !sfa_tile.tile<32x128xf32>, %max_1: !sfa_tile.tile<64xf32>, %state_2: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %flag: i1):
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
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// State of every kind, none of which the softmax passes on as it is.
// CHECK-LABEL: @state(
// CHECK: %acc, %max, %sum, %state, %state_0, %flag = sfa_tile.key_loop {{.*}} : !sfa_tile.tile<64x136xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32, partial>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xi1>, i1 load {
// CHECK: ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max_{{[0-9]+}}: !sfa_tile.tile<64xf32>, %sum_{{[0-9]+}}: !sfa_tile.tile<64xf32, partial>, %state_{{[0-9]+}}: !sfa_tile.tile<64xf32>, %state_{{[0-9]+}}: !sfa_tile.tile<64xi1>, %flag_{{[0-9]+}}: i1, %is_first: i1):
// CHECK: ^bb0(%acc_{{[0-9]+}}: !sfa_tile.tile<64x136xf32>, %p: !sfa_tile.tile<64x32xf32>, %v: !sfa_tile.tile<32x128xf32>, %max_{{[0-9]+}}: !sfa_tile.tile<64xf32>, %sum_{{[0-9]+}}: !sfa_tile.tile<64xf32, partial>, %state_{{[0-9]+}}: !sfa_tile.tile<64xf32>, %state_{{[0-9]+}}: !sfa_tile.tile<64xi1>, %flag_{{[0-9]+}}: i1):
// CHECK: sfa_tile.is_due
!scores = !sfa_tile.tile<64x32xf32>
!acc = !sfa_tile.tile<64x136xf32>
!rows = !sfa_tile.tile<64xf32>
!parts = !sfa_tile.tile<64xf32, partial>
!flags = !sfa_tile.tile<64xi1>
!keys = !sfa_tile.tile<32x16xf32>
!values = !sfa_tile.tile<32x128xf32>
func.func @state(%i: index, %a: !acc, %r: !rows, %p: !parts, %f: !flags, %c: i1, %k: !keys, %v: !values, %s: !scores) {
  %0:6 = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %p, %r, %f, %c) : !acc, !rows, !parts, !rows, !flags, i1
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !keys, !values
  }
  score {
  ^bb0(%key: !keys):
    sfa_tile.yield %s : !scores
  }
  mask {
  ^bb0(%j: index, %scores: !scores):
    sfa_tile.yield %scores : !scores
  }
  softmax {
  ^bb0(%scores: !scores, %s1: !rows, %s2: !parts, %s3: !rows, %s4: !flags, %s5: i1, %is_first: i1):
    sfa_tile.yield %scores, %s3, %s2, %s1, %s4, %is_first : !scores, !rows, !parts, !rows, !flags, i1
  }
  accumulate {
  ^bb0(%acc: !acc, %probabilities: !scores, %value: !values, %s1: !rows, %s2: !parts, %s3: !rows, %s4: !flags, %s5: i1):
    %due = sfa_tile.is_due
    %next = sfa_tile.accumulate %acc, %probabilities, %value : !acc, !scores, !values
    sfa_tile.yield %next, %s1, %s2, %s3, %s4, %due : !acc, !rows, !parts, !rows, !flags, i1
  }
  return
}

// The stage `load` yields several tiles of the keys, and rows have factors until they are probabilities.
// CHECK-LABEL: @factors(
// CHECK: ^bb0(%[[KEY:.*]]: !sfa_tile.tile<32x16xi8>, %{{.*}}: !sfa_tile.tile<32xf32>):
// CHECK: ^bb0(%first_key: index, %scores: !sfa_tile.tile<64x32xf32, scaled>):
// CHECK: ^bb0(%scores: !sfa_tile.tile<64x32xf32, scaled>, %{{.*}}: !sfa_tile.tile<64xf32>, %is_first: i1):
// CHECK: ^bb0(%{{.*}}: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %v: !sfa_tile.tile<32x128xf32>,
!probabilities = !sfa_tile.tile<64x32xf32>
!scaled_scores = !sfa_tile.tile<64x32xf32, scaled>
!accumulator = !sfa_tile.tile<64x128xf32>
!row_numbers = !sfa_tile.tile<64xf32>
!integers = !sfa_tile.tile<32x16xi8>
!key_scales = !sfa_tile.tile<32xf32>
!value_rows = !sfa_tile.tile<32x128xf32>
func.func @factors(%i: index, %a: !accumulator, %r: !row_numbers, %k: !integers, %f: !key_scales, %v: !value_rows, %s: !scaled_scores, %m: !scaled_scores, %w: !probabilities) {
  %acc, %max = sfa_tile.key_loop %i to %i step 32 init(%a, %r) : !accumulator, !row_numbers
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %f, %v : !integers, !key_scales, !value_rows
  }
  score {
  ^bb0(%key: !integers, %factors: !key_scales):
    sfa_tile.yield %s : !scaled_scores
  }
  mask {
  ^bb0(%j: index, %scores: !scaled_scores):
    sfa_tile.yield %m : !scaled_scores
  }
  softmax {
  ^bb0(%scores: !scaled_scores, %max0: !row_numbers, %is_first: i1):
    sfa_tile.yield %w, %max0 : !probabilities, !row_numbers
  }
  accumulate {
  ^bb0(%o: !accumulator, %p: !probabilities, %value: !value_rows, %max1: !row_numbers):
    sfa_tile.yield %o, %max1 : !accumulator, !row_numbers
  }
  return
}
