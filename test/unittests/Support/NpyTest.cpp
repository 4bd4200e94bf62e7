//===- NpyTest.cpp - Tests of .npy files and element types ------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Support/Npy.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace sfa;
using llvm::StringRef;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

constexpr ElementType everyType[] = {ElementType::F16, ElementType::BF16, ElementType::F32,
                                     ElementType::F64, ElementType::I8,   ElementType::U8,
                                     ElementType::U16, ElementType::I32,  ElementType::I64};

/// A file by hand: magic, version, the header's length and text, the data.
std::string fileBytes(StringRef header, StringRef data, char major = 1, char minor = 0) {
  std::string bytes("\x93NUMPY");
  bytes += major;
  bytes += minor;
  for (unsigned i = 0; i < (major == 1 ? 2u : 4u); ++i)
    bytes += static_cast<char>(header.size() >> (8 * i));
  return bytes + header.str() + data.str();
}

std::string dict(StringRef descr, StringRef shape, StringRef order = "False") {
  return ("{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n")
      .str();
}

class NpyTest : public testing::Test {
protected:
  void SetUp() override { ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("npy", folder)); }
  void TearDown() override { ASSERT_FALSE(llvm::sys::fs::remove_directories(folder)); }

  std::string pathOf(StringRef name) const { return (folder + "/" + name).str(); }

  std::string put(StringRef bytes) {
    std::string path = pathOf("x.npy");
    std::error_code code;
    llvm::raw_fd_ostream stream(path, code);
    EXPECT_FALSE(code);
    stream << bytes;
    return path;
  }

  std::string contents(StringRef path) {
    auto buffer = llvm::MemoryBuffer::getFile(path);
    return buffer ? (*buffer)->getBuffer().str() : "<missing>";
  }

  size_t numFiles() {
    std::error_code code;
    size_t count = 0;
    for (llvm::sys::fs::directory_iterator it(folder, code), end; it != end && !code;
         it.increment(code))
      ++count;
    return count;
  }

  NpyArray read(StringRef path) {
    llvm::Expected<NpyArray> array = readNpy(path);
    if (array)
      return std::move(*array);
    ADD_FAILURE() << llvm::toString(array.takeError());
    return {};
  }

  /// The message starts with the path and has every one of `parts`.
  void expectMessage(StringRef path, llvm::Error error, llvm::ArrayRef<StringRef> parts) {
    std::string message = error ? llvm::toString(std::move(error)) : "<success>";
    EXPECT_TRUE(StringRef(message).starts_with((path + ": ").str())) << message;
    for (StringRef part : parts)
      EXPECT_TRUE(StringRef(message).contains(part))
          << "not in the message: " << part.str() << "\nmessage: " << message;
    for (char c : message)
      EXPECT_TRUE(llvm::isPrint(c)) << "unprintable: " << message;
  }

  void expectUnreadablePath(StringRef path, llvm::ArrayRef<StringRef> parts) {
    llvm::Expected<NpyArray> array = readNpy(path);
    expectMessage(path, array ? llvm::Error::success() : array.takeError(), parts);
  }

  void expectUnreadable(StringRef bytes, llvm::ArrayRef<StringRef> parts) {
    SCOPED_TRACE(llvm::toHex(bytes.take_front(96)));
    expectUnreadablePath(put(bytes), parts);
  }

  llvm::SmallString<128> folder;
};

//===----------------------------------------------------------------------===//
// Types and arrays
//===----------------------------------------------------------------------===//

TEST(ElementTypeTest, SizesAndNames) {
  std::string text;
  for (ElementType type : everyType)
    text += name(type).str() + ":" + std::to_string(sizeInBytes(type)) + " ";
  EXPECT_EQ(text, "f16:2 bf16:2 f32:4 f64:8 i8:1 u8:1 u16:2 i32:4 i64:8 ");
}

