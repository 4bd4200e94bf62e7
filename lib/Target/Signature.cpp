//===- Signature.cpp - What a caller has to pass to a compiled function ---===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Target/Signature.h"

#include "dialects/SFA/SFA.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/IntEqClasses.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <tuple>

using namespace mlir;
using namespace sfa;

/// The element types of buffers. Integers without a sign are unsigned where they can be indices.
static std::optional<ElementType> toElementType(Type type) {
  if (type.isF16())
    return ElementType::F16;
  if (type.isBF16())
    return ElementType::BF16;
  if (type.isF32())
    return ElementType::F32;
  if (type.isF64())
    return ElementType::F64;
  if (type.isSignlessInteger(8))
    return ElementType::U8;
  if (type.isSignlessInteger(16))
    return ElementType::U16;
  if (type.isSignlessInteger(32))
    return ElementType::I32;
  if (type.isSignlessInteger(64))
    return ElementType::I64;
  return std::nullopt;
}

static std::string describe(ArrayRef<int64_t> shape, ElementType type) {
  std::string text;
  for (int64_t size : shape)
    text += (ShapedType::isDynamic(size) ? "?" : std::to_string(size)) + "x";
  return text + name(type).str();
}

std::string Parameter::describeType() const { return describe(shape, type); }

/// Appends the physical parameters of a logical one. `kind` is "argument" or "result".
static llvm::Error append(std::vector<Parameter> &parameters, StringRef kind, StringRef function,
                          Type type) {
  std::string label = fmt::format("{} {}", kind.str(), parameters.size());
  auto fail = [&](StringRef allowed) {
    std::string text;
    llvm::raw_string_ostream(text) << type;
    return llvm::createStringError(fmt::format("{} of @{} has type {}; allowed are {}", label,
                                               function.str(), text, allowed.str()));
  };
  if (type.isF64() && kind == "argument") {
    parameters.push_back({label, ElementType::F64, {}, std::nullopt, /*isNumber=*/true});
    return llvm::Error::success();
  }
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return fail(kind == "argument" ? "ranked tensors, and numbers of type f64" : "ranked tensors");
  if (tensor.getEncoding() && !isPhysicallySeveral(tensor))
    return fail("tensors that are dense, #sfa.codes or #sfa.dense");
  // What each physical tensor is, for messages.
  SmallVector<StringRef> parts;
  if (getCodes(tensor))
    parts = {" (values of codes)", " (feature indices of codes)"};
  else
    parts = {isPhysicallySeveral(tensor) ? " (rows of 8 bits)" : ""};
  if (getScales(tensor))
    parts.push_back(" (scales)");
  for (auto [part, physical] : llvm::zip_equal(parts, getPhysicalTensors(tensor))) {
    std::optional<ElementType> element = toElementType(physical.getElementType());
    if (!element)
      return fail("tensors of f16, bf16, f32, f64, i8, i16, i32 or i64, dense or #sfa.codes");
    Parameter parameter{fmt::format("{} {}{}", kind.str(), parameters.size(), part.str()), *element,
                        physical.getShape().vec(), std::nullopt};
    if (part.contains("indices"))
      parameter.numFeatures = tensor.getDimSize(3);
    else if (getScales(tensor) && element == ElementType::U8)
      parameter.type = ElementType::I8;
    parameters.push_back(std::move(parameter));
  }
  return llvm::Error::success();
}

/// Finds the dimensions that have to be equal: a union-find over the dimensions of all values that
/// the operations relate.
struct Signature::Builder {
  using Dim = std::pair<Value, unsigned>;

  unsigned number(Value value, unsigned dim) {
    auto [entry, isNew] = numbers.try_emplace(Dim(value, dim), dims.size());
    if (isNew) {
      dims.emplace_back(value, dim);
      classes.grow(dims.size());
    }
    return entry->second;
  }

  void equate(Value first, unsigned firstDim, Value second, unsigned secondDim) {
    classes.join(number(first, firstDim), number(second, secondDim));
  }

  /// All dimensions of two values of the same rank.
  void equate(Value first, Value second) {
    auto type = dyn_cast<RankedTensorType>(first.getType());
    auto other = dyn_cast<RankedTensorType>(second.getType());
    if (!type || !other)
      return;
    for (int64_t dim = 0; dim < std::min(type.getRank(), other.getRank()); ++dim)
      equate(first, dim, second, dim);
  }

