// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --implicit-check-not=sitofp
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefix=WARPS --implicit-check-not=sitofp

// 8-bit codes whose keys share scales. Codes become rows of integers; no element is converted to f32 by an instruction of its own:
// an addition to its bits makes it a number with a bias, which goes away with the reference of its row.

!query = tensor<1x8x?x80xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
!key = tensor<1x8x?x80xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
!value = tensor<1x8x?x128xbf16>
!scale = tensor<1x8x?xf32>

// Scales are memories of their own, which need not be aligned. The tensor maps of integers are those of other rows.
// CHECK-LABEL: func.func @registers(
// CHECK: memref.alloc({{.*}} : memref<1x8x?x80xi8>
// CHECK: gpu.launch_func @sfa_kernels::@densify_integers blocks
// CHECK: memref.alloc({{.*}} : memref<1x8x?x80xi8>
// CHECK: gpu.launch_func @sfa_kernels::@densify_integers blocks
// CHECK: gpu.launch_func @sfa_kernels::@attention_dense_online blocks
// CHECK-SAME: sfa.aligned = array<i64: 0, 2, 4, 5>, sfa.persistent, sfa.tensor_maps = array<i64: 2, 128, 1, 4, 128, 1, 0, 128, 1>

// A lane clears and writes 16 integers; what is written between is one integer, of a value that is not 0.
// CHECK: llvm.func @densify_integers(
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<3>
// CHECK: nvvm.bar.warp.sync
// CHECK: %[[INTEGER:.*]] = llvm.load {{.*}} : !llvm.ptr<1> -> i8
// CHECK: llvm.icmp "ne" %[[INTEGER]]
// CHECK: llvm.store %[[INTEGER]], {{.*}} : i8, !llvm.ptr<3>
// CHECK: nvvm.bar.warp.sync
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>

// CHECK: llvm.func @attention_dense_online(
// CHECK-COUNT-3: llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant
// CHECK-DAG: %[[BIAS:.*]] = llvm.mlir.constant(1262485504 : i32) : i32
// Hidden elements: minus infinity and NaN without the bias.
// CHECK-DAG: %[[HIDDEN:.*]] = llvm.mlir.constant(-1270874112 : i32) : i32
// CHECK-DAG: %[[NAN:.*]] = llvm.mlir.constant(880803840 : i32) : i32
// CHECK: nvvm.cp.async.bulk.tensor.shared.cluster.global
// Three products take 96 features, the last 16 of which are zeros. Queries are in registers, and the first product does not add.
// CHECK-COUNT-3: nvvm.ldmatrix {{.*}}num = 4
// CHECK: %[[SCALE:.*]] = {{.*}} -> f32
// CHECK: setp.ne.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 {{{[^}]*}}}, {$128,$129,$130,$131}, $132, p; }
// CHECK-COUNT-2: setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 {{{[^}]*}}}, {$128,$129,$130,$131}, $132, p; }
// CHECK: nvvm.wgmma.commit.group
// CHECK: wgmma.wait_group.sync.aligned 0;", "=r,
// A row whose scale is a NaN has NaNs where it sees keys.
// CHECK: %[[IS_NAN:.*]] = llvm.fcmp "uno"
// CHECK: %[[NUMBER:.*]] = llvm.select %[[IS_NAN]], %[[NAN]], %{{.*}} : i1, i32
// CHECK: llvm.select %{{.*}}, %[[NUMBER]], %[[HIDDEN]] : i1, i32
// The largest integer of a row, and only that one without its bias.
// CHECK: llvm.intr.smax
// CHECK: %[[LARGEST:.*]] = llvm.intr.smax
// CHECK: %[[BITS:.*]] = llvm.add %{{.*}}, %[[BIAS]] : i32
// CHECK-NEXT: %[[BIASED:.*]] = llvm.bitcast %[[BITS]] : i32 to f32
// CHECK-NEXT: llvm.fsub %[[BIASED]], %{{.*}} : f32
// CHECK: nvvm.shfl.sync
// A NaN as factor stays one, and 0 is none: hidden elements are minus infinity times it.
// CHECK: %[[FACTOR:.*]] = llvm.intr.maximum(
// CHECK: %[[OFFSET:.*]] = llvm.intr.fma(%[[FACTOR]], %{{.*}}, %{{.*}})
// CHECK: %[[BITS:.*]] = llvm.add %{{.*}}, %[[BIAS]] : i32
// CHECK-NEXT: %[[BIASED:.*]] = llvm.bitcast %[[BITS]] : i32 to f32
// CHECK-NEXT: %[[EXPONENT:.*]] = llvm.intr.fma(%[[BIASED]], %[[FACTOR]], %[[OFFSET]])
// CHECK-NEXT: llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f32"(%[[EXPONENT]])
// The loop.
// CHECK-COUNT-3: wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 {{{[^}]*}}}, {$128,
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// CHECK: wgmma.wait_group.sync.aligned 1;", "=r,

// Without warpgroups the products are those of warps, of 32 features, too.
// WARPS: llvm.func @densify_integers(
// WARPS: llvm.func @attention_dense_online(
// WARPS-DAG: %[[BIAS:.*]] = llvm.mlir.constant(1262485504 : i32) : i32
// WARPS-DAG: %[[HIDDEN:.*]] = llvm.mlir.constant(-1270874112 : i32) : i32
// WARPS: nvvm.cp.async.shared.global {{.*}}, 16, cache = cg
// WARPS: nvvm.ldmatrix
// WARPS: nvvm.mma.sync {{.*}} {intOverflowBehavior = #nvvm.mma_int_overflow<wrapped>, {{.*}} multiplicandAPtxType = #nvvm.mma_type<s8>, multiplicandBPtxType = #nvvm.mma_type<s8>, shape = #nvvm.shape<m = 16, n = 8, k = 32>}
// WARPS: llvm.select %{{.*}}, %{{.*}}, %[[HIDDEN]] : i1, i32
// WARPS: llvm.intr.smax
// WARPS: llvm.add %{{.*}}, %[[BIAS]] : i32
// WARPS: llvm.nvvm.ex2.approx.ftz.f32
// WARPS: nvvm.mma.sync {{.*}}#nvvm.mma_type<bf16>
func.func @registers(%q: !query, %k: !key, %v: !value) -> !value {
  %o = sfa.attention %q, %k, %v mask <causal> schedule <strategy = dense, softmax = online, q_tile = 128, k_tile = 128, queries = registers>
    : !query, !key, !value -> !value
  return %o : !value
}

// Both operands in shared memory. Tiles of 96 keys have a factor for each 32 of them: three for each of the two rows of a thread.
// CHECK: llvm.func @attention_dense_lazy(
// CHECK: setp.ne.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n96k32.s32.s8.s8 {{{[^}]*}}}, $96, $97, p; }
// CHECK-COUNT-2: setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.aligned.m64n96k32.s32.s8.s8 {{{[^}]*}}}, $96, $97, p; }
// CHECK-NOT: wgmma.mma_async.sync.aligned.m64n96k32
// CHECK: wgmma.wait_group.sync.aligned 0;", "=r,
// WARPS: llvm.func @attention_dense_lazy(
// WARPS: nvvm.mma.sync {{.*}}shape = #nvvm.shape<m = 16, n = 8, k = 32>}
func.func @shared(%q: !query, %k: !key, %v: !value) -> (!value, !scale) {
  %o, %l = sfa.attention %q, %k, %v schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 96, queries = shared>
    : !query, !key, !value -> !value, !scale
  return %o, %l : !value, !scale
}
