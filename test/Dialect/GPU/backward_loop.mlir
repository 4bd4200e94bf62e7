// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// The main loop of a backward pass without atomics. A block owns 128 keys (rows) and goes over tiles of queries (columns):
//
//   S^T = K Q^T    P^T = exp2(c S^T - L)    dP^T = V dO^T    dS^T = P^T * (dP^T - delta)    dV += P^T dO    dK += dS^T Q
//
// L (the log-sum-exp, in powers of 2) and delta lie along the columns. Two consumer warpgroups have 64 keys each; P^T and dS^T go
// from accumulator to left operand in registers, so that nothing passes through shared memory and no warpgroup waits for another. The
// programs differ in the places of a tile where products are issued, which decides what runs beside what. dQ has a kernel of its own:
// backward_loop_variants.mlir.

// Two places, at d = 128, under a causal mask: S of a tile and dK of the one before are issued together with dP, then dV.

!memory = memref<?x16x?x128xbf16>
!vector = memref<?x16x?xf32>
!row_ring = !sfa_gpu.ring<1 of 128x128xbf16, swizzled>
!tile_ring = !sfa_gpu.ring<3 of 64x128xbf16, swizzled>
!vector_ring = !sfa_gpu.ring<3 of 64xf32, linear>
!row_tile = !sfa_gpu.shared<128x128xbf16, swizzled>
!tile = !sfa_gpu.shared<64x128xbf16, swizzled>
!vector_tile = !sfa_gpu.shared<64xf32, linear>
!columns = !sfa_gpu.columns<64xf32>
!scores = !sfa_tile.tile<128x64xf32>
!pending = !sfa_gpu.pending<128x64xf32>
!left = !sfa_gpu.operand<128x64xbf16>
!acc = !sfa_tile.tile<128x128xf32>
!sum = !sfa_gpu.pending<128x128xf32>

