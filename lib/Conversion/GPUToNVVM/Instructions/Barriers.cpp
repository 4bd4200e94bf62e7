//===- Barriers.cpp - Rings of tiles between a producer and consumers --------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Barriers.h"

using namespace mlir;
using namespace sfa::simt;

/// How long a wait may sleep before it looks again, in nanoseconds.
static constexpr int64_t suspendTime = 10000000;

Value BarrierArray::at(Value index) const {
  return emit->offset(base, emit->mul(index, bytesEach), emit->getI8Type());
}

void BarrierArray::init(int64_t index, int64_t arrivals) const {
  emit->make<NVVM::MBarrierInitOp>(emit->offset(base, index * bytesEach), emit->i32(arrivals),
                                   Value());
}

void sfa::simt::fenceInits(Emitter &emit) {
  emit.make<NVVM::FenceMbarrierInitOp>();
  fenceStores(emit);
}

void sfa::simt::fenceStores(Emitter &emit) {
  emit.make<NVVM::FenceProxyOp>(
      NVVM::ProxyKind::async_shared,
      NVVM::SharedSpaceAttr::get(emit.getContext(), NVVM::SharedSpace::shared_cta));
}

void sfa::simt::waitFor(Emitter &emit, Value barrier, Value parity) {
  emit.make<NVVM::MBarrierTryWaitParityOp>(barrier, parity, emit.i32(suspendTime));
}

void sfa::simt::arriveWhere(Emitter &emit, Value condition, Value barrier) {
  emit.make<LLVM::InlineAsmOp>(
      TypeRange(), ValueRange{condition, barrier}, "@$0 mbarrier.arrive.shared::cta.b64 _, [$1];",
      "b,r,~{memory}", /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(emit.getContext(), LLVM::AsmDialect::AD_ATT), ArrayAttr());
}

void sfa::simt::arriveExpecting(Emitter &emit, Value barrier, int64_t bytes) {
  emit.make<NVVM::MBarrierArriveExpectTxOp>(Type(), barrier, emit.i32(bytes),
                                            NVVM::MemScopeKind::CTA, /*relaxed=*/false, Value());
}

Value sfa::simt::anyOfBlock(Emitter &emit, Value condition) {
  Value word = emit.make<arith::ExtUIOp>(emit.getI32Type(), condition);
  auto any = NVVM::BarrierReductionAttr::get(emit.getContext(), NVVM::BarrierReduction::OR);
  Value result =
      emit.make<NVVM::BarrierOp>(emit.getI32Type(), Value(), Value(), any, word).getRes();
  return emit.compare(arith::CmpIPredicate::ne, result, emit.i32(0));
}

RingPosition RingPosition::next(Emitter &emit, int64_t stages) const {
  Value following = emit.add(stage, 1);
  Value wraps = emit.equal(following, emit.i32(stages));
  return {emit.select(wraps, emit.i32(0), following),
          emit.select(wraps, emit.bitXor(parity, 1), parity)};
}
