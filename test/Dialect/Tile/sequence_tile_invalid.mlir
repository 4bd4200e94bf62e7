// RUN: sfa-opt %s -split-input-file -verify-diagnostics

func.func @rows(%m: memref<?xi32>, %i: index) {
  // expected-error @+1 {{'sfa_tile.sequence_tile' op has tiles of 0 rows, allowed is 1 or more}}
  %r:5 = sfa_tile.sequence_tile %m, %m[%i] by 0 of [%i, %i] : memref<?xi32>, memref<?xi32>
  return
}

// -----

func.func @negative_rows(%m: memref<?xi32>, %i: index) {
  // expected-error @+1 {{'sfa_tile.sequence_tile' op has tiles of -8 rows, allowed is 1 or more}}
  %r:5 = sfa_tile.sequence_tile %m, %m[%i] by -8 of [%i, %i] : memref<?xi32>, memref<?xi32>
  return
}

// -----

func.func @i64(%m: memref<?xi64>, %i: index) {
  // expected-error @+1 {{operand #0 must be 1D memref of 32-bit signless integer values, but got 'memref<?xi64>'}}
  %r:5 = sfa_tile.sequence_tile %m, %m[%i] by 8 of [%i, %i] : memref<?xi64>, memref<?xi64>
  return
}
