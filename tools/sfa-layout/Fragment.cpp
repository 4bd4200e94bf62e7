//===- Fragment.cpp - Which lane of a warp holds which element ------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Drawing.h"
#include "Layouts.h"

#include "dialects/GPU/Layouts.h"
#include "tools/Common/CommandLine.h"

#include <fmt/format.h>

using namespace llvm;
using namespace mlir;
using namespace sfa;
using namespace sfa::layout;

static cl::SubCommand command("fragment", "Which lane of a warp holds which element of a product");

static cl::opt<std::string> operandName("operand", cl::sub(command), cl::cat(category()),
                                        cl::desc("accumulator (default) or left"),
                                        cl::value_desc("name"), cl::init("accumulator"));
static cl::opt<std::string> bitsText("element-bits", cl::sub(command), cl::cat(category()),
                                     cl::desc("Bits of an element of the left operand, 16 "
                                              "(default) or 8"),
                                     cl::value_desc("number"), cl::init("16"));

static constexpr char explanation[] =
    R"(draw which lane of a warp holds which element of a product

A warp has 16 rows of a tile, or several times 16; mma.sync m16n8k16 and wgmma leave their results in the same layout.
Of the accumulator the picture shows 16 columns: "13: 2 3" says that lane 13 holds the two columns as its elements 2 and
3. Further columns have further elements. Of the left operand it shows 32 bytes of each row, which a product adds up
over: "13: 1" says that they are in register 1 of lane 13.

  sfa-layout fragment
  sfa-layout fragment --operand left --element-bits 8
)";

static constexpr int64_t rows = 16, lanes = 32;

/// Prints `cells`, of which each has the columns of `columnsOfCell` columns.
static void print(raw_ostream &stream, ArrayRef<Table::Row> cells, int64_t columnsOfCell) {
  Table::Row head{"row"};
  for (size_t cell = 0; cell < cells.front().size(); ++cell) {
    int64_t first = static_cast<int64_t>(cell) * columnsOfCell;
    head.push_back(columnsOfCell == 2 ? fmt::format("{} {}", first, first + 1)
                                      : range(first, first + columnsOfCell - 1));
  }
  Table table(std::string(head.size(), 'r'), head);
  for (auto [row, line] : llvm::enumerate(cells)) {
    Table::Row numbered{std::to_string(row)};
    llvm::append_range(numbered, line);
    table.add(numbered);
  }
  table.print(stream);
}

static void drawAccumulator(raw_ostream &stream) {
  constexpr int64_t columns = 16;
  std::vector<Table::Row> cells(rows, Table::Row(columns / 2));
  for (int64_t lane = 0; lane < lanes; ++lane) {
    int64_t g = simt::quadOfLane(lane), t = simt::placeInQuad(lane);
    for (size_t element = 0; element < columns / 2; ++element) {
      int64_t row = g + simt::rowOffset(simt::rowOfElement(element, columns)),
              column = simt::firstColumn(t) + simt::columnOffset(element, columns);
      std::string &cell = cells[row][column / 2];
      cell += cell.empty() ? fmt::format("{}: {}", lane, element) : fmt::format(" {}", element);
    }
  }
  stream << "accumulator, 16 rows and 16 columns: lane, and its elements\n\n";
  print(stream, cells, /*columnsOfCell=*/2);
}

static llvm::Error drawLeft(MLIRContext &context, raw_ostream &stream) {
  llvm::Expected<int64_t> bits = parseNumber("element-bits", bitsText, 1, 64);
  if (!bits)
    return bits.takeError();
  mlir::Type element = getElement(context, *bits);
  llvm::Expected<simt::OperandType> type = verified(context, [&](EmitError emitError) {
    return simt::OperandType::getChecked(emitError, &context, rows,
                                         simt::OperandType::roundUp(1, element), element);
  });
  if (!type)
    return type.takeError();

  constexpr int64_t registerBytes = 4, registersOfChunk = sfa::swizzle::chunkBytes / registerBytes;
  std::vector<Table::Row> cells(rows, Table::Row(2 * registersOfChunk));
  // What ldmatrix gives a lane: of row g of each matrix register t.
  for (int64_t lane = 0; lane < lanes; ++lane)
    for (int64_t matrix = 0; matrix < type->getNumRegisters(); ++matrix) {
      int64_t source = 8 * matrix + simt::quadOfLane(lane);
      int64_t number = simt::chunkOfLeft(source) * registersOfChunk + simt::placeInQuad(lane);
      cells[simt::rowOfLeft(source)][number] = fmt::format("{}: {}", lane, matrix);
    }
  stream << "left operand, " << *type << ": lane, and its register\n\n";
  print(stream, cells, 8 * registerBytes / *bits);
  return llvm::Error::success();
}

static llvm::Error draw(MLIRContext &context, raw_ostream &stream) {
  if (operandName == "left")
    return drawLeft(context, stream);
  if (operandName != "accumulator")
    return createStringError(fmt::format(
        "--operand: unknown name '{}'; allowed are accumulator, left", operandName.getValue()));
  if (bitsText.getNumOccurrences())
    return createStringError("--element-bits is for --operand left; accumulators have 32 bits");
  drawAccumulator(stream);
  return llvm::Error::success();
}

const Layout sfa::layout::fragment = {command, explanation, draw};
