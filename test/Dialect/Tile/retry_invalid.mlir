// RUN: sfa-opt %s -split-input-file -verify-diagnostics

!scores = !sfa_tile.tile<64x32xf32>
!acc = !sfa_tile.tile<64x128xf32>
!keys = !sfa_tile.tile<32x128xf32>
!memory = memref<1x1x?x128xf32>

sfa_tile.kernel @f(%q: !memory, %k: !memory, %o: !memory) grid(%b, %h, %t) {
  %query = sfa_tile.load %q[%b, %h, %t] : !memory -> !acc
  %zero = sfa_tile.fill 0.0 : !acc
  %acc = sfa_tile.key_loop %b to %t step 32 init(%zero) : !acc load {
  ^bb0(%j: index):
    %x = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
    %y = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
    sfa_tile.yield %x, %y : !keys, !keys
  } score {
  ^bb0(%x: !keys):
    %s = sfa_tile.dot %query, %x : !acc, !keys -> !scores
    sfa_tile.yield %s : !scores
  } mask {
  ^bb0(%j: index, %s: !scores):
    sfa_tile.yield %s : !scores
  } softmax {
  ^bb0(%s: !scores, %is_first: i1):
    sfa_tile.yield %s : !scores
  } accumulate {
  ^bb0(%a: !acc, %p: !scores, %y: !keys):
    %next = sfa_tile.accumulate %a, %p, %y : !acc, !scores, !keys
    sfa_tile.yield %next : !acc
  }
  %fails = sfa_tile.not_finite %acc : !acc
  // expected-error @+1 {{'sfa_tile.retry' op has to be the last operation of its kernel}}
  sfa_tile.retry when %fails {
    %again = sfa_tile.key_loop %b to %t step 32 init(%zero) : !acc load {
    ^bb0(%j: index):
      %x = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
      %y = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
      sfa_tile.yield %x, %y : !keys, !keys
    } score {
    ^bb0(%x: !keys):
      %s = sfa_tile.dot %query, %x : !acc, !keys -> !scores
      sfa_tile.yield %s : !scores
    } mask {
    ^bb0(%j: index, %s: !scores):
      sfa_tile.yield %s : !scores
    } softmax {
    ^bb0(%s: !scores, %is_first: i1):
      sfa_tile.yield %s : !scores
    } accumulate {
    ^bb0(%a: !acc, %p: !scores, %y: !keys):
      %next = sfa_tile.accumulate %a, %p, %y : !acc, !scores, !keys
      sfa_tile.yield %next : !acc
    }
    sfa_tile.store %again, %o[%b, %h, %t] : !acc, !memory
  }
  sfa_tile.store %acc, %o[%b, %h, %t] : !acc, !memory
}

// -----

!scores = !sfa_tile.tile<64x32xf32>
!acc = !sfa_tile.tile<64x128xf32>
!keys = !sfa_tile.tile<32x128xf32>
!memory = memref<1x1x?x128xf32>

sfa_tile.kernel @f(%q: !memory, %k: !memory, %o: !memory) grid(%b, %h, %t) {
  %query = sfa_tile.load %q[%b, %h, %t] : !memory -> !acc
  %zero = sfa_tile.fill 0.0 : !acc
  %fails = sfa_tile.not_finite %zero : !acc
  // expected-error @+1 {{'sfa_tile.retry' op has to be behind the key loop of its kernel}}
  sfa_tile.retry when %fails {
    %again = sfa_tile.key_loop %b to %t step 32 init(%zero) : !acc load {
    ^bb0(%j: index):
      %x = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
      %y = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
      sfa_tile.yield %x, %y : !keys, !keys
    } score {
    ^bb0(%x: !keys):
      %s = sfa_tile.dot %query, %x : !acc, !keys -> !scores
      sfa_tile.yield %s : !scores
    } mask {
    ^bb0(%j: index, %s: !scores):
      sfa_tile.yield %s : !scores
    } softmax {
    ^bb0(%s: !scores, %is_first: i1):
      sfa_tile.yield %s : !scores
    } accumulate {
    ^bb0(%a: !acc, %p: !scores, %y: !keys):
      %next = sfa_tile.accumulate %a, %p, %y : !acc, !scores, !keys
      sfa_tile.yield %next : !acc
    }
    sfa_tile.store %again, %o[%b, %h, %t] : !acc, !memory
  }
}

// -----

!scores = !sfa_tile.tile<64x32xf32>
!acc = !sfa_tile.tile<64x128xf32>
!keys = !sfa_tile.tile<32x128xf32>
!memory = memref<1x1x?x128xf32>

