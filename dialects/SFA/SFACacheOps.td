//===- SFACacheOps.td - Operations on a paged cache of keys and values -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A cache is two tensors of pages: the keys [pages, heads, tokens of a page, d], codes or dense, and the values. What is the
// batch elsewhere is the number of a page here, so that the physical tensors of codes are those of a page, too. Where they are
// in memory is the business of whoever owns the pool: strides are free.
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_SFA_SFACACHEOPS_TD
#define DIALECTS_SFA_SFACACHEOPS_TD

include "dialects/SFA/SFAAttrs.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def SFA_TableTensor : RankedTensorOf<
    [I32], [HasAnyRankOfPred<[2]>, CPred<"!::llvm::cast<::mlir::RankedTensorType>($_self).getEncoding()">],
    "tensor [batch, pages of a sequence]">;
def SFA_LengthsTensor : RankedTensorOf<
    [I32], [HasAnyRankOfPred<[1]>, CPred<"!::llvm::cast<::mlir::RankedTensorType>($_self).getEncoding()">],
    "tensor [batch]">;
def SFA_SlotsTensor : RankedTensorOf<
    [I64], [HasAnyRankOfPred<[1]>, CPred<"!::llvm::cast<::mlir::RankedTensorType>($_self).getEncoding()">],
    "tensor [tokens]">;

