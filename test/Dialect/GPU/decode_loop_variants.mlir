// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// A variant of decode_loop.mlir that has other forms of most parts: pages of 16 tokens, four of which make a stage; scores by a table
// of the queries, which a helping warp writes; 16 query heads a KV head, d = dv = 64, and rings of two places for each warp; and a
// merge without helpers, for which the consuming warps meet.

!query_memory = memref<?x1x128x64xbf16>
!key_value_memory = memref<?x8x16x8xbf16>
!key_feature_memory = memref<?x8x16x8xi8>
!value_memory = memref<?x8x16x64xbf16>
!partial_memory = memref<?x?x128x64xf32>
!partial_lse_memory = memref<?x?x128xf32>
!table_ring = !sfa_gpu.ring<2 of 64x16xf32, linear>
!value_rings = !sfa_gpu.ring<8 x 2 of 64x64xbf16, swizzled>
!value_ring = !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
!key_value_rings = !sfa_gpu.ring<8 x 2 of 64x8xbf16, linear>
!key_value_ring = !sfa_gpu.ring<2 of 64x8xbf16, linear>
!key_feature_rings = !sfa_gpu.ring<8 x 2 of 64x8xi8, linear>
!key_feature_ring = !sfa_gpu.ring<2 of 64x8xi8, linear>
!partial_ring = !sfa_gpu.ring<1 of 128x64xf32, linear>
!partial_row_ring = !sfa_gpu.ring<1 of 128xf32, linear>
!table_tile = !sfa_gpu.shared<64x16xf32, linear>
!value_tile = !sfa_gpu.shared<64x64xbf16, swizzled>
!key_values = !sfa_gpu.shared<64x8xbf16, linear>
!key_features = !sfa_gpu.shared<64x8xi8, linear>
!partials = !sfa_gpu.shared<128x64xf32, linear>
!partial_rows = !sfa_gpu.shared<128xf32, linear>
!scores = !sfa_tile.tile<16x64xf32>
!rows = !sfa_tile.tile<16xf32>
!sums = !sfa_tile.tile<16xf32, partial>
!acc = !sfa_tile.tile<16x64xf32>
!two_rows = !sfa_tile.tile<2xf32>
!two = !sfa_tile.tile<2x64xf32>

