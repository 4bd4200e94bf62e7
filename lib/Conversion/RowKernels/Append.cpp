//===- Append.cpp - The kernel that copies rows into pages ----------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Some lanes share a row: each copies one piece of 16 bytes, or of as many as the length of the row
// is a multiple of, of each of its parts. All pieces are loaded before the place of the row is
// known, so that they are on their way while it is looked up. Memories whose rows do not begin at
// multiples of their pieces are copied element by element.
//
//===----------------------------------------------------------------------===//

#include "RowFunction.h"

#include <numeric>

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::simt;

namespace {

class AppendKernel {
public:
  explicit AppendKernel(RowFunction &kernel) : kernel(kernel), emit(kernel.emit) {}
  LogicalResult run();

private:
  /// A source and its target; rows of `numPieces` pieces of `pieceBytes` bytes.
  struct Part {
    const Memory &source, &target;
    int64_t columns, elementBytes, pieceBytes, numPieces;
  };
  /// Where a row goes: its page and its place there, and whether there is such a page.
  struct Place {
    Value page, row, exists;
  };
  LogicalResult lower(AppendOp op);
  Part partOf(Value source, Value target);
  /// Whether the rows of all parts begin at multiples of their pieces: the same for all threads.
  Value areAligned();
  void copyRows(AppendOp op, bool inPieces);
  Place findPlace(AppendOp op, Value row);
  /// The start of row `row` (i64) of the source of a part, and of its place in the target.
  Value source(AppendOp op, const Part &part, Value row) {
    return kernel.address(part.source, kernel.scalar(op.getBatch()), kernel.scalar(op.getHead()),
                          row);
  }
  Value target(AppendOp op, const Part &part, const Place &place) {
    return kernel.address(part.target, place.page, kernel.scalar(op.getHead()), place.row);
  }
  /// Loads the lane's pieces of a row, or stores them.
  Emitter::Values loadPieces(AppendOp op, Value row);
  void storePieces(AppendOp op, ArrayRef<Value> pieces, const Place &place);
  void copyElements(AppendOp op, Value row, const Place &place);
  /// Calls `body` with each piece of the lane in each part, and whether there is such a piece, null
  /// where there always is. A lane has one piece of a part, or several of one with very long rows.
  void forEachPiece(function_ref<void(const Part &, Value, Value)> body);

  Value isBelow(Value number, Value end) {
    // A number below 0 is a large one without a sign.
    return emit.compare(arith::CmpIPredicate::ult, number, end);
  }
  Type bytesType(int64_t bytes) {
    if (bytes <= 4)
      return emit.getIntegerType(8 * bytes);
    return VectorType::get(bytes / 4, emit.getI32Type());
  }
  Value atByte(Value start, Value byte) { return emit.offset(start, byte, emit.getI8Type()); }

  static constexpr int64_t mostPieceBytes = 16, warpSize = 32;

  RowFunction &kernel;
  Emitter &emit;
  llvm::SmallVector<Part> parts;
  int64_t pageSize = 0, lanesInRow = 1;
  Value lane, numPages;
};

} // namespace

AppendKernel::Part AppendKernel::partOf(Value source, Value target) {
  auto type = cast<MemRefType>(source.getType());
  int64_t columns = type.getDimSize(3), elementBytes = type.getElementTypeBitWidth() / 8;
  int64_t pieceBytes = std::gcd(columns * elementBytes, mostPieceBytes);
  return {kernel.memory(source),
          kernel.memory(target),
          columns,
          elementBytes,
          pieceBytes,
          columns * elementBytes / pieceBytes};
}

Value AppendKernel::areAligned() {
  Value rest = emit.i64(0);
  for (const Part &part : parts)
    for (const Memory *memory : {&part.source, &part.target}) {
      Value bits = emit.make<LLVM::PtrToIntOp>(emit.getI64Type(), memory->pointer);
      for (Value stride : {memory->batchStride, memory->headStride, memory->rowStride})
        bits = emit.bitOr(bits, emit.mul(stride, part.elementBytes));
      rest = emit.bitOr(rest, emit.bitAnd(bits, part.pieceBytes - 1));
    }
  return emit.equal(rest, emit.i64(0));
}

void AppendKernel::forEachPiece(function_ref<void(const Part &, Value, Value)> body) {
  for (const Part &part : parts)
    for (int64_t first = 0; first < part.numPieces; first += lanesInRow) {
      Value piece = emit.add(lane, first);
      bool isFull = first + lanesInRow <= part.numPieces;
      body(part, piece, isFull ? Value() : isBelow(piece, emit.i32(part.numPieces)));
    }
}

Emitter::Values AppendKernel::loadPieces(AppendOp op, Value row) {
  Emitter::Values loaded;
  forEachPiece([&](const Part &part, Value piece, Value isMine) {
    // A lane without a piece reads the first one, and does not store it.
    Value place = isMine ? emit.select(isMine, piece, emit.i32(0)) : piece;
    loaded.push_back(emit.load(bytesType(part.pieceBytes),
                               atByte(source(op, part, row), emit.mul(place, part.pieceBytes)),
                               part.pieceBytes));
  });
  return loaded;
}

