//===- CompiledProgram.cpp - Compile a function to GPU kernels ---------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Target/CUDA/CompiledProgram.h"

#include "../Diagnostics.h"
#include "dialects/SFA/SFA.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "sfa/Passes.h"
#include "sfa/Swizzle.h"
#include "sfa/Target/NVPTX/PTX.h"
#include "sfa/Version.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

#include <fmt/format.h>

using namespace mlir;
using namespace sfa;
using namespace sfa::cuda;

namespace json = llvm::json;

std::string CompiledProgram::toJson() const {
  std::string text;
  llvm::raw_string_ostream(text) << json::Value(json::Object(document));
  return text;
}

//===----------------------------------------------------------------------===//
// The host function as a document
//===----------------------------------------------------------------------===//

namespace {

/// What the type of a buffer in memory no longer says of an argument or a result.
struct Origin {
  /// Whether its elements are integers with a sign.
  bool isSigned = false;
  /// The argument whose batch and tokens it has, where it is another one, and how many of these
  /// tokens each of its own stands for.
  std::optional<int64_t> sizedBy;
  int64_t tokens = 1;
};

/// Reads the launches of a function: straight-line code over buffers.
class DocumentBuilder {
public:
  /// `type` is that of the function before it was lowered.
  DocumentBuilder(func::FuncOp function, FunctionType type)
      : function(function), arguments(findOrigins(type.getInputs())),
        results(findOrigins(type.getResults())) {}
  llvm::Error build(json::Object &document);

private:
  static llvm::Error refuse(Operation *op, const std::string &why) {
    return llvm::createStringError(fmt::format("{}'{}' {}", describePlace(op->getLoc()),
                                               op->getName().getStringRef().str(), why));
  }
  static SmallVector<Origin> findOrigins(TypeRange types);
  /// The allocation or argument that `memory` is a cast of.
  static Value getRoot(Value memory) {
    while (auto cast = memory.getDefiningOp<memref::CastOp>())
      memory = cast.getSource();
    return memory;
  }
  llvm::Expected<json::Value> expression(Value size);
  /// Of a grid, which may also be a sum of two expressions.
  llvm::Expected<json::Value> extent(Value size);
  llvm::Expected<json::Value> dimension(Value memory, int64_t dim);
  llvm::Expected<json::Object> describe(Value memory, const Origin &origin);
  /// A number that a kernel takes, which follows from an argument.
  llvm::Expected<json::Value> scalar(Value number);
  llvm::Error addLaunch(gpu::LaunchFuncOp launch);

  func::FuncOp function;
  SmallVector<Origin> arguments, results;
  llvm::DenseMap<Value, int64_t> buffers;
  json::Array launches;
};

} // namespace

/// Of each physical tensor of values of these types.
SmallVector<Origin> DocumentBuilder::findOrigins(TypeRange types) {
  SmallVector<Origin> origins;
  for (Type type : types) {
    auto first = static_cast<int64_t>(origins.size());
    std::optional<Scales> scales = getScales(type);
    origins.push_back({/*isSigned=*/scales.has_value()});
    for (unsigned part = 1; part < getNumPhysical(type); ++part)
      origins.push_back({/*isSigned=*/false, /*sizedBy=*/first});
    if (scales == Scales::Tile)
      origins.back().tokens = tokensOfScale;
  }
  return origins;
}

llvm::Expected<json::Value> DocumentBuilder::dimension(Value memory, int64_t dim) {
  memory = getRoot(memory);
  auto type = cast<MemRefType>(memory.getType());
  if (!type.isDynamicDim(dim))
    return json::Value(type.getDimSize(dim));
  if (auto argument = dyn_cast<BlockArgument>(memory))
    return json::Value(json::Object{{"dim", json::Array{argument.getArgNumber(), dim}}});
  if (auto allocation = memory.getDefiningOp<memref::AllocOp>())
    return expression(allocation.getDynamicSizes()[type.getDynamicDimIndex(dim)]);
  return refuse(memory.getDefiningOp(), "is not supported in a function that runs on a GPU");
}

