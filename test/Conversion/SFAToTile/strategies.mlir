// RUN: sfa-opt %s -convert-sfa-to-tile -canonicalize -cse | FileCheck %s

// Every strategy with every softmax: a kernel of the same stages, of which the strategy shapes the loads and the scores and the
// softmax its stage alone.

func.func @dense_online(%q: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x32xf32>)
    -> tensor<1x2x?x32xf32> {
  %o = sfa.attention %q, %k, %v scale 0.5 schedule <strategy = dense, softmax = online, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
    : tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x32xf32>
    -> tensor<1x2x?x32xf32>
  return %o : tensor<1x2x?x32xf32>
}
func.func @dense_lazy(%q: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x32xf32>)
    -> tensor<1x2x?x32xf32> {
  %o = sfa.attention %q, %k, %v scale 0.5 schedule <strategy = dense, softmax = lazy, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
    : tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x32xf32>
    -> tensor<1x2x?x32xf32>
  return %o : tensor<1x2x?x32xf32>
}
func.func @gather_online(%q: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x32xf32>)
    -> tensor<1x2x?x32xf32> {
  %o = sfa.attention %q, %k, %v scale 0.5 schedule <strategy = gather, softmax = online, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
    : tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x32xf32>
    -> tensor<1x2x?x32xf32>
  return %o : tensor<1x2x?x32xf32>
}
func.func @gather_lazy(%q: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x32xf32>)
    -> tensor<1x2x?x32xf32> {
  %o = sfa.attention %q, %k, %v scale 0.5 schedule <strategy = gather, softmax = lazy, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
    : tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x32xf32>
    -> tensor<1x2x?x32xf32>
  return %o : tensor<1x2x?x32xf32>
}
func.func @scatter_online(%q: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x32xf32>)
    -> tensor<1x2x?x32xf32> {
  %o = sfa.attention %q, %k, %v scale 0.5 schedule <strategy = scatter, softmax = online, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
    : tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x32xf32>
    -> tensor<1x2x?x32xf32>
  return %o : tensor<1x2x?x32xf32>
}
func.func @scatter_lazy(%q: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x32xf32>)
    -> tensor<1x2x?x32xf32> {
  %o = sfa.attention %q, %k, %v scale 0.5 schedule <strategy = scatter, softmax = lazy, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
    : tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x32xf32>
    -> tensor<1x2x?x32xf32>
  return %o : tensor<1x2x?x32xf32>
}
func.func @sparse_mma_online(%q: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x32xf32>)
    -> tensor<1x2x?x32xf32> {
  %o = sfa.attention %q, %k, %v scale 0.5 schedule <strategy = sparse_mma, softmax = online, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
    : tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x32xf32>
    -> tensor<1x2x?x32xf32>
  return %o : tensor<1x2x?x32xf32>
}
func.func @sparse_mma_lazy(%q: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x2x?x32xf32>)
    -> tensor<1x2x?x32xf32> {
  %o = sfa.attention %q, %k, %v scale 0.5 schedule <strategy = sparse_mma, softmax = lazy, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
    : tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x32xf32>
    -> tensor<1x2x?x32xf32>
  return %o : tensor<1x2x?x32xf32>
}
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK-SAME: schedule <strategy = dense, softmax = online, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
// CHECK: %[[QUERY:.*]] = sfa_tile.expand
// CHECK: sfa_tile.key_loop {{.*}} step 32 {{.*}} load {
// CHECK: sfa_tile.load_codes %key_values, %key_indices
// CHECK: %[[KEY:.*]] = sfa_tile.expand
// CHECK: %[[VALUE:.*]] = sfa_tile.load %value
// CHECK: sfa_tile.yield %[[KEY]], %[[VALUE]]
// CHECK: } score {
// CHECK: sfa_tile.dot %[[QUERY]], %key :
// CHECK: } mask {
// CHECK: sfa_tile.mask %scores[{{.*}}] by <none>
// CHECK: } softmax {
// CHECK-NOT: scf.if
// CHECK: %[[MAX:.*]] = sfa_tile.row_max %scores
// CHECK: %[[P:.*]] = sfa_tile.exp2 %scores, %[[MAX]] scale
// CHECK: sfa_tile.exp2
// CHECK: sfa_tile.row_sum %[[P]]
// CHECK: sfa_tile.fma
// CHECK: } accumulate {
// CHECK: %[[SCALED:.*]] = sfa_tile.scale_rows %{{.*}}, %factors mostly_ones
// CHECK: sfa_tile.accumulate %[[SCALED]], %p, %v
// CHECK: %[[TOTAL:.*]] = sfa_tile.total %sum
// CHECK: sfa_tile.normalize %acc, %[[TOTAL]]
// CHECK-NEXT: sfa_tile.store {{.*}}, %output

