// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// Backward loops that differ in more than the order of their products: scores from 8-bit codes, dQ added up in memory, and two
// roles that share a tile of keys. No product is issued ahead here, which would be as in backward_loop.mlir.

!memory = memref<?x16x?x128xbf16>
!codes_memory = memref<?x16x?x128xi8>
!vector = memref<?x16x?xf32>
!row_ring = !sfa_gpu.ring<1 of 128x128xbf16, swizzled>
!row_code_ring = !sfa_gpu.ring<1 of 128x128xi8, swizzled>
!row_vector_ring = !sfa_gpu.ring<1 of 128xf32, linear>
!tile_ring = !sfa_gpu.ring<2 of 64x128xbf16, swizzled>
!tile_code_ring = !sfa_gpu.ring<2 of 64x128xi8, swizzled>
!vector_ring = !sfa_gpu.ring<2 of 64xf32, linear>
!row_tile = !sfa_gpu.shared<128x128xbf16, swizzled>
!row_code_tile = !sfa_gpu.shared<128x128xi8, swizzled>
!tile = !sfa_gpu.shared<64x128xbf16, swizzled>
!code_tile = !sfa_gpu.shared<64x128xi8, swizzled>
!vector_tile = !sfa_gpu.shared<64xf32, linear>
!columns = !sfa_gpu.columns<64xf32>
!scores = !sfa_tile.tile<128x64xf32>
!pending = !sfa_gpu.pending<128x64xf32>
!left = !sfa_gpu.operand<128x64xbf16>
!acc = !sfa_tile.tile<128x128xf32>
!sum = !sfa_gpu.pending<128x128xf32>

// Scores of 8-bit codes: the codes of a tile lie beside its bf16 form, which dK needs. The scale of a key is the factor of a row, that
// of a query the factor of a column, which is loaded beside L.