TEST(NpyArrayTest, OwnsAlignedZeros) {
  for (int64_t size : {1, 63, 64, 65, 1000}) {
    NpyArray array = NpyArray::zeros(ElementType::U8, {size});
    ASSERT_EQ(array.data.size(), static_cast<size_t>(size));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(array.data.data()) % 64, 0u);
    for (int64_t i = 0; i < size; ++i)
      ASSERT_EQ(array.as<uint8_t>()[i], 0);
  }
  EXPECT_EQ(NpyArray::zeros(ElementType::F32, {}).numElements(), 1);
  EXPECT_EQ(NpyArray::zeros(ElementType::F32, {3, 0, 5}).numElements(), 0);
  EXPECT_EQ(NpyArray::zeros(ElementType::F32, {3, 4, 5}).data.size(), 240u);
}

TEST(NpyArrayTest, CopiesAreDeepAndMovesLeaveNothing) {
  NpyArray array = NpyArray::zeros(ElementType::I32, {2});
  array.as<int32_t>()[1] = 7;
  NpyArray copy = array;
  array.as<int32_t>()[1] = 8;
  EXPECT_EQ(copy.as<int32_t>()[1], 7);
  NpyArray moved = std::move(array);
  EXPECT_EQ(moved.as<int32_t>()[1], 8);
  EXPECT_EQ(array.data.size(), 0u);
  EXPECT_EQ(array.data.data(), nullptr);
  copy = moved;
  EXPECT_EQ(copy.as<int32_t>()[1], 8);
}

//===----------------------------------------------------------------------===//
// Files that can be read
//===----------------------------------------------------------------------===//

TEST_F(NpyTest, RoundTripsEveryTypeAndShape) {
  std::vector<std::vector<int64_t>> shapes = {{}, {1}, {7}, {0}, {2, 3}, {4, 0, 2}, {2, 3, 4, 5}};
  for (ElementType type : everyType)
    for (const std::vector<int64_t> &shape : shapes) {
      NpyArray array = NpyArray::zeros(type, shape);
      for (size_t i = 0; i < array.data.size(); ++i)
        array.data.data()[i] = static_cast<std::byte>(37 * i + 11);
      std::string path = pathOf("round.npy");
      llvm::Error error = writeNpy(path, array);
      ASSERT_FALSE(static_cast<bool>(error)) << llvm::toString(std::move(error));
      NpyArray back = read(path);
      EXPECT_EQ(back.type, type);
      EXPECT_EQ(back.shape, shape);
      ASSERT_EQ(back.data.size(), array.data.size());
      EXPECT_EQ(reinterpret_cast<uintptr_t>(back.data.data()) % 64, 0u);
      if (array.data.size() > 0) {
        EXPECT_EQ(std::memcmp(back.data.data(), array.data.data(), array.data.size()), 0);
      }
    }
  EXPECT_EQ(numFiles(), 1u);
}

TEST_F(NpyTest, WritesTheBytesNumpyWrites) {
  NpyArray array = NpyArray::zeros(ElementType::F16, {2, 1});
  array.as<uint16_t>()[0] = 0x3c00;
  array.as<uint16_t>()[1] = 0xc000;
  std::string path = pathOf("exact.npy");
  ASSERT_FALSE(static_cast<bool>(writeNpy(path, array)));
  // 10 bytes, then a header of 118 bytes (0x76) makes 128.
  std::string text = "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 1), }";
  text.resize(117, ' ');
  std::string expected = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + text + "\n" +
                         std::string("\x00\x3c\x00\xc0", 4);
  EXPECT_EQ(contents(path), expected);
}

TEST_F(NpyTest, WritesBfloat16AsRawTwoByteItems) {
  std::string path = pathOf("bf16.npy");
  ASSERT_FALSE(static_cast<bool>(writeNpy(path, NpyArray::zeros(ElementType::BF16, {3}))));
  EXPECT_TRUE(StringRef(contents(path))
                  .contains("'descr': '<V2', 'fortran_order': False, "
                            "'shape': (3,), }"));
  for (StringRef descr : {"<V2", "|V2", "bfloat16"})
    EXPECT_EQ(read(put(fileBytes(dict(descr, "(1,)"), "ab"))).type, ElementType::BF16)
        << descr.str();
}

