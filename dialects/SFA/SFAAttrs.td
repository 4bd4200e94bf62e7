//===- SFAAttrs.td - Encoding, mask and schedule attributes -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_SFA_SFAATTRS_TD
#define DIALECTS_SFA_SFAATTRS_TD

include "dialects/SFA/SFADialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/TensorEncoding.td"

class SFA_Attr<string name, string attrMnemonic, list<Trait> traits = []> : AttrDef<SFA_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

def SFA_Scales : I32EnumAttr<"Scales", "which numbers of 8 bits share a scale", [
    I32EnumAttrCase<"Tile", 0, "tile">,
    I32EnumAttrCase<"Token", 1, "token">,
    I32EnumAttrCase<"Head", 2, "head">
  ]> {
  let cppNamespace = "::sfa";
  let genSpecializedAttr = 0;
}

def SFA_ScalesAttr : EnumAttr<SFA_Dialect, SFA_Scales, "scales"> {
  let description = [{
    A token, the 128 tokens from a multiple of 128 on (`tile`), or all tokens of a head share one; see `#sfa.codes`.

    Example:

    ```mlir
    %f = sfa_tile.load_scales %scales[%b, %h, %row] shared_by tile : memref<1x8x?xf32> -> !sfa_tile.tile<128xf32>
    ```
  }];
  let assemblyFormat = "$value";
}

def SFA_CodesAttr : SFA_Attr<"Codes", "codes", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "tensor encoding: every row is a k-sparse code";
  let description = [{
    A tensor `[b, h, n, d]` with this encoding holds, for each of its b*h*n rows, k pairs (value, feature index) in
    ascending order of the index, instead of d values. Physically it is two tensors of shape `[b, h, n, min(k, d)]`:
    the values, in the element type, and the indices, `i8` for d <= 256 and `i16` above, read as unsigned. A row with
    fewer than k non-zeros is padded with value 0.

    `two_four` says that every aligned group of four features (0 to 3, 4 to 7, ...) holds at most two non-zeros, as the
    sparse operand of a tensor core does. d is then a multiple of 4, and k at most d / 2.

    `values = i8` says that the values are integers of 8 bits, -127 to 127, each of which stands for itself times a
    scale: a third tensor, f32. `scales` says which values share one:

    | scales | shape | one scale for |
    |---|---|---|
    | `tile` | `[b, h, ceil(n / 128)]` | the 128 tokens from a multiple of 128 on |
    | `token` | `[b, h, n]` | a token |
    | `head` | `[b, h, 1]` | all tokens of a head |

    The element type of the tensor stays that of the numbers that the codes were made from. Scales are positive. Since a
    dot product of integers is exact in f32 only below 2^24, k is at most 1040.

    Example:

    ```mlir
    // 16 heads of 4096 tokens, 8 of 128 features each: 24 bytes a token and head instead of 256.
    tensor<1x16x4096x128xbf16, #sfa.codes<k = 8>>
    tensor<1x16x4096x128xbf16, #sfa.codes<k = 8, two_four>>
    // 16 bytes a token and head, and 4 for 128 tokens.
    tensor<1x16x4096x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
    ```
  }];
  let parameters = (ins "int64_t":$k, "bool":$twoFour, "std::optional<::sfa::Scales>":$scales);
  let builders = [
    AttrBuilder<(ins "int64_t":$k, CArg<"bool", "false">:$twoFour), [{
      return $_get($_ctxt, k, twoFour, std::nullopt);
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def SFA_DenseRowsAttr : SFA_Attr<"DenseRows", "dense", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "tensor encoding: dense rows of 8-bit integers with scales";
  let description = [{
    A tensor `[b, h, n, d]` with this encoding is physically two: integers of 8 bits, `[b, h, n, d]` with d rounded up to
    a multiple of 16, the columns beyond d 0, and the scales of `#sfa.codes<values = i8>`. It is what codes of 8 bits are
    written out as for matrix units, which multiply 8-bit integers; `sfa.densify` with `quantized` makes it.

    Example:

    ```mlir
    tensor<1x16x4096x128xbf16, #sfa.dense<values = i8, scales = tile>>
    ```
  }];
  let parameters = (ins "::sfa::Scales":$scales);
  let hasCustomAssemblyFormat = 1;
}

def SFA_FeatureMajorAttr
    : SFA_Attr<"FeatureMajor",
               "feature_major", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "tensor encoding: tiles of keys, each feature by feature";
  let description = [{
    A tensor `[b, h, n, d]` with this encoding is physically one of shape `[b, h, ceil(n / tile), d * tile]`: a row has feature 0 of
    `tile` tokens, then feature 1, and so on, and 0 for tokens beyond n. Of each 32 tokens of a tile, number `8 j + 2 t + e` (j and t
    are 0 to 3, e is 0 or 1) is at place `8 t + 2 j + e`: 16 bytes hold the tokens that lane t of each four has in the fragments of
    matrix units, so that it loads them at once.

    It is what the strategy `gather` reads on a GPU; `sfa.feature_major` makes it. Elements are f16 or bf16, and `tile`, which is the
    `k_tile` of those who read it, is a multiple of 64.

    Example:

    ```mlir
    tensor<1x16x4096x128xbf16, #sfa.feature_major<tile = 128>>
    ```
  }];
  let parameters = (ins "int64_t":$tile);
  let assemblyFormat = "`<` `tile` `=` $tile `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// How many tokens one permutation of places takes, and the least that `tile` is a multiple of.
    static constexpr int64_t tokensOfPattern = 32, granule = 64;
    /// The most elements of a tile, and non-zeros of a query, with which a GPU has the strategy `gather`.
    static constexpr int64_t mostElements = 32768, mostCodes = 32;
    /// Where token `token` of a tile is among those of a feature. dialects/GPU/Layouts.h says what `Int` may be.
    template <class Int>
    static Int placeOf(Int token) {
      Int number = token % tokensOfPattern;
      Int place = number % 8 / 2 * 8 + number / 8 * 2 + number % 2;
      return token - number + place;
    }
  }];
}

