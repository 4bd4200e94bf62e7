//===- CacheTest.cpp - Bytes kept between processes -------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CacheDirectory.h"
#include "Knobs.h"
#include "RuntimeTest.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace sfa;
using namespace sfa::test;

namespace fs = std::filesystem;

namespace {

class CacheTest : public testing::Test {
protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "sfa-cache-XXXXXX").string();
    ASSERT_TRUE(mkdtemp(name.data()));
    root = name;
    directory = root / "deep" / "cache";
  }

  void TearDown() override {
    std::error_code ignored;
    fs::permissions(root, fs::perms::owner_all, ignored);
    if (fs::exists(directory))
      fs::permissions(directory, fs::perms::owner_all, ignored);
    fs::remove_all(root, ignored);
    for (const char *name : {"SFA_CACHE_DIR", "SFA_CACHE_SIZE_MB"})
      unsetenv(name);
  }

  runtime::Cache open(int64_t maxBytes = 1 << 20) const {
    auto cache = runtime::Cache::open(directory.string(), maxBytes);
    EXPECT_TRUE(bool(cache));
    return std::move(*cache);
  }

  /// What is cached; nothing for a miss.
  static std::optional<std::string> get(const runtime::Cache &cache, const std::string &key) {
    auto bytes = cache.get(key);
    if (bytes)
      return *bytes;
    EXPECT_EQ(bytes.error().status, SFA_ERROR_NOT_FOUND);
    return std::nullopt;
  }

  static void put(const runtime::Cache &cache, const std::string &key, const std::string &bytes) {
    runtime::Status status = cache.put(key, bytes);
    EXPECT_TRUE(bool(status)) << status.error().message;
  }

  fs::path pathOf(const std::string &key) const {
    return runtime::impl::CacheDirectory(directory.string(), 1).pathOf(key);
  }

  std::string read(const std::string &key) const {
    std::ifstream file(pathOf(key), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  void write(const std::string &key, const std::string &content) const {
    std::ofstream(pathOf(key), std::ios::binary | std::ios::trunc) << content;
  }

  size_t countFiles() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(directory), {}));
  }

  void setLastUse(const std::string &key, int secondsAgo) const {
    fs::last_write_time(pathOf(key),
                        fs::file_time_type::clock::now() - std::chrono::seconds(secondsAgo));
  }

  fs::path root, directory;
};

TEST_F(CacheTest, KeepsBytes) {
  runtime::Cache cache = open();
  EXPECT_EQ(get(cache, "key"), std::nullopt);
  EXPECT_FALSE(fs::exists(directory));
  put(cache, "key", "value");
  EXPECT_EQ(get(cache, "key"), "value");
  EXPECT_EQ(get(open(), "key"), "value");
  EXPECT_EQ(get(cache, "other"), std::nullopt);
  put(cache, "key", "another value");
  EXPECT_EQ(get(cache, "key"), "another value");
  EXPECT_EQ(countFiles(), 1u);
}

TEST_F(CacheTest, KeepsAnyBytes) {
  runtime::Cache cache = open();
  std::string zeros(1000, '\0'), large(300000, 'x');
  put(cache, "", "");
  put(cache, zeros, "zeros");
  put(cache, zeros + '\0', large);
  EXPECT_EQ(get(cache, ""), "");
  EXPECT_EQ(get(cache, zeros), "zeros");
  EXPECT_EQ(get(cache, zeros + '\0'), large);
}

