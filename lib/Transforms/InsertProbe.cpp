//===- InsertProbe.cpp - Give a kernel an output for what it has between -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_SFAINSERTPROBEPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa::tile;

namespace {

/// A value of a key loop, and the stage whose operations see it.
struct Probed {
  Value value;
  Region *stage;
};

struct InsertProbe : sfa::impl::SFAInsertProbePassBase<InsertProbe> {
  using SFAInsertProbePassBase::SFAInsertProbePassBase;

  void runOnOperation() override {
    if (failed(insert()))
      signalPassFailure();
  }

private:
  LogicalResult insert();
  FailureOr<KernelOp> findKernel();
  FailureOr<LaunchOp> findLaunch(KernelOp kernel);
  FailureOr<Probed> findValue(KeyLoopOp loop);
  void probe(KernelOp kernel, KeyLoopOp loop, Probed probed, MemRefType memory);
};

} // namespace

static KeyLoopOp getLoop(KernelOp kernel) {
  auto loops = kernel.getBody().getOps<KeyLoopOp>();
  return loops.empty() ? KeyLoopOp() : *loops.begin();
}

FailureOr<KernelOp> InsertProbe::findKernel() {
  ModuleOp module = getOperation();
  SmallVector<KernelOp> found;
  for (KernelOp op : module.getOps<KernelOp>())
    if (getLoop(op) && (kernel.empty() || op.getSymName() == kernel))
      found.push_back(op);
  if (found.size() == 1)
    return found.front();
  if (!kernel.empty())
    return module.emitError() << "has no sfa_tile.kernel @" << kernel
                              << " with a key loop for sfa-insert-probe";
  if (found.empty())
    return module.emitError("has no sfa_tile.kernel with a key loop for sfa-insert-probe; run "
                            "convert-sfa-to-tile before");
  InFlightDiagnostic error = module.emitError(
      "has several kernels with a key loop; say which one sfa-insert-probe is for: kernel=");
  llvm::interleave(
      found, [&](KernelOp op) { error << op.getSymName(); }, [&] { error << " or kernel="; });
  return error;
}

FailureOr<LaunchOp> InsertProbe::findLaunch(KernelOp op) {
  SmallVector<LaunchOp> found;
  getOperation().walk([&](LaunchOp launch) {
    if (launch.getKernel() == op.getSymName())
      found.push_back(launch);
  });
  if (found.size() != 1)
    return op.emitOpError() << "has " << found.size()
                            << " launches; sfa-insert-probe needs a kernel with one";
  LaunchOp launch = found.front();
  if (!isa<func::FuncOp>(launch->getParentOp()) || launch.getResults().empty())
    return launch.emitOpError("has to be on tensors and in the body of a func.func, for "
                              "sfa-insert-probe to return what it probes; run it right after "
                              "convert-sfa-to-tile");
  return launch;
}

FailureOr<Probed> InsertProbe::findValue(KeyLoopOp loop) {
  if (value == "scores")
    return Probed{loop.getMask().getArgument(1), &loop.getMask()};
  if (value == "masked")
    return Probed{KeyLoopOp::getYielded(loop.getMask()).front(), &loop.getMask()};
  if (value == "probabilities")
    return Probed{loop.getProbabilities(), &loop.getSoftmax()};
  StringRef rest = value;
  unsigned number = 0;
  if (!rest.consume_front("state") || rest.getAsInteger(10, number) ||
      number >= loop.getNumStates())
    return loop.emitOpError() << "has no value '" << value
                              << "' for sfa-insert-probe; there are scores, masked, "
                                 "probabilities and state0 to state"
                              << loop.getNumStates() - 1;
  return Probed{loop.getNextSoftmaxStates()[number], &loop.getSoftmax()};
}

/// The tensor that has the keys of the loop.
static Value findKeys(LaunchOp launch, KernelOp kernel, KeyLoopOp loop) {
  Operation *load = KeyLoopOp::getYielded(loop.getLoad()).front().getDefiningOp();
  // What a stage makes of loaded keys has them as an operand.
  while (load && !isa<LoadOp, LoadCodesOp>(load))
    load = load->getNumOperands() == 0 ? nullptr : load->getOperand(0).getDefiningOp();
  if (!load)
    return {};
  auto memory = dyn_cast<BlockArgument>(load->getOperand(0));
  if (!memory || memory.getOwner() != &kernel.getBody().front() ||
      memory.getArgNumber() >= launch.getInputs().size())
    return {};
  return launch.getInputs()[memory.getArgNumber()];
}

