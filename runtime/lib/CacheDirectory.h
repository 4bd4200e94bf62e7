//===- CacheDirectory.h - Bytes kept from process to process ----*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_CACHEDIRECTORY_H
#define SFA_RUNTIME_LIB_CACHEDIRECTORY_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sfa::runtime::impl {

/// A directory with one file for each key. Files appear whole, by renaming, so readers need no
/// locks, and any number of processes and threads can use the directory at once. An entry holds its
/// key and a checksum; what is read is checked against both. The time of a file is that of its last
/// use.
///
/// The checksum finds damage, not malice: the directory is made for the user alone (mode 0700), and
/// a file that belongs to another user (but root), or that others may write, is not read.
class CacheDirectory {
public:
  /// An empty directory or a bound of 0 make a cache that keeps nothing.
  CacheDirectory(std::string directory, int64_t maxBytes)
      : directory(std::move(directory)), maxBytes(maxBytes) {}

  /// The bytes of a key; nothing where there is no entry that can be trusted.
  std::optional<std::string> get(std::string_view key) const;

  /// Keeps bytes under a key, where that is possible.
  void put(std::string_view key, std::string_view bytes) const;

  /// The file of a key.
  std::string pathOf(std::string_view key) const;

private:
  bool isOff() const { return directory.empty() || maxBytes <= 0; }
  /// Writes a file under a name of its own and renames it; false, with errno, where that fails.
  bool write(std::string_view key, std::string_view bytes) const;
  /// Removes what was used longest ago until the rest is within the bound; never `newest`.
  void evict(const std::string &newest) const;

  const std::string directory;
  const int64_t maxBytes;
};

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_CACHEDIRECTORY_H