void AppendKernel::storePieces(AppendOp op, ArrayRef<Value> pieces, const Place &place) {
  forEachPiece([&](const Part &part, Value piece, Value isMine) {
    Value bytes = pieces.front();
    pieces = pieces.drop_front();
    Value isStored = isMine ? emit.bitAnd(isMine, place.exists) : place.exists;
    emit.when(isStored, [&] {
      emit.store(bytes, atByte(target(op, part, place), emit.mul(piece, part.pieceBytes)),
                 part.pieceBytes);
    });
  });
}

void AppendKernel::copyElements(AppendOp op, Value row, const Place &place) {
  for (const Part &part : parts) {
    int64_t bytes = part.elementBytes;
    Value from = source(op, part, row), to = target(op, part, place);
    emit.loop(lane, emit.i32(part.columns), emit.i32(lanesInRow), {},
              [&](Value column, ValueRange) {
                Value byte = emit.mul(column, bytes);
                Value element = emit.load(bytesType(bytes), atByte(from, byte), bytes);
                emit.store(element, atByte(to, byte), bytes);
                return Emitter::Values();
              });
  }
}

AppendKernel::Place AppendKernel::findPlace(AppendOp op, Value row) {
  Value none = emit.i32(0), batch = kernel.scalar(op.getBatch());
  auto read = [&](Type type, Value memory, Value batch, Value row) {
    return emit.toI64(emit.load(type, kernel.address(kernel.memory(memory), batch, none, row)));
  };
  if (op.getSlots()) {
    Value slot = read(emit.getI64Type(), op.getSlots(), none, row);
    Value page = emit.div(slot, pageSize);
    return {page, emit.rem(slot, pageSize), isBelow(page, numPages)};
  }
  Value length = read(emit.getI32Type(), op.getLengths(), none, batch);
  Value token = emit.add(emit.sub(length, parts.front().source.rows), row);
  Value exists = isBelow(token, emit.mul(kernel.memory(op.getPages()).rows, pageSize));
  Emitter::Values page = emit.choose(
      exists,
      [&]() -> Emitter::Values {
        return {read(emit.getI32Type(), op.getPages(), batch, emit.div(token, pageSize))};
      },
      [&]() -> Emitter::Values { return {emit.i64(-1)}; });
  return {page[0], emit.rem(token, pageSize), isBelow(page[0], numPages)};
}

void AppendKernel::copyRows(AppendOp op, bool inPieces) {
  int64_t rows = static_cast<int64_t>(op.getRows()), rowsAtOnce = rowKernelThreads / lanesInRow;
  Value firstOfTile = emit.toI64(kernel.scalar(op.getRow()));
  Value first = emit.add(firstOfTile, emit.toI64(emit.div(kernel.thread, lanesInRow)));
  Value end = emit.minSigned(parts.front().source.rows, emit.add(firstOfTile, rows));
  if (op.getSlots())
    end = emit.minSigned(end, kernel.memory(op.getSlots()).rows);
  emit.loop(emit.i32(0), emit.i32(rows), emit.i32(rowsAtOnce), {}, [&](Value start, ValueRange) {
    Value row = emit.add(first, emit.toI64(start));
    emit.when(emit.less(row, end), [&] {
      if (inPieces) {
        Emitter::Values pieces = loadPieces(op, row);
        storePieces(op, pieces, findPlace(op, row));
        return;
      }
      Place place = findPlace(op, row);
      emit.when(place.exists, [&] { copyElements(op, row, place); });
    });
    return Emitter::Values();
  });
}

LogicalResult AppendKernel::lower(AppendOp op) {
  if (!parts.empty())
    return op.emitOpError("is not supported beside another one in a kernel on a GPU");
  int64_t mostPieces = 1;
  for (auto [source, target] : llvm::zip_equal(op.getSources(), op.getTargets())) {
    parts.push_back(partOf(source, target));
    mostPieces = std::max(mostPieces, parts.back().numPieces);
    Value pages = kernel.batches(target);
    numPages = numPages ? emit.minSigned(numPages, pages) : pages;
  }
  lanesInRow = std::min(warpSize, static_cast<int64_t>(llvm::PowerOf2Ceil(mostPieces)));
  pageSize = cast<MemRefType>(op.getTargets().front().getType()).getDimSize(2);
  lane = emit.rem(kernel.thread, lanesInRow);
  auto copy = [&](bool inPieces) {
    copyRows(op, inPieces);
    return Emitter::Values();
  };
  emit.choose(areAligned(), [&] { return copy(true); }, [&] { return copy(false); });
  return success();
}

LogicalResult AppendKernel::run() {
  for (Operation &op : kernel.kernel.getBody().front().without_terminator()) {
    emit.setLoc(op.getLoc());
    if (auto append = dyn_cast<AppendOp>(op)) {
      if (failed(lower(append)))
        return failure();
    } else if (isa<arith::ArithDialect>(op.getDialect())) {
      emit.clone(op, kernel.mapping);
    } else {
      return op.emitOpError("is not supported in a kernel that copies rows into pages on a GPU");
    }
  }
  return success();
}

LogicalResult sfa::simt::lowerAppendKernel(RowFunction &lowering) {
  return AppendKernel(lowering).run();
}
