// RUN: sfa-opt --sfa-assign-schedule --convert-sfa-to-tile --sfa-insert-probe="point=0,1,2" %s | FileCheck %s
// RUN: sfa-opt --sfa-assign-schedule --convert-sfa-to-tile --sfa-insert-probe="value=scores point=0,1,2" %s | FileCheck %s --check-prefix=SCORES
// RUN: sfa-opt --sfa-assign-schedule --convert-sfa-to-tile --sfa-insert-probe="value=state0 point=0,1,2 kernel=attention_dense_online" %s | FileCheck %s --check-prefix=STATE
// RUN: sfa-opt --sfa-assign-schedule=chip=sm_90a --convert-sfa-to-tile --sfa-insert-probe="point=0,1,2" --sfa-to-ptx=chip=sm_90a %s | FileCheck %s --check-prefix=PTX
// RUN: sfa-opt --sfa-assign-schedule=chip=sm_80 --convert-sfa-to-tile --sfa-insert-probe="point=0,1,2" --sfa-to-ptx=chip=sm_80 %s | FileCheck %s --check-prefix=PTX

// CHECK-LABEL: func.func @attention(
// CHECK-SAME: -> (tensor<1x2x?x64xf16>, tensor<1x?x128x128xf32>)
// CHECK: tensor.empty(%{{.*}}) : tensor<1x?x128x128xf32>
// CHECK: %[[ALL:.*]]:2 = sfa_tile.launch
// CHECK: return %[[ALL]]#0, %[[ALL]]#1
// CHECK-LABEL: sfa_tile.kernel @attention
// CHECK-SAME: %[[PROBE:[a-z_]+]]: memref<1x?x128x128xf32, strided<[?, ?, ?, 1], offset: ?>>) grid(%[[B:[a-z]+]], %[[H:[a-z]+]], %[[T:[a-z]+]])
// CHECK: %[[ONE:.*]] = arith.constant 1 : index
// CHECK: %[[IS_HEAD:.*]] = arith.cmpi eq, %[[H]], %[[ONE]] : index
// CHECK: %[[TWO:.*]] = arith.constant 2 : index
// CHECK: %[[IS_TILE:.*]] = arith.cmpi eq, %[[T]], %[[TWO]] : index
// CHECK: %[[HERE:.*]] = arith.andi %{{.*}}, %[[IS_TILE]]
// CHECK: sfa_tile.key_loop %[[LOWER:.*]] to
// CHECK: softmax {
// CHECK: %[[P:.*]] = sfa_tile.exp2 %scores
// CHECK: %[[KEY:.*]] = sfa_tile.first_key
// CHECK-NEXT: %[[BEHIND:.*]] = arith.subi %[[KEY]], %[[LOWER]]
// CHECK-NEXT: %[[NUMBER:.*]] = arith.divui %[[BEHIND]]
// CHECK-NEXT: sfa_tile.probe %[[P]], %[[PROBE]][%{{.*}}, %[[NUMBER]], %{{.*}}] when %[[HERE]]

// SCORES: mask {
// SCORES-NEXT: ^bb0(%{{.*}}: index, %[[S:.*]]: !sfa_tile.tile<128x128xf32>):
// SCORES: sfa_tile.probe %[[S]],

// STATE: memref<1x?x128xf32, strided<[?, ?, 1], offset: ?>>
// STATE: %[[MAX:.*]] = sfa_tile.row_max
// STATE: sfa_tile.probe %[[MAX]],

// PTX: st.global.v2
func.func @attention(%q: tensor<1x2x?x64xf16>, %k: tensor<1x2x?x64xf16>, %v: tensor<1x2x?x64xf16>)
    -> tensor<1x2x?x64xf16> {
  %o = sfa.attention %q, %k, %v mask <causal>
    : tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16> -> tensor<1x2x?x64xf16>
  return %o : tensor<1x2x?x64xf16>
}
