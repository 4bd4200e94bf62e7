//===- sfa-compile.cpp - Compile a file to a program for a GPU ---------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "sfa/Passes.h"
#include "sfa/Target/CUDA/CompiledProgram.h"
#include "tools/Common/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

#include <fmt/format.h>

using namespace llvm;
using namespace mlir;
using namespace sfa;

static constexpr char overview[] = R"(compile a function in the sfa dialect for a GPU

  sfa-compile attention.mlir --chip=sm_90a -o attention.json               a program for the runtime
  sfa-compile attention.mlir --chip=sm_80 --emit=ptx                       its kernels, to read
  sfa-compile attention.mlir --chip=sm_90a --emit=cubin -o attention.cubin with ptxas of the CUDA Toolkit

A program is the document of docs/program-format.md: kernels and the launches that make the results of the function
from its arguments. Exit status: 0, or 1 after an error.
)";

static cl::OptionCategory category("sfa-compile options");
static cl::opt<std::string> inputPath(cl::Positional, cl::Required, cl::desc("FILE.mlir"),
                                      cl::cat(category));
static cl::opt<std::string> chipName("chip",
                                     cl::desc("sm_80, sm_86, sm_87, sm_89, sm_90, sm_90a, sm_100 "
                                              "or sm_120 (default sm_80, which runs on all newer "
                                              "GPUs as PTX)"),
                                     cl::value_desc("name"), cl::init("sm_80"), cl::cat(category));
static cl::opt<std::string> emitKind("emit", cl::desc("program (default), ptx, cubin or llvm"),
                                     cl::value_desc("kind"), cl::init("program"),
                                     cl::cat(category));
static cl::opt<std::string> entryName("entry",
                                      cl::desc("The function to compile (default: the only one)"),
                                      cl::value_desc("name"), cl::cat(category));
static cl::opt<std::string> outputPath("o", cl::desc("Where to write (default: standard output)"),
                                       cl::value_desc("file"), cl::init("-"), cl::cat(category));
static cl::opt<std::string> ptxasPath("ptxas",
                                      cl::desc("The assembler (default: from PATH, else that of "
                                               "CUDA_HOME or /usr/local/cuda)"),
                                      cl::value_desc("file"), cl::cat(category));

/// Assembles PTX with ptxas.
static llvm::Expected<std::string> assemble(const std::string &ptx, const Chip &chip) {
  std::string program = ptxasPath;
  if (program.empty()) {
    const char *home = std::getenv("CUDA_HOME");
    std::string bin = std::string(home ? home : "/usr/local/cuda") + "/bin";
    ErrorOr<std::string> found = sys::findProgramByName("ptxas");
    if (!found)
      found = sys::findProgramByName("ptxas", {bin});
    if (!found)
      return createStringError("--emit=cubin needs ptxas of the CUDA Toolkit, which is neither on "
                               "PATH nor in " + bin + "; give it with --ptxas");
    program = *found;
  }
  SmallString<128> source, object, log;
  if (std::error_code error = sys::fs::createTemporaryFile("sfa", "ptx", source))
    return createStringError("cannot write a temporary file: " + error.message());
  FileRemover removeSource(source);
  if (sys::fs::createTemporaryFile("sfa", "cubin", object) ||
      sys::fs::createTemporaryFile("sfa", "log", log))
    return createStringError("cannot write a temporary file");
  FileRemover removeObject(object), removeLog(log);
  {
    std::error_code error;
    raw_fd_ostream stream(source, error);
    stream << ptx;
  }
  std::string arch = "-arch=" + chip.name, message;
  StringRef arguments[] = {program, arch, source, "-o", object};
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(log), StringRef(log)};
  int status = sys::ExecuteAndWait(program, arguments, std::nullopt, redirects, 0, 0, &message);
  if (status != 0) {
    auto said = MemoryBuffer::getFile(log);
    return createStringError(fmt::format("{} failed: {}{}", program, message,
                                         said ? (*said)->getBuffer().str() : std::string()));
  }
  auto buffer = MemoryBuffer::getFile(object);
  if (!buffer)
    return createStringError("cannot read what ptxas wrote: " + buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

static llvm::Error run() {
  llvm::Expected<Chip> chip = Chip::parse(chipName);
  if (!chip)
    return createStringError("--chip: " + toString(chip.takeError()));
  if (!is_contained({"program", "ptx", "cubin", "llvm"}, emitKind))
    return createStringError("--emit=" + emitKind + " is not known; allowed are program, ptx, cubin and llvm");
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  SourceMgr sources;
  SourceMgrDiagnosticHandler diagnostics(sources, &context);
  std::string message;
  std::unique_ptr<MemoryBuffer> buffer = openInputFile(inputPath, &message);
  if (!buffer)
    return createStringError(message);
  sources.AddNewSourceBuffer(std::move(buffer), SMLoc());
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &context);
  if (!module)
    return createStringError(inputPath + " is not a valid module");
  std::string entry = entryName;
  if (entry.empty()) {
    SmallVector<func::FuncOp> functions;
    for (auto function : module->getOps<func::FuncOp>())
      if (function.isPublic() && !function.isExternal())
        functions.push_back(function);
    if (functions.size() != 1)
      return createStringError(fmt::format("{} has {} public functions; choose one with --entry",
                                           inputPath.getValue(), functions.size()));
    entry = functions.front().getName().str();
  }
  llvm::Expected<cuda::CompiledProgram> program = cuda::compileProgram(*module, entry, *chip);
  if (!program)
    return program.takeError();
  std::string text;
  if (emitKind == "ptx")
    text = program->ptx;
  else if (emitKind == "llvm")
    text = program->llvmIR;
  else if (emitKind == "cubin") {
    llvm::Expected<std::string> cubin = assemble(program->ptx, *chip);
    if (!cubin)
      return cubin.takeError();
    text = std::move(*cubin);
  } else
    text = program->toJson() + "\n";
  std::unique_ptr<ToolOutputFile> output = openOutputFile(outputPath, &message);
  if (!output)
    return createStringError(message);
  output->os() << text;
  output->keep();
  return llvm::Error::success();
}

int main(int argc, char **argv) {
  return reportErrors("sfa-compile", [&]() -> llvm::Error {
    if (llvm::Error error = parseCommandLine(argc, argv, overview, category))
      return error;
    return run();
  });
}
