//===- SignatureTest.cpp - What a caller has to pass to a compiled function -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compile.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::test;

namespace {

constexpr char attention[] = R"(
  func.func @f(%q: tensor<?x4x?x16xf32, #sfa.codes<k = 2>>, %k: tensor<?x2x?x16xf32, #sfa.codes<k = 2>>,
               %v: tensor<?x2x?x8xf32>) -> tensor<?x4x?x8xf32> {
    %o = sfa.attention %q, %k, %v mask <causal>
      : tensor<?x4x?x16xf32, #sfa.codes<k = 2>>, tensor<?x2x?x16xf32, #sfa.codes<k = 2>>, tensor<?x2x?x8xf32>
      -> tensor<?x4x?x8xf32>
    return %o : tensor<?x4x?x8xf32>
  }
)";

class SignatureTest : public Context {
protected:
  llvm::Expected<Signature> signatureOf(StringRef text) {
    module = parse(text);
    EXPECT_TRUE(module);
    return Signature::of(*module->getOps<func::FuncOp>().begin());
  }

  /// Buffers for `attention` whose data are never looked at by the caller.
  std::vector<BufferRef> makeBuffers(int64_t numQueries, int64_t numKeys) {
    arrays.clear();
    arrays.push_back(NpyArray::zeros(ElementType::F32, {3, 4, numQueries, 2}));
    arrays.push_back(NpyArray::zeros(ElementType::U8, {3, 4, numQueries, 2}));
    arrays.push_back(NpyArray::zeros(ElementType::F32, {3, 2, numKeys, 2}));
    arrays.push_back(NpyArray::zeros(ElementType::U8, {3, 2, numKeys, 2}));
    arrays.push_back(NpyArray::zeros(ElementType::F32, {3, 2, numKeys, 8}));
    std::vector<BufferRef> buffers;
    for (NpyArray &array : arrays)
      buffers.push_back(BufferRef::of(array));
    return buffers;
  }

  OwningOpRef<ModuleOp> module;
  std::vector<NpyArray> arrays;
};

TEST_F(SignatureTest, ChecksTheNumberOfOffsets) {
  auto signature = signatureOf(R"(
    func.func @f(%x: tensor<1x2x?x8xf32>, %cu_q: tensor<?xi32>, %cu_k: tensor<?xi32>) -> tensor<1x2x?x8xf32> {
      %o = sfa.attention %x, %x, %x sequences(%cu_q, %cu_k : tensor<?xi32>, tensor<?xi32>)
        : tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32> -> tensor<1x2x?x8xf32>
      return %o : tensor<1x2x?x8xf32>
    })");
  ASSERT_TRUE(bool(signature));
  EXPECT_EQ(signature->arguments()[1].describeType(), "?xi32");
  auto check = [&](int64_t numQueryOffsets, int64_t numKeyOffsets) {
    NpyArray x = NpyArray::zeros(ElementType::F32, {1, 2, 9, 8});
    NpyArray queries = NpyArray::zeros(ElementType::I32, {numQueryOffsets});
    NpyArray keys = NpyArray::zeros(ElementType::I32, {numKeyOffsets});
    std::vector<BufferRef> buffers = {BufferRef::of(x), BufferRef::of(queries),
                                      BufferRef::of(keys)};
    EXPECT_FALSE(signature->denseFlops(buffers));
    return llvm::toString(signature->check(buffers));
  };
  EXPECT_EQ(check(3, 3), "");
  EXPECT_EQ(check(1, 1), "argument 1: given is 1xi32: s sequences have s + 1 offsets, and at least "
                         "1 sequence is needed");
  EXPECT_EQ(check(3, 4), "argument 2: given is 4xi32: dimension 0 is 4, it has to be 3 as in "
                         "dimension 0 of argument 1");
}

