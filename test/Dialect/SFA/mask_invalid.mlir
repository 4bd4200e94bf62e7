// RUN: sfa-opt %s -allow-unregistered-dialect -split-input-file -verify-diagnostics

// expected-error @+1 {{unknown mask 'diagonal', allowed are none, causal, window}}
"a.op"() {mask = #sfa.mask<diagonal>} : () -> ()

// -----

// expected-error @+1 {{expected '<'}}
"a.op"() {mask = #sfa.mask} : () -> ()

// -----

// expected-error @+1 {{expected valid keyword}}
"a.op"() {mask = #sfa.mask<>} : () -> ()

// -----

// expected-error @+1 {{expected '>'}}
"a.op"() {mask = #sfa.mask<causal left = 3>} : () -> ()

// -----

// expected-error @+1 {{only a window mask has 'left' and 'right', given is a causal mask}}
"a.op"() {mask = #sfa.mask<causal, left = 3>} : () -> ()

// -----

// expected-error @+1 {{only a window mask has 'left' and 'right', given is a none mask}}
"a.op"() {mask = #sfa.mask<none, right = 3>} : () -> ()

// -----

// expected-error @+1 {{a window bound is 0 to 2^40 keys, given is -1; leave it out for an unbounded side}}
"a.op"() {mask = #sfa.mask<window, left = -1>} : () -> ()

// -----

// expected-error @+1 {{a window bound is 0 to 2^40 keys, given is 1099511627777; leave it out for an unbounded side}}
"a.op"() {mask = #sfa.mask<window, left = 1, right = 1099511627777>} : () -> ()

// -----

// expected-error @+1 {{integer value too large}}
"a.op"() {mask = #sfa.mask<window, left = 99999999999999999999>} : () -> ()

// -----

// expected-error @+1 {{parameter 'left' is given twice}}
"a.op"() {mask = #sfa.mask<window, left = 1, left = 2>} : () -> ()

// -----

// expected-error @+1 {{unknown parameter 'top', allowed are left, right}}
"a.op"() {mask = #sfa.mask<window, top = 1>} : () -> ()

// -----

// expected-error @+1 {{expected '='}}
"a.op"() {mask = #sfa.mask<window, left>} : () -> ()

// -----

// expected-error @+1 {{expected valid keyword}}
"a.op"() {mask = #sfa.mask<window, >} : () -> ()
