//===- GPUInterfaces.td - What an operation of a tile program says of its form on a GPU -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPUINTERFACES_TD
#define DIALECTS_GPU_GPUINTERFACES_TD

include "mlir/IR/OpBase.td"

def GPU_ScoreOpInterface : OpInterface<"ScoreOpInterface"> {
  let cppNamespace = "::sfa::simt";
  let description = [{
    An operation that forms the scores of a key tile in the stage `score` of a `sfa_tile.key_loop`. Operands that are loaded
    before the loop are resident in shared memory, those that the stage `load` yields are staged there; here it says how
    it forms scores of them. Operations of other dialects may implement it, too.
  }];
  let methods = [
    InterfaceMethod<[{
        The form in which operand `number` lies in shared memory.
      }], "::sfa::simt::TileForm", "getTileForm", (ins "unsigned":$number), "", [{
        return ::sfa::simt::TileForm::Swizzled;
      }]>,
    InterfaceMethod<[{
        The number of the operand that may also be in registers as the left operand of matrix units, if there is one.
      }], "std::optional<unsigned>", "getLeftOperand", (ins), "", [{
        return std::nullopt;
      }]>,
    InterfaceMethod<[{
        The shared memory in which `warps` warps form the scores of tiles of keys, `keys`; null where they need none.
      }], "::sfa::simt::SharedType", "getRoom", (ins "::sfa::simt::SharedType":$keys, "int64_t":$warps), "", [{
        return nullptr;
      }]>,
    InterfaceMethod<[{
        Emits the scores, a tile of `type`, of `operands`: tiles in shared memory, or the left operand in registers, and at last the
        room where there is one. A product
        of an asynchronous engine is issued and waited for, so that a pass can pull the two apart; a synchronous one gives the
        scores. When it does, all lanes of a warp have read their elements: the first lane gives tiles back for all of them.
      }], "::mlir::Value", "emitScores",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$operands, "::sfa::tile::TileType":$type, "bool":$isAsynchronous)>
  ];
}

#endif // DIALECTS_GPU_GPUINTERFACES_TD