TEST_F(SignatureTest, ListsCodesAsTwoTensors) {
  auto signature = signatureOf(attention);
  ASSERT_TRUE(bool(signature));
  ASSERT_EQ(signature->arguments().size(), 5u);
  EXPECT_EQ(signature->arguments()[2].name, "argument 2 (values of codes)");
  EXPECT_EQ(signature->arguments()[2].describeType(), "?x2x?x2xf32");
  EXPECT_EQ(signature->arguments()[3].name, "argument 3 (feature indices of codes)");
  EXPECT_EQ(signature->arguments()[3].describeType(), "?x2x?x2xu8");
  EXPECT_EQ(signature->arguments()[3].numFeatures, 16);
  ASSERT_EQ(signature->results().size(), 1u);
  EXPECT_EQ(signature->results()[0].describeType(), "?x4x?x8xf32");
}

TEST_F(SignatureTest, AcceptsWhatFits) {
  auto signature = signatureOf(attention);
  ASSERT_TRUE(bool(signature));
  EXPECT_EQ(messageOf(signature->check(makeBuffers(5, 7))), "");
  EXPECT_EQ(messageOf(signature->check(makeBuffers(0, 7))), "");
  EXPECT_EQ(messageOf(signature->check(makeBuffers(5, 0))), "");
}

TEST_F(SignatureTest, RefusesTheWrongNumber) {
  auto signature = signatureOf(attention);
  ASSERT_TRUE(bool(signature));
  std::vector<BufferRef> buffers = makeBuffers(5, 7);
  buffers.pop_back();
  EXPECT_EQ(messageOf(signature->check(buffers)).find("4 arguments given, 5 wanted: argument 0"),
            0u);
}

TEST_F(SignatureTest, RefusesOneThatDoesNotFit) {
  auto signature = signatureOf(attention);
  ASSERT_TRUE(bool(signature));
  auto messageWith = [&](size_t argument, ElementType type, std::vector<int64_t> shape) {
    std::vector<BufferRef> buffers = makeBuffers(5, 7);
    buffers[argument].type = type;
    buffers[argument].shape = std::move(shape);
    return messageOf(signature->check(buffers));
  };
  EXPECT_EQ(messageWith(4, ElementType::F16, {3, 2, 7, 8}),
            "argument 4: given is 3x2x7x8xf16, wanted is ?x2x?x8xf32: the element types differ");
  EXPECT_EQ(messageWith(4, ElementType::F32, {2, 7, 8}),
            "argument 4: given is 2x7x8xf32, wanted is ?x2x?x8xf32: the ranks differ");
  EXPECT_EQ(messageWith(4, ElementType::F32, {3, 1, 7, 8}),
            "argument 4: given is 3x1x7x8xf32, wanted is ?x2x?x8xf32: dimension 1 differs");
  EXPECT_EQ(messageWith(4, ElementType::F32, {3, 2, -7, 8}),
            "argument 4: given is 3x2x-7x8xf32, wanted is ?x2x?x8xf32: dimension 2 is negative");
}

TEST_F(SignatureTest, RefusesDimensionsThatHaveToBeEqual) {
  auto signature = signatureOf(attention);
  ASSERT_TRUE(bool(signature));
  auto messageWith = [&](size_t argument, size_t dim, int64_t size) {
    std::vector<BufferRef> buffers = makeBuffers(5, 7);
    buffers[argument].shape[dim] = size;
    return messageOf(signature->check(buffers));
  };
  // Values and indices of one tensor of codes; batch; tokens of key and value.
  EXPECT_EQ(messageWith(1, 2, 4),
            "argument 1 (feature indices of codes): given is 3x4x4x2xu8: dimension 2 is 4, it has "
            "to be 5 as in dimension 2 of argument 0 (values of codes)");
  EXPECT_EQ(messageWith(4, 0, 2),
            "argument 4: given is 2x2x7x8xf32: dimension 0 is 2, it has to be 3 as in dimension 0 "
            "of argument 0 (values of codes)");
  EXPECT_EQ(messageWith(4, 2, 6),
            "argument 4: given is 3x2x6x8xf32: dimension 2 is 6, it has to be 7 as in dimension 2 "
            "of argument 2 (values of codes)");
}

