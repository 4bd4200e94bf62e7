//===- GPUToNVVM.cpp - Programs of a block become functions of a thread ---===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GPUToNVVM.h"

#include "NotLowered.h"
#include "Patterns.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

/// The kernel becomes a function whose body is that of the kernel.
struct LowerKernel : OpConversionPattern<KernelOp> {
  LowerKernel(const TypeConverter &types, MLIRContext *context, FunctionContext &function)
      : OpConversionPattern(types, context), function(function) {}

  LogicalResult matchAndRewrite(KernelOp op, OneToNOpAdaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    function.sharedMemory = getSharedMemory(rewriter, op->getBlock(), loc);

    // Memories, numbers, the extents of a persistent grid, batches, tensor maps.
    Block *body = &op.getBody().front();
    TypeConverter::SignatureConversion signature(body->getNumArguments());
    if (failed(getTypeConverter()->convertSignatureArgs(body->getArgumentTypes(), signature)))
      return failure();
    SmallVector<Type> parameters(signature.getConvertedTypes());
    size_t firstExtent = parameters.size();
    if (function.isPersistent)
      parameters.append(3, rewriter.getI32Type());
    size_t firstBatches = parameters.size();
    parameters.append(function.batches.size(), rewriter.getI64Type());
    size_t firstMap = parameters.size();
    parameters.append(function.tensorMaps.size(), LLVM::LLVMPointerType::get(getContext()));
    Type nothing = LLVM::LLVMVoidType::get(getContext());
    auto result = LLVM::LLVMFuncOp::create(rewriter, loc, op.getSymName(),
                                           LLVM::LLVMFunctionType::get(nothing, parameters));
    rewriter.inlineRegionBefore(op.getBody(), result.getBody(), result.getBody().end());
    for (Type type : ArrayRef(parameters).drop_front(firstExtent))
      signature.addInputs(type);
    Block *entry =
        rewriter.applySignatureConversion(&result.getBody().front(), signature, getTypeConverter());
    Emitter emit(loc, rewriter);
    emit.setInsertionPointToStart(entry);
    for (size_t i = firstExtent; i < firstBatches; ++i)
      function.extents.push_back(entry->getArgument(i));
    for (auto [i, batches] : llvm::enumerate(function.batches))
      batches.parameter = entry->getArgument(firstBatches + i);
    for (auto [i, map] : llvm::enumerate(function.tensorMaps))
      map.parameter = entry->getArgument(firstMap + i);
    function.thread = emit.threadId();
    function.lane = emit.bitAnd(function.thread, 31);
    function.warp =
        emit.uniform(emit.shiftRight(emit.sub(function.thread, 32 * function.firstConsumer), 5));
    function.warpOfGroup = function.groupWarps == function.numConsumers
                               ? function.warp
                               : emit.rem(function.warp, function.groupWarps);
    if (function.groupWarps == 1)
      function.warpOfGroup = emit.i32(0);
    function.place.emplace(emit, function.lane);
    if (llvm::any_of(function.rings, [](auto &ring) { return ring.writers != 0; }))
      function.barriers = function.shared(emit, function.barriersOffset);
    Value rows = entry->getArgument(1);
    function.always = emit.compare(arith::CmpIPredicate::sge, rows, emit.i64(0));

    emit.setInsertionPoint(entry->getTerminator());
    emit.make<LLVM::ReturnOp>(ValueRange());
    rewriter.eraseOp(entry->getTerminator());
    setAttributes(result, firstMap, rewriter);
    function.function = result;
    rewriter.eraseOp(op);
    return success();
  }

  void setAttributes(LLVM::LLVMFuncOp result, size_t firstMap, Builder &builder) const {
    for (size_t map = 0; map < function.tensorMaps.size(); ++map) {
      auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), 128);
      auto argument = static_cast<unsigned>(firstMap + map);
      result.setArgAttr(argument, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(bytes));
      result.setArgAttr(argument, LLVM::LLVMDialect::getAlignAttrName(),
                        builder.getI64IntegerAttr(64));
      result.setArgAttr(argument, NVVM::NVVMDialect::getGridConstantAttrName(),
                        builder.getUnitAttr());
    }
    setKernelAttributes(result, function.numThreads);
  }

  FunctionContext &function;
};

} // namespace

