//===- ProgramReader.cpp - From a document to a program -------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Base64.h"
#include "Error.h"
#include "ParsedProgram.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <nlohmann/json.hpp>

using namespace sfa::runtime::impl;

using nlohmann::json;

namespace {

template <typename... Args>
[[noreturn]] void invalid(fmt::format_string<Args...> format, Args &&...args) {
  fail(SFA_ERROR_INVALID_PROGRAM, "invalid program: {}",
       fmt::format(format, std::forward<Args>(args)...));
}

/// The start of a text, for a message.
std::string shorten(const std::string &text) {
  constexpr size_t most = 60;
  return text.size() <= most ? text : text.substr(0, most) + "...";
}

/// A value of the document and where it stands, such as "launches[0].grid".
class Value {
public:
  Value(const json &value, std::string path) : value(value), path(std::move(path)) {}

  const std::string &where() const { return path; }

  /// What was given, for a message: a number as it is, an array only as "an array".
  std::string describe() const {
    switch (value.type()) {
    case json::value_t::array:
      return fmt::format("an array of {}", value.size());
    case json::value_t::object:
      return "an object";
    case json::value_t::string:
      return fmt::format("\"{}\"", shorten(value.get_ref<const std::string &>()));
    default:
      return value.dump();
    }
  }

  [[noreturn]] void refuse(const std::string &allowed) const {
    invalid("{} is {}; it has to be {}", path, describe(), allowed);
  }

  bool isObject() const { return value.is_object(); }
  bool isString(std::string_view text) const {
    return value.is_string() && value.get_ref<const std::string &>() == text;
  }

  /// Fails where a field is missing, or one is there that is in neither list: of a field that this
  /// version does not know it cannot know that it may be left out.
  void requireFields(std::initializer_list<const char *> required,
                     std::initializer_list<const char *> optional = {}) const {
    if (!value.is_object())
      refuse(fmt::format("an object with the fields {}", fmt::join(required, ", ")));
    for (const char *name : required)
      if (!value.contains(name))
        invalid("{} has no field \"{}\"; it has to have {}", path, name, fmt::join(required, ", "));
    auto isIn = [](const std::initializer_list<const char *> &names, const std::string &name) {
      return std::any_of(names.begin(), names.end(),
                         [&](const char *known) { return name == known; });
    };
    for (const auto &item : value.items())
      if (!isIn(required, item.key()) && !isIn(optional, item.key()))
        invalid("{} has the unknown field \"{}\"; this version of the format has {}{}{}", path,
                shorten(item.key()), fmt::join(required, ", "), optional.size() ? ", " : "",
                fmt::join(optional, ", "));
  }

  bool has(const char *name) const { return value.contains(name); }

  Value field(const char *name) const {
    return {value.at(name), path == "the document" ? name : path + "." + name};
  }

  const std::string &string() const {
    if (!value.is_string())
      refuse("a string");
    return value.get_ref<const std::string &>();
  }

  bool boolean() const {
    if (!value.is_boolean())
      refuse("true or false");
    return value.get<bool>();
  }

  int64_t integer(int64_t min, int64_t max) const {
    bool fits = value.is_number_integer() &&
                (!value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t(INT64_MAX));
    if (!fits || value.get<int64_t>() < min || value.get<int64_t>() > max)
      refuse(max == INT64_MAX ? fmt::format("an integer of at least {}", min)
                              : fmt::format("an integer from {} to {}", min, max));
    return value.get<int64_t>();
  }

  /// A number whose nearest f64 is positive and finite.
  double positive() const {
    double number = value.is_number() ? value.get<double>() : 0.0;
    if (!(number > 0 && std::isfinite(number)))
      refuse("a positive number");
    return number;
  }

