//===- Npy.cpp - Arrays in numpy's .npy files -------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Support/Npy.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>

using namespace sfa;
using llvm::StringRef;

static_assert(llvm::endianness::native == llvm::endianness::little,
              "elements are read and written without swapping their bytes");

namespace {

struct TypeInfo {
  ElementType type;
  unsigned sizeInBytes;
  StringRef name;
  StringRef descr;
};

constexpr TypeInfo typeInfos[] = {
    {ElementType::F16, 2, "f16", "<f2"}, {ElementType::BF16, 2, "bf16", "<V2"},
    {ElementType::F32, 4, "f32", "<f4"}, {ElementType::F64, 8, "f64", "<f8"},
    {ElementType::I8, 1, "i8", "|i1"},   {ElementType::U8, 1, "u8", "|u1"},
    {ElementType::U16, 2, "u16", "<u2"}, {ElementType::I32, 4, "i32", "<i4"},
    {ElementType::I64, 8, "i64", "<i8"},
};

const TypeInfo &infoOf(ElementType type) {
  for (const TypeInfo &info : typeInfos)
    if (info.type == type)
      return info;
  llvm_unreachable("every element type is in the table");
}

constexpr StringRef magic("\x93NUMPY", 6);
constexpr size_t maxRank = 64; // numpy 2 has no more
constexpr uint64_t headerAlignment = 64;

} // namespace

unsigned sfa::sizeInBytes(ElementType type) { return infoOf(type).sizeInBytes; }

StringRef sfa::name(ElementType type) { return infoOf(type).name; }

//===----------------------------------------------------------------------===//
// Buffers and arrays
//===----------------------------------------------------------------------===//

std::optional<AlignedBytes> AlignedBytes::allocate(size_t sizeInBytes) {
  AlignedBytes made;
  if (sizeInBytes == 0)
    return made;
  if (sizeInBytes > std::numeric_limits<size_t>::max() - alignment)
    return std::nullopt;
  size_t rounded = llvm::alignTo(sizeInBytes, alignment);
  made.bytes.reset(static_cast<std::byte *>(std::aligned_alloc(alignment, rounded)));
  if (!made.bytes)
    return std::nullopt;
  made.numBytes = sizeInBytes;
  return made;
}

AlignedBytes::AlignedBytes(size_t sizeInBytes) {
  std::optional<AlignedBytes> made = allocate(sizeInBytes);
  if (!made)
    llvm::report_bad_alloc_error("out of memory for an array");
  *this = std::move(*made);
  if (numBytes != 0)
    std::memset(data(), 0, numBytes);
}

AlignedBytes::AlignedBytes(const AlignedBytes &other) : AlignedBytes(other.numBytes) {
  if (numBytes != 0)
    std::memcpy(data(), other.data(), numBytes);
}

AlignedBytes::AlignedBytes(AlignedBytes &&other) noexcept
    : bytes(std::move(other.bytes)), numBytes(std::exchange(other.numBytes, 0)) {}

AlignedBytes &AlignedBytes::operator=(AlignedBytes other) noexcept {
  std::swap(bytes, other.bytes);
  std::swap(numBytes, other.numBytes);
  return *this;
}

NpyArray NpyArray::zeros(ElementType type, llvm::ArrayRef<int64_t> shape) {
  NpyArray array;
  array.type = type;
  array.shape = shape.vec();
  array.data = AlignedBytes(array.numBytes());
  return array;
}

int64_t NpyArray::numElements() const {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  return count;
}

//===----------------------------------------------------------------------===//
// The header: a Python dict with the keys descr, fortran_order and shape
//===----------------------------------------------------------------------===//

namespace {

template <class... Args>
llvm::Error fail(fmt::format_string<Args...> format, Args &&...args) {
  return llvm::createStringError(fmt::format(format, std::forward<Args>(args)...));
}

/// Text from a file, made fit for a message: short, and with no control characters.
std::string excerpt(StringRef text) {
  constexpr size_t maxLength = 60;
  std::string printable;
  llvm::raw_string_ostream stream(printable);
  llvm::printEscapedString(text.take_front(maxLength), stream);
  return text.size() > maxLength ? printable + "..." : printable;
}

std::string shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : ", ", shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::string allowedTypes() {
  std::string text;
  for (const TypeInfo &info : typeInfos)
    text += fmt::format("{}{} '{}'", text.empty() ? "" : ", ", info.name.str(), info.descr.str());
  return text;
}

struct Header {
  std::string descr;
  bool isFortranOrder = false;
  std::vector<int64_t> shape;
};

class HeaderParser {
public:
  HeaderParser(StringRef path, StringRef text) : path(path), text(text), rest(text) {}