// CHECK-LABEL: sfa_tile.kernel @attention_dense_lazy(
// CHECK-SAME: schedule <strategy = dense, softmax = lazy, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
// CHECK: %[[QUERY:.*]] = sfa_tile.expand
// CHECK: sfa_tile.key_loop {{.*}} step 32 {{.*}} load {
// CHECK: sfa_tile.load_codes %key_values, %key_indices
// CHECK: %[[KEY:.*]] = sfa_tile.expand
// CHECK: %[[VALUE:.*]] = sfa_tile.load %value
// CHECK: sfa_tile.yield %[[KEY]], %[[VALUE]]
// CHECK: } score {
// CHECK: sfa_tile.dot %[[QUERY]], %key :
// CHECK: } mask {
// CHECK: sfa_tile.mask %scores[{{.*}}] by <none>
// CHECK: } softmax {
// CHECK: %[[LOOKS:.*]] = sfa_tile.any %flag{{.*}} : i1
// CHECK: %[[LOOKED:.*]]:{{[0-9]}} = scf.if %[[LOOKS]]
// CHECK: sfa_tile.row_max
// CHECK: } else {
// CHECK: sfa_tile.exp2 %scores, %[[LOOKED]]#0 scale {{.*}} difference_first
// CHECK: } accumulate {
// CHECK: sfa_tile.is_due
// CHECK: sfa_tile.row_sums_of %acc
// CHECK: %[[RAISED:.*]]:{{[0-9]}} = scf.if
// CHECK: sfa_tile.accumulate %[[RAISED]]#0, %[[RAISED]]#{{[0-9]}}, %v
// CHECK: %[[FAILS:.*]] = sfa_tile.not_finite %acc
// CHECK-NEXT: %[[ACC:.*]], %[[SUMS:.*]] = sfa_tile.split_sums %acc
// CHECK-NEXT: sfa_tile.normalize %[[ACC]], %[[SUMS]]
// CHECK-NEXT: sfa_tile.store {{.*}}, %output
// CHECK-NEXT: sfa_tile.retry when %[[FAILS]] {
// CHECK: sfa_tile.key_loop
// CHECK: sfa_tile.row_max %scores
// CHECK: sfa_tile.scale_rows %{{.*}}, %factors mostly_ones
// CHECK: sfa_tile.store {{.*}}, %output