  void visit(Operation *op) {
    if (isa<SparsifyOp, QuantizeOp, DensifyOp, FeatureMajorOp, PostingsOp, tensor::CastOp>(op))
      for (Value result : op->getResults())
        equate(op->getOperand(0), result);
    // A loop or a branch passes values on.
    if (auto loop = dyn_cast<scf::ForOp>(op))
      for (auto [init, inside, yielded, result] :
           llvm::zip_equal(loop.getInits(), loop.getRegionIterArgs(), loop.getYieldedValues(),
                           loop.getResults()))
        for (Value other : {Value(inside), yielded, Value(result)})
          equate(init, other);
    if (auto branch = dyn_cast<scf::IfOp>(op); branch && branch.getNumResults() != 0)
      for (auto [taken, other, result] :
           llvm::zip_equal(branch.thenYield().getOperands(), branch.elseYield().getOperands(),
                           branch.getResults()))
        for (Value value : {taken, other})
          equate(value, result);
    if (auto decode = dyn_cast<DecodeOp>(op)) {
      Value query = decode.getQuery();
      for (Value other : {decode.getTable(), decode.getLengths()})
        equate(query, 0, other, 0);
      equate(decode.getKey(), 0, decode.getValue(), 0);
      for (Value result : op->getResults())
        for (unsigned dim : {0, 2})
          equate(query, dim, result, dim);
    }
    if (auto append = dyn_cast<CacheAppendOp>(op)) {
      Value key = append.getKey();
      equate(key, 0, append.getValue(), 0);
      equate(key, 2, append.getValue(), 2);
      equate(append.getKeyPages(), 0, append.getValuePages(), 0);
      if (append.getSlots())
        equate(key, 2, append.getSlots(), 0);
      else
        for (Value other : {append.getTable(), append.getLengths()})
          equate(key, 0, other, 0);
    }
    auto attention = dyn_cast<AttentionOp>(op);
    if (!attention)
      return;
    Value query = attention.getQuery(), key = attention.getKey(), value = attention.getValue();
    for (Value other : {key, value})
      equate(query, 0, other, 0);
    equate(key, 2, value, 2);
    if (attention.hasSequences())
      equate(attention.getSequences()[0], 0, attention.getSequences()[1], 0);
    for (Value result : op->getResults()) {
      equate(query, 0, result, 0);
      equate(query, 2, result, 2);
    }
  }

  void build(func::FuncOp function, Signature &signature) {
    function.walk([&](Operation *op) { visit(op); });
    // The physical tensors of an argument agree in batch and tokens.
    for (Value argument : function.getArguments())
      if (isPhysicallySeveral(argument.getType()))
        for (unsigned dim : {0, 2})
          number(argument, dim);
    classes.compress();

    // The number of the first physical argument of each logical one.
    SmallVector<size_t> physical;
    size_t numPhysical = 0;
    for (Type type : function.getArgumentTypes()) {
      physical.push_back(numPhysical);
      numPhysical += getNumPhysical(type);
    }

    signature.sizeClasses.resize(classes.getNumClasses());
    for (auto [number, dimOfValue] : llvm::enumerate(dims)) {
      auto [value, dim] = dimOfValue;
      SizeClass &sizeClass = signature.sizeClasses[classes[number]];
      int64_t size = cast<RankedTensorType>(value.getType()).getDimSize(dim);
      if (!ShapedType::isDynamic(size))
        sizeClass.size = size;
      auto argument = dyn_cast<BlockArgument>(value);
      if (!argument || argument.getOwner() != &function.front())
        continue;
      // The last dimension of codes is their k, not the number of features; that of 8-bit rows is
      // padded.
      Type type = value.getType();
      if (isPhysicallySeveral(type) && dim == 3)
        continue;
      size_t first = physical[argument.getArgNumber()], count = getNumPhysical(type);
      std::optional<Scales> scales = getScales(type);
      for (size_t part = 0; part < count; ++part) {
        bool isScales = scales && part + 1 == count;
        if (isScales && dim == 2 && *scales == Scales::Head)
          continue;
        bool sharesScale = isScales && dim == 2 && *scales == Scales::Tile;
        sizeClass.dims.push_back({first + part, dim, sharesScale ? tokensOfScale : 1});
      }
    }
    for (SizeClass &sizeClass : signature.sizeClasses)
      llvm::sort(sizeClass.dims, [](const ArgumentDim &left, const ArgumentDim &right) {
        return std::tie(left.argument, left.dim) < std::tie(right.argument, right.dim);
      });

    function.walk([&](AttentionOp op) {
      auto scale = dyn_cast_or_null<BlockArgument>(op.getScaleValue());
      if (scale && scale.getOwner() == &function.front())
        signature.scales.push_back(physical[scale.getArgNumber()]);
      if (op.hasSequences())
        signature.sizeClasses[classes[number(op.getSequences()[0], 0)]].least = 2;
      auto query = cast<RankedTensorType>(op.getQuery().getType());
      MaskAttr mask = op.getMaskOrNone().simplified();
      signature.attentions.push_back({classes[number(op.getQuery(), 0)],
                                      classes[number(op.getQuery(), 2)],
                                      classes[number(op.getKey(), 2)], query.getDimSize(1),
                                      query.getDimSize(3) + op.getValue().getType().getDimSize(3),
                                      mask.getKind() == MaskKind::Causal, op.hasSequences(),
                                      mask.leftBound(), mask.rightBound()});
    });
  }

