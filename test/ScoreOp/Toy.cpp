//===- Toy.cpp - A dialect with a score operation of its own --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// All that a new way to form scores needs on a GPU: what the operation says of itself to
// `sfa-gpu-specialize` (ScoreOpInterface), and the pattern by which `convert-sfa-gpu-to-nvvm` turns
// it into instructions (LoweringInterface).
//
//===----------------------------------------------------------------------===//

#include "Toy.h"

#include "lib/Conversion/GPUToNVVM/GPUToNVVM.h"
#include "lib/Conversion/GPUToNVVM/Patterns.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

#include "test/ScoreOp/ToyOpsDialect.cpp.inc"

#define GET_OP_CLASSES
#include "test/ScoreOp/ToyOps.cpp.inc"

//===----------------------------------------------------------------------===//
// The operation
//===----------------------------------------------------------------------===//

static ArrayRef<int64_t> shapeOf(Type factor) {
  if (auto shared = dyn_cast<SharedType>(factor))
    return shared.getShape();
  return cast<tile::TileType>(factor).getShape();
}

LogicalResult toy::DotOp::verify() {
  ArrayRef<int64_t> query = shapeOf(getQuery().getType()), key = shapeOf(getKey().getType());
  auto scores = cast<tile::TileType>(getScores().getType());
  if (query.size() == 2 && key.size() == 2 && query[1] == key[1] &&
      scores.getShape() == ArrayRef({query[0], key[0]}) && scores.getElementType().isF32())
    return success();
  return emitOpError() << "takes two matrices with as many columns, and gives an f32 for each pair "
                          "of their rows";
}

Value toy::DotOp::emitScores(OpBuilder &builder, ValueRange operands, tile::TileType type,
                             bool isAsynchronous) {
  // Nothing is issued that had to be waited for, wherever the operation stands.
  return DotOp::create(builder, getLoc(), type, operands[0], operands[1]);
}

//===----------------------------------------------------------------------===//
// Its instructions
//===----------------------------------------------------------------------===//

namespace {

/// The element in column `column` (i32) of a row of a swizzled tile. `rowBytes` is where the row
/// starts in a panel, `phase` its number modulo 8.
Value loadElement(Emitter &emit, const SharedTile &tile, Value rowBytes, Value phase, Value column,
                  Type element) {
  Value panel = emit.shiftRight(column, 6), chunk = emit.bitAnd(emit.shiftRight(column, 3), 7);
  Value offset = emit.add(emit.mul(panel, tile.panelBytes()), rowBytes);
  offset = emit.add(offset, emit.shiftLeft(emit.bitXor(chunk, phase), 4));
  offset = emit.add(offset, emit.shiftLeft(emit.bitAnd(column, 7), 1));
  Value loaded = emit.load(element, emit.offset(tile.base, offset, emit.getI8Type()));
  return emit.make<arith::ExtFOp>(emit.getF32Type(), loaded);
}

/// A lane forms the elements of its fragment: of the rows g and g + 8 of each 16, and of each eight
/// keys those from 2 t on, two of them.
struct LowerDot : Lowering<toy::DotOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(toy::DotOp op, Adaptor adaptor, Emitter &emit) const override {
    auto queryType = dyn_cast<SharedType>(op.getQuery().getType()),
         keyType = dyn_cast<SharedType>(op.getKey().getType());
    if (!queryType || !keyType)
      return op.emitOpError(
          "has operands that are not in shared memory; run sfa-gpu-specialize before");
    SharedTile query = tileAt(adaptor.getQuery().front(), queryType);
    SharedTile key = tileAt(adaptor.getKey().front(), keyType);
    Type element = keyType.getElementType();
    int64_t repeats = function.repeatsOf(query.rows);
    LanePlace place(emit, function.lane);

    Value firstRow = emit.add(emit.mul(function.warp, 16 * repeats), place.g);
    Value firstKey = emit.shiftLeft(place.t, 1);
    auto rowBytes = [&](Value first, int64_t number) {
      return emit.mul(emit.add(first, number), SharedTile::rowBytes);
    };
    // What is added to a first row is a multiple of 8, and to the first key that or 1 more.
    Value keyPhases[] = {firstKey, emit.add(firstKey, 1)};
    Values zeros(repeats * key.rows / 2, emit.f32(0.0f));
    Values scores = emit.loop(
        emit.i32(0), emit.i32(query.columns), emit.i32(1), zeros,
        [&](Value column, ValueRange sums) {
          Values queries, next;
          for (int64_t row = 0; row < 2 * repeats; ++row)
            queries.push_back(loadElement(emit, query, rowBytes(firstRow, rowOffset(row)), place.g,
                                          column, element));
          SmallVector<std::array<Value, 2>> keys;
          for (int64_t block = 0; block < key.rows / 8; ++block) {
            keys.emplace_back();
            for (int64_t i : {0, 1})
              keys.back()[i] = loadElement(emit, key, rowBytes(firstKey, 8 * block + i),
                                           keyPhases[i], column, element);
          }
          for (size_t number = 0; number < sums.size(); ++number) {
            size_t row = rowOfElement(number, key.rows);
            size_t inBlock = number % (key.rows / 2);
            next.push_back(emit.fma(queries[row], keys[inBlock / 4][inBlock % 2], sums[number]));
          }
          return next;
        });
    // The first lane of a warp gives tiles back for all of them: they have read theirs.
    emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
    return Results{scores};
  }
};

struct ToyLowering : LoweringInterface {
  explicit ToyLowering(Dialect *dialect) : LoweringInterface(dialect) {}

  void populatePatterns(RewritePatternSet &patterns, const TypeConverter &types,
                        const FunctionContext &function) const override {
    patterns.add<LowerDot>(types, patterns.getContext(), function);
  }
};

} // namespace

void toy::ToyDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "test/ScoreOp/ToyOps.cpp.inc"
      >();
  addInterfaces<ToyLowering>();
}
