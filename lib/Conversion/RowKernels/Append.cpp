//===- Append.cpp - The kernel that copies rows into pages ----------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Some lanes share a row: each copies one piece of 16 bytes, or of as many as the length of the row is a multiple of, of each
// of its parts. All pieces are loaded before one is stored, so that the copies of a row take the time of one. Rows whose
// addresses are no multiples of their pieces, which strides may make, are copied element by element.
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
  /// Where a part of one row is.
  struct Addresses {
    Value from, to;
  };
  LogicalResult lower(AppendOp op);
  Part partOf(Value source, Value target);
  /// Copies row `row` (i64) to place `token` of page `page` (i64), where there is such a page.
  void copyTo(AppendOp op, Value row, Value page, Value token);
  void copyPieces(ArrayRef<Addresses> addresses);
  void copyElements(ArrayRef<Addresses> addresses);
  /// Whether the addresses of all pieces are multiples of their bytes.
  Value areAligned(ArrayRef<Addresses> addresses);

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
  return {kernel.memory(source), kernel.memory(target), columns, elementBytes, pieceBytes,
          columns * elementBytes / pieceBytes};
}

Value AppendKernel::areAligned(ArrayRef<Addresses> addresses) {
  Value rest = emit.i64(0);
  for (auto [part, at] : llvm::zip_equal(parts, addresses))
    for (Value address : {at.from, at.to}) {
      Value bits = emit.make<LLVM::PtrToIntOp>(emit.getI64Type(), address);
      rest = emit.bitOr(rest, emit.bitAnd(bits, part.pieceBytes - 1));
    }
  return emit.equal(rest, emit.i64(0));
}

void AppendKernel::copyPieces(ArrayRef<Addresses> addresses) {
  // A lane has one piece of a part, or several of one with very long rows.
  auto forEachPiece = [&](function_ref<void(size_t, Value, int64_t)> body) {
    for (auto [number, part] : llvm::enumerate(parts))
      for (int64_t first = 0; first < part.numPieces; first += lanesInRow)
        body(number, emit.add(lane, first), first);
  };
  auto whereMine = [&](const Part &part, Value piece, int64_t first) {
    return first + lanesInRow <= part.numPieces ? Value()
                                                : isBelow(piece, emit.i32(part.numPieces));
  };
  Emitter::Values loaded;
  forEachPiece([&](size_t number, Value piece, int64_t first) {
    const Part &part = parts[number];
    // A lane without a piece reads the first one, and does not store it.
    Value isMine = whereMine(part, piece, first);
    Value place = isMine ? emit.select(isMine, piece, emit.i32(0)) : piece;
    loaded.push_back(emit.load(bytesType(part.pieceBytes),
                               atByte(addresses[number].from, emit.mul(place, part.pieceBytes)),
                               part.pieceBytes));
  });
  size_t next = 0;
  forEachPiece([&](size_t number, Value piece, int64_t first) {
    const Part &part = parts[number];
    Value bytes = loaded[next++];
    auto store = [&] {
      emit.store(bytes, atByte(addresses[number].to, emit.mul(piece, part.pieceBytes)),
                 part.pieceBytes);
    };
    if (Value isMine = whereMine(part, piece, first))
      emit.when(isMine, store);
    else
      store();
  });
}

void AppendKernel::copyElements(ArrayRef<Addresses> addresses) {
  for (auto [part, at] : llvm::zip_equal(parts, addresses)) {
    int64_t bytes = part.elementBytes;
    Value from = at.from, to = at.to;
    emit.loop(lane, emit.i32(part.columns), emit.i32(lanesInRow), {},
              [&](Value column, ValueRange) {
                Value byte = emit.mul(column, bytes);
                Value element = emit.load(bytesType(bytes), atByte(from, byte), bytes);
                emit.store(element, atByte(to, byte), bytes);
                return Emitter::Values();
              });
  }
}

void AppendKernel::copyTo(AppendOp op, Value row, Value page, Value token) {
  emit.when(isBelow(page, numPages), [&] {
    Value place = emit.rem(token, pageSize), head = kernel.scalar(op.getHead());
    llvm::SmallVector<Addresses> addresses;
    for (const Part &part : parts)
      addresses.push_back({kernel.address(part.source, kernel.scalar(op.getBatch()), head, row),
                           kernel.address(part.target, page, head, place)});
    emit.choose(
        areAligned(addresses),
        [&]() -> Emitter::Values {
          copyPieces(addresses);
          return {};
        },
        [&]() -> Emitter::Values {
          copyElements(addresses);
          return {};
        });
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
  int64_t rows = static_cast<int64_t>(op.getRows()), rowsAtOnce = rowKernelThreads / lanesInRow;
  Value first = emit.toI64(emit.div(kernel.thread, lanesInRow));
  Value batch = kernel.scalar(op.getBatch()), none = emit.i32(0);
  Value numRows = parts.front().source.rows;
  Value end = numRows;
  if (op.getSlots())
    end = emit.minSigned(end, kernel.memory(op.getSlots()).rows);
  Value lastOfTile = emit.add(emit.toI64(kernel.scalar(op.getRow())), rows);
  end = emit.minSigned(end, lastOfTile);
  auto read = [&](Type type, Value memory, Value batch, Value row) {
    return emit.toI64(emit.load(type, kernel.address(kernel.memory(memory), batch, none, row)));
  };
  emit.loop(emit.i32(0), emit.i32(rows), emit.i32(rowsAtOnce), {}, [&](Value start, ValueRange) {
    Value row = emit.add(emit.toI64(kernel.scalar(op.getRow())),
                         emit.add(emit.toI64(start), first));
    emit.when(emit.less(row, end), [&] {
      if (op.getSlots()) {
        Value slot = read(emit.getI64Type(), op.getSlots(), none, row);
        copyTo(op, row, emit.div(slot, pageSize), slot);
        return;
      }
      Value length = read(emit.getI32Type(), op.getLengths(), none, batch);
      Value token = emit.add(emit.sub(length, numRows), row);
      Value most = emit.mul(kernel.memory(op.getPages()).rows, pageSize);
      emit.when(isBelow(token, most), [&] {
        Value entry = emit.div(token, pageSize);
        copyTo(op, row, read(emit.getI32Type(), op.getPages(), batch, entry), token);
      });
    });
    return Emitter::Values();
  });
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