  llvm::DenseMap<Dim, unsigned> numbers;
  SmallVector<Dim> dims;
  llvm::IntEqClasses classes;
};

size_t BufferRef::numBytes() const {
  size_t count = sizeInBytes(type);
  for (int64_t size : shape)
    count *= static_cast<size_t>(size);
  return count;
}

llvm::Expected<Signature> Signature::of(func::FuncOp function) {
  Signature signature;
  for (BlockArgument argument : function.getArguments()) {
    size_t first = signature.args.size();
    if (llvm::Error error =
            append(signature.args, "argument", function.getName(), argument.getType()))
      return error;
    // Pages of a cache hold anything where no token is, and are too many to look at for each call:
    // kernels leave out features that do not exist.
    auto isOfPages = [](OpOperand &use) {
      if (auto append = dyn_cast<CacheAppendOp>(use.getOwner()))
        return append.isPages(use);
      return isa<DecodeOp>(use.getOwner());
    };
    if (!argument.use_empty() && llvm::all_of(argument.getUses(), isOfPages))
      for (Parameter &parameter : llvm::drop_begin(signature.args, first))
        parameter.numFeatures = std::nullopt;
  }
  for (Type type : function.getResultTypes())
    if (llvm::Error error = append(signature.resultList, "result", function.getName(), type))
      return error;
  Builder().build(function, signature);
  return signature;
}

static llvm::Error misfit(const Parameter &wanted, const BufferRef &given,
                          const std::string &reason) {
  return llvm::createStringError(fmt::format("{}: given is {}, wanted is {}: {}", wanted.name,
                                             describe(given.shape, given.type),
                                             wanted.describeType(), reason));
}

llvm::Error Signature::checkForm(const Parameter &wanted, const BufferRef &given) {
  if (given.type != wanted.type)
    return misfit(wanted, given, "the element types differ");
  if (given.shape.size() != wanted.shape.size())
    return misfit(wanted, given, "the ranks differ");
  for (auto [dim, size] : llvm::enumerate(given.shape)) {
    if (size < 0)
      return misfit(wanted, given, fmt::format("dimension {} is negative", dim));
    if (!ShapedType::isDynamic(wanted.shape[dim]) && size != wanted.shape[dim])
      return misfit(wanted, given, fmt::format("dimension {} differs", dim));
  }
  if (given.numBytes() == 0)
    return llvm::Error::success();
  if (!given.data)
    return misfit(wanted, given, "there is no data");
  if (reinterpret_cast<uintptr_t>(given.data) % sizeInBytes(given.type) != 0)
    return misfit(wanted, given, "the data is not aligned to its elements");
  return llvm::Error::success();
}

llvm::Error Signature::checkOne(const Parameter &wanted, const BufferRef &given) {
  if (llvm::Error error = checkForm(wanted, given))
    return error;
  size_t numElements = given.numBytes() / sizeInBytes(given.type);
  if (!wanted.numFeatures || numElements == 0)
    return llvm::Error::success();

  // Kernels use the indices as addresses.
  int64_t largest = 0;
  if (given.type == ElementType::U8)
    largest = *std::max_element(static_cast<uint8_t *>(given.data),
                                static_cast<uint8_t *>(given.data) + numElements);
  else
    largest = *std::max_element(static_cast<uint16_t *>(given.data),
                                static_cast<uint16_t *>(given.data) + numElements);
  if (largest >= *wanted.numFeatures)
    return misfit(wanted, given,
                  fmt::format("it holds the feature index {}; the largest allowed is {}", largest,
                              *wanted.numFeatures - 1));
  return llvm::Error::success();
}