  std::vector<Value> array(size_t min, size_t max) const {
    if (!value.is_array() || value.size() < min || value.size() > max)
      refuse(min == max ? fmt::format("an array of {}", min)
                        : fmt::format("an array of {} to {}", min, max));
    std::vector<Value> elements;
    elements.reserve(value.size());
    for (size_t index = 0; index < value.size(); ++index)
      elements.emplace_back(value[index], fmt::format("{}[{}]", path, index));
    return elements;
  }

private:
  const json &value;
  std::string path;
};

class Reader {
public:
  ParsedProgram read(const Value &document);

private:
  Architecture readArchitecture(const Value &value);
  Image readImage(const Value &value);
  int32_t readType(const Value &value, bool isScalar);
  /// A size that may refer to the first `numArguments` arguments.
  Expression readExpression(const Value &value, size_t numArguments, int64_t max, bool mayBeAny);
  Extent readExtent(const Value &value, int64_t max);
  BufferType readBuffer(const Value &value, size_t numArguments, bool mayBeAny);
  std::vector<BufferType> readBuffers(const Value &value, bool areArguments);
  Launch readLaunch(const Value &value);
  /// How many blocks, or work items, the launch has.
  void readBlocks(const Value &value, Launch &launch);
  Scalar readScalar(const Value &value);
  TensorMapSource readTensorMap(const Value &value, const Launch &launch);
  bool imageHas(const std::string &kernel) const;

  ParsedProgram program;
};

} // namespace

Architecture Reader::readArchitecture(const Value &value) {
  std::string_view text = value.string();
  std::string_view digits = text;
  Architecture architecture;
  if (!digits.empty() && digits.back() == 'a') {
    architecture.isExact = true;
    digits.remove_suffix(1);
  }
  int number = 0;
  if (digits.substr(0, 3) == "sm_") {
    digits.remove_prefix(3);
    auto [last, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || last != digits.data() + digits.size() || digits.front() == '0')
      number = 0;
  }
  if (number < 80 || number > 9999)
    value.refuse("sm_NN or sm_NNa, from sm_80 on, such as \"sm_80\" or \"sm_90a\"");
  architecture.major = number / 10;
  architecture.minor = number % 10;
  return architecture;
}

Image Reader::readImage(const Value &value) {
  if (!value.isObject() || !value.has("kind"))
    value.requireFields({"kind"}, {"text", "base64"});
  Value kind = value.field("kind");
  if (kind.isString("ptx")) {
    value.requireFields({"kind", "text"});
    const std::string &text = value.field("text").string();
    if (text.find('\0') != std::string::npos)
      invalid("{} contains a zero character; it has to be PTX", value.field("text").where());
    if (text.find(".version") == std::string::npos || text.find(".target") == std::string::npos)
      invalid("{} is no PTX: it has no .version or no .target", value.field("text").where());
    return {/*isPTX=*/true, text};
  }
  if (!kind.isString("cubin"))
    kind.refuse("\"ptx\" or \"cubin\"");
  value.requireFields({"kind", "base64"});
  Value base64 = value.field("base64");
  std::optional<std::string> bytes = decodeBase64(base64.string());
  if (!bytes)
    base64.refuse("base64 with padding and without line breaks");
  if (bytes->compare(0, 4,
                     "\x7f"
                     "ELF") != 0)
    invalid("{} is no cubin: its {} bytes do not begin as an ELF file", base64.where(),
            bytes->size());
  return {/*isPTX=*/false, std::move(*bytes)};
}

int32_t Reader::readType(const Value &value, bool isScalar) {
  value.string();
  if (isScalar) {
    if (!value.isString(typeName(SFA_DTYPE_F64)))
      value.refuse("f64 where the shape is []");
    return SFA_DTYPE_F64;
  }
  for (int32_t dtype = SFA_DTYPE_F16; dtype <= SFA_DTYPE_I8; ++dtype)
    if (dtype != SFA_DTYPE_F64 && value.isString(typeName(dtype)))
      return dtype;
  value.refuse("f16, bf16, f32, i8, u8, u16, i32 or i64");
}

