// RUN: not sfa-opt %s -sfa-to-cpu="vector-bits=100" 2>&1 | FileCheck %s

// CHECK: error: vector-bits is 100, allowed are 128, 256, 512, or 0 for this machine