llvm::Expected<json::Value> DocumentBuilder::expression(Value size) {
  APInt constant;
  if (matchPattern(size, m_ConstantInt(&constant)))
    return json::Value(constant.getSExtValue());
  if (auto dim = size.getDefiningOp<memref::DimOp>())
    if (std::optional<int64_t> index = dim.getConstantIndex())
      return dimension(dim.getSource(), *index);
  if (auto quotient = size.getDefiningOp<arith::CeilDivUIOp>())
    if (matchPattern(quotient.getRhs(), m_ConstantInt(&constant))) {
      llvm::Expected<json::Value> dividend = expression(quotient.getLhs());
      if (!dividend)
        return dividend.takeError();
      int64_t divisor = constant.getSExtValue();
      if (std::optional<int64_t> number = dividend->getAsInteger())
        return json::Value((*number + divisor - 1) / divisor);
      json::Object object = *dividend->getAsObject();
      if (!object.get("ceildiv")) {
        object["ceildiv"] = divisor;
        return json::Value(std::move(object));
      }
    }
  if (Operation *op = size.getDefiningOp())
    return refuse(op, "gives a size that does not follow from the shapes of the arguments");
  return refuse(function, "has a size that is given by a scalar argument; on a GPU sizes follow "
                          "from the shapes of the arguments");
}

llvm::Expected<json::Value> DocumentBuilder::extent(Value size) {
  auto sum = size.getDefiningOp<arith::AddIOp>();
  if (!sum)
    return expression(size);
  json::Array terms;
  for (Value operand : sum->getOperands()) {
    llvm::Expected<json::Value> term = expression(operand);
    if (!term)
      return term.takeError();
    terms.push_back(std::move(*term));
  }
  return json::Value(json::Object{{"sum", std::move(terms)}});
}

/// A size of an argument that follows from that of another one.
static json::Value sizeOfOther(const Origin &origin, int64_t dim) {
  json::Object size{{"dim", json::Array{*origin.sizedBy, dim}}};
  if (dim == 2 && origin.tokens != 1)
    size["ceildiv"] = origin.tokens;
  return size;
}

llvm::Expected<json::Object> DocumentBuilder::describe(Value memory, const Origin &origin) {
  auto type = cast<MemRefType>(memory.getType());
  std::string element;
  llvm::raw_string_ostream stream(element);
  Type elementType = type.getElementType();
  // Integers of 8 and 16 bits are feature indices where nothing else is known of them.
  if ((elementType.isInteger(8) || elementType.isInteger(16)) && !origin.isSigned)
    stream << 'u' << elementType.getIntOrFloatBitWidth();
  else
    stream << elementType;
  json::Array shape;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    if (isa<BlockArgument>(memory)) {
      if (!type.isDynamicDim(dim))
        shape.push_back(type.getDimSize(dim));
      else if (!origin.sizedBy)
        shape.push_back(-1);
      else
        shape.push_back(sizeOfOther(origin, dim));
      continue;
    }
    llvm::Expected<json::Value> size = dimension(memory, dim);
    if (!size)
      return size.takeError();
    shape.push_back(std::move(*size));
  }
  return json::Object{{"type", element}, {"shape", std::move(shape)}};
}

llvm::Expected<json::Value> DocumentBuilder::scalar(Value number) {
  auto quotient = number.getDefiningOp<arith::DivFOp>();
  bool isInverse = quotient && matchPattern(quotient.getLhs(), m_OneFloat());
  if (isInverse)
    number = quotient.getRhs();
  auto rounded = number.getDefiningOp<arith::TruncFOp>();
  Value source = rounded ? rounded.getIn() : Value();
  FloatAttr factor;
  if (auto product = source ? source.getDefiningOp<arith::MulFOp>() : arith::MulFOp())
    if (matchPattern(product.getRhs(), m_Constant(&factor)))
      source = product.getLhs();
  auto found = buffers.find(source);
  if (found == buffers.end())
    return refuse(function, "has a scale that is no argument of it; a function that runs on a GPU "
                            "takes scales as constants or as arguments of type f64");
  return json::Value(json::Object{{"argument", found->second},
                                  {"factor", factor ? factor.getValueAsDouble() : 1.0},
                                  {"inverse", isInverse}});
}

