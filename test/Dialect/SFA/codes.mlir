// RUN: sfa-opt -allow-unregistered-dialect %s | sfa-opt -allow-unregistered-dialect | FileCheck %s
// RUN: sfa-opt -allow-unregistered-dialect --mlir-print-op-generic %s | sfa-opt -allow-unregistered-dialect | FileCheck %s
// RUN: sfa-opt -allow-unregistered-dialect --emit-bytecode %s | sfa-opt -allow-unregistered-dialect | FileCheck %s

// CHECK-LABEL: @every_element_type(
// CHECK-SAME: tensor<1x16x4096x128xbf16, #sfa.codes<k = 8>>
// CHECK-SAME: tensor<1x16x4096x128xf16, #sfa.codes<k = 8>>
// CHECK-SAME: tensor<1x16x4096x128xf32, #sfa.codes<k = 8>>
func.func private @every_element_type(tensor<1x16x4096x128xbf16, #sfa.codes<k = 8>>,
                                      tensor<1x16x4096x128xf16, #sfa.codes<k = 8>>,
                                      tensor<1x16x4096x128xf32, #sfa.codes<k = 8>>)

// Batch, heads and tokens of the type may be dynamic; what an op needs is for the op to say.
// CHECK-LABEL: @dynamic(
// CHECK-SAME: tensor<?x?x?x64xf32, #sfa.codes<k = 4>>
func.func private @dynamic(tensor<?x?x?x64xf32, #sfa.codes<k = 4>>)

// CHECK-LABEL: @extremes(
// CHECK-SAME: tensor<0x1x0x1xf32, #sfa.codes<k = 1>>
// CHECK-SAME: tensor<1x1x1x65536xf32, #sfa.codes<k = 9223372036854775807>>
func.func private @extremes(tensor<0x1x0x1xf32, #sfa.codes<k = 1>>,
                            tensor<1x1x1x65536xf32, #sfa.codes<k = 9223372036854775807>>)

// CHECK-LABEL: @two_four(
// CHECK-SAME: tensor<1x1x?x128xbf16, #sfa.codes<k = 8, two_four>>
// CHECK-SAME: tensor<1x1x?x4xf32, #sfa.codes<k = 2, two_four>>
func.func private @two_four(tensor<1x1x?x128xbf16, #sfa.codes<k = 8, two_four>>,
                            tensor<1x1x?x4xf32, #sfa.codes<two_four, k = 2>>)

// CHECK: module attributes {my.codes = #sfa.codes<k = 3>}
module attributes {my.codes = #sfa.codes<k = 3>} {}

#alias = #sfa.codes<k = 2>
// CHECK-LABEL: @alias(
// CHECK-SAME: tensor<1x1x1x8xf32, #sfa.codes<k = 2>>
func.func private @alias(tensor<1x1x1x8xf32, #alias>)

// CHECK-LABEL: @eight_bits(
// CHECK-SAME: tensor<1x16x4096x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
// CHECK-SAME: tensor<1x16x4096x128xf32, #sfa.codes<k = 1040, values = i8, scales = token>>
// CHECK-SAME: tensor<?x16x?x128xf16, #sfa.codes<k = 8, two_four, values = i8, scales = head>>
func.func private @eight_bits(tensor<1x16x4096x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>,
                              tensor<1x16x4096x128xf32, #sfa.codes<scales = token, k = 1040, values = i8>>,
                              tensor<?x16x?x128xf16, #sfa.codes<k = 8, two_four, values = i8, scales = head>>)

// CHECK-LABEL: @eight_bit_rows(
// CHECK-SAME: tensor<1x16x?x40xbf16, #sfa.dense<values = i8, scales = tile>>
// CHECK-SAME: tensor<1x16x?x40xf32, #sfa.dense<values = i8, scales = token>>
// CHECK-SAME: tensor<1x16x?x40xf16, #sfa.dense<values = i8, scales = head>>
func.func private @eight_bit_rows(tensor<1x16x?x40xbf16, #sfa.dense<values = i8, scales = tile>>,
                                  tensor<1x16x?x40xf32, #sfa.dense<scales = token, values = i8>>,
                                  tensor<1x16x?x40xf16, #sfa.dense<values = i8, scales = head>>)
