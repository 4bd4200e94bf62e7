// RUN: sfa-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{there are 64 rings, one for each of several warps; a block has 1 to 32}}
func.func private @copies(!sfa_gpu.ring<64 x 2 of 64x64xbf16, swizzled>)

// -----

!ring = !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
sfa_gpu.kernel @beside_unguarded() warps 4 consumers 0 to 4 {
  %keys = sfa_gpu.ring : !ring
  // expected-error @+1 {{'sfa_gpu.ring' op is beside another ring; that one is guarded and this one is not}}
  %values = sfa_gpu.ring beside %keys : !ring : !ring
}

// -----

!ring = !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
sfa_gpu.kernel @beside_other_places() warps 4 consumers 0 to 4 {
  %keys = sfa_gpu.ring guarded by 2 writers, 4 readers : !ring
  // expected-error @+1 {{'sfa_gpu.ring' op is beside '!sfa_gpu.ring<2 of 64x64xbf16, swizzled>', but is '!sfa_gpu.ring<3 of 64xf32, linear>'; they need as many places}}
  %numbers = sfa_gpu.ring beside %keys : !ring : !sfa_gpu.ring<3 of 64xf32, linear>
}

// -----

!ring = !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
!numbers = !sfa_gpu.ring<2 of 64xf32, linear>
sfa_gpu.kernel @wait_beside() warps 4 consumers 0 to 4 {
  %keys = sfa_gpu.ring guarded by 2 writers, 4 readers : !ring
  %numbers = sfa_gpu.ring beside %keys : !ring : !numbers
  %p = sfa_gpu.start : !sfa_gpu.position
  // expected-error @+1 {{'sfa_gpu.await' op is on a ring without barriers of its own; wait at the ring that it is beside}}
  sfa_gpu.await %numbers[%p] : !numbers
}

// -----

!rings = !sfa_gpu.ring<4 x 2 of 64x64xbf16, swizzled>
sfa_gpu.kernel @several() warps 4 consumers 0 to 4 {
  %keys = sfa_gpu.ring guarded by 1 writers, 1 readers : !rings
  %p = sfa_gpu.start : !sfa_gpu.position
  // expected-error @+1 {{'sfa_gpu.await' op operand #0 must be one ring ('sfa_gpu.ring_of' gives that of a warp), but got '!sfa_gpu.ring<4 x 2 of 64x64xbf16, swizzled>'}}
  sfa_gpu.await %keys[%p] : !rings
}

// -----

!rings = !sfa_gpu.ring<4 x 2 of 64x64xbf16, swizzled>
!ring = !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
sfa_gpu.kernel @unguarded_ring_of_warp() warps 4 consumers 0 to 4 {
  %keys = sfa_gpu.ring : !rings
  %p = sfa_gpu.start : !sfa_gpu.position
  %i = arith.constant 0 : i32
  %mine = sfa_gpu.ring_of %keys[%i] : !rings
  // expected-error @+1 {{'sfa_gpu.arrive' op is on a ring without guards; add 'guarded by' to the ring}}
  sfa_gpu.arrive %mine[%p] : !ring
}

// -----

!ring = !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
sfa_gpu.kernel @one_of_one() warps 4 consumers 0 to 4 {
  %keys = sfa_gpu.ring : !ring
  %i = arith.constant 0 : i32
  // expected-error @+1 {{'sfa_gpu.ring_of' op takes one of '!sfa_gpu.ring<2 of 64x64xbf16, swizzled>'; that is one ring}}
  %mine = sfa_gpu.ring_of %keys[%i] : !ring
}

// -----

func.func @position(%uses: i32) {
  // expected-error @+1 {{'sfa_gpu.position_after' op is of rings of 0 places; a ring has one at least}}
  %p = sfa_gpu.position_after %uses of 0 : !sfa_gpu.position
  return
}

// -----

!ring = !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
sfa_gpu.kernel @too_many_rows(%m: memref<?x8x16x64xbf16>) warps 4 consumers 0 to 4 {
  %keys = sfa_gpu.ring guarded by 1 writers, 4 readers : !ring
  %p = sfa_gpu.start : !sfa_gpu.position
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{'sfa_gpu.copy' op copies 80 rows of 1 heads to '!sfa_gpu.shared<64x64xbf16, swizzled>'; allowed are 1 to 64 rows of one head}}
  sfa_gpu.copy %m[%c0, %c0, %c0] to %keys[%p] rows 80 at %c0 : memref<?x8x16x64xbf16>, !ring
}