llvm::Error DocumentBuilder::addLaunch(gpu::LaunchFuncOp launch) {
  json::Array grid, memories, scalars, aligned, packed, batches, maps;
  SmallVector<MemRefType> types;
  for (Value blocks : {launch.getGridSizeX(), launch.getGridSizeY(), launch.getGridSizeZ()}) {
    llvm::Expected<json::Value> size = extent(blocks);
    if (!size)
      return size.takeError();
    grid.push_back(std::move(*size));
  }
  for (Value memory : launch.getKernelOperands()) {
    if (memory.getType().isF32()) {
      llvm::Expected<json::Value> described = scalar(memory);
      if (!described)
        return described.takeError();
      scalars.push_back(std::move(*described));
      continue;
    }
    auto found = buffers.find(getRoot(memory));
    if (found == buffers.end())
      return refuse(launch, "takes a memory that is neither an argument nor allocated here");
    memories.push_back(found->second);
    types.push_back(cast<MemRefType>(memory.getType()));
  }
  // The columns of a swizzled row.
  auto getColumns = [&](int64_t memory) {
    return swizzle::rowBytes * 8 / types[memory].getElementTypeBitWidth();
  };
  if (auto triples = launch->getAttrOfType<DenseI64ArrayAttr>(tensorMapsAttrName))
    for (int64_t i = 0; i < triples.size(); i += 3)
      maps.push_back(json::Object{{"memory", triples[i]},
                                  {"box_rows", triples[i + 1]},
                                  {"box_columns", getColumns(triples[i])},
                                  {"box_heads", triples[i + 2]}});
  if (auto positions = launch->getAttrOfType<DenseI64ArrayAttr>(alignedAttrName))
    for (int64_t position : positions.asArrayRef())
      aligned.push_back(position);
  for (auto [name, list] : {std::pair(packedAttrName, &packed), {batchesAttrName, &batches}})
    if (auto positions = launch->getAttrOfType<DenseI64ArrayAttr>(name))
      for (int64_t position : positions.asArrayRef())
        list->push_back(position);
  APInt block, shared;
  matchPattern(launch.getBlockSizeX(), m_ConstantInt(&block));
  matchPattern(launch.getDynamicSharedMemorySize(), m_ConstantInt(&shared));
  launches.push_back(json::Object{{"kernel", launch.getKernelName().getValue()},
                                  {"grid", std::move(grid)},
                                  {"persistent", launch->hasAttr(persistentAttrName)},
                                  {"programmatic", launch->hasAttr(programmaticAttrName)},
                                  {"block", block.getSExtValue()},
                                  {"shared_bytes", shared.getSExtValue()},
                                  {"cluster", 1},
                                  {"memories", std::move(memories)},
                                  {"scalars", std::move(scalars)},
                                  {"aligned", std::move(aligned)},
                                  {"packed", std::move(packed)},
                                  {"batches", std::move(batches)},
                                  {"tensor_maps", std::move(maps)}});
  return llvm::Error::success();
}