TEST_F(NpyTest, PadsEveryHeaderTo64Bytes) {
  std::vector<int64_t> shape;
  for (int rank = 0; rank <= 64; ++rank, shape.push_back(1)) {
    std::string path = pathOf("pad.npy");
    ASSERT_FALSE(static_cast<bool>(writeNpy(path, NpyArray::zeros(ElementType::U8, shape))));
    ASSERT_EQ((contents(path).size() - 1) % 64, 0u);
    ASSERT_EQ(read(path).shape, shape);
  }
}

TEST_F(NpyTest, ReadsTheThreeVersions) {
  std::string data("\x01\x00\x00\x00\xff\xff\xff\xff", 8);
  for (char major : {1, 2, 3}) {
    NpyArray array = read(put(fileBytes(dict("<i4", "(2,)"), data, major)));
    ASSERT_EQ(array.shape, std::vector<int64_t>{2}) << int(major);
    EXPECT_EQ(array.as<int32_t>()[0], 1);
    EXPECT_EQ(array.as<int32_t>()[1], -1);
  }
}

TEST_F(NpyTest, ReadsAnySpellingOfTheDict) {
  for (StringRef header :
       {"{'descr':'<u2','fortran_order':False,'shape':(2,1)}",
        "{\"shape\": (2L, 1L,), \"fortran_order\": False, \"descr\": \"<u2\"}   \n",
        " { 'fortran_order' : False , 'shape' : ( 2 , 1 ) , 'descr' : '<u2' , } \n\n"}) {
    NpyArray array = read(put(fileBytes(header, "abcd")));
    EXPECT_EQ(array.type, ElementType::U16) << header.str();
    EXPECT_EQ(array.shape, (std::vector<int64_t>{2, 1})) << header.str();
  }
}

TEST_F(NpyTest, FortranOrderMeansNothingBelowTwoDimensions) {
  EXPECT_EQ(read(put(fileBytes(dict("|u1", "(2,)", "True"), "ab"))).as<uint8_t>()[1], 'b');
  EXPECT_EQ(read(put(fileBytes(dict("|u1", "()", "True"), "a"))).as<uint8_t>()[0], 'a');
}

//===----------------------------------------------------------------------===//
// Files that cannot
//===----------------------------------------------------------------------===//

TEST_F(NpyTest, RejectsWhatIsNoFile) {
  expectUnreadablePath(pathOf("absent.npy"), {"cannot open", "No such file", "give the path"});
  expectUnreadablePath(folder, {"is a directory, not a regular file", "give the path"});
  ASSERT_EQ(mkfifo(pathOf("pipe").c_str(), 0600), 0);
  expectUnreadablePath(pathOf("pipe"), {"is a special file, not a regular file"});
}

TEST_F(NpyTest, RejectsOtherFormats) {
  expectUnreadable("PK\x03\x04 an archive", {"not a .npy file", "'PK\\03\\04 a'", "numpy.savez"});
  expectUnreadable("\x93NUMPX\x01", {"not a .npy file"});
  expectUnreadable("x", {"not a .npy file"});
  for (auto [major, minor] : {std::pair{0, 0}, {4, 0}, {1, 1}, {255, 255}})
    expectUnreadable(fileBytes(dict("<f4", "(1,)"), "abcd", major, minor),
                     {"version " + std::to_string(major) + "." + std::to_string(minor),
                      "allowed are 1.0, 2.0 and 3.0", "save it with numpy.save"});
}

TEST_F(NpyTest, RejectsEveryTruncation) {
  for (char major : {1, 2, 3}) {
    std::string whole = fileBytes(dict("<f4", "(2, 1)"), "abcdefgh", major);
    size_t headerEnd = whole.size() - 8;
    size_t headerStart = major == 1 ? 10 : 12;
    for (size_t size = 0; size < whole.size(); ++size)
      expectUnreadable(StringRef(whole).take_front(size),
                       {"truncated", "again",
                        size < 8             ? "magic string and version"
                        : size < headerStart ? "length of the header"
                        : size < headerEnd   ? "within the header"
                                             : "shape (2, 1) of f32 needs 8 bytes"});
    EXPECT_EQ(read(put(whole)).numElements(), 2);
  }
}

