//===- ProgramTest.cpp - Documents that are programs, and others ----------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Base64.h"
#include "RuntimeTest.h"

#include <random>

using namespace sfa;
using namespace sfa::test;

namespace {

TEST(Program, SaysWhatItIs) {
  runtime::Program program = load(makeProgram());
  sfa_program_properties properties = program.properties();
  EXPECT_STREQ(properties.compiler, "0.1.0");
  EXPECT_STREQ(properties.chip, "sm_90a");
  EXPECT_EQ(properties.num_arguments, 2);
  EXPECT_EQ(properties.num_results, 2);
  EXPECT_EQ(properties.num_temporaries, 1);
  EXPECT_EQ(properties.num_launches, 2);
  EXPECT_EQ(properties.is_ptx, 1);

  std::vector<runtime::TensorType> arguments = program.arguments(), results = program.results();
  ASSERT_EQ(arguments.size(), 2u);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(arguments[1].dtype, SFA_DTYPE_BF16);
  EXPECT_EQ(arguments[1].shape, (std::vector<int64_t>{2, 3, -1, 64}));
  EXPECT_EQ(results[1].dtype, SFA_DTYPE_F32);
  EXPECT_EQ(results[1].shape, (std::vector<int64_t>{2, 3, -1}));

  sfa_tensor_type type;
  EXPECT_EQ(sfa_program_argument_type(program.get(), 2, &type), SFA_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(sfa_last_error(), "there is no argument 2; the program has 2, counted from 0");
  EXPECT_EQ(sfa_program_result_type(program.get(), -1, &type), SFA_ERROR_INVALID_ARGUMENT);
}

TEST(Program, TellsIntegersWithASignFromOthers) {
  json document = makeProgram();
  document["arguments"][1]["type"] = "i8";
  document["results"][0]["type"] = "u8";
  runtime::Program program = load(document);
  EXPECT_EQ(program.arguments()[1].dtype, SFA_DTYPE_I8);
  EXPECT_EQ(program.results()[0].dtype, SFA_DTYPE_U8);
}

TEST(Program, KnowsSizesForArguments) {
  runtime::Program program = load(makeProgram());
  runtime::Tensor queries(nullptr, SFA_DTYPE_BF16, {2, 3, 1000, 64});
  runtime::Tensor keys(nullptr, SFA_DTYPE_BF16, {2, 3, 257, 64});
  auto results = program.resultsFor({queries.tensor(), keys.tensor()});
  ASSERT_TRUE(bool(results));
  EXPECT_EQ((*results)[0].shape, (std::vector<int64_t>{2, 3, 1000, 64}));
  EXPECT_EQ((*results)[1].shape, (std::vector<int64_t>{2, 3, 1000}));
  // f32 [2, 3, 3], 72 bytes.
  auto bytes = program.workspaceBytes({queries.tensor(), keys.tensor()});
  ASSERT_TRUE(bool(bytes));
  EXPECT_EQ(*bytes, 256u);

  auto missing = program.workspaceBytes({queries.tensor()});
  ASSERT_FALSE(bool(missing));
  EXPECT_EQ(missing.error().message, "1 arguments were given; the program has 2");
  EXPECT_EQ(missing.error().status, SFA_ERROR_INVALID_ARGUMENT);
}

TEST(Program, RefusesWorkspacesThatCannotBeCounted) {
  json document = makeProgram();
  document["temporaries"] = {
      {{"type", "f32"}, {"shape", {1048576, 1048576, {{"dim", {1, 2}}}, 64}}}};
  document["launches"] = json::array();
  runtime::Program program = load(document);
  runtime::Tensor queries(nullptr, SFA_DTYPE_BF16, {2, 3, 1, 64});
  runtime::Tensor keys(nullptr, SFA_DTYPE_BF16, {2, 3, int64_t(1) << 40, 64});
  auto bytes = program.workspaceBytes({queries.tensor(), keys.tensor()});
  ASSERT_FALSE(bool(bytes));
  expectHas(bytes.error().message, "temporary 0 of the program has shape [1048576, 1048576, "
                                   "1099511627776, 64] for these arguments");

  // Each by itself is below 2^63.
  json one = {{"type", "u8"}, {"shape", {int64_t(1) << 62}}};
  document["temporaries"] = {one, one, one};
  bytes = load(document).workspaceBytes({queries.tensor(), queries.tensor()});
  ASSERT_FALSE(bool(bytes));
  expectHas(bytes.error().message, "more bytes together than can be counted in 63 bits");
}

TEST(Program, IsTheSameAfterSaving) {
  json integers = makeProgram();
  integers["arguments"][1]["type"] = "i8";
  integers["launches"][1]["tensor_maps"][0]["box_columns"] = 128; // of a byte each
  for (const json &document : {makeProgram(), makePersistentProgram(), integers}) {
    runtime::Program program = load(document);
    auto saved = program.save();
    ASSERT_TRUE(bool(saved));
    EXPECT_EQ(json::parse(*saved), document);
  }
}

/// A change of the document that is right, and what the message has to say.
struct Wrong {
  const char *name;
  void (*change)(json &);
  const char *message;
};

void PrintTo(const Wrong &wrong, std::ostream *stream) { *stream << wrong.name; }

class WrongProgram : public testing::TestWithParam<Wrong> {};

TEST_P(WrongProgram, IsRefused) {
  json document = makeProgram();
  GetParam().change(document);
  EXPECT_EQ(loadError(document.dump()), std::string("invalid program: ") + GetParam().message);
}

const Wrong wrongPrograms[] = {
    {"NoFormat", [](json &d) { d.erase("format"); },
     "the document is not an object with the field \"format\": \"flashsfa-program\""},
    {"OtherFormat", [](json &d) { d["format"] = "other"; },
     "the document is not an object with the field \"format\": \"flashsfa-program\""},
    {"NotAnObject", [](json &d) { d = json::array({1}); },
     "the document is not an object with the field \"format\": \"flashsfa-program\""},
    {"NoVersion", [](json &d) { d.erase("version"); }, "the document has no field \"version\""},
    {"OtherVersion", [](json &d) { d["version"] = 2; },
     "its format has version 2; this runtime (FlashSFA 0.1.0) reads version 5: compile the program "
     "with a compiler of the same release"},
    {"VersionIsText", [](json &d) { d["version"] = "1"; },
     "version is \"1\"; it has to be an integer of at least 1"},
    {"NoChip", [](json &d) { d.erase("chip"); },
     "the document has no field \"chip\"; it has to have format, version, compiler, chip, image, "
     "arguments, results, temporaries, launches"},
    {"UnknownField", [](json &d) { d["Chip"] = 1; },
     "the document has the unknown field \"Chip\"; this version of the format has format, version, "
     "compiler, chip, image, arguments, results, temporaries, launches"},
    {"CompilerIsNumber", [](json &d) { d["compiler"] = 1.5; },
     "compiler is 1.5; it has to be a string"},
    {"OldChip", [](json &d) { d["chip"] = "sm_75"; },
     "chip is \"sm_75\"; it has to be sm_NN or sm_NNa, from sm_80 on, such as \"sm_80\" or "
     "\"sm_90a\""},
    {"NoSuchChip", [](json &d) { d["chip"] = "sm_90aa"; },
     "chip is \"sm_90aa\"; it has to be sm_NN or sm_NNa, from sm_80 on, such as \"sm_80\" or "
     "\"sm_90a\""},
    {"EmptyChip", [](json &d) { d["chip"] = "sm_"; },
     "chip is \"sm_\"; it has to be sm_NN or sm_NNa, from sm_80 on, such as \"sm_80\" or "
     "\"sm_90a\""},
    {"ImageIsText", [](json &d) { d["image"] = "ptx"; },
     "image is \"ptx\"; it has to be an object with the fields kind"},
    {"ImageKind", [](json &d) { d["image"]["kind"] = "fatbin"; },
     "image.kind is \"fatbin\"; it has to be \"ptx\" or \"cubin\""},
    {"ImageHasBoth", [](json &d) { d["image"]["base64"] = ""; },
     "image has the unknown field \"base64\"; this version of the format has kind, text"},
    {"NotPTX", [](json &d) { d["image"]["text"] = "nothing"; },
     "image.text is no PTX: it has no .version or no .target"},
    {"ZeroInPTX", [](json &d) { d["image"]["text"] = std::string("a\0b", 3); },
     "image.text contains a zero character; it has to be PTX"},
    {"NotBase64", [](json &d) { d["image"] = {{"kind", "cubin"}, {"base64", "f0VMRg=x"}}; },
     "image.base64 is \"f0VMRg=x\"; it has to be base64 with padding and without line breaks"},
    {"NotELF", [](json &d) { d["image"] = {{"kind", "cubin"}, {"base64", "AAAA"}}; },
     "image.base64 is no cubin: its 3 bytes do not begin as an ELF file"},
    {"KernelNotInCubin",
     [](json &d) {
       d["image"] = {{"kind", "cubin"},
                     {"base64", runtime::impl::encodeBase64("\x7f"
                                                            "ELF.text.spli")}};
     },
     "launches[0].kernel is \"split\"; the image has no kernel of this name"},
    {"UnknownType", [](json &d) { d["arguments"][1]["type"] = "f64"; },
     "arguments[1].type is \"f64\"; it has to be f16, bf16, f32, i8, u8, u16, i32 or i64"},
    {"TypeIsNull", [](json &d) { d["arguments"][1]["type"] = nullptr; },
     "arguments[1].type is null; it has to be a string"},
    {"RankZero", [](json &d) { d["arguments"][0]["shape"] = json::array(); },
     "arguments[0].type is \"bf16\"; it has to be f64 where the shape is []"},
    {"NegativeSize", [](json &d) { d["arguments"][0]["shape"][0] = -2; },
     "arguments[0].shape[0] is -2; it has to be an integer of at least -1"},
    {"HugeSize", [](json &d) { d["arguments"][0]["shape"][0] = 9223372036854775808u; },
     "arguments[0].shape[0] is 9223372036854775808; it has to be an integer of at least -1"},
    {"SizeIsFloat", [](json &d) { d["arguments"][0]["shape"][0] = 2.0; },
     "arguments[0].shape[0] is 2.0; it has to be an integer of at least -1"},
    {"ForwardReference", [](json &d) { d["arguments"][0]["shape"][2] = {{"dim", {1, 2}}}; },
     "arguments[0].shape[2] refers to an argument; there is none before it"},
    {"DynamicResult", [](json &d) { d["results"][0]["shape"][2] = -1; },
     "results[0].shape[2] is -1; it has to be an integer of at least 0"},
    {"NoSuchArgument", [](json &d) { d["results"][0]["shape"][2] = {{"dim", {2, 2}}}; },
     "results[0].shape[2].dim[0] is 2; it has to be an integer from 0 to 1"},
    {"NoSuchAxis", [](json &d) { d["results"][0]["shape"][2] = {{"dim", {0, 4}}}; },
     "results[0].shape[2].dim[1] is 4; it has to be an integer from 0 to 3"},
    {"DimOfOne", [](json &d) { d["results"][0]["shape"][2] = {{"dim", {0}}}; },
     "results[0].shape[2].dim is an array of 1; it has to be an array of 2"},
    {"CeildivZero",
     [](json &d) { d["temporaries"][0]["shape"][2] = {{"dim", {0, 2}}, {"ceildiv", 0}}; },
     "temporaries[0].shape[2].ceildiv is 0; it has to be an integer of at least 1"},
    {"UnknownExpression", [](json &d) { d["temporaries"][0]["shape"][2] = {{"mul", {0, 2}}}; },
     "temporaries[0].shape[2] has no field \"dim\"; it has to have dim"},
    {"TooManyArguments",
     [](json &d) {
       for (int i = 0; i < 64; ++i)
         d["arguments"].push_back(d["arguments"][0]);
     },
     "arguments is an array of 66; it has to be an array of 0 to 64"},
    {"TooManyBuffers",
     [](json &d) {
       for (int i = 0; i < 60; ++i)
         d["arguments"].push_back(d["arguments"][0]);
     },
     "arguments, results and temporaries are 65 together; at most 64 are allowed"},
    {"LaunchesAreObject", [](json &d) { d["launches"] = d["launches"][0]; },
     "launches is an object; it has to be an array of 0 to 64"},
    {"NoBlock", [](json &d) { d["launches"][1].erase("block"); },
     "launches[1] has no field \"block\"; it has to have kernel, grid, persistent, programmatic, block, "
     "shared_bytes, cluster, memories, scalars, aligned, packed, batches, tensor_maps"},
    {"NotSaidToBePersistent", [](json &d) { d["launches"][1].erase("persistent"); },
     "launches[1] has no field \"persistent\"; it has to have kernel, grid, persistent, programmatic, block, "
     "shared_bytes, cluster, memories, scalars, aligned, packed, batches, tensor_maps"},
    {"PersistentIsNumber", [](json &d) { d["launches"][1]["persistent"] = 1; },
     "launches[1].persistent is 1; it has to be true or false"},
    {"KernelNotInPTX", [](json &d) { d["launches"][0]["kernel"] = "spli"; },
     "launches[0].kernel is \"spli\"; the image has no kernel of this name"},
    {"EmptyKernel", [](json &d) { d["launches"][0]["kernel"] = ""; },
     "launches[0].kernel is \"\"; the image has no kernel of this name"},
    {"GridOfTwo", [](json &d) { d["launches"][0]["grid"] = {1, 2}; },
     "launches[0].grid is an array of 2; it has to be an array of 3"},
    {"NegativeGrid", [](json &d) { d["launches"][0]["grid"][0] = -1; },
     "launches[0].grid[0] is -1; it has to be an integer from 0 to 2147483647"},
    {"HugeGrid", [](json &d) { d["launches"][0]["grid"][1] = 65536; },
     "launches[0].grid[1] is 65536; it has to be an integer from 0 to 65535"},
    {"HugeSum", [](json &d) { d["launches"][0]["grid"][1] = {{"sum", {40000, 40000}}}; },
     "launches[0].grid[1] is at least 80000; it has to be at most 65535"},
    {"EmptySum", [](json &d) { d["launches"][0]["grid"][1] = {{"sum", json::array()}}; },
     "launches[0].grid[1].sum is an array of 0; it has to be an array of 1 to 4"},
    {"SumOfSums",
     [](json &d) {
       json sum = {{"sum", {1, 2}}};
       d["launches"][0]["grid"][1] = {{"sum", {sum, 1}}};
     },
     "launches[0].grid[1].sum[0] has no field \"dim\"; it has to have dim"},
    {"SumInAShape", [](json &d) { d["results"][0]["shape"][2] = {{"sum", {1, 2}}}; },
     "results[0].shape[2] has no field \"dim\"; it has to have dim"},
    {"HugeBlock", [](json &d) { d["launches"][0]["block"] = 1025; },
     "launches[0].block is 1025; it has to be an integer from 1 to 1024"},
    {"NoThreads", [](json &d) { d["launches"][0]["block"] = 0; },
     "launches[0].block is 0; it has to be an integer from 1 to 1024"},
    {"MuchSharedMemory", [](json &d) { d["launches"][0]["shared_bytes"] = 232449; },
     "launches[0].shared_bytes is 232449; it has to be an integer from 0 to 232448"},
    {"LargeCluster", [](json &d) { d["launches"][0]["cluster"] = 16; },
     "launches[0].cluster is 16; it has to be an integer from 1 to 8"},
    {"GridNotOfClusters",
     [](json &d) {
       d["launches"][0]["cluster"] = 2;
       d["launches"][0]["grid"][0] = 3;
     },
     "launches[0].grid[0] is 3; it has to be a multiple of the cluster, 2"},
    {"ClusterOnAmpere",
     [](json &d) {
       d["chip"] = "sm_80";
       d["launches"][0]["cluster"] = 2;
     },
     "launches[0].cluster is 2; it has to be 1 for sm_80, since clusters need sm_90 or later"},
    {"PersistentCluster",
     [](json &d) {
       d["launches"][0]["persistent"] = true;
       d["launches"][0]["cluster"] = 2;
     },
     "launches[0].cluster is 2; it has to be 1 for a persistent launch, whose blocks share work "
     "items"},
    {"HugePersistentGrid",
     [](json &d) {
       d["launches"][0]["persistent"] = true;
       d["launches"][0]["grid"][2] = int64_t(1) << 31;
     },
     "launches[0].grid[2] is 2147483648; it has to be an integer from 0 to 2147483647"},
    {"HugePersistentSum",
     [](json &d) {
       d["launches"][0]["persistent"] = true;
       d["launches"][0]["grid"][1] = {{"sum", {2147483647, 1}}};
     },
     "launches[0].grid[1] is at least 2147483648; it has to be at most 2147483647"},
    {"NumberInMemory",
     [](json &d) {
       d = makeScaledProgram();
       d["launches"][0]["memories"][0] = 2;
     },
     "launches[0].memories[0] is 2, which is a number; it has to be a buffer in memory"},
    {"ScalarOfTensor",
     [](json &d) {
       d = makeScaledProgram();
       d["launches"][1]["scalars"][0]["argument"] = 0;
     },
     "launches[1].scalars[0].argument is 0, which is bf16, shape [2, 3, ?, 64]; it has to be an "
     "argument of type f64 and shape []"},
    {"ScalarOfNothing",
     [](json &d) {
       d = makeScaledProgram();
       d["launches"][1]["scalars"][1]["argument"] = 3;
     },
     "launches[1].scalars[1].argument is 3; it has to be an integer from 0 to 2"},
    {"NegativeFactor",
     [](json &d) {
       d = makeScaledProgram();
       d["launches"][1]["scalars"][0]["factor"] = -1.5;
     },
     "launches[1].scalars[0].factor is -1.5; it has to be a positive number"},
    {"FactorIsText",
     [](json &d) {
       d = makeScaledProgram();
       d["launches"][1]["scalars"][0]["factor"] = "1";
     },
     "launches[1].scalars[0].factor is \"1\"; it has to be a positive number"},
    {"NoInverse",
     [](json &d) {
       d = makeScaledProgram();
       d["launches"][1]["scalars"][0].erase("inverse");
     },
     "launches[1].scalars[0] has no field \"inverse\"; it has to have argument, factor, inverse"},
    {"SizeOfNumber",
     [](json &d) {
       d = makeScaledProgram();
       d["results"][0]["shape"][2] = {{"dim", {2, 0}}};
     },
     "results[0].shape[2] refers to argument 2, which is a number and has no sizes"},
    {"NumberAsResult",
     [](json &d) { d["results"][0] = {{"type", "f64"}, {"shape", json::array()}}; },
     "results[0].shape is an array of 0; it has to be an array of 1 to 4"},
    {"NoSuchBuffer", [](json &d) { d["launches"][0]["memories"][1] = 5; },
     "launches[0].memories[1] is 5; it has to be an integer from 0 to 4"},
    {"TooManyMemories", [](json &d) { d["launches"][0]["memories"] = std::vector<int>(33, 0); },
     "launches[0].memories is an array of 33; it has to be an array of 0 to 32"},
    {"AlignedNothing", [](json &d) { d["launches"][0]["aligned"] = {2}; },
     "launches[0].aligned[0] is 2; it has to be an integer from 0 to 1"},
    {"AlignedRankThree", [](json &d) { d["launches"][1]["aligned"] = {0, 3}; },
     "launches[1].aligned[1] is 3, which is of rank 3; it has to be a memory of rank 4"},
    {"PackedNothing", [](json &d) { d["launches"][0]["packed"] = {2}; },
     "launches[0].packed[0] is 2; it has to be an integer from 0 to 1"},
    {"PackedRankThree", [](json &d) { d["launches"][1]["packed"] = {3}; },
     "launches[1].packed[0] is 3, which is of rank 3; it has to be a memory of rank 4"},
    {"BatchesOfNothing", [](json &d) { d["launches"][1]["batches"] = {5}; },
     "launches[1].batches[0] is 5; it has to be an integer from 0 to 4"},
    {"TensorMapOnAmpere", [](json &d) { d["chip"] = "sm_80"; },
     "launches[1].tensor_maps[0] needs sm_90 or later; the chip of the program is sm_80"},
    {"TensorMapOfNothing", [](json &d) { d["launches"][1]["tensor_maps"][0]["memory"] = 5; },
     "launches[1].tensor_maps[0].memory is 5; it has to be an integer from 0 to 4"},
    {"TensorMapOfRankThree", [](json &d) { d["launches"][1]["tensor_maps"][0]["memory"] = 3; },
     "launches[1].tensor_maps[0].memory is 3, which is of rank 3; a tensor map needs a memory of "
     "rank 4"},
    {"WideBox", [](json &d) { d["launches"][1]["tensor_maps"][0]["box_columns"] = 128; },
     "launches[1].tensor_maps[0].box_columns is 128; it has to be an integer from 1 to 64"},
    {"OddBox", [](json &d) { d["launches"][1]["tensor_maps"][0]["box_columns"] = 20; },
     "launches[1].tensor_maps[0].box_columns is 20; it has to be a multiple of 8, 16 bytes of "
     "bf16"},
    {"TallBox", [](json &d) { d["launches"][1]["tensor_maps"][0]["box_rows"] = 257; },
     "launches[1].tensor_maps[0].box_rows is 257; it has to be an integer from 1 to 256"},
    {"NoHeads", [](json &d) { d["launches"][1]["tensor_maps"][0].erase("box_heads"); },
     "launches[1].tensor_maps[0] has no field \"box_heads\"; it has to have memory, box_rows, "
     "box_columns, box_heads"},
    {"ZeroHeads", [](json &d) { d["launches"][1]["tensor_maps"][0]["box_heads"] = 0; },
     "launches[1].tensor_maps[0].box_heads is 0; it has to be an integer from 1 to 256"},
    {"ManyHeads", [](json &d) { d["launches"][1]["tensor_maps"][0]["box_heads"] = 257; },
     "launches[1].tensor_maps[0].box_heads is 257; it has to be an integer from 1 to 256"},
    {"ManyRowsOfHeads", [](json &d) { d["launches"][1]["tensor_maps"][0]["box_heads"] = 3; },
     "launches[1].tensor_maps[0].box_heads is 3; it has to be at most 2 with box_rows 128, since a "
     "box has at most 256 rows of all its heads together"},
};

INSTANTIATE_TEST_SUITE_P(All, WrongProgram, testing::ValuesIn(wrongPrograms),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(Document, ThatIsNoJSONIsRefused) {
  expectHas(loadError("{\"format\": }"), "invalid program: the document of 12 bytes is not JSON: "
                                         "parse error at line 1, column 12");
  expectHas(loadError(""), "the document of 0 bytes is not JSON");
  expectHas(loadError(std::string(1 << 20, '[')), "is not JSON");
  expectHas(loadError(std::string(1 << 20, '[') + std::string(1 << 20, ']')), "is not an object");
  expectHas(loadError("{\"format\": \"\xff\"}"), "is not JSON");

  sfa_program *program;
  EXPECT_EQ(sfa_program_load(nullptr, 3, &program), SFA_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(sfa_last_error(), "sfa_program_load: `bytes` is NULL; it has to point to something");
}

TEST(Document, ThatIsTruncatedIsRefused) {
  std::string document = makeProgram().dump();
  for (size_t size = 0; size < document.size(); ++size)
    EXPECT_NE(loadError(document.substr(0, size)), "") << size;
}

/// Whatever is loaded can be asked, saved and loaded again.
void use(const std::string &document) {
  auto program = runtime::Program::load(document);
  if (!program) {
    EXPECT_NE(program.error().message, "");
    return;
  }
  EXPECT_EQ(program->arguments().size(), size_t(program->properties().num_arguments));
  program->results();
  runtime::Tensor tensor(nullptr, SFA_DTYPE_BF16, {2, 3, 1000, 64});
  (void)program->workspaceBytes({tensor.tensor(), tensor.tensor()});
  auto saved = program->save();
  ASSERT_TRUE(bool(saved));
  EXPECT_TRUE(bool(runtime::Program::load(*saved))) << *saved;
}

TEST(Document, ThatIsMutatedDoesNotCrash) {
  std::mt19937 random(1);
  auto below = [&](size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(random);
  };
  const std::string original = makeProgram().dump();
  const std::string pieces[] = {"-1",
                                "0",
                                "9223372036854775807",
                                "18446744073709551616",
                                "1e9",
                                "{}",
                                "[]",
                                "null",
                                "\"dim\"",
                                ",",
                                "]",
                                "}",
                                "\"\\u0000\""};
  for (int round = 0; round < 20000; ++round) {
    std::string document = original;
    for (size_t count = 1 + below(3); count > 0; --count) {
      size_t at = below(document.size());
      switch (below(4)) {
      case 0:
        document[at] = static_cast<char>(below(256));
        break;
      case 1:
        document.erase(at, 1 + below(8));
        break;
      case 2:
        document.insert(at, pieces[below(std::size(pieces))]);
        break;
      case 3:
        if (size_t digit = document.find_first_of("0123456789", at); digit != std::string::npos)
          document.replace(digit, 1, pieces[below(std::size(pieces))]);
        break;
      }
    }
    use(document);
  }
}

/// Changes of values keep the document JSON, and so get further than those of characters.
TEST(Document, WithOtherValuesDoesNotCrash) {
  std::mt19937 random(2);
  auto below = [&](size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(random);
  };
  const json values[] = {-1,
                         0,
                         1,
                         2,
                         5,
                         4096,
                         INT64_MAX,
                         UINT64_MAX,
                         0.5,
                         "",
                         "bf16",
                         nullptr,
                         true,
                         json::array(),
                         json::object(),
                         {{"dim", {0, 2}}},
                         {{"dim", {1, 2}}, {"ceildiv", INT64_MAX}}};
  for (int round = 0; round < 20000; ++round) {
    json document = makeProgram();
    for (size_t count = 1 + below(3); count > 0; --count) {
      json *value = &document;
      while (value->is_structured() && !value->empty() && below(8) != 0)
        value = &*std::next(value->begin(), static_cast<int64_t>(below(value->size())));
      *value = values[below(std::size(values))];
    }
    use(document.dump());
  }
}

TEST(Base64, IsThatOfTheStandard) {
  using namespace runtime::impl;
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto &[bytes, text] : vectors) {
    EXPECT_EQ(encodeBase64(bytes), text);
    EXPECT_EQ(decodeBase64(text), bytes);
  }
  std::string all;
  for (int value = 0; value < 256; ++value)
    all += static_cast<char>(value);
  EXPECT_EQ(decodeBase64(encodeBase64(all)), all);
  for (const char *wrong : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "=m9v", "Zg==Zg==", "Zm 9v",
                            "Zm9v\n", "Zm-_", "Z==="})
    EXPECT_EQ(decodeBase64(wrong), std::nullopt) << wrong;
}

} // namespace
