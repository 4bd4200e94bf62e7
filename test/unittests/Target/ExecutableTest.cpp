//===- ExecutableTest.cpp - A function compiled for and run on this CPU ---===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Target/CPU/Executable.h"

#include "Compile.h"
#include "sfa/Target/CPU/ParallelFor.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

using namespace mlir;
using namespace sfa;
using namespace sfa::cpu;
using namespace sfa::test;

namespace {

class ExecutableTest : public Context {
protected:
  /// The compiled function @f of `text`.
  std::unique_ptr<Executable> compile(StringRef text, const CompileOptions &options = {}) {
    OwningOpRef<ModuleOp> module = parse(text);
    EXPECT_TRUE(module);
    auto executable = Executable::compile(*module, "f", options);
    if (executable)
      return std::move(*executable);
    ADD_FAILURE() << llvm::toString(executable.takeError());
    return nullptr;
  }

  std::string compileError(StringRef text, StringRef entry = "f",
                           const CompileOptions &options = {}) {
    OwningOpRef<ModuleOp> module = parse(text);
    if (!module)
      return "cannot parse";
    return messageOf(Executable::compile(*module, entry, options));
  }

  static std::vector<NpyArray> invoke(const Executable &executable, ArrayRef<BufferRef> arguments) {
    auto results = executable.invoke(arguments);
    if (results)
      return std::move(*results);
    ADD_FAILURE() << llvm::toString(results.takeError());
    return {};
  }

  static std::vector<float> numbers(const NpyArray &array) {
    auto *first = array.as<float>();
    return {first, first + array.numElements()};
  }
};

constexpr char attention[] = R"(
  func.func @f(%q: tensor<?x1x?x4xf32>, %k: tensor<?x1x?x4xf32>, %v: tensor<?x1x?x2xf32>)
      -> (tensor<?x1x?x2xf32>, tensor<?x1x?xf32>) {
    %qc = sfa.sparsify %q : tensor<?x1x?x4xf32> -> tensor<?x1x?x4xf32, #sfa.codes<k = 1>>
    %kc = sfa.sparsify %k : tensor<?x1x?x4xf32> -> tensor<?x1x?x4xf32, #sfa.codes<k = 1>>
    %o, %lse = sfa.attention %qc, %kc, %v scale 1.0
      : tensor<?x1x?x4xf32, #sfa.codes<k = 1>>, tensor<?x1x?x4xf32, #sfa.codes<k = 1>>, tensor<?x1x?x2xf32>
      -> tensor<?x1x?x2xf32>, tensor<?x1x?xf32>
    return %o, %lse : tensor<?x1x?x2xf32>, tensor<?x1x?xf32>
  }
)";

TEST_F(ExecutableTest, ComputesAttention) {
  auto executable = compile(attention);
  ASSERT_TRUE(executable);
  // Scores of the largest features: 2 * 1 with the first key, none in common with the second.
  NpyArray q = makeArray({1, 1, 1, 4}, {0.5f, 2, -1, 0});
  NpyArray k = makeArray({1, 1, 2, 4}, {0, 1, 0.5f, 0, 1, 0, -3, 0});
  NpyArray v = makeArray({1, 1, 2, 2}, {1, 10, 0, -10});
  auto results = invoke(*executable, {BufferRef::of(q), BufferRef::of(k), BufferRef::of(v)});
  ASSERT_EQ(results.size(), 2u);
  float e = std::exp(2.0f), first = e / (e + 1);
  EXPECT_EQ(results[0].shape, (std::vector<int64_t>{1, 1, 1, 2}));
  EXPECT_NEAR(numbers(results[0])[0], first, 1e-6);
  EXPECT_NEAR(numbers(results[0])[1], 20 * first - 10, 1e-5);
  EXPECT_EQ(results[1].shape, (std::vector<int64_t>{1, 1, 1}));
  EXPECT_NEAR(numbers(results[1])[0], std::log(e + 1), 1e-6);
}

TEST_F(ExecutableTest, TakesSizesOfZero) {
  auto executable = compile(attention);
  ASSERT_TRUE(executable);
  NpyArray noBatch = NpyArray::zeros(ElementType::F32, {0, 1, 3, 4});
  NpyArray noBatchValues = NpyArray::zeros(ElementType::F32, {0, 1, 3, 2});
  auto results = invoke(
      *executable, {BufferRef::of(noBatch), BufferRef::of(noBatch), BufferRef::of(noBatchValues)});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].shape, (std::vector<int64_t>{0, 1, 3, 2}));

  NpyArray q = makeArray({1, 1, 1, 4}, {1, 2, 3, 4});
  NpyArray noKeys = NpyArray::zeros(ElementType::F32, {1, 1, 0, 4});
  NpyArray noValues = NpyArray::zeros(ElementType::F32, {1, 1, 0, 2});
  results = invoke(*executable, {BufferRef::of(q), BufferRef::of(noKeys), BufferRef::of(noValues)});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(numbers(results[0]), (std::vector<float>{0, 0}));
  EXPECT_EQ(numbers(results[1]), (std::vector<float>{-INFINITY}));
}