TEST_F(NpyTest, RejectsTrailingData) {
  expectUnreadable(fileBytes(dict("<f2", "(2, 1)"), "abcde"),
                   {"too long", "shape (2, 1) of f16 needs 4 bytes", "holds 5", "one array per"});
  expectUnreadable(fileBytes(dict("<f2", "(0,)"), "a"), {"too long", "needs 0 bytes"});
}

TEST_F(NpyTest, RejectsHeadersThatAreNoDict) {
  auto reject = [&](StringRef header, StringRef part) {
    expectUnreadable(fileBytes(header, "abcd"), {part, "numpy.save"});
  };
  reject("", "expected '{' at ''");
  reject("   ", "expected '{' at ''");
  reject("[1, 2]", "expected '{' at '[1, 2]'");
  reject("{", "expected a quoted string");
  reject("{}", "the key 'descr', which is missing");
  reject("{'descr': '<f4'}", "the key 'fortran_order', which is missing");
  reject("{'descr': '<f4', 'fortran_order': False}", "the key 'shape', which is missing");
  reject("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", "expected ',' or '}'");
  reject("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", "the end of the header");
  reject("{'descr': '<f4', 'descr': '<f4'", "not the key 'descr'");
  reject("{'descr': '<f4', 'offset': 1}", "not the key 'offset'");
  reject("{'descr' '<f4'}", "expected ':'");
  reject("{descr: '<f4'}", "expected a quoted string at 'descr");
  reject("{'descr: 1", "expected a quoted string");
  reject("{'descr': 4}", "expected a quoted string at '4}'");
  reject("{'descr': '<f\\x34'}", "expected a quoted string");
  reject("{'descr': '<f4' 'fortran_order': False}", "expected ',' or '}'");
  reject("{'fortran_order': 0}", "expected True or False at '0}'");
  reject("{'fortran_order': 'False'}", "expected True or False");
  reject("{'shape': 4}", "expected a tuple of dimensions");
  reject("{'shape': [1]}", "expected a tuple of dimensions");
  reject("{'shape': (1)}", "ends in ',)'");
  reject("{'shape': (1 1)}", "expected ',' or ')'");
  reject("{'shape': (1,", "expected a dimension");
  reject("{'shape': (,)}", "expected a dimension");
  reject("{'shape': (1.5,)}", "expected ',' or ')'");
  reject("{'shape': ('1',)}", "expected a dimension");
  reject(StringRef("{\0\x01\xff", 4), "at '\\00\\01\\FF'");
}

TEST_F(NpyTest, RejectsBadDimensions) {
  auto reject = [&](StringRef shape, llvm::ArrayRef<StringRef> parts) {
    expectUnreadable(fileBytes(dict("<f4", shape), "abcd"), parts);
  };
  reject("(-1,)", {"dimension -1 in the shape is not allowed", "between 0 and 2^63-1"});
  reject("(2, -3, 4)", {"dimension -3"});
  reject("(9223372036854775808,)", {"dimension 9223372036854775808"});
  reject("(99999999999999999999999999,)", {"dimension 99999999999999999999999999"});
  reject("(9223372036854775807,)", {"overflows 2^63 bytes", "save the array again"});
  reject("(2305843009213693952,)", {"overflows 2^63 bytes"}); // 2^61 elements of 4 bytes
  reject("(4294967296, 4294967296)", {"overflows 2^63 bytes"});
  reject("(0, 4294967296, 4294967296)", {"overflows 2^63 bytes"});
  // Within 2^63, far beyond the file: refused before anything is allocated.
  reject("(2305843009213693951,)", {"truncated", "needs 9223372036854775804 bytes", "holds 4"});
  std::string many;
  for (int i = 0; i < 65; ++i)
    many += "1,";
  reject("(" + many + ")", {"more than 64 dimensions", "numpy.reshape"});
}

