// RUN: sfa-opt %s -split-input-file -verify-diagnostics

func.func @page_size(%q: tensor<?x2x1x16xf32>, %k: tensor<?x1x24x16xf32>, %t: tensor<?x?xi32>, %n: tensor<?xi32>) -> tensor<?x2x1x16xf32> {
  // expected-error @+1 {{'sfa.decode' op has pages of 24 tokens, key of type 'tensor<?x1x24x16xf32>'; a page has 16, 32, 64 or 128}}
  %o = sfa.decode %q, %k, %k pages(%t, %n : tensor<?x?xi32>, tensor<?xi32>) : tensor<?x2x1x16xf32>, tensor<?x1x24x16xf32>, tensor<?x1x24x16xf32> -> tensor<?x2x1x16xf32>
  return %o : tensor<?x2x1x16xf32>
}

// -----

func.func @heads(%q: tensor<?x3x1x16xf32>, %k: tensor<?x2x16x16xf32>, %t: tensor<?x?xi32>, %n: tensor<?xi32>) -> tensor<?x3x1x16xf32> {
  // expected-error @+1 {{'sfa.decode' op query has 3 heads, which is not a multiple of the 2 heads of the key}}
  %o = sfa.decode %q, %k, %k pages(%t, %n : tensor<?x?xi32>, tensor<?xi32>) : tensor<?x3x1x16xf32>, tensor<?x2x16x16xf32>, tensor<?x2x16x16xf32> -> tensor<?x3x1x16xf32>
  return %o : tensor<?x3x1x16xf32>
}

// -----

func.func @batch(%q: tensor<3x2x1x16xf32>, %k: tensor<?x2x16x16xf32>, %t: tensor<4x?xi32>, %n: tensor<3xi32>) -> tensor<3x2x1x16xf32> {
  // expected-error @+1 {{'sfa.decode' op table has 4 in dimension 0 (batch), expected is 3, as the query}}
  %o = sfa.decode %q, %k, %k pages(%t, %n : tensor<4x?xi32>, tensor<3xi32>) : tensor<3x2x1x16xf32>, tensor<?x2x16x16xf32>, tensor<?x2x16x16xf32> -> tensor<3x2x1x16xf32>
  return %o : tensor<3x2x1x16xf32>
}

// -----

func.func @window(%q: tensor<3x2x1x16xf32>, %k: tensor<?x2x16x16xf32>, %t: tensor<3x?xi32>, %n: tensor<3xi32>) -> tensor<3x2x1x16xf32> {
  // expected-error @+1 {{'sfa.decode' op has a window of -1 keys before a query; it has to be 0 or more}}
  %o = sfa.decode %q, %k, %k pages(%t, %n : tensor<3x?xi32>, tensor<3xi32>) left -1 : tensor<3x2x1x16xf32>, tensor<?x2x16x16xf32>, tensor<?x2x16x16xf32> -> tensor<3x2x1x16xf32>
  return %o : tensor<3x2x1x16xf32>
}

// -----

func.func @pools(%q: tensor<3x2x1x16xf32>, %k: tensor<5x2x16x16xf32>, %v: tensor<6x2x16x16xf32>, %t: tensor<3x?xi32>, %n: tensor<3xi32>) -> tensor<3x2x1x16xf32> {
  // expected-error @+1 {{'sfa.decode' op value has 6 in dimension 0 (batch), expected is 5, as the key}}
  %o = sfa.decode %q, %k, %v pages(%t, %n : tensor<3x?xi32>, tensor<3xi32>) : tensor<3x2x1x16xf32>, tensor<5x2x16x16xf32>, tensor<6x2x16x16xf32> -> tensor<3x2x1x16xf32>
  return %o : tensor<3x2x1x16xf32>
}

// -----

func.func @other_k(%k: tensor<1x2x?x16xf32, #sfa.codes<k = 4>>, %v: tensor<1x2x?x16xf32>, %s: tensor<?xi64>, %keys: tensor<?x2x16x16xf32, #sfa.codes<k = 2>>, %values: tensor<?x2x16x16xf32>) {
  // expected-error @+1 {{'sfa.cache_append' op key has codes of 4 features, expected are 2, as in the key pages}}
  sfa.cache_append %k, %v to %keys, %values slots(%s : tensor<?xi64>) : tensor<1x2x?x16xf32, #sfa.codes<k = 4>>, tensor<1x2x?x16xf32>, tensor<?x2x16x16xf32, #sfa.codes<k = 2>>, tensor<?x2x16x16xf32>
  return
}

