//===- Assemble.cpp - From PTX to machine code ----------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JitLog.h"
#include "LoadedProgram.h"

using namespace sfa::runtime::impl;

namespace {

/// The driver's linker; owns the machine code that it makes.
struct Linker {
  explicit Linker(const Driver &driver) : driver(driver) {}
  ~Linker() {
    if (state)
      driver.linkDestroy(state);
  }
  Linker(const Linker &) = delete;
  Linker &operator=(const Linker &) = delete;

  const Driver &driver;
  cu::LinkState state = nullptr;
};

} // namespace

static std::string assemble(const Driver &driver, const std::string &ptx, int32_t device) {
  std::string what = fmt::format("cannot assemble the program for device {}", device);
  JitLog log; // outlives the linker, which may write into it to its end
  Linker linker(driver);
  cu::Result result = driver.linkCreate(log.numOptions, log.options, log.values, &linker.state);
  if (result != cu::success)
    linker.state = nullptr;
  driver.check(result, "cuLinkCreate", what, log.text());
  // The size counts the zero at the end.
  driver.check(driver.linkAddData(linker.state, cu::ptx, const_cast<char *>(ptx.c_str()),
                                  ptx.size() + 1, "program.ptx", 0, nullptr, nullptr),
               "cuLinkAddData", what, log.text());
  void *cubin = nullptr;
  size_t size = 0;
  driver.check(driver.linkComplete(linker.state, &cubin, &size), "cuLinkComplete", what,
               log.text());
  return std::string(static_cast<const char *>(cubin), size);
}

sfa_status sfa_assemble(const sfa_program *program, int32_t device, sfa_program **assembled) {
  return guarded([=] {
    requireNotNull(program, "sfa_assemble", "program");
    requireNotNull(assembled, "sfa_assemble", "assembled");
    if (!program->program.image.isPTX)
      fail(SFA_ERROR_INVALID_ARGUMENT,
           "sfa_assemble: the program is machine code for {} already; it has to be in PTX",
           program->program.chipName);
    const Driver &driver = Driver::get();
    sfa_device_properties properties = getProperties(driver, device);
    requireSupport(program->program, device, properties);
    PrimaryContext primary(driver, getDevice(driver, device));
    ScopedContext scope(driver, primary.get());

    ParsedProgram copy = program->program;
    Architecture architecture = {properties.capability_major, properties.capability_minor,
                                 copy.architecture.isExact};
    std::string cubin = assemble(driver, copy.image.bytes, device);
    replaceImage(copy, architecture, {/*isPTX=*/false, std::move(cubin)});
    *assembled = new sfa_program(std::move(copy));
  });
}