Expression Reader::readExpression(const Value &value, size_t numArguments, int64_t max,
                                  bool mayBeAny) {
  Expression expression;
  if (!value.isObject()) {
    expression.value = value.integer(mayBeAny ? -1 : 0, max);
    if (expression.value == -1) {
      expression.kind = Expression::Any;
      expression.value = 0;
    }
    return expression;
  }
  value.requireFields({"dim"}, {"ceildiv"});
  std::vector<Value> dimension = value.field("dim").array(2, 2);
  if (numArguments == 0)
    invalid("{} refers to an argument; there is none before it", value.where());
  expression.kind = Expression::Dimension;
  expression.argument = dimension[0].integer(0, static_cast<int64_t>(numArguments) - 1);
  const BufferType &argument = program.arguments[expression.argument];
  if (argument.isScalar())
    invalid("{} refers to argument {}, which is a number and has no sizes", value.where(),
            expression.argument);
  expression.axis = dimension[1].integer(0, argument.rank - 1);
  if (value.has("ceildiv"))
    expression.divisor = value.field("ceildiv").integer(1, INT64_MAX);
  // What is known already is a fixed size to all that follows.
  const Expression &size = argument.shape[static_cast<size_t>(expression.axis)];
  if (size.kind == Expression::Fixed) {
    int64_t known = size.value / expression.divisor + (size.value % expression.divisor != 0);
    if (known > max)
      invalid("{} is {}; it has to be at most {}", value.where(), known, max);
    expression = {};
    expression.value = known;
  }
  return expression;
}

Extent Reader::readExtent(const Value &value, int64_t max) {
  size_t numArguments = program.arguments.size();
  if (!value.isObject() || !value.has("sum"))
    return {readExpression(value, numArguments, max, /*mayBeAny=*/false)};
  value.requireFields({"sum"});
  Extent terms;
  int64_t known = 0; // no overflow: each is at most 2^31
  for (const Value &term : value.field("sum").array(1, maxTerms)) {
    terms.push_back(readExpression(term, numArguments, max, /*mayBeAny=*/false));
    known += terms.back().value;
  }
  if (known > max)
    invalid("{} is at least {}; it has to be at most {}", value.where(), known, max);
  return terms;
}

BufferType Reader::readBuffer(const Value &value, size_t numArguments, bool mayBeAny) {
  value.requireFields({"type", "shape"});
  BufferType type;
  // Only arguments may be of any size, and only they may be numbers.
  std::vector<Value> shape = value.field("shape").array(mayBeAny ? 0 : 1, SFA_MAX_RANK);
  type.dtype = readType(value.field("type"), /*isScalar=*/shape.empty());
  type.rank = static_cast<int32_t>(shape.size());
  for (int32_t axis = 0; axis < type.rank; ++axis)
    type.shape[axis] = readExpression(shape[axis], numArguments, INT64_MAX, mayBeAny);
  return type;
}

std::vector<BufferType> Reader::readBuffers(const Value &value, bool areArguments) {
  std::vector<BufferType> buffers;
  for (const Value &element : value.array(0, maxBuffers)) {
    BufferType type = readBuffer(element, program.arguments.size(), areArguments);
    if (areArguments)
      program.arguments.push_back(type); // so that the next ones can refer to it
    else
      buffers.push_back(type);
  }
  return buffers;
}

Scalar Reader::readScalar(const Value &value) {
  value.requireFields({"argument", "factor", "inverse"});
  Value argument = value.field("argument");
  if (program.arguments.empty())
    invalid("{} refers to an argument; the program has none", argument.where());
  Scalar scalar;
  scalar.argument = argument.integer(0, static_cast<int64_t>(program.arguments.size()) - 1);
  if (const BufferType &type = program.arguments[scalar.argument]; !type.isScalar())
    invalid("{} is {}, which is {}; it has to be an argument of type f64 and shape []",
            argument.where(), scalar.argument, toString(type));
  scalar.factor = value.field("factor").positive();
  scalar.isInverse = value.field("inverse").boolean();
  return scalar;
}

