// RUN: not sfa-opt %s 2>&1 | FileCheck %s

// A name that is used in one stage and defined in a later one, and then a syntax error: the stages were destroyed in an
// order that left the use without its value.

// CHECK: error: expected operation name in quotes

    %acc, %max, %sum = sfa_tile.key_loop %c0 to %c1 step 128 init(%2, %3, %4) : !sfa_tile.tile<16x2xf32>, !sfa_tile.tile<16xf32>, !sfa_tile.tile<16xf32> load {
      %8 = sfa_tile.load %value[%batch, %head, %first_key] : memref<2x1x1x2xf32> -> !sfa_tile.tile<128x2xf32>
    } score {
    } mask {
    ^bb0(%first_key: index, %scores: !sfa_tile.tile<16x128xf32>):
    } softmax {
    ^bb0(%scores: !sfa_tile.tile<16x128xf32>, %max_0: !sfa_tile.tile<16xf32>, %sum_1: !sfa_tile.tile<16xf32>):