  llvm::Expected<Header> parse();

private:
  llvm::Error parseEntry();
  llvm::Error parseDescr();
  llvm::Error parseFortranOrder();
  llvm::Error parseShape();
  llvm::Expected<StringRef> parseString();

  bool consume(char token) {
    rest = rest.ltrim(" \t\r\n");
    return rest.consume_front(StringRef(&token, 1));
  }

  llvm::Error malformed(StringRef expected) {
    return fail("{}: malformed header: expected {} at '{}'; a .npy header is a Python dict such as "
                "{{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }}; save the array "
                "again with numpy.save",
                path.str(), expected.str(), excerpt(rest.rtrim()));
  }

  StringRef path;
  StringRef text;
  StringRef rest;
  std::optional<std::string> descr;
  std::optional<bool> isFortranOrder;
  std::optional<std::vector<int64_t>> shape;
};

llvm::Expected<Header> HeaderParser::parse() {
  if (!consume('{'))
    return malformed("'{'");
  while (!consume('}')) {
    if (llvm::Error error = parseEntry())
      return std::move(error);
    if (consume(','))
      continue;
    if (!consume('}'))
      return malformed("',' or '}'");
    break;
  }
  rest = rest.ltrim(" \t\r\n");
  if (!rest.empty())
    return malformed("the end of the header");
  StringRef missing = !descr ? "descr" : !isFortranOrder ? "fortran_order" : !shape ? "shape" : "";
  if (!missing.empty())
    return malformed(fmt::format("the key '{}', which is missing,", missing.str()));
  return Header{*descr, *isFortranOrder, *shape};
}

llvm::Error HeaderParser::parseEntry() {
  llvm::Expected<StringRef> key = parseString();
  if (!key)
    return key.takeError();
  if (!consume(':'))
    return malformed("':'");
  rest = rest.ltrim(" \t\r\n");
  if (*key == "descr" && !descr)
    return parseDescr();
  if (*key == "fortran_order" && !isFortranOrder)
    return parseFortranOrder();
  if (*key == "shape" && !shape)
    return parseShape();
  return malformed(fmt::format("'descr', 'fortran_order' and 'shape' once each, not the key '{}',",
                               excerpt(*key)));
}

llvm::Expected<StringRef> HeaderParser::parseString() {
  rest = rest.ltrim(" \t\r\n");
  if (rest.empty() || (rest.front() != '\'' && rest.front() != '"'))
    return malformed("a quoted string");
  size_t end = rest.find(rest.front(), 1);
  StringRef value = rest.slice(1, end);
  if (end == StringRef::npos || value.contains('\\'))
    return malformed("a quoted string");
  rest = rest.drop_front(end + 1);
  return value;
}

llvm::Error HeaderParser::parseDescr() {
  if (rest.starts_with("["))
    return fail("{}: structured dtype '{}' is not supported; allowed are {}; save one field of it "
                "as an array of its own",
                path.str(), excerpt(rest.take_until([](char c) { return c == ']'; })),
                allowedTypes());
  llvm::Expected<StringRef> value = parseString();
  if (!value)
    return value.takeError();
  descr = value->str();
  return llvm::Error::success();
}

llvm::Error HeaderParser::parseFortranOrder() {
  if (rest.consume_front("True"))
    isFortranOrder = true;
  else if (rest.consume_front("False"))
    isFortranOrder = false;
  else
    return malformed("True or False");
  return llvm::Error::success();
}

llvm::Error HeaderParser::parseShape() {
  if (!consume('('))
    return malformed("a tuple of dimensions");
  std::vector<int64_t> dims;
  bool hasTrailingComma = true;
  while (!consume(')')) {
    if (!hasTrailingComma)
      return malformed("',' or ')'");
    bool isNegative = consume('-');
    StringRef digits = rest.take_while(llvm::isDigit);
    if (digits.empty())
      return malformed("a dimension");
    int64_t dim;
    if (isNegative || digits.getAsInteger(10, dim))
      return fail("{}: dimension {}{} in the shape is not allowed; a dimension is between 0 and "
                  "2^63-1; save the array again with numpy.save",
                  path.str(), isNegative ? "-" : "", excerpt(digits));
    rest = rest.drop_front(digits.size());
    rest.consume_front("L"); // Python 2 wrote long integers so
    dims.push_back(dim);
    if (dims.size() > maxRank)
      return fail("{}: more than {} dimensions; save it with fewer, using numpy.reshape",
                  path.str(), maxRank);
    hasTrailingComma = consume(',');
  }
  if (dims.size() == 1 && !hasTrailingComma)
    return malformed("a tuple of dimensions, which for one dimension ends in ',)',");
  shape = std::move(dims);
  return llvm::Error::success();
}

StringRef kindOf(StringRef descr) {
  StringRef kind = descr.ltrim("<>|=").take_front(1);
  return llvm::StringSwitch<StringRef>(kind)
      .Case("c", "complex numbers")
      .Case("O", "pickled Python objects")
      .Cases({"S", "U", "a"}, "strings")
      .Case("b", "booleans")
      .Cases({"i", "u"}, "integers of another width or sign")
      .Case("f", "floats of another width")
      .Cases({"M", "m"}, "dates or times")
      .Case("V", "raw items that are not two bytes")
      .Default("unknown");
}

llvm::Expected<ElementType> parseElementType(StringRef path, StringRef descr) {
  for (const TypeInfo &info : typeInfos)
    if (descr == info.descr)
      return info.type;
  // What numpy itself writes after it has loaded an ml_dtypes file, and the name of the type.
  if (descr == "|V2" || descr == "bfloat16")
    return ElementType::BF16;
  StringRef item = descr;
  if (item.consume_front(">"))
    for (const TypeInfo &info : typeInfos)
      if (item == info.descr.drop_front())
        return fail("{}: dtype '{}' is big-endian; only little-endian arrays are allowed; save it "
                    "with x.astype('<{}')",
                    path.str(), descr.str(), item.str());
  return fail("{}: dtype '{}' ({}) is not supported; allowed are {}; convert it, for example with "
              "x.astype(numpy.float32)",
              path.str(), excerpt(descr), kindOf(descr).str(), allowedTypes());
}

/// The bytes that the shape needs, or nothing where the product overflows. A zero among huge
/// dimensions does not excuse them.
std::optional<uint64_t> bytesOf(llvm::ArrayRef<int64_t> shape, ElementType type) {
  int64_t product = sizeInBytes(type);
  bool isEmpty = false;
  for (int64_t dim : shape) {
    isEmpty |= dim == 0;
    if (dim != 0 && llvm::MulOverflow(product, dim, product))
      return std::nullopt;
  }
  return isEmpty ? 0 : product;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

class InputFile {
public:
  static llvm::Expected<InputFile> open(StringRef path);
  InputFile(InputFile &&other) : path(other.path), file(other.file), size(other.size) {
    other.file = llvm::sys::fs::kInvalidFile;
  }
  ~InputFile() {
    if (file != llvm::sys::fs::kInvalidFile)
      llvm::sys::fs::closeFile(file);
  }

  uint64_t sizeInBytes() const { return size; }

  /// Fills `buffer` from `offset`; the range lies within `sizeInBytes()`.
  llvm::Error read(llvm::MutableArrayRef<char> buffer, uint64_t offset) const;

private:
  InputFile(StringRef path, llvm::sys::fs::file_t file, uint64_t size)
      : path(path), file(file), size(size) {}

  StringRef path;
  llvm::sys::fs::file_t file;
  uint64_t size;
};

llvm::Expected<InputFile> InputFile::open(StringRef path) {
  using namespace llvm::sys;
  fs::file_status status;
  if (std::error_code code = fs::status(path, status))
    return fail("{}: cannot open: {}; give the path of a readable .npy file", path.str(),
                code.message());
  // Opening a pipe could wait for ever, and a device has no end.
  if (!fs::is_regular_file(status))
    return fail("{}: is {}, not a regular file; give the path of a .npy file", path.str(),
                fs::is_directory(status) ? "a directory" : "a special file");
  llvm::Expected<fs::file_t> file = fs::openNativeFileForRead(path);
  if (!file)
    return fail("{}: cannot open: {}; give the path of a readable .npy file", path.str(),
                llvm::toString(file.takeError()));
  InputFile input(path, *file, status.getSize());
  return std::move(input);
}

llvm::Error InputFile::read(llvm::MutableArrayRef<char> buffer, uint64_t offset) const {
  while (!buffer.empty()) {
    llvm::Expected<size_t> count = llvm::sys::fs::readNativeFileSlice(file, buffer, offset);
    if (!count)
      return fail("{}: cannot read: {}", path.str(), llvm::toString(count.takeError()));
    if (*count == 0)
      return fail("{}: became shorter while it was read; read it again when its writer is done",
                  path.str());
    buffer = buffer.drop_front(*count);
    offset += *count;
  }
  return llvm::Error::success();
}

/// Reads the header's text; `offset` becomes that of the first element.
llvm::Expected<std::string> readHeaderText(StringRef path, const InputFile &file,
                                           uint64_t &offset) {
  auto truncated = [&](StringRef part) {
    return fail("{}: truncated: {} bytes end within the {}; copy or save the file again",
                path.str(), file.sizeInBytes(), part.str());
  };
  char prefix[12] = {};
  size_t prefixSize = std::min<uint64_t>(sizeof(prefix), file.sizeInBytes());
  if (llvm::Error error = file.read({prefix, prefixSize}, 0))
    return std::move(error);
  StringRef start(prefix, prefixSize);
  if (start.take_front(magic.size()) != magic.take_front(start.size()))
    return fail("{}: not a .npy file: it starts with '{}', not with '\\93NUMPY'; save the array "
                "with numpy.save (not numpy.savez)",
                path.str(), excerpt(start.take_front(magic.size())));
  if (prefixSize < magic.size() + 2)
    return truncated("magic string and version");
  unsigned major = static_cast<unsigned char>(prefix[6]);
  unsigned minor = static_cast<unsigned char>(prefix[7]);
  if (major < 1 || major > 3 || minor != 0)
    return fail("{}: .npy format version {}.{} is not supported; allowed are 1.0, 2.0 and 3.0; "
                "save it with numpy.save",
                path.str(), major, minor);
  unsigned lengthSize = major == 1 ? 2 : 4;
  offset = magic.size() + 2 + lengthSize;
  if (file.sizeInBytes() < offset)
    return truncated("length of the header");
  uint32_t length = 0;
  std::memcpy(&length, prefix + 8, lengthSize);
  if (length > file.sizeInBytes() - offset)
    return truncated("header");
  std::string text(length, '\0');
  if (llvm::Error error = file.read({text.data(), text.size()}, offset))
    return std::move(error);
  offset += length;
  return text;
}

} // namespace

llvm::Expected<NpyArray> sfa::readNpy(StringRef path) {
  llvm::Expected<InputFile> file = InputFile::open(path);
  if (!file)
    return file.takeError();
  uint64_t offset = 0;
  llvm::Expected<std::string> text = readHeaderText(path, *file, offset);
  if (!text)
    return text.takeError();
  llvm::Expected<Header> header = HeaderParser(path, *text).parse();
  if (!header)
    return header.takeError();
  llvm::Expected<ElementType> type = parseElementType(path, header->descr);
  if (!type)
    return type.takeError();
  if (header->isFortranOrder && header->shape.size() > 1)
    return fail("{}: the array is in Fortran (column-major) order; only row-major arrays are "
                "allowed; save it with numpy.ascontiguousarray(x)",
                path.str());

  std::optional<uint64_t> numBytes = bytesOf(header->shape, *type);
  if (!numBytes)
    return fail("{}: shape {} of {} overflows 2^63 bytes; save the array again with numpy.save",
                path.str(), shapeText(header->shape), name(*type).str());
  uint64_t available = file->sizeInBytes() - offset;
  if (available < *numBytes)
    return fail("{}: truncated: shape {} of {} needs {} bytes of data, the file holds {}; copy or "
                "save the file again",
                path.str(), shapeText(header->shape), name(*type).str(), *numBytes, available);
  if (available > *numBytes)
    return fail("{}: too long: shape {} of {} needs {} bytes of data, the file holds {}; save one "
                "array per file, with numpy.save",
                path.str(), shapeText(header->shape), name(*type).str(), *numBytes, available);

  NpyArray array;
  array.type = *type;
  array.shape = std::move(header->shape);
  std::optional<AlignedBytes> data = AlignedBytes::allocate(*numBytes);
  if (!data)
    return fail("{}: the host has no {} bytes of memory left for it", path.str(), *numBytes);
  array.data = std::move(*data);
  llvm::MutableArrayRef<char> buffer(reinterpret_cast<char *>(array.data.data()),
                                     array.data.size());
  if (llvm::Error error = file->read(buffer, offset))
    return std::move(error);
  return array;
}

llvm::Error sfa::writeNpy(StringRef path, const NpyArray &array) {
  using namespace llvm::sys;
  bool isNegative = llvm::any_of(array.shape, [](int64_t dim) { return dim < 0; });
  std::optional<uint64_t> numBytes = bytesOf(array.shape, array.type);
  if (isNegative || array.shape.size() > maxRank || !numBytes || *numBytes != array.data.size())
    return fail("{}: not written: shape {} of {} does not fit the array's {} bytes of data",
                path.str(), shapeText(array.shape), name(array.type).str(), array.data.size());
  // A rename over a device or a pipe would replace it.
  fs::file_status status;
  if (!fs::status(path, status) && !fs::is_regular_file(status))
    return fail("{}: not written: it is {}, not a regular file; give the path of a file",
                path.str(), fs::is_directory(status) ? "a directory" : "a special file");

  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}",
                                   infoOf(array.type).descr.str(), shapeText(array.shape));
  size_t prefixSize = magic.size() + 2 + 2;
  size_t length = llvm::alignTo(prefixSize + header.size() + 1, headerAlignment) - prefixSize;
  header.resize(length - 1, ' ');
  header += '\n';

  llvm::Expected<fs::TempFile> temporary = fs::TempFile::create(path + ".tmp-%%%%%%%%");
  if (!temporary)
    return fail("{}: not written: cannot create a file beside it: {}", path.str(),
                llvm::toString(temporary.takeError()));
  std::error_code code;
  {
    llvm::raw_fd_ostream stream(temporary->FD, /*shouldClose=*/false);
    stream << magic << '\1' << '\0' << static_cast<char>(length & 0xff)
           << static_cast<char>(length >> 8) << header;
    stream.write(reinterpret_cast<const char *>(array.data.data()), array.data.size());
    stream.flush();
    code = stream.error();
    stream.clear_error();
  }
  if (code) {
    llvm::consumeError(temporary->discard());
    return fail("{}: not written: {}; make room or give another path", path.str(), code.message());
  }
  if (llvm::Error error = temporary->keep(path))
    return fail("{}: not written: {}", path.str(), llvm::toString(std::move(error)));
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