// CHECK-LABEL: sfa_tile.kernel @attention_gather_online(
// CHECK-SAME: schedule <strategy = gather, softmax = online, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
// CHECK: %[[QUERY:.*]] = sfa_tile.load_codes %query_values, %query_indices
// CHECK: sfa_tile.key_loop {{.*}} step 32 {{.*}} load {
// CHECK: sfa_tile.load_codes %key_values, %key_indices
// CHECK: %[[KEY:.*]] = sfa_tile.expand
// CHECK: %[[VALUE:.*]] = sfa_tile.load %value
// CHECK: sfa_tile.yield %[[KEY]], %[[VALUE]]
// CHECK: } score {
// CHECK: sfa_tile.gather_dot %[[QUERY]], %key :
// CHECK: } mask {
// CHECK: sfa_tile.mask %scores[{{.*}}] by <none>
// CHECK: } softmax {
// CHECK-NOT: scf.if
// CHECK: %[[MAX:.*]] = sfa_tile.row_max %scores
// CHECK: %[[P:.*]] = sfa_tile.exp2 %scores, %[[MAX]] scale
// CHECK: sfa_tile.exp2
// CHECK: sfa_tile.row_sum %[[P]]
// CHECK: sfa_tile.fma
// CHECK: } accumulate {
// CHECK: %[[SCALED:.*]] = sfa_tile.scale_rows %{{.*}}, %factors mostly_ones
// CHECK: sfa_tile.accumulate %[[SCALED]], %p, %v
// CHECK: %[[TOTAL:.*]] = sfa_tile.total %sum
// CHECK: sfa_tile.normalize %acc, %[[TOTAL]]
// CHECK-NEXT: sfa_tile.store {{.*}}, %output

// CHECK-LABEL: sfa_tile.kernel @attention_gather_lazy(
// CHECK-SAME: schedule <strategy = gather, softmax = lazy, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
// CHECK: %[[QUERY:.*]] = sfa_tile.load_codes %query_values, %query_indices
// CHECK: sfa_tile.key_loop {{.*}} step 32 {{.*}} load {
// CHECK: sfa_tile.load_codes %key_values, %key_indices
// CHECK: %[[KEY:.*]] = sfa_tile.expand
// CHECK: %[[VALUE:.*]] = sfa_tile.load %value
// CHECK: sfa_tile.yield %[[KEY]], %[[VALUE]]
// CHECK: } score {
// CHECK: sfa_tile.gather_dot %[[QUERY]], %key :
// CHECK: } mask {
// CHECK: sfa_tile.mask %scores[{{.*}}] by <none>
// CHECK: } softmax {
// CHECK: %[[LOOKS:.*]] = sfa_tile.any %flag{{.*}} : i1
// CHECK: %[[LOOKED:.*]]:{{[0-9]}} = scf.if %[[LOOKS]]
// CHECK: sfa_tile.row_max
// CHECK: } else {
// CHECK: sfa_tile.exp2 %scores, %[[LOOKED]]#0 scale {{.*}} difference_first
// CHECK: } accumulate {
// CHECK: sfa_tile.is_due
// CHECK: sfa_tile.row_sums_of %acc
// CHECK: %[[RAISED:.*]]:{{[0-9]}} = scf.if
// CHECK: sfa_tile.accumulate %[[RAISED]]#0, %[[RAISED]]#{{[0-9]}}, %v
// CHECK: %[[FAILS:.*]] = sfa_tile.not_finite %acc
// CHECK-NEXT: %[[ACC:.*]], %[[SUMS:.*]] = sfa_tile.split_sums %acc
// CHECK-NEXT: sfa_tile.normalize %[[ACC]], %[[SUMS]]
// CHECK-NEXT: sfa_tile.store {{.*}}, %output
// CHECK-NEXT: sfa_tile.retry when %[[FAILS]] {
// CHECK: sfa_tile.key_loop
// CHECK: sfa_tile.row_max %scores
// CHECK: sfa_tile.scale_rows %{{.*}}, %factors mostly_ones
// CHECK: sfa_tile.store {{.*}}, %output

