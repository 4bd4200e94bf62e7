// RUN: sfa-opt %s -allow-unregistered-dialect -split-input-file -verify-diagnostics

// expected-error @+1 {{codes keep at least one feature: k is 0, allowed is k >= 1}}
func.func private @no_feature(tensor<1x1x1x8xf32, #sfa.codes<k = 0>>)

// -----

// expected-error @+1 {{codes keep at least one feature: k is -4, allowed is k >= 1}}
func.func private @negative(tensor<1x1x1x8xf32, #sfa.codes<k = -4>>)

// -----

// expected-error @+1 {{integer value too large}}
func.func private @huge(tensor<1x1x1x8xf32, #sfa.codes<k = 99999999999999999999>>)

// -----

// expected-error @+1 {{expected integer value}}
func.func private @not_a_number(tensor<1x1x1x8xf32, #sfa.codes<k = eight>>)

// -----

// expected-error @+1 {{unknown parameter 'd', allowed are k, two_four, values, scales}}
func.func private @unknown_parameter(tensor<1x1x1x8xf32, #sfa.codes<d = 8>>)

// -----

// expected-error @+1 {{expected '<'}}
func.func private @no_parameter(tensor<1x1x1x8xf32, #sfa.codes>)

// -----

// expected-error @+1 {{codes need a k, such as #sfa.codes<k = 8, two_four>}}
func.func private @two_four_without_k(tensor<1x1x1x8xf32, #sfa.codes<two_four>>)

// -----

// expected-error @+1 {{parameter 'two_four' is given twice}}
func.func private @two_four_twice(tensor<1x1x1x8xf32, #sfa.codes<k = 2, two_four, two_four>>)

// -----

// expected-error @+1 {{expected '>'}}
func.func private @two_four_has_no_value(tensor<1x1x1x8xf32, #sfa.codes<k = 2, two_four = 1>>)

// -----

// expected-error @+1 {{2:4 codes have whole groups of four features, given are 66 features; pad them to a multiple of 4 or leave 'two_four' out}}
func.func private @two_four_part_of_a_group(tensor<1x1x1x66xf32, #sfa.codes<k = 4, two_four>>)

// -----

// expected-error @+1 {{2:4 codes hold at most two of every four features, 32 of 64, but k is 33; lower k or leave 'two_four' out}}
func.func private @two_four_more_than_half(tensor<1x1x1x64xf32, #sfa.codes<k = 33, two_four>>)

// -----

// expected-error @+1 {{codes are of shape [batch, heads, tokens, features], given is rank 2}}
func.func private @rank(tensor<1x8xf32, #sfa.codes<k = 4>>)

// -----

// expected-error @+1 {{codes are of shape [batch, heads, tokens, features], given is rank 0}}
func.func private @rank0(tensor<f32, #sfa.codes<k = 4>>)

// -----

// expected-error @+1 {{codes need a static number of features (the last dimension)}}
func.func private @dynamic_features(tensor<1x1x1x?xf32, #sfa.codes<k = 4>>)

// -----

// expected-error @+1 {{codes index 1 to 65536 features, given are 65537}}
func.func private @too_many_features(tensor<1x1x1x65537xf32, #sfa.codes<k = 4>>)

// -----

// expected-error @+1 {{codes index 1 to 65536 features, given are 0}}
func.func private @zero_features(tensor<1x1x1x0xf32, #sfa.codes<k = 4>>)

// -----

// expected-error @+1 {{codes hold f32, f16 or bf16 values, given is 'i8'}}
func.func private @integers(tensor<1x1x1x8xi8, #sfa.codes<k = 4>>)

// -----

// expected-error @+1 {{codes hold f32, f16 or bf16 values, given is 'f64'}}
func.func private @doubles(tensor<1x1x1x8xf64, #sfa.codes<k = 4>>)

// -----

// expected-error @+1 {{codes hold f32, f16 or bf16 values, given is 'tensor<2xf32>'}}
func.func private @tensors(tensor<1x1x1x8xtensor<2xf32>, #sfa.codes<k = 4>>)

// -----

// expected-error @+1 {{unknown attribute `code` in dialect `sfa`}}
func.func private @unknown(tensor<1x1x1x8xf32, #sfa.code<k = 4>>)

// -----

// expected-error @+1 {{codes of 8-bit values keep at most 1040 features, so that their dot products are exact in f32: k is 1041}}
func.func private @eight_bits_of_many(tensor<1x1x1x2000xf32, #sfa.codes<k = 1041, values = i8, scales = tile>>)

// -----

// expected-error @+1 {{values are 'i16', allowed is i8; leave 'values' out for others}}
func.func private @values_of_sixteen_bits(tensor<1x1x1x2000xf32, #sfa.codes<k = 4, values = i16, scales = tile>>)

// -----

// expected-error @+1 {{values are 'ui8', allowed is i8; leave 'values' out for others}}
func.func private @unsigned_values(tensor<1x1x1x2000xf32, #sfa.codes<k = 4, values = ui8, scales = tile>>)

// -----

// expected-error @+1 {{8-bit values have scales: give 'values = i8' and 'scales' together, such as #sfa.codes<k = 8, values = i8, scales = tile>}}
func.func private @values_without_scales(tensor<1x1x1x2000xf32, #sfa.codes<k = 4, values = i8>>)

// -----

// expected-error @+1 {{8-bit values have scales: give 'values = i8' and 'scales' together}}
func.func private @scales_without_values(tensor<1x1x1x2000xf32, #sfa.codes<k = 4, scales = tile>>)

// -----

// expected-error @+1 {{unknown granularity of scales}}
func.func private @unknown_granularity(tensor<1x1x1x2000xf32, #sfa.codes<k = 4, values = i8, scales = row>>)

// -----

// expected-error @+1 {{parameter 'scales' is given twice}}
func.func private @scales_twice(tensor<1x1x1x2000xf32, #sfa.codes<k = 4, values = i8, scales = tile, scales = head>>)

// -----

// expected-error @+1 {{dense rows with an encoding have 8-bit values and scales, such as #sfa.dense<values = i8, scales = tile>}}
func.func private @rows_without_scales(tensor<1x1x1x2000xf32, #sfa.dense<values = i8>>)

// -----

// expected-error @+1 {{dense rows with an encoding have 8-bit values and scales}}
func.func private @rows_without_values(tensor<1x1x1x2000xf32, #sfa.dense<scales = token>>)

// -----

// expected-error @+1 {{unknown parameter 'k', allowed are values, scales}}
func.func private @rows_have_no_k(tensor<1x1x1x2000xf32, #sfa.dense<k = 4, values = i8, scales = token>>)

// -----

// expected-error @+1 {{8-bit rows are of shape [batch, heads, tokens, features], given is rank 2}}
func.func private @rows_of_rank_2(tensor<1x8xf32, #sfa.dense<values = i8, scales = tile>>)

// -----

// expected-error @+1 {{8-bit rows need a static number of features (the last dimension)}}
func.func private @rows_of_dynamic_size(tensor<1x1x1x?xf32, #sfa.dense<values = i8, scales = tile>>)

// -----

// expected-error @+1 {{8-bit rows hold f32, f16 or bf16 values, given is 'i8'}}
func.func private @rows_of_integers(tensor<1x1x1x8xi8, #sfa.dense<values = i8, scales = tile>>)