TEST_F(NpyTest, RejectsOtherLayouts) {
  expectUnreadable(
      fileBytes(dict("<f4", "(1, 1)", "True"), "abcd"),
      {"Fortran (column-major) order", "only row-major", "save it with numpy.ascontiguousarray"});
  expectUnreadable(fileBytes(dict(">f4", "(1,)"), "abcd"),
                   {"'>f4' is big-endian", "only little-endian", "x.astype('<f4')"});
  for (StringRef descr : {">f2", ">f8", ">u2", ">i4", ">i8", ">V2"})
    expectUnreadable(fileBytes(dict(descr, "(1,)"), "abcd"), {"is big-endian"});
}

TEST_F(NpyTest, RejectsOtherTypes) {
  for (auto [descr, kind] : {std::pair<StringRef, StringRef>{"<c8", "complex numbers"},
                             {">c8", "complex numbers"},
                             {"|O", "pickled Python objects"},
                             {"|S4", "strings"},
                             {"<U1", "strings"},
                             {"|b1", "booleans"},
                             {"<i2", "integers of another width or sign"},
                             {"<u4", "integers of another width or sign"},
                             {"<f16", "floats of another width"},
                             {"<M8[ns]", "dates or times"},
                             {"|V1", "raw items that are not two bytes"},
                             {"<V4", "raw items that are not two bytes"},
                             {"", "unknown"},
                             {"f4x", "floats of another width"},
                             {"\x01", "unknown"}})
    expectUnreadable(fileBytes(dict(descr, "(1,)"), "abcd"),
                     {kind, "is not supported; allowed are f16 '<f2', bf16 '<V2', f32 '<f4'",
                      "x.astype(numpy.float32)"});
  expectUnreadable(
      fileBytes("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "abcd"),
      {"structured dtype '[('a', '<f4')' is not supported", "allowed are f16"});
}

//===----------------------------------------------------------------------===//
// Writes that fail
//===----------------------------------------------------------------------===//

TEST_F(NpyTest, RefusesToWriteOverOtherThings) {
  NpyArray array = NpyArray::zeros(ElementType::U8, {4});
  expectMessage(folder, writeNpy(folder, array), {"not written: it is a directory"});
  // A pipe of the test's own: were it a device, a missing check would replace it for everyone.
  std::string pipe = pathOf("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  expectMessage(pipe, writeNpy(pipe, array), {"not written: it is a special file"});
  EXPECT_EQ(llvm::sys::fs::get_file_type(pipe), llvm::sys::fs::file_type::fifo_file);
  std::string inAbsent = pathOf("absent/x.npy");
  expectMessage(inAbsent, writeNpy(inAbsent, array), {"cannot create a file beside it"});
}

TEST_F(NpyTest, RefusesArraysWhoseShapeDoesNotFitTheData) {
  NpyArray array = NpyArray::zeros(ElementType::U8, {4});
  std::string path = pathOf("x.npy");
  for (std::vector<int64_t> shape :
       {std::vector<int64_t>{5}, {3}, {-2, -2}, {int64_t(1) << 62, 4, int64_t(1) << 62}}) {
    array.shape = shape;
    expectMessage(path, writeNpy(path, array), {"does not fit the array's 4 bytes of data"});
  }
  EXPECT_EQ(numFiles(), 0u);
}

TEST_F(NpyTest, AFullDiskLeavesTheOldFile) {
  std::string path = put("old");
  NpyArray array = NpyArray::zeros(ElementType::U8, {1 << 20});
  // A limit on the size of files stands for a full disk.
  auto oldHandler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit oldLimit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &oldLimit), 0);
  rlimit limit = {1 << 16, oldLimit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  llvm::Error error = writeNpy(path, array);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &oldLimit), 0);
  std::signal(SIGXFSZ, oldHandler);
  expectMessage(path, std::move(error), {"not written: File too large", "make room"});
  EXPECT_EQ(contents(path), "old");
  EXPECT_EQ(numFiles(), 1u);
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

/// What the bits of a format stand for, from its definition; it knows nothing of infinity or NaN,
/// so that the value where infinity is encoded is the next power of two.
double finiteValue(uint16_t bits, int fractionBits, int bias) {
  int magnitude = bits & 0x7fff;
  int exponent = magnitude >> fractionBits;
  int fraction = magnitude & ((1 << fractionBits) - 1);
  double value = exponent == 0
                     ? std::ldexp(fraction, 1 - bias - fractionBits)
                     : std::ldexp(fraction + (1 << fractionBits), exponent - bias - fractionBits);
  return bits & 0x8000 ? -value : value;
}

