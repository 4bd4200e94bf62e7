// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --check-prefixes=BOTH,CHECK
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefixes=BOTH,WARPS

// 8-bit codes of which the keys of a tile have several scales: integers become numbers, which are multiplied by those of their columns.

!query = tensor<1x8x?x64xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
!key = tensor<1x8x?x64xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
!value = tensor<1x8x?x64xbf16>
!offsets = tensor<?xi32>

// A lane asks for the line of every third of 96 scales, and loads those of its columns when it needs them: with constant distances
// where all keys are there.
// BOTH: llvm.func @attention_dense_online(
// BOTH: llvm.inline_asm has_side_effects asm_dialect = att "prefetch.global.L1 [$0];", "l"
// CHECK: wgmma.mma_async.sync.aligned.m64n96k32.s32.s8.s8
// CHECK: wgmma.wait_group.sync.aligned 0;", "=r,
// WARPS: nvvm.mma.sync {{.*}}shape = #nvvm.shape<m = 16, n = 8, k = 32>}
// BOTH: llvm.load %[[START:.*]] : !llvm.ptr<1> -> f32
// BOTH: %[[NEXT:.*]] = llvm.getelementptr %[[START]][4] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i8
// BOTH: llvm.load %[[NEXT]] : !llvm.ptr<1> -> f32
// BOTH: %[[NEXT:.*]] = llvm.getelementptr %[[START]][32] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i8
// BOTH: llvm.load %[[NEXT]] : !llvm.ptr<1> -> f32
// BOTH: %[[NEXT:.*]] = llvm.getelementptr %[[START]][356] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i8
// BOTH: llvm.load %[[NEXT]] : !llvm.ptr<1> -> f32
// BOTH: %[[NUMBER:.*]] = llvm.sitofp %{{.*}} : i32 to f32
// BOTH-NEXT: llvm.fmul %[[NUMBER]], %{{.*}} : f32
func.func @token(%q: !query, %v: !value) -> !value {
  %o = sfa.attention %q, %q, %v schedule <strategy = dense, softmax = online, q_tile = 128, k_tile = 96>
    : !query, !query, !value -> !value
  return %o : !value
}

// Keys before the place where the scale changes have the first one.
// BOTH: llvm.func @attention_dense_online_varlen(
// BOTH-NOT: prefetch.global
// CHECK: wgmma.wait_group.sync.aligned 0;", "=r,
// WARPS: nvvm.mma.sync {{.*}}shape = #nvvm.shape<m = 16, n = 8, k = 32>}
// BOTH: %[[IS_FIRST:.*]] = llvm.icmp "sgt" %[[LEFT:.*]], %{{.*}} : i32
// BOTH-NEXT: %[[SCALE:.*]] = llvm.select %[[IS_FIRST]], %[[FIRST:.*]], %[[LAST:.*]] : i1, f32
// BOTH-NEXT: %[[IS_FIRST:.*]] = llvm.icmp "sgt" %[[LEFT]], %{{.*}} : i32
// BOTH-NEXT: llvm.select %[[IS_FIRST]], %[[FIRST]], %[[LAST]] : i1, f32
// BOTH: %[[NUMBER:.*]] = llvm.sitofp %{{.*}} : i32 to f32
// BOTH-NEXT: llvm.fmul %[[NUMBER]], %[[SCALE]] : f32
func.func @sequences(%q: !query, %k: !key, %v: !value, %c: !offsets) -> !value {
  %o = sfa.attention %q, %k, %v sequences(%c, %c : !offsets, !offsets) schedule <strategy = dense, softmax = online, q_tile = 128, k_tile = 96>
    : !query, !key, !value -> !value
  return %o : !value
}

// Tiles of more keys than share a scale: the scale of a key is that of its 128 keys, wherever it is in the memory.
// BOTH: llvm.func @attention_dense_online{{[_0-9]+}}(
// BOTH-DAG: %[[TOKENS:.*]] = llvm.mlir.constant(128 : i64) : i64
// CHECK: wgmma.wait_group.sync.aligned 0;", "=r,
// WARPS: nvvm.mma.sync {{.*}}shape = #nvvm.shape<m = 16, n = 8, k = 32>}
// BOTH-NOT: llvm.getelementptr %{{.*}}[4] : (!llvm.ptr<1>)
// BOTH: %[[PLACE:.*]] = llvm.udiv %{{.*}}, %[[TOKENS]] : i64
// BOTH-NEXT: llvm.icmp "slt" %[[PLACE]]
// BOTH-NOT: llvm.getelementptr %{{.*}}[4] : (!llvm.ptr<1>)
// BOTH: %[[NUMBER:.*]] = llvm.sitofp %{{.*}} : i32 to f32
// BOTH-NEXT: llvm.fmul %[[NUMBER]], %{{.*}} : f32
func.func @long_tile(%q: !query, %k: !key, %v: !value) -> !value {
  %o = sfa.attention %q, %k, %v schedule <strategy = dense, softmax = online, q_tile = 64, consumers = 1, k_tile = 192>
    : !query, !key, !value -> !value
  return %o : !value
}