/// Attention on 8-bit codes, whose keys have `scales`, and the buffers of 5 queries and 300 keys.
class ScalesTest : public SignatureTest {
protected:
  llvm::Expected<Signature> signatureWith(const std::string &scales) {
    std::string codes = "tensor<?x2x?x16xf32, #sfa.codes<k = 2, values = i8, scales = ";
    std::string query = codes + "token>>", key = codes + scales + ">>";
    return signatureOf("func.func @f(%q: " + query + ", %k: " + key +
                       ", %v: tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32> {\n"
                       "%o = sfa.attention %q, %k, %v : " +
                       query + ", " + key +
                       ", tensor<?x2x?x8xf32> -> tensor<?x2x?x8xf32>\n"
                       "return %o : tensor<?x2x?x8xf32> }");
  }

  /// The message for as many scales of keys.
  std::string messageWith(const Signature &signature, int64_t batch, int64_t numScales) {
    NpyArray arrays[] = {
        NpyArray::zeros(ElementType::I8, {3, 2, 5, 2}),
        NpyArray::zeros(ElementType::U8, {3, 2, 5, 2}),
        NpyArray::zeros(ElementType::F32, {3, 2, 5}),
        NpyArray::zeros(ElementType::I8, {3, 2, 300, 2}),
        NpyArray::zeros(ElementType::U8, {3, 2, 300, 2}),
        NpyArray::zeros(ElementType::F32, {batch, 2, numScales}),
        NpyArray::zeros(ElementType::F32, {3, 2, 300, 8}),
    };
    std::vector<BufferRef> buffers;
    for (NpyArray &array : arrays)
      buffers.push_back(BufferRef::of(array));
    return messageOf(signature.check(buffers));
  }
};

TEST_F(ScalesTest, AreListedBehindTheCodes) {
  auto signature = signatureWith("tile");
  ASSERT_TRUE(bool(signature));
  ASSERT_EQ(signature->arguments().size(), 7u);
  EXPECT_EQ(signature->arguments()[3].name, "argument 3 (values of codes)");
  EXPECT_EQ(signature->arguments()[3].describeType(), "?x2x?x2xi8");
  EXPECT_EQ(signature->arguments()[4].describeType(), "?x2x?x2xu8");
  EXPECT_EQ(signature->arguments()[4].numFeatures, 16);
  EXPECT_EQ(signature->arguments()[5].name, "argument 5 (scales)");
  EXPECT_EQ(signature->arguments()[5].describeType(), "?x2x?xf32");

  auto rows = signatureOf("func.func @f(%x: tensor<1x2x?x40xf16, #sfa.dense<values = i8, scales = "
                          "head>>) { return }");
  ASSERT_TRUE(bool(rows));
  ASSERT_EQ(rows->arguments().size(), 2u);
  EXPECT_EQ(rows->arguments()[0].name, "argument 0 (rows of 8 bits)");
  EXPECT_EQ(rows->arguments()[0].describeType(), "1x2x?x48xi8");
  EXPECT_EQ(rows->arguments()[1].describeType(), "1x2x1xf32");
}

TEST_F(ScalesTest, AreAsManyAsTheirGranularitySays) {
  auto tile = signatureWith("tile");
  ASSERT_TRUE(bool(tile));
  EXPECT_EQ(messageWith(*tile, 3, 3), "");
  for (int64_t wrong : {2, 4, 300})
    EXPECT_EQ(
        messageWith(*tile, 3, wrong),
        "argument 5 (scales): given is 3x2x" + std::to_string(wrong) + "xf32: dimension 2 is " +
            std::to_string(wrong) +
            ", it has to be 3, one for 128 of the 300 in dimension 2 of argument 3 (values of "
            "codes)");
  EXPECT_EQ(messageWith(*tile, 1, 3),
            "argument 5 (scales): given is 1x2x3xf32: dimension 0 is 1, it has to be 3 as in "
            "dimension 0 of argument 0 (values of codes)");

  auto token = signatureWith("token");
  ASSERT_TRUE(bool(token));
  EXPECT_EQ(messageWith(*token, 3, 300), "");
  EXPECT_EQ(messageWith(*token, 3, 3),
            "argument 5 (scales): given is 3x2x3xf32: dimension 2 is 3, it has to be 300 as in "
            "dimension 2 of argument 3 (values of codes)");

  auto head = signatureWith("head");
  ASSERT_TRUE(bool(head));
  EXPECT_EQ(messageWith(*head, 3, 1), "");
  EXPECT_EQ(messageWith(*head, 3, 3),
            "argument 5 (scales): given is 3x2x3xf32, wanted is ?x2x1xf32: dimension 2 differs");
}

