// RUN: sfa-opt %s -allow-unregistered-dialect -split-input-file -verify-diagnostics

// expected-error @+1 {{unknown strategy 'magic', allowed are dense, gather, scatter, sparse_mma}}
"a.op"() {schedule = #sfa.schedule<strategy = magic>} : () -> ()

// -----

// expected-error @+1 {{unknown softmax 'eager', allowed are online, lazy}}
"a.op"() {schedule = #sfa.schedule<softmax = eager>} : () -> ()

// -----

// expected-error @+1 {{unknown parameter 'warps', allowed are strategy, softmax, q_tile, k_tile, stages, consumers}}
"a.op"() {schedule = #sfa.schedule<warps = 4>} : () -> ()

// -----

// expected-error @+1 {{parameter 'q_tile' is given twice}}
"a.op"() {schedule = #sfa.schedule<q_tile = 4, k_tile = 8, q_tile = 4>} : () -> ()

// -----

// expected-error @+1 {{'q_tile' is 0, allowed is 1 to 4096}}
"a.op"() {schedule = #sfa.schedule<q_tile = 0>} : () -> ()

// -----

// expected-error @+1 {{'q_tile' is 4097, allowed is 1 to 4096}}
"a.op"() {schedule = #sfa.schedule<q_tile = 4097>} : () -> ()

// -----

// expected-error @+1 {{'k_tile' is -128, allowed is 1 to 4096}}
"a.op"() {schedule = #sfa.schedule<k_tile = -128>} : () -> ()

// -----

// expected-error @+1 {{'stages' is 17, allowed is 1 to 16}}
"a.op"() {schedule = #sfa.schedule<stages = 17>} : () -> ()

// -----

// expected-error @+1 {{'consumers' is 9, allowed is 1 to 8}}
"a.op"() {schedule = #sfa.schedule<consumers = 9>} : () -> ()

// -----

// expected-error @+1 {{integer value too large}}
"a.op"() {schedule = #sfa.schedule<stages = 99999999999999999999>} : () -> ()

// -----

// expected-error @+1 {{expected integer value}}
"a.op"() {schedule = #sfa.schedule<q_tile = many>} : () -> ()

// -----

// expected-error @+1 {{expected valid keyword}}
"a.op"() {schedule = #sfa.schedule<strategy = 3>} : () -> ()

// -----

// expected-error @+1 {{expected '='}}
"a.op"() {schedule = #sfa.schedule<strategy>} : () -> ()

// -----

// expected-error @+1 {{expected '>'}}
"a.op"() {schedule = #sfa.schedule<strategy = dense softmax = lazy>} : () -> ()

// -----

// expected-error @+1 {{expected '<'}}
"a.op"() {schedule = #sfa.schedule} : () -> ()

// -----

// expected-error @+1 {{'lookahead' is 2, allowed is 0 or 1}}
"a.op"() {schedule = #sfa.schedule<lookahead = 2>} : () -> ()

// -----

// expected-error @+1 {{unknown value of turns 'chess', allowed are free, ping_pong}}
"a.op"() {schedule = #sfa.schedule<turns = chess>} : () -> ()

// -----

// expected-error @+1 {{unknown value of queries 'global', allowed are shared, registers}}
"a.op"() {schedule = #sfa.schedule<queries = global>} : () -> ()

// -----

// expected-error @+1 {{unknown grid 'blocks', allowed are tiles, persistent}}
"a.op"() {schedule = #sfa.schedule<grid = blocks>} : () -> ()

// -----

// expected-error @+1 {{'splits' is 0, allowed is 1 to 256}}
"a.op"() {schedule = #sfa.schedule<splits = 0>} : () -> ()

// -----

// expected-error @+1 {{'splits' is 257, allowed is 1 to 256}}
"a.op"() {schedule = #sfa.schedule<splits = 257>} : () -> ()

// -----

// expected-error @+1 {{'packed_heads' is 0, allowed is 1 to 256}}
"a.op"() {schedule = #sfa.schedule<packed_heads = 0>} : () -> ()

// -----

// expected-error @+1 {{'packed_heads' is 257, allowed is 1 to 256}}
"a.op"() {schedule = #sfa.schedule<packed_heads = 257>} : () -> ()
