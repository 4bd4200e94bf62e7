// RUN: sfa-opt %s -split-input-file -verify-diagnostics

func.func @f(%a: !sfa_tile.tile<64xf32>, %b: !sfa_tile.tile<32xf32>) {
  // expected-error @+1 {{'sfa_tile.add' op requires the same type for all operands and results}}
  %0 = "sfa_tile.add"(%a, %b) : (!sfa_tile.tile<64xf32>, !sfa_tile.tile<32xf32>) -> !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%b: !sfa_tile.tile<64xf32>, %c: !sfa_tile.tile<32xf32>) {
  // expected-error @+1 {{'sfa_tile.fma' op failed to verify that 'b' has the type of 'result', not in parts}}
  %0 = "sfa_tile.fma"(%b, %c, %b) : (!sfa_tile.tile<64xf32>, !sfa_tile.tile<32xf32>, !sfa_tile.tile<64xf32>) -> !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32, partial>, %b: !sfa_tile.tile<64xf32>) {
  // expected-error @+1 {{'sfa_tile.fma' op failed to verify that all of {a, c, result} have same type}}
  %0 = "sfa_tile.fma"(%a, %b, %b) : (!sfa_tile.tile<64xf32, partial>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>) -> !sfa_tile.tile<64xf32, partial>
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32, partial>) {
  // expected-error @+1 {{'sfa_tile.mul' op operand #1 must be tile of one number a row, but got '!sfa_tile.tile<64xf32, partial>'}}
  %0 = "sfa_tile.mul"(%a, %a) : (!sfa_tile.tile<64xf32, partial>, !sfa_tile.tile<64xf32, partial>) -> !sfa_tile.tile<64xf32, partial>
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32>) {
  // expected-error @+1 {{'sfa_tile.total' op operand #0 must be tile of one number a row, in parts, but got '!sfa_tile.tile<64xf32>'}}
  %0 = sfa_tile.total %a : !sfa_tile.tile<64xf32> -> !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32, partial>) {
  // expected-error @+1 {{'sfa_tile.total' op failed to verify that 'result' has the type of 'parts', not in parts}}
  %0 = sfa_tile.total %a : !sfa_tile.tile<64xf32, partial> -> !sfa_tile.tile<32xf32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'sfa_tile.fill' op fills a tile in parts with 1.000000e+00, allowed is 0 only}}
  %0 = sfa_tile.fill 1.0 : !sfa_tile.tile<64xf32, partial>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'sfa_tile.fill' op gives numbers, given is a tile of flags; form them in sfa_tile.map_rows}}
  %0 = sfa_tile.fill 1.0 : !sfa_tile.tile<64xi1>
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32>) {
  // expected-error @+1 {{'sfa_tile.any' op operand #0 must be tile of one flag a row or 1-bit signless integer, but got '!sfa_tile.tile<64xf32>'}}
  %0 = sfa_tile.any %a : !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32, partial>) {
  // expected-error @+1 {{'sfa_tile.map_rows' op operand #0 must be variadic of tile of one number or flag a row, but got '!sfa_tile.tile<64xf32, partial>'}}
  %0 = sfa_tile.map_rows(%a) : (!sfa_tile.tile<64xf32, partial>) -> !sfa_tile.tile<64xf32> {
  ^bb0(%x: f32):
    sfa_tile.yield %x : f32
  }
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32>) {
  // expected-error @+1 {{maps tiles of the same number of rows, given are '!sfa_tile.tile<64xf32>' and '!sfa_tile.tile<32xf32>'}}
  %0 = sfa_tile.map_rows(%a) : (!sfa_tile.tile<64xf32>) -> !sfa_tile.tile<32xf32> {
  ^bb0(%x: f32):
    sfa_tile.yield %x : f32
  }
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf16>) {
  // expected-error @+1 {{maps tiles of f32 or i1, given is '!sfa_tile.tile<64xf16>'}}
  %0 = sfa_tile.map_rows(%a) : (!sfa_tile.tile<64xf16>) -> !sfa_tile.tile<64xf16> {
  ^bb0(%x: f16):
    sfa_tile.yield %x : f16
  }
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32>) {
  // expected-error @+1 {{its region takes ('i1'), expected are ('f32'), the elements of a row}}
  %0 = sfa_tile.map_rows(%a) : (!sfa_tile.tile<64xf32>) -> !sfa_tile.tile<64xi1> {
  ^bb0(%x: i1):
    sfa_tile.yield %x : i1
  }
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32>) {
  // expected-error @+1 {{its region yields ('f32'), expected are ('i1'), the elements of a row}}
  %0 = sfa_tile.map_rows(%a) : (!sfa_tile.tile<64xf32>) -> !sfa_tile.tile<64xi1> {
  ^bb0(%x: f32):
    sfa_tile.yield %x : f32
  }
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32>) {
  %0 = sfa_tile.map_rows(%a) : (!sfa_tile.tile<64xf32>) -> !sfa_tile.tile<64xf32> {
  ^bb0(%x: f32):
    // expected-error @+1 {{'math.sin' op is not supported in sfa_tile.map_rows; allowed are arith, math.exp2, math.log2 and math.fma on f32, i32 and i1}}
    %y = math.sin %x : f32
    sfa_tile.yield %y : f32
  }
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32>) {
  %0 = sfa_tile.map_rows(%a) : (!sfa_tile.tile<64xf32>) -> !sfa_tile.tile<64xf32> {
  ^bb0(%x: f32):
    // expected-error @+1 {{'arith.extf' op is not supported in sfa_tile.map_rows; allowed are arith, math.exp2, math.log2 and math.fma on f32, i32 and i1}}
    %y = arith.extf %x : f32 to f64
    %z = arith.truncf %y : f64 to f32
    sfa_tile.yield %z : f32
  }
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32>, %m: memref<1x1x64xf32>, %i: index) {
  %0 = sfa_tile.map_rows(%a) : (!sfa_tile.tile<64xf32>) -> !sfa_tile.tile<64xf32> {
  ^bb0(%x: f32):
    // expected-error @+1 {{'sfa_tile.store' op is not supported in sfa_tile.map_rows}}
    sfa_tile.store %a, %m[%i, %i, %i] : !sfa_tile.tile<64xf32>, memref<1x1x64xf32>
    sfa_tile.yield %x : f32
  }
  return
}