sfa_tile.kernel @f(%q: !memory, %k: !memory, %o: !memory) grid(%b, %h, %t) {
  %query = sfa_tile.load %q[%b, %h, %t] : !memory -> !acc
  %zero = sfa_tile.fill 0.0 : !acc
  %acc = sfa_tile.key_loop %b to %t step 32 init(%zero) : !acc load {
  ^bb0(%j: index):
    %x = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
    %y = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
    sfa_tile.yield %x, %y : !keys, !keys
  } score {
  ^bb0(%x: !keys):
    %s = sfa_tile.dot %query, %x : !acc, !keys -> !scores
    sfa_tile.yield %s : !scores
  } mask {
  ^bb0(%j: index, %s: !scores):
    sfa_tile.yield %s : !scores
  } softmax {
  ^bb0(%s: !scores, %is_first: i1):
    sfa_tile.yield %s : !scores
  } accumulate {
  ^bb0(%a: !acc, %p: !scores, %y: !keys):
    %next = sfa_tile.accumulate %a, %p, %y : !acc, !scores, !keys
    sfa_tile.yield %next : !acc
  }
  %fails = sfa_tile.not_finite %acc : !acc
  // expected-error @+1 {{'sfa_tile.retry' op has to have one key loop, which computes the point again}}
  sfa_tile.retry when %fails {
  }
}

// -----

!scores = !sfa_tile.tile<64x32xf32>
!acc = !sfa_tile.tile<64x128xf32>
!keys = !sfa_tile.tile<32x128xf32>
!memory = memref<1x1x?x128xf32>

sfa_tile.kernel @f(%q: !memory, %k: !memory, %o: !memory) grid(%b, %h, %t) {
  %query = sfa_tile.load %q[%b, %h, %t] : !memory -> !acc
  %zero = sfa_tile.fill 0.0 : !acc
  %acc = sfa_tile.key_loop %b to %t step 32 init(%zero) : !acc load {
  ^bb0(%j: index):
    %x = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
    %y = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
    sfa_tile.yield %x, %y : !keys, !keys
  } score {
  ^bb0(%x: !keys):
    %s = sfa_tile.dot %query, %x : !acc, !keys -> !scores
    sfa_tile.yield %s : !scores
  } mask {
  ^bb0(%j: index, %s: !scores):
    sfa_tile.yield %s : !scores
  } softmax {
  ^bb0(%s: !scores, %is_first: i1):
    sfa_tile.yield %s : !scores
  } accumulate {
  ^bb0(%a: !acc, %p: !scores, %y: !keys):
    %next = sfa_tile.accumulate %a, %p, %y : !acc, !scores, !keys
    sfa_tile.yield %next : !acc
  }
  %fails = sfa_tile.not_finite %acc : !acc
  sfa_tile.retry when %fails {
    %again = sfa_tile.key_loop %b to %t step 32 init(%zero) : !acc load {
    ^bb0(%j: index):
      %x = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
      %y = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
      sfa_tile.yield %x, %y : !keys, !keys
    } score {
    ^bb0(%x: !keys):
      %s = sfa_tile.dot %query, %x : !acc, !keys -> !scores
      sfa_tile.yield %s : !scores
    } mask {
    ^bb0(%j: index, %s: !scores):
      sfa_tile.yield %s : !scores
    } softmax {
    ^bb0(%s: !scores, %is_first: i1):
      sfa_tile.yield %s : !scores
    } accumulate {
    ^bb0(%a: !acc, %p: !scores, %y: !keys):
      %next = sfa_tile.accumulate %a, %p, %y : !acc, !scores, !keys
      sfa_tile.yield %next : !acc
    }
    // expected-error @+1 {{'sfa_tile.store' op reads a value of sfa_tile.key_loop, which is not there when the point is computed again; values from before the key loop are}}
    sfa_tile.store %acc, %o[%b, %h, %t] : !acc, !memory
  }
}

// -----

!scores = !sfa_tile.tile<64x32xf32>
!acc = !sfa_tile.tile<64x128xf32>
!keys = !sfa_tile.tile<32x128xf32>
!memory = memref<1x1x?x128xf32>

func.func @f(%q: !memory, %k: !memory, %o: !memory, %b: index, %h: index, %t: index, %fails: i1) {
  %query = sfa_tile.load %q[%b, %h, %t] : !memory -> !acc
  %zero = sfa_tile.fill 0.0 : !acc
  // expected-error @+1 {{'sfa_tile.retry' op expects parent op 'sfa_tile.kernel'}}
  sfa_tile.retry when %fails {
    %again = sfa_tile.key_loop %b to %t step 32 init(%zero) : !acc load {
    ^bb0(%j: index):
      %x = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
      %y = sfa_tile.load %k[%b, %h, %j] : !memory -> !keys
      sfa_tile.yield %x, %y : !keys, !keys
    } score {
    ^bb0(%x: !keys):
      %s = sfa_tile.dot %query, %x : !acc, !keys -> !scores
      sfa_tile.yield %s : !scores
    } mask {
    ^bb0(%j: index, %s: !scores):
      sfa_tile.yield %s : !scores
    } softmax {
    ^bb0(%s: !scores, %is_first: i1):
      sfa_tile.yield %s : !scores
    } accumulate {
    ^bb0(%a: !acc, %p: !scores, %y: !keys):
      %next = sfa_tile.accumulate %a, %p, %y : !acc, !scores, !keys
      sfa_tile.yield %next : !acc
    }
    sfa_tile.store %again, %o[%b, %h, %t] : !acc, !memory
  }
  return
}