struct Format {
  const char *name;
  int fractionBits;
  int bias;
  float (*toFloat)(uint16_t);
  uint16_t (*fromFloat)(float);
  uint16_t (*fromDouble)(double);

  uint16_t infinityBits() const { return 0x7fff & ~((1 << fractionBits) - 1); }
};

class FormatTest : public testing::TestWithParam<Format> {};

INSTANTIATE_TEST_SUITE_P(
    All, FormatTest,
    testing::Values(Format{"Half", 10, 15, halfToFloat, floatToHalf, doubleToHalf},
                    Format{"Bfloat16", 7, 127, bfloat16ToFloat, floatToBfloat16, doubleToBfloat16}),
    [](const testing::TestParamInfo<Format> &info) { return info.param.name; });

TEST_P(FormatTest, WidensEveryValue) {
  const Format &format = GetParam();
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float value = format.toFloat(bits);
    uint16_t magnitude = bits & 0x7fff;
    ASSERT_EQ(std::signbit(value), bits >= 0x8000) << bits;
    if (magnitude > format.infinityBits())
      ASSERT_TRUE(std::isnan(value)) << bits;
    else if (magnitude == format.infinityBits())
      ASSERT_TRUE(std::isinf(value)) << bits;
    else
      ASSERT_EQ(value, finiteValue(bits, format.fractionBits, format.bias)) << bits;
  }
}

TEST_P(FormatTest, NarrowsEveryValueItHasToItself) {
  const Format &format = GetParam();
  uint16_t quietBit = 1 << (format.fractionBits - 1);
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    bool isNan = (bits & 0x7fff) > format.infinityBits();
    uint16_t expected = isNan ? bits | quietBit : bits;
    ASSERT_EQ(format.fromFloat(format.toFloat(bits)), expected) << bits;
    ASSERT_EQ(format.fromDouble(format.toFloat(bits)), expected) << bits;
  }
}

TEST_P(FormatTest, RoundsBetweenNeighboursToNearestEven) {
  const Format &format = GetParam();
  for (uint32_t sign : {0u, 0x8000u})
    for (uint32_t lower = 0; lower < format.infinityBits(); ++lower) {
      uint16_t low = sign | lower, high = sign | (lower + 1);
      double lowValue = finiteValue(low, format.fractionBits, format.bias);
      double highValue = finiteValue(high, format.fractionBits, format.bias);
      double middle = (lowValue + highValue) / 2;
      ASSERT_EQ(format.fromDouble(middle), lower % 2 == 0 ? low : high) << lower;
      ASSERT_EQ(format.fromDouble(std::nextafter(middle, lowValue)), low) << lower;
      ASSERT_EQ(format.fromDouble(std::nextafter(middle, highValue)), high) << lower;
      ASSERT_EQ(format.fromDouble(std::nextafter(lowValue, highValue)), low) << lower;
      ASSERT_EQ(format.fromDouble(std::nextafter(highValue, lowValue)), high) << lower;
      float middleFloat = static_cast<float>(middle);
      ASSERT_EQ(middleFloat, middle);
      ASSERT_EQ(format.fromFloat(middleFloat), lower % 2 == 0 ? low : high) << lower;
      ASSERT_EQ(format.fromFloat(std::nextafter(middleFloat, static_cast<float>(lowValue))), low);
      ASSERT_EQ(format.fromFloat(std::nextafter(middleFloat, sign ? -INFINITY : INFINITY)), high);
    }
}

