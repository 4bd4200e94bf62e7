// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// The main loop of decoding against a paged cache of codes: one new query for each of the four query heads of a KV head, d = dv = 128,
// eight pairs (value, feature) a key, pages of 64 tokens. A point is (sequence, KV head, split of its keys). Of the twelve warps of a
// block
//
//   eight consume: warp w has every eighth stage of 64 keys, in a ring of its own, with maxima, sums and an accumulator of its own;
//   two copy: the even and the odd stages, whose page they read from the page table;
//   two help: they bring the queries of the next point, and merge what the eight warps have of the last one.
//
// No barrier of the block is left in the loop. A warp expands the codes of 16 keys at a time into a small dense tile of its own,
// multiplies, and clears what it has written.

!query_memory = memref<?x1x32x128xbf16>
!key_value_memory = memref<?x8x64x8xbf16>
!key_feature_memory = memref<?x8x64x8xi8>
!value_memory = memref<?x8x64x128xbf16>
!partial_memory = memref<?x?x32x128xf32>
!partial_lse_memory = memref<?x?x32xf32>
!query_ring = !sfa_gpu.ring<2 of 16x128xbf16, swizzled>
!dense_rings = !sfa_gpu.ring<8 x 1 of 16x128xbf16, swizzled>
!dense_ring = !sfa_gpu.ring<1 of 16x128xbf16, swizzled>
!value_rings = !sfa_gpu.ring<8 x 1 of 64x128xbf16, swizzled>
!value_ring = !sfa_gpu.ring<1 of 64x128xbf16, swizzled>
!key_value_rings = !sfa_gpu.ring<8 x 1 of 64x8xbf16, linear>
!key_value_ring = !sfa_gpu.ring<1 of 64x8xbf16, linear>
!key_feature_rings = !sfa_gpu.ring<8 x 1 of 64x8xi8, linear>
!key_feature_ring = !sfa_gpu.ring<1 of 64x8xi8, linear>
!partial_ring = !sfa_gpu.ring<2 of 32x128xf32, linear>
!partial_row_ring = !sfa_gpu.ring<2 of 32xf32, linear>
!dense = !sfa_gpu.shared<16x128xbf16, swizzled>
!value_tile = !sfa_gpu.shared<64x128xbf16, swizzled>
!key_values = !sfa_gpu.shared<64x8xbf16, linear>
!key_features = !sfa_gpu.shared<64x8xi8, linear>
!partial_rows = !sfa_gpu.shared<32xf32, linear>
!group = !sfa_tile.tile<16x16xf32>
!scores = !sfa_tile.tile<16x64xf32>
!rows = !sfa_tile.tile<16xf32>
!sums = !sfa_tile.tile<16xf32, partial>
!acc = !sfa_tile.tile<16x128xf32>
!two_rows = !sfa_tile.tile<2xf32>
!two = !sfa_tile.tile<2x128xf32>

