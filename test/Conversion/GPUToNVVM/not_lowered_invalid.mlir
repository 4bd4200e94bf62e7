// RUN: sfa-opt %s -sfa-gpu-allocate -convert-sfa-gpu-to-nvvm="chip=sm_90a" -split-input-file -verify-diagnostics
// RUN: not sfa-opt %S/../../Dialect/GPU/backward_loop.mlir -sfa-gpu-allocate -convert-sfa-gpu-to-nvvm="chip=sm_90a" 2>&1 | FileCheck %s --check-prefix=BACKWARD
// BACKWARD: error: 'sfa_gpu.ring' op is beside another ring, which is not lowered yet

// The dialect says more than there are instructions for: what it says is refused by name.

sfa_gpu.kernel @elements() warps 4 consumers 0 to 4 {
  %x = sfa_tile.fill 0.0 : !sfa_tile.tile<64x64xf32>
  // expected-error @+1 {{'sfa_gpu.map_elements' op is not lowered yet}}
  %y = sfa_gpu.map_elements(%x) : (!sfa_tile.tile<64x64xf32>) -> !sfa_tile.tile<64x64xf32> {
  ^bb0(%a: f32):
    sfa_gpu.yield %a : f32
  }
}

// -----

sfa_gpu.kernel @groups() warps 4 consumers 0 to 4 {
  // expected-error @+1 {{'sfa_gpu.each_group' op has groups of several warps, which is not lowered yet}}
  sfa_gpu.each_group (%warp) of 4 warps {
  }
}

// -----

sfa_gpu.kernel @rings() warps 4 consumers 0 to 4 {
  // expected-error @+1 {{'sfa_gpu.ring' op is a ring for each of several warps, which is not lowered yet}}
  %ring = sfa_gpu.ring guarded by 1 writers, 1 readers : !sfa_gpu.ring<4 x 2 of 64x64xbf16, swizzled>
}

// -----

sfa_gpu.kernel @position() warps 4 consumers 0 to 4 {
  %uses = arith.constant 3 : i32
  // expected-error @+1 {{'sfa_gpu.position_after' op is in a ring of several places, which is not lowered yet}}
  %p = sfa_gpu.position_after %uses of 2 : !sfa_gpu.position
}

// -----

!ring = !sfa_gpu.ring<2 of 64xf32, linear>
sfa_gpu.kernel @vector(%m: memref<1x8x?xf32>) warps 4 consumers 0 to 4 {
  %numbers = sfa_gpu.ring guarded by 1 writers, 4 readers : !ring
  %p = sfa_gpu.start : !sfa_gpu.position
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{'sfa_gpu.copy' op is on a tile that is not swizzled or has elements of 32 bits, which is not lowered yet}}
  sfa_gpu.copy %m[%c0, %c0, %c0] to %numbers[%p] : memref<1x8x?xf32>, !ring
}

// -----

!ring = !sfa_gpu.ring<1 of 64x64xbf16, swizzled>
!tile = !sfa_gpu.shared<64x64xbf16, swizzled>
!acc = !sfa_tile.tile<64x64xf32>
sfa_gpu.kernel @left() warps 4 consumers 0 to 4 {
  %ring = sfa_gpu.ring : !ring
  %i = arith.constant 0 : i32
  %x = sfa_gpu.place %ring[%i : i32] : !ring
  %acc = sfa_tile.fill 0.0 : !acc
  // expected-error @+1 {{'sfa_gpu.issue_accumulate' op has its left operand in shared memory, which is not lowered yet}}
  %s = sfa_gpu.issue_accumulate %acc, %x, %x : !acc, !tile, !tile
}

// -----

sfa_gpu.kernel @registers() warps 8 consumers 0 to 4 {
  // expected-error @+1 {{'sfa_gpu.roles' op gives registers to roles that share a warpgroup, which is not lowered yet}}
  sfa_gpu.roles consumers warps 4 registers 200 {
    sfa_gpu.yield
  } copiers warps 2 registers 104 {
    sfa_gpu.yield
  } helpers warps 2 registers 104 {
    sfa_gpu.yield
  }
}

// -----

// Operations of other dialects have patterns or none.
sfa_gpu.kernel @page(%pages: memref<?x?x?xi16>) warps 4 consumers 0 to 4 {
  %c0 = arith.constant 0 : index
  // expected-error @+2 {{failed to legalize operation 'memref.load' that was explicitly marked illegal}}
  // expected-error @+1 {{'memref.load' op reads anything but a number of a table of i32}}
  %number = memref.load %pages[%c0, %c0, %c0] : memref<?x?x?xi16>
}