TEST_F(ExecutableTest, ReturnsCodesAsTwoArrays) {
  auto executable = compile(R"(
    func.func @f(%x: tensor<1x1x?x4xf32>) -> tensor<1x1x?x4xf32, #sfa.codes<k = 2>> {
      %c = sfa.sparsify %x : tensor<1x1x?x4xf32> -> tensor<1x1x?x4xf32, #sfa.codes<k = 2>>
      return %c : tensor<1x1x?x4xf32, #sfa.codes<k = 2>>
    })");
  ASSERT_TRUE(executable);
  NpyArray x = makeArray({1, 1, 2, 4}, {1, -4, 3, 2, 5, 5, 5, 5});
  auto results = invoke(*executable, BufferRef::of(x));
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(numbers(results[0]), (std::vector<float>{-4, 3, 5, 5}));
  EXPECT_EQ(results[1].type, ElementType::U8);
  auto *indices = results[1].as<uint8_t>();
  EXPECT_EQ(std::vector<int>(indices, indices + 4), (std::vector<int>{1, 2, 0, 1}));
}

TEST_F(ExecutableTest, NeverWritesArguments) {
  // The last argument follows codes, which are two physical tensors.
  auto executable = compile(R"(
    func.func @f(%c: tensor<1x1x1x4xf32, #sfa.codes<k = 1>>, %x: tensor<3xf32>) -> tensor<3xf32> {
      %i = arith.constant 1 : index
      %s = arith.constant 9.0 : f32
      %y = tensor.insert %s into %x[%i] : tensor<3xf32>
      return %y : tensor<3xf32>
    })");
  ASSERT_TRUE(executable);
  NpyArray values = makeArray({1, 1, 1, 1}, {1});
  NpyArray indices = NpyArray::zeros(ElementType::U8, {1, 1, 1, 1});
  NpyArray x = makeArray({3}, {1, 2, 3});
  auto results =
      invoke(*executable, {BufferRef::of(values), BufferRef::of(indices), BufferRef::of(x)});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(numbers(results[0]), (std::vector<float>{1, 9, 3}));
  EXPECT_EQ(x.as<float>()[1], 2);
}

TEST_F(ExecutableTest, OwnsEveryResult) {
  // An argument, one value twice, a view of it, a constant, a scalar and nothing at all.
  auto executable = compile(R"(
    func.func @f(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<2x2xf32>,
                                        tensor<2xf32>, tensor<2xf32>, tensor<f32>, tensor<0x3xf32>) {
      %i = arith.constant 1 : index
      %s = arith.constant 9.0 : f32
      %y = tensor.insert %s into %x[%i] : tensor<4xf32>
      %e = tensor.expand_shape %y [[0, 1]] output_shape [2, 2] : tensor<4xf32> into tensor<2x2xf32>
      %v = tensor.extract_slice %y[1] [2] [2] : tensor<4xf32> to tensor<2xf32>
      %c = arith.constant dense<[5.0, 6.0]> : tensor<2xf32>
      %o = tensor.from_elements %s : tensor<f32>
      %n = tensor.empty() : tensor<0x3xf32>
      return %x, %y, %y, %e, %v, %c, %o, %n : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<2x2xf32>,
                                              tensor<2xf32>, tensor<2xf32>, tensor<f32>, tensor<0x3xf32>
    })");
  ASSERT_TRUE(executable);
  NpyArray x = makeArray({4}, {1, 2, 3, 4});
  auto results = invoke(*executable, BufferRef::of(x));
  ASSERT_EQ(results.size(), 8u);
  EXPECT_EQ(numbers(results[0]), (std::vector<float>{1, 2, 3, 4}));
  for (size_t same : {1, 2, 3})
    EXPECT_EQ(numbers(results[same]), (std::vector<float>{1, 9, 3, 4})) << same;
  EXPECT_EQ(numbers(results[4]), (std::vector<float>{9, 4}));
  EXPECT_EQ(numbers(results[5]), (std::vector<float>{5, 6}));
  EXPECT_EQ(numbers(results[6]), (std::vector<float>{9}));
  EXPECT_EQ(results[7].numElements(), 0);
  for (size_t first = 0; first < results.size(); ++first) {
    EXPECT_NE(results[first].data.data(), x.data.data());
    for (size_t second = 0; second < first; ++second)
      EXPECT_NE(results[first].data.data(), results[second].data.data());
  }
}

