//===- Progress.h - What a tool says while it works -------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TOOLS_COMMON_PROGRESS_H
#define SFA_TOOLS_COMMON_PROGRESS_H

#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <fmt/format.h>
#include <string>

namespace sfa {

/// One line about the work under way: on a terminal the same line again and again.
class Progress {
public:
  ~Progress() { clear(); }

  void show(const std::string &text) {
    if (isTerminal) {
      llvm::errs() << "\r\x1b[K" << text;
      llvm::errs().flush();
    }
  }

  /// The same with a bar of what is done, a share, and the seconds that are left.
  void show(const std::string &text, double done, double secondsLeft) {
    constexpr int width = 24;
    auto left = static_cast<int64_t>(std::max(0.0, secondsLeft));
    int64_t minutes = left / 60, seconds = left % 60;
    int filled = std::clamp(static_cast<int>(done * width), 0, width);
    show(fmt::format("[{}{}] {:3.0f}% {}:{:02} left  {}", std::string(filled, '#'),
                     std::string(width - filled, '.'), 100 * done, minutes, seconds, text));
  }

  /// Something that the output of a program shall show, too.
  void note(const std::string &text) {
    clear();
    llvm::errs() << text << '\n';
  }

  void clear() {
    if (isTerminal)
      llvm::errs() << "\r\x1b[K";
  }

private:
  bool isTerminal = llvm::sys::Process::StandardErrIsDisplayed();
};

} // namespace sfa

#endif // SFA_TOOLS_COMMON_PROGRESS_H
