//===- SFAOps.td - Operations of the sfa dialect -----------*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_SFA_SFAOPS_TD
#define DIALECTS_SFA_SFAOPS_TD

include "dialects/SFA/SFAAttrs.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class SFA_Op<string mnemonic, list<Trait> traits = []> : Op<SFA_Dialect, mnemonic, traits>;

def SFA_Shape : DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>;

def SFA_Float : AnyTypeOf<[F32, F16, BF16]>;

def SFA_DenseTensor : RankedTensorOf<
    [SFA_Float], [HasAnyRankOfPred<[4]>, CPred<"!::llvm::cast<::mlir::RankedTensorType>($_self).getEncoding()">],
    "dense tensor [batch, heads, tokens, features]">;
def SFA_CodesTensor : RankedTensorOf<
    [SFA_Float], [HasAnyRankOfPred<[4]>, CPred<"::sfa::getCodes($_self)">],
    "tensor [batch, heads, tokens, features] with encoding #sfa.codes">;
def SFA_QuantizedTensor : RankedTensorOf<
    [SFA_Float], [HasAnyRankOfPred<[4]>, CPred<"::sfa::getScales($_self) && !::sfa::getCodes($_self)">],
    "tensor [batch, heads, tokens, features] with encoding #sfa.dense">;
def SFA_FeatureMajorTensor
    : RankedTensorOf<[F16, BF16], [HasAnyRankOfPred<[4]>, CPred<"::sfa::getFeatureMajor($_self)">],
                     "tensor [batch, heads, tokens, features] with encoding #sfa.feature_major">;
def SFA_PostingsTensor
    : RankedTensorOf<[F16, BF16], [HasAnyRankOfPred<[4]>, CPred<"::sfa::getPostings($_self)">],
                     "tensor [batch, heads, tokens, features] with encoding #sfa.postings">;
def SFA_Operand : AnyTypeOf<[SFA_DenseTensor, SFA_CodesTensor, SFA_QuantizedTensor]>;
def SFA_OffsetsTensor : RankedTensorOf<
    [I32], [HasAnyRankOfPred<[1]>, CPred<"!::llvm::cast<::mlir::RankedTensorType>($_self).getEncoding()">],
    "tensor [sequences + 1]">;
def SFA_LseTensor : RankedTensorOf<[F32], [HasAnyRankOfPred<[3]>], "tensor [batch, heads, tokens]">;