TEST_F(ExecutableTest, HasFunctionsWithoutArgumentsOrResults) {
  auto none = compile("func.func @f() { return }");
  ASSERT_TRUE(none);
  EXPECT_TRUE(invoke(*none, {}).empty());
}

TEST_F(ExecutableTest, CallsOtherFunctions) {
  auto executable = compile(R"(
    func.func private @insert(%x: tensor<2xf32>) -> tensor<2xf32> {
      %i = arith.constant 0 : index
      %s = arith.constant 9.0 : f32
      %y = tensor.insert %s into %x[%i] : tensor<2xf32>
      return %y : tensor<2xf32>
    }
    func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {
      %y = call @insert(%x) : (tensor<2xf32>) -> tensor<2xf32>
      return %y : tensor<2xf32>
    })");
  ASSERT_TRUE(executable);
  NpyArray x = makeArray({2}, {1, 2});
  auto results = invoke(*executable, BufferRef::of(x));
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(numbers(results[0]), (std::vector<float>{9, 2}));
  EXPECT_EQ(x.as<float>()[0], 1);
}

TEST_F(ExecutableTest, RunsOnLesserProcessors) {
  NpyArray q = makeArray({1, 1, 2, 4}, {1, 2, 3, 4, -4, 3, 2, 1});
  NpyArray v = makeArray({1, 1, 2, 2}, {1, 2, 3, 4});
  std::vector<BufferRef> arguments = {BufferRef::of(q), BufferRef::of(q), BufferRef::of(v)};
  std::vector<float> expected;
  for (const char *cpu : {"", "x86-64", "x86-64-v3", "x86-64-v4"}) {
    if (auto bits = getVectorBits({cpu}); !bits) {
      llvm::consumeError(bits.takeError());
      continue;
    }
    auto executable = compile(attention, {cpu});
    ASSERT_TRUE(executable);
    auto results = invoke(*executable, arguments);
    ASSERT_EQ(results.size(), 2u);
    if (expected.empty())
      expected = numbers(results[0]);
    for (size_t place = 0; place < expected.size(); ++place)
      EXPECT_NEAR(numbers(results[0])[place], expected[place], 1e-6) << cpu;
  }
}

TEST_F(ExecutableTest, ConvertsHalvesWithoutInstructionsForThem) {
  constexpr char convert[] = R"(
    func.func @f(%x: tensor<1xf32>) -> (tensor<1xTYPE>, tensor<1xf32>) {
      %i = arith.constant 0 : index
      %s = tensor.extract %x[%i] : tensor<1xf32>
      %h = arith.truncf %s : f32 to TYPE
      %w = arith.extf %h : TYPE to f32
      %y = tensor.from_elements %h : tensor<1xTYPE>
      %z = tensor.from_elements %w : tensor<1xf32>
      return %y, %z : tensor<1xTYPE>, tensor<1xf32>
    })";
  for (const char *type : {"f16", "bf16"}) {
    std::string text = convert;
    for (size_t at; (at = text.find("TYPE")) != std::string::npos;)
      text.replace(at, 4, type);
    for (const char *cpu : {"", "x86-64"}) {
      if (auto bits = getVectorBits({cpu}); !bits) {
        llvm::consumeError(bits.takeError());
        continue;
      }
      auto executable = compile(text, {cpu});
      ASSERT_TRUE(executable);
      NpyArray x = makeArray({1}, {1.0f / 3});
      auto results = invoke(*executable, BufferRef::of(x));
      ASSERT_EQ(results.size(), 2u);
      bool isHalf = type == std::string("f16");
      uint16_t bits = isHalf ? floatToHalf(1.0f / 3) : floatToBfloat16(1.0f / 3);
      EXPECT_EQ(*results[0].as<uint16_t>(), bits) << type << " on " << cpu;
      EXPECT_EQ(numbers(results[1])[0], isHalf ? halfToFloat(bits) : bfloat16ToFloat(bits));
    }
  }
}

