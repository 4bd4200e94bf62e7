// RUN: sfa-opt -allow-unregistered-dialect %s | sfa-opt -allow-unregistered-dialect | FileCheck %s
// RUN: sfa-opt -allow-unregistered-dialect --emit-bytecode %s | sfa-opt -allow-unregistered-dialect | FileCheck %s

// CHECK: "a.empty"() {schedule = #sfa.schedule<>}
"a.empty"() {schedule = #sfa.schedule<>} : () -> ()
// CHECK: "a.full"() {schedule = #sfa.schedule<strategy = gather, softmax = lazy, q_tile = 128, k_tile = 64, stages = 3, consumers = 2, lookahead = 1, turns = free, queries = registers, grid = persistent, splits = 4, packed_heads = 2>}
"a.full"() {schedule = #sfa.schedule<packed_heads = 2, splits = 4, grid = persistent, queries = registers, turns = free, lookahead = 1, consumers = 2, stages = 3, k_tile = 64, q_tile = 128, softmax = lazy, strategy = gather>} : () -> ()
// CHECK: "a.strategies"() {a = #sfa.schedule<strategy = dense>, b = #sfa.schedule<strategy = gather>, c = #sfa.schedule<strategy = scatter>, d = #sfa.schedule<strategy = sparse_mma>}
"a.strategies"() {a = #sfa.schedule<strategy = dense>, b = #sfa.schedule<strategy = gather>,
                  c = #sfa.schedule<strategy = scatter>, d = #sfa.schedule<strategy = sparse_mma>} : () -> ()
// CHECK: "a.softmax"() {a = #sfa.schedule<softmax = online>, b = #sfa.schedule<softmax = lazy>}
"a.softmax"() {a = #sfa.schedule<softmax = online>, b = #sfa.schedule<softmax = lazy>} : () -> ()
// CHECK: "a.extremes"() {a = #sfa.schedule<q_tile = 1, k_tile = 1, stages = 1, consumers = 1, splits = 1, packed_heads = 1>, b = #sfa.schedule<q_tile = 4096, k_tile = 4096, stages = 16, consumers = 8, splits = 256, packed_heads = 256>}
"a.extremes"() {a = #sfa.schedule<q_tile = 1, k_tile = 1, stages = 1, consumers = 1, splits = 1, packed_heads = 1>,
                b = #sfa.schedule<q_tile = 4096, k_tile = 4096, stages = 16, consumers = 8, splits = 256, packed_heads = 256>} : () -> ()