FailureOr<KernelResources> sfa::simt::lowerKernel(KernelOp kernel, const Chip &chip) {
  if (failed(refuseWhatIsNotLowered(kernel)))
    return failure();
  Block &body = kernel.getBody().front();
  if (body.getNumArguments() == 0 || !isa<MemRefType>(body.getArgument(0).getType()))
    return kernel.emitOpError("has no memory as its first parameter, which a GPU needs");
  auto sharedBytes = kernel->getAttrOfType<IntegerAttr>(KernelOp::sharedBytesAttrName);
  if (!sharedBytes)
    return kernel.emitOpError("has no shared memory yet; run sfa-gpu-allocate before");
  if (sharedBytes.getInt() > chip.maxSharedBytes)
    return kernel.emitOpError() << "has tiles that do not fit: they need " << sharedBytes.getInt()
                                << " bytes of shared memory, " << chip.name << " has "
                                << chip.maxSharedBytes
                                << "; choose a smaller q_tile, k_tile or stages";

  FunctionContext function(kernel, chip);
  KernelResources resources{
      nullptr, function.numThreads, sharedBytes.getInt(), function.isPersistent};
  kernel.walk([&](NVVM::GriddepcontrolOp op) {
    resources.isProgrammatic |= op.getKind() == NVVM::GridDepActionKind::wait;
  });
  if (auto batches = kernel->getAttrOfType<DenseI64ArrayAttr>(KernelOp::batchesAttrName))
    for (int64_t memory : batches.asArrayRef()) {
      resources.batches.push_back(memory);
      function.batches.push_back({memory, Value()});
    }
  if (auto maps = kernel->getAttrOfType<DenseI64ArrayAttr>(KernelOp::tensorMapsAttrName)) {
    resources.tensorMaps.assign(maps.asArrayRef().begin(), maps.asArrayRef().end());
    for (size_t i = 0; i + 2 < resources.tensorMaps.size(); i += 3)
      function.tensorMaps.push_back({resources.tensorMaps[i], resources.tensorMaps[i + 1],
                                     resources.tensorMaps[i + 2], Value()});
  }

  MLIRContext *context = kernel.getContext();
  TypeConverter types;
  addTypeConversions(types, function);
  RewritePatternSet patterns(context);
  patterns.add<LowerKernel>(types, context, function);
  for (auto populate : {populateGridPatterns, populateRolePatterns, populateRingPatterns,
                        populateCopyPatterns, populateProductPatterns, populateWarpProductPatterns,
                        populateMaskPatterns, populateSoftmaxPatterns, populateRowPatterns,
                        populateStorePatterns, populateSequencePatterns, populateTwoFourPatterns,
                        populateScalePatterns, populateGatherPatterns, populateScatterPatterns,
                        populateGroupPatterns, populateCodePatterns})
    populate(patterns, types, function);
  for (Dialect *dialect : context->getLoadedDialects())
    if (auto *interface = dialect->getRegisteredInterface<LoweringInterface>())
      interface->populatePatterns(patterns, types, function);

  ConversionTarget target(*context);
  target.addLegalDialect<arith::ArithDialect, LLVM::LLVMDialect, NVVM::NVVMDialect>();
  target.addIllegalDialect<GPUDialect, tile::TileDialect, memref::MemRefDialect>();
  target.addDynamicallyLegalOp<arith::SelectOp>(
      [&](arith::SelectOp op) { return types.isLegal(op.getType()); });
  scf::populateSCFStructuralTypeConversionsAndLegality(types, patterns, target);
  target.markUnknownOpDynamicallyLegal([&](Operation *op) { return types.isLegal(op); });
  ConversionConfig config;
  config.allowPatternRollback = false;
  if (failed(applyPartialConversion(kernel, target, std::move(patterns), config)))
    return failure();
  resources.function = function.function;
  return resources;
}
