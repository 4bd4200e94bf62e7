//===- CacheDirectory.cpp - Bytes kept from process to process ------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CacheDirectory.h"

#include "Bytes.h"
#include "Error.h"
#include "Knobs.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace sfa::runtime::impl;

namespace {

constexpr char magic[8] = {'S', 'F', 'A', 'C', 'A', 'C', 'H', 'E'};
constexpr uint64_t formatVersion = 1;
constexpr std::string_view entrySuffix = ".entry";
constexpr std::string_view temporaryPrefix = "writing.";
/// A temporary file this old belongs to a process that died.
constexpr time_t abandonedAfterSeconds = 3600;

/// What a file begins with; key and bytes follow.
struct Header {
  char magic[8];
  uint64_t version;
  uint64_t keySize;
  uint64_t size;
  /// XXH3 of the key, seeded by the sizes, and of the bytes, seeded by that.
  uint64_t checksum;
};
static_assert(sizeof(Header) == 40);

class File {
public:
  explicit File(int descriptor) : descriptor(descriptor) {}
  ~File() {
    if (descriptor >= 0)
      ::close(descriptor);
  }
  File(const File &) = delete;
  File &operator=(const File &) = delete;

  explicit operator bool() const { return descriptor >= 0; }
  int get() const { return descriptor; }

  bool read(void *bytes, size_t size) const {
    return transfer(static_cast<char *>(bytes), size, ::read);
  }
  bool write(const void *bytes, size_t size) const {
    return transfer(static_cast<const char *>(bytes), size, ::write);
  }
  /// Closes the file, for the errors that show only then.
  bool close() { return ::close(std::exchange(descriptor, -1)) == 0; }

private:
  template <typename Byte, typename Call>
  bool transfer(Byte *bytes, size_t size, Call call) const {
    while (size > 0) {
      ssize_t count = call(descriptor, bytes, size);
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        return false;
      bytes += count;
      size -= static_cast<size_t>(count);
    }
    return true;
  }

  int descriptor;
};

uint64_t getChecksum(std::string_view key, std::string_view bytes) {
  uint64_t seed = key.size() * 0x9E3779B97F4A7C15u + bytes.size();
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(),
                              XXH3_64bits_withSeed(key.data(), key.size(), seed));
}

/// Says once in a process that the cache does not work; it costs time, so someone may want to know.
void warn(const std::string &what, int error) {
  static std::atomic<bool> hasWarned = false;
  if (!hasWarned.exchange(true))
    std::fprintf(
        stderr,
        "flashsfa: warning: the kernel cache does not work, so kernels are compiled in each "
        "process: %s: %s; SFA_CACHE_DIR names another directory, SFA_CACHE_SIZE_MB=0 turns "
        "the cache off\n",
        what.c_str(), std::strerror(error));
}

/// Makes a directory, and those above it that are missing, for this user only.
bool makeDirectories(const std::string &path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    if (mkdir(path.substr(0, end).c_str(), 0700) != 0 && errno != EEXIST && errno != EISDIR)
      // A parent that this user cannot write may exist all the same.
      if (struct stat status; stat(path.substr(0, end).c_str(), &status) != 0)
        return false;
    if (end == std::string::npos)
      return true;
  }
}

bool endsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

bool isBefore(const timespec &left, const timespec &right) {
  return left.tv_sec != right.tv_sec ? left.tv_sec < right.tv_sec : left.tv_nsec < right.tv_nsec;
}

} // namespace

std::string CacheDirectory::pathOf(std::string_view key) const {
  XXH128_hash_t hash = XXH3_128bits(key.data(), key.size());
  return fmt::format("{}/{:016x}{:016x}{}", directory, hash.high64, hash.low64, entrySuffix);
}