// CHECK-LABEL: sfa_tile.kernel @attention_scatter_online(
// CHECK-SAME: schedule <strategy = scatter, softmax = online, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
// CHECK: %[[QUERY:.*]] = sfa_tile.load_codes %query_values, %query_indices
// CHECK: sfa_tile.key_loop {{.*}} step 32 {{.*}} load {
// CHECK: %[[KEY:.*]] = sfa_tile.load_codes %key_values, %key_indices
// CHECK: %[[LISTS:.*]] = sfa_tile.postings %[[KEY]]
// CHECK: %[[VALUE:.*]] = sfa_tile.load %value
// CHECK: sfa_tile.yield %[[LISTS]], %[[VALUE]]
// CHECK: } score {
// CHECK: sfa_tile.scatter_dot %[[QUERY]], %key :
// CHECK: } mask {
// CHECK: sfa_tile.mask %scores[{{.*}}] by <none>
// CHECK: } softmax {
// CHECK-NOT: scf.if
// CHECK: %[[MAX:.*]] = sfa_tile.row_max %scores
// CHECK: %[[P:.*]] = sfa_tile.exp2 %scores, %[[MAX]] scale
// CHECK: sfa_tile.exp2
// CHECK: sfa_tile.row_sum %[[P]]
// CHECK: sfa_tile.fma
// CHECK: } accumulate {
// CHECK: %[[SCALED:.*]] = sfa_tile.scale_rows %{{.*}}, %factors mostly_ones
// CHECK: sfa_tile.accumulate %[[SCALED]], %p, %v
// CHECK: %[[TOTAL:.*]] = sfa_tile.total %sum
// CHECK: sfa_tile.normalize %acc, %[[TOTAL]]
// CHECK-NEXT: sfa_tile.store {{.*}}, %output

// CHECK-LABEL: sfa_tile.kernel @attention_scatter_lazy(
// CHECK-SAME: schedule <strategy = scatter, softmax = lazy, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
// CHECK: %[[QUERY:.*]] = sfa_tile.load_codes %query_values, %query_indices
// CHECK: sfa_tile.key_loop {{.*}} step 32 {{.*}} load {
// CHECK: %[[KEY:.*]] = sfa_tile.load_codes %key_values, %key_indices
// CHECK: %[[LISTS:.*]] = sfa_tile.postings %[[KEY]]
// CHECK: %[[VALUE:.*]] = sfa_tile.load %value
// CHECK: sfa_tile.yield %[[LISTS]], %[[VALUE]]
// CHECK: } score {
// CHECK: sfa_tile.scatter_dot %[[QUERY]], %key :
// CHECK: } mask {
// CHECK: sfa_tile.mask %scores[{{.*}}] by <none>
// CHECK: } softmax {
// CHECK: %[[LOOKS:.*]] = sfa_tile.any %flag{{.*}} : i1
// CHECK: %[[LOOKED:.*]]:{{[0-9]}} = scf.if %[[LOOKS]]
// CHECK: sfa_tile.row_max
// CHECK: } else {
// CHECK: sfa_tile.exp2 %scores, %[[LOOKED]]#0 scale {{.*}} difference_first
// CHECK: } accumulate {
// CHECK: sfa_tile.is_due
// CHECK: sfa_tile.row_sums_of %acc
// CHECK: %[[RAISED:.*]]:{{[0-9]}} = scf.if
// CHECK: sfa_tile.accumulate %[[RAISED]]#0, %[[RAISED]]#{{[0-9]}}, %v
// CHECK: %[[FAILS:.*]] = sfa_tile.not_finite %acc
// CHECK-NEXT: %[[ACC:.*]], %[[SUMS:.*]] = sfa_tile.split_sums %acc
// CHECK-NEXT: sfa_tile.normalize %[[ACC]], %[[SUMS]]
// CHECK-NEXT: sfa_tile.store {{.*}}, %output
// CHECK-NEXT: sfa_tile.retry when %[[FAILS]] {
// CHECK: sfa_tile.key_loop
// CHECK: sfa_tile.row_max %scores
// CHECK: sfa_tile.scale_rows %{{.*}}, %factors mostly_ones
// CHECK: sfa_tile.store {{.*}}, %output

