// RUN: sfa-opt %s -allow-unregistered-dialect -split-input-file -verify-diagnostics

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{'sfa_tile.key_loop' op has a step of 0 keys, allowed is 1 or more}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 0 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{'sfa_tile.key_loop' op has a step of -32 keys, allowed is 1 or more}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step -32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{stage 'load' yields '!sfa_tile.tile<32x128xf32>' as its value tile, which has to have 64 rows, one a key}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 64 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+2 {{carries an f32 matrix first, the accumulator}}
  %a16 = sfa_tile.fill 0.0 : !sfa_tile.tile<64x128xf16>
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a16, %r, %r)
      : !sfa_tile.tile<64x128xf16>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{stage 'load' yields key tiles and then the value tile}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %v : !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{stage 'load' yields 'index' as its value tile, which has to have 32 rows, one a key}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %j : !sfa_tile.tile<32x16xf32>, index
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{stage 'load' takes (), expected are ('index')}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{stage 'score' takes ('!sfa_tile.tile<32x17xf32>'), expected are ('!sfa_tile.tile<32x16xf32>')}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x17xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{stage 'score' yields ('!sfa_tile.tile<32x16xf32>'), expected are ('!sfa_tile.tile<64x32xf32>')}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %key : !sfa_tile.tile<32x16xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{stage 'mask' yields (), expected are ('!sfa_tile.tile<64x32xf32>')}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{stage 'softmax' takes ('!sfa_tile.tile<64x32xf32>'), expected are ('!sfa_tile.tile<64x32xf32>', '!sfa_tile.tile<64xf32>', '!sfa_tile.tile<64xf32>', 'i1')}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{stage 'accumulate' yields ('!sfa_tile.tile<64x32xf32>'), expected are ('!sfa_tile.tile<64x128xf32>', '!sfa_tile.tile<64xf32>', '!sfa_tile.tile<64xf32>')}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %p : !sfa_tile.tile<64x32xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{ends each stage with sfa_tile.yield, given is my.end}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    "my.end"(%scores) : (!sfa_tile.tile<64x32xf32>) -> ()
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{region #2 ('mask') failed to verify constraint: region with 1 blocks}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{expects region #0 to have 0 or 1 blocks}}
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    cf.br ^bb1
  ^bb1:
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %flag: i1, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  %acc, %m, %l = sfa_tile.key_loop %i to %i step 32 init(%a, %r, %r)
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  load {
  ^bb0(%j: index):
    // expected-error @+1 {{block with no terminator}}
    %c = arith.constant 1 : index
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64xf32>, %sum: !sfa_tile.tile<64xf32>,
       %is_first: i1):
    sfa_tile.yield %scores, %max, %sum, %sum, %flag
      : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>,
       %m1: !sfa_tile.tile<64xf32>, %l1: !sfa_tile.tile<64xf32>, %factors: !sfa_tile.tile<64xf32>, %raised: i1):
    sfa_tile.yield %o, %m1, %l1 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  }
  return
}

// -----

func.func @f(%i: index, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<32xf32>, %x: i1, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{carries row vectors of the accumulator's 64 rows and i1 beside it, given is '!sfa_tile.tile<32xf32>'}}
  %acc, %state = sfa_tile.key_loop %i to %i step 32 init(%a, %r) : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<32xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<32xf32>, %is_first: i1):
    sfa_tile.yield %scores, %max, %x : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<32xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>, %m: !sfa_tile.tile<32xf32>, %extra: i1):
    sfa_tile.yield %o, %m : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<32xf32>
  }
  return
}

// -----

func.func @f(%i: index, %a: !sfa_tile.tile<64x128xf32>, %r: !sfa_tile.tile<64x128xf32>, %x: i1, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{carries row vectors of the accumulator's 64 rows and i1 beside it, given is '!sfa_tile.tile<64x128xf32>'}}
  %acc, %state = sfa_tile.key_loop %i to %i step 32 init(%a, %r) : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64x128xf32>
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: !sfa_tile.tile<64x128xf32>, %is_first: i1):
    sfa_tile.yield %scores, %max, %x : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64x128xf32>, i1
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>, %m: !sfa_tile.tile<64x128xf32>, %extra: i1):
    sfa_tile.yield %o, %m : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64x128xf32>
  }
  return
}

// -----

func.func @f(%i: index, %a: !sfa_tile.tile<64x128xf32>, %r: i1, %x: !sfa_tile.tile<32xf32>, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{stage 'softmax' passes row vectors of 64 rows and i1 to the stage 'accumulate', given is '!sfa_tile.tile<32xf32>'}}
  %acc, %state = sfa_tile.key_loop %i to %i step 32 init(%a, %r) : !sfa_tile.tile<64x128xf32>, i1
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: i1, %is_first: i1):
    sfa_tile.yield %scores, %max, %x : !sfa_tile.tile<64x32xf32>, i1, !sfa_tile.tile<32xf32>
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>, %m: i1, %extra: !sfa_tile.tile<32xf32>):
    sfa_tile.yield %o, %m : !sfa_tile.tile<64x128xf32>, i1
  }
  return
}