// CHECK-LABEL: sfa_gpu.kernel @decode
// CHECK-SAME: warps 12 consumers 0 to 8 persistent
sfa_gpu.kernel @decode(
    %query: !query_memory, %key_value: !key_value_memory, %key_feature: !key_feature_memory, %value: !value_memory,
    %table: memref<?x?xi32>, %lengths: memref<?xi32>, %output: !query_memory, %lse: memref<?x1x32xf32>,
    %partial: !partial_memory, %partial_lse: !partial_lse_memory) warps 12 consumers 0 to 8 persistent {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %c8 = arith.constant 8 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  %c48 = arith.constant 48 : index
  %c64 = arith.constant 64 : index
  %i0 = arith.constant 0 : i32
  %i1 = arith.constant 1 : i32
  %i7 = arith.constant 7 : i32
  %i8 = arith.constant 8 : i32
  %i31 = arith.constant 31 : i32
  %false = arith.constant false
  %all_lanes = arith.constant -1 : i32
  // A sequence's own length decides where its splits are, so that its bits do not depend on the batch or the grid.
  // CHECK: %[[ORDER:.*]] = sfa_gpu.split_order %{{.*}} by 512 most 128 sequences 511 : memref<?xi32> -> !sfa_gpu.point_order
  %order = sfa_gpu.split_order %lengths by 512 most 128 sequences 511 : memref<?xi32> -> !sfa_gpu.point_order
  // The queries of two points: rows 0 to 3 of the tile. Nobody reads the scores of its other rows.
  %queries = sfa_gpu.ring guarded by 1 writers, 8 readers : !query_ring
  // A ring for each of eight warps: values, and beside them the two parts of the codes. Each has one reader.
  // CHECK: %[[VALUES:.*]] = sfa_gpu.ring guarded by 3 writers, 1 readers : !sfa_gpu.ring<8 x 1 of 64x128xbf16, swizzled>
  %values = sfa_gpu.ring guarded by 3 writers, 1 readers : !value_rings
  // CHECK: sfa_gpu.ring beside %[[VALUES]] : !sfa_gpu.ring<8 x 1 of 64x128xbf16, swizzled> : !sfa_gpu.ring<8 x 1 of 64x8xbf16, linear>
  %key_values = sfa_gpu.ring beside %values : !value_rings : !key_value_rings
  // CHECK: sfa_gpu.ring beside %[[VALUES]] : !sfa_gpu.ring<8 x 1 of 64x128xbf16, swizzled> : !sfa_gpu.ring<8 x 1 of 64x8xi8, linear>
  %key_features = sfa_gpu.ring beside %values : !value_rings : !key_feature_rings
  // A dense tile for each warp, which no other warp touches.
  %dense = sfa_gpu.ring : !dense_rings
  // What the warps have of four rows: rows [4 c, 4 c + 4) are those of class c. Two points are under way.
  %partials = sfa_gpu.ring guarded by 8 writers, 2 readers : !partial_ring
  %maxima = sfa_gpu.ring beside %partials : !partial_ring : !partial_row_ring
  %sums = sfa_gpu.ring beside %partials : !partial_ring : !partial_row_ring
  sfa_gpu.prepare
  // Copying and helping warps share a warpgroup, and have the same registers.
  // CHECK: sfa_gpu.roles consumers warps 8 registers 200 {
  sfa_gpu.roles consumers warps 8 registers 200 {
    // CHECK: sfa_gpu.each_group (%[[WARP:.*]]) of 1 warps {
    sfa_gpu.each_group (%warp) of 1 warps {
      %start = sfa_gpu.start : !sfa_gpu.position
      // CHECK: %[[MINE:.*]] = sfa_gpu.ring_of %[[VALUES]][%[[WARP]]] : !sfa_gpu.ring<8 x 1 of 64x128xbf16, swizzled>
      %my_values = sfa_gpu.ring_of %values[%warp] : !value_rings
      %my_key_values = sfa_gpu.ring_of %key_values[%warp] : !key_value_rings
      %my_key_features = sfa_gpu.ring_of %key_features[%warp] : !key_feature_rings
      %my_dense = sfa_gpu.ring_of %dense[%warp] : !dense_rings
      %x = sfa_gpu.place %my_dense[%i0 : i32] : !dense_ring
      sfa_gpu.clear_rows %x from %c0 : !dense
      // Stages are counted over all points of the block: `base` are those before this one.
      %end:3 = sfa_gpu.for_points (%round, %b, %h, %t) in %order
          carry (%base = %i0, %query_at = %start, %merge_at = %start) : (i32, !sfa_gpu.position, !sfa_gpu.position) {
        // CHECK: sfa_gpu.split_range %{{.*}}, %{{.*}} in %[[ORDER]]
        %first, %behind, %splits = sfa_gpu.split_range %b, %t in %order
        %num_keys = arith.subi %behind, %first : index
        %num_stages = arith.ceildivui %num_keys, %c64 : index
        // The stages of this warp: its class, and every eighth one behind it.
        %shifted = arith.subi %warp, %base : i32
        %class_number = arith.andi %shifted, %i7 : i32
        %class = arith.index_cast %class_number : i32 to index
        sfa_gpu.await %queries[%query_at] : !query_ring
        %q = sfa_gpu.place %queries[%query_at : !sfa_gpu.position] : !query_ring
        %max0 = sfa_tile.fill 0xFF800000 : !rows
        %sum0 = sfa_tile.fill 0.0 : !sums
        %acc0 = sfa_tile.fill 0.0 : !acc
        // CHECK: scf.for
        %max, %sum, %acc = scf.for %i = %class to %num_stages step %c8
            iter_args(%m = %max0, %l = %sum0, %o = %acc0) -> (!rows, !sums, !acc) {
          %i_number = arith.index_cast %i : index to i32
          %stage = arith.addi %base, %i_number : i32
          %uses = arith.divui %stage, %i8 : i32
          // CHECK: %[[P:.*]] = sfa_gpu.position_after %{{.*}} : !sfa_gpu.position
          %p = sfa_gpu.position_after %uses : !sfa_gpu.position
          // CHECK: sfa_gpu.await %[[MINE]][%[[P]]] : !sfa_gpu.ring<1 of 64x128xbf16, swizzled>
          sfa_gpu.await %my_values[%p] : !value_ring
          %v = sfa_gpu.place %my_values[%p : !sfa_gpu.position] : !value_ring
          %kv = sfa_gpu.place %my_key_values[%p : !sfa_gpu.position] : !key_value_ring
          %kf = sfa_gpu.place %my_key_features[%p : !sfa_gpu.position] : !key_feature_ring
          // Codes are expanded 16 keys at a time, and the tile is zero again before the next ones.
          // CHECK: sfa_gpu.expand_codes %{{.*}}, %{{.*}}[%{{.*}}] to %{{.*}} : !sfa_gpu.shared<64x8xbf16, linear>, !sfa_gpu.shared<64x8xi8, linear>, !sfa_gpu.shared<16x128xbf16, swizzled>
          // CHECK: sfa_gpu.dot
          // CHECK: sfa_gpu.clear_codes
          sfa_gpu.expand_codes %kv, %kf[%c0] to %x : !key_values, !key_features, !dense
          %s0 = sfa_gpu.dot %q, %x : !dense, !dense -> !group
          sfa_gpu.clear_codes %kf[%c0] in %x : !key_features, !dense
          sfa_gpu.expand_codes %kv, %kf[%c16] to %x : !key_values, !key_features, !dense
          %s1 = sfa_gpu.dot %q, %x : !dense, !dense -> !group
          sfa_gpu.clear_codes %kf[%c16] in %x : !key_features, !dense
          sfa_gpu.expand_codes %kv, %kf[%c32] to %x : !key_values, !key_features, !dense
          %s2 = sfa_gpu.dot %q, %x : !dense, !dense -> !group
          sfa_gpu.clear_codes %kf[%c32] in %x : !key_features, !dense
          sfa_gpu.expand_codes %kv, %kf[%c48] to %x : !key_values, !key_features, !dense
          %s3 = sfa_gpu.dot %q, %x : !dense, !dense -> !group
          sfa_gpu.clear_codes %kf[%c48] in %x : !key_features, !dense
          // CHECK: sfa_gpu.join_columns
          %s = sfa_gpu.join_columns %s0, %s1, %s2, %s3 : !group, !group, !group, !group -> !scores
          // Keys behind the end of the sequence: their scores are replaced, and their values become 0, for they may be NaN.
          %stage_start = arith.muli %i, %c64 : index
          %valid = arith.subi %num_keys, %stage_start : index
          %masked = sfa_tile.mask %s[%c0, %c0] of [%c1, %valid] by <none> : !scores
          sfa_gpu.clear_rows %v from %valid : !value_tile
          %m1 = sfa_tile.row_max %masked, %m : !scores, !rows
          %scale0 = arith.constant 0.1275 : f32
          %alpha = sfa_tile.exp2 %m, %m1 scale %scale0 difference_first : !rows, !rows
          %scale1 = arith.constant 0.1275 : f32
          %prob = sfa_tile.exp2 %masked, %m1 scale %scale1 : !scores, !rows
          %part = sfa_tile.row_sum %prob : !scores -> !sums
          %l1 = sfa_tile.fma %l, %alpha, %part : !sums
          %scaled = sfa_tile.scale_rows %o, %alpha : !acc, !rows
          // CHECK: sfa_gpu.accumulate
          %o1 = sfa_gpu.accumulate %scaled, %prob, %v : !acc, !scores, !value_tile
          // Zeros that the warp has stored come before the bytes of the next copy.
          nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
          // CHECK: sfa_gpu.release %[[MINE]][%[[P]]]
          sfa_gpu.release %my_values[%p] : !value_ring
          scf.yield %m1, %l1, %o1 : !rows, !sums, !acc
        }
        sfa_gpu.release %queries[%query_at] : !query_ring
        // The four rows go to the helpers; a class without stages says only that it has nothing.
        sfa_gpu.acquire %partials[%merge_at] : !partial_ring
        %has_stages = arith.cmpi ult, %class, %num_stages : index
        scf.if %has_stages {
          %row = arith.muli %class, %c4 : index
          %whole = sfa_tile.total %sum : !sums -> !rows
          %o_place = sfa_gpu.place %partials[%merge_at : !sfa_gpu.position] : !partial_ring
          %m_place = sfa_gpu.place %maxima[%merge_at : !sfa_gpu.position] : !partial_row_ring
          %l_place = sfa_gpu.place %sums[%merge_at : !sfa_gpu.position] : !partial_row_ring
          // CHECK: sfa_gpu.store_shared %{{.*}} rows 4 from 0 to %{{.*}}[%{{.*}}] : !sfa_tile.tile<16x128xf32>, !sfa_gpu.shared<32x128xf32, linear>
          sfa_gpu.store_shared %acc rows 4 from 0 to %o_place[%row] : !acc, !sfa_gpu.shared<32x128xf32, linear>
          // CHECK: sfa_gpu.store_shared %{{.*}} rows 4 from 0 to %{{.*}}[%{{.*}}] : !sfa_tile.tile<16xf32>, !sfa_gpu.shared<32xf32, linear>
          sfa_gpu.store_shared %max rows 4 from 0 to %m_place[%row] : !rows, !partial_rows
          sfa_gpu.store_shared %whole rows 4 from 0 to %l_place[%row] : !rows, !partial_rows
        }
        // CHECK: sfa_gpu.arrive
        sfa_gpu.arrive %partials[%merge_at] : !partial_ring
        %stages_number = arith.index_cast %num_stages : index to i32
        %next_base = arith.addi %base, %stages_number : i32
        %next_query = sfa_gpu.advance %query_at of 2 : !sfa_gpu.position
        %next_merge = sfa_gpu.advance %merge_at of 2 : !sfa_gpu.position
        sfa_gpu.yield %next_base, %next_query, %next_merge : i32, !sfa_gpu.position, !sfa_gpu.position
      }
    }
    sfa_gpu.yield
  // CHECK: } copiers warps 2 registers 104 {
  } copiers warps 2 registers 104 {
    sfa_gpu.each_group (%copier) of 1 warps {
      %lane = sfa_gpu.lane : i32
      %lane_index = arith.index_cast %lane : i32 to index
      %is_elected = arith.cmpi eq, %lane, %i0 : i32
      %num_pages_index = memref.dim %value, %c0 : !value_memory
      %num_pages = arith.index_cast %num_pages_index : index to i32
      %last_page = arith.subi %num_pages, %i1 : i32
      %end = sfa_gpu.for_points (%round, %b, %h, %t) in %order carry (%base = %i0) : (i32) {
        %first, %behind, %splits = sfa_gpu.split_range %b, %t in %order
        %num_keys = arith.subi %behind, %first : index
        %num_stages = arith.ceildivui %num_keys, %c64 : index
        %first_page = arith.divui %first, %c64 : index
        scf.for %chunk = %c0 to %num_stages step %c8 {
          // Lane l reads the number of the page of the l-th of eight stages; what is no page counts as the first or last.
          %stage_of_lane = arith.addi %chunk, %lane_index : index
          %exists = arith.cmpi ult, %stage_of_lane, %num_stages : index
          %page_of_lane = scf.if %exists -> i32 {
            %entry = arith.addi %first_page, %stage_of_lane : index
            // CHECK: memref.load %{{.*}}[%{{.*}}, %{{.*}}] : memref<?x?xi32>
            %number = memref.load %table[%b, %entry] : memref<?x?xi32>
            %below = arith.maxsi %number, %i0 : i32
            %clamped = arith.minsi %below, %last_page : i32
            scf.yield %clamped : i32
          } else {
            scf.yield %i0 : i32
          }
          %up_to = arith.addi %chunk, %c8 : index
          %chunk_end = arith.minui %up_to, %num_stages : index
          scf.for %i = %chunk to %chunk_end step %c1 {
            %i_number = arith.index_cast %i : index to i32
            %stage = arith.addi %base, %i_number : i32
            %in_chunk = arith.subi %i, %chunk : index
            %source = arith.index_cast %in_chunk : index to i32
            // CHECK: nvvm.shfl.sync idx
            %page_number = nvvm.shfl.sync idx %all_lanes, %page_of_lane, %source, %i31 : i32 -> i32
            %page = arith.index_cast %page_number : i32 to index
            // One copying warp has the even stages, the other one the odd ones, and one lane issues all copies.
            %parity = arith.andi %stage, %i1 : i32
            %is_mine = arith.cmpi eq, %parity, %copier : i32
            %issues = arith.andi %is_mine, %is_elected : i1
            scf.if %issues {
              %reader = arith.andi %stage, %i7 : i32
              %uses = arith.divui %stage, %i8 : i32
              %p = sfa_gpu.position_after %uses : !sfa_gpu.position
              // CHECK: %[[THEIRS:.*]] = sfa_gpu.ring_of %[[VALUES]]
              %their_values = sfa_gpu.ring_of %values[%reader] : !value_rings
              %their_key_values = sfa_gpu.ring_of %key_values[%reader] : !key_value_rings
              %their_key_features = sfa_gpu.ring_of %key_features[%reader] : !key_feature_rings
              // CHECK: sfa_gpu.acquire %[[THEIRS]]
              sfa_gpu.acquire %their_values[%p] : !value_ring
              sfa_gpu.copy %key_value[%page, %h, %c0] to %their_key_values[%p] evict_first : !key_value_memory, !key_value_ring
              sfa_gpu.copy %key_feature[%page, %h, %c0] to %their_key_features[%p] evict_first
                : !key_feature_memory, !key_feature_ring
              // CHECK: sfa_gpu.copy {{.*}} to %[[THEIRS]][%{{.*}}] evict_first
              sfa_gpu.copy %value[%page, %h, %c0] to %their_values[%p] evict_first : !value_memory, !value_ring
            }
          }
        }
        %stages_number = arith.index_cast %num_stages : index to i32
        %next_base = arith.addi %base, %stages_number : i32
        sfa_gpu.yield %next_base : i32
      }
    }
    sfa_gpu.yield
  // CHECK: } helpers warps 2 registers 104 {
  } helpers warps 2 registers 104 {
    sfa_gpu.each_group (%helper) of 1 warps {
      %start = sfa_gpu.start : !sfa_gpu.position
      %lane = sfa_gpu.lane : i32
      %helper_index = arith.index_cast %helper : i32 to index
      %my_row = arith.muli %helper_index, %c2 : index
      %low = sfa_tile.fill 0xFF800000 : !two_rows
      %no_sum = sfa_tile.fill 0.0 : !two_rows
      %nothing = sfa_tile.fill 0.0 : !two
      %is_elected = arith.cmpi eq, %lane, %i0 : i32
      %is_first = arith.cmpi eq, %helper, %i0 : i32
      %copies = arith.andi %is_elected, %is_first : i1
      // A helper is a point ahead with the queries, and a point behind with the merge: it carries the point before this one.
      %last_b, %last_h, %last_t, %is_left, %end_query, %last_merge = sfa_gpu.for_points (%round, %b, %h, %t) in %order
          carry (%old_b = %c0, %old_h = %c0, %old_t = %c0, %has_old = %false, %query_at = %start, %merge_at = %start)
          : (index, index, index, i1, !sfa_gpu.position, !sfa_gpu.position) {
        scf.if %copies {
          sfa_gpu.acquire %queries[%query_at] : !query_ring
          %query_row = arith.muli %h, %c4 : index
          // CHECK: sfa_gpu.copy {{.*}} rows 4 at %{{.*}} : memref<?x1x32x128xbf16>, !sfa_gpu.ring<2 of 16x128xbf16, swizzled>
          sfa_gpu.copy %query[%b, %c0, %query_row] to %queries[%query_at] rows 4 at %c0 : !query_memory, !query_ring
        }
        %next_query = sfa_gpu.advance %query_at of 2 : !sfa_gpu.position
        %next_merge = scf.if %has_old -> !sfa_gpu.position {
          %first, %behind, %splits = sfa_gpu.split_range %old_b, %old_t in %order
          %num_keys = arith.subi %behind, %first : index
          %num_stages = arith.ceildivui %num_keys, %c64 : index
          %num_classes = arith.minui %num_stages, %c8 : index
          sfa_gpu.await %partials[%merge_at] : !partial_ring
          %o_place = sfa_gpu.place %partials[%merge_at : !sfa_gpu.position] : !partial_ring
          %m_place = sfa_gpu.place %maxima[%merge_at : !sfa_gpu.position] : !partial_row_ring
          %l_place = sfa_gpu.place %sums[%merge_at : !sfa_gpu.position] : !partial_row_ring
          %top = scf.for %class = %c0 to %num_classes step %c1 iter_args(%m = %low) -> (!two_rows) {
            %first_row = arith.muli %class, %c4 : index
            %row = arith.addi %first_row, %my_row : index
            // CHECK: sfa_gpu.load_shared %{{.*}}[%{{.*}}] : !sfa_gpu.shared<32xf32, linear> -> !sfa_tile.tile<2xf32>
            %m_class = sfa_gpu.load_shared %m_place[%row] : !partial_rows -> !two_rows
            %m1 = sfa_tile.map_rows(%m, %m_class) : (!two_rows, !two_rows) -> !two_rows {
            ^bb0(%a: f32, %c: f32):
              %larger = arith.maximumf %a, %c : f32
              sfa_tile.yield %larger : f32
            }
            scf.yield %m1 : !two_rows
          }
          // Classes are added in their order, whichever warp had them.
          %sum, %acc = scf.for %class = %c0 to %num_classes step %c1 iter_args(%l = %no_sum, %o = %nothing) -> (!two_rows, !two) {
            %first_row = arith.muli %class, %c4 : index
            %row = arith.addi %first_row, %my_row : index
            %m_class = sfa_gpu.load_shared %m_place[%row] : !partial_rows -> !two_rows
            %l_class = sfa_gpu.load_shared %l_place[%row] : !partial_rows -> !two_rows
            // CHECK: sfa_gpu.load_shared %{{.*}}[%{{.*}}] : !sfa_gpu.shared<32x128xf32, linear> -> !sfa_tile.tile<2x128xf32>
            %o_class = sfa_gpu.load_shared %o_place[%row] : !sfa_gpu.shared<32x128xf32, linear> -> !two
            %scale2 = arith.constant 0.1275 : f32
            %weight = sfa_tile.exp2 %m_class, %top scale %scale2 difference_first : !two_rows, !two_rows
            %l1 = sfa_tile.fma %l_class, %weight, %l : !two_rows
            %o1 = sfa_gpu.map_elements(%o_class, %weight, %o) : (!two, !two_rows, !two) -> !two {
            ^bb0(%element: f32, %factor: f32, %before: f32):
              %after = math.fma %element, %factor, %before : f32
              sfa_gpu.yield %after : f32
            }
            scf.yield %l1, %o1 : !two_rows, !two
          }
          sfa_gpu.release %partials[%merge_at] : !partial_ring
          %result = sfa_tile.normalize %acc, %sum : !two, !two_rows
          %scale3 = arith.constant 0.0884 : f32
          %lse_of_rows = sfa_tile.lse %top, %sum scale %scale3 : !two_rows
          %head_row = arith.muli %old_h, %c4 : index
          %out_row = arith.addi %head_row, %my_row : index
          // A sequence of one split is done; those of several are combined by a second kernel.
          %is_only = arith.cmpi eq, %splits, %c1 : index
          scf.if %is_only {
            sfa_gpu.store %result, %output[%old_b, %c0, %out_row] by %lane : !two, !query_memory
            sfa_gpu.store %lse_of_rows, %lse[%old_b, %c0, %out_row] by %lane : !two_rows, memref<?x1x32xf32>
          } else {
            sfa_gpu.store %result, %partial[%old_b, %old_t, %out_row] by %lane : !two, !partial_memory
            sfa_gpu.store %lse_of_rows, %partial_lse[%old_b, %old_t, %out_row] by %lane : !two_rows, !partial_lse_memory
          }
          %advanced = sfa_gpu.advance %merge_at of 2 : !sfa_gpu.position
          scf.yield %advanced : !sfa_gpu.position
        } else {
          scf.yield %merge_at : !sfa_gpu.position
        }
        %true = arith.constant true
        sfa_gpu.yield %b, %h, %t, %true, %next_query, %next_merge
          : index, index, index, i1, !sfa_gpu.position, !sfa_gpu.position
      }
      // The last point.
      scf.if %is_left {
        %first, %behind, %splits = sfa_gpu.split_range %last_b, %last_t in %order
        %num_keys = arith.subi %behind, %first : index
        %num_stages = arith.ceildivui %num_keys, %c64 : index
        %num_classes = arith.minui %num_stages, %c8 : index
        sfa_gpu.await %partials[%last_merge] : !partial_ring
        %o_place = sfa_gpu.place %partials[%last_merge : !sfa_gpu.position] : !partial_ring
        %m_place = sfa_gpu.place %maxima[%last_merge : !sfa_gpu.position] : !partial_row_ring
        %l_place = sfa_gpu.place %sums[%last_merge : !sfa_gpu.position] : !partial_row_ring
        %top = scf.for %class = %c0 to %num_classes step %c1 iter_args(%m = %low) -> (!two_rows) {
          %first_row = arith.muli %class, %c4 : index
          %row = arith.addi %first_row, %my_row : index
          %m_class = sfa_gpu.load_shared %m_place[%row] : !partial_rows -> !two_rows
          %m1 = sfa_tile.map_rows(%m, %m_class) : (!two_rows, !two_rows) -> !two_rows {
          ^bb0(%a: f32, %c: f32):
            %larger = arith.maximumf %a, %c : f32
            sfa_tile.yield %larger : f32
          }
          scf.yield %m1 : !two_rows
        }
        // Classes are added in their order, whichever warp had them.
        %sum, %acc = scf.for %class = %c0 to %num_classes step %c1 iter_args(%l = %no_sum, %o = %nothing) -> (!two_rows, !two) {
          %first_row = arith.muli %class, %c4 : index
          %row = arith.addi %first_row, %my_row : index
          %m_class = sfa_gpu.load_shared %m_place[%row] : !partial_rows -> !two_rows
          %l_class = sfa_gpu.load_shared %l_place[%row] : !partial_rows -> !two_rows
          %o_class = sfa_gpu.load_shared %o_place[%row] : !sfa_gpu.shared<32x128xf32, linear> -> !two
          %scale4 = arith.constant 0.1275 : f32
          %weight = sfa_tile.exp2 %m_class, %top scale %scale4 difference_first : !two_rows, !two_rows
          %l1 = sfa_tile.fma %l_class, %weight, %l : !two_rows
          %o1 = sfa_gpu.map_elements(%o_class, %weight, %o) : (!two, !two_rows, !two) -> !two {
          ^bb0(%element: f32, %factor: f32, %before: f32):
            %after = math.fma %element, %factor, %before : f32
            sfa_gpu.yield %after : f32
          }
          scf.yield %l1, %o1 : !two_rows, !two
        }
        sfa_gpu.release %partials[%last_merge] : !partial_ring
        %result = sfa_tile.normalize %acc, %sum : !two, !two_rows
        %scale5 = arith.constant 0.0884 : f32
        %lse_of_rows = sfa_tile.lse %top, %sum scale %scale5 : !two_rows
        %head_row = arith.muli %last_h, %c4 : index
        %out_row = arith.addi %head_row, %my_row : index
        // A sequence of one split is done; those of several are combined by a second kernel.
        %is_only = arith.cmpi eq, %splits, %c1 : index
        scf.if %is_only {
          sfa_gpu.store %result, %output[%last_b, %c0, %out_row] by %lane : !two, !query_memory
          sfa_gpu.store %lse_of_rows, %lse[%last_b, %c0, %out_row] by %lane : !two_rows, memref<?x1x32xf32>
        } else {
          sfa_gpu.store %result, %partial[%last_b, %last_t, %out_row] by %lane : !two, !partial_memory
          sfa_gpu.store %lse_of_rows, %partial_lse[%last_b, %last_t, %out_row] by %lane : !two_rows, !partial_lse_memory
        }
      }
    }
    sfa_gpu.yield
  }
}
