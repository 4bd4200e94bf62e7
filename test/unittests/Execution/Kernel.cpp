//===- Kernel.cpp - Compiles and runs an attention of the execution tests -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include "mlir/Parser/Parser.h"
#include "sfa/Passes.h"
#include "sfa/Target/CPU/ParallelFor.h"

#include <atomic>
#include <condition_variable>
#include <cstring>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <mutex>
#include <thread>

using namespace mlir;
using namespace sfa;
using namespace sfa::test;

// Most of a test's memory are arrays of some megabytes that live for one problem. glibc would give each
// back to the system and fault it in again, a sixth of the time of all tests.
[[maybe_unused]] static const bool keepsMemory = [] {
#ifdef __GLIBC__
  return mallopt(M_MMAP_THRESHOLD, 1 << 30) && mallopt(M_TRIM_THRESHOLD, 1 << 30);
#else
  return false;
#endif
}();

llvm::Expected<std::unique_ptr<cpu::Executable>>
sfa::test::compileModule(const std::string &text, llvm::StringRef entry,
                         const cpu::CompileOptions &options) {
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  std::string message;
  OwningOpRef<ModuleOp> module;
  {
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      message += diagnostic.str();
      return success();
    });
    module = parseSourceString<ModuleOp>(text, &context);
  }
  if (!module)
    return llvm::createStringError("cannot parse the module: " + message);
  return cpu::Executable::compile(*module, entry, options);
}

void sfa::test::poisonScratch() {
  // Larger than what most kernels of the tests need. Threads keep the memory for later kernels.
  constexpr int64_t bytes = 1 << 20;
  struct Context {
    std::mutex mutex;
    std::condition_variable allArrived;
    unsigned numMissing;
  } context;
  context.numMissing = llvm::cantFail(cpu::getNumThreads());
  sfa_cpu_parallel_for(
      context.numMissing, bytes,
      [](void *given, int64_t, void *scratch) {
        auto *context = static_cast<Context *>(given);
        std::memset(scratch, 0xFF, bytes);
        // Nobody takes a second index before everybody has taken one.
        std::unique_lock<std::mutex> lock(context->mutex);
        if (--context->numMissing == 0)
          context->allArrived.notify_all();
        context->allArrived.wait(lock, [&] { return context->numMissing == 0; });
      },
      &context);
}

//===----------------------------------------------------------------------===//
// Arguments and results
//===----------------------------------------------------------------------===//

static NpyArray makeArray(ElementType type, std::vector<int64_t> shape,
                          llvm::ArrayRef<double> values) {
  NpyArray array = NpyArray::zeros(type, shape);
  fromDouble(values, array);
  return array;
}

static void addOperand(std::vector<NpyArray> &arguments, ElementType type, Form form,
                       std::vector<int64_t> shape, int64_t k, const std::vector<double> &values) {
  if (form != Form::Codes) {
    arguments.push_back(makeArray(type, shape, values));
    return;
  }
  int64_t d = shape[3];
  oracle::Codes codes = oracle::topk(values, values.size() / d, d, k);
  shape[3] = codes.k;
  arguments.push_back(makeArray(type, shape, codes.values));
  std::vector<double> indices(codes.indices.begin(), codes.indices.end());
  arguments.push_back(makeArray(d <= 256 ? ElementType::U8 : ElementType::U16, shape, indices));
}

std::vector<NpyArray> sfa::test::makeArguments(const Configuration &configuration,
                                               const Shape &shape, const Inputs &inputs) {
  const Configuration &c = configuration;
  std::vector<NpyArray> arguments;
  addOperand(arguments, c.type, c.queryForm, {shape.batch, c.queryHeads, shape.numQueries, c.d},
             c.queryK, inputs.q);
  addOperand(arguments, c.type, c.keyForm, {shape.batch, c.keyHeads, shape.numKeys, c.d}, c.keyK,
             inputs.k);
  addOperand(arguments, c.type, Form::Dense, {shape.batch, c.keyHeads, shape.numKeys, c.dv}, 0,
             inputs.v);
  return arguments;
}

std::vector<NpyArray> sfa::test::run(const cpu::Executable &executable,
                                     std::vector<NpyArray> &arguments) {
  std::vector<BufferRef> buffers;
  for (NpyArray &argument : arguments)
    buffers.push_back(BufferRef::of(argument));
  poisonScratch();
  auto results = executable.invoke(buffers);
  if (!results) {
    ADD_FAILURE() << llvm::toString(results.takeError());
    return {};
  }
  return std::move(*results);
}

oracle::Result Kernel::operator()(const Shape &shape, const Inputs &inputs) const {
  std::vector<NpyArray> arguments = makeArguments(configuration, shape, inputs);
  return (*this)(arguments);
}

oracle::Result Kernel::operator()(std::vector<NpyArray> &arguments) const {
  std::vector<NpyArray> results = run(*executable, arguments);
  oracle::Result result;
  if (!results.empty())
    result.o = toDouble(results[0]);
  if (results.size() > 1)
    result.lse = toDouble(results[1]);
  return result;
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

std::vector<Kernel> sfa::test::compileAll(llvm::ArrayRef<Configuration> configurations,
                                          const cpu::CompileOptions &options) {
  std::vector<Kernel> kernels(configurations.size());
  std::vector<std::string> errors(configurations.size());
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t i; (i = next++) < configurations.size();) {
      kernels[i].configuration = configurations[i];
      auto executable = compileModule(configurations[i].module(), "attention", options);
      if (executable)
        kernels[i].executable = std::move(*executable);
      else
        errors[i] = llvm::toString(executable.takeError());
    }
  };
  std::vector<std::thread> threads;
  size_t numThreads = std::min<size_t>(std::thread::hardware_concurrency(), configurations.size());
  for (size_t i = 1; i < numThreads; ++i)
    threads.emplace_back(work);
  work();
  for (std::thread &thread : threads)
    thread.join();
  for (auto [kernel, error] : llvm::zip_equal(kernels, errors))
    if (!kernel)
      ADD_FAILURE() << "cannot compile: " << error << "\n" << kernel.configuration.module();
  return kernels;
}

Kernel sfa::test::compileOne(const Configuration &configuration,
                             const cpu::CompileOptions &options) {
  return std::move(compileAll(configuration, options).front());
}