def SFA_DecodeOp : SFA_Op<"decode", [Pure, SFA_Shape]> {
  let summary = "exact softmax attention of the last tokens of sequences against a paged cache";
  let description = [{
    `O = softmax(scale * Q K^T + mask) V` for the last n_q tokens of each of b sequences, whose keys and values are in pages.

    | operand | shape | form |
    |---|---|---|
    | query | `[b, h_q, n_q, d]` | dense |
    | key | `[pages, h_kv, T, d]` | codes or dense |
    | value | `[pages, h_kv, T, d_v]` | dense |
    | table | `[b, m]` | i32: the numbers of the pages of each sequence |
    | lengths | `[b]` | i32: tokens of each sequence, the new ones included |
    | output | `[b, h_q, n_q, d_v]` | dense |
    | lse (optional) | `[b, h_q, n_q]` | f32 |

    Key j of sequence i is at `[table[i, j / T], :, j % T]`, for j below `lengths[i]`. Query t stands for token `lengths[i] - n_q + t`
    and sees the keys up to that one; with a window, `left` of them before it. A query that stands before the first token
    gives O = 0 and LSE = -inf. T is 16, 32, 64 or 128.

    Nothing is read outside of the pages, whatever the table and the lengths hold: a length below 0 counts as 0, one beyond `m T` as
    that, and a number that names no page as the first or the last one. Entries of the table behind the last page of a sequence, and
    tokens of a page behind its last token, are never part of a result, not even where they hold a NaN.

    The keys of a sequence are worked on in shares whose boundaries follow from its own length alone, and are added up in one order:
    bits depend neither on the batch, nor on the pages, nor on the number of multiprocessors.

    | keys of a sequence, up to | keys of a share |
    |---|---|
    | 4,096 | 256 |
    | 16,384 | 512 |
    | 65,536 | 512, or 2,048 where more than 8 query heads read a key head |
    | beyond | doubled as the keys double: at most 128 shares |

    The shares of 512 keys and more belong to eight classes, that of a block of 512 keys is its number modulo 8; a share has blocks of one
    class.

    Example:

    ```mlir
    %o = sfa.decode %q, %k, %v pages(%table, %lengths : tensor<?x?xi32>, tensor<?xi32>) scale 0.125
      : tensor<?x32x1x128xbf16>, tensor<?x8x64x128xbf16, #sfa.codes<k = 8>>, tensor<?x8x64x128xbf16> -> tensor<?x32x1x128xbf16>
    ```
  }];
  let arguments = (ins SFA_DenseTensor:$query, AnyTypeOf<[SFA_DenseTensor, SFA_CodesTensor]>:$key, SFA_DenseTensor:$value,
      SFA_TableTensor:$table, SFA_LengthsTensor:$lengths, Optional<F64>:$scaleValue, OptionalAttr<I64Attr>:$left,
      OptionalAttr<F64Attr>:$scale, OptionalAttr<SFA_ScheduleAttr>:$schedule);
  let results = (outs SFA_DenseTensor:$output, Optional<SFA_LseTensor>:$lse);
  let assemblyFormat = [{
    $query `,` $key `,` $value `pages` `(` $table `,` $lengths `:` type($table) `,` type($lengths) `)` (`left` $left^)?
    (`scale` custom<Scale>($scaleValue, $scale)^)? (`schedule` $schedule^)? attr-dict
    `:` type($query) `,` type($key) `,` type($value) `->` type($output) (`,` type($lse)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Tokens of a page, and what they may be.
    int64_t getPageSize() { return ::llvm::cast<::mlir::RankedTensorType>(getKey().getType()).getDimSize(2); }
    static bool allowsPageSize(int64_t size) { return size == 16 || size == 32 || size == 64 || size == 128; }
    /// How many query heads read a head of the key.
    int64_t getGroup();
    /// How many blocks of 512 keys a share of a sequence of more than 16384 keys has at least.
    int64_t getLeastBlocks() { return getGroup() > 8 ? 4 : 1; }
    /// The scale of an op that is given none as a value: 1 / sqrt(d) where absent.
    double getConstantScale();
  }];
}

def SFA_CacheAppendOp : SFA_Op<"cache_append", [AttrSizedOperandSegments, MemoryEffects<[MemWrite]>]> {
  let summary = "write new tokens into the pages of a cache";
  let description = [{
    Copies rows of keys and values into pages, in place: the op has no results, and the pages have to be arguments of the function
    that nothing else there uses.

    | operand | shape | form |
    |---|---|---|
    | key | `[b, h, n, d]` | codes with the k of the pages, or dense |
    | value | `[b, h, n, d_v]` | dense |
    | key_pages | `[pages, h, T, d]` | codes or dense |
    | value_pages | `[pages, h, T, d_v]` | dense |
    | slots | `[n]` | i64, b is 1: where token i goes, `page * T + place` |
    | table | `[b, m]` | i32: the numbers of the pages of each sequence |
    | lengths | `[b]` | i32: tokens of each sequence, the new ones included |

    With `slots` token i is written to place `slots[i] % T` of page `slots[i] / T`. With `pages` the n tokens are the last ones of
    their sequence: token i of sequence s is token `lengths[s] - n + i` of it. Of dense keys the pages of codes get what
    `sfa.sparsify` makes of them.

    Nothing is written outside of the pages: a token is left out where its slot is negative (-1 is usual) or beyond the pool, where it
    would stand before the first token or behind the last page of the table, and where the number of its page names none. What
    two tokens with one slot leave there is not defined.

    Example:

    ```mlir
    sfa.cache_append %k, %v to %keys, %values slots(%slots : tensor<?xi64>)
      : tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16>, tensor<?x8x64x128xbf16, #sfa.codes<k = 8>>, tensor<?x8x64x128xbf16>
    sfa.cache_append %k, %v to %keys, %values pages(%table, %lengths : tensor<?x?xi32>, tensor<?xi32>)
      : tensor<?x8x1x128xbf16>, tensor<?x8x1x128xbf16>, tensor<?x8x64x128xbf16, #sfa.codes<k = 8>>, tensor<?x8x64x128xbf16>
    ```
  }];
  let arguments = (ins AnyTypeOf<[SFA_DenseTensor, SFA_CodesTensor]>:$key, SFA_DenseTensor:$value,
      AnyTypeOf<[SFA_DenseTensor, SFA_CodesTensor]>:$keyPages, SFA_DenseTensor:$valuePages, Optional<SFA_SlotsTensor>:$slots,
      Optional<SFA_TableTensor>:$table, Optional<SFA_LengthsTensor>:$lengths);
  let assemblyFormat = [{
    $key `,` $value `to` $keyPages `,` $valuePages (`slots` `(` $slots^ `:` type($slots) `)`)?
    (`pages` `(` $table^ `,` $lengths `:` type($table) `,` type($lengths) `)`)? attr-dict
    `:` type($key) `,` type($value) `,` type($keyPages) `,` type($valuePages)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Tokens of a page.
    int64_t getPageSize() { return getValuePages().getType().getDimSize(2); }
    /// Whether keys are dense and pages hold codes.
    bool selectsFeatures();
    /// Whether an operand is one of the pages, which the op writes.
    bool isPages(::mlir::OpOperand &operand) {
      return &operand == &getKeyPagesMutable() || &operand == &getValuePagesMutable();
    }
  }];
}

#endif // DIALECTS_SFA_SFACACHEOPS_TD