// CHECK-LABEL: sfa_gpu.kernel @dkdv_two_places
sfa_gpu.kernel @dkdv_two_places(
    %key: !memory, %value: !memory, %query: !memory, %dout: !memory, %lse: !vector, %delta: !vector,
    %dkey: !memory, %dvalue: !memory) warps 12 consumers 4 to 12 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %step = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %scale = arith.constant 0.1275 : f32
  %n = memref.dim %query, %c2 : !memory
  // The operands of the block's keys come once. Queries and gradients of the output stream through two rings: L lies beside
  // the one, delta beside the other, so that a barrier says that a tile and its numbers are there.
  %keys = sfa_gpu.ring guarded by 1 writers, 8 readers : !row_ring
  %values = sfa_gpu.ring guarded by 1 writers, 8 readers : !row_ring
  %queries = sfa_gpu.ring guarded by 2 writers, 8 readers : !tile_ring
  %lses = sfa_gpu.ring beside %queries : !tile_ring : !vector_ring
  %grads = sfa_gpu.ring guarded by 2 writers, 8 readers : !tile_ring
  %deltas = sfa_gpu.ring beside %grads : !tile_ring : !vector_ring
  sfa_gpu.prepare
  // CHECK: %[[QUERIES:.*]] = sfa_gpu.ring guarded by 2 writers, 8 readers : !sfa_gpu.ring<3 of 64x128xbf16, swizzled>
  // CHECK: %[[LSES:.*]] = sfa_gpu.ring beside %[[QUERIES]] : !sfa_gpu.ring<3 of 64x128xbf16, swizzled> : !sfa_gpu.ring<3 of 64xf32, linear>
  // CHECK: sfa_gpu.roles producer
  // CHECK: scf.for
  // CHECK: sfa_gpu.acquire %[[QUERIES]]
  // CHECK: sfa_gpu.copy {{.*}} to %[[LSES]]
  sfa_gpu.roles producer warps 4 registers 24 {
    %start = sfa_gpu.start : !sfa_gpu.position
    %leads = sfa_gpu.is_leader 0
    scf.if %leads {
      sfa_gpu.for_points (%round, %b, %h, %t) {
        %first_key = arith.muli %t, %c128 : index
        sfa_gpu.acquire %keys[%start] : !row_ring
        sfa_gpu.copy %key[%b, %h, %first_key] to %keys[%start] : !memory, !row_ring
        sfa_gpu.acquire %values[%start] : !row_ring
        sfa_gpu.copy %value[%b, %h, %first_key] to %values[%start] : !memory, !row_ring
        %end = scf.for %row = %first_key to %n step %step iter_args(%p = %start) -> (!sfa_gpu.position) {
          sfa_gpu.acquire %queries[%p] : !tile_ring
          // L and delta have been read like other memory, and copies overwrite them by another path: hence the fences.
          nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
          sfa_gpu.copy %query[%b, %h, %row] to %queries[%p] : !memory, !tile_ring
          sfa_gpu.copy %lse[%b, %h, %row] to %lses[%p] : !vector, !vector_ring
          sfa_gpu.acquire %grads[%p] : !tile_ring
          nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
          sfa_gpu.copy %dout[%b, %h, %row] to %grads[%p] : !memory, !tile_ring
          sfa_gpu.copy %delta[%b, %h, %row] to %deltas[%p] : !vector, !vector_ring
          %next = sfa_gpu.advance %p of 3 : !sfa_gpu.position
          scf.yield %next : !sfa_gpu.position
        }
        sfa_gpu.yield
      }
    }
    sfa_gpu.yield
  } consumers warps 8 registers 240 {
    %start = sfa_gpu.start : !sfa_gpu.position
    %number = sfa_gpu.consumer : i32
    sfa_gpu.for_points (%round, %b, %h, %t) {
      %first_key = arith.muli %t, %c128 : index
      // Under a causal mask a warpgroup starts at its own diagonal: it gives the tiles before it back unread.
      %skipped = arith.index_cast %number : i32 to index
      %own = scf.for %i = %c0 to %skipped step %c1 iter_args(%p = %start) -> (!sfa_gpu.position) {
        sfa_gpu.await %queries[%p] : !tile_ring
        sfa_gpu.release %queries[%p] : !tile_ring
        sfa_gpu.await %grads[%p] : !tile_ring
        sfa_gpu.release %grads[%p] : !tile_ring
        %next = sfa_gpu.advance %p of 3 : !sfa_gpu.position
        scf.yield %next : !sfa_gpu.position
      }
      %before = arith.muli %skipped, %step : index
      %diagonal = arith.addi %first_key, %before : index
      sfa_gpu.await %keys[%start] : !row_ring
      sfa_gpu.await %values[%start] : !row_ring
      %k = sfa_gpu.place %keys[%start : !sfa_gpu.position] : !row_ring
      %v = sfa_gpu.place %values[%start : !sfa_gpu.position] : !row_ring
      %zero = sfa_tile.fill 0.0 : !acc
      // The first tile, which is the only one that the mask cuts.
      sfa_gpu.await %queries[%own] : !tile_ring
      %q0 = sfa_gpu.place %queries[%own : !sfa_gpu.position] : !tile_ring
      %l_place0 = sfa_gpu.place %lses[%own : !sfa_gpu.position] : !vector_ring
      %l0 = sfa_gpu.load_shared %l_place0 : !vector_tile -> !columns
      %s0 = sfa_gpu.issue_dot %k, %q0 : !row_tile, !tile -> !pending
      %s1 = sfa_gpu.wait pending 0(%s0) : !pending
      %s2 = sfa_gpu.mask_transposed %s1[%first_key, %diagonal] of [%n, %n] by <causal> : !scores
      %p0 = sfa_gpu.map_elements(%s2, %l0) : (!scores, !columns) -> !scores {
      ^bb0(%element: f32, %lse_of_column: f32):
        %negative = arith.negf %lse_of_column : f32
        %exponent = math.fma %element, %scale, %negative : f32
        %power = math.exp2 %exponent : f32
        sfa_gpu.yield %power : f32
      }
      sfa_gpu.await %grads[%own] : !tile_ring
      %do0 = sfa_gpu.place %grads[%own : !sfa_gpu.position] : !tile_ring
      %e_place0 = sfa_gpu.place %deltas[%own : !sfa_gpu.position] : !vector_ring
      %e0 = sfa_gpu.load_shared %e_place0 : !vector_tile -> !columns
      %dp0 = sfa_gpu.issue_dot %v, %do0 : !row_tile, !tile -> !pending
      %left0 = sfa_gpu.pack %p0 : !scores -> !left
      %sum0 = sfa_gpu.issue_accumulate %zero, %left0, %do0 : !acc, !left, !tile
      %dp1 = sfa_gpu.wait pending 1(%dp0) : !pending
      %ds0 = sfa_gpu.map_elements(%p0, %dp1, %e0) : (!scores, !scores, !columns) -> !scores {
      ^bb0(%probability: f32, %of_probability: f32, %delta_of_column: f32):
        %difference = arith.subf %of_probability, %delta_of_column : f32
        %product = arith.mulf %probability, %difference : f32
        sfa_gpu.yield %product : f32
      }
      %dv0 = sfa_gpu.wait pending 0(%sum0) : !sum
      sfa_gpu.keep %left0 : !left
      sfa_gpu.release %grads[%own] : !tile_ring
      %ds1 = sfa_gpu.pack %ds0 : !scores -> !left
      %second = arith.addi %diagonal, %step : index
      // CHECK: %{{.*}}:4 = scf.for
      %last, %dk1, %dv1, %ds2 = scf.for %row = %second to %n step %step
          iter_args(%p = %own, %dk = %zero, %dv = %dv0, %ds = %ds1) -> (!sfa_gpu.position, !acc, !acc, !left) {
        %next = sfa_gpu.advance %p of 3 : !sfa_gpu.position
        // The first place: S of this tile, dK of the one before, dP of this one.
        sfa_gpu.await %queries[%next] : !tile_ring
        %q = sfa_gpu.place %queries[%next : !sfa_gpu.position] : !tile_ring
        %q_before = sfa_gpu.place %queries[%p : !sfa_gpu.position] : !tile_ring
        // CHECK: %[[S0:.*]] = sfa_gpu.issue_dot
        %s_issued = sfa_gpu.issue_dot %k, %q : !row_tile, !tile -> !pending
        // CHECK: %[[DK0:.*]] = sfa_gpu.issue_accumulate
        %dk_issued = sfa_gpu.issue_accumulate %dk, %ds, %q_before : !acc, !left, !tile
        sfa_gpu.await %grads[%next] : !tile_ring
        %do = sfa_gpu.place %grads[%next : !sfa_gpu.position] : !tile_ring
        // CHECK: %[[DP0:.*]] = sfa_gpu.issue_dot
        %dp_issued = sfa_gpu.issue_dot %v, %do : !row_tile, !tile -> !pending
        // CHECK: sfa_gpu.wait pending 2(%[[S0]])
        %s = sfa_gpu.wait pending 2(%s_issued) : !pending
        // CHECK: %[[L:.*]] = sfa_gpu.load_shared {{.*}} -> !sfa_gpu.columns<64xf32>
        %l_place = sfa_gpu.place %lses[%next : !sfa_gpu.position] : !vector_ring
        %l = sfa_gpu.load_shared %l_place : !vector_tile -> !columns
        // Exponentials beside dK and dP.
        // CHECK: %[[P:.*]] = sfa_gpu.map_elements(%{{.*}}, %[[L]])
        // CHECK: math.exp2
        %prob = sfa_gpu.map_elements(%s, %l) : (!scores, !columns) -> !scores {
        ^bb0(%element: f32, %lse_of_column: f32):
          %negative = arith.negf %lse_of_column : f32
          %exponent = math.fma %element, %scale, %negative : f32
          %power = math.exp2 %exponent : f32
          sfa_gpu.yield %power : f32
        }
        // A wait that is over long ago: the assembler moves nothing of the above across the end of its loop.
        sfa_gpu.await %keys[%start] : !row_ring
        // CHECK: sfa_gpu.wait pending 1(%[[DK0]], %[[P]])
        %dk_next, %held = sfa_gpu.wait pending 1(%dk_issued, %prob) : !sum, !scores
        sfa_gpu.keep %ds : !left
        sfa_gpu.release %queries[%p] : !tile_ring
        // The second place: dV, and dS beside it. P and dS need not be held at the same time.
        %left = sfa_gpu.pack %held : !scores -> !left
        %dv_issued = sfa_gpu.issue_accumulate %dv, %left, %do : !acc, !left, !tile
        // CHECK: sfa_gpu.wait pending 1(%[[DP0]])
        %dp = sfa_gpu.wait pending 1(%dp_issued) : !pending
        %e_place = sfa_gpu.place %deltas[%next : !sfa_gpu.position] : !vector_ring
        %e = sfa_gpu.load_shared %e_place : !vector_tile -> !columns
        %ds_whole = sfa_gpu.map_elements(%held, %dp, %e) : (!scores, !scores, !columns) -> !scores {
        ^bb0(%probability: f32, %of_probability: f32, %delta_of_column: f32):
          %difference = arith.subf %of_probability, %delta_of_column : f32
          %product = arith.mulf %probability, %difference : f32
          sfa_gpu.yield %product : f32
        }
        sfa_gpu.await %keys[%start] : !row_ring
        %dv_next, %ds_held = sfa_gpu.wait pending 0(%dv_issued, %ds_whole) : !sum, !scores
        sfa_gpu.keep %left : !left
        sfa_gpu.release %grads[%next] : !tile_ring
        %ds_next = sfa_gpu.pack %ds_held : !scores -> !left
        scf.yield %next, %dk_next, %dv_next, %ds_next : !sfa_gpu.position, !acc, !acc, !left
      }
      %q_last = sfa_gpu.place %queries[%last : !sfa_gpu.position] : !tile_ring
      %dk2 = sfa_gpu.issue_accumulate %dk1, %ds2, %q_last : !acc, !left, !tile
      %dk_end, %dv_end = sfa_gpu.wait pending 0(%dk2, %dv1) : !sum, !acc
      sfa_gpu.keep %ds2 : !left
      sfa_gpu.release %queries[%last] : !tile_ring
      // dV and dK are stored by the warps that have their rows; the factor of dK comes last, in f32.
      %lane = sfa_gpu.lane again : i32
      sfa_gpu.store %dv_end, %dvalue[%b, %h, %first_key] by %lane : !acc, !memory
      %scaled = sfa_tile.scale %dk_end by 0.0884 : !acc
      sfa_gpu.store %scaled, %dkey[%b, %h, %first_key] by %lane : !acc, !memory
      sfa_gpu.yield
    }
    sfa_gpu.yield
  }
}

