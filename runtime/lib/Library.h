//===- Library.h - Libraries that are opened at run time --------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_LIBRARY_H
#define SFA_RUNTIME_LIB_LIBRARY_H

#include <dlfcn.h>
#include <string>

namespace sfa::runtime::impl {

/// A library that is closed again unless it turns out to be the right one.
class Library {
public:
  explicit Library(const std::string &path) : handle(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!handle)
      if (const char *why = dlerror())
        reason = why;
  }
  ~Library() {
    if (handle)
      dlclose(handle);
  }
  Library(const Library &) = delete;
  Library &operator=(const Library &) = delete;

  explicit operator bool() const { return handle; }
  /// Why it could not be opened.
  const std::string &error() const { return reason; }
  void *find(const char *symbol) const { return dlsym(handle, symbol); }
  void keep() { handle = nullptr; }

private:
  void *handle;
  std::string reason = "unknown error";
};

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_LIBRARY_H
