//===- Base64.cpp - Bytes as text -----------------------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Base64.h"

#include <algorithm>
#include <cstdint>

using namespace sfa::runtime::impl;

static constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of a digit; -1 where it is none.
static int32_t valueOf(char digit) {
  if (digit >= 'A' && digit <= 'Z')
    return digit - 'A';
  if (digit >= 'a' && digit <= 'z')
    return digit - 'a' + 26;
  if (digit >= '0' && digit <= '9')
    return digit - '0' + 52;
  return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

std::string sfa::runtime::impl::encodeBase64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t first = 0; first < bytes.size(); first += 3) {
    size_t count = std::min<size_t>(3, bytes.size() - first);
    uint32_t group = 0;
    for (size_t index = 0; index < 3; ++index)
      group = group << 8 | (index < count ? static_cast<uint8_t>(bytes[first + index]) : 0);
    for (size_t index = 0; index < 4; ++index)
      text += index <= count ? alphabet[group >> (18 - 6 * index) & 63] : '=';
  }
  return text;
}

std::optional<std::string> sfa::runtime::impl::decodeBase64(std::string_view text) {
  if (text.size() % 4 != 0)
    return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (size_t first = 0; first < text.size(); first += 4) {
    std::string_view digits = text.substr(first, 4);
    if (first + 4 == text.size())
      for (int padding = 0; padding < 2 && digits.back() == '='; ++padding)
        digits.remove_suffix(1);
    uint32_t group = 0;
    for (char digit : digits) {
      int32_t value = valueOf(digit);
      if (value < 0)
        return std::nullopt;
      group = group << 6 | static_cast<uint32_t>(value);
    }
    // The last group has 8 or 16 bits in 12 or 18; what is left of them has to be zero.
    size_t surplus = 4 - digits.size();
    if (group & ((1u << (2 * surplus)) - 1))
      return std::nullopt;
    group <<= 6 * surplus;
    for (size_t index = 0; index < 3 - surplus; ++index)
      bytes += static_cast<char>(group >> (16 - 8 * index) & 255);
  }
  return bytes;
}