TEST_F(SignatureTest, FollowsSizesThroughOperations) {
  auto signature = signatureOf(R"(
    func.func @f(%q: tensor<?x1x?x8xf32>, %k: tensor<?x1x?x8xf32>, %v: tensor<?x1x?x8xf32>)
        -> tensor<2x1x?x8xf32> {
      %c = sfa.sparsify %q : tensor<?x1x?x8xf32> -> tensor<2x1x?x8xf32, #sfa.codes<k = 2>>
      %p = sfa.attention %c, %k, %v
        : tensor<2x1x?x8xf32, #sfa.codes<k = 2>>, tensor<?x1x?x8xf32>, tensor<?x1x?x8xf32> -> tensor<2x1x?x8xf32>
      %o = sfa.attention %p, %k, %p
        : tensor<2x1x?x8xf32>, tensor<?x1x?x8xf32>, tensor<2x1x?x8xf32> -> tensor<2x1x?x8xf32>
      return %o : tensor<2x1x?x8xf32>
    })");
  ASSERT_TRUE(bool(signature));
  NpyArray q = NpyArray::zeros(ElementType::F32, {2, 1, 5, 8});
  NpyArray k = NpyArray::zeros(ElementType::F32, {2, 1, 6, 8});
  NpyArray other = NpyArray::zeros(ElementType::F32, {1, 1, 5, 8});
  auto check = [&](NpyArray &query, NpyArray &key, NpyArray &value) {
    return messageOf(
        signature->check({BufferRef::of(query), BufferRef::of(key), BufferRef::of(value)}));
  };
  EXPECT_EQ(check(q, q, q), "");
  // The second attention makes n_k equal to n_q.
  EXPECT_EQ(check(q, k, k),
            "argument 1: given is 2x1x6x8xf32: dimension 2 is 6, it has to be 5 as in dimension 2 "
            "of argument 0");
  EXPECT_EQ(
      check(other, other, other),
      "argument 0: given is 1x1x5x8xf32: dimension 0 is 1, it has to be 2 as in the function");
}

/// A kernel trusts that the batch of the key is that of the query, also where the query has come
/// through a loop or a branch.
TEST_F(SignatureTest, FollowsSizesThroughLoopsAndBranches) {
  constexpr char text[] = R"(
    func.func @f(%q: tensor<?x1x?x8xf32>, %k: tensor<?x1x?x8xf32>, %n: tensor<2xi64>) -> tensor<?x1x?x8xf32> {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c2 = arith.constant 2 : index
      %r = scf.for %i = %c0 to %c2 step %c1 iter_args(%x = %q) -> (tensor<?x1x?x8xf32>) {
        %a = sfa.attention %x, %k, %k
          : tensor<?x1x?x8xf32>, tensor<?x1x?x8xf32>, tensor<?x1x?x8xf32> -> tensor<?x1x?x8xf32>
        scf.yield %a : tensor<?x1x?x8xf32>
      }
      return %r : tensor<?x1x?x8xf32>
    })";
  std::string branch = text;
  auto replace = [&](StringRef part, StringRef by) {
    branch.replace(branch.find(part.str()), part.size(), by.str());
  };
  replace("scf.for %i = %c0 to %c2 step %c1 iter_args(%x = %q) -> (tensor<?x1x?x8xf32>) {",
          "scf.if %b -> (tensor<?x1x?x8xf32>) { scf.yield %q : tensor<?x1x?x8xf32> } else {");
  replace("sfa.attention %x,", "sfa.attention %k,");
  replace("%c2 = arith.constant 2 : index", "%b = arith.constant true");
  NpyArray q = NpyArray::zeros(ElementType::F32, {3, 1, 5, 8});
  NpyArray k = NpyArray::zeros(ElementType::F32, {2, 1, 5, 8});
  NpyArray n = NpyArray::zeros(ElementType::I64, {2});
  for (const std::string &function : {std::string(text), branch}) {
    auto signature = signatureOf(function);
    ASSERT_TRUE(bool(signature));
    EXPECT_EQ(messageOf(signature->check({BufferRef::of(q), BufferRef::of(k), BufferRef::of(n)})),
              "argument 1: given is 2x1x5x8xf32: dimension 0 is 2, it has to be 3 as in dimension "
              "0 of argument 0");
  }
}

