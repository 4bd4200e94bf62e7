//===- LoadStore.cpp - Tiles and codes from memory, to memory, and from one form to another -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

Value KernelLowering::validRows(Value memory, Value row, int64_t rows, Value limit) {
  Value end = emit.dim(memory, 2);
  if (limit)
    end = emit.minIndex(end, scalar(limit));
  Value left = emit.sub(end, row);
  return emit.maxIndex(emit.minIndex(left, emit.index(rows)), emit.index(0));
}

void KernelLowering::fillMatrix(MatrixBuffer matrix, float value) {
  Value vector = emit.splat(value);
  emit.loop(0, matrix.rows, 1, [&](Value row) {
    emit.loop(0, matrix.columns, emit.lanes,
              [&](Value column) { emit.storeVector(vector, matrix.memory, {row, column}); });
  });
}

void KernelLowering::forEachHead(uint64_t heads, Value head, int64_t rows,
                                 function_ref<void(Value, Value)> body) {
  if (heads == 1)
    return body(head, emit.index(0));
  emit.loop(0, static_cast<int64_t>(heads), 1, [&](Value number) {
    body(emit.add(head, number), emit.mul(number, emit.index(rows)));
  });
}

//===----------------------------------------------------------------------===//
// Dense tiles
//===----------------------------------------------------------------------===//

KernelLowering::PagedRow KernelLowering::rowOfPages(Value memory, Value pages, Value sequence,
                                                    Value row) {
  int64_t size = cast<MemRefType>(memory.getType()).getDimSize(2);
  Value entry = emit.make<arith::DivUIOp>(row, emit.index(size));
  Value number = emit.make<arith::IndexCastOp>(emit.getIndexType(),
                                               emit.load(pages, ValueRange{sequence, entry}));
  Value last = emit.sub(emit.dim(memory, 0), emit.index(1));
  return {emit.maxIndex(emit.minIndex(number, last), emit.index(0)),
          emit.make<arith::RemUIOp>(row, emit.index(size))};
}

Value KernelLowering::validRowsOfPages(Value memory, Value row, int64_t rows, Value limit) {
  // Of no pages there are no rows.
  Value end = emit.select(emit.compare(arith::CmpIPredicate::sgt, emit.dim(memory, 0), emit.index(0)),
                          scalar(limit), emit.index(0));
  Value left = emit.sub(end, row);
  return emit.maxIndex(emit.minIndex(left, emit.index(rows)), emit.index(0));
}

void KernelLowering::lower(LoadOp op) {
  TileType tile = op.getTile().getType();
  Value memory = scalar(op.getMemory()), first = scalar(op.getRow());
  auto heads = static_cast<int64_t>(op.getHeads());
  int64_t rows = ScheduleAttr::rowsOfHead(tile.getRows(), heads);
  MatrixBuffer matrix = allocateMatrix(tile.getRows(), tile.getColumns());
  Value valid = op.getPages() ? validRowsOfPages(memory, first, rows, op.getLimit())
                              : validRows(memory, first, rows, op.getLimit());
  Value zero = emit.splat(0.0f);
  int64_t whole = tile.getColumns() / emit.lanes * emit.lanes;

  auto loadRow = [&](Value head, Value source, Value row) {
    Value batch = scalar(op.getBatch());
    if (op.getPages())
      std::tie(batch, source) = rowOfPages(memory, scalar(op.getPages()), batch, source);
    emit.loop(0, whole, emit.lanes, [&](Value column) {
      Value vector = emit.loadVector(memory, {batch, head, source, column});
      emit.storeVector(emit.extend(vector), matrix.memory, {row, column});
    });
    if (whole == tile.getColumns())
      return;
    emit.storeVector(zero, matrix.memory, {row, emit.index(whole)});
    emit.loop(whole, tile.getColumns(), 1, [&](Value column) {
      Value value = emit.load(memory, {batch, head, source, column});
      emit.store(emit.extend(value), matrix.memory, {row, column});
    });
  };
  auto zeroRow = [&](Value row) {
    emit.loop(0, tile.getColumns(), emit.lanes,
              [&](Value column) { emit.storeVector(zero, matrix.memory, {row, column}); });
  };
  forEachHead(op.getHeads(), scalar(op.getHead()), rows, [&](Value head, Value start) {
    emit.loop(emit.index(0), valid, 1,
              [&](Value row) { loadRow(head, emit.add(first, row), emit.add(start, row)); });
    emit.loop(valid, emit.index(rows), 1, [&](Value row) { zeroRow(emit.add(start, row)); });
  });
  if (heads * rows < tile.getRows())
    emit.loop(heads * rows, tile.getRows(), 1, zeroRow);

  if (keyTiles.contains(op.getTile())) {
    MatrixBuffer featureMajor = allocateMatrix(tile.getColumns(), tile.getRows());
    transpose(matrix, featureMajor);
    matrix = featureMajor;
  }
  matrices[op.getTile()] = matrix;
}

