//===- ProgramWriter.cpp - From a program to a document -------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Base64.h"
#include "ParsedProgram.h"

#include <nlohmann/json.hpp>

using namespace sfa::runtime::impl;

using nlohmann::ordered_json;

static ordered_json write(const Expression &expression) {
  if (expression.kind == Expression::Fixed)
    return expression.value;
  if (expression.kind == Expression::Any)
    return -1;
  ordered_json value;
  value["dim"] = {expression.argument, expression.axis};
  if (expression.divisor != 1)
    value["ceildiv"] = expression.divisor;
  return value;
}

static ordered_json write(const Extent &extent) {
  if (extent.size() == 1)
    return write(extent.front());
  ordered_json value;
  for (const Expression &term : extent)
    value["sum"].push_back(write(term));
  return value;
}

static ordered_json write(const std::vector<BufferType> &buffers) {
  ordered_json values = ordered_json::array();
  for (const BufferType &buffer : buffers) {
    ordered_json value;
    value["type"] = typeName(buffer.dtype);
    value["shape"] = ordered_json::array();
    for (int32_t axis = 0; axis < buffer.rank; ++axis)
      value["shape"].push_back(write(buffer.shape[axis]));
    values.push_back(value);
  }
  return values;
}

static ordered_json write(const Launch &launch) {
  ordered_json value;
  value["kernel"] = launch.kernel;
  for (const Extent &extent : launch.grid)
    value["grid"].push_back(write(extent));
  value["persistent"] = launch.isPersistent;
  value["programmatic"] = launch.isProgrammatic;
  value["block"] = launch.block;
  value["shared_bytes"] = launch.sharedBytes;
  value["cluster"] = launch.cluster;
  value["memories"] = launch.memories;
  value["scalars"] = ordered_json::array();
  for (const Scalar &scalar : launch.scalars)
    value["scalars"].push_back(
        {{"argument", scalar.argument}, {"factor", scalar.factor}, {"inverse", scalar.isInverse}});
  value["aligned"] = launch.aligned;
  value["packed"] = launch.packed;
  value["batches"] = launch.batches;
  value["tensor_maps"] = ordered_json::array();
  for (const TensorMapSource &map : launch.tensorMaps)
    value["tensor_maps"].push_back({{"memory", map.memory},
                                    {"box_rows", map.rows},
                                    {"box_columns", map.columns},
                                    {"box_heads", map.heads}});
  return value;
}

std::string sfa::runtime::impl::writeProgram(const ParsedProgram &program) {
  ordered_json document;
  document["format"] = "flashsfa-program";
  document["version"] = 5;
  document["compiler"] = program.compiler;
  document["chip"] = program.chipName;
  if (program.image.isPTX)
    document["image"] = {{"kind", "ptx"}, {"text", program.image.bytes}};
  else
    document["image"] = {{"kind", "cubin"}, {"base64", encodeBase64(program.image.bytes)}};
  document["arguments"] = write(program.arguments);
  document["results"] = write(program.results);
  document["temporaries"] = write(program.temporaries);
  document["launches"] = ordered_json::array();
  for (const Launch &launch : program.launches)
    document["launches"].push_back(write(launch));
  return document.dump();
}
