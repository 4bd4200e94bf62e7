// RUN: not sfa-opt %s 2>&1 | FileCheck %s

// A name that is used before the loop, defined in one of its stages, and then a syntax error: the use outlived the stage.

// CHECK: error: expected operation name in quotes

    %3:2 = sfa_tile.launch @sparsify grid(%dim, %first_key, %2) ins(%arg0 : tensor<?x3x?x64xf16>) outs(%0, %1 : tensor<?x3x?x32xf16>, tensor<?x3x?x32xi8>) -> tensor<?x3x?x32xf16>, tensor<?x3x?x32xi8>
    %acc, %max, %sum = sfa_tile.key_loop %c0 to %dim_0 step 16 init(%2, %3, %4) : !sfa_tile.tile<8x16xf32>, !sfa_tile.tile<8xf32>, !sfa_tile.tile<8xf32> load {
    ^bb0(%first_key: index):
    } score {
    ^bb0(%first_key: index, %scores: !sfa_tile.tile<8x16xf32>):
