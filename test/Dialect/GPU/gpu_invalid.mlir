// RUN: sfa-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{unknown form 'tiled' of a tile, allowed are swizzled, linear, feature_major}}
func.func private @form(!sfa_gpu.shared<128x64xbf16, tiled>)

// -----

// expected-error @+1 {{a swizzled tile has rows of 16-bit elements and a multiple of 8 columns}}
func.func private @chunk(!sfa_gpu.shared<128x36xbf16, swizzled>)

// -----

// expected-error @+1 {{a ring has at least one place, given are 0}}
func.func private @empty(!sfa_gpu.ring<0 of 128x64xbf16, swizzled>)

// -----

// expected-error @+1 {{an operand in registers holds f16, bf16 or i8, given is 'f32'}}
func.func private @operand(!sfa_gpu.operand<128x64xf32>)

// -----

// expected-error @+1 {{'sfa_gpu.kernel' op has consumers 4 to 12 of 8 warps; they are a range of the warps, and there is one at least}}
sfa_gpu.kernel @consumers() warps 8 consumers 4 to 12 {
}

// -----

// expected-error @+1 {{'sfa_gpu.kernel' op takes 'memref<4x4xf32>'; on a GPU memories have rank 1, 3 or 4}}
sfa_gpu.kernel @memory(%m: memref<4x4xf32>) warps 4 consumers 0 to 4 {
}

// -----

sfa_gpu.kernel @guards() warps 4 consumers 0 to 4 {
  %ring = sfa_gpu.ring : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
  %p = sfa_gpu.start : !sfa_gpu.position
  // expected-error @+1 {{'sfa_gpu.await' op is on a ring without guards; add 'guarded by' to the ring}}
  sfa_gpu.await %ring[%p] : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
}

// -----

sfa_gpu.kernel @copy(%m: memref<1x8x?x128xbf16>) warps 4 consumers 0 to 4 {
  %ring = sfa_gpu.ring guarded by 1 writers, 4 readers : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
  %p = sfa_gpu.start : !sfa_gpu.position
  %c = arith.constant 0 : index
  // expected-error @+1 {{'sfa_gpu.copy' op copies rows of 'memref<1x8x?x128xbf16>' to '!sfa_gpu.shared<128x64xbf16, swizzled>'; they need the same elements and number of columns}}
  sfa_gpu.copy %m[%c, %c, %c] to %ring[%p] : memref<1x8x?x128xbf16>, !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
}

// -----

sfa_gpu.kernel @roles() warps 8 consumers 4 to 8 {
  // expected-error @+1 {{'sfa_gpu.roles' op has roles of 12 warps, but the block has 8}}
  sfa_gpu.roles producer warps 4 {
    sfa_gpu.yield
  } consumers warps 8 {
    sfa_gpu.yield
  }
}

// -----

sfa_gpu.kernel @registers() warps 6 consumers 2 to 6 {
  // expected-error @+1 {{'sfa_gpu.roles' op gives warps 2 to 6 240 registers and warps before them 0; the four warps of a warpgroup have the same}}
  sfa_gpu.roles producer warps 2 {
    sfa_gpu.yield
  } consumers warps 4 registers 240 {
    sfa_gpu.yield
  }
}

// -----

sfa_gpu.kernel @dot() warps 4 consumers 0 to 4 {
  %ring = sfa_gpu.ring : !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
  %zero = arith.constant 0 : i32
  %t = sfa_gpu.place %ring[%zero : i32] : !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
  // expected-error @+1 {{'sfa_gpu.dot' op gives '!sfa_tile.tile<128x64xf32>'; the product of '!sfa_gpu.shared<128x64xbf16, swizzled>' with the transpose of '!sfa_gpu.shared<128x64xbf16, swizzled>' is '!sfa_tile.tile<128x128xf32>'}}
  %s = sfa_gpu.dot %t, %t
    : !sfa_gpu.shared<128x64xbf16, swizzled>, !sfa_gpu.shared<128x64xbf16, swizzled> -> !sfa_tile.tile<128x64xf32>
}

// -----

sfa_gpu.kernel @accumulate() warps 4 consumers 0 to 4 {
  %ring = sfa_gpu.ring : !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
  %zero = arith.constant 0 : i32
  %v = sfa_gpu.place %ring[%zero : i32] : !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
  %p = sfa_gpu.no_operand : !sfa_gpu.operand<64x128xbf16>
  %acc = sfa_tile.fill 0.0 : !sfa_tile.tile<64x80xf32>
  // expected-error @+1 {{has 64 rows and 64 columns, or 8 more for row sums}}
  %sum = sfa_gpu.issue_accumulate %acc, %p, %v
    : !sfa_tile.tile<64x80xf32>, !sfa_gpu.operand<64x128xbf16>, !sfa_gpu.shared<128x64xbf16, swizzled>
}
