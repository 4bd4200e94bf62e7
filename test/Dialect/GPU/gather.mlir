// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: sfa_gpu.kernel @gather(
sfa_gpu.kernel @gather(%values: memref<1x8x?x8xbf16>, %features: memref<1x8x?x8xi8>, %keys: memref<1x8x?x8192xbf16>) warps 8 consumers 0 to 8 {
  %room = sfa_gpu.ring : !sfa_gpu.ring<1 of 128x12xi32, linear>
  %ring = sfa_gpu.ring : !sfa_gpu.ring<2 of 128x64xbf16, feature_major>
  %zero = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %place = sfa_gpu.place %room[%zero : i32] : !sfa_gpu.ring<1 of 128x12xi32, linear>
  %k = sfa_gpu.place %ring[%zero : i32] : !sfa_gpu.ring<2 of 128x64xbf16, feature_major>
  // CHECK: sfa_gpu.copy_by_threads %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] to %{{.*}} : memref<1x8x?x8192xbf16>, !sfa_gpu.shared<128x64xbf16, feature_major>
  sfa_gpu.copy_by_threads %keys[%c0, %c0, %c0] to %k : memref<1x8x?x8192xbf16>, !sfa_gpu.shared<128x64xbf16, feature_major>
  // CHECK: %[[Q:.*]] = sfa_gpu.load_codes %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] heads 4 : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, registers>
  %q = sfa_gpu.load_codes %values, %features[%c0, %c0, %c0] heads 4
    : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, registers>
  // CHECK: sfa_gpu.load_codes %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] to %{{.*}} : !sfa_gpu.shared<128x12xi32, linear> : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, shared>
  %s = sfa_gpu.load_codes %values, %features[%c0, %c0, %c0] to %place : !sfa_gpu.shared<128x12xi32, linear>
    : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, shared>
  // CHECK: sfa_gpu.gather_dot %[[Q]], %{{.*}} : !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, registers>, !sfa_gpu.shared<128x64xbf16, feature_major> -> !sfa_tile.tile<128x128xf32>
  %scores = sfa_gpu.gather_dot %q, %k : !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, registers>, !sfa_gpu.shared<128x64xbf16, feature_major>
    -> !sfa_tile.tile<128x128xf32>
  sfa_gpu.return
}