TEST_F(SignatureTest, RefusesFeaturesOutOfRange) {
  auto signature = signatureOf(attention);
  ASSERT_TRUE(bool(signature));
  std::vector<BufferRef> buffers = makeBuffers(5, 7);
  static_cast<uint8_t *>(buffers[3].data)[50] = 15;
  EXPECT_EQ(messageOf(signature->check(buffers)), "");
  static_cast<uint8_t *>(buffers[3].data)[50] = 16;
  EXPECT_EQ(messageOf(signature->check(buffers)),
            "argument 3 (feature indices of codes): given is 3x2x7x2xu8, wanted is ?x2x?x2xu8: it "
            "holds the feature index 16; the largest allowed is 15");
}

TEST_F(SignatureTest, RefusesDataThatCannotBeRead) {
  auto signature = signatureOf(attention);
  ASSERT_TRUE(bool(signature));
  std::vector<BufferRef> buffers = makeBuffers(5, 7);
  buffers[4].data = nullptr;
  EXPECT_NE(messageOf(signature->check(buffers)).find("there is no data"), std::string::npos);
  buffers = makeBuffers(5, 7);
  buffers[4].data = static_cast<std::byte *>(buffers[4].data) + 2;
  EXPECT_NE(messageOf(signature->check(buffers)).find("not aligned"), std::string::npos);
}

TEST_F(SignatureTest, RefusesTypesThatNoBufferHas) {
  EXPECT_EQ(messageOf(signatureOf("func.func @f(%x: f32) { return }")),
            "argument 0 of @f has type f32; allowed are ranked tensors, and numbers of type f64");
  EXPECT_EQ(messageOf(signatureOf("func.func @f(%x: tensor<*xf32>) { return }")),
            "argument 0 of @f has type tensor<*xf32>; allowed are ranked tensors, and numbers of "
            "type f64");
  EXPECT_NE(messageOf(signatureOf("func.func @f(%x: tensor<4xi3>) { return }")), "");
}

TEST_F(SignatureTest, CountsTheWorkOfDenseAttention) {
  auto signature = signatureOf(attention);
  ASSERT_TRUE(bool(signature));
  // 2 b h pairs (d + dv): half of the pairs where n_q = n_k, else the visible ones.
  EXPECT_EQ(signature->denseFlops(makeBuffers(6, 6)), 2.0 * 3 * 4 * 18 * 24);
  EXPECT_EQ(signature->denseFlops(makeBuffers(1, 6)), 2.0 * 3 * 4 * 6 * 24);
  EXPECT_EQ(signature->denseFlops(makeBuffers(6, 1)), 2.0 * 3 * 4 * 1 * 24);
  auto none = signatureOf("func.func @f(%x: tensor<4xf32>) { return }");
  ASSERT_TRUE(bool(none));
  EXPECT_EQ(none->denseFlops({}), std::nullopt);
}

} // namespace