def SFA_PostingsAttr : SFA_Attr<"Postings", "postings", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "tensor encoding: tiles of keys as posting lists by feature";
  let description = [{
    A tensor `[b, h, n, d]` with this encoding holds codes of k features, physically as bytes, i8, of shape
    `[b, h, ceil(n / tile), bytes]`. A row has the tokens of a tile in two halves, one after the other, so that two lanes of a warp
    share a query. Each half has:

    | part | bytes | contents |
    |---|---|---|
    | starts | 2 (d + 1), rounded up to 16 | for each feature how many bytes its list is behind the beginning of the half, and at last where the last one ends |
    | entries | 4 k tile / 2 | list after list words of 32 bits: in the low half the value, in the high half 128 times the number of the token in this half |

    A list is in the order of its tokens and may have all of them. Values that are 0 are in no list, nor are tokens beyond n; behind the
    last list are zeros.

    It is what the strategy `scatter` reads on a GPU; `sfa.postings` makes it. Elements are f16 or bf16, d is at most 256, and `tile`,
    which is the `k_tile` of those who read it, is a multiple of 16.

    Example:

    ```mlir
    tensor<1x16x4096x128xbf16, #sfa.postings<k = 8, tile = 128>>
    ```
  }];
  let parameters = (ins "int64_t":$k, "int64_t":$tile);
  let assemblyFormat = "`<` `k` `=` $k `,` `tile` `=` $tile `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// What `tile` is a multiple of, and the most features and bytes of a half: 16 bits hold them.
    static constexpr int64_t granule = 16, mostFeatures = 256, mostHalfBytes = 65535;
    /// Of a start and of an entry; of a row of scores, which is that of a token: a number for each lane of a warp.
    static constexpr int64_t startBytes = 2, entryBytes = 4, scoreRowBytes = 128;
    /// Where the entries of a half begin.
    static constexpr int64_t getHeaderBytes(int64_t features) { return (startBytes * (features + 1) + 15) / 16 * 16; }
    /// A half of a tile of `tokens` tokens, of codes of k features.
    static constexpr int64_t getHalfBytes(int64_t tokens, int64_t features, int64_t k) {
      return getHeaderBytes(features) + entryBytes * k * (tokens / 2);
    }
    /// Whether there are lists of such codes.
    static constexpr bool allow(int64_t tokens, int64_t features, int64_t k) {
      return tokens >= granule && tokens % granule == 0 && tokens / 2 * scoreRowBytes <= 65536 && features >= 1 &&
             features <= mostFeatures && k >= 1 && getHalfBytes(tokens, features, k) <= mostHalfBytes;
    }
    static constexpr ::llvm::StringLiteral description =
        "posting lists have 1 to 256 features and tiles of a multiple of 16 tokens, at most 1024, whose halves have at "
        "most 65535 bytes";
  }];
}