def SFA_SparsifyOp : SFA_Op<"sparsify", [Pure, SFA_Shape]> {
  let summary = "keep the k features of largest magnitude of every row";
  let description = [{
    `topk_k` of the paper, row-wise over the feature axis. Ties keep the lower feature index. NaN ranks as the largest
    magnitude, so it reaches the output of an attention; its payload may change.
    `k >= d` is the identity. k is that of the result's encoding.

    With `two_four` in the encoding of the result, every aligned group of four features keeps its two largest at most: the
    k largest of those are the result, which so has the largest sum of magnitudes of all codes that satisfy 2:4.

    Optionally also the codes written out, what `sfa.densify` makes of them: one pass over the source gives both.
    Codes that nobody uses then are not written.

    Where the result has 8-bit values they are rounded in the same pass: it is what `sfa.quantize` makes of the codes, with
    the scales of 128 tokens (`tile`) or of a token. Written out these are 8-bit rows, `#sfa.dense`, as `sfa.densify` with
    `quantized` gives them. A GPU rounds up to 32 values of a row so.

    Example:

    ```mlir
    %codes = sfa.sparsify %q : tensor<1x16x?x128xbf16> -> tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>
    %sparse = sfa.sparsify %q : tensor<1x16x?x128xbf16> -> tensor<1x16x?x128xbf16, #sfa.codes<k = 8, two_four>>
    %both, %dense = sfa.sparsify %q
      : tensor<1x16x?x128xbf16> -> tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x16x?x128xbf16>
    %small, %rows = sfa.sparsify %q
      : tensor<1x16x?x128xbf16> -> tensor<1x16x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = token>>,
        tensor<1x16x?x128xbf16, #sfa.dense<values = i8, scales = token>>
    ```
  }];
  let arguments = (ins SFA_DenseTensor:$source);
  let results = (outs SFA_CodesTensor:$codes, Optional<AnyTypeOf<[SFA_DenseTensor, SFA_QuantizedTensor]>>:$dense);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($codes) (`,` type($dense)^)?";
  let extraClassDeclaration = [{
    /// The most values of a row that a GPU rounds to 8 bits in the pass that selects them.
    static constexpr int64_t mostRounded = 32;
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def SFA_QuantizeOp : SFA_Op<"quantize", [Pure, SFA_Shape]> {
  let summary = "round the values of codes to 8-bit integers with scales";
  let description = [{
    A value v becomes `round(v / scale)`, to nearest even, and stands for that times the scale. Let a be the largest
    magnitude of the values that share a scale. `tile` and `head` have the scale `a / 127`. For `token` it is searched: of
    the 32 candidates `a / 127, a / 126, ..., a / 96` the first one whose row has the least squared error.

    Where a is so small that `a / 127` is no normal f32 the scale is 2^-126, and where it is 0, 1. An infinity or a NaN
    makes the scale a NaN: it shows in the output of an attention.

    Example:

    ```mlir
    %small = sfa.quantize %codes
      : tensor<1x16x?x128xbf16, #sfa.codes<k = 8>> -> tensor<1x16x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
    ```
  }];
  let arguments = (ins SFA_CodesTensor:$codes);
  let results = (outs SFA_CodesTensor:$quantized);
  let assemblyFormat = "$codes attr-dict `:` type($codes) `->` type($quantized)";
  let hasVerifier = 1;
}

def SFA_DensifyOp : SFA_Op<"densify", [Pure, SFA_Shape, InferTypeOpAdaptor]> {
  let summary = "write codes out as dense rows";
  let description = [{
    The inverse of `sfa.sparsify` on its image: features that a code does not hold are 0. Values of 8 bits are multiplied
    by their scales, and rounded to the element type.

    With `quantized` codes of 8-bit values become 8-bit rows with the same scales (`#sfa.dense`).

    Example:

    ```mlir
    %dense = sfa.densify %codes : tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>   // tensor<1x16x?x128xbf16>
    %rows = sfa.densify %small quantized : tensor<1x16x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
    ```
  }];
  let arguments = (ins SFA_CodesTensor:$codes, UnitAttr:$quantized);
  let results = (outs AnyTypeOf<[SFA_DenseTensor, SFA_QuantizedTensor]>:$dense);
  let assemblyFormat = "$codes (`quantized` $quantized^)? attr-dict `:` type($codes)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def SFA_FeatureMajorOp : SFA_Op<"feature_major", [Pure, SFA_Shape]> {
  let summary = "write keys out as tiles, each feature by feature";
  let description = [{
    The keys stay what they are; their form becomes that of the result's encoding, `#sfa.feature_major`. Codes are written out as
    `sfa.densify` does. Only GPUs have it.

    Example:

    ```mlir
    %keys = sfa.feature_major %codes : tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>
      -> tensor<1x16x?x128xbf16, #sfa.feature_major<tile = 128>>
    ```
  }];
  let arguments = (ins AnyTypeOf<[SFA_DenseTensor, SFA_CodesTensor]>:$source);
  let results = (outs SFA_FeatureMajorTensor:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def SFA_PostingsOp : SFA_Op<"postings", [Pure, SFA_Shape]> {
  let summary = "write the codes of keys out as tiles of posting lists";
  let description = [{
    The keys stay what they are; their form becomes that of the result's encoding, `#sfa.postings`, which has the same k. Only GPUs have
    it.

    Example:

    ```mlir
    %lists = sfa.postings %codes : tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>
      -> tensor<1x16x?x128xbf16, #sfa.postings<k = 8, tile = 128>>
    ```
  }];
  let arguments = (ins SFA_CodesTensor:$codes);
  let results = (outs SFA_PostingsTensor:$result);
  let assemblyFormat = "$codes attr-dict `:` type($codes) `->` type($result)";
  let hasVerifier = 1;
}

def SFA_AttentionOp : SFA_Op<"attention", [Pure, AttrSizedOperandSegments, SFA_Shape]> {
  let summary = "exact softmax attention over codes or dense operands";
  let description = [{
    `O = softmax(scale * Q K^T + mask) V` with an exact softmax; a pair of tokens that share no feature has score 0 and
    still takes part. Optionally also `LSE = log(sum(exp(scale * Q K^T + mask)))`, natural, in f32. A row whose keys are
    all masked gives O = 0 and LSE = -inf.

    | operand | shape | form |
    |---|---|---|
    | query | `[b, h_q, n_q, d]` | codes or dense |
    | key | `[b, h_kv, n_k, d]` | codes, dense, feature-major or posting lists |
    | value | `[b, h_kv, n_k, d_v]` | dense |
    | output | `[b, h_q, n_q, d_v]` | dense |
    | lse (optional) | `[b, h_q, n_q]` | f32 |
    | sequences (optional) | `[s + 1]` twice | i32: where the sequences of the query and of the key begin |
    | scale (optional) | a number | f64, in place of the attribute |

    Codes, and dense rows, may have 8-bit values; then those of the query and the key both have. Scores of dense rows
    are products of integers and exact, and are multiplied by the scales.

    `h_q` is a multiple of `h_kv` (MHA, GQA, MQA); query head h reads key head `h / (h_q / h_kv)`. Dense query and key
    mean plain attention. Without a schedule the compiler chooses.

    `scale` is `1 / sqrt(d)` unless given: as a constant, which is part of the program, or as a value, so that one program
    serves all scales. A value gives the same bits as the same constant. It has to lie from 2^-126 to 2^128 / log2(e), so that
    kernels can multiply scores by `scale * log2(e)` in f32: those who run a program refuse another one where it is an argument
    of the function. A constant may be any finite number.

    A strategy needs the codes that it works on: `gather` and `sparse_mma` those of the query, `scatter` those of both.
    A feature-major key (`#sfa.feature_major`) is for `gather` on GPUs, posting lists (`#sfa.postings`) are for `scatter` there. Neither
    has sequences, and their `tile` is the `k_tile`.
    With an infinity or a NaN in a feature that only one of two tokens holds, only `scatter` skips the feature always;
    `gather` skips it when the query lacks it (on a GPU a query with fewer than k non-zeros does not skip feature 0), and `dense` and
    `sparse_mma` may see `0 * inf = NaN` either way. Finite
    inputs have no such freedom as long as the sum of |V| over the keys is finite in f32: outputs are divided by the sum of
    their probabilities at the end.

    With `sequences`, b is 1 and the tokens are those of s sequences of any lengths, one after the other: tokens
    `[cu_q[i], cu_q[i + 1])` of the query and `[cu_k[i], cu_k[i + 1])` of the key are sequence i. A query sees keys of
    its own sequence only, and masks are aligned within each sequence. The offsets ascend, the first is 0 and the last
    the number of tokens; a sequence may have no queries or no keys. Nothing outside of the tensors is read or written
    whatever the offsets hold, but rows that no sequence covers are left unwritten.

    Example:

    ```mlir
    %o, %lse = sfa.attention %q, %k, %v mask <causal> scale 0.125 schedule <strategy = gather>
      : tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x4x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x4x?x64xbf16>
      -> tensor<1x16x?x64xbf16>, tensor<1x16x?xf32>
    %scaled = sfa.attention %q, %k, %v scale %s
      : tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x4x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x4x?x64xbf16>
      -> tensor<1x16x?x64xbf16>
    %packed = sfa.attention %q, %k, %v sequences(%cu_q, %cu_k : tensor<?xi32>, tensor<?xi32>) mask <causal>
      : tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x4x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x4x?x64xbf16>
      -> tensor<1x16x?x64xbf16>
    ```
  }];
  let arguments = (ins SFA_Operand:$query,
      AnyTypeOf<[SFA_DenseTensor, SFA_CodesTensor, SFA_QuantizedTensor,
                 SFA_FeatureMajorTensor, SFA_PostingsTensor]>:$key,
      SFA_DenseTensor:$value, Variadic<SFA_OffsetsTensor>:$sequences, Optional<F64>:$scaleValue,
      OptionalAttr<SFA_MaskAttr>:$mask, OptionalAttr<F64Attr>:$scale,
      OptionalAttr<SFA_ScheduleAttr>:$schedule);
  let results = (outs SFA_DenseTensor:$output, Optional<SFA_LseTensor>:$lse);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`sequences` `(` $sequences^ `:` type($sequences) `)`)?
    (`mask` $mask^)? (`scale` custom<Scale>($scaleValue, $scale)^)? (`schedule` $schedule^)? attr-dict
    `:` type($query) `,` type($key) `,` type($value) `->` type($output) (`,` type($lse)^)?
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    /// The mask, `none` where absent.
    MaskAttr getMaskOrNone();
    /// The scale of an op that is given none as a value: 1 / sqrt(d) where absent.
    double getConstantScale();
    /// Whether a scale that is given as a value may be this number.
    static bool allowsScaleValue(double scale);
    static constexpr ::llvm::StringLiteral allowedScaleValues = "2^-126 to 2^128 / log2(e)";
    /// Whether the tokens are those of several sequences.
    bool hasSequences() { return !getSequences().empty(); }
    /// Why `strategy` cannot run on the forms of these operands; empty when it can.
    std::string whyNot(Strategy strategy);
  }];
}

include "dialects/SFA/SFACacheOps.td"

#endif // DIALECTS_SFA_SFAOPS_TD
