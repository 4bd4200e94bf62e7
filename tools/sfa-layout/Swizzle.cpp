//===- Swizzle.cpp - Tiles in shared memory -------------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Drawing.h"
#include "Layouts.h"

#include "dialects/GPU/GPU.h"
#include "tools/Common/CommandLine.h"

#include <fmt/format.h>

using namespace llvm;
using namespace mlir;
using namespace sfa;
using namespace sfa::layout;

static cl::SubCommand command("swizzle", "Tiles in shared memory, in swizzled panels");

static cl::opt<std::string> rowsText("rows", cl::sub(command), cl::cat(category()),
                                     cl::desc("Rows (default 8)"), cl::value_desc("number"),
                                     cl::init("8"));
static cl::opt<std::string> columnsText("columns", cl::sub(command), cl::cat(category()),
                                        cl::desc("Columns (default 64)"), cl::value_desc("number"),
                                        cl::init("64"));
static cl::opt<std::string> bitsText("element-bits", cl::sub(command), cl::cat(category()),
                                     cl::desc("Bits of an element, 16 (default) or 8"),
                                     cl::value_desc("number"), cl::init("16"));

static constexpr char explanation[] =
    R"(draw tiles in shared memory, in panels of 128 bytes with a swizzle

A panel has 128 bytes of each row, one row after the other, as eight chunks of 16 bytes. Chunk c of row r is at place
c ^ (r % 8). The picture shows the columns that lie at each place; a dash is a chunk
behind the last column, which is 0 or not read.

  sfa-layout swizzle --columns 128
  sfa-layout swizzle --columns 256 --element-bits 8
)";

static llvm::Error draw(MLIRContext &context, raw_ostream &stream) {
  llvm::Expected<int64_t> rows = parseNumber("rows", rowsText, 1, 256);
  if (!rows)
    return rows.takeError();
  llvm::Expected<int64_t> columns = parseNumber("columns", columnsText, 1, 1024);
  if (!columns)
    return columns.takeError();
  llvm::Expected<int64_t> bits = parseNumber("element-bits", bitsText, 1, 64);
  if (!bits)
    return bits.takeError();
  mlir::Type element = getElement(context, *bits);
  llvm::Expected<simt::SharedType> type = verified(context, [&](EmitError emitError) {
    return simt::SharedType::getChecked(emitError, &context, ArrayRef<int64_t>{*rows, *columns},
                                        element, simt::TileForm::Swizzled);
  });
  if (!type)
    return type.takeError();

  constexpr int64_t chunks = sfa::swizzle::rowBytes / sfa::swizzle::chunkBytes;
  int64_t panelBytes = *rows * sfa::swizzle::rowBytes, numPanels = type->getBytes() / panelBytes,
          chunkColumns = 8 * sfa::swizzle::chunkBytes / *bits;
  // What lies at each 16 bytes of the tile.
  std::vector<std::string> contents(type->getBytes() / sfa::swizzle::chunkBytes, "-");
  for (int64_t row = 0; row < *rows; ++row)
    for (int64_t column = 0; column < *columns; column += chunkColumns) {
      int64_t offset = sfa::swizzle::offsetOf(row, column * *bits / 8, panelBytes);
      contents[offset / sfa::swizzle::chunkBytes] =
          fmt::format("{}-{}", column, column + chunkColumns - 1);
    }
  stream << *type << fmt::format(", {} bytes\n", type->getBytes());
  for (int64_t panel = 0; panel < numPanels; ++panel) {
    stream << fmt::format("\npanel {}, from byte {} on: columns at each 16 bytes of a row\n\n",
                          panel, panel * panelBytes);
    Table::Row head{"row"};
    for (int64_t place = 0; place < chunks; ++place)
      head.push_back(fmt::format("+{}", place * sfa::swizzle::chunkBytes));
    Table table("rrrrrrrrr", head);
    for (int64_t row = 0; row < *rows; ++row) {
      Table::Row cells{std::to_string(row)};
      for (int64_t place = 0; place < chunks; ++place)
        cells.push_back(contents[(panel * *rows + row) * chunks + place]);
      table.add(cells);
    }
    table.print(stream);
  }
  return llvm::Error::success();
}

const Layout sfa::layout::swizzle = {command, explanation, draw};