//===----------------------------------------------------------------------===//
// Mask
//===----------------------------------------------------------------------===//

def SFA_MaskKind : I32EnumAttr<"MaskKind", "which keys a query sees", [
    I32EnumAttrCase<"None", 0, "none">,
    I32EnumAttrCase<"Causal", 1, "causal">,
    I32EnumAttrCase<"Window", 2, "window">
  ]> {
  let cppNamespace = "::sfa";
  let genSpecializedAttr = 0;
}

def SFA_MaskAttr : SFA_Attr<"Mask", "mask"> {
  let summary = "which keys a query sees";
  let description = [{
    Query i of n_q and key j of n_k, aligned at the bottom right: `i' = i + n_k - n_q`.

    | mask | key j is visible when |
    |---|---|
    | `none` | always |
    | `causal` | `j <= i'` |
    | `window, left = L, right = R` | `i' - L <= j <= i' + R`; a side that is not given is unbounded |

    Example:

    ```mlir
    #sfa.mask<causal>
    #sfa.mask<window, left = 128, right = 0>
    ```
  }];
  let parameters = (ins "::sfa::MaskKind":$kind, "std::optional<int64_t>":$left, "std::optional<int64_t>":$right);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// How many keys before i' are visible; unbounded where absent.
    std::optional<int64_t> leftBound() const;
    /// How many keys after i' are visible; unbounded where absent.
    std::optional<int64_t> rightBound() const;
    /// The simplest attribute with the same meaning.
    MaskAttr simplified() const;
  }];
}

//===----------------------------------------------------------------------===//
// Schedule
//===----------------------------------------------------------------------===//

def SFA_Strategy : I32EnumAttr<"Strategy", "how a tile of scores is formed", [
    I32EnumAttrCase<"Dense", 0, "dense">,
    I32EnumAttrCase<"Gather", 1, "gather">,
    I32EnumAttrCase<"Scatter", 2, "scatter">,
    I32EnumAttrCase<"SparseMma", 3, "sparse_mma">
  ]> {
  let cppNamespace = "::sfa";
  let genSpecializedAttr = 0;
}

def SFA_Softmax : I32EnumAttr<"Softmax", "how the softmax keeps its reference maximum", [
    I32EnumAttrCase<"Online", 0, "online">,
    I32EnumAttrCase<"Lazy", 1, "lazy">
  ]> {
  let cppNamespace = "::sfa";
  let genSpecializedAttr = 0;
}

def SFA_Turns : I32EnumAttr<"Turns", "whether consumer warpgroups take turns", [
    I32EnumAttrCase<"Free", 0, "free">,
    I32EnumAttrCase<"PingPong", 1, "ping_pong">
  ]> {
  let cppNamespace = "::sfa";
  let genSpecializedAttr = 0;
}

def SFA_Queries : I32EnumAttr<"Queries", "where matrix units take queries from", [
    I32EnumAttrCase<"Shared", 0, "shared">,
    I32EnumAttrCase<"Registers", 1, "registers">
  ]> {
  let cppNamespace = "::sfa";
  let genSpecializedAttr = 0;
}

