// RUN: sfa-opt %s -convert-sfa-gpu-to-nvvm="chip=sm_90a" -split-input-file -verify-diagnostics

!rows = memref<?x3x?x64xbf16, strided<[?, ?, ?, 1], offset: ?>>
!values = memref<?x3x?x8xbf16, strided<[?, ?, ?, 1], offset: ?>>
!indices = memref<?x3x?x8xi8, strided<[?, ?, ?, 1], offset: ?>>
sfa_tile.kernel @f(%x: !rows, %v: !values, %i: !indices) grid(%b, %h, %t) {
  // expected-error @+1 {{gives 64 rows; a GPU selects features of 128 rows at once}}
  %0 = sfa_tile.load %x[%b, %h, %t] : !rows -> !sfa_tile.tile<64x64xbf16>
  %1 = sfa_tile.topk %0 : !sfa_tile.tile<64x64xbf16> -> !sfa_tile.codes<64x64xbf16, k = 8>
  sfa_tile.store_codes %1, %v, %i[%b, %h, %t] : !sfa_tile.codes<64x64xbf16, k = 8>, !values, !indices
}

// -----

!rows = memref<?x3x?x64xbf16, strided<[?, ?, ?, 1], offset: ?>>
!values = memref<?x3x?x8xbf16, strided<[?, ?, ?, 1], offset: ?>>
!indices = memref<?x3x?x8xi8, strided<[?, ?, ?, 1], offset: ?>>
sfa_tile.kernel @f(%x: !rows, %v: !values, %i: !indices) grid(%b, %h, %t) {
  %0 = sfa_tile.load %x[%b, %h, %t] : !rows -> !sfa_tile.tile<128x64xbf16>
  // expected-error @+1 {{is not supported here on a GPU: a kernel that selects features loads rows once, selects from them, may round the values, and stores the codes written out, the codes, or both in this order}}
  %1 = sfa_tile.load %x[%b, %h, %t] : !rows -> !sfa_tile.tile<128x64xbf16>
  %2 = sfa_tile.topk %1 : !sfa_tile.tile<128x64xbf16> -> !sfa_tile.codes<128x64xbf16, k = 8>
  sfa_tile.store_codes %2, %v, %i[%b, %h, %t] : !sfa_tile.codes<128x64xbf16, k = 8>, !values, !indices
}

// -----

!rows = memref<?x3x?x64xbf16, strided<[?, ?, ?, 1], offset: ?>>
sfa_tile.kernel @f(%x: !rows) grid(%b, %h, %t) {
  %0 = sfa_tile.load %x[%b, %h, %t] : !rows -> !sfa_tile.tile<128x64xbf16>
  %1 = sfa_tile.topk %0 : !sfa_tile.tile<128x64xbf16> -> !sfa_tile.codes<128x64xbf16, k = 8>
  // expected-error @+1 {{is not supported here on a GPU: a kernel that selects features loads rows once, selects from them, may round the values, and stores the codes written out, the codes, or both in this order}}
  sfa_tile.store %0, %x[%b, %h, %t] : !sfa_tile.tile<128x64xbf16>, !rows
}

// -----

!rows = memref<?x3x?x64xbf16, strided<[?, ?, ?, 1], offset: ?>>
sfa_tile.kernel @f(%x: !rows) grid(%b, %h, %t) {
  %0 = sfa_tile.load %x[%b, %h, %t] : !rows -> !sfa_tile.tile<128x64xbf16>
  %1 = sfa_tile.topk %0 : !sfa_tile.tile<128x64xbf16> -> !sfa_tile.codes<128x64xbf16, k = 8>
  // expected-error @+1 {{is not supported in a kernel that selects features on a GPU}}
  %2 = sfa_tile.fill 0.0 : !sfa_tile.tile<128x64xbf16>
  sfa_tile.store %2, %x[%b, %h, %t] : !sfa_tile.tile<128x64xbf16>, !rows
}

// -----

!rows = memref<?x3x?x64xbf16, strided<[?, ?, ?, 1], offset: ?>>
!integers = memref<?x3x?x64xi8, strided<[?, ?, ?, 1], offset: ?>>
sfa_tile.kernel @f(%x: !rows, %y: !integers) grid(%b, %h, %t) {
  %0 = sfa_tile.load %x[%b, %h, %t] : !rows -> !sfa_tile.tile<128x64xbf16>
  %1 = sfa_tile.topk %0 : !sfa_tile.tile<128x64xbf16> -> !sfa_tile.codes<128x64xbf16, k = 33>
  // expected-error @+1 {{rounds 33 values of a row; a GPU rounds at most 32 where it selects them: use sfa.quantize after sfa.sparsify}}
  %2, %3 = sfa_tile.quantize_codes %1 shared_by token : !sfa_tile.codes<128x64xbf16, k = 33> -> !sfa_tile.codes<128x64xi8, k = 33>, !sfa_tile.tile<128xf32>
  %4 = sfa_tile.expand %2 : !sfa_tile.codes<128x64xi8, k = 33> -> !sfa_tile.tile<128x64xi8>
  sfa_tile.store %4, %y[%b, %h, %t] : !sfa_tile.tile<128x64xi8>, !integers
}

// -----

!rows = memref<?x3x?x64xbf16, strided<[?, ?, ?, 1], offset: ?>>
!values = memref<?x3x?x8xbf16, strided<[?, ?, ?, 1], offset: ?>>
!indices = memref<?x3x?x8xi8, strided<[?, ?, ?, 1], offset: ?>>
sfa_tile.kernel @f(%x: !rows, %v: !values, %i: !indices) grid(%b, %h, %t) {
  %0 = sfa_tile.load %x[%b, %h, %t] : !rows -> !sfa_tile.tile<128x64xbf16>
  %1 = sfa_tile.topk %0 : !sfa_tile.tile<128x64xbf16> -> !sfa_tile.codes<128x64xbf16, k = 8>
  sfa_tile.store_codes %1, %v, %i[%b, %h, %t] : !sfa_tile.codes<128x64xbf16, k = 8>, !values, !indices
  // expected-error @+1 {{is not supported here on a GPU: a kernel that selects features loads rows once, selects from them, may round the values, and stores the codes written out, the codes, or both in this order}}
  %2, %3 = sfa_tile.quantize_codes %1 shared_by token : !sfa_tile.codes<128x64xbf16, k = 8> -> !sfa_tile.codes<128x64xi8, k = 8>, !sfa_tile.tile<128xf32>
}
