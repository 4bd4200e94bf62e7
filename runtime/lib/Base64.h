//===- Base64.h - Bytes as text ---------------------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_BASE64_H
#define SFA_RUNTIME_LIB_BASE64_H

#include <optional>
#include <string>
#include <string_view>

namespace sfa::runtime::impl {

/// RFC 4648, section 4, with padding.
std::string encodeBase64(std::string_view bytes);

/// Nothing where `text` is not exactly what encodeBase64 writes for some bytes.
std::optional<std::string> decodeBase64(std::string_view text);

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_BASE64_H
