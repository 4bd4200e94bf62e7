//===- Inputs.cpp - Queries, keys and values with ordinary and adversarial supports -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Inputs.h"

#include "llvm/Support/Error.h"

#include <cmath>
#include <random>

using namespace sfa;
using namespace sfa::test;

using Values = std::vector<double>;

const char *sfa::test::name(Support support) {
  switch (support) {
  case Support::Uniform:
    return "uniform supports";
  case Support::Real:
    return "the real sample";
  case Support::SameFeatures:
    return "all tokens on the same features";
  case Support::Disjoint:
    return "disjoint supports";
  case Support::Ties:
    return "ties";
  case Support::Zeros:
    return "zeros";
  case Support::Growing:
    return "growing scores";
  case Support::GrowingFast:
    return "fast growing scores";
  case Support::GrowingToTheEdge:
    return "scores that grow to the edge of the range";
  }
  llvm_unreachable("a support without a case");
}

void sfa::test::roundTo(oracle::DataType type, Values &values) {
  for (double &value : values)
    value = oracle::roundTo(type, value);
}

namespace {
/// The same numbers with every standard library, and faster than its distributions.
class Random {
public:
  explicit Random(uint64_t seed) : engine(seed) {}

  /// The sum of four uniform numbers, with mean 0 and variance 1: near enough to normal.
  double normal() {
    uint64_t bits = engine();
    double sum = 0;
    for (int part = 0; part < 4; ++part, bits >>= 16)
      sum += static_cast<double>(bits & 0xFFFF);
    constexpr double mean = 4 * 0x1p15, deviation = 0x1p16 * 0.57735026918962576; // sqrt(4 / 12)
    return (sum - mean) / deviation;
  }

  /// In [0, 1).
  double uniform() { return static_cast<double>(engine() >> 11) * 0x1p-53; }

private:
  std::mt19937_64 engine;
};
} // namespace

static Values makeNormal(Random &random, int64_t count) {
  Values values(count);
  for (double &value : values)
    value = random.normal();
  return values;
}

//===----------------------------------------------------------------------===//
// The real sample
//===----------------------------------------------------------------------===//

/// [2 layers, 2 heads, 256 tokens, 128 features].
static Values readSample(const char *operand) {
  Values all;
  for (const char *layer : {"layer1", "layer4"}) {
    std::string path = std::string(SFA_TEST_DATA_DIR "/") + layer + "_" + operand + ".npy";
    Values values = toDouble(llvm::cantFail(readNpy(path), "the sample in test/data"));
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

/// `heads` heads of `tokens` tokens; both and the features start again where the sample ends.
static Values cutSample(const Values &sample, int64_t heads, int64_t tokens, int64_t features) {
  constexpr int64_t sampleHeads = 4, sampleTokens = 256, sampleFeatures = 128;
  Values values;
  values.reserve(heads * tokens * features);
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t token = 0; token < tokens; ++token)
      for (int64_t feature = 0; feature < features; ++feature)
        values.push_back(
            sample[((head % sampleHeads) * sampleTokens + token % sampleTokens) * sampleFeatures +
                   feature % sampleFeatures]);
  return values;
}

//===----------------------------------------------------------------------===//
// Scores that grow along the keys
//===----------------------------------------------------------------------===//

/// Gives normal queries and keys a feature that grows: in queries it is `query`, up to a factor
/// that makes rows differ; in keys it goes from `-key` to `key`.
static void addGrowth(Inputs &inputs, const Configuration &configuration, const Shape &shape,
                      double query, double key, Random &random) {
  int64_t d = configuration.d, feature = d / 3;
  for (int64_t row = 0; row < static_cast<int64_t>(inputs.q.size()) / d; ++row)
    inputs.q[row * d + feature] = query * (0.5 + 0.5 * random.uniform());
  for (int64_t row = 0; row < static_cast<int64_t>(inputs.k.size()) / d; ++row) {
    int64_t token = row % shape.numKeys, head = row / shape.numKeys % configuration.keyHeads;
    double position = (2.0 * token + 1) / shape.numKeys - 1;
    // Heads grow at different rates, and one in four falls.
    double rate = head % 4 == 3 ? -1 : 1.0 / static_cast<double>(1 << (3 * (head % 4)));
    inputs.k[row * d + feature] = key * rate * position;
  }
}

Inputs sfa::test::makeInputs(const Configuration &configuration, const Shape &shape,
                             Support support, uint64_t seed) {
  const int64_t d = configuration.d, dv = configuration.dv;
  const int64_t queryHeads = shape.batch * configuration.queryHeads,
                keyHeads = shape.batch * configuration.keyHeads;
  Random random(seed);
  Inputs inputs;
  inputs.q = makeNormal(random, queryHeads * shape.numQueries * d);
  inputs.k = makeNormal(random, keyHeads * shape.numKeys * d);
  inputs.v = makeNormal(random, keyHeads * shape.numKeys * dv);
  auto forBoth = [&](auto body) {
    for (Values *operand : {&inputs.q, &inputs.k})
      for (size_t i = 0; i < operand->size(); ++i)
        body((*operand)[i], i % d, operand == &inputs.q);
  };

  // Scores that make a softmax neither flat nor one-hot, whatever the scale.
  double scale = std::fabs(configuration.problem(shape).scale);
  auto grow = [&](double nats) {
    double factor = std::sqrt(nats / (scale > 0 ? scale : 1));
    addGrowth(inputs, configuration, shape, factor, factor, random);
  };

  switch (support) {
  case Support::Uniform:
    break;
  case Support::Real: {
    static const Values q = readSample("q"), k = readSample("k"), v = readSample("v");
    inputs.q = cutSample(q, queryHeads, shape.numQueries, d);
    inputs.k = cutSample(k, keyHeads, shape.numKeys, d);
    inputs.v = cutSample(v, keyHeads, shape.numKeys, dv);
    break;
  }
  case Support::SameFeatures: {
    // A feature in each of min(k, d) places that are spread over the row, past the others' size.
    int64_t count = std::min(configuration.queryK, d);
    forBoth([&](double &value, int64_t feature, bool) {
      bool isBusy = feature * count / d != (feature + 1) * count / d;
      value = isBusy ? value + std::copysign(6.0, value) : value * 0.125;
    });
    break;
  }
  case Support::Disjoint:
    forBoth([](double &value, int64_t feature, bool isQuery) {
      if ((feature % 2 == 0) != isQuery)
        value = 0;
    });
    break;
  case Support::Ties:
    forBoth([](double &value, int64_t, bool) { value = std::round(std::clamp(value, -1.0, 1.0)); });
    break;
  case Support::Zeros:
    forBoth([](double &value, int64_t, bool) { value = std::copysign(0.0, value); });
    break;
  case Support::Growing:
    grow(15);
    break;
  case Support::GrowingFast:
    grow(2000);
    break;
  case Support::GrowingToTheEdge:
    // The product stays below the largest f32, with room for the other features.
    if (configuration.type == ElementType::F16)
      addGrowth(inputs, configuration, shape, 60000, 60000, random);
    else
      addGrowth(inputs, configuration, shape, 0x1p26, 0x1p100, random);
    break;
  }
  for (Values *values : {&inputs.q, &inputs.k, &inputs.v})
    roundTo(configuration.dataType(), *values);
  return inputs;
}