void KernelLowering::storeRow(Value tile, Value row, Value memory, Value batch, Value head,
                              Value target) {
  auto type = cast<TileType>(tile.getType());
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  if (type.isRowVector()) {
    Value value = emit.load(rowVector(tile), row);
    emit.store(emit.round(value, element), memory, {batch, head, target});
    return;
  }
  MatrixBuffer from = rowMatrix(tile);
  int64_t whole = type.getColumns() / emit.lanes * emit.lanes;
  emit.loop(0, whole, emit.lanes, [&](Value column) {
    Value vector = emit.loadVector(from.memory, {row, column});
    emit.storeVector(emit.round(vector, element), memory, {batch, head, target, column});
  });
  emit.loop(whole, type.getColumns(), 1, [&](Value column) {
    Value value = emit.load(from.memory, {row, column});
    emit.store(emit.round(value, element), memory, {batch, head, target, column});
  });
}

void KernelLowering::lower(StoreOp op) {
  Value memory = scalar(op.getMemory()), batch = scalar(op.getBatch()), first = scalar(op.getRow());
  TileType tile = op.getTile().getType();
  int64_t rows = ScheduleAttr::rowsOfHead(tile.getRows(), static_cast<int64_t>(op.getHeads()));
  Value valid = validRows(memory, first, rows, op.getLimit());
  forEachHead(op.getHeads(), scalar(op.getHead()), rows, [&](Value head, Value start) {
    emit.loop(emit.index(0), valid, 1, [&](Value row) {
      storeRow(op.getTile(), emit.add(start, row), memory, batch, head, emit.add(first, row));
    });
  });
}

void KernelLowering::lower(ProbeOp op) {
  Value memory = scalar(op.getMemory()), first = scalar(op.getRow());
  if (block)
    first = emit.add(first, block->start);
  emit.when(scalar(op.getCondition()), [&] {
    Value valid = validRows(memory, first, rowsOf(op.getTile().getType()));
    emit.loop(emit.index(0), valid, 1, [&](Value row) {
      storeRow(op.getTile(), row, memory, scalar(op.getBatch()), scalar(op.getHead()),
               emit.add(first, row));
    });
  });
}

