//===- ToolMain.cpp - The tools inside libsfa.so -------------------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Only packages have this; see CMakeLists.txt beside it.
//
//===----------------------------------------------------------------------===//

#include <cstdio>
#include <cstring>

using Constructor = void (*)(int, char **, char **);

extern char **environ;

// The `main` of each tool and the bounds, which the linker sets, of the section of its
// constructors. A tool without constructors has no such section.
#define SFA_TOOL(SYMBOL, NAME)                                                                     \
  extern "C" int flashsfa_main_##SYMBOL(int argc, char **argv);                                    \
  extern "C"                                                                                       \
      __attribute__((weak, visibility("hidden"))) Constructor __start_flashsfa_init_##SYMBOL[],    \
      __stop_flashsfa_init_##SYMBOL[];
#include "Tools.def"
#undef SFA_TOOL

namespace {
struct Tool {
  const char *name;
  int (*main)(int, char **);
  Constructor *begin, *end;
};
} // namespace

/// Runs the tool `name`, such as "opt", as its `main` would; for the programs in bin/, once in a
/// process.
extern "C" __attribute__((visibility("default"))) int sfa_tool_main(const char *name, int argc,
                                                                    char **argv) {
  static const Tool tools[] = {
#define SFA_TOOL(SYMBOL, NAME)                                                                     \
  {NAME, flashsfa_main_##SYMBOL, __start_flashsfa_init_##SYMBOL, __stop_flashsfa_init_##SYMBOL},
#include "Tools.def"
#undef SFA_TOOL
  };
  for (const Tool &tool : tools) {
    if (std::strcmp(tool.name, name) != 0)
      continue;
    for (Constructor *constructor = tool.begin; constructor != tool.end; ++constructor)
      (*constructor)(argc, argv, environ);
    return tool.main(argc, argv);
  }
  std::fprintf(stderr, "this libsfa.so has no tool '%s'\n", name);
  return 1;
}