// One place: S and dP of a tile are issued together with dV and dK of the tile before. Exponentials run beside dP, dV and dK, and dS
// beside dV and dK. This needs the most registers and fits at d = 64, with 96 columns and three places in the rings.

!memory1 = memref<?x16x?x64xbf16>
!vector1 = memref<?x16x?xf32>
!row_ring1 = !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
!tile_ring1 = !sfa_gpu.ring<3 of 96x64xbf16, swizzled>
!vector_ring1 = !sfa_gpu.ring<3 of 96xf32, linear>
!row_tile1 = !sfa_gpu.shared<128x64xbf16, swizzled>
!tile1 = !sfa_gpu.shared<96x64xbf16, swizzled>
!vector_tile1 = !sfa_gpu.shared<96xf32, linear>
!columns1 = !sfa_gpu.columns<96xf32>
!scores1 = !sfa_tile.tile<128x96xf32>
!pending1 = !sfa_gpu.pending<128x96xf32>
!left1 = !sfa_gpu.operand<128x96xbf16>
!acc1 = !sfa_tile.tile<128x64xf32>
!sum1 = !sfa_gpu.pending<128x64xf32>

// CHECK-LABEL: sfa_gpu.kernel @dkdv_one_place
sfa_gpu.kernel @dkdv_one_place(
    %key: !memory1, %value: !memory1, %query: !memory1, %dout: !memory1, %lse: !vector1, %delta: !vector1,
    %dkey: !memory1, %dvalue: !memory1) warps 12 consumers 4 to 12 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %step = arith.constant 96 : index
  %c128 = arith.constant 128 : index
  %scale = arith.constant 0.1275 : f32
  %n = memref.dim %query, %c2 : !memory1
  %keys = sfa_gpu.ring guarded by 1 writers, 8 readers : !row_ring1
  %values = sfa_gpu.ring guarded by 1 writers, 8 readers : !row_ring1
  %queries = sfa_gpu.ring guarded by 2 writers, 8 readers : !tile_ring1
  %lses = sfa_gpu.ring beside %queries : !tile_ring1 : !vector_ring1
  %grads = sfa_gpu.ring guarded by 2 writers, 8 readers : !tile_ring1
  %deltas = sfa_gpu.ring beside %grads : !tile_ring1 : !vector_ring1
  sfa_gpu.prepare
  sfa_gpu.roles producer warps 4 registers 24 {
    %start = sfa_gpu.start : !sfa_gpu.position
    %leads = sfa_gpu.is_leader 0
    scf.if %leads {
      sfa_gpu.for_points (%round, %b, %h, %t) {
        %first_key = arith.muli %t, %c128 : index
        sfa_gpu.acquire %keys[%start] : !row_ring1
        sfa_gpu.copy %key[%b, %h, %first_key] to %keys[%start] : !memory1, !row_ring1
        sfa_gpu.acquire %values[%start] : !row_ring1
        sfa_gpu.copy %value[%b, %h, %first_key] to %values[%start] : !memory1, !row_ring1
        %end = scf.for %row = %c0 to %n step %step iter_args(%p = %start) -> (!sfa_gpu.position) {
          sfa_gpu.acquire %queries[%p] : !tile_ring1
          // L and delta have been read like other memory, and copies overwrite them by another path: hence the fences.
          nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
          sfa_gpu.copy %query[%b, %h, %row] to %queries[%p] : !memory1, !tile_ring1
          sfa_gpu.copy %lse[%b, %h, %row] to %lses[%p] : !vector1, !vector_ring1
          sfa_gpu.acquire %grads[%p] : !tile_ring1
          nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
          sfa_gpu.copy %dout[%b, %h, %row] to %grads[%p] : !memory1, !tile_ring1
          sfa_gpu.copy %delta[%b, %h, %row] to %deltas[%p] : !vector1, !vector_ring1
          %next = sfa_gpu.advance %p of 3 : !sfa_gpu.position
          scf.yield %next : !sfa_gpu.position
        }
        sfa_gpu.yield
      }
    }
    sfa_gpu.yield
  } consumers warps 8 registers 240 {
    %start = sfa_gpu.start : !sfa_gpu.position
    sfa_gpu.for_points (%round, %b, %h, %t) {
      %first_key = arith.muli %t, %c128 : index
      sfa_gpu.await %keys[%start] : !row_ring1
      sfa_gpu.await %values[%start] : !row_ring1
      %k = sfa_gpu.place %keys[%start : !sfa_gpu.position] : !row_ring1
      %v = sfa_gpu.place %values[%start : !sfa_gpu.position] : !row_ring1
      %zero = sfa_tile.fill 0.0 : !acc1
      sfa_gpu.await %queries[%start] : !tile_ring1
      %q0 = sfa_gpu.place %queries[%start : !sfa_gpu.position] : !tile_ring1
      %l_place0 = sfa_gpu.place %lses[%start : !sfa_gpu.position] : !vector_ring1
      %l0 = sfa_gpu.load_shared %l_place0 : !vector_tile1 -> !columns1
      %s0 = sfa_gpu.issue_dot %k, %q0 : !row_tile1, !tile1 -> !pending1
      sfa_gpu.await %grads[%start] : !tile_ring1
      %do0 = sfa_gpu.place %grads[%start : !sfa_gpu.position] : !tile_ring1
      %e_place0 = sfa_gpu.place %deltas[%start : !sfa_gpu.position] : !vector_ring1
      %e0 = sfa_gpu.load_shared %e_place0 : !vector_tile1 -> !columns1
      %dp0 = sfa_gpu.issue_dot %v, %do0 : !row_tile1, !tile1 -> !pending1
      %s1 = sfa_gpu.wait pending 1(%s0) : !pending1
      %p0 = sfa_gpu.map_elements(%s1, %l0) : (!scores1, !columns1) -> !scores1 {
      ^bb0(%element: f32, %lse_of_column: f32):
        %negative = arith.negf %lse_of_column : f32
        %exponent = math.fma %element, %scale, %negative : f32
        %power = math.exp2 %exponent : f32
        sfa_gpu.yield %power : f32
      }
      %dp1 = sfa_gpu.wait pending 0(%dp0) : !pending1
      %ds0 = sfa_gpu.map_elements(%p0, %dp1, %e0) : (!scores1, !scores1, !columns1) -> !scores1 {
      ^bb0(%probability: f32, %of_probability: f32, %delta_of_column: f32):
        %difference = arith.subf %of_probability, %delta_of_column : f32
        %product = arith.mulf %probability, %difference : f32
        sfa_gpu.yield %product : f32
      }
      %left0 = sfa_gpu.pack %p0 : !scores1 -> !left1
      %ds1 = sfa_gpu.pack %ds0 : !scores1 -> !left1
      %last, %dk1, %dv1, %left1, %ds2 = scf.for %row = %step to %n step %step
          iter_args(%p = %start, %dk = %zero, %dv = %zero, %left = %left0, %ds = %ds1)
          -> (!sfa_gpu.position, !acc1, !acc1, !left1, !left1) {
        %next = sfa_gpu.advance %p of 3 : !sfa_gpu.position
        %q_before = sfa_gpu.place %queries[%p : !sfa_gpu.position] : !tile_ring1
        %do_before = sfa_gpu.place %grads[%p : !sfa_gpu.position] : !tile_ring1
        sfa_gpu.await %queries[%next] : !tile_ring1
        %q = sfa_gpu.place %queries[%next : !sfa_gpu.position] : !tile_ring1
        // CHECK: %{{.*}}:5 = scf.for
        // CHECK: sfa_gpu.issue_dot
        // CHECK: sfa_gpu.issue_dot
        // CHECK: sfa_gpu.issue_accumulate
        // CHECK: sfa_gpu.issue_accumulate
        %s_issued = sfa_gpu.issue_dot %k, %q : !row_tile1, !tile1 -> !pending1
        sfa_gpu.await %grads[%next] : !tile_ring1
        %do = sfa_gpu.place %grads[%next : !sfa_gpu.position] : !tile_ring1
        %dp_issued = sfa_gpu.issue_dot %v, %do : !row_tile1, !tile1 -> !pending1
        %dv_issued = sfa_gpu.issue_accumulate %dv, %left, %do_before : !acc1, !left1, !tile1
        %dk_issued = sfa_gpu.issue_accumulate %dk, %ds, %q_before : !acc1, !left1, !tile1
        // CHECK: sfa_gpu.wait pending 3
        // CHECK: math.exp2
        %s = sfa_gpu.wait pending 3(%s_issued) : !pending1
        %l_place = sfa_gpu.place %lses[%next : !sfa_gpu.position] : !vector_ring1
        %l = sfa_gpu.load_shared %l_place : !vector_tile1 -> !columns1
        %prob = sfa_gpu.map_elements(%s, %l) : (!scores1, !columns1) -> !scores1 {
        ^bb0(%element: f32, %lse_of_column: f32):
          %negative = arith.negf %lse_of_column : f32
          %exponent = math.fma %element, %scale, %negative : f32
          %power = math.exp2 %exponent : f32
          sfa_gpu.yield %power : f32
        }
        // CHECK: sfa_gpu.wait pending 2
        sfa_gpu.await %keys[%start] : !row_ring1
        %dp, %held = sfa_gpu.wait pending 2(%dp_issued, %prob) : !pending1, !scores1
        %e_place = sfa_gpu.place %deltas[%next : !sfa_gpu.position] : !vector_ring1
        %e = sfa_gpu.load_shared %e_place : !vector_tile1 -> !columns1
        %ds_whole = sfa_gpu.map_elements(%held, %dp, %e) : (!scores1, !scores1, !columns1) -> !scores1 {
        ^bb0(%probability: f32, %of_probability: f32, %delta_of_column: f32):
          %difference = arith.subf %of_probability, %delta_of_column : f32
          %product = arith.mulf %probability, %difference : f32
          sfa_gpu.yield %product : f32
        }
        // CHECK: sfa_gpu.wait pending 0
        sfa_gpu.await %keys[%start] : !row_ring1
        %dv_next, %dk_next, %held_again, %ds_held = sfa_gpu.wait pending 0(%dv_issued, %dk_issued, %held, %ds_whole)
          : !sum1, !sum1, !scores1, !scores1
        sfa_gpu.keep %left, %ds : !left1, !left1
        sfa_gpu.release %queries[%p] : !tile_ring1
        sfa_gpu.release %grads[%p] : !tile_ring1
        %left_next = sfa_gpu.pack %held_again : !scores1 -> !left1
        %ds_next = sfa_gpu.pack %ds_held : !scores1 -> !left1
        scf.yield %next, %dk_next, %dv_next, %left_next, %ds_next : !sfa_gpu.position, !acc1, !acc1, !left1, !left1
      }
      %q_last = sfa_gpu.place %queries[%last : !sfa_gpu.position] : !tile_ring1
      %do_last = sfa_gpu.place %grads[%last : !sfa_gpu.position] : !tile_ring1
      %dv2 = sfa_gpu.issue_accumulate %dv1, %left1, %do_last : !acc1, !left1, !tile1
      %dk2 = sfa_gpu.issue_accumulate %dk1, %ds2, %q_last : !acc1, !left1, !tile1
      %dv_end, %dk_end = sfa_gpu.wait pending 0(%dv2, %dk2) : !sum1, !sum1
      sfa_gpu.keep %left1, %ds2 : !left1, !left1
      sfa_gpu.release %queries[%last] : !tile_ring1
      sfa_gpu.release %grads[%last] : !tile_ring1
      // dV and dK are stored by the warps that have their rows; the factor of dK comes last, in f32.
      %lane = sfa_gpu.lane again : i32
      sfa_gpu.store %dv_end, %dvalue[%b, %h, %first_key] by %lane : !acc1, !memory1
      %scaled = sfa_tile.scale %dk_end by 0.0884 : !acc1
      sfa_gpu.store %scaled, %dkey[%b, %h, %first_key] by %lane : !acc1, !memory1
      sfa_gpu.yield
    }
    sfa_gpu.yield
  }
}