TEST_F(CacheTest, IsForThisUserOnly) {
  put(open(), "key", "value");
  struct stat status;
  ASSERT_EQ(stat(directory.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(pathOf("key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(CacheTest, ReadsNothingThatOthersMayHaveWritten) {
  runtime::Cache cache = open();
  put(cache, "key", "value");
  for (unsigned mode : {0620u, 0602u, 0666u}) {
    ASSERT_EQ(chmod(pathOf("key").c_str(), mode), 0);
    EXPECT_EQ(get(cache, "key"), std::nullopt) << mode;
  }
  ASSERT_EQ(chmod(pathOf("key").c_str(), 0644), 0);
  EXPECT_EQ(get(cache, "key"), "value");
  // Only the administrator can give a file away.
  if (geteuid() != 0)
    return;
  ASSERT_EQ(chown(pathOf("key").c_str(), 65534, 65534), 0);
  EXPECT_EQ(get(cache, "key"), std::nullopt);
  put(cache, "key", "value");
  EXPECT_EQ(get(cache, "key"), "value");
}

TEST_F(CacheTest, TakesDamageForAMiss) {
  runtime::Cache cache = open();
  put(cache, "key", "a value of some length");
  const std::string good = read("key");
  auto isMissThenReplaced = [&](const std::string &content, const std::string &what) {
    write("key", content);
    EXPECT_EQ(get(cache, "key"), std::nullopt) << what;
    put(cache, "key", "a value of some length");
    EXPECT_EQ(get(cache, "key"), "a value of some length") << what;
  };
  for (size_t size = 0; size < good.size(); ++size)
    isMissThenReplaced(good.substr(0, size), "truncated to " + std::to_string(size));
  for (size_t at = 0; at < good.size(); ++at)
    for (int bit : {0, 7}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      isMissThenReplaced(bad, "damaged at " + std::to_string(at));
    }
  isMissThenReplaced(good + "x", "longer");
  isMissThenReplaced(std::string(1000, '\xff'), "foreign");
}

TEST_F(CacheTest, TellsKeysOfOneHashApart) {
  runtime::Cache cache = open();
  put(cache, "key", "value");
  put(cache, "kex", "other value");
  // As if both had the same name.
  fs::copy_file(pathOf("kex"), pathOf("key"), fs::copy_options::overwrite_existing);
  EXPECT_EQ(get(cache, "key"), std::nullopt);
  EXPECT_EQ(get(cache, "kex"), "other value");
}

TEST_F(CacheTest, TakesNothingButFiles) {
  runtime::Cache cache = open();
  put(cache, "key", "value");
  fs::remove(pathOf("key"));
  fs::create_directory(pathOf("key"));
  EXPECT_EQ(get(cache, "key"), std::nullopt);
  fs::remove(pathOf("key"));
  ASSERT_EQ(mkfifo(pathOf("key").c_str(), 0600), 0);
  EXPECT_EQ(get(cache, "key"), std::nullopt);
  put(cache, "key", "value");
  EXPECT_EQ(get(cache, "key"), "value");
}

TEST_F(CacheTest, RemovesWhatWasUsedLongestAgo) {
  // Entries of 1000 bytes and some 50 more; four of them fit.
  runtime::Cache cache = open(4500);
  std::string bytes(1000, 'x');
  int age = 100;
  for (const char *key : {"a", "b", "c", "d"}) {
    put(cache, key, bytes);
    setLastUse(key, age -= 10);
  }
  EXPECT_EQ(countFiles(), 4u);
  EXPECT_EQ(get(cache, "a"), bytes); // used just now
  put(cache, "e", bytes);
  EXPECT_EQ(countFiles(), 4u);
  EXPECT_EQ(get(cache, "b"), std::nullopt);
  for (const char *key : {"a", "c", "d", "e"})
    EXPECT_EQ(get(cache, key), bytes) << key;
  setLastUse("d", 60);
  setLastUse("c", 50);
  put(cache, "f", std::string(2000, 'x'));
  for (const char *key : {"c", "d"})
    EXPECT_EQ(get(cache, key), std::nullopt) << key;
  for (const char *key : {"a", "e", "f"})
    EXPECT_NE(get(cache, key), std::nullopt) << key;
}

TEST_F(CacheTest, LeavesOutWhatDoesNotFit) {
  runtime::Cache cache = open(1000);
  put(cache, "small", "value");
  put(cache, "large", std::string(1000, 'x'));
  EXPECT_EQ(get(cache, "large"), std::nullopt);
  EXPECT_EQ(get(cache, "small"), "value");
}

TEST_F(CacheTest, RemovesWhatDiedWhileWriting) {
  runtime::Cache cache = open(2000);
  put(cache, "a", "value");
  fs::path abandoned = directory / "writing.abcdef", recent = directory / "writing.ghijkl";
  fs::path foreign = directory / "README";
  for (const fs::path &path : {abandoned, recent, foreign})
    std::ofstream(path) << std::string(5000, 'x');
  for (const fs::path &path : {abandoned, foreign})
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(2));
  put(cache, "b", "value");
  EXPECT_FALSE(fs::exists(abandoned));
  EXPECT_TRUE(fs::exists(recent));
  EXPECT_TRUE(fs::exists(foreign));
  EXPECT_EQ(get(cache, "a"), "value");
}

TEST_F(CacheTest, CanBeOff) {
  put(open(0), "key", "value");
  EXPECT_EQ(get(open(0), "key"), std::nullopt);
  EXPECT_FALSE(fs::exists(directory));
}

TEST_F(CacheTest, SurvivesItsRemoval) {
  runtime::Cache cache = open();
  put(cache, "key", "value");
  fs::remove_all(directory);
  EXPECT_EQ(get(cache, "key"), std::nullopt);
  put(cache, "key", "value");
  EXPECT_EQ(get(cache, "key"), "value");
}

/// What a child process has to say on stderr, and that it ends well.
template <typename Body>
std::string inChild(const Body &body) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    body();
    std::_Exit(testing::Test::HasFailure());
  }
  close(ends[1]);
  std::string text;
  char buffer[1024];
  for (ssize_t count; (count = ::read(ends[0], buffer, sizeof(buffer))) > 0;)
    text.append(buffer, static_cast<size_t>(count));
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << text;
  return text;
}

/// As a user that permissions hold for; false where that cannot be.
bool becomeOrdinary() { return geteuid() != 0 || seteuid(65534) == 0; }

TEST_F(CacheTest, WarnsOnceWhereItCannotWrite) {
  // A file is in the place of the directory: so it is for root too.
  fs::create_directory(directory.parent_path());
  std::ofstream(directory.string()) << "a file";
  std::string text = inChild([&] {
    runtime::Cache cache = open();
    for (int count = 0; count < 3; ++count) {
      put(cache, "key", "value");
      EXPECT_EQ(get(cache, "key"), std::nullopt);
    }
  });
  EXPECT_EQ(text, "flashsfa: warning: the kernel cache does not work, so kernels are compiled in "
                  "each process: cannot write to " +
                      directory.string() +
                      ": Not a directory; SFA_CACHE_DIR names another directory, "
                      "SFA_CACHE_SIZE_MB=0 turns the cache off\n");
}

TEST_F(CacheTest, IsReadWhereItCannotBeWritten) {
  put(open(), "key", "value");
  fs::permissions(pathOf("key"), fs::perms(0444));
  for (const fs::path &path : {root, directory.parent_path(), directory})
    fs::permissions(path, fs::perms(0555));
  std::string text = inChild([&] {
    // From within, since the folders above may be closed to that user.
    fs::current_path(root);
    directory = fs::relative(directory, root);
    if (!becomeOrdinary())
      return;
    runtime::Cache cache = open();
    EXPECT_EQ(get(cache, "key"), "value");
    put(cache, "other", "value");
    EXPECT_EQ(get(cache, "other"), std::nullopt);
    expectHas(sfa_last_error(), "no entry");
  });
  if (!text.empty()) {
    expectHas(text, "Permission denied");
  }
}

TEST_F(CacheTest, IsNothingOnAFullDisk) {
  std::string text = inChild([&] {
    // A limit on files: writing fails half-way, as it does on a full disk.
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit = {100, 100};
    setrlimit(RLIMIT_FSIZE, &limit);
    runtime::Cache cache = open();
    put(cache, "key", std::string(10000, 'x'));
    EXPECT_EQ(get(cache, "key"), std::nullopt);
    put(cache, "small", "v");
    EXPECT_EQ(get(cache, "small"), "v");
  });
  expectHas(text, "File too large");
  EXPECT_EQ(countFiles(), 1u); // nothing half-written is left
}

TEST_F(CacheTest, IsSharedByProcesses) {
  constexpr int numProcesses = 16, numKeys = 8;
  auto valueOf = [](int key) {
    return std::string(static_cast<size_t>(5000 + key), char('a' + key));
  };
  std::vector<pid_t> children;
  for (int process = 0; process < numProcesses; ++process) {
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      // Some have a bound that makes them remove what others have written.
      runtime::Cache cache = open(process % 4 == 0 ? 12000 : 1 << 20);
      for (int round = 0; round < 50; ++round) {
        int key = (round * 7 + process) % numKeys;
        std::string name = "key " + std::to_string(key);
        if (auto bytes = get(cache, name); bytes && *bytes != valueOf(key))
          std::_Exit(1);
        put(cache, name, valueOf(key));
      }
      std::_Exit(HasFailure());
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  runtime::Cache cache = open();
  for (int key = 0; key < numKeys; ++key) {
    auto bytes = get(cache, "key " + std::to_string(key));
    EXPECT_TRUE(!bytes || *bytes == valueOf(key));
  }
  for (const fs::directory_entry &entry : fs::directory_iterator(directory))
    EXPECT_EQ(entry.path().extension(), ".entry");
}

TEST_F(CacheTest, IsSharedByThreads) {
  runtime::Cache cache = open(40000);
  std::vector<std::thread> threads;
  std::atomic<int> numHits = 0;
  for (int thread = 0; thread < 8; ++thread)
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 100; ++round) {
        int key = (round + thread) % 10;
        std::string name = std::to_string(key), value(static_cast<size_t>(5000 + key), 'x');
        if (auto bytes = get(cache, name)) {
          EXPECT_EQ(*bytes, value);
          ++numHits;
        }
        put(cache, name, value);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_GT(numHits, 0);
}

TEST_F(CacheTest, IsWhereTheKnobsSay) {
  setenv("SFA_CACHE_DIR", directory.c_str(), 1);
  auto cache = runtime::Cache::open();
  ASSERT_TRUE(bool(cache));
  put(*cache, "key", "value");
  EXPECT_EQ(get(open(), "key"), "value");
  setenv("SFA_CACHE_SIZE_MB", "0", 1);
  cache = runtime::Cache::open();
  ASSERT_TRUE(bool(cache));
  EXPECT_EQ(get(*cache, "key"), std::nullopt);
}

class Knobs : public testing::Test {
protected:
  void SetUp() override {
    for (const char *name : names)
      if (const char *value = std::getenv(name))
        before[name] = value;
    for (const char *name : names)
      unsetenv(name);
  }
  void TearDown() override {
    for (const char *name : names)
      before.count(name) ? setenv(name, before[name].c_str(), 1) : unsetenv(name);
  }

  const char *names[6] = {"SFA_CACHE_DIR", "SFA_CACHE_SIZE_MB", "SFA_CUDA_DRIVER",
                          "SFA_NVML",      "XDG_CACHE_HOME",    "HOME"};
  std::map<std::string, std::string> before;
};

namespace knobs = runtime::impl::knobs;

TEST_F(Knobs, SayWhereTheCacheIs) {
  EXPECT_EQ(knobs::cacheDirectory(), "");
  setenv("HOME", "/home/someone", 1);
  EXPECT_EQ(knobs::cacheDirectory(), "/home/someone/.cache/flashsfa");
  setenv("XDG_CACHE_HOME", "relative", 1);
  EXPECT_EQ(knobs::cacheDirectory(), "/home/someone/.cache/flashsfa");
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(knobs::cacheDirectory(), "/xdg/flashsfa");
  setenv("SFA_CACHE_DIR", "", 1);
  EXPECT_EQ(knobs::cacheDirectory(), "/xdg/flashsfa");
  setenv("SFA_CACHE_DIR", "there", 1);
  EXPECT_EQ(knobs::cacheDirectory(), "there");
}

TEST_F(Knobs, SayWhichNvml) {
  EXPECT_EQ(knobs::nvml(), "libnvidia-ml.so.1");
  setenv("SFA_NVML", "/some/libnvidia-ml.so", 1);
  EXPECT_EQ(knobs::nvml(), "/some/libnvidia-ml.so");
}

TEST_F(Knobs, SayWhichDriver) {
  EXPECT_EQ(knobs::cudaDriver(), "libcuda.so.1");
  setenv("SFA_CUDA_DRIVER", "/some/libcuda.so", 1);
  EXPECT_EQ(knobs::cudaDriver(), "/some/libcuda.so");
}

TEST_F(Knobs, BoundTheCache) {
  EXPECT_EQ(knobs::cacheBytes(), int64_t(512) << 20);
  setenv("SFA_CACHE_SIZE_MB", "1048576", 1);
  EXPECT_EQ(knobs::cacheBytes(), int64_t(1) << 40);
  setenv("SFA_CACHE_SIZE_MB", "0", 1);
  EXPECT_EQ(knobs::cacheBytes(), 0);
  for (const char *value : {"-1", "1048577", "99999999999999999999", "many", "2 ", "+3", "0x10"}) {
    setenv("SFA_CACHE_SIZE_MB", value, 1);
    auto cache = runtime::Cache::open();
    ASSERT_FALSE(bool(cache)) << value;
    EXPECT_EQ(cache.error().status, SFA_ERROR_INVALID_KNOB);
    EXPECT_EQ(cache.error().message,
              std::string("the environment variable SFA_CACHE_SIZE_MB is '") + value +
                  "'; it has to be a number from 0 to 1048576");
  }
}

} // namespace