// -----

func.func @f(%i: index, %a: !sfa_tile.tile<64x128xf32>, %r: i1, %x: index, %k: !sfa_tile.tile<32x16xf32>,
             %v: !sfa_tile.tile<32x128xf32>, %s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{stage 'softmax' passes row vectors of 64 rows and i1 to the stage 'accumulate', given is 'index'}}
  %acc, %state = sfa_tile.key_loop %i to %i step 32 init(%a, %r) : !sfa_tile.tile<64x128xf32>, i1
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %v : !sfa_tile.tile<32x16xf32>, !sfa_tile.tile<32x128xf32>
  }
  score {
  ^bb0(%key: !sfa_tile.tile<32x16xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<64x32xf32>
  }
  mask {
  ^bb0(%j: index, %scores: !sfa_tile.tile<64x32xf32>):
    sfa_tile.yield %scores : !sfa_tile.tile<64x32xf32>
  }
  softmax {
  ^bb0(%scores: !sfa_tile.tile<64x32xf32>, %max: i1, %is_first: i1):
    sfa_tile.yield %scores, %max, %x : !sfa_tile.tile<64x32xf32>, i1, index
  }
  accumulate {
  ^bb0(%o: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %value: !sfa_tile.tile<32x128xf32>, %m: i1, %extra: index):
    sfa_tile.yield %o, %m : !sfa_tile.tile<64x128xf32>, i1
  }
  return
}

// -----

!weights = !sfa_tile.tile<64x32xf32>
!scaled = !sfa_tile.tile<64x32xf32, scaled>
!acc = !sfa_tile.tile<64x128xf32>
!rows = !sfa_tile.tile<64xf32>
!keys = !sfa_tile.tile<32x16xi8>
!scales = !sfa_tile.tile<32xf32>
!values = !sfa_tile.tile<32x128xf32>
func.func @factors(%i: index, %a: !acc, %r: !rows, %k: !keys, %f: !scales, %v: !values, %s: !scaled, %m: !weights, %w: !weights) {
  // expected-error @+1 {{stage 'mask' yields ('!sfa_tile.tile<64x32xf32>'), expected are ('!sfa_tile.tile<64x32xf32, scaled>')}}
  %acc, %max = sfa_tile.key_loop %i to %i step 32 init(%a, %r) : !acc, !rows
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %f, %v : !keys, !scales, !values
  }
  score {
  ^bb0(%key: !keys, %factors: !scales):
    sfa_tile.yield %s : !scaled
  }
  mask {
  ^bb0(%j: index, %scores: !scaled):
    sfa_tile.yield %m : !weights
  }
  softmax {
  ^bb0(%scores: !scaled, %max0: !rows, %is_first: i1):
    sfa_tile.yield %w, %max0 : !weights, !rows
  }
  accumulate {
  ^bb0(%o: !acc, %p: !weights, %value: !values, %max1: !rows):
    sfa_tile.yield %o, %max1 : !acc, !rows
  }
  return
}

// -----

!weights = !sfa_tile.tile<64x32xf32>
!scaled = !sfa_tile.tile<64x32xf32, scaled>
!acc = !sfa_tile.tile<64x128xf32>
!rows = !sfa_tile.tile<64xf32>
!keys = !sfa_tile.tile<32x16xi8>
!scales = !sfa_tile.tile<32xf32>
!values = !sfa_tile.tile<32x128xf32>
func.func @factors(%i: index, %a: !acc, %r: !rows, %k: !keys, %f: !scales, %v: !values, %s: !scaled, %m: !scaled, %w: !scaled) {
  // expected-error @+1 {{stage 'softmax' yields ('!sfa_tile.tile<64x32xf32, scaled>', '!sfa_tile.tile<64xf32>'), expected are ('!sfa_tile.tile<64x32xf32>', '!sfa_tile.tile<64xf32>')}}
  %acc, %max = sfa_tile.key_loop %i to %i step 32 init(%a, %r) : !acc, !rows
  load {
  ^bb0(%j: index):
    sfa_tile.yield %k, %f, %v : !keys, !scales, !values
  }
  score {
  ^bb0(%key: !keys, %factors: !scales):
    sfa_tile.yield %s : !scaled
  }
  mask {
  ^bb0(%j: index, %scores: !scaled):
    sfa_tile.yield %m : !scaled
  }
  softmax {
  ^bb0(%scores: !scaled, %max0: !rows, %is_first: i1):
    sfa_tile.yield %w, %max0 : !scaled, !rows
  }
  accumulate {
  ^bb0(%o: !acc, %p: !scaled, %value: !values, %max1: !rows):
    sfa_tile.yield %o, %max1 : !acc, !rows
  }
  return
}
