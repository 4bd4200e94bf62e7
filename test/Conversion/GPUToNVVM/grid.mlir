// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --check-prefixes=BOTH,SM90
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefixes=BOTH,SM80

!x = tensor<?x8x?x128xbf16>

// Blocks that stay take the extents of the grid, behind five words for each of the four memories and before the tensor
// maps. Warpgroups only.

// BOTH-LABEL: func.func @stays(
// BOTH: gpu.launch_func @sfa_kernels::@attention_dense_online blocks in
// SM90-SAME: sfa.persistent
// SM80-NOT: sfa.persistent
func.func @stays(%q: !x, %k: !x, %v: !x) -> !x {
  %o = sfa.attention %q, %k, %v mask <causal> schedule <softmax = online, grid = persistent> : !x, !x, !x -> !x
  return %o : !x
}

// BOTH-LABEL: func.func @ends(
// BOTH: gpu.launch_func
// BOTH-NOT: sfa.persistent
func.func @ends(%q: !x, %k: !x, %v: !x) -> !x {
  %o = sfa.attention %q, %k, %v mask <causal> schedule <softmax = online, grid = tiles> : !x, !x, !x -> !x
  return %o : !x
}

// It is what the compiler chooses, but for sequences of lengths that nobody knows.

// BOTH-LABEL: func.func @chosen(
// BOTH: gpu.launch_func
// SM90-SAME: sfa.persistent
func.func @chosen(%q: !x, %k: !x, %v: !x) -> !x {
  %o = sfa.attention %q, %k, %v schedule <softmax = online> : !x, !x, !x -> !x
  return %o : !x
}

!t = tensor<1x8x?x128xbf16>

// BOTH-LABEL: func.func @sequences(
// BOTH: gpu.launch_func
// BOTH-NOT: sfa.persistent
func.func @sequences(%q: !t, %k: !t, %v: !t, %offsets: tensor<?xi32>) -> !t {
  %o = sfa.attention %q, %k, %v sequences(%offsets, %offsets : tensor<?xi32>, tensor<?xi32>) mask <causal>
    : !t, !t, !t -> !t
  return %o : !t
}

// SM90: llvm.func @attention_dense_online(
// SM90-SAME: %{{[a-z0-9]+}}: i64, %[[TILES:[a-z0-9]+]]: i32, %[[HEADS:[a-z0-9]+]]: i32, %[[BATCHES:[a-z0-9]+]]: i32, %{{[a-z0-9]+}}: !llvm.ptr {llvm.align
// Tiles differ: the group of heads and the number of the last one, for all, in shared memory.
// SM90: nvvm.read.ptx.sreg.nctaid.x
// SM90: llvm.urem
// SM90: llvm.store %{{.*}} : i32, !llvm.ptr<3>
// SM90: llvm.store %{{.*}} : i32, !llvm.ptr<3>
// SM90: nvvm.barrier
// A round at a time, in each warp of the producer and in the consumers.
// SM90: nvvm.setmaxregister decrease
// SM90: nvvm.read.ptx.sreg.ctaid.x
// SM90: llvm.udiv
// SM90: cp.async.bulk.tensor
// SM90: nvvm.setmaxregister increase
// SM90: llvm.udiv
// SM90: wgmma.mma_async
// SM90-NOT: nvvm.read.ptx.sreg.ctaid.y
// SM90: llvm.func @attention_dense_online_0(
// SM90-SAME: %{{[a-z0-9]+}}: i64, %{{[a-z0-9]+}}: !llvm.ptr {llvm.align
// SM90: nvvm.read.ptx.sreg.ctaid.y
// Tiles cost the same: there are no groups.
// SM90: llvm.func @attention_dense_online_1(
// SM90-NOT: llvm.urem
// SM90: nvvm.setmaxregister decrease
