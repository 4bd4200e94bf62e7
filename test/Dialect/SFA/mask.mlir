// RUN: sfa-opt -allow-unregistered-dialect %s | sfa-opt -allow-unregistered-dialect | FileCheck %s
// RUN: sfa-opt -allow-unregistered-dialect --emit-bytecode %s | sfa-opt -allow-unregistered-dialect | FileCheck %s

// CHECK: "a.none"() {mask = #sfa.mask<none>}
"a.none"() {mask = #sfa.mask<none>} : () -> ()
// CHECK: "a.causal"() {mask = #sfa.mask<causal>}
"a.causal"() {mask = #sfa.mask<causal>} : () -> ()
// CHECK: "a.unbounded"() {mask = #sfa.mask<window>}
"a.unbounded"() {mask = #sfa.mask<window>} : () -> ()
// CHECK: "a.left"() {mask = #sfa.mask<window, left = 128>}
"a.left"() {mask = #sfa.mask<window, left = 128>} : () -> ()
// CHECK: "a.right"() {mask = #sfa.mask<window, right = 0>}
"a.right"() {mask = #sfa.mask<window, right = 0>} : () -> ()
// CHECK: "a.both"() {mask = #sfa.mask<window, left = 1, right = 2>}
"a.both"() {mask = #sfa.mask<window, right = 2, left = 1>} : () -> ()
// CHECK: "a.largest"() {mask = #sfa.mask<window, left = 1099511627776>}
"a.largest"() {mask = #sfa.mask<window, left = 0x10000000000>} : () -> ()
