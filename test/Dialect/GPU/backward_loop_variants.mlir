// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// Variants of backward_loop.mlir: three places where products are issued, and the loop over keys for dQ. There is no mask here.

// Three places: dP beside the exponentials, dV beside dS, and dK together with S of the next tile. S comes from the iteration
// before, in a value that the loop carries while the product is under way. Two places in the rings are enough.

!memory3 = memref<?x16x?x128xbf16>
!vector3 = memref<?x16x?xf32>
!row_ring3 = !sfa_gpu.ring<1 of 128x128xbf16, swizzled>
!tile_ring3 = !sfa_gpu.ring<2 of 64x128xbf16, swizzled>
!vector_ring3 = !sfa_gpu.ring<2 of 64xf32, linear>
!row_tile3 = !sfa_gpu.shared<128x128xbf16, swizzled>
!tile3 = !sfa_gpu.shared<64x128xbf16, swizzled>
!vector_tile3 = !sfa_gpu.shared<64xf32, linear>
!columns3 = !sfa_gpu.columns<64xf32>
!scores3 = !sfa_tile.tile<128x64xf32>
!pending3 = !sfa_gpu.pending<128x64xf32>
!left3 = !sfa_gpu.operand<128x64xbf16>
!acc3 = !sfa_tile.tile<128x128xf32>
!sum3 = !sfa_gpu.pending<128x128xf32>