TEST_F(ExecutableTest, MayBeCalledByManyThreads) {
  auto executable = compile(attention);
  ASSERT_TRUE(executable);
  std::vector<std::thread> callers;
  std::atomic<int> numRight = 0;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&] {
      NpyArray q = NpyArray::zeros(ElementType::F32, {2, 1, 130, 4});
      NpyArray v = NpyArray::zeros(ElementType::F32, {2, 1, 130, 2});
      std::fill_n(v.as<float>(), v.numElements(), 3.0f);
      auto call = executable->prepare({BufferRef::of(q), BufferRef::of(q), BufferRef::of(v)});
      if (!call)
        return llvm::consumeError(call.takeError());
      for (int repeat = 0; repeat < 20; ++repeat)
        numRight += std::abs(numbers(llvm::cantFail((*call)())[0])[100] - 3.0f) < 1e-5f;
    });
  for (std::thread &caller : callers)
    caller.join();
  EXPECT_EQ(numRight, 4 * 20);
}

TEST_F(ExecutableTest, RefusesArgumentsThatDoNotFit) {
  auto executable = compile(attention);
  ASSERT_TRUE(executable);
  NpyArray q = NpyArray::zeros(ElementType::F32, {1, 1, 3, 4});
  EXPECT_NE(messageOf(executable->invoke({BufferRef::of(q), BufferRef::of(q)}))
                .find("2 arguments given, 3 wanted"),
            std::string::npos);
}

TEST_F(ExecutableTest, RefusesModulesWithoutTheEntry) {
  EXPECT_EQ(compileError("func.func @f() { return }", "g"), "the module has no function @g");
  EXPECT_EQ(compileError("func.func private @f()"), "the function @f has no body");
}

TEST_F(ExecutableTest, RefusesCallsOfUndefinedFunctions) {
  EXPECT_EQ(compileError("func.func private @undefined_here()\n"
                         "func.func @f() { call @undefined_here() : () -> () return }"),
            "the module calls the function @undefined_here, which has no body");
}

/// Whatever this process or the C library has: a module may not call it.
TEST_F(ExecutableTest, RefusesSymbolsOfTheProcess) {
  for (const char *name : {"abort", "getpid", "puts", "exp2f", "sfa_cpu_result"})
    EXPECT_EQ(compileError(std::string("func.func private @") + name +
                           "()\n func.func @f() { call @" + name + "() : () -> () return }"),
              std::string("the module calls the function @") + name + ", which has no body");
  EXPECT_EQ(
      compileError("llvm.func @abort()\n func.func @f() { llvm.call @abort() : () -> () return }"),
      "the module calls the function @abort, which has no body");
  EXPECT_EQ(compileError(R"(
    llvm.mlir.global external @environ() : !llvm.ptr
    func.func @f() -> tensor<1xi64> {
      %a = llvm.mlir.addressof @environ : !llvm.ptr
      %i = llvm.ptrtoint %a : !llvm.ptr to i64
      %t = tensor.from_elements %i : tensor<1xi64>
      return %t : tensor<1xi64>
    })"),
            "the module declares the variable @environ, which has no value");
}

TEST_F(ExecutableTest, CompilesOnlyWhatTheEntryCalls) {
  auto executable = compile(R"(
    func.func private @undefined_here()
    func.func @g() { call @undefined_here() : () -> () return }
    func.func @one() -> tensor<1xf32> {
      %c = arith.constant dense<1.0> : tensor<1xf32>
      return %c : tensor<1xf32>
    }
    func.func private @f() -> tensor<1xf32> {
      %c = call @one() : () -> tensor<1xf32>
      return %c : tensor<1xf32>
    })");
  ASSERT_TRUE(executable);
  auto results = invoke(*executable, {});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(numbers(results[0]), (std::vector<float>{1}));
}

TEST_F(ExecutableTest, WritesResultsIntoMemoryOfTheCaller) {
  auto executable = compile(attention);
  ASSERT_TRUE(executable);
  NpyArray q = makeArray({1, 1, 2, 4}, {0.5f, 2, -1, 0, 1, 0, 0, 0});
  NpyArray v = makeArray({1, 1, 2, 2}, {1, 10, 0, -10});
  std::vector<BufferRef> arguments = {BufferRef::of(q), BufferRef::of(q), BufferRef::of(v)};
  auto expected = invoke(*executable, arguments);
  ASSERT_EQ(expected.size(), 2u);
  NpyArray output = NpyArray::zeros(ElementType::F32, {1, 1, 2, 2});
  NpyArray sums = NpyArray::zeros(ElementType::F32, {1, 1, 2});
  auto call = executable->prepare(arguments);
  ASSERT_TRUE(bool(call));
  std::vector<BufferRef> results = {BufferRef::of(output), BufferRef::of(sums)};
  EXPECT_EQ(messageOf(call->into(results)), "");
  EXPECT_EQ(numbers(expected[0]), numbers(output));
  EXPECT_EQ(numbers(expected[1]), numbers(sums));

  EXPECT_EQ(messageOf(call->into(results[0])), "1 results given, the function has 2");
  results[0].shape = {1, 1, 3, 2};
  EXPECT_EQ(messageOf(call->into(results)),
            "result 0: the sizes given are 1x1x3x2, the function gives 1x1x2x2");
  results[0].shape = {1, 1, 2, 4};
  EXPECT_EQ(messageOf(call->into(results)),
            "result 0: given is 1x1x2x4xf32, wanted is ?x1x?x2xf32: dimension 3 differs");
  results[0] = BufferRef::of(v);
  EXPECT_EQ(
      messageOf(call->into(results)),
      "result 0: given is 1x1x2x2xf32, wanted is ?x1x?x2xf32: it shares memory with argument 2");
  results[0] = BufferRef::of(output);
  results[1].data = static_cast<float *>(results[0].data) + 3;
  EXPECT_EQ(messageOf(call->into(results)),
            "result 1: given is 1x1x2xf32, wanted is ?x1x?xf32: it shares memory with result 0");
}