def SFA_Grid : I32EnumAttr<"Grid", "which tiles of queries a block works on", [
    I32EnumAttrCase<"Tiles", 0, "tiles">,
    I32EnumAttrCase<"Persistent", 1, "persistent">
  ]> {
  let cppNamespace = "::sfa";
  let genSpecializedAttr = 0;
}

def SFA_ScheduleAttr : SFA_Attr<"Schedule", "schedule"> {
  let summary = "how a kernel computes an op";
  let description = [{
    Tile and sparsity parameters of one kernel. Every parameter is optional; `sfa-assign-schedule` fills in those that
    are not given.

    | parameter | meaning |
    |---|---|
    | `strategy` | how a tile of scores is formed: `dense` (codes are expanded, then an ordinary matrix product), `gather` (for each non-zero of a query, one scaled row of the feature-major key tile is added), `scatter` (the key tile as posting lists; those of a query's features are walked), `sparse_mma` (queries as a 2:4 part and an exact surplus part) |
    | `softmax` | `online`: running row maximum, rescaled with every tile. `lazy`: the reference maximum is set by a row's first tile and raised only when a guard trips |
    | `q_tile`, `k_tile` | queries and keys in a tile |
    | `stages` | key tiles in flight (GPU) |
    | `consumers` | consumer warpgroups (GPU) |
    | `lookahead` | key tiles whose scores are under way during the softmax of the tile before, 0 or 1 (warpgroups of a GPU) |
    | `turns` | `free`: a consumer issues its products when it can. `ping_pong`: consumers take turns, so that one has the tensor cores while others are in their softmax (warpgroups of a GPU) |
    | `queries` | where matrix units take the queries from. `shared`: from shared memory, for each key tile. `registers`: a warp loads its rows once; they take d / 4 registers of a thread (warpgroups of a GPU) |
    | `grid` | `tiles`: a block for each tile of queries. `persistent`: a block for each multiprocessor, which works on one tile after the other and copies what the next one needs meanwhile (warpgroups of a GPU) |
    | `packed_heads` | query heads of a KV group that share a query tile, 1 to 256: a divisor of the group. Each has P rows of a tile, one head after the other: P is `q_tile / packed_heads` where that is a whole number, otherwise q_tile divided by the next power of two, and the rows left over are idle. Row r is the query at `r % P` of the tile's, of head `r / P` of the packed ones. Worth it where there are few queries, which leave most of a tile empty and whose heads read the same keys. 1 where not given |
    | `splits` | shares of a query tile's keys, 1 to 256, each of which is worked on by itself; a second kernel combines them. Worth it where there are fewer query tiles than processors, and many keys. 1 where not given |

    Example:

    ```mlir
    #sfa.schedule<strategy = gather, softmax = lazy, q_tile = 128, k_tile = 128, stages = 2, consumers = 2>
    #sfa.schedule<packed_heads = 4, splits = 8>
    ```
  }];
  let parameters = (ins AttrParameter<"::sfa::Schedule", "what is given", "const ::sfa::Schedule &">:$schedule);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    // An accessor for each parameter, such as getQTile(); absent where it is not given.
    #define SFA_SCHEDULE_CHOICE(Enum, member, Name, ...) \
      std::optional<Enum> get##Name() const { return getSchedule().member; }
    #define SFA_SCHEDULE_NUMBER(member, Name, ...) \
      std::optional<int64_t> get##Name() const { return getSchedule().member; }
    #include "dialects/SFA/Schedule.def"

    /// True when no parameter is left to choose that every target needs.
    bool isComplete() const;
    /// This schedule with its absent parameters taken from `other`.
    ScheduleAttr orElse(ScheduleAttr other) const;
    /// How many rows of a tile of `rows` each of the heads has that share it; 0 if there are too few.
    static int64_t rowsOfHead(int64_t rows, int64_t packedHeads);
  }];
}

#endif // DIALECTS_SFA_SFAATTRS_TD