TensorMapSource Reader::readTensorMap(const Value &value, const Launch &launch) {
  value.requireFields({"memory", "box_rows", "box_columns", "box_heads"});
  if (program.architecture.major < 9)
    invalid("{} needs sm_90 or later; the chip of the program is {}", value.where(),
            program.architecture.name());
  if (launch.memories.empty())
    invalid("{} refers to a memory; the launch has none", value.where());
  TensorMapSource map;
  map.memory = value.field("memory").integer(0, static_cast<int64_t>(launch.memories.size()) - 1);
  const BufferType &buffer = program.buffer(launch.memories[map.memory]);
  if (buffer.rank != 4)
    invalid("{} is {}, which is of rank {}; a tensor map needs a memory of rank 4",
            value.field("memory").where(), map.memory, buffer.rank);
  int64_t bytes = typeBytes(buffer.dtype);
  map.rows = value.field("box_rows").integer(1, maxBox);
  Value columns = value.field("box_columns");
  map.columns = columns.integer(1, maxBoxRowBytes / bytes);
  if (map.columns * bytes % 16 != 0)
    columns.refuse(
        fmt::format("a multiple of {}, 16 bytes of {}", 16 / bytes, typeName(buffer.dtype)));
  Value heads = value.field("box_heads");
  map.heads = heads.integer(1, maxBox);
  if (map.rows * map.heads > maxBoxRows)
    heads.refuse(fmt::format("at most {} with box_rows {}, since a box has at most {} rows of all "
                             "its heads together",
                             maxBoxRows / map.rows, map.rows, maxBoxRows));
  return map;
}

bool Reader::imageHas(const std::string &kernel) const {
  const std::string &bytes = program.image.bytes;
  if (!program.image.isPTX) // the name of the section that holds its code
    return bytes.find(std::string(".text." + kernel).append(1, '\0')) != std::string::npos;
  auto isSpace = [](char c) { return std::strchr(" \t\r\n", c) && c; };
  auto isName = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$';
  };
  constexpr std::string_view directive = ".entry";
  for (size_t at = bytes.find(directive); at != std::string::npos;
       at = bytes.find(directive, at + 1)) {
    size_t name = at + directive.size();
    while (name < bytes.size() && isSpace(bytes[name]))
      ++name;
    if (bytes.compare(name, kernel.size(), kernel) == 0 &&
        (name + kernel.size() == bytes.size() || !isName(bytes[name + kernel.size()])))
      return true;
  }
  return false;
}

void Reader::readBlocks(const Value &value, Launch &launch) {
  launch.isPersistent = value.field("persistent").boolean();
  launch.isProgrammatic = value.field("programmatic").boolean();
  if (launch.isProgrammatic && program.architecture.major < 9)
    value.field("programmatic").refuse("false for chips before sm_90");
  std::vector<Value> grid = value.field("grid").array(3, 3);
  for (int axis = 0; axis < 3; ++axis)
    launch.grid[axis] = readExtent(grid[axis], launch.isPersistent ? maxItems : maxGrid[axis]);

  launch.cluster = value.field("cluster").integer(1, maxCluster);
  if (launch.cluster > 1 && program.architecture.major < 9)
    invalid("{} is {}; it has to be 1 for {}, since clusters need sm_90 or later",
            value.field("cluster").where(), launch.cluster, program.architecture.name());
  if (launch.cluster > 1 && launch.isPersistent)
    value.field("cluster").refuse("1 for a persistent launch, whose blocks share work items");
  bool isFixed = true;
  int64_t blocks = 0;
  for (const Expression &term : launch.grid[0]) {
    isFixed &= term.kind == Expression::Fixed;
    blocks += term.value;
  }
  if (isFixed && blocks % launch.cluster != 0)
    grid[0].refuse(fmt::format("a multiple of the cluster, {}", launch.cluster));
}