TEST_P(FormatTest, KeepsTheExtremes) {
  const Format &format = GetParam();
  EXPECT_EQ(format.fromDouble(infinity), format.infinityBits());
  EXPECT_EQ(format.fromDouble(-infinity), format.infinityBits() | 0x8000);
  EXPECT_EQ(format.fromDouble(std::numeric_limits<double>::max()), format.infinityBits());
  EXPECT_EQ(format.fromDouble(std::numeric_limits<double>::denorm_min()), 0);
  EXPECT_EQ(format.fromDouble(-std::numeric_limits<double>::min()), 0x8000);
  EXPECT_EQ(format.fromDouble(-0.0), 0x8000);
  EXPECT_GT(format.fromDouble(nan) & 0x7fff, format.infinityBits());
  EXPECT_GT(format.fromDouble(std::copysign(nan, -1.0)), format.infinityBits() | 0x8000);
}

TEST(ConversionTest, KnownBits) {
  EXPECT_EQ(floatToHalf(1.0f), 0x3c00);
  EXPECT_EQ(floatToHalf(-2.0f), 0xc000);
  EXPECT_EQ(floatToHalf(65504.0f), 0x7bff);
  EXPECT_EQ(floatToHalf(65519.996f), 0x7bff);
  EXPECT_EQ(floatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(floatToHalf(0x1p-24f), 0x0001);
  EXPECT_EQ(floatToHalf(0x1p-25f), 0x0000);
  EXPECT_EQ(floatToHalf(0x1.000002p-25f), 0x0001);
  EXPECT_EQ(floatToBfloat16(1.0f), 0x3f80);
  EXPECT_EQ(floatToBfloat16(3.14159265f), 0x4049);
  EXPECT_EQ(floatToBfloat16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(halfToFloat(0x3555), 0.333251953125f);
}

TEST(ConversionTest, DoublesAreRoundedOnce) {
  // In f32 this is the middle between 1 and its successor, which would round to even, down to 1.
  double value = 1 + 0x1p-11 + 0x1p-40;
  EXPECT_EQ(doubleToHalf(value), 0x3c01);
  EXPECT_EQ(floatToHalf(static_cast<float>(value)), 0x3c00);
  EXPECT_EQ(doubleToBfloat16(1 + 0x1p-8 + 0x1p-40), 0x3f81);
  NpyArray array = NpyArray::zeros(ElementType::F16, {1});
  fromDouble({value}, array);
  EXPECT_EQ(array.as<uint16_t>()[0], 0x3c01);
}

std::vector<double> throughType(ElementType type, std::vector<double> values) {
  NpyArray array = NpyArray::zeros(type, {static_cast<int64_t>(values.size())});
  fromDouble(values, array);
  return toDouble(array);
}

TEST(ConversionTest, ThroughEveryType) {
  using Values = std::vector<double>;
  Values values = {0, 1, 2.5, 3.5, -1.5, 1 + 0x1p-30, infinity, -infinity};
  EXPECT_EQ(throughType(ElementType::F64, values), values);
  EXPECT_EQ(throughType(ElementType::F32, values),
            (Values{0, 1, 2.5, 3.5, -1.5, 1, infinity, -infinity}));
  EXPECT_EQ(throughType(ElementType::F16, values),
            (Values{0, 1, 2.5, 3.5, -1.5, 1, infinity, -infinity}));
  EXPECT_EQ(throughType(ElementType::BF16, values),
            (Values{0, 1, 2.5, 3.5, -1.5, 1, infinity, -infinity}));
  EXPECT_EQ(throughType(ElementType::U8, values), (Values{0, 1, 2, 4, 0, 1, 255, 0}));
  EXPECT_EQ(throughType(ElementType::U16, values), (Values{0, 1, 2, 4, 0, 1, 65535, 0}));
  EXPECT_EQ(throughType(ElementType::I32, values),
            (Values{0, 1, 2, 4, -2, 1, 2147483647, -2147483648.0}));
  EXPECT_EQ(throughType(ElementType::I64, values), (Values{0, 1, 2, 4, -2, 1, 0x1p63, -0x1p63}));
  for (ElementType type : {ElementType::F16, ElementType::BF16, ElementType::F32, ElementType::F64})
    EXPECT_TRUE(std::isnan(throughType(type, {nan})[0])) << name(type).str();
  for (ElementType type : {ElementType::U8, ElementType::U16, ElementType::I32, ElementType::I64})
    EXPECT_EQ(throughType(type, {nan})[0], 0) << name(type).str();
}

} // namespace