// CHECK-LABEL: sfa_gpu.kernel @decode_small_pages
sfa_gpu.kernel @decode_small_pages(
    %query: !query_memory, %key_value: !key_value_memory, %key_feature: !key_feature_memory, %value: !value_memory,
    %pages: memref<?x?xi32>, %lengths: memref<?xi32>, %partial: !partial_memory, %partial_lse: !partial_lse_memory)
    warps 12 consumers 0 to 8 persistent {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %c8 = arith.constant 8 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %i0 = arith.constant 0 : i32
  %i7 = arith.constant 7 : i32
  %i8 = arith.constant 8 : i32
  %order = sfa_gpu.split_order %lengths by 512 most 128 sequences 511 : memref<?xi32> -> !sfa_gpu.point_order
  // The table is filled by the stores of a warp.
  // CHECK: %[[TABLES:.*]] = sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<2 of 64x16xf32, linear>
  %tables = sfa_gpu.ring guarded by 1 writers, 8 readers : !table_ring
  // Three copies for each of four pages.
  // CHECK: %[[VALUES:.*]] = sfa_gpu.ring guarded by 12 writers, 1 readers : !sfa_gpu.ring<8 x 2 of 64x64xbf16, swizzled>
  %values = sfa_gpu.ring guarded by 12 writers, 1 readers : !value_rings
  %key_values = sfa_gpu.ring beside %values : !value_rings : !key_value_rings
  %key_features = sfa_gpu.ring beside %values : !value_rings : !key_feature_rings
  // Warps that meet at a barrier need no guards.
  %partials = sfa_gpu.ring : !partial_ring
  %maxima = sfa_gpu.ring : !partial_row_ring
  %sums = sfa_gpu.ring : !partial_row_ring
  %o_place = sfa_gpu.place %partials[%i0 : i32] : !partial_ring
  %m_place = sfa_gpu.place %maxima[%i0 : i32] : !partial_row_ring
  %l_place = sfa_gpu.place %sums[%i0 : i32] : !partial_row_ring
  sfa_gpu.prepare
  sfa_gpu.roles consumers warps 8 {
    sfa_gpu.each_group (%warp) of 1 warps {
      %start = sfa_gpu.start : !sfa_gpu.position
      %my_values = sfa_gpu.ring_of %values[%warp] : !value_rings
      %my_key_values = sfa_gpu.ring_of %key_values[%warp] : !key_value_rings
      %my_key_features = sfa_gpu.ring_of %key_features[%warp] : !key_feature_rings
      %end:2 = sfa_gpu.for_points (%round, %b, %h, %t) in %order
          carry (%base = %i0, %table_at = %start) : (i32, !sfa_gpu.position) {
        %first, %behind, %splits = sfa_gpu.split_range %b, %t in %order
        %num_keys = arith.subi %behind, %first : index
        %num_stages = arith.ceildivui %num_keys, %c64 : index
        %shifted = arith.subi %warp, %base : i32
        %class_number = arith.andi %shifted, %i7 : i32
        %class = arith.index_cast %class_number : i32 to index
        sfa_gpu.await %tables[%table_at] : !table_ring
        %table = sfa_gpu.place %tables[%table_at : !sfa_gpu.position] : !table_ring
        %max0 = sfa_tile.fill 0xFF800000 : !rows
        %sum0 = sfa_tile.fill 0.0 : !sums
        %acc0 = sfa_tile.fill 0.0 : !acc
        %max, %sum, %acc = scf.for %i = %class to %num_stages step %c8
            iter_args(%m = %max0, %l = %sum0, %o = %acc0) -> (!rows, !sums, !acc) {
          %i_number = arith.index_cast %i : index to i32
          %stage = arith.addi %base, %i_number : i32
          %uses = arith.divui %stage, %i8 : i32
          // CHECK: sfa_gpu.position_after %{{.*}} of 2 : !sfa_gpu.position
          %p = sfa_gpu.position_after %uses of 2 : !sfa_gpu.position
          sfa_gpu.await %my_values[%p] : !value_ring
          %v = sfa_gpu.place %my_values[%p : !sfa_gpu.position] : !value_ring
          %kv = sfa_gpu.place %my_key_values[%p : !sfa_gpu.position] : !key_value_ring
          %kf = sfa_gpu.place %my_key_features[%p : !sfa_gpu.position] : !key_feature_ring
          // CHECK: sfa_gpu.lookup_dot %{{.*}}, %{{.*}}, %{{.*}} : !sfa_gpu.shared<64x16xf32, linear>, !sfa_gpu.shared<64x8xbf16, linear>, !sfa_gpu.shared<64x8xi8, linear> -> !sfa_tile.tile<16x64xf32>
          %s = sfa_gpu.lookup_dot %table, %kv, %kf : !table_tile, !key_values, !key_features -> !scores
          %stage_start = arith.muli %i, %c64 : index
          %valid = arith.subi %num_keys, %stage_start : index
          %masked = sfa_tile.mask %s[%c0, %c0] of [%c1, %valid] by <none> : !scores
          sfa_gpu.clear_rows %v from %valid : !value_tile
          %m1 = sfa_tile.row_max %masked, %m : !scores, !rows
          %scale0 = arith.constant 0.1803 : f32
          %alpha = sfa_tile.exp2 %m, %m1 scale %scale0 difference_first : !rows, !rows
          %scale1 = arith.constant 0.1803 : f32
          %prob = sfa_tile.exp2 %masked, %m1 scale %scale1 : !scores, !rows
          %part = sfa_tile.row_sum %prob : !scores -> !sums
          %l1 = sfa_tile.fma %l, %alpha, %part : !sums
          %scaled = sfa_tile.scale_rows %o, %alpha : !acc, !rows
          %o1 = sfa_gpu.accumulate %scaled, %prob, %v : !acc, !scores, !value_tile
          nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
          sfa_gpu.release %my_values[%p] : !value_ring
          scf.yield %m1, %l1, %o1 : !rows, !sums, !acc
        }
        sfa_gpu.release %tables[%table_at] : !table_ring
        // Each warp writes its 16 rows, all eight meet, and each merges two of the rows of all. A class without stages has a sum of 0.
        %class_row = arith.muli %class, %c16 : index
        %whole = sfa_tile.total %sum : !sums -> !rows
        sfa_gpu.store_shared %acc to %o_place[%class_row] : !acc, !partials
        sfa_gpu.store_shared %max to %m_place[%class_row] : !rows, !partial_rows
        sfa_gpu.store_shared %whole to %l_place[%class_row] : !rows, !partial_rows
        // CHECK: sfa_gpu.barrier of_role
        sfa_gpu.barrier of_role
        %warp_index = arith.index_cast %warp : i32 to index
        %my_row = arith.muli %warp_index, %c2 : index
        %low = sfa_tile.fill 0xFF800000 : !two_rows
        %no_sum = sfa_tile.fill 0.0 : !two_rows
        %nothing = sfa_tile.fill 0.0 : !two
        %num_classes = arith.minui %num_stages, %c8 : index
        // The sums of the classes before are scaled where a class raises the maximum.
        %top, %total, %merged = scf.for %c = %c0 to %num_classes step %c1
            iter_args(%m = %low, %l = %no_sum, %o = %nothing) -> (!two_rows, !two_rows, !two) {
          %first_row = arith.muli %c, %c16 : index
          %row = arith.addi %first_row, %my_row : index
          %m_class = sfa_gpu.load_shared %m_place[%row] : !partial_rows -> !two_rows
          %l_class = sfa_gpu.load_shared %l_place[%row] : !partial_rows -> !two_rows
          %o_class = sfa_gpu.load_shared %o_place[%row] : !partials -> !two
          %m1 = sfa_tile.map_rows(%m, %m_class) : (!two_rows, !two_rows) -> !two_rows {
          ^bb0(%x: f32, %y: f32):
            %larger = arith.maximumf %x, %y : f32
            sfa_tile.yield %larger : f32
          }
          %scale2 = arith.constant 0.1803 : f32
          %alpha = sfa_tile.exp2 %m, %m1 scale %scale2 difference_first : !two_rows, !two_rows
          %scale3 = arith.constant 0.1803 : f32
          %weight = sfa_tile.exp2 %m_class, %m1 scale %scale3 difference_first : !two_rows, !two_rows
          %l0 = sfa_tile.mul %l, %alpha : !two_rows
          %l1 = sfa_tile.fma %l_class, %weight, %l0 : !two_rows
          %o0 = sfa_tile.scale_rows %o, %alpha : !two, !two_rows
          %o1 = sfa_gpu.map_elements(%o_class, %weight, %o0) : (!two, !two_rows, !two) -> !two {
          ^bb0(%element: f32, %factor: f32, %before: f32):
            %after = math.fma %element, %factor, %before : f32
            sfa_gpu.yield %after : f32
          }
          scf.yield %m1, %l1, %o1 : !two_rows, !two_rows, !two
        }
        // Nobody writes the next point's rows before all have read these.
        // CHECK: sfa_gpu.barrier of_role
        sfa_gpu.barrier of_role
        %result = sfa_tile.normalize %merged, %total : !two, !two_rows
        %scale4 = arith.constant 0.125 : f32
        %lse_of_rows = sfa_tile.lse %top, %total scale %scale4 : !two_rows
        %head_row = arith.muli %h, %c16 : index
        %out_row = arith.addi %head_row, %my_row : index
        %lane = sfa_gpu.lane again : i32
        sfa_gpu.store %result, %partial[%b, %t, %out_row] by %lane : !two, !partial_memory
        sfa_gpu.store %lse_of_rows, %partial_lse[%b, %t, %out_row] by %lane : !two_rows, !partial_lse_memory
        %stages_number = arith.index_cast %num_stages : index to i32
        %next_base = arith.addi %base, %stages_number : i32
        %next_table = sfa_gpu.advance %table_at of 2 : !sfa_gpu.position
        sfa_gpu.yield %next_base, %next_table : i32, !sfa_gpu.position
      }
    }
    sfa_gpu.yield
  } copiers warps 3 {
    // Three copying warps: the stages of a block go round.
    sfa_gpu.each_group (%copier) of 1 warps {
      %lane = sfa_gpu.lane : i32
      %is_elected = arith.cmpi eq, %lane, %i0 : i32
      %three = arith.constant 3 : i32
      scf.if %is_elected {
        %end = sfa_gpu.for_points (%round, %b, %h, %t) in %order carry (%base = %i0) : (i32) {
          %first, %behind, %splits = sfa_gpu.split_range %b, %t in %order
          %num_keys = arith.subi %behind, %first : index
          %num_stages = arith.ceildivui %num_keys, %c64 : index
          %num_pages = arith.ceildivui %num_keys, %c16 : index
          %first_page = arith.divui %first, %c16 : index
          scf.for %i = %c0 to %num_stages step %c1 {
            %i_number = arith.index_cast %i : index to i32
            %stage = arith.addi %base, %i_number : i32
            %turn = arith.remui %stage, %three : i32
            %is_mine = arith.cmpi eq, %turn, %copier : i32
            scf.if %is_mine {
              %reader = arith.andi %stage, %i7 : i32
              %uses = arith.divui %stage, %i8 : i32
              %p = sfa_gpu.position_after %uses of 2 : !sfa_gpu.position
              %their_values = sfa_gpu.ring_of %values[%reader] : !value_rings
              %their_key_values = sfa_gpu.ring_of %key_values[%reader] : !key_value_rings
              %their_key_features = sfa_gpu.ring_of %key_features[%reader] : !key_feature_rings
              sfa_gpu.acquire %their_values[%p] : !value_ring
              scf.for %piece = %c0 to %c4 step %c1 {
                %before = arith.muli %i, %c4 : index
                %number = arith.addi %before, %piece : index
                %exists = arith.cmpi ult, %number, %num_pages : index
                %to_row = arith.muli %piece, %c16 : index
                scf.if %exists {
                  %entry = arith.addi %first_page, %number : index
                  %page_number = memref.load %pages[%b, %entry] : memref<?x?xi32>
                  %page = arith.index_cast %page_number : i32 to index
                  sfa_gpu.copy %key_value[%page, %h, %c0] to %their_key_values[%p] rows 16 at %to_row
                    : !key_value_memory, !key_value_ring
                  sfa_gpu.copy %key_feature[%page, %h, %c0] to %their_key_features[%p] rows 16 at %to_row
                    : !key_feature_memory, !key_feature_ring
                  // CHECK: sfa_gpu.copy {{.*}} rows 16 at %{{.*}} : memref<?x8x16x64xbf16>, !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
                  sfa_gpu.copy %value[%page, %h, %c0] to %their_values[%p] rows 16 at %to_row : !value_memory, !value_ring
                } else {
                  // Behind the end of the sequence nothing is copied, for none of the three.
                  // CHECK-COUNT-3: sfa_gpu.arrive
                  sfa_gpu.arrive %their_values[%p] : !value_ring
                  sfa_gpu.arrive %their_values[%p] : !value_ring
                  sfa_gpu.arrive %their_values[%p] : !value_ring
                }
              }
            }
          }
          %stages_number = arith.index_cast %num_stages : index to i32
          %next_base = arith.addi %base, %stages_number : i32
          sfa_gpu.yield %next_base : i32
        }
      }
    }
    sfa_gpu.yield
  } helper warps 1 {
    %start = sfa_gpu.start : !sfa_gpu.position
    sfa_gpu.each_group (%helper) of 1 warps {
      %end = sfa_gpu.for_points (%round, %b, %h, %t) in %order carry (%table_at = %start) : (!sfa_gpu.position) {
        // Row f of the table has feature f of all 16 queries.
        %query_row = arith.muli %h, %c16 : index
        %q = sfa_tile.load %query[%b, %c0, %query_row] : !query_memory -> !sfa_tile.tile<16x64xbf16>
        sfa_gpu.acquire %tables[%table_at] : !table_ring
        %table = sfa_gpu.place %tables[%table_at : !sfa_gpu.position] : !table_ring
        // CHECK: sfa_gpu.store_shared %{{.*}} to %{{.*}} transposed : !sfa_tile.tile<16x64xbf16>, !sfa_gpu.shared<64x16xf32, linear>
        sfa_gpu.store_shared %q to %table transposed : !sfa_tile.tile<16x64xbf16>, !table_tile
        // CHECK: sfa_gpu.arrive %[[TABLES]]
        sfa_gpu.arrive %tables[%table_at] : !table_ring
        %next_table = sfa_gpu.advance %table_at of 2 : !sfa_gpu.position
        sfa_gpu.yield %next_table : !sfa_gpu.position
      }
    }
    sfa_gpu.yield
  }
}