llvm::Error Signature::checkResults(ArrayRef<BufferRef> buffers,
                                    ArrayRef<BufferRef> arguments) const {
  if (buffers.size() != resultList.size())
    return llvm::createStringError(
        fmt::format("{} results given, the function has {}", buffers.size(), resultList.size()));
  auto share = [](const BufferRef &first, const BufferRef &second) {
    if (first.numBytes() == 0 || second.numBytes() == 0)
      return false;
    auto *begin = static_cast<const std::byte *>(first.data);
    auto *other = static_cast<const std::byte *>(second.data);
    return begin < other + second.numBytes() && other < begin + first.numBytes();
  };
  for (auto [number, buffer] : llvm::enumerate(buffers)) {
    const Parameter &wanted = resultList[number];
    if (llvm::Error error = checkForm(wanted, buffer))
      return error;
    for (size_t other = 0; other < number; ++other)
      if (share(buffer, buffers[other]))
        return misfit(wanted, buffer, "it shares memory with " + resultList[other].name);
    for (auto [other, argument] : llvm::enumerate(arguments))
      if (share(buffer, argument))
        return misfit(wanted, buffer, "it shares memory with " + args[other].name);
  }
  return llvm::Error::success();
}

llvm::Error Signature::check(ArrayRef<BufferRef> buffers) const {
  if (buffers.size() != args.size()) {
    std::vector<std::string> wanted;
    for (const Parameter &parameter : args)
      wanted.push_back(fmt::format("{}: {}", parameter.name, parameter.describeType()));
    return llvm::createStringError(fmt::format("{} arguments given, {} wanted{}{}", buffers.size(),
                                               args.size(), wanted.empty() ? "" : ": ",
                                               fmt::join(wanted, ", ")));
  }
  for (auto [wanted, given] : llvm::zip_equal(args, buffers))
    if (llvm::Error error = checkOne(wanted, given))
      return error;

  for (size_t argument : scales)
    if (double scale = *static_cast<const double *>(buffers[argument].data);
        !AttentionOp::allowsScaleValue(scale))
      return llvm::createStringError(fmt::format(
          "{}: given is the scale {}; allowed is {}: make another one a constant of the "
          "program",
          args[argument].name, scale, AttentionOp::allowedScaleValues.str()));
  for (const SizeClass &sizeClass : sizeClasses) {
    std::optional<int64_t> size = sizeClass.size;
    for (ArgumentDim place : sizeClass.dims) {
      int64_t given = buffers[place.argument].shape[place.dim];
      // Scales come behind the integers that share them, so the size is known.
      int64_t wanted = place.per == 1 ? size.value_or(given)
                                      : static_cast<int64_t>(llvm::divideCeil(*size, place.per));
      if (wanted != given) {
        ArgumentDim first = sizeClass.dims.front();
        std::string reason = sizeClass.size ? std::string("the function")
                                            : fmt::format("dimension {} of {}", first.dim,
                                                          args[first.argument].name);
        return llvm::createStringError(fmt::format(
            "{}: given is {}: dimension {} is {}, it has to be {}", args[place.argument].name,
            describe(buffers[place.argument].shape, buffers[place.argument].type), place.dim, given,
            place.per == 1
                ? fmt::format("{} as in {}", wanted, reason)
                : fmt::format("{}, one for {} of the {} in {}", wanted, place.per, *size, reason)));
      }
      if (given < sizeClass.least)
        return llvm::createStringError(
            fmt::format("{}: given is {}: s sequences have s + 1 offsets, and at least 1 sequence "
                        "is needed",
                        args[place.argument].name,
                        describe(buffers[place.argument].shape, buffers[place.argument].type)));
      if (place.per == 1)
        size = given;
    }
  }
  return llvm::Error::success();
}

std::optional<int64_t> Signature::resolve(size_t sizeClass, ArrayRef<BufferRef> buffers) const {
  const SizeClass &found = sizeClasses[sizeClass];
  if (found.size || found.dims.empty())
    return found.size;
  return buffers[found.dims.front().argument].shape[found.dims.front().dim];
}

std::optional<double> Signature::denseFlops(ArrayRef<BufferRef> buffers) const {
  if (attentions.empty())
    return std::nullopt;
  double flops = 0;
  for (const Attention &attention : attentions) {
    std::optional<int64_t> batch = resolve(attention.batch, buffers);
    std::optional<int64_t> numQueries = resolve(attention.numQueries, buffers);
    std::optional<int64_t> numKeys = resolve(attention.numKeys, buffers);
    if (!batch || !numQueries || !numKeys || attention.hasSequences)
      return std::nullopt;
    double pairs = 0;
    if (attention.isCausal && numQueries == numKeys) {
      pairs = 0.5 * *numQueries * *numKeys;
    } else {
      for (int64_t query = 0; query < *numQueries; ++query) {
        int64_t aligned = query + *numKeys - *numQueries, first = 0, last = *numKeys - 1;
        if (attention.leftBound)
          first = std::max(first, aligned - *attention.leftBound);
        if (attention.rightBound)
          last = std::min(last, aligned + *attention.rightBound);
        pairs += std::max<int64_t>(0, last - first + 1);
      }
    }
    flops += 2.0 * *batch * attention.heads * pairs * attention.width;
  }
  return flops;
}
