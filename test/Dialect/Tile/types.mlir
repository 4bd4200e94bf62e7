// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --emit-bytecode %s | sfa-opt | FileCheck %s

// CHECK-LABEL: @tiles(!sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<1x1xf16>, !sfa_tile.tile<65536x65536xbf16>)
func.func private @tiles(!sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<1x1xf16>,
                         !sfa_tile.tile<65536x65536xbf16>)

// CHECK-LABEL: @rows(!sfa_tile.tile<64xf16>, !sfa_tile.tile<64xi1>, !sfa_tile.tile<64xf32, partial>)
func.func private @rows(!sfa_tile.tile<64xf16>, !sfa_tile.tile<64xi1>, !sfa_tile.tile<64xf32, partial>)

// CHECK-LABEL: @forms(!sfa_tile.codes<64x128xbf16, k = 8>, !sfa_tile.postings<64x128xf16, k = 128>, !sfa_tile.two_four<1x1xf32, k = 1>, !sfa_tile.surplus<64x128xf32, k = 8>)
func.func private @forms(!sfa_tile.codes<64x128xbf16, k = 8>, !sfa_tile.postings<64x128xf16, k = 128>,
                         !sfa_tile.two_four<1x1xf32, k = 1>, !sfa_tile.surplus<64x128xf32, k = 8>)

// CHECK-LABEL: @integers(!sfa_tile.tile<64x128xi8>, !sfa_tile.tile<64x128xi32>, !sfa_tile.codes<64x128xi8, k = 8>, !sfa_tile.tile<64x128xf32, scaled>, !sfa_tile.tile<64x128xi32, scaled 32>)
func.func private @integers(!sfa_tile.tile<64x128xi8>, !sfa_tile.tile<64x128xi32>, !sfa_tile.codes<64x128xi8, k = 8>,
                            !sfa_tile.tile<64x128xf32, scaled 128>, !sfa_tile.tile<64x128xi32, scaled 32>)
