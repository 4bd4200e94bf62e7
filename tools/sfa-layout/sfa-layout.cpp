//===- sfa-layout.cpp - Draw how codes and tiles lie in memory and registers ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Layouts.h"

#include "dialects/GPU/GPU.h"
#include "tools/Common/CommandLine.h"

using namespace llvm;
using namespace sfa;

static constexpr char overview[] =
    R"(draw how codes, tiles and operands lie in memory and in registers

Each layout is a subcommand. A picture comes from the functions that the compiler emits code by.

  sfa-layout swizzle --help           what the picture shows, and the flags
  sfa-layout swizzle --columns 128    draw it

docs/layouts.md explains all of them. Exit status: 0, or 1 after an error.
)";

/// All layouts, in the order of docs/layouts.md.
static const layout::Layout *const layouts[] = {
    &layout::codes,   &layout::scales,   &layout::featureMajor, &layout::postings,
    &layout::twoFour, &layout::fragment, &layout::swizzle,
};

cl::OptionCategory &layout::category() {
  static cl::OptionCategory category("sfa-layout options");
  return category;
}

static Error draw(int argc, char **argv) {
  const char *explanation = overview;
  for (const layout::Layout *layout : layouts) {
    cl::HideUnrelatedOptions(layout::category(), layout->command);
    if (argc > 1 && layout->command.getName() == argv[1])
      explanation = layout->explanation;
  }
  if (Error error = parseCommandLine(argc, argv, explanation, layout::category()))
    return error;
  for (const layout::Layout *layout : layouts) {
    if (!layout->command)
      continue;
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    context.loadDialect<simt::GPUDialect>();
    return layout->draw(context, outs());
  }
  std::string names;
  for (const layout::Layout *layout : layouts)
    names += (names.empty() ? "" : ", ") + layout->command.getName().str();
  return createStringError("no layout is given; allowed are " + names);
}

int main(int argc, char **argv) {
  return reportErrors("sfa-layout", [&] { return draw(argc, argv); });
}
