//===- TileInterfaces.td - Interfaces of kernels -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_TILE_TILEINTERFACES_TD
#define DIALECTS_TILE_TILEINTERFACES_TD

include "mlir/IR/OpBase.td"

def Tile_KernelOpInterface : OpInterface<"KernelOpInterface"> {
  let cppNamespace = "::sfa::tile";
  let description = "A kernel that `sfa_tile.launch` may name: over tiles, or what a target has made of that.";
  let methods = [InterfaceMethod<"The memories that the kernel takes.",
                                 "::mlir::Block::BlockArgListType", "getMemories">,
                 InterfaceMethod<"The numbers, f32, that the kernel takes behind its memories.",
                                 "::mlir::Block::BlockArgListType", "getScalars">];
}

#endif // DIALECTS_TILE_TILEINTERFACES_TD
