// RUN: not sfa-opt %s 2>&1 | FileCheck %s

// A tensor of codes without an element type.

// CHECK: error: expected non-function type
func.func private @f(tensor<1x1x?x1x, #sfa.codes<k = 2>>)
