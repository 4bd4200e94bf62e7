// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: sfa_gpu.kernel @scatter(
sfa_gpu.kernel @scatter(%values: memref<1x8x?x8xbf16>, %features: memref<1x8x?x8xi8>, %keys: memref<1x8x?x4384xi8>) warps 8 consumers 0 to 8 {
  %room = sfa_gpu.ring : !sfa_gpu.ring<1 of 128x12xi32, linear>
  %scores = sfa_gpu.ring : !sfa_gpu.ring<1 of 512x32xf32, linear>
  %ring = sfa_gpu.ring : !sfa_gpu.ring<2 of 128x64x8xbf16, postings>
  %zero = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %place = sfa_gpu.place %room[%zero : i32] : !sfa_gpu.ring<1 of 128x12xi32, linear>
  %k = sfa_gpu.place %ring[%zero : i32] : !sfa_gpu.ring<2 of 128x64x8xbf16, postings>
  %s = sfa_gpu.place %scores[%zero : i32] : !sfa_gpu.ring<1 of 512x32xf32, linear>
  // CHECK: sfa_gpu.copy_by_threads %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] to %{{.*}} : memref<1x8x?x4384xi8>, !sfa_gpu.shared<128x64x8xbf16, postings>
  sfa_gpu.copy_by_threads %keys[%c0, %c0, %c0] to %k : memref<1x8x?x4384xi8>, !sfa_gpu.shared<128x64x8xbf16, postings>
  // CHECK: %[[Q:.*]] = sfa_gpu.load_codes
  %q = sfa_gpu.load_codes %values, %features[%c0, %c0, %c0] to %place : !sfa_gpu.shared<128x12xi32, linear>
    : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_gpu.codes<128x64xbf16, k = 8, step = 2, shared>
  // CHECK: sfa_gpu.scatter_dot %[[Q]], %{{.*}}, %{{.*}} : !sfa_gpu.codes<128x64xbf16, k = 8, step = 2, shared>, !sfa_gpu.shared<128x64x8xbf16, postings>, !sfa_gpu.shared<512x32xf32, linear> -> !sfa_tile.tile<128x128xf32>
  %dots = sfa_gpu.scatter_dot %q, %k, %s : !sfa_gpu.codes<128x64xbf16, k = 8, step = 2, shared>,
    !sfa_gpu.shared<128x64x8xbf16, postings>, !sfa_gpu.shared<512x32xf32, linear> -> !sfa_tile.tile<128x128xf32>
  sfa_gpu.return
}