// CHECK-LABEL: sfa_gpu.kernel @dkdv_three_places
sfa_gpu.kernel @dkdv_three_places(
    %key: !memory3, %value: !memory3, %query: !memory3, %dout: !memory3, %lse: !vector3, %delta: !vector3,
    %dkey: !memory3, %dvalue: !memory3) warps 12 consumers 4 to 12 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %step = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %scale = arith.constant 0.1275 : f32
  %n = memref.dim %query, %c2 : !memory3
  %keys = sfa_gpu.ring guarded by 1 writers, 8 readers : !row_ring3
  %values = sfa_gpu.ring guarded by 1 writers, 8 readers : !row_ring3
  %queries = sfa_gpu.ring guarded by 2 writers, 8 readers : !tile_ring3
  %lses = sfa_gpu.ring beside %queries : !tile_ring3 : !vector_ring3
  %grads = sfa_gpu.ring guarded by 2 writers, 8 readers : !tile_ring3
  %deltas = sfa_gpu.ring beside %grads : !tile_ring3 : !vector_ring3
  sfa_gpu.prepare
  sfa_gpu.roles producer warps 4 registers 24 {
    %start = sfa_gpu.start : !sfa_gpu.position
    %leads = sfa_gpu.is_leader 0
    scf.if %leads {
      sfa_gpu.for_points (%round, %b, %h, %t) {
        %first_key = arith.muli %t, %c128 : index
        sfa_gpu.acquire %keys[%start] : !row_ring3
        sfa_gpu.copy %key[%b, %h, %first_key] to %keys[%start] : !memory3, !row_ring3
        sfa_gpu.acquire %values[%start] : !row_ring3
        sfa_gpu.copy %value[%b, %h, %first_key] to %values[%start] : !memory3, !row_ring3
        %end = scf.for %row = %c0 to %n step %step iter_args(%p = %start) -> (!sfa_gpu.position) {
          sfa_gpu.acquire %queries[%p] : !tile_ring3
          // L and delta have been read like other memory, and copies overwrite them by another path: hence the fences.
          nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
          sfa_gpu.copy %query[%b, %h, %row] to %queries[%p] : !memory3, !tile_ring3
          sfa_gpu.copy %lse[%b, %h, %row] to %lses[%p] : !vector3, !vector_ring3
          sfa_gpu.acquire %grads[%p] : !tile_ring3
          nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
          sfa_gpu.copy %dout[%b, %h, %row] to %grads[%p] : !memory3, !tile_ring3
          sfa_gpu.copy %delta[%b, %h, %row] to %deltas[%p] : !vector3, !vector_ring3
          %next = sfa_gpu.advance %p of 2 : !sfa_gpu.position
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
      sfa_gpu.await %keys[%start] : !row_ring3
      sfa_gpu.await %values[%start] : !row_ring3
      %k = sfa_gpu.place %keys[%start : !sfa_gpu.position] : !row_ring3
      %v = sfa_gpu.place %values[%start : !sfa_gpu.position] : !row_ring3
      %zero = sfa_tile.fill 0.0 : !acc3
      sfa_gpu.await %queries[%start] : !tile_ring3
      %q0 = sfa_gpu.place %queries[%start : !sfa_gpu.position] : !tile_ring3
      %s0 = sfa_gpu.issue_dot %k, %q0 : !row_tile3, !tile3 -> !pending3
      // The last tile has no next one: the loop ends before it.
      %last_row = arith.subi %n, %step : index
      %last, %s1, %dk1, %dv1 = scf.for %row = %c0 to %last_row step %step
          iter_args(%p = %start, %s_issued = %s0, %dk = %zero, %dv = %zero)
          -> (!sfa_gpu.position, !pending3, !acc3, !acc3) {
        %s = sfa_gpu.wait pending 0(%s_issued) : !pending3
        sfa_gpu.await %grads[%p] : !tile_ring3
        %do = sfa_gpu.place %grads[%p : !sfa_gpu.position] : !tile_ring3
        %l_place = sfa_gpu.place %lses[%p : !sfa_gpu.position] : !vector_ring3
        %l = sfa_gpu.load_shared %l_place : !vector_tile3 -> !columns3
        %e_place = sfa_gpu.place %deltas[%p : !sfa_gpu.position] : !vector_ring3
        %e = sfa_gpu.load_shared %e_place : !vector_tile3 -> !columns3
        // CHECK: %{{.*}}:4 = scf.for
        // CHECK: sfa_gpu.wait pending 0
        // CHECK: %[[DP:.*]] = sfa_gpu.issue_dot
        // CHECK: math.exp2
        %dp_issued = sfa_gpu.issue_dot %v, %do : !row_tile3, !tile3 -> !pending3
        %prob = sfa_gpu.map_elements(%s, %l) : (!scores3, !columns3) -> !scores3 {
        ^bb0(%element: f32, %lse_of_column: f32):
          %negative = arith.negf %lse_of_column : f32
          %exponent = math.fma %element, %scale, %negative : f32
          %power = math.exp2 %exponent : f32
          sfa_gpu.yield %power : f32
        }
        %left = sfa_gpu.pack %prob : !scores3 -> !left3
        // CHECK: %[[DV:.*]] = sfa_gpu.issue_accumulate
        // CHECK: sfa_gpu.wait pending 1(%[[DP]])
        %dv_issued = sfa_gpu.issue_accumulate %dv, %left, %do : !acc3, !left3, !tile3
        %dp = sfa_gpu.wait pending 1(%dp_issued) : !pending3
        %ds_whole = sfa_gpu.map_elements(%prob, %dp, %e) : (!scores3, !scores3, !columns3) -> !scores3 {
        ^bb0(%probability: f32, %of_probability: f32, %delta_of_column: f32):
          %difference = arith.subf %of_probability, %delta_of_column : f32
          %product = arith.mulf %probability, %difference : f32
          sfa_gpu.yield %product : f32
        }
        // CHECK: sfa_gpu.wait pending 0(%[[DV]]
        %dv_next, %ds_held = sfa_gpu.wait pending 0(%dv_issued, %ds_whole) : !sum3, !scores3
        sfa_gpu.keep %left : !left3
        sfa_gpu.release %grads[%p] : !tile_ring3
        %ds = sfa_gpu.pack %ds_held : !scores3 -> !left3
        %q = sfa_gpu.place %queries[%p : !sfa_gpu.position] : !tile_ring3
        // CHECK: %[[DK:.*]] = sfa_gpu.issue_accumulate
        %dk_issued = sfa_gpu.issue_accumulate %dk, %ds, %q : !acc3, !left3, !tile3
        %next = sfa_gpu.advance %p of 2 : !sfa_gpu.position
        sfa_gpu.await %queries[%next] : !tile_ring3
        %q_next = sfa_gpu.place %queries[%next : !sfa_gpu.position] : !tile_ring3
        // CHECK: %[[NEXT:.*]] = sfa_gpu.issue_dot {{.*}} reuse(
        // CHECK: sfa_gpu.wait pending 1(%[[DK]])
        // CHECK: scf.yield %{{.*}}, %[[NEXT]]
        %s_next = sfa_gpu.issue_dot %k, %q_next reuse(%ds_held : !scores3) : !row_tile3, !tile3 -> !pending3
        %dk_next = sfa_gpu.wait pending 1(%dk_issued) : !sum3
        sfa_gpu.keep %ds : !left3
        sfa_gpu.release %queries[%p] : !tile_ring3
        scf.yield %next, %s_next, %dk_next, %dv_next : !sfa_gpu.position, !pending3, !acc3, !acc3
      }
      %s_last = sfa_gpu.wait pending 0(%s1) : !pending3
      sfa_gpu.await %grads[%last] : !tile_ring3
      %do_last = sfa_gpu.place %grads[%last : !sfa_gpu.position] : !tile_ring3
      %l_place_last = sfa_gpu.place %lses[%last : !sfa_gpu.position] : !vector_ring3
      %l_last = sfa_gpu.load_shared %l_place_last : !vector_tile3 -> !columns3
      %e_place_last = sfa_gpu.place %deltas[%last : !sfa_gpu.position] : !vector_ring3
      %e_last = sfa_gpu.load_shared %e_place_last : !vector_tile3 -> !columns3
      %dp_issued_last = sfa_gpu.issue_dot %v, %do_last : !row_tile3, !tile3 -> !pending3
      %prob_last = sfa_gpu.map_elements(%s_last, %l_last) : (!scores3, !columns3) -> !scores3 {
      ^bb0(%element: f32, %lse_of_column: f32):
        %negative = arith.negf %lse_of_column : f32
        %exponent = math.fma %element, %scale, %negative : f32
        %power = math.exp2 %exponent : f32
        sfa_gpu.yield %power : f32
      }
      %left_last = sfa_gpu.pack %prob_last : !scores3 -> !left3
      %dv_issued_last = sfa_gpu.issue_accumulate %dv1, %left_last, %do_last : !acc3, !left3, !tile3
      %dp_last = sfa_gpu.wait pending 1(%dp_issued_last) : !pending3
      %ds_whole_last = sfa_gpu.map_elements(%prob_last, %dp_last, %e_last) : (!scores3, !scores3, !columns3) -> !scores3 {
      ^bb0(%probability: f32, %of_probability: f32, %delta_of_column: f32):
        %difference = arith.subf %of_probability, %delta_of_column : f32
        %product = arith.mulf %probability, %difference : f32
        sfa_gpu.yield %product : f32
      }
      %dv_next_last, %ds_held_last = sfa_gpu.wait pending 0(%dv_issued_last, %ds_whole_last) : !sum3, !scores3
      sfa_gpu.keep %left_last : !left3
      sfa_gpu.release %grads[%last] : !tile_ring3
      %ds_last = sfa_gpu.pack %ds_held_last : !scores3 -> !left3
      %q_last = sfa_gpu.place %queries[%last : !sfa_gpu.position] : !tile_ring3
      %dk_issued_last = sfa_gpu.issue_accumulate %dk1, %ds_last, %q_last : !acc3, !left3, !tile3
      %dk_end, %dv_end = sfa_gpu.wait pending 0(%dk_issued_last, %dv_next_last) : !sum3, !acc3
      sfa_gpu.keep %ds_last : !left3
      sfa_gpu.release %queries[%last] : !tile_ring3
      // dV and dK are stored by the warps that have their rows; the factor of dK comes last, in f32.
      %lane = sfa_gpu.lane again : i32
      sfa_gpu.store %dv_end, %dvalue[%b, %h, %first_key] by %lane : !acc3, !memory3
      %scaled = sfa_tile.scale %dk_end by 0.0884 : !acc3
      sfa_gpu.store %scaled, %dkey[%b, %h, %first_key] by %lane : !acc3, !memory3
      sfa_gpu.yield
    }
    sfa_gpu.yield
  }
}

// The kernel of dQ, a loop over tiles of keys (columns) for a block's queries (rows):
//
//   S = Q K^T    P = exp2(c S - L)    dP = dO V^T    dS = P * (dP - delta)    dQ += dS K
//
// L and delta lie along the rows: they come once, beside the row operands, and are loaded in every tile, which keeps the exponentials
// behind the issue of dP. Three consumer warpgroups of 64 queries, 80 keys a tile, four places, and one place of issue.

!memory = memref<?x32x?x64xbf16>
!vector = memref<?x32x?xf32>
!row_ring = !sfa_gpu.ring<1 of 192x64xbf16, swizzled>
!row_vector_ring = !sfa_gpu.ring<1 of 192xf32, linear>
!tile_ring = !sfa_gpu.ring<4 of 80x64xbf16, swizzled>
!row_tile = !sfa_gpu.shared<192x64xbf16, swizzled>
!row_vector_tile = !sfa_gpu.shared<192xf32, linear>
!tile = !sfa_gpu.shared<80x64xbf16, swizzled>
!row_vector = !sfa_tile.tile<192xf32>
!scores = !sfa_tile.tile<192x80xf32>
!pending = !sfa_gpu.pending<192x80xf32>
!left = !sfa_gpu.operand<192x80xbf16>
!acc = !sfa_tile.tile<192x64xf32>
!sum = !sfa_gpu.pending<192x64xf32>

// CHECK-LABEL: sfa_gpu.kernel @dq_three_consumers
// CHECK-SAME: warps 16 consumers 4 to 16
sfa_gpu.kernel @dq_three_consumers(
    %query: !memory, %dout: !memory, %key: !memory, %value: !memory, %lse: !vector, %delta: !vector, %dquery: !memory)
    warps 16 consumers 4 to 16 {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %step = arith.constant 80 : index
  %c192 = arith.constant 192 : index
  %scale = arith.constant 0.1803 : f32
  %n = memref.dim %key, %c2 : !memory
  %queries = sfa_gpu.ring guarded by 2 writers, 12 readers : !row_ring
  %lses = sfa_gpu.ring beside %queries : !row_ring : !row_vector_ring
  %grads = sfa_gpu.ring guarded by 2 writers, 12 readers : !row_ring
  %deltas = sfa_gpu.ring beside %grads : !row_ring : !row_vector_ring
  %keys = sfa_gpu.ring guarded by 1 writers, 12 readers : !tile_ring
  %values = sfa_gpu.ring guarded by 1 writers, 12 readers : !tile_ring
  sfa_gpu.prepare
  sfa_gpu.roles producer warps 4 registers 32 {
    %start = sfa_gpu.start : !sfa_gpu.position
    %leads = sfa_gpu.is_leader 0
    scf.if %leads {
      sfa_gpu.for_points (%round, %b, %h, %t) {
        %first = arith.muli %t, %c192 : index
        sfa_gpu.acquire %queries[%start] : !row_ring
        sfa_gpu.copy %query[%b, %h, %first] to %queries[%start] : !memory, !row_ring
        sfa_gpu.copy %lse[%b, %h, %first] to %lses[%start] : !vector, !row_vector_ring
        sfa_gpu.acquire %grads[%start] : !row_ring
        sfa_gpu.copy %dout[%b, %h, %first] to %grads[%start] : !memory, !row_ring
        sfa_gpu.copy %delta[%b, %h, %first] to %deltas[%start] : !vector, !row_vector_ring
        %end = scf.for %row = %c0 to %n step %step iter_args(%p = %start) -> (!sfa_gpu.position) {
          sfa_gpu.acquire %keys[%p] : !tile_ring
          sfa_gpu.copy %key[%b, %h, %row] to %keys[%p] : !memory, !tile_ring
          sfa_gpu.acquire %values[%p] : !tile_ring
          sfa_gpu.copy %value[%b, %h, %row] to %values[%p] : !memory, !tile_ring
          %next = sfa_gpu.advance %p of 4 : !sfa_gpu.position
          scf.yield %next : !sfa_gpu.position
        }
        sfa_gpu.yield
      }
    }
    sfa_gpu.yield
  } consumers warps 12 registers 160 {
    %start = sfa_gpu.start : !sfa_gpu.position
    sfa_gpu.for_points (%round, %b, %h, %t) {
      sfa_gpu.await %queries[%start] : !row_ring
      sfa_gpu.await %grads[%start] : !row_ring
      %q = sfa_gpu.place %queries[%start : !sfa_gpu.position] : !row_ring
      %do = sfa_gpu.place %grads[%start : !sfa_gpu.position] : !row_ring
      %l_place = sfa_gpu.place %lses[%start : !sfa_gpu.position] : !row_vector_ring
      %e_place = sfa_gpu.place %deltas[%start : !sfa_gpu.position] : !row_vector_ring
      %zero = sfa_tile.fill 0.0 : !acc
      sfa_gpu.await %keys[%start] : !tile_ring
      sfa_gpu.await %values[%start] : !tile_ring
      %k0 = sfa_gpu.place %keys[%start : !sfa_gpu.position] : !tile_ring
      %v0 = sfa_gpu.place %values[%start : !sfa_gpu.position] : !tile_ring
      %s0 = sfa_gpu.issue_dot %q, %k0 : !row_tile, !tile -> !pending
      %dp0 = sfa_gpu.issue_dot %do, %v0 : !row_tile, !tile -> !pending
      %s1 = sfa_gpu.wait pending 1(%s0) : !pending
      %l_p0 = sfa_gpu.load_shared %l_place : !row_vector_tile -> !row_vector
      %p0 = sfa_gpu.map_elements(%s1, %l_p0) : (!scores, !row_vector) -> !scores {
      ^bb0(%element: f32, %lse_of_row: f32):
        %negative = arith.negf %lse_of_row : f32
        %exponent = math.fma %element, %scale, %negative : f32
        %power = math.exp2 %exponent : f32
        sfa_gpu.yield %power : f32
      }
      %dp1 = sfa_gpu.wait pending 0(%dp0) : !pending
      %e_ds0 = sfa_gpu.load_shared %e_place : !row_vector_tile -> !row_vector
      %ds0 = sfa_gpu.map_elements(%p0, %dp1, %e_ds0) : (!scores, !scores, !row_vector) -> !scores {
      ^bb0(%probability: f32, %of_probability: f32, %delta_of_row: f32):
        %difference = arith.subf %of_probability, %delta_of_row : f32
        %product = arith.mulf %probability, %difference : f32
        sfa_gpu.yield %product : f32
      }
      sfa_gpu.release %values[%start] : !tile_ring
      %ds1 = sfa_gpu.pack %ds0 : !scores -> !left
      %last, %dq1, %ds2 = scf.for %row = %step to %n step %step iter_args(%p = %start, %dq = %zero, %ds = %ds1)
          -> (!sfa_gpu.position, !acc, !left) {
        %next = sfa_gpu.advance %p of 4 : !sfa_gpu.position
        %k_before = sfa_gpu.place %keys[%p : !sfa_gpu.position] : !tile_ring
        // CHECK: %{{.*}}:3 = scf.for
        // CHECK: sfa_gpu.issue_dot
        // CHECK: sfa_gpu.issue_dot
        // CHECK: sfa_gpu.issue_accumulate {{.*}} !sfa_tile.tile<192x64xf32>, !sfa_gpu.operand<192x80xbf16>
        sfa_gpu.await %keys[%next] : !tile_ring
        %k = sfa_gpu.place %keys[%next : !sfa_gpu.position] : !tile_ring
        %s_issued = sfa_gpu.issue_dot %q, %k : !row_tile, !tile -> !pending
        sfa_gpu.await %values[%next] : !tile_ring
        %v = sfa_gpu.place %values[%next : !sfa_gpu.position] : !tile_ring
        %dp_issued = sfa_gpu.issue_dot %do, %v : !row_tile, !tile -> !pending
        %dq_issued = sfa_gpu.issue_accumulate %dq, %ds, %k_before : !acc, !left, !tile
        %s = sfa_gpu.wait pending 2(%s_issued) : !pending
        // CHECK: sfa_gpu.load_shared %{{.*}} : !sfa_gpu.shared<192xf32, linear> -> !sfa_tile.tile<192xf32>
        %l_prob = sfa_gpu.load_shared %l_place : !row_vector_tile -> !row_vector
        %prob = sfa_gpu.map_elements(%s, %l_prob) : (!scores, !row_vector) -> !scores {
        ^bb0(%element: f32, %lse_of_row: f32):
          %negative = arith.negf %lse_of_row : f32
          %exponent = math.fma %element, %scale, %negative : f32
          %power = math.exp2 %exponent : f32
          sfa_gpu.yield %power : f32
        }
        sfa_gpu.await %queries[%start] : !row_ring
        %dp, %held = sfa_gpu.wait pending 1(%dp_issued, %prob) : !pending, !scores
        %e_ds_whole = sfa_gpu.load_shared %e_place : !row_vector_tile -> !row_vector
        %ds_whole = sfa_gpu.map_elements(%held, %dp, %e_ds_whole) : (!scores, !scores, !row_vector) -> !scores {
        ^bb0(%probability: f32, %of_probability: f32, %delta_of_row: f32):
          %difference = arith.subf %of_probability, %delta_of_row : f32
          %product = arith.mulf %probability, %difference : f32
          sfa_gpu.yield %product : f32
        }
        sfa_gpu.release %values[%next] : !tile_ring
        sfa_gpu.await %queries[%start] : !row_ring
        %dq_next, %ds_held = sfa_gpu.wait pending 0(%dq_issued, %ds_whole) : !sum, !scores
        sfa_gpu.keep %ds : !left
        sfa_gpu.release %keys[%p] : !tile_ring
        %ds_next = sfa_gpu.pack %ds_held : !scores -> !left
        scf.yield %next, %dq_next, %ds_next : !sfa_gpu.position, !acc, !left
      }
      %k_last = sfa_gpu.place %keys[%last : !sfa_gpu.position] : !tile_ring
      %dq2 = sfa_gpu.issue_accumulate %dq1, %ds2, %k_last : !acc, !left, !tile
      %dq_end = sfa_gpu.wait pending 0(%dq2) : !sum
      sfa_gpu.keep %ds2 : !left
      sfa_gpu.release %keys[%last] : !tile_ring
      %first = arith.muli %t, %c192 : index
      %lane = sfa_gpu.lane again : i32
      %scaled = sfa_tile.scale %dq_end by 0.125 : !acc
      sfa_gpu.store %scaled, %dquery[%b, %h, %first] by %lane : !acc, !memory
      sfa_gpu.yield
    }
    sfa_gpu.yield
  }
}