void KernelLowering::lower(FillOp op) {
  auto tile = cast<TileType>(op.getTile().getType());
  float value = op.getValue().convertToFloat();
  if (!tile.isRowVector()) {
    MatrixBuffer matrix = allocateMatrix(rowsOf(tile), tile.getColumns());
    fillMatrix(matrix, value);
    matrices[op.getTile()] = matrix;
    return;
  }
  rowVectors[op.getTile()] =
      mapRows(rowsOf(tile), {}, [&](ArrayRef<Value>) { return emit.splat(value); });
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

Value KernelLowering::placeOfScale(Scales sharedBy, Value token) {
  std::optional<int64_t> tokensEach = getTokensOfScale(sharedBy);
  if (!tokensEach)
    return emit.index(0);
  return *tokensEach == 1 ? token
                          : emit.make<arith::DivUIOp>(token, emit.index(*tokensEach)).getResult();
}

Value KernelLowering::codeValue(const CodesView &codes, Value row, Value t) {
  SmallVector<Value, 4> indices(codes.leading.begin(), codes.leading.end());
  Value token = emit.add(codes.first, row);
  indices.append({token, t});
  Value value = emit.extend(emit.load(codes.values, indices));
  if (!codes.scales)
    return value;
  indices.pop_back();
  indices.back() = placeOfScale(codes.sharedBy, token);
  return emit.mul(value, emit.load(codes.scales, indices));
}

Value KernelLowering::codeFeature(const CodesView &codes, Value row, Value t) {
  SmallVector<Value, 4> indices(codes.leading.begin(), codes.leading.end());
  indices.append({emit.add(codes.first, row), t});
  return emit.toIndex(emit.load(codes.features, indices));
}

void KernelLowering::loadCodesOfPages(LoadCodesOp op) {
  CodesType type = op.getCodes().getType();
  Value values = scalar(op.getValues()), indices = scalar(op.getIndices()), row = scalar(op.getRow()),
        head = scalar(op.getHead());
  auto elementOf = [](Value memory) { return cast<MemRefType>(memory.getType()).getElementType(); };
  Value valid = validRowsOfPages(values, row, type.getRows(), op.getLimit());
  CodesView copy{allocate({type.getRows(), type.getK()}, emit.getF32Type()),
                 allocate({type.getRows(), type.getK()}, elementOf(indices)),
                 {},
                 emit.index(0),
                 valid,
                 type.getRows(),
                 type.getK()};
  Value zero = emit.f32(0.0f);
  Value noFeature = emit.make<arith::ConstantOp>(cast<TypedAttr>(emit.getZeroAttr(elementOf(indices))));
  emit.loop(emit.index(0), valid, 1, [&](Value number) {
    auto [page, place] = rowOfPages(values, scalar(op.getPages()), scalar(op.getBatch()),
                                    emit.add(row, number));
    emit.loop(0, type.getK(), 1, [&, page = page, place = place](Value t) {
      Value value = emit.extend(emit.load(values, {page, head, place, t}));
      Value feature = emit.load(indices, {page, head, place, t});
      // Nobody has looked at the features of a pool: one that does not exist is left out.
      Value exists = emit.compare(arith::CmpIPredicate::ult, emit.toIndex(feature),
                                  emit.index(type.getFeatures()));
      emit.store(emit.select(exists, value, zero), copy.values, {number, t});
      emit.store(emit.select(exists, feature, noFeature), copy.features, {number, t});
    });
  });
  codes[op.getCodes()] = copy;
}

void KernelLowering::lower(LoadCodesOp op) {
  if (op.getPages())
    return loadCodesOfPages(op);
  CodesType type = op.getCodes().getType();
  Value values = scalar(op.getValues()), row = scalar(op.getRow());
  auto heads = static_cast<int64_t>(op.getHeads());
  int64_t rows = ScheduleAttr::rowsOfHead(type.getRows(), heads);
  CodesView view{
      values,     scalar(op.getIndices()),      {scalar(op.getBatch()), scalar(op.getHead())},
      row,        validRows(values, row, rows), rows,
      type.getK()};
  if (op.getScales()) {
    view.scales = scalar(op.getScales());
    view.sharedBy = *op.getSharedBy();
  }
  codes[op.getCodes()] = heads == 1 ? view : copyHeads(view, heads, type.getRows());
}

CodesView KernelLowering::copyHeads(CodesView codes, int64_t heads, int64_t rows) {
  auto elementOf = [](Value memory) { return cast<MemRefType>(memory.getType()).getElementType(); };
  CodesView copy{allocate({rows, codes.k}, emit.getF32Type()),
                 allocate({rows, codes.k}, elementOf(codes.features)),
                 {},
                 emit.index(0),
                 emit.index(rows),
                 rows,
                 codes.k};
  auto forEachPlace = [&](Value start, Value lower, Value upper,
                          function_ref<void(Value, ArrayRef<Value>)> body) {
    emit.loop(lower, upper, 1, [&](Value row) {
      emit.loop(0, codes.k, 1, [&](Value t) { body(row, {emit.add(start, row), t}); });
    });
  };
  auto zero = [&](Value memory) -> Value {
    return emit.make<arith::ConstantOp>(cast<TypedAttr>(emit.getZeroAttr(elementOf(memory))));
  };
  auto zeroPlaces = [&](Value start, Value lower, Value upper) {
    forEachPlace(start, lower, upper, [&](Value, ArrayRef<Value> place) {
      emit.store(zero(copy.values), copy.values, place);
      emit.store(zero(copy.features), copy.features, place);
    });
  };
  forEachHead(heads, codes.leading[1], codes.rows, [&](Value head, Value start) {
    CodesView source = codes;
    source.leading[1] = head;
    forEachPlace(start, emit.index(0), codes.valid, [&](Value row, ArrayRef<Value> place) {
      emit.store(codeValue(source, row, place[1]), copy.values, place);
      Value feature = emit.make<arith::IndexCastUIOp>(elementOf(copy.features),
                                                      codeFeature(source, row, place[1]));
      emit.store(feature, copy.features, place);
    });
    // Rows that do not exist have codes of value 0.
    zeroPlaces(start, codes.valid, emit.index(codes.rows));
  });
  if (heads * codes.rows < rows)
    zeroPlaces(emit.index(0), emit.index(heads * codes.rows), emit.index(rows));
  return copy;
}

void KernelLowering::lower(LoadScalesOp op) {
  TileType tile = op.getScales().getType();
  Value memory = scalar(op.getMemory()), batch = scalar(op.getBatch()), first = scalar(op.getRow());
  auto heads = static_cast<int64_t>(op.getHeads());
  int64_t rows = ScheduleAttr::rowsOfHead(tile.getRows(), heads);
  Value scales = allocateRows(tile), count = emit.dim(memory, 2), one = emit.splat(1.0f);
  emit.loop(0, tile.getRows(), emit.lanes, [&](Value row) { emit.storeVector(one, scales, row); });
  forEachHead(op.getHeads(), scalar(op.getHead()), rows, [&](Value head, Value start) {
    emit.loop(0, rows, 1, [&](Value row) {
      Value place = placeOfScale(op.getSharedBy(), emit.add(first, row));
      emit.when(emit.compare(arith::CmpIPredicate::slt, place, count), [&] {
        emit.store(emit.load(memory, {batch, head, place}), scales, emit.add(start, row));
      });
    });
  });
  rowVectors[op.getScales()] = scales;
}

void KernelLowering::lower(StoreCodesOp op) {
  CodesView view = codes.at(op.getCodes());
  Value values = scalar(op.getValues()), indices = scalar(op.getIndices()),
        batch = scalar(op.getBatch()), head = scalar(op.getHead()), first = scalar(op.getRow());
  Type element = op.getValues().getType().getElementType(),
       index = op.getIndices().getType().getElementType();
  Value rows = emit.minIndex(view.valid, validRows(values, first, view.rows));
  emit.loop(emit.index(0), rows, 1, [&](Value row) {
    Value target = emit.add(first, row);
    emit.loop(0, view.k, 1, [&](Value t) {
      emit.store(emit.round(codeValue(view, row, t), element), values, {batch, head, target, t});
      Value feature = emit.make<arith::IndexCastOp>(index, codeFeature(view, row, t));
      emit.store(feature, indices, {batch, head, target, t});
    });
  });
}

void KernelLowering::lower(ExpandOp op) {
  CodesView view = codes.at(op.getCodes());
  TileType tile = op.getTile().getType();
  bool featureMajor = keyTiles.contains(op.getTile());
  MatrixBuffer matrix = featureMajor ? allocateMatrix(tile.getColumns(), tile.getRows())
                                     : allocateMatrix(tile.getRows(), tile.getColumns());
  fillMatrix(matrix, 0.0f);
  // Added, not stored: a padded code names a feature with the value 0.
  emit.loop(emit.index(0), view.valid, 1, [&](Value row) {
    emit.loop(0, view.k, 1, [&](Value t) {
      Value feature = codeFeature(view, row, t);
      SmallVector<Value, 2> place{row, feature};
      if (featureMajor)
        std::swap(place[0], place[1]);
      Value sum = emit.add(emit.load(matrix.memory, place), codeValue(view, row, t));
      emit.store(sum, matrix.memory, place);
    });
  });
  matrices[op.getTile()] = matrix;
}
