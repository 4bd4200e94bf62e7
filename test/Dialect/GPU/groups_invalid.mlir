// RUN: sfa-opt %s -split-input-file -verify-diagnostics

sfa_gpu.kernel @groups() warps 12 consumers 0 to 8 {
  sfa_gpu.roles consumers warps 8 {
    // expected-error @+1 {{'sfa_gpu.each_group' op has groups of 3 warps of a role of 8; the warps of a role are a multiple of those of a group}}
    sfa_gpu.each_group (%number) of 3 warps {
    }
    sfa_gpu.yield
  } copiers warps 4 {
    sfa_gpu.yield
  }
}

// -----

sfa_gpu.kernel @groups_of_groups() warps 8 consumers 0 to 8 {
  sfa_gpu.each_group (%number) of 4 warps {
    // expected-error @+1 {{'sfa_gpu.each_group' op is in another sfa_gpu.each_group; groups have no groups of their own}}
    sfa_gpu.each_group (%warp) of 1 warps {
    }
  }
}

// -----

!tile = !sfa_gpu.shared<64x64xbf16, swizzled>
sfa_gpu.kernel @products_of_warps() warps 8 consumers 0 to 8 {
  %ring = sfa_gpu.ring : !sfa_gpu.ring<1 of 64x64xbf16, swizzled>
  %i = arith.constant 0 : i32
  %x = sfa_gpu.place %ring[%i : i32] : !sfa_gpu.ring<1 of 64x64xbf16, swizzled>
  sfa_gpu.each_group (%warp) of 1 warps {
    // expected-error @+1 {{'sfa_gpu.issue_dot' op is a product of a warpgroup in groups of 1 warps; allowed are multiples of 4}}
    %s = sfa_gpu.issue_dot %x, %x : !tile, !tile -> !sfa_gpu.pending<64x64xf32>
  }
}

// -----

// expected-error @+1 {{'sfa_gpu.kernel' op takes 'memref<4x4xi8>'; on a GPU memories have rank 1, 3 or 4, or rank 2 and i32}}
sfa_gpu.kernel @table(%m: memref<4x4xi8>) warps 4 consumers 0 to 4 {
}

// -----

sfa_gpu.kernel @registers() warps 12 consumers 0 to 8 {
  // expected-error @+1 {{'sfa_gpu.roles' op gives warps 10 to 12 96 registers and warps before them 104; the four warps of a warpgroup have the same}}
  sfa_gpu.roles consumers warps 8 registers 200 {
    sfa_gpu.yield
  } copiers warps 2 registers 104 {
    sfa_gpu.yield
  } helpers warps 2 registers 96 {
    sfa_gpu.yield
  }
}

// -----

sfa_gpu.kernel @merge(%scale: f32) warps 8 consumers 0 to 8 {
  %room = sfa_gpu.ring : !sfa_gpu.ring<1 of 2x1152xf32, linear>
  %zero = arith.constant 0 : i32
  %place = sfa_gpu.place %room[%zero : i32] : !sfa_gpu.ring<1 of 2x1152xf32, linear>
  sfa_gpu.each_group (%warp) of 1 warps {
    %acc = sfa_tile.fill 0.0 : !sfa_tile.tile<16x64xf32>
    %max = sfa_tile.fill 0.0 : !sfa_tile.tile<16xf32>
    %sum = sfa_tile.fill 0.0 : !sfa_tile.tile<16xf32, partial>
    // expected-error @+1 {{'sfa_gpu.merge_rows' op has the room '!sfa_gpu.shared<2x1152xf32, linear>'; 8 groups need '!sfa_gpu.shared<4x1152xf32, linear>'}}
    %a, %m, %s = sfa_gpu.merge_rows %acc, %max, %sum scale %scale through %place
      : !sfa_tile.tile<16x64xf32>, !sfa_tile.tile<16xf32>, !sfa_tile.tile<16xf32, partial>, !sfa_gpu.shared<2x1152xf32, linear>
  }
}