namespace {

/// An IEEE-like binary format of 16 bits.
struct SmallFormat {
  int fractionBits;
  int minExponent; // of a normal number; the bias is 1 - minExponent
};

constexpr SmallFormat halfFormat = {10, -14};
constexpr SmallFormat bfloat16Format = {7, -126};

/// Rounds to nearest even, once: from the exact significand to the format's, also where that is
/// subnormal.
uint16_t encode(double value, SmallFormat format) {
  constexpr int doubleFractionBits = 52;
  uint64_t bits = llvm::bit_cast<uint64_t>(value);
  uint32_t sign = static_cast<uint32_t>(bits >> 63) << 15;
  uint64_t fraction = bits & ((uint64_t(1) << doubleFractionBits) - 1);
  int biased = static_cast<int>(bits >> doubleFractionBits) & 0x7ff;
  uint32_t infinity = 0x7fff & ~((1u << format.fractionBits) - 1);
  int shift = doubleFractionBits - format.fractionBits;
  if (biased == 0x7ff) {
    if (fraction == 0)
      return sign | infinity;
    uint32_t quiet = 1u << (format.fractionBits - 1);
    return sign | infinity | quiet | static_cast<uint32_t>(fraction >> shift);
  }
  // A subnormal double is far below half of the smallest subnormal of either format.
  if (biased == 0)
    return sign;

  int exponent = biased - 1023;
  uint64_t significand = fraction | (uint64_t(1) << doubleFractionBits);
  bool isSubnormal = exponent < format.minExponent;
  if (isSubnormal)
    shift += format.minExponent - exponent;
  if (shift > doubleFractionBits + 1)
    return sign;
  uint64_t kept = significand >> shift;
  uint64_t lost = significand & ((uint64_t(1) << shift) - 1);
  uint64_t half = uint64_t(1) << (shift - 1);
  if (lost > half || (lost == half && (kept & 1)))
    ++kept;
  // `kept` holds the hidden bit of a normal number, which counts one in the exponent field; a carry
  // out of the fraction, from subnormal to normal too, counts one more, as it should.
  uint64_t magnitude = kept;
  if (!isSubnormal)
    magnitude += uint64_t(exponent - format.minExponent) << format.fractionBits;
  return sign | static_cast<uint32_t>(std::min<uint64_t>(magnitude, infinity));
}

template <class Integer>
Integer saturate(double value) {
  if (std::isnan(value))
    return 0;
  double rounded = std::nearbyint(value);
  // The bounds are exact in fp64 or, for the upper bound of i64, the power of two above it.
  if (rounded <= static_cast<double>(std::numeric_limits<Integer>::min()))
    return std::numeric_limits<Integer>::min();
  if (rounded >= static_cast<double>(std::numeric_limits<Integer>::max()))
    return std::numeric_limits<Integer>::max();
  return static_cast<Integer>(rounded);
}

template <class Storage, class Convert>
void store(llvm::ArrayRef<double> values, NpyArray &array, Convert convert) {
  Storage *elements = array.as<Storage>();
  for (size_t i = 0; i < values.size(); ++i)
    elements[i] = convert(values[i]);
}

template <class Storage, class Convert>
std::vector<double> load(const NpyArray &array, Convert convert) {
  const Storage *elements = array.as<Storage>();
  std::vector<double> values(array.numElements());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = convert(elements[i]);
  return values;
}

} // namespace