llvm::Error DocumentBuilder::build(json::Object &document) {
  if (!function.getBody().hasOneBlock())
    return refuse(function, "has branches; a function that runs on a GPU is a list of operations, "
                            "which all run");
  // Before results: what a loop gives has no memory of its own.
  for (Operation &op : function.getBody().front())
    if (isa<scf::SCFDialect>(op.getDialect()))
      return refuse(&op, "is not supported in a function that runs on a GPU, which is a list of "
                         "launches: give a loop bounds that are constants, for 1024 iterations at "
                         "most, or call a function without it once for each iteration");
  Block &body = function.getBody().front();
  json::Array argumentList, resultList, temporaries;
  auto add = [&](Value memory, const Origin &origin, json::Array &list) -> llvm::Error {
    llvm::Expected<json::Object> described = describe(memory, origin);
    if (!described)
      return described.takeError();
    buffers[memory] = static_cast<int64_t>(buffers.size());
    list.push_back(std::move(*described));
    return llvm::Error::success();
  };
  for (BlockArgument argument : body.getArguments()) {
    if (argument.getType().isF64()) {
      buffers[argument] = static_cast<int64_t>(buffers.size());
      argumentList.push_back(json::Object{{"type", "f64"}, {"shape", json::Array()}});
      continue;
    }
    if (!isa<MemRefType>(argument.getType()))
      return refuse(function, fmt::format("has an argument {} that is neither a tensor nor f64; "
                                          "a function that runs on a GPU takes tensors, and "
                                          "scales as f64",
                                          argument.getArgNumber()));
    if (llvm::Error error = add(argument, arguments[argument.getArgNumber()], argumentList))
      return error;
  }
  for (Value returned : body.getTerminator()->getOperands()) {
    Value root = getRoot(returned);
    if (!root.getDefiningOp<memref::AllocOp>() || buffers.contains(root))
      return refuse(body.getTerminator(),
                    "returns an argument, or one value twice; a function that runs on a GPU has to "
                    "compute each of its results, once");
    if (llvm::Error error = add(root, results[resultList.size()], resultList))
      return error;
  }
  for (Operation &op : body.without_terminator()) {
    if (auto allocation = dyn_cast<memref::AllocOp>(op)) {
      if (!buffers.contains(allocation))
        if (llvm::Error error = add(allocation, Origin(), temporaries))
          return error;
    } else if (auto launch = dyn_cast<gpu::LaunchFuncOp>(op)) {
      if (llvm::Error error = addLaunch(launch))
        return error;
    } else if (!isa<memref::CastOp, memref::DimOp>(op) &&
               !isa<arith::ArithDialect>(op.getDialect())) {
      return refuse(&op, "is not supported in a function that runs on a GPU");
    }
  }
  document["arguments"] = std::move(argumentList);
  document["results"] = std::move(resultList);
  document["temporaries"] = std::move(temporaries);
  document["launches"] = std::move(launches);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

/// Diagnoses tensors that no kernel of a GPU takes. The lowerings of kernels do so, too, but speak
/// of tiles.
static LogicalResult checkTensors(func::FuncOp function) {
  WalkResult result = function.walk([](Operation *op) {
    if (!isa<AttentionOp, DecodeOp, CacheAppendOp, SparsifyOp, QuantizeOp, DensifyOp, FeatureMajorOp, PostingsOp>(op))
      return WalkResult::advance();
    SmallVector<Type> types(op->getOperandTypes());
    llvm::append_range(types, op->getResultTypes());
    for (Type type : types) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      // Not log-sum-exps and offsets.
      if (!tensor || tensor.getRank() != 4 ||
          (tensor.getElementType().getIntOrFloatBitWidth() == 16 &&
           GpuFeatures::allow(tensor.getDimSize(3))))
        continue;
      op->emitOpError() << "has a " << type << "; " << GpuFeatures::description;
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

llvm::Expected<CompiledProgram> sfa::cuda::compileProgram(ModuleOp module, StringRef entry,
                                                          const Chip &chip) {
  MLIRContext *context = module.getContext();
  DialectRegistry registry;
  registerDialects(registry);
  context->appendDialectRegistry(registry);

  DiagnosticCollector diagnostics(context);
  auto fail = [&](const std::string &what) { return diagnostics.toError(what); };
  if (failed(verify(module)))
    return fail("the module is not valid");
  OwningOpRef<ModuleOp> lowered = module.clone();
  // Only what the entry needs.
  auto function = lowered->lookupSymbol<func::FuncOp>(entry);
  if (!function || function.isExternal())
    return fail(fmt::format("the module has no function @{} with a body", entry.str()));
  for (auto other : llvm::make_early_inc_range(lowered->getOps<func::FuncOp>()))
    if (other != function) {
      if (SymbolTable::symbolKnownUseEmpty(other, *lowered))
        other.erase();
      else
        return fail(fmt::format("@{} is called by another function, which is not supported on a "
                                "GPU",
                                other.getName().str()));
    }
  FunctionType type = function.getFunctionType();
  if (failed(checkTensors(function)))
    return fail("the function @" + entry.str() + " does not run on a GPU");
  PassManager manager(context);
  PTXPipelineOptions options;
  options.chip = chip.name;
  buildSFAToNVVMPipeline(manager, options);
  // Once at the end, not after each of some dozen passes.
  manager.enableVerifier(false);
  if (failed(manager.run(*lowered)) || failed(verify(*lowered)))
    return fail("the compiler failed");

  CompiledProgram program;
  program.document = json::Object{{"format", "flashsfa-program"},
                                  {"version", 5},
                                  {"compiler", SFA_VERSION},
                                  {"chip", chip.name}};
  if (llvm::Error error =
          DocumentBuilder(lowered->lookupSymbol<func::FuncOp>(entry), type).build(program.document))
    return error;
  for (auto kernels : lowered->getOps<gpu::GPUModuleOp>()) {
    llvm::LLVMContext llvmContext;
    auto translated = nvptx::translateToLLVM(kernels, chip, llvmContext);
    if (!translated)
      return fail(llvm::toString(translated.takeError()));
    llvm::raw_string_ostream(program.llvmIR) << **translated;
    llvm::Expected<std::string> ptx = nvptx::translateToPTX(**translated, chip);
    if (!ptx)
      return fail(llvm::toString(ptx.takeError()));
    program.ptx = std::move(*ptx);
  }
  if (program.ptx.empty())
    return fail("the function @" + entry.str() + " has no sfa operation to run on a GPU");
  program.document["image"] = json::Object{{"kind", "ptx"}, {"text", program.ptx}};
  return program;
}
