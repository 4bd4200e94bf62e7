//===- StoredScales.cpp - Scales of 8-bit integers in memory -----------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StoredScales.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

StoredScales::StoredScales(Emitter &emit, const Memory &memory, Value batch, Value head,
                           Scales sharedBy)
    : emit(emit), memory(memory), base(memory.address(emit, batch, head, emit.i64(0))),
      sharedBy(sharedBy) {}

Value StoredScales::at(Value row, Value headsBehind) const {
  Value place = emit.i64(0);
  if (std::optional<int64_t> tokensEach = getTokensOfScale(sharedBy))
    place = *tokensEach == 1 ? row : emit.div(row, *tokensEach);
  Value exists = emit.less(place, memory.rows);
  // A row that does not exist reads none: its place is that of the first one.
  Value element = memory.elementsTo(emit, emit.select(exists, place, emit.i64(0)), headsBehind);
  Type f32 = emit.getF32Type();
  return emit
      .choose(
          exists, [&] { return Emitter::Values{emit.load(f32, emit.offset(base, element, f32))}; },
          [&] { return Emitter::Values{emit.f32(1.0f)}; })
      .front();
}