float sfa::halfToFloat(uint16_t half) {
  uint32_t sign = uint32_t(half & 0x8000) << 16;
  uint32_t exponent = (half >> 10) & 0x1f;
  uint32_t fraction = half & 0x3ff;
  if (exponent == 0) {
    float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  uint32_t floatExponent = exponent == 0x1f ? 0xff : exponent + (127 - 15);
  return llvm::bit_cast<float>(sign | (floatExponent << 23) | (fraction << 13));
}

uint16_t sfa::floatToHalf(float value) { return encode(value, halfFormat); }

uint16_t sfa::doubleToHalf(double value) { return encode(value, halfFormat); }

float sfa::bfloat16ToFloat(uint16_t bits) { return llvm::bit_cast<float>(uint32_t(bits) << 16); }

uint16_t sfa::floatToBfloat16(float value) { return encode(value, bfloat16Format); }

uint16_t sfa::doubleToBfloat16(double value) { return encode(value, bfloat16Format); }

std::vector<double> sfa::toDouble(const NpyArray &array) {
  auto widen = [](auto element) { return static_cast<double>(element); };
  switch (array.type) {
  case ElementType::F16:
    return load<uint16_t>(array, halfToFloat);
  case ElementType::BF16:
    return load<uint16_t>(array, bfloat16ToFloat);
  case ElementType::F32:
    return load<float>(array, widen);
  case ElementType::F64:
    return load<double>(array, widen);
  case ElementType::I8:
    return load<int8_t>(array, widen);
  case ElementType::U8:
    return load<uint8_t>(array, widen);
  case ElementType::U16:
    return load<uint16_t>(array, widen);
  case ElementType::I32:
    return load<int32_t>(array, widen);
  case ElementType::I64:
    return load<int64_t>(array, widen);
  }
  llvm_unreachable("every element type has a case");
}

void sfa::fromDouble(llvm::ArrayRef<double> values, NpyArray &array) {
  assert(static_cast<int64_t>(values.size()) == array.numElements() &&
         "as many values as elements");
  switch (array.type) {
  case ElementType::F16:
    return store<uint16_t>(values, array, doubleToHalf);
  case ElementType::BF16:
    return store<uint16_t>(values, array, doubleToBfloat16);
  case ElementType::F32:
    return store<float>(values, array, [](double value) { return static_cast<float>(value); });
  case ElementType::F64:
    return store<double>(values, array, [](double value) { return value; });
  case ElementType::I8:
    return store<int8_t>(values, array, saturate<int8_t>);
  case ElementType::U8:
    return store<uint8_t>(values, array, saturate<uint8_t>);
  case ElementType::U16:
    return store<uint16_t>(values, array, saturate<uint16_t>);
  case ElementType::I32:
    return store<int32_t>(values, array, saturate<int32_t>);
  case ElementType::I64:
    return store<int64_t>(values, array, saturate<int64_t>);
  }
  llvm_unreachable("every element type has a case");
}
