// RUN: sfa-opt %s -convert-sfa-to-tile -split-input-file | FileCheck %s

// Codes go through functions, calls and structured control flow as two tensors.

// CHECK-LABEL: func.func private @external(tensor<1x1x?x8xf32>, tensor<1x1x?x8xi8>, i32) -> (tensor<1x1x?x8xf32>, tensor<1x1x?x8xi8>)
func.func private @external(tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, i32) -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>

// CHECK-LABEL: func.func @call(
// CHECK-SAME: %[[I:.*]]: i32, %[[V:.*]]: tensor<1x1x?x8xf32> {my.note}, %[[N:.*]]: tensor<1x1x?x8xi8> {my.note})
// CHECK: %[[R:.*]]:2 = call @external(%[[V]], %[[N]], %[[I]])
// CHECK: return %[[R]]#0, %[[R]]#1
func.func @call(%i: i32, %x: tensor<1x1x?x64xf32, #sfa.codes<k = 8>> {my.note}) -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>> {
  %0 = call @external(%x, %i) : (tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, i32) -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  return %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
}

// -----

// CHECK-LABEL: func.func @control_flow(
// CHECK-SAME: %[[C:.*]]: i1, %[[COUNT:.*]]: index, %[[V:.*]]: tensor<1x1x?x8xf32>, %[[N:.*]]: tensor<1x1x?x8xi8>, %[[V1:.*]]: tensor<1x1x?x8xf32>, %[[N1:.*]]: tensor<1x1x?x8xi8>)
// CHECK: %[[IF:.*]]:2 = scf.if %[[C]] -> (tensor<1x1x?x8xf32>, tensor<1x1x?x8xi8>)
// CHECK: scf.yield %[[V]], %[[N]]
// CHECK: scf.yield %[[V1]], %[[N1]]
// CHECK: %[[FOR:.*]]:2 = scf.for {{.*}} iter_args(%{{.*}} = %[[IF]]#0, %{{.*}} = %[[IF]]#1)
// CHECK: %[[WHILE:.*]]:2 = scf.while (%{{.*}} = %[[FOR]]#0, %{{.*}} = %[[FOR]]#1)
// CHECK: %[[SELECTV:.*]] = arith.select %[[C]], %[[WHILE]]#0, %[[V]] : tensor<1x1x?x8xf32>
// CHECK: %[[SELECTN:.*]] = arith.select %[[C]], %[[WHILE]]#1, %[[N]] : tensor<1x1x?x8xi8>
// CHECK: return %[[SELECTV]], %[[SELECTN]]
func.func @control_flow(%c: i1, %n: index, %x: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>,
                        %y: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>) -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = scf.if %c -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>> {
    scf.yield %x : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  } else {
    scf.yield %y : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  }
  %1 = scf.for %i = %c0 to %n step %c1 iter_args(%z = %0) -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>> {
    scf.yield %z : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  }
  %2 = scf.while (%z = %1) : (tensor<1x1x?x64xf32, #sfa.codes<k = 8>>) -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>> {
    scf.condition(%c) %z : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  } do {
  ^bb0(%z: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>):
    scf.yield %z : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  }
  %3 = arith.select %c, %2, %x : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  return %3 : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
}

// -----

// CHECK-LABEL: func.func @cast_and_dim(
// CHECK-SAME: %[[V:.*]]: tensor<1x1x?x8xf32>, %[[N:.*]]: tensor<1x1x?x8xi8>, %[[I:.*]]: index)
// CHECK: %[[CAST:.*]] = tensor.cast %[[V]] : tensor<1x1x?x8xf32> to tensor<1x1x5x8xf32>
// CHECK: tensor.cast %[[N]] : tensor<1x1x?x8xi8> to tensor<1x1x5x8xi8>
// CHECK: %[[C64:.*]] = arith.constant 64
// CHECK: %[[LAST:.*]] = arith.cmpi eq, %[[I]]
// CHECK: %[[DIM:.*]] = tensor.dim %[[CAST]], %[[I]]
// CHECK: arith.select %[[LAST]], %[[C64]], %[[DIM]]
func.func @cast_and_dim(%x: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, %i: index) -> (tensor<1x1x5x64xf32, #sfa.codes<k = 8>>, index) {
  %0 = tensor.cast %x : tensor<1x1x?x64xf32, #sfa.codes<k = 8>> to tensor<1x1x5x64xf32, #sfa.codes<k = 8>>
  %1 = tensor.dim %0, %i : tensor<1x1x5x64xf32, #sfa.codes<k = 8>>
  return %0, %1 : tensor<1x1x5x64xf32, #sfa.codes<k = 8>>, index
}

// -----

// Code that is never reached goes away before it is looked at.
// CHECK-LABEL: func.func @unreachable(
// CHECK-NEXT: return
// CHECK-NOT: launch
func.func @unreachable() {
  return
^bb1:
  %0 = sfa.densify %1 : tensor<1x1x?x64xf32, #sfa.codes<k = 64>>
  %1 = sfa.sparsify %0 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 64>>
  cf.br ^bb1
}