Launch Reader::readLaunch(const Value &value) {
  value.requireFields({"kernel", "grid", "persistent", "programmatic", "block", "shared_bytes", "cluster",
                       "memories", "scalars", "aligned", "packed", "batches", "tensor_maps"});
  Launch launch;
  Value kernel = value.field("kernel");
  launch.kernel = kernel.string();
  if (launch.kernel.empty() || launch.kernel.find('\0') != std::string::npos ||
      !imageHas(launch.kernel))
    invalid("{} is {}; the image has no kernel of this name", kernel.where(), kernel.describe());

  readBlocks(value, launch);
  launch.block = value.field("block").integer(1, maxBlock);
  launch.sharedBytes = value.field("shared_bytes").integer(0, maxSharedBytes);

  auto numBuffers = static_cast<int64_t>(program.numBuffers());
  for (const Value &memory : value.field("memories").array(0, maxMemories)) {
    if (numBuffers == 0)
      invalid("{} refers to a buffer; the program has none", memory.where());
    launch.memories.push_back(memory.integer(0, numBuffers - 1));
    if (program.buffer(launch.memories.back()).isScalar())
      invalid("{} is {}, which is a number; it has to be a buffer in memory", memory.where(),
              launch.memories.back());
  }
  for (const Value &scalar : value.field("scalars").array(0, maxScalars))
    launch.scalars.push_back(readScalar(scalar));
  auto numMemories = static_cast<int64_t>(launch.memories.size());
  auto readRows = [&](const char *name, std::vector<int32_t> &positions) {
    for (const Value &position : value.field(name).array(0, numMemories)) {
      positions.push_back(position.integer(0, numMemories - 1));
      if (int32_t rank = program.buffer(launch.memories[positions.back()]).rank; rank != 4)
        invalid("{} is {}, which is of rank {}; it has to be a memory of rank 4", position.where(),
                positions.back(), rank);
    }
  };
  readRows("aligned", launch.aligned);
  readRows("packed", launch.packed);
  for (const Value &position : value.field("batches").array(0, numMemories)) {
    launch.batches.push_back(position.integer(0, numMemories - 1));
    if (int32_t rank = program.buffer(launch.memories[launch.batches.back()]).rank; rank < 3)
      invalid("{} is {}, which is of rank {}; it has to be a memory of rank 3 or 4", position.where(),
              launch.batches.back(), rank);
  }
  for (const Value &map : value.field("tensor_maps").array(0, maxTensorMaps))
    launch.tensorMaps.push_back(readTensorMap(map, launch));
  return launch;
}

ParsedProgram Reader::read(const Value &document) {
  // Format and version first: of another version nothing else can be said.
  if (!document.isObject() || !document.has("format") ||
      !document.field("format").isString("flashsfa-program"))
    invalid("the document is not an object with the field \"format\": \"flashsfa-program\"");
  if (!document.has("version"))
    invalid("the document has no field \"version\"");
  document.field("version").integer(1, INT64_MAX);
  if (int64_t version = document.field("version").integer(1, INT64_MAX); version != 5)
    invalid("its format has version {}; this runtime (FlashSFA {}) reads version 5: compile the "
            "program with a compiler of the same release",
            version, SFA_RUNTIME_VERSION);
  document.requireFields({"format", "version", "compiler", "chip", "image", "arguments", "results",
                          "temporaries", "launches"});

  program.compiler = document.field("compiler").string();
  program.architecture = readArchitecture(document.field("chip"));
  program.chipName = program.architecture.name();
  program.image = readImage(document.field("image"));
  readBuffers(document.field("arguments"), /*areArguments=*/true);
  program.results = readBuffers(document.field("results"), /*areArguments=*/false);
  program.temporaries = readBuffers(document.field("temporaries"), /*areArguments=*/false);
  if (program.numBuffers() > maxBuffers)
    invalid("arguments, results and temporaries are {} together; at most {} are allowed",
            program.numBuffers(), maxBuffers);
  for (const Value &launch : document.field("launches").array(0, maxLaunches))
    program.launches.push_back(readLaunch(launch));
  return std::move(program);
}

ParsedProgram sfa::runtime::impl::readProgram(std::string_view document) {
  json parsed;
  try {
    parsed = json::parse(document.begin(), document.end());
  } catch (const json::exception &exception) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    std::string_view text = exception.what();
    if (size_t end = text.find("] "); end != std::string_view::npos)
      text.remove_prefix(end + 2);
    invalid("the document of {} bytes is not JSON: {}", document.size(), text.substr(0, 200));
  }
  return Reader().read(Value(parsed, "the document"));
}