/// Whether only this user or the administrator can have written a file: a program in it runs with
/// the rights of this process.
static bool isTrusted(const struct stat &status) {
  return (status.st_uid == geteuid() || status.st_uid == 0) &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::optional<std::string> CacheDirectory::get(std::string_view key) const {
  if (isOff())
    return std::nullopt;
  // Not blocking, in case it is a pipe.
  File file(open(pathOf(key).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status;
  Header header;
  if (!file || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) || !isTrusted(status) ||
      !file.read(&header, sizeof(header)))
    return std::nullopt;
  // Sizes first, against that of the file, before they are allocated.
  auto rest = static_cast<uint64_t>(status.st_size) - sizeof(header);
  if (std::memcmp(header.magic, magic, sizeof(magic)) != 0 || header.version != formatVersion ||
      header.keySize != key.size() || rest < key.size() || header.size != rest - key.size() ||
      rest > static_cast<uint64_t>(maxBytes))
    return std::nullopt;
  std::string storedKey(key.size(), '\0'), bytes(header.size, '\0');
  if (!file.read(storedKey.data(), storedKey.size()) || !file.read(bytes.data(), bytes.size()) ||
      storedKey != key || getChecksum(key, bytes) != header.checksum)
    return std::nullopt;
  futimens(file.get(), nullptr); // now; a file system that is read-only keeps its times
  return bytes;
}

bool CacheDirectory::write(std::string_view key, std::string_view bytes) const {
  std::string temporary = fmt::format("{}/{}XXXXXX", directory, temporaryPrefix);
  int descriptor = mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0 && errno == ENOENT && makeDirectories(directory)) {
    temporary = fmt::format("{}/{}XXXXXX", directory, temporaryPrefix);
    descriptor = mkostemp(temporary.data(), O_CLOEXEC);
  }
  if (descriptor < 0)
    return false;
  File file(descriptor);
  Header header = {};
  std::copy(std::begin(magic), std::end(magic), header.magic);
  header.version = formatVersion;
  header.keySize = key.size();
  header.size = bytes.size();
  header.checksum = getChecksum(key, bytes);
  if (file.write(&header, sizeof(header)) && file.write(key.data(), key.size()) &&
      file.write(bytes.data(), bytes.size()) && file.close() &&
      rename(temporary.c_str(), pathOf(key).c_str()) == 0)
    return true;
  int error = errno;
  unlink(temporary.c_str());
  errno = error;
  return false;
}

void CacheDirectory::evict(const std::string &newest) const {
  struct Entry {
    std::string path;
    timespec lastUse;
    int64_t bytes;
  };
  DIR *listing = opendir(directory.c_str());
  if (!listing)
    return;
  std::vector<Entry> entries;
  int64_t total = 0;
  time_t now = time(nullptr);
  while (const dirent *item = readdir(listing)) {
    std::string_view name = item->d_name;
    bool isTemporary = name.substr(0, temporaryPrefix.size()) == temporaryPrefix;
    if (!isTemporary && !endsWith(name, entrySuffix))
      continue;
    std::string path = fmt::format("{}/{}", directory, name);
    struct stat status;
    if (lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
      continue;
    if (!isTemporary) {
      entries.push_back({std::move(path), status.st_mtim, status.st_size});
      total += status.st_size;
    } else if (now - status.st_mtime > abandonedAfterSeconds) {
      unlink(path.c_str());
    }
  }
  closedir(listing);
  if (total <= maxBytes)
    return;
  std::sort(entries.begin(), entries.end(), [](const Entry &left, const Entry &right) {
    return isBefore(left.lastUse, right.lastUse);
  });
  for (const Entry &entry : entries) {
    if (total <= maxBytes)
      return;
    if (entry.path == newest)
      continue;
    // One that another process has removed is gone all the same.
    if (unlink(entry.path.c_str()) == 0 || errno == ENOENT)
      total -= entry.bytes;
  }
}

void CacheDirectory::put(std::string_view key, std::string_view bytes) const {
  if (isOff() || sizeof(Header) + key.size() + bytes.size() > static_cast<uint64_t>(maxBytes))
    return;
  if (!write(key, bytes))
    return warn(fmt::format("cannot write to {}", directory), errno);
  evict(pathOf(key));
}

//===----------------------------------------------------------------------===//
// C interface
//===----------------------------------------------------------------------===//

struct sfa_cache {
  CacheDirectory cache;
};

static void requireKey(const char *function, const sfa_cache *cache, const void *key, size_t size) {
  requireNotNull(cache, function, "cache");
  if (size > 0)
    requireNotNull(key, function, "key");
}

sfa_status sfa_cache_open(const char *directory, int64_t maxBytes, sfa_cache **cache) {
  return guarded([=] {
    requireNotNull(cache, "sfa_cache_open", "cache");
    std::string path = directory ? directory : knobs::cacheDirectory();
    int64_t bound = maxBytes < 0 ? knobs::cacheBytes() : maxBytes;
    *cache = new sfa_cache{CacheDirectory(std::move(path), bound)};
  });
}

void sfa_cache_close(sfa_cache *cache) { delete cache; }

sfa_status sfa_cache_get(sfa_cache *cache, const void *key, size_t keySize, void **bytes,
                         size_t *size) {
  return guarded([=] {
    requireKey("sfa_cache_get", cache, key, keySize);
    requireNotNull(bytes, "sfa_cache_get", "bytes");
    requireNotNull(size, "sfa_cache_get", "size");
    auto found = cache->cache.get({static_cast<const char *>(key), keySize});
    if (!found)
      fail(SFA_ERROR_NOT_FOUND, "the cache has no entry for this key");
    handOver(*found, bytes, size);
  });
}

sfa_status sfa_cache_put(sfa_cache *cache, const void *key, size_t keySize, const void *bytes,
                         size_t size) {
  return guarded([=] {
    requireKey("sfa_cache_put", cache, key, keySize);
    if (size > 0)
      requireNotNull(bytes, "sfa_cache_put", "bytes");
    cache->cache.put({static_cast<const char *>(key), keySize},
                     {static_cast<const char *>(bytes), size});
  });
}
