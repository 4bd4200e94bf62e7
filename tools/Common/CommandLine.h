//===- CommandLine.h - Flags and messages that the tools share --*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TOOLS_COMMON_COMMANDLINE_H
#define SFA_TOOLS_COMMON_COMMANDLINE_H

#include "dialects/SFA/SFA.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"

#include <string>

namespace sfa {

/// Parses the flags of a tool whose options are all in `category`; --help and --version end the
/// process. `overview` is what --help says above the list of flags.
llvm::Error parseCommandLine(int argc, char **argv, const char *overview,
                             llvm::cl::OptionCategory &category);

/// Runs `body` and turns its error into a message on stderr and exit status 1.
int reportErrors(llvm::StringRef tool, llvm::function_ref<llvm::Error()> body);

/// Fails unless `target` is one of `allowed`.
llvm::Error checkTarget(llvm::StringRef target, llvm::ArrayRef<llvm::StringRef> allowed);

/// The value of the flag --strategy or --softmax; the error lists the names that are allowed.
llvm::Expected<Strategy> parseStrategy(llvm::StringRef name);
llvm::Expected<Softmax> parseSoftmax(llvm::StringRef name);
/// That of --shared-by.
llvm::Expected<Scales> parseScales(llvm::StringRef name);

/// The whole of `text` as a number from `min` to `max`, for the flag `flag`.
llvm::Expected<int64_t> parseNumber(llvm::StringRef flag, llvm::StringRef text, int64_t min,
                                    int64_t max);

} // namespace sfa

#endif // SFA_TOOLS_COMMON_COMMANDLINE_H