// CHECK-LABEL: sfa_tile.kernel @attention_sparse_mma_online(
// CHECK-SAME: schedule <strategy = sparse_mma, softmax = online, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
// CHECK: %[[QUERY:.*]], %[[SURPLUS:.*]] = sfa_tile.split
// CHECK: sfa_tile.key_loop {{.*}} step 32 {{.*}} load {
// CHECK: sfa_tile.load_codes %key_values, %key_indices
// CHECK: %[[KEY:.*]] = sfa_tile.expand
// CHECK: %[[VALUE:.*]] = sfa_tile.load %value
// CHECK: sfa_tile.yield %[[KEY]], %[[VALUE]]
// CHECK: } score {
// CHECK: sfa_tile.two_four_dot %[[QUERY]], %key surplus(%[[SURPLUS]] :
// CHECK: } mask {
// CHECK: sfa_tile.mask %scores[{{.*}}] by <none>
// CHECK: } softmax {
// CHECK-NOT: scf.if
// CHECK: %[[MAX:.*]] = sfa_tile.row_max %scores
// CHECK: %[[P:.*]] = sfa_tile.exp2 %scores, %[[MAX]] scale
// CHECK: sfa_tile.exp2
// CHECK: sfa_tile.row_sum %[[P]]
// CHECK: sfa_tile.fma
// CHECK: } accumulate {
// CHECK: %[[SCALED:.*]] = sfa_tile.scale_rows %{{.*}}, %factors mostly_ones
// CHECK: sfa_tile.accumulate %[[SCALED]], %p, %v
// CHECK: %[[TOTAL:.*]] = sfa_tile.total %sum
// CHECK: sfa_tile.normalize %acc, %[[TOTAL]]
// CHECK-NEXT: sfa_tile.store {{.*}}, %output

// CHECK-LABEL: sfa_tile.kernel @attention_sparse_mma_lazy(
// CHECK-SAME: schedule <strategy = sparse_mma, softmax = lazy, q_tile = 16, k_tile = 32, stages = 2, consumers = 2>
// CHECK: %[[QUERY:.*]], %[[SURPLUS:.*]] = sfa_tile.split
// CHECK: sfa_tile.key_loop {{.*}} step 32 {{.*}} load {
// CHECK: sfa_tile.load_codes %key_values, %key_indices
// CHECK: %[[KEY:.*]] = sfa_tile.expand
// CHECK: %[[VALUE:.*]] = sfa_tile.load %value
// CHECK: sfa_tile.yield %[[KEY]], %[[VALUE]]
// CHECK: } score {
// CHECK: sfa_tile.two_four_dot %[[QUERY]], %key surplus(%[[SURPLUS]] :
// CHECK: } mask {
// CHECK: sfa_tile.mask %scores[{{.*}}] by <none>
// CHECK: } softmax {
// CHECK: %[[LOOKS:.*]] = sfa_tile.any %flag{{.*}} : i1
// CHECK: %[[LOOKED:.*]]:{{[0-9]}} = scf.if %[[LOOKS]]
// CHECK: sfa_tile.row_max
// CHECK: } else {
// CHECK: sfa_tile.exp2 %scores, %[[LOOKED]]#0 scale {{.*}} difference_first
// CHECK: } accumulate {
// CHECK: sfa_tile.is_due
// CHECK: sfa_tile.row_sums_of %acc
// CHECK: %[[RAISED:.*]]:{{[0-9]}} = scf.if
// CHECK: sfa_tile.accumulate %[[RAISED]]#0, %[[RAISED]]#{{[0-9]}}, %v
// CHECK: %[[FAILS:.*]] = sfa_tile.not_finite %acc
// CHECK-NEXT: %[[ACC:.*]], %[[SUMS:.*]] = sfa_tile.split_sums %acc
// CHECK-NEXT: sfa_tile.normalize %[[ACC]], %[[SUMS]]
// CHECK-NEXT: sfa_tile.store {{.*}}, %output
// CHECK-NEXT: sfa_tile.retry when %[[FAILS]] {
// CHECK: sfa_tile.key_loop
// CHECK: sfa_tile.row_max %scores
// CHECK: sfa_tile.scale_rows %{{.*}}, %factors mostly_ones
// CHECK: sfa_tile.store {{.*}}, %output
