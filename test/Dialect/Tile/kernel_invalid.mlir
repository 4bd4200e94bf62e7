// RUN: sfa-opt %s -allow-unregistered-dialect -split-input-file -verify-diagnostics

// expected-error @+1 {{a grid has 3 coordinates (batch, head, row tile), given are 2}}
sfa_tile.kernel @f() grid(%b, %h) {}

// -----

// expected-error @+1 {{a grid has 3 coordinates (batch, head, row tile), given are 0}}
sfa_tile.kernel @f() grid() {}

// -----

// expected-error @+1 {{expected 'grid'}}
sfa_tile.kernel @f() {}

// -----

// expected-error @+1 {{expected ')'}}
sfa_tile.kernel @f() grid(%b: index, %h: index, %t: index) {}

// -----

// expected-error @+1 {{expected ':'}}
sfa_tile.kernel @f(%a) grid(%b, %h, %t) {}

// -----

// expected-error @+1 {{expected valid '@'-identifier for symbol name}}
sfa_tile.kernel f() grid(%b, %h, %t) {}

// -----

// expected-error @+1 {{'sfa_tile.kernel' op takes memories and then numbers of type f32, given is 'f64'}}
sfa_tile.kernel @f(%a: f64) grid(%b, %h, %t) {}

// -----

// expected-error @+1 {{'sfa_tile.kernel' op takes memories and then numbers of type f32, given is 'memref<1xi32>'}}
sfa_tile.kernel @f(%a: f32, %m: memref<1xi32>) grid(%b, %h, %t) {}

// -----

// expected-error @+1 {{'sfa_tile.kernel' op takes memories and then numbers of type f32, given is 'tensor<1x1x1x1xf32>'}}
sfa_tile.kernel @f(%a: tensor<1x1x1x1xf32>) grid(%b, %h, %t) {}

// -----

// expected-error @+1 {{'sfa_tile.kernel' op takes memories and then numbers of type f32, given is 'memref<*xf32>'}}
sfa_tile.kernel @f(%a: memref<*xf32>) grid(%b, %h, %t) {}

// -----

// expected-error @+1 {{needs the features of a row side by side, given is 'memref<1x1x?x8xf32, strided<[?, ?, ?, 2]>>'}}
sfa_tile.kernel @f(%a: memref<1x1x?x8xf32, strided<[?, ?, ?, 2]>>) grid(%b, %h, %t) {}

// -----

// expected-error @+1 {{unknown strategy 'best', allowed are dense, gather, scatter, sparse_mma}}
sfa_tile.kernel @f() grid(%b, %h, %t) schedule <strategy = best> {}

// -----

// expected-error @+1 {{region #0 ('body') failed to verify constraint: region with 1 blocks}}
"sfa_tile.kernel"() ({}) {sym_name = "f"} : () -> ()

// -----

// expected-error @+1 {{'sfa_tile.kernel' op requires one region}}
"sfa_tile.kernel"() {sym_name = "f"} : () -> ()

// -----

// expected-error @+1 {{'sfa_tile.kernel' op ends its arguments with three coordinates of type index}}
"sfa_tile.kernel"() ({
^bb0:
  "sfa_tile.return"() : () -> ()
}) {sym_name = "f"} : () -> ()

// -----

// expected-error @+1 {{'sfa_tile.kernel' op ends its arguments with three coordinates of type index}}
"sfa_tile.kernel"() ({
^bb0(%b: index, %h: index, %t: i32):
  "sfa_tile.return"() : () -> ()
}) {sym_name = "f"} : () -> ()

// -----

// expected-error @+1 {{requires attribute 'sym_name'}}
"sfa_tile.kernel"() ({
^bb0(%b: index, %h: index, %t: index):
  "sfa_tile.return"() : () -> ()
}) : () -> ()

// -----

// expected-error @+1 {{attribute 'schedule' failed to satisfy constraint: how a kernel computes an op}}
"sfa_tile.kernel"() ({
^bb0(%b: index, %h: index, %t: index):
  "sfa_tile.return"() : () -> ()
}) {sym_name = "f", schedule = 3} : () -> ()

// -----

// expected-note @+2 {{in custom textual format, the absence of terminator implies 'sfa_tile.return'}}
// expected-error @+1 {{'sfa_tile.kernel' op expects regions to end with 'sfa_tile.return'}}
"sfa_tile.kernel"() ({
^bb0(%b: index, %h: index, %t: index):
  "my.end"() : () -> ()
}) {sym_name = "f"} : () -> ()
