//===- FunctionContext.cpp - What all patterns know of the function at hand -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FunctionContext.h"

#include "Barriers.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

//===----------------------------------------------------------------------===//
// FunctionContext
//===----------------------------------------------------------------------===//

/// How many warps share the rows of a tile in `kernel`.
static int64_t countWarpsOfGroup(KernelOp kernel) {
  int64_t warps = kernel.getNumConsumers();
  kernel.walk([&](EachGroupOp group) { warps = static_cast<int64_t>(group.getWarps()); });
  return warps;
}

FunctionContext::FunctionContext(KernelOp kernel, const Chip &chip)
    : chip(chip), numThreads(32 * static_cast<int64_t>(kernel.getWarps())),
      firstConsumer(static_cast<int64_t>(kernel.getFirstConsumer())),
      numConsumers(kernel.getNumConsumers()), groupWarps(countWarpsOfGroup(kernel)),
      isPersistent(kernel.getPersistent()) {
  auto numberOf = [](Value memory) -> int64_t { return cast<BlockArgument>(memory).getArgNumber(); };
  kernel.walk([&](SplitOrderOp order) {
    splits = {numberOf(order.getLengths()), numberOf(order.getTable()),
              static_cast<int64_t>(order.getPageSize()), static_cast<int64_t>(order.getBlocks())};
  });
  std::optional<int64_t> base;
  kernel.walk([&](RingOp ring) {
    if (std::optional<uint64_t> barriers = ring.getBarriers())
      base = std::min(base.value_or(*barriers), static_cast<int64_t>(*barriers));
  });
  barriersOffset = base.value_or(0);
  kernel.walk([&](RingOp ring) {
    RingType type = ring.getRing().getType();
    auto value = [](std::optional<uint64_t> number) {
      return static_cast<int64_t>(number.value_or(0));
    };
    int64_t first = ring.getBarriers() ? value(ring.getBarriers()) - barriersOffset : 0;
    rings.push_back({type.getTile(), type.getStages(), ring.getStageBytes(),
                     value(ring.getOffset()), first / BarrierArray::bytesEach,
                     value(ring.getWriters()), value(ring.getReaders()), ring.getOnes()});
  });
  kernel.walk([&](MarksOp marks) {
    marksOffsets.push_back(static_cast<int64_t>(marks.getOffset().value_or(0)));
  });
}

Memory FunctionContext::memoryOf(int64_t number, Type type) const {
  LLVM::LLVMFuncOp entry = function;
  return {type, ValueRange(entry.getBody().front().getArguments())
                    .slice(number * Memory::numRegisters, Memory::numRegisters)};
}

void FunctionContext::meetConsumers(Emitter &emit) const {
  emit.make<NVVM::BarrierOp>(TypeRange(), emit.i32(consumersBarrier), emit.i32(32 * numConsumers),
                             NVVM::BarrierReductionAttr(), Value());
}

FunctionContext::RowOfHead FunctionContext::firstRowOfWarp(Emitter &emit, int64_t rows,
                                                           int64_t heads) const {
  Value first = emit.mul(warpOfGroup, 16 * repeatsOf(rows));
  if (heads == 1)
    return {nullptr, first};
  int64_t ofHead = ScheduleAttr::rowsOfHead(rows, heads);
  return {emit.div(first, ofHead), emit.rem(first, ofHead)};
}

FunctionContext::RowOfHead FunctionContext::rowOfLane(Emitter &emit, Value g, size_t number,
                                                      int64_t rows, int64_t heads) const {
  RowOfHead place = firstRowOfWarp(emit, rows, heads);
  if (!sharesWarp(rows, heads)) {
    place.row = emit.add(emit.add(place.row, g), rowOffset(number));
    return place;
  }
  int64_t ofHead = ScheduleAttr::rowsOfHead(rows, heads);
  Value row = emit.add(g, rowOffset(number));
  return {emit.add(place.head, emit.div(row, ofHead)), emit.rem(row, ofHead)};
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

void sfa::simt::addTypeConversions(TypeConverter &types, const FunctionContext &function) {
  using Types = SmallVectorImpl<Type>;
  types.addConversion([](Type type) { return type; });
  types.addConversion([](MemRefType type, Types &results) -> std::optional<LogicalResult> {
    Memory::appendTypes(type.getContext(), results);
    return success();
  });
  auto convertTile = [&function](tile::TileType type,
                                 Types &results) -> std::optional<LogicalResult> {
    int64_t repeats = function.repeatsOf(type.getRows());
    int64_t count = type.isRowVector() ? 2 * repeats : repeats * type.getColumns() / 2;
    results.append(count, type.getElementType());
    results.append(2 * repeats * type.getNumFactorsOfRow(), Float32Type::get(type.getContext()));
    return success();
  };
  types.addConversion(convertTile);
  types.addConversion([=](PendingType type, Types &results) -> std::optional<LogicalResult> {
    return convertTile(type.getTile(), results);
  });
  types.addConversion(
      [&function](OperandType type, Types &results) -> std::optional<LogicalResult> {
        results.append(function.repeatsOf(type.getRows()) * type.getNumRegisters(),
                       IntegerType::get(type.getContext(), 32));
        return success();
      });
  types.addConversion([](ColumnsType type, Types &results) -> std::optional<LogicalResult> {
    if (type.isTwo()) {
      results.append(2, type.getElementType());
      results.push_back(IntegerType::get(type.getContext(), 32));
      return success();
    }
    // Of each 8 columns those of two, or all that there are.
    int64_t together = type.getTogether();
    results.append(together == 1 ? type.getSize() / 4 : type.getSize() / together,
                   type.getElementType());
    return success();
  });
  types.addConversion(
      [&function](TwoFourType type, Types &results) -> std::optional<LogicalResult> {
        Type i32 = IntegerType::get(type.getContext(), 32);
        int64_t repeats = function.repeatsOf(type.getRows());
        if (type.getInRegisters())
          results.append(repeats * type.getNumSlices() * 4, i32);
        results.append(repeats * type.getNumPlaceRegisters(), i32);
        if (!type.getInRegisters()) {
          results.push_back(LLVM::LLVMPointerType::get(type.getContext(), /*addressSpace=*/3));
          results.push_back(i32);
        }
        return success();
      });
  types.addConversion([&function](CodesType type, Types &results) -> std::optional<LogicalResult> {
    if (type.getInRegisters())
      results.append(2 * function.repeatsOf(type.getRows()) * type.getK(),
                     IntegerType::get(type.getContext(), 32));
    else
      results.push_back(LLVM::LLVMPointerType::get(type.getContext(), /*addressSpace=*/3));
    return success();
  });
  types.addConversion([](PositionType type, Types &results) -> std::optional<LogicalResult> {
    results.append(2, IntegerType::get(type.getContext(), 32));
    return success();
  });
  types.addConversion([](RingType type, Types &results) -> std::optional<LogicalResult> {
    results.push_back(LLVM::LLVMPointerType::get(type.getContext(), /*addressSpace=*/3));
    results.append(3, IntegerType::get(type.getContext(), 32));
    return success();
  });
  auto address = [](Type type) -> Type {
    return LLVM::LLVMPointerType::get(type.getContext(), /*addressSpace=*/3);
  };
  types.addConversion([=](SharedType type) { return address(type); });
  types.addConversion([=](MarksType type) { return address(type); });
  types.addConversion([=](PointOrderType type) { return address(type); });
}