/// What a child says that may have `bytes` more of memory than it has, and calls `body`.
template <class Body>
static void withMemory(size_t bytes, Body body) {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit limit = {pages * sysconf(_SC_PAGESIZE) + bytes, RLIM_INFINITY};
  setrlimit(RLIMIT_AS, &limit);
  std::cerr << body();
  std::_Exit(0);
}

TEST_F(ExecutableTest, SaysThatMemoryRunsOut) {
  std::string text = attention;
  for (size_t at; (at = text.find("k = 1")) != std::string::npos;)
    text.replace(at, 5, "k = 3");
  auto executable = compile(text);
  ASSERT_TRUE(executable);
  // An output of 64 MiB, and codes of 120. There are no keys.
  NpyArray none = NpyArray::zeros(ElementType::F32, {1, 1, 0, 4});
  NpyArray noValues = NpyArray::zeros(ElementType::F32, {1, 1, 0, 2});
  NpyArray q = NpyArray::zeros(ElementType::F32, {1, 1, 1 << 23, 4});
  auto call = executable->prepare({BufferRef::of(q), BufferRef::of(none), BufferRef::of(noValues)});
  ASSERT_TRUE(bool(call));
  // Threads would need memory for their stacks.
  llvm::cantFail(setNumThreads(1));
  EXPECT_EXIT(withMemory(150 << 20, [&] { return messageOf((*call)()); }),
              testing::ExitedWithCode(0),
              "^the host has no 67108864 bytes of memory left for result 0, whose sizes are "
              "1x1x8388608x2$");
  NpyArray output = NpyArray::zeros(ElementType::F32, {1, 1, 1 << 23, 2});
  NpyArray sums = NpyArray::zeros(ElementType::F32, {1, 1, 1 << 23});
  auto compute = [&] {
    return messageOf(call->into({BufferRef::of(output), BufferRef::of(sums)}));
  };
  EXPECT_EXIT(withMemory(16 << 20, compute), testing::ExitedWithCode(0),
              "^the host has no [0-9]+ bytes of memory left, which the function needs besides its "
              "results$");
  llvm::cantFail(setNumThreads(0));
}

TEST_F(ExecutableTest, RefusesOtherProcessors) {
  EXPECT_NE(compileError("func.func @f() { return }", "f", {"pentagon"})
                .find("unknown processor 'pentagon'"),
            std::string::npos);
}

TEST_F(ExecutableTest, PassesOnTheDiagnosticsOfTheCompiler) {
  std::string message = compileError(R"(
    func.func @f(%q: tensor<1x1x8x4xf32>) -> tensor<1x1x8x4xf32> {
      %o = sfa.attention %q, %q, %q schedule <q_tile = 4088, k_tile = 4096>
        : tensor<1x1x8x4xf32>, tensor<1x1x8x4xf32>, tensor<1x1x8x4xf32> -> tensor<1x1x8x4xf32>
      return %o : tensor<1x1x8x4xf32>
    })");
  EXPECT_EQ(message.find("the compiler failed:\ntest:3:12: error: "), 0u) << message;
  EXPECT_NE(message.find("tiles that do not fit"), std::string::npos) << message;
}

TEST_F(ExecutableTest, LeavesTheModuleAsItIs) {
  OwningOpRef<ModuleOp> module = parse(attention);
  auto print = [&] {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module->print(stream);
    return text;
  };
  std::string before = print();
  EXPECT_EQ(messageOf(Executable::compile(*module, "f")), "");
  EXPECT_EQ(print(), before);
}

} // namespace
