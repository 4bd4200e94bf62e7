// RUN: sfa-opt --sfa-request-results %s | FileCheck %s

// CHECK: func.func private @sfa_cpu_result(index, memref<?xindex>) -> memref<?xi8> attributes {llvm.emit_c_interface}

// What is allocated here is asked for there; a cast of it is the same memory.

// CHECK-LABEL: func.func @allocated(
// CHECK-SAME: %[[N:.*]]: index) {
// CHECK-NOT: memref.alloc(
// CHECK: %[[SIZES:.*]] = memref.alloca() : memref<2xindex>
// CHECK: memref.store %[[N]], %[[SIZES]][%{{.*}}]
// CHECK: memref.store %{{.*}}, %[[SIZES]][%{{.*}}]
// CHECK: %[[ANY:.*]] = memref.cast %[[SIZES]] : memref<2xindex> to memref<?xindex>
// CHECK: %[[BYTES:.*]] = call @sfa_cpu_result(%{{.*}}, %[[ANY]])
// CHECK: %[[MEMORY:.*]] = memref.view %[[BYTES]][%{{.*}}][%[[N]]] : memref<?xi8> to memref<?x4xf32>
// CHECK: memref.store %{{.*}}, %[[MEMORY]]
// CHECK: return{{$}}
func.func @allocated(%n: index) -> memref<?x?xf32> {
  %c0 = arith.constant 0 : index
  %x = arith.constant 1.0 : f32
  %memory = memref.alloc(%n) : memref<?x4xf32>
  memref.store %x, %memory[%c0, %c0] : memref<?x4xf32>
  %cast = memref.cast %memory : memref<?x4xf32> to memref<?x?xf32>
  return %cast : memref<?x?xf32>
}

// All else is copied: arguments, what other functions allocate, and one memory returned twice.

// CHECK-LABEL: func.func @copied(
// CHECK-SAME: %[[ARGUMENT:.*]]: memref<4xf32>) {
// CHECK: %[[GIVEN:.*]] = call @callee()
// CHECK: %[[FIRST:.*]] = memref.view
// CHECK: memref.copy %[[ARGUMENT]], %{{.*}}
// CHECK: memref.copy %[[GIVEN]], %{{.*}}
// CHECK: memref.copy %[[FIRST]], %{{.*}}
// CHECK: return{{$}}
func.func @copied(%argument: memref<4xf32>) -> (memref<4xf32>, memref<4xf32>, memref<4xf32>, memref<4xf32>) {
  %given = call @callee() : () -> memref<4xf32>
  %memory = memref.alloc() : memref<4xf32>
  return %argument, %given, %memory, %memory : memref<4xf32>, memref<4xf32>, memref<4xf32>, memref<4xf32>
}

// What others call keeps its results.

// CHECK-LABEL: func.func @callee() -> memref<4xf32>
func.func @callee() -> memref<4xf32> {
  %memory = memref.alloc() : memref<4xf32>
  return %memory : memref<4xf32>
}

// CHECK-LABEL: func.func @number(%arg0: f32) -> f32
func.func @number(%x: f32) -> f32 {
  return %x : f32
}

// An allocation that may run twice, for results that are there side by side.

// CHECK-LABEL: func.func @in_a_block
// CHECK: memref.alloc() : memref<4xf32>
// CHECK: memref.copy
func.func @in_a_block(%start: memref<4xf32>, %again: i1) -> memref<4xf32> {
  cf.br ^loop
^loop:
  %memory = memref.alloc() : memref<4xf32>
  cf.cond_br %again, ^loop, ^end
^end:
  return %memory : memref<4xf32>
}
