// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: @static(
// CHECK: sfa.sparsify %{{.*}} : tensor<2x16x17x128xbf16> -> tensor<2x16x17x128xbf16, #sfa.codes<k = 8>>
func.func @static(%x: tensor<2x16x17x128xbf16>) -> tensor<2x16x17x128xbf16, #sfa.codes<k = 8>> {
  %codes = sfa.sparsify %x : tensor<2x16x17x128xbf16> -> tensor<2x16x17x128xbf16, #sfa.codes<k = 8>>
  return %codes : tensor<2x16x17x128xbf16, #sfa.codes<k = 8>>
}

// CHECK-LABEL: @dynamic(
// CHECK: sfa.sparsify %{{.*}} {note = 1 : i64} : tensor<?x16x?x128xf16> -> tensor<?x16x?x128xf16, #sfa.codes<k = 8>>
func.func @dynamic(%x: tensor<?x16x?x128xf16>) -> tensor<?x16x?x128xf16, #sfa.codes<k = 8>> {
  %codes = sfa.sparsify %x {note = 1 : i64} : tensor<?x16x?x128xf16> -> tensor<?x16x?x128xf16, #sfa.codes<k = 8>>
  return %codes : tensor<?x16x?x128xf16, #sfa.codes<k = 8>>
}

// A dynamic size is compatible with a static one, in either direction; k may exceed the features.
// CHECK-LABEL: @mixed(
// CHECK: sfa.sparsify %{{.*}} : tensor<?x1x5x3xf32> -> tensor<1x1x?x3xf32, #sfa.codes<k = 1000>>
func.func @mixed(%x: tensor<?x1x5x3xf32>) -> tensor<1x1x?x3xf32, #sfa.codes<k = 1000>> {
  %codes = sfa.sparsify %x : tensor<?x1x5x3xf32> -> tensor<1x1x?x3xf32, #sfa.codes<k = 1000>>
  return %codes : tensor<1x1x?x3xf32, #sfa.codes<k = 1000>>
}

// CHECK-LABEL: @with_dense_rows(
// CHECK: %{{.*}}, %{{.*}} = sfa.sparsify %{{.*}} : tensor<1x16x?x128xbf16> -> tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x16x?x128xbf16>
func.func @with_dense_rows(%x: tensor<1x16x?x128xbf16>) -> (tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x16x?x128xbf16>) {
  %codes, %dense = sfa.sparsify %x : tensor<1x16x?x128xbf16> -> tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x16x?x128xbf16>
  return %codes, %dense : tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x16x?x128xbf16>
}

// CHECK-LABEL: @eight_bits(
// CHECK: sfa.sparsify %{{.*}} : tensor<1x16x?x128xbf16> -> tensor<1x16x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>{{$}}
// CHECK: %{{.*}}, %{{.*}} = sfa.sparsify %{{.*}} : tensor<1x16x?x128xbf16> -> tensor<1x16x?x128xbf16, #sfa.codes<k = 8, two_four, values = i8, scales = token>>, tensor<1x16x?x128xbf16, #sfa.dense<values = i8, scales = token>>
func.func @eight_bits(%x: tensor<1x16x?x128xbf16>)
    -> (tensor<1x16x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>, tensor<1x16x?x128xbf16, #sfa.dense<values = i8, scales = token>>) {
  %codes = sfa.sparsify %x : tensor<1x16x?x128xbf16> -> tensor<1x16x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
  %unused, %rows = sfa.sparsify %x : tensor<1x16x?x128xbf16>
    -> tensor<1x16x?x128xbf16, #sfa.codes<k = 8, two_four, values = i8, scales = token>>, tensor<1x16x?x128xbf16, #sfa.dense<values = i8, scales = token>>
  return %codes, %rows : tensor<1x16x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>, tensor<1x16x?x128xbf16, #sfa.dense<values = i8, scales = token>>
}
