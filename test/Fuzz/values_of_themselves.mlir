// RUN: not sfa-opt -allow-unregistered-dialect --canonicalize --sfa-to-cpu %s 2>&1 | FileCheck %s

// Codes that depend on themselves: legal where order does not count, and endless for a folder.

// CHECK: error: 'sfa.densify' op is in a region whose order does not count

%0 = sfa.densify %1 : tensor<1x1x?x64xf32, #sfa.codes<k = 64>>
%1 = sfa.sparsify %0 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 64>>
%2 = sfa.attention %1, %1, %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 64>>, tensor<1x1x?x64xf32, #sfa.codes<k = 64>>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
"a.use"(%2) : (tensor<1x1x?x64xf32>) -> ()
