// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --canonicalize %s | FileCheck %s --check-prefix=FOLD

!rows = !sfa_tile.tile<64xf32>
!parts = !sfa_tile.tile<64xf32, partial>
!flags = !sfa_tile.tile<64xi1>

// CHECK-LABEL: @arithmetic(
func.func @arithmetic(%r: !rows, %p: !parts) -> (!parts, !rows, !parts, !rows, !parts, !rows) {
  // CHECK: sfa_tile.fma %{{.*}}, %{{.*}}, %{{.*}} : !sfa_tile.tile<64xf32, partial>
  %0 = sfa_tile.fma %p, %r, %p : !parts
  // CHECK: sfa_tile.fma %{{.*}}, %{{.*}}, %{{.*}} : !sfa_tile.tile<64xf32>
  %1 = sfa_tile.fma %r, %r, %r : !rows
  // CHECK: sfa_tile.add %{{.*}}, %{{.*}} : !sfa_tile.tile<64xf32, partial>
  %2 = sfa_tile.add %0, %p : !parts
  // CHECK: sfa_tile.add %{{.*}}, %{{.*}} : !sfa_tile.tile<64xf32>
  %3 = sfa_tile.add %1, %r : !rows
  // CHECK: sfa_tile.mul %{{.*}}, %{{.*}} : !sfa_tile.tile<64xf32, partial>
  %4 = sfa_tile.mul %2, %r : !parts
  // CHECK: sfa_tile.mul %{{.*}}, %{{.*}} : !sfa_tile.tile<64xf32>
  %5 = sfa_tile.mul %3, %r : !rows
  return %0, %1, %2, %3, %4, %5 : !parts, !rows, !parts, !rows, !parts, !rows
}

// CHECK-LABEL: @map(
// CHECK: sfa_tile.map_rows(%{{.*}}, %{{.*}}) : (!sfa_tile.tile<64xf32>, !sfa_tile.tile<64xi1>) -> (!sfa_tile.tile<64xf32>, !sfa_tile.tile<64xi1>) {
// CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: i1):
// CHECK: math.fma
// CHECK: sfa_tile.yield %{{.*}}, %{{.*}} : f32, i1
// CHECK-NEXT: }
// CHECK: sfa_tile.map_rows() : () -> !sfa_tile.tile<64xf32> {
// CHECK: sfa_tile.any %{{.*}} : !sfa_tile.tile<64xi1>
// CHECK: sfa_tile.any %{{.*}} : i1
func.func @map(%r: !rows, %f: !flags, %scale: f32) -> (!rows, !rows, i1) {
  %numbers, %flags = sfa_tile.map_rows(%r, %f) : (!rows, !flags) -> (!rows, !flags) {
  ^bb0(%x: f32, %flag: i1):
    %one = arith.constant 1.0 : f32
    %power = math.exp2 %x : f32
    %log = math.log2 %power : f32
    %sum = math.fma %log, %scale, %one : f32
    %chosen = arith.select %flag, %sum, %x : f32
    %small = arith.cmpf olt, %chosen, %one : f32
    sfa_tile.yield %chosen, %small : f32, i1
  }
  %fixed = sfa_tile.map_rows() : () -> !rows {
    sfa_tile.yield %scale : f32
  }
  %some = sfa_tile.any %flags : !flags
  %same = sfa_tile.any %some : i1
  return %numbers, %fixed, %same : !rows, !rows, i1
}

// A constant is the same for all rows, another i1 need not be.
// FOLD-LABEL: @any(
// FOLD-NEXT: %[[TRUE:.*]] = arith.constant true
// FOLD-NEXT: %[[SAME:.*]] = sfa_tile.any
// FOLD-NEXT: return %[[TRUE]], %[[SAME]]
func.func @any(%c: i1) -> (i1, i1) {
  %true = arith.constant true
  %0 = sfa_tile.any %true : i1
  %1 = sfa_tile.any %c : i1
  return %0, %1 : i1, i1
}