// CHECK-LABEL: sfa_gpu.kernel @dkdv_of_codes
sfa_gpu.kernel @dkdv_of_codes(
    %key_codes: !codes_memory, %key_scale: !vector, %value: !memory, %query: !memory, %query_codes: !codes_memory,
    %query_scale: !vector, %dout: !memory, %lse: !vector, %delta: !vector, %dkey: !memory, %dvalue: !memory)
    warps 12 consumers 4 to 12 {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %n = memref.dim %query, %c2 : !memory
  %keys = sfa_gpu.ring guarded by 2 writers, 8 readers : !row_code_ring
  %key_scales = sfa_gpu.ring beside %keys : !row_code_ring : !row_vector_ring
  %values = sfa_gpu.ring guarded by 1 writers, 8 readers : !row_ring
  // CHECK: %[[QUERIES:.*]] = sfa_gpu.ring guarded by 4 writers, 8 readers
  // CHECK-COUNT-3: sfa_gpu.ring beside %[[QUERIES]]
  %queries = sfa_gpu.ring guarded by 4 writers, 8 readers : !tile_ring
  %codes = sfa_gpu.ring beside %queries : !tile_ring : !tile_code_ring
  %query_scales = sfa_gpu.ring beside %queries : !tile_ring : !vector_ring
  %lses = sfa_gpu.ring beside %queries : !tile_ring : !vector_ring
  %grads = sfa_gpu.ring guarded by 2 writers, 8 readers : !tile_ring
  %deltas = sfa_gpu.ring beside %grads : !tile_ring : !vector_ring
  sfa_gpu.prepare
  sfa_gpu.roles producer warps 4 registers 24 {
    %start = sfa_gpu.start : !sfa_gpu.position
    %leads = sfa_gpu.is_leader 0
    scf.if %leads {
      sfa_gpu.for_points (%round, %b, %h, %t) {
        %first = arith.muli %t, %c128 : index
        sfa_gpu.acquire %keys[%start] : !row_code_ring
        sfa_gpu.copy %key_codes[%b, %h, %first] to %keys[%start] : !codes_memory, !row_code_ring
        sfa_gpu.copy %key_scale[%b, %h, %first] to %key_scales[%start] : !vector, !row_vector_ring
        sfa_gpu.acquire %values[%start] : !row_ring
        sfa_gpu.copy %value[%b, %h, %first] to %values[%start] : !memory, !row_ring
        %end = scf.for %row = %c0 to %n step %c64 iter_args(%p = %start) -> (!sfa_gpu.position) {
          sfa_gpu.acquire %queries[%p] : !tile_ring
          sfa_gpu.copy %query[%b, %h, %row] to %queries[%p] : !memory, !tile_ring
          // CHECK: sfa_gpu.copy {{.*}} : memref<?x16x?x128xi8>, !sfa_gpu.ring<2 of 64x128xi8, swizzled>
          sfa_gpu.copy %query_codes[%b, %h, %row] to %codes[%p] : !codes_memory, !tile_code_ring
          sfa_gpu.copy %query_scale[%b, %h, %row] to %query_scales[%p] : !vector, !vector_ring
          sfa_gpu.copy %lse[%b, %h, %row] to %lses[%p] : !vector, !vector_ring
          sfa_gpu.acquire %grads[%p] : !tile_ring
          sfa_gpu.copy %dout[%b, %h, %row] to %grads[%p] : !memory, !tile_ring
          sfa_gpu.copy %delta[%b, %h, %row] to %deltas[%p] : !vector, !vector_ring
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
      sfa_gpu.await %keys[%start] : !row_code_ring
      sfa_gpu.await %values[%start] : !row_ring
      %k = sfa_gpu.place %keys[%start : !sfa_gpu.position] : !row_code_ring
      %v = sfa_gpu.place %values[%start : !sfa_gpu.position] : !row_ring
      %scale_place = sfa_gpu.place %key_scales[%start : !sfa_gpu.position] : !row_vector_ring
      %row_scale = sfa_gpu.load_shared %scale_place : !sfa_gpu.shared<128xf32, linear> -> !sfa_tile.tile<128xf32>
      %zero = sfa_tile.fill 0.0 : !acc
      %end, %dk, %dv = scf.for %row = %c0 to %n step %c64 iter_args(%p = %start, %dk0 = %zero, %dv0 = %zero)
          -> (!sfa_gpu.position, !acc, !acc) {
        sfa_gpu.await %queries[%p] : !tile_ring
        %q = sfa_gpu.place %queries[%p : !sfa_gpu.position] : !tile_ring
        %code = sfa_gpu.place %codes[%p : !sfa_gpu.position] : !tile_code_ring
        // CHECK: sfa_gpu.issue_dot {{.*}} : !sfa_gpu.shared<128x128xi8, swizzled>, !sfa_gpu.shared<64x128xi8, swizzled> -> !sfa_gpu.pending<128x64xi32>
        %s0 = sfa_gpu.issue_dot %k, %code : !row_code_tile, !code_tile -> !sfa_gpu.pending<128x64xi32>
        %s = sfa_gpu.wait pending 0(%s0) : !sfa_gpu.pending<128x64xi32>
        %l_place = sfa_gpu.place %lses[%p : !sfa_gpu.position] : !vector_ring
        %l = sfa_gpu.load_shared %l_place : !vector_tile -> !columns
        %f_place = sfa_gpu.place %query_scales[%p : !sfa_gpu.position] : !vector_ring
        %f = sfa_gpu.load_shared %f_place : !vector_tile -> !columns
        // CHECK: sfa_gpu.map_elements({{.*}}) : (!sfa_tile.tile<128x64xi32>, !sfa_tile.tile<128xf32>, !sfa_gpu.columns<64xf32>, !sfa_gpu.columns<64xf32>) -> !sfa_tile.tile<128x64xf32>
        %prob = sfa_gpu.map_elements(%s, %row_scale, %f, %l)
            : (!sfa_tile.tile<128x64xi32>, !sfa_tile.tile<128xf32>, !columns, !columns) -> !scores {
        ^bb0(%integer: i32, %of_row: f32, %of_column: f32, %lse_of_column: f32):
          %element = arith.sitofp %integer : i32 to f32
          %scaled = arith.mulf %element, %of_row : f32
          %negative = arith.negf %lse_of_column : f32
          %exponent = math.fma %scaled, %of_column, %negative : f32
          %power = math.exp2 %exponent : f32
          sfa_gpu.yield %power : f32
        }
        %left = sfa_gpu.pack %prob : !scores -> !left
        sfa_gpu.await %grads[%p] : !tile_ring
        %do = sfa_gpu.place %grads[%p : !sfa_gpu.position] : !tile_ring
        %dp0 = sfa_gpu.issue_dot %v, %do : !row_tile, !tile -> !pending
        %dv1 = sfa_gpu.issue_accumulate %dv0, %left, %do : !acc, !left, !tile
        %dp = sfa_gpu.wait pending 1(%dp0) : !pending
        %e_place = sfa_gpu.place %deltas[%p : !sfa_gpu.position] : !vector_ring
        %e = sfa_gpu.load_shared %e_place : !vector_tile -> !columns
        %ds = sfa_gpu.map_elements(%prob, %dp, %e) : (!scores, !scores, !columns) -> !scores {
        ^bb0(%probability: f32, %of_probability: f32, %delta_of_column: f32):
          %difference = arith.subf %of_probability, %delta_of_column : f32
          %product = arith.mulf %probability, %difference : f32
          sfa_gpu.yield %product : f32
        }
        %ds_left = sfa_gpu.pack %ds : !scores -> !left
        %dk1 = sfa_gpu.issue_accumulate %dk0, %ds_left, %q : !acc, !left, !tile
        %dv2, %dk2 = sfa_gpu.wait pending 0(%dv1, %dk1) : !sum, !sum
        sfa_gpu.keep %left, %ds_left : !left, !left
        // L and scales have been read like other memory, and copies overwrite them by another path: hence the fence.
        // CHECK: nvvm.fence.proxy
        nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
        sfa_gpu.release %queries[%p] : !tile_ring
        sfa_gpu.release %grads[%p] : !tile_ring
        %next = sfa_gpu.advance %p of 2 : !sfa_gpu.position
        scf.yield %next, %dk2, %dv2 : !sfa_gpu.position, !acc, !acc
      }
      %first = arith.muli %t, %c128 : index
      %lane = sfa_gpu.lane again : i32
      sfa_gpu.store %dv, %dvalue[%b, %h, %first] by %lane : !acc, !memory
      sfa_gpu.store %dk, %dkey[%b, %h, %first] by %lane : !acc, !memory
      sfa_gpu.yield
    }
    sfa_gpu.yield
  }
}

// One kernel for all three gradients, with five products instead of seven (d = 64): the warps write dS, as queries by keys, to shared
// memory, wait for each other, form dQ of the tile and add it in memory, where other blocks add theirs. The order of those additions
// changes from run to run, which is why the programs of the other files have a kernel of its own for dQ.

!memory64 = memref<?x16x?x64xbf16>
!sums64 = memref<?x16x?x64xf32>
!row_ring64 = !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
!tile_ring64 = !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
!vector_ring64 = !sfa_gpu.ring<2 of 128xf32, linear>
!exchange = !sfa_gpu.ring<1 of 128x128xbf16, swizzled>
!square = !sfa_gpu.shared<128x128xbf16, swizzled>
!tile64 = !sfa_gpu.shared<128x64xbf16, swizzled>
!columns64 = !sfa_gpu.columns<128xf32>
!scores64 = !sfa_tile.tile<128x128xf32>
!pending64 = !sfa_gpu.pending<128x128xf32>
!left64 = !sfa_gpu.operand<128x128xbf16>
!acc64 = !sfa_tile.tile<128x64xf32>
!sum64 = !sfa_gpu.pending<128x64xf32>

// CHECK-LABEL: sfa_gpu.kernel @dq_added_in_memory
sfa_gpu.kernel @dq_added_in_memory(
    %key: !memory64, %value: !memory64, %query: !memory64, %dout: !memory64, %lse: !vector, %delta: !vector, %dquery: !sums64,
    %dkey: !memory64, %dvalue: !memory64) warps 12 consumers 4 to 12 {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c128 = arith.constant 128 : index
  %scale = arith.constant 0.1803 : f32
  %n = memref.dim %query, %c2 : !memory64
  %keys = sfa_gpu.ring guarded by 1 writers, 8 readers : !row_ring64
  %values = sfa_gpu.ring guarded by 1 writers, 8 readers : !row_ring64
  %queries = sfa_gpu.ring guarded by 2 writers, 8 readers : !tile_ring64
  %lses = sfa_gpu.ring beside %queries : !tile_ring64 : !vector_ring64
  %grads = sfa_gpu.ring guarded by 2 writers, 8 readers : !tile_ring64
  %deltas = sfa_gpu.ring beside %grads : !tile_ring64 : !vector_ring64
  // Eight warps write a place, and the same eight read it.
  // CHECK: %[[EXCHANGE:.*]] = sfa_gpu.ring guarded by 8 writers, 8 readers
  %exchange = sfa_gpu.ring guarded by 8 writers, 8 readers : !exchange
  sfa_gpu.prepare
  sfa_gpu.roles producer warps 4 registers 24 {
    %start = sfa_gpu.start : !sfa_gpu.position
    %leads = sfa_gpu.is_leader 0
    scf.if %leads {
      sfa_gpu.for_points (%round, %b, %h, %t) {
        %first = arith.muli %t, %c128 : index
        sfa_gpu.acquire %keys[%start] : !row_ring64
        sfa_gpu.copy %key[%b, %h, %first] to %keys[%start] : !memory64, !row_ring64
        sfa_gpu.acquire %values[%start] : !row_ring64
        sfa_gpu.copy %value[%b, %h, %first] to %values[%start] : !memory64, !row_ring64
        %end = scf.for %row = %c0 to %n step %c128 iter_args(%p = %start) -> (!sfa_gpu.position) {
          sfa_gpu.acquire %queries[%p] : !tile_ring64
          nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
          sfa_gpu.copy %query[%b, %h, %row] to %queries[%p] : !memory64, !tile_ring64
          sfa_gpu.copy %lse[%b, %h, %row] to %lses[%p] : !vector, !vector_ring64
          sfa_gpu.acquire %grads[%p] : !tile_ring64
          nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
          sfa_gpu.copy %dout[%b, %h, %row] to %grads[%p] : !memory64, !tile_ring64
          sfa_gpu.copy %delta[%b, %h, %row] to %deltas[%p] : !vector, !vector_ring64
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
      sfa_gpu.await %keys[%start] : !row_ring64
      sfa_gpu.await %values[%start] : !row_ring64
      %k = sfa_gpu.place %keys[%start : !sfa_gpu.position] : !row_ring64
      %v = sfa_gpu.place %values[%start : !sfa_gpu.position] : !row_ring64
      %zero = sfa_tile.fill 0.0 : !acc64
      %end, %end_x, %dk, %dv = scf.for %row = %c0 to %n step %c128
          iter_args(%p = %start, %x = %start, %dk0 = %zero, %dv0 = %zero)
          -> (!sfa_gpu.position, !sfa_gpu.position, !acc64, !acc64) {
        sfa_gpu.await %queries[%p] : !tile_ring64
        sfa_gpu.await %grads[%p] : !tile_ring64
        %q = sfa_gpu.place %queries[%p : !sfa_gpu.position] : !tile_ring64
        %do = sfa_gpu.place %grads[%p : !sfa_gpu.position] : !tile_ring64
        %s0 = sfa_gpu.issue_dot %k, %q : !tile64, !tile64 -> !pending64
        %dp0 = sfa_gpu.issue_dot %v, %do : !tile64, !tile64 -> !pending64
        %s, %dp = sfa_gpu.wait pending 0(%s0, %dp0) : !pending64, !pending64
        %l_place = sfa_gpu.place %lses[%p : !sfa_gpu.position] : !vector_ring64
        %l = sfa_gpu.load_shared %l_place : !sfa_gpu.shared<128xf32, linear> -> !columns64
        %e_place = sfa_gpu.place %deltas[%p : !sfa_gpu.position] : !vector_ring64
        %e = sfa_gpu.load_shared %e_place : !sfa_gpu.shared<128xf32, linear> -> !columns64
        // P and dS in one go.
        // CHECK: %[[BOTH:.*]]:2 = sfa_gpu.map_elements
        %prob, %ds = sfa_gpu.map_elements(%s, %dp, %l, %e)
            : (!scores64, !scores64, !columns64, !columns64) -> (!scores64, !scores64) {
        ^bb0(%element: f32, %of_probability: f32, %lse_of_column: f32, %delta_of_column: f32):
          %negative = arith.negf %lse_of_column : f32
          %exponent = math.fma %element, %scale, %negative : f32
          %power = math.exp2 %exponent : f32
          %difference = arith.subf %of_probability, %delta_of_column : f32
          %product = arith.mulf %power, %difference : f32
          sfa_gpu.yield %power, %product : f32, f32
        }
        %left = sfa_gpu.pack %prob : !scores64 -> !left64
        %ds_left = sfa_gpu.pack %ds : !scores64 -> !left64
        %dv1 = sfa_gpu.issue_accumulate %dv0, %left, %do : !acc64, !left64, !tile64
        %dk1 = sfa_gpu.issue_accumulate %dk0, %ds_left, %q : !acc64, !left64, !tile64
        // CHECK: sfa_gpu.acquire %[[EXCHANGE]]
        sfa_gpu.acquire %exchange[%x] : !exchange
        %ds_place = sfa_gpu.place %exchange[%x : !sfa_gpu.position] : !exchange
        // CHECK: sfa_gpu.store_shared %[[BOTH]]#1 to %[[PLACE:.*]] transposed
        sfa_gpu.store_shared %ds to %ds_place transposed : !scores64, !square
        nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
        // CHECK: sfa_gpu.arrive %[[EXCHANGE]]
        sfa_gpu.arrive %exchange[%x] : !exchange
        // CHECK: sfa_gpu.await %[[EXCHANGE]]
        sfa_gpu.await %exchange[%x] : !exchange
        // CHECK: sfa_gpu.issue_accumulate %{{.*}}, %[[PLACE]], %{{.*}} : !sfa_tile.tile<128x64xf32>, !sfa_gpu.shared<128x128xbf16, swizzled>
        %dq0 = sfa_gpu.issue_accumulate %zero, %ds_place, %k : !acc64, !square, !tile64
        %dv2, %dk2, %dq = sfa_gpu.wait pending 0(%dv1, %dk1, %dq0) : !sum64, !sum64, !sum64
        sfa_gpu.keep %left, %ds_left : !left64, !left64
        sfa_gpu.release %exchange[%x] : !exchange
        sfa_gpu.release %queries[%p] : !tile_ring64
        sfa_gpu.release %grads[%p] : !tile_ring64
        %lane = sfa_gpu.lane : i32
        // CHECK: sfa_gpu.reduce_add %{{.*}}, %{{.*}}[%{{.*}}] limit %{{.*}} by %{{.*}} : !sfa_tile.tile<128x64xf32>, memref<?x16x?x64xf32>
        sfa_gpu.reduce_add %dq, %dquery[%b, %h, %row] limit %n by %lane : !acc64, !sums64
        %next = sfa_gpu.advance %p of 2 : !sfa_gpu.position
        %next_x = sfa_gpu.advance %x of 1 : !sfa_gpu.position
        scf.yield %next, %next_x, %dk2, %dv2 : !sfa_gpu.position, !sfa_gpu.position, !acc64, !acc64
      }
      %first = arith.muli %t, %c128 : index
      %lane = sfa_gpu.lane again : i32
      sfa_gpu.store %dv, %dvalue[%b, %h, %first] by %lane : !acc64, !memory64
      sfa_gpu.store %dk, %dkey[%b, %h, %first] by %lane : !acc64, !memory64
      sfa_gpu.yield
    }
    sfa_gpu.yield
  }
}

// Two roles share 64 keys at d = 256: one warpgroup has dV, the other one dK, since one has no registers for both accumulators. P goes
// from the first to the second through shared memory as f32, from lane to lane. Both roles compute, so fragments are those of
// `sfa_gpu.each_group`, not those of all consumers.

!memory256 = memref<?x16x?x256xbf16>
!row_ring256 = !sfa_gpu.ring<1 of 64x256xbf16, swizzled>
!tile_ring256 = !sfa_gpu.ring<2 of 64x256xbf16, swizzled>
!vector_ring256 = !sfa_gpu.ring<2 of 64xf32, linear>
!exchange256 = !sfa_gpu.ring<1 of 64x64xf32, linear>
!tile256 = !sfa_gpu.shared<64x256xbf16, swizzled>
!vector_tile256 = !sfa_gpu.shared<64xf32, linear>
!columns256 = !sfa_gpu.columns<64xf32>
!scores256 = !sfa_tile.tile<64x64xf32>
!pending256 = !sfa_gpu.pending<64x64xf32>
!left256 = !sfa_gpu.operand<64x64xbf16>
!acc256 = !sfa_tile.tile<64x256xf32>
!sum256 = !sfa_gpu.pending<64x256xf32>

// CHECK-LABEL: sfa_gpu.kernel @dk_and_dv_by_two_roles
sfa_gpu.kernel @dk_and_dv_by_two_roles(
    %key: !memory256, %value: !memory256, %query: !memory256, %dout: !memory256, %lse: memref<?x16x?xf32>,
    %delta: memref<?x16x?xf32>, %dkey: !memory256, %dvalue: !memory256) warps 12 consumers 4 to 12 {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c64 = arith.constant 64 : index
  %scale = arith.constant 0.0902 : f32
  %n = memref.dim %query, %c2 : !memory256
  %keys = sfa_gpu.ring guarded by 1 writers, 4 readers : !row_ring256
  %values = sfa_gpu.ring guarded by 1 writers, 4 readers : !row_ring256
  // Each warpgroup reads a tile of queries (S by the one, dK by the other) and one of gradients (dV and dP).
  %queries = sfa_gpu.ring guarded by 2 writers, 8 readers : !tile_ring256
  %lses = sfa_gpu.ring beside %queries : !tile_ring256 : !vector_ring256
  %grads = sfa_gpu.ring guarded by 2 writers, 8 readers : !tile_ring256
  %deltas = sfa_gpu.ring beside %grads : !tile_ring256 : !vector_ring256
  %exchange = sfa_gpu.ring guarded by 4 writers, 4 readers : !exchange256
  sfa_gpu.prepare
  // The producer is that of the kernels before, so its copies are left out here.
  sfa_gpu.roles producer warps 4 registers 24 {
    sfa_gpu.yield
  } of_values warps 4 registers 240 {
    // CHECK: sfa_gpu.each_group (%{{.*}}) of 4 warps {
    sfa_gpu.each_group (%group) of 4 warps {
      %start = sfa_gpu.start : !sfa_gpu.position
      sfa_gpu.for_points (%round, %b, %h, %t) {
        sfa_gpu.await %keys[%start] : !row_ring256
        %k = sfa_gpu.place %keys[%start : !sfa_gpu.position] : !row_ring256
        %zero = sfa_tile.fill 0.0 : !acc256
        %end, %end_x, %dv = scf.for %row = %c0 to %n step %c64 iter_args(%p = %start, %x = %start, %dv0 = %zero)
            -> (!sfa_gpu.position, !sfa_gpu.position, !acc256) {
          sfa_gpu.await %queries[%p] : !tile_ring256
          %q = sfa_gpu.place %queries[%p : !sfa_gpu.position] : !tile_ring256
          %s0 = sfa_gpu.issue_dot %k, %q : !tile256, !tile256 -> !pending256
          %s = sfa_gpu.wait pending 0(%s0) : !pending256
          %l_place = sfa_gpu.place %lses[%p : !sfa_gpu.position] : !vector_ring256
          %l = sfa_gpu.load_shared %l_place : !vector_tile256 -> !columns256
          sfa_gpu.release %queries[%p] : !tile_ring256
          %prob = sfa_gpu.map_elements(%s, %l) : (!scores256, !columns256) -> !scores256 {
          ^bb0(%element: f32, %lse_of_column: f32):
            %negative = arith.negf %lse_of_column : f32
            %exponent = math.fma %element, %scale, %negative : f32
            %power = math.exp2 %exponent : f32
            sfa_gpu.yield %power : f32
          }
          sfa_gpu.acquire %exchange[%x] : !exchange256
          %place = sfa_gpu.place %exchange[%x : !sfa_gpu.position] : !exchange256
          // CHECK: sfa_gpu.store_shared %{{.*}} to %{{.*}} : !sfa_tile.tile<64x64xf32>, !sfa_gpu.shared<64x64xf32, linear>
          sfa_gpu.store_shared %prob to %place : !scores256, !sfa_gpu.shared<64x64xf32, linear>
          sfa_gpu.arrive %exchange[%x] : !exchange256
          sfa_gpu.await %grads[%p] : !tile_ring256
          %do = sfa_gpu.place %grads[%p : !sfa_gpu.position] : !tile_ring256
          %left = sfa_gpu.pack %prob : !scores256 -> !left256
          %dv1 = sfa_gpu.issue_accumulate %dv0, %left, %do : !acc256, !left256, !tile256
          %dv2 = sfa_gpu.wait pending 0(%dv1) : !sum256
          sfa_gpu.keep %left : !left256
          sfa_gpu.release %grads[%p] : !tile_ring256
          %next = sfa_gpu.advance %p of 2 : !sfa_gpu.position
          %next_x = sfa_gpu.advance %x of 1 : !sfa_gpu.position
          scf.yield %next, %next_x, %dv2 : !sfa_gpu.position, !sfa_gpu.position, !acc256
        }
        %first = arith.muli %t, %c64 : index
        %lane = sfa_gpu.lane again : i32
        sfa_gpu.store %dv, %dvalue[%b, %h, %first] by %lane : !acc256, !memory256
        sfa_gpu.yield
      }
    }
    sfa_gpu.yield
  } of_keys warps 4 registers 240 {
    sfa_gpu.each_group (%group) of 4 warps {
      %start = sfa_gpu.start : !sfa_gpu.position
      sfa_gpu.for_points (%round, %b, %h, %t) {
        sfa_gpu.await %values[%start] : !row_ring256
        %v = sfa_gpu.place %values[%start : !sfa_gpu.position] : !row_ring256
        %zero = sfa_tile.fill 0.0 : !acc256
        %end, %end_x, %dk = scf.for %row = %c0 to %n step %c64 iter_args(%p = %start, %x = %start, %dk0 = %zero)
            -> (!sfa_gpu.position, !sfa_gpu.position, !acc256) {
          sfa_gpu.await %grads[%p] : !tile_ring256
          %do = sfa_gpu.place %grads[%p : !sfa_gpu.position] : !tile_ring256
          %dp0 = sfa_gpu.issue_dot %v, %do : !tile256, !tile256 -> !pending256
          %dp = sfa_gpu.wait pending 0(%dp0) : !pending256
          %e_place = sfa_gpu.place %deltas[%p : !sfa_gpu.position] : !vector_ring256
          %e = sfa_gpu.load_shared %e_place : !vector_tile256 -> !columns256
          sfa_gpu.release %grads[%p] : !tile_ring256
          sfa_gpu.await %exchange[%x] : !exchange256
          %place = sfa_gpu.place %exchange[%x : !sfa_gpu.position] : !exchange256
          // CHECK: %[[PROB:.*]] = sfa_gpu.load_shared %{{.*}} : !sfa_gpu.shared<64x64xf32, linear> -> !sfa_tile.tile<64x64xf32>
          %prob = sfa_gpu.load_shared %place : !sfa_gpu.shared<64x64xf32, linear> -> !scores256
          sfa_gpu.release %exchange[%x] : !exchange256
          // CHECK: sfa_gpu.map_elements(%[[PROB]]
          %ds = sfa_gpu.map_elements(%prob, %dp, %e) : (!scores256, !scores256, !columns256) -> !scores256 {
          ^bb0(%probability: f32, %of_probability: f32, %delta_of_column: f32):
            %difference = arith.subf %of_probability, %delta_of_column : f32
            %product = arith.mulf %probability, %difference : f32
            sfa_gpu.yield %product : f32
          }
          sfa_gpu.await %queries[%p] : !tile_ring256
          %q = sfa_gpu.place %queries[%p : !sfa_gpu.position] : !tile_ring256
          %left = sfa_gpu.pack %ds : !scores256 -> !left256
          %dk1 = sfa_gpu.issue_accumulate %dk0, %left, %q : !acc256, !left256, !tile256
          %dk2 = sfa_gpu.wait pending 0(%dk1) : !sum256
          sfa_gpu.keep %left : !left256
          sfa_gpu.release %queries[%p] : !tile_ring256
          %next = sfa_gpu.advance %p of 2 : !sfa_gpu.position
          %next_x = sfa_gpu.advance %x of 1 : !sfa_gpu.position
          scf.yield %next, %next_x, %dk2 : !sfa_gpu.position, !sfa_gpu.position, !acc256
        }
        %first = arith.muli %t, %c64 : index
        %lane = sfa_gpu.lane again : i32
        sfa_gpu.store %dk, %dkey[%b, %h, %first] by %lane : !acc256, !memory256
        sfa_gpu.yield
      }
    }
    sfa_gpu.yield
  }
}