void InsertProbe::probe(KernelOp kernel, KeyLoopOp loop, Probed probed, MemRefType type) {
  Block &body = kernel.getBody().front();
  BlockArgument memory = body.insertArgument(kernel.getMemories().size(), type, kernel.getLoc());
  auto b = ImplicitLocOpBuilder::atBlockBegin(kernel.getLoc(), &body);
  Value here;
  for (auto [coordinate, number] : llvm::zip_equal(kernel.getCoordinates(), *point)) {
    Value wanted = arith::ConstantIndexOp::create(b, number);
    Value equal = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, coordinate, wanted);
    here = here ? arith::AndIOp::create(b, here, equal) : equal;
  }
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value step = arith::ConstantIndexOp::create(b, static_cast<int64_t>(loop.getStep()));

  b.setLoc(loop.getLoc());
  b.setInsertionPoint(probed.stage->front().getTerminator());
  Value key = FirstKeyOp::create(b, b.getIndexType());
  Value behind = arith::SubIOp::create(b, key, loop.getLower());
  Value number = arith::DivUIOp::create(b, behind, step);
  ProbeOp::create(b, probed.value, memory, zero, number, zero, here);
}

LogicalResult InsertProbe::insert() {
  if (point.size() != 3)
    return getOperation().emitError() << "sfa-insert-probe needs a point of three numbers, batch, "
                                         "head and row tile, given are "
                                      << point.size();
  FailureOr<KernelOp> kernel = findKernel();
  if (failed(kernel))
    return failure();
  KeyLoopOp loop = getLoop(*kernel);
  FailureOr<LaunchOp> found = findLaunch(*kernel);
  if (failed(found))
    return failure();
  FailureOr<Probed> probed = findValue(loop);
  if (failed(probed))
    return failure();
  auto tile = dyn_cast<TileType>(probed->value.getType());
  if (!tile || tile.isPartial() || tile.isFlags())
    return loop.emitOpError() << "has '" << value << "' of type " << probed->value.getType()
                              << "; sfa-insert-probe stores tiles of numbers that are not in parts";
  LaunchOp launch = *found;
  Value keys = findKeys(launch, *kernel, loop);
  if (!keys)
    return launch.emitOpError("has no input that the kernel loads keys from, which "
                              "sfa-insert-probe needs for the number of key tiles");

  SmallVector<int64_t> shape{1, ShapedType::kDynamic};
  llvm::append_range(shape, tile.getShape());
  Type element = Float32Type::get(&getContext());
  SmallVector<int64_t> strides(shape.size(), ShapedType::kDynamic);
  strides.back() = 1;
  auto layout = StridedLayoutAttr::get(&getContext(), ShapedType::kDynamic, strides);
  probe(*kernel, loop, *probed, MemRefType::get(shape, element, layout));

  // The launch has one more output, and the function returns it.
  ImplicitLocOpBuilder b(launch.getLoc(), launch);
  Value numKeys = tensor::DimOp::create(b, keys, 2);
  Value step = arith::ConstantIndexOp::create(b, static_cast<int64_t>(loop.getStep()));
  Value numTiles = arith::CeilDivUIOp::create(b, numKeys, step);
  SmallVector<Value> outputs(launch.getOutputs());
  outputs.push_back(tensor::EmptyOp::create(b, shape, element, ValueRange(numTiles)));
  SmallVector<Type> types(launch.getResultTypes());
  types.push_back(outputs.back().getType());
  auto probing = LaunchOp::create(b, types, launch.getKernelAttr(), launch.getGridBatch(),
                                  launch.getGridHead(), launch.getGridTile(), launch.getInputs(),
                                  outputs, launch.getScalars());
  probing->setDiscardableAttrs(launch->getDiscardableAttrDictionary());
  launch.replaceAllUsesWith(probing.getResults().drop_back());
  launch.erase();
  auto function = cast<func::FuncOp>(probing->getParentOp());
  Operation *end = probing->getBlock()->getTerminator();
  end->insertOperands(end->getNumOperands(), probing.getResults().back());
  SmallVector<Type> results(function.getResultTypes());
  results.push_back(types.back());
  function.setType(b.getFunctionType(function.getArgumentTypes(), results));
  if (ArrayAttr attributes = function.getResAttrsAttr()) {
    SmallVector<Attribute> all(attributes.getValue());
    all.push_back(b.getDictionaryAttr({}));
    function.setResAttrsAttr(b.getArrayAttr(all));
  }
  return success();
}
