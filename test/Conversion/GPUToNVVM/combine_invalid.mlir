// RUN: sfa-opt %s -convert-sfa-gpu-to-nvvm="chip=sm_80" -split-input-file -verify-diagnostics

sfa_tile.kernel @columns(%outputs: memref<?x24x?x36xf32>, %sums: memref<?x24x?xf32>) grid(%b, %h, %t) {
  // expected-error @+1 {{gives '!sfa_tile.tile<4x36xf32>'; a GPU needs a multiple of 4 rows and a multiple of 8 columns}}
  %output, %lse = sfa_tile.combine %outputs, %sums[%b, %h, %t] of 6 splits
    : memref<?x24x?x36xf32>, memref<?x24x?xf32> -> !sfa_tile.tile<4x36xf32>, !sfa_tile.tile<4xf32>
}

// -----

sfa_tile.kernel @type(%outputs: memref<?x24x?x64xf32>, %sums: memref<?x24x?xf32>, %o: memref<?x4x?x64xf32>) grid(%b, %h, %t) {
  %output, %lse = sfa_tile.combine %outputs, %sums[%b, %h, %t] of 6 splits
    : memref<?x24x?x64xf32>, memref<?x24x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
  // expected-error @+1 {{writes to 'memref<?x4x?x64xf32>'; a GPU needs outputs of f16 or bf16 and sums of f32}}
  sfa_tile.store %output, %o[%b, %h, %t] : !sfa_tile.tile<4x64xf32>, memref<?x4x?x64xf32>
}

// -----

sfa_tile.kernel @other(%outputs: memref<?x24x?x64xf32>, %sums: memref<?x24x?xf32>, %l: memref<?x4x?xf32>) grid(%b, %h, %t) {
  %output, %lse = sfa_tile.combine %outputs, %sums[%b, %h, %t] of 6 splits
    : memref<?x24x?x64xf32>, memref<?x24x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
  // expected-error @+1 {{is not supported in a kernel that combines splits on a GPU}}
  %twice = sfa_tile.scale %lse by 2.0 : !sfa_tile.tile<4xf32>
  sfa_tile.store %twice, %l[%b, %h, %t] : !sfa_tile.tile<4xf32>, memref<?x4x?xf32>
}
