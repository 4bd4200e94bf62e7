// RUN: sfa-opt --sfa-assign-schedule=chip=sm_90a %s | FileCheck %s
// RUN: sfa-opt --sfa-assign-schedule=chip=sm_80 %s | FileCheck %s --check-prefix=WARPS

// Sparse products are chosen for queries that are codes of 256 features, on warpgroups.

!q128 = tensor<1x8x?x128xbf16, #sfa.codes<k = 8>>
!q256 = tensor<1x8x?x256xbf16, #sfa.codes<k = 8>>
!x128 = tensor<1x8x?x128xbf16>
!x256 = tensor<1x8x?x256xbf16>

// CHECK-LABEL: @codes_of_256(
// CHECK: schedule <strategy = sparse_mma,
// WARPS-LABEL: @codes_of_256(
// WARPS: schedule <strategy = dense,
func.func @codes_of_256(%q: !q256, %k: !q256, %v: !x256) -> !x256 {
  %o = sfa.attention %q, %k, %v : !q256, !q256, !x256 -> !x256
  return %o : !x256
}

// CHECK-LABEL: @codes_of_128(
// CHECK: schedule <strategy = dense,
func.func @codes_of_128(%q: !q128, %k: !q128, %v: !x128) -> !x128 {
  %o = sfa.attention %q, %k, %v : !q128, !q128, !x128 -> !x128
  return %o : !x128
}

// Keys alone make no sparse product.

// CHECK-LABEL: @codes_of_keys(
// CHECK: schedule <strategy = dense,
func.func @codes_of_keys(%q: !x256, %k: !q256, %v: !x256) -> !x256 {
  %o = sfa.attention %q, %k, %v : !x256, !q256, !x256 -> !x256
  return %o : !x256
}

// Nobody gathers who has not been told to. Then tiles have multiples of 64 keys, and few codes are in registers.

!few = tensor<1x8x?x128xbf16, #sfa.codes<k = 2>>

// CHECK-LABEL: @few_codes(
// CHECK: schedule <strategy = dense,
func.func @few_codes(%q: !few, %k: !few, %v: !x128) -> !x128 {
  %o = sfa.attention %q, %k, %v : !few, !few, !x128 -> !x128
  return %o : !x128
}

// CHECK-LABEL: @gather_128(
// CHECK: schedule <strategy = gather, softmax = lazy, q_tile = 128, k_tile = 128, {{.*}} queries = registers
func.func @gather_128(%q: !q128, %k: !q128, %v: !x128) -> !x128 {
  %o = sfa.attention %q, %k, %v schedule <strategy = gather> : !q128, !q128, !x128 -> !x128
  return %o : !x128
}

// CHECK-LABEL: @gather_256(
// CHECK: schedule <strategy = gather, {{.*}}, q_tile = 128, k_tile = 64, {{.*}} queries = shared
func.func @gather_256(%q: !q256, %k: !q256, %v: !x256) -> !x256 {
  %o = sfa.attention %q, %k, %v schedule <strategy = gather> : !q256, !q256, !x256 -> !x256
  return %o : !x256
}

// Nor does anybody walk lists. Codes are in shared memory then, and tiles of keys leave room for their scores.

// CHECK-LABEL: @scatter_128(
// CHECK: schedule <strategy = scatter, softmax = lazy, q_tile = 128, k_tile = 128, {{.*}} queries = shared
// WARPS-LABEL: @scatter_128(
// WARPS: schedule <strategy = scatter, softmax = lazy, q_tile = 128, k_tile = 48,
func.func @scatter_128(%q: !q128, %k: !q128, %v: !x128) -> !x128 {
  %o = sfa.attention %q, %k, %v schedule <strategy = scatter> : !q128, !q128, !x128 -> !x128
  return %o : !x128
}

!many = tensor<1x8x?x256xbf16, #sfa.codes<k = 200>>

// CHECK-LABEL: @scatter_200(
// CHECK: schedule <strategy = scatter, {{.*}} queries = shared
func.func @scatter_200(%q: !many, %k: !many, %v: !x256) -> !x256 {
  %o = sfa.attention %q, %k, %v schedule <strategy = scatter> : !many, !many, !x256 -> !x256
  return %o : !x256
}