// -----

func.func @dense_pages(%k: tensor<1x2x?x16xf32, #sfa.codes<k = 4>>, %v: tensor<1x2x?x16xf32>, %s: tensor<?xi64>, %keys: tensor<?x2x16x16xf32>, %values: tensor<?x2x16x16xf32>) {
  // expected-error @+1 {{'sfa.cache_append' op writes codes, 'tensor<1x2x?x16xf32, #sfa.codes<k = 4>>', to dense pages, 'tensor<?x2x16x16xf32>'; write them out with sfa.densify before}}
  sfa.cache_append %k, %v to %keys, %values slots(%s : tensor<?xi64>) : tensor<1x2x?x16xf32, #sfa.codes<k = 4>>, tensor<1x2x?x16xf32>, tensor<?x2x16x16xf32>, tensor<?x2x16x16xf32>
  return
}

// -----

func.func @eight_bits(%k: tensor<1x2x?x16xf32>, %s: tensor<?xi64>, %keys: tensor<?x2x16x16xf32, #sfa.codes<k = 4, values = i8, scales = token>>, %values: tensor<?x2x16x16xf32>) {
  // expected-error @+1 {{'sfa.cache_append' op key pages has type 'tensor<?x2x16x16xf32, #sfa.codes<k = 4, values = i8, scales = token>>'; codes of 8 bits are not supported in a cache yet}}
  sfa.cache_append %k, %k to %keys, %values slots(%s : tensor<?xi64>) : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32>, tensor<?x2x16x16xf32, #sfa.codes<k = 4, values = i8, scales = token>>, tensor<?x2x16x16xf32>
  return
}

// -----

func.func @no_places(%k: tensor<1x2x?x16xf32>, %keys: tensor<?x2x16x16xf32>, %values: tensor<?x2x16x16xf32>) {
  // expected-error @+1 {{'sfa.cache_append' op needs the places of the tokens: either slots, or pages}}
  sfa.cache_append %k, %k to %keys, %values : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32>, tensor<?x2x16x16xf32>, tensor<?x2x16x16xf32>
  return
}

// -----

func.func @slots_of_batch(%k: tensor<3x2x?x16xf32>, %s: tensor<?xi64>, %keys: tensor<?x2x16x16xf32>, %values: tensor<?x2x16x16xf32>) {
  // expected-error @+1 {{'sfa.cache_append' op has a batch of 3; with slots it has to be 1, with the tokens of all sequences}}
  sfa.cache_append %k, %k to %keys, %values slots(%s : tensor<?xi64>) : tensor<3x2x?x16xf32>, tensor<3x2x?x16xf32>, tensor<?x2x16x16xf32>, tensor<?x2x16x16xf32>
  return
}

// -----

func.func @number_of_slots(%k: tensor<1x2x5x16xf32>, %s: tensor<6xi64>, %keys: tensor<?x2x16x16xf32>, %values: tensor<?x2x16x16xf32>) {
  // expected-error @+1 {{'sfa.cache_append' op has 6 slots for 5 tokens; each token needs one}}
  sfa.cache_append %k, %k to %keys, %values slots(%s : tensor<6xi64>) : tensor<1x2x5x16xf32>, tensor<1x2x5x16xf32>, tensor<?x2x16x16xf32>, tensor<?x2x16x16xf32>
  return
}

// -----

func.func @heads_of_pages(%k: tensor<1x2x5x16xf32>, %s: tensor<5xi64>, %keys: tensor<?x3x16x16xf32>, %values: tensor<?x3x16x16xf32>) {
  // expected-error @+1 {{'sfa.cache_append' op key pages has 3 in dimension 1 (heads), expected is 2, as the key}}
  sfa.cache_append %k, %k to %keys, %values slots(%s : tensor<5xi64>) : tensor<1x2x5x16xf32>, tensor<1x2x5x16xf32>, tensor<?x3x16x16xf32>, tensor<?x3x16x16xf32>
  return
}
