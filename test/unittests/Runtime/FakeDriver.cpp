//===- FakeDriver.cpp - A CUDA driver without a GPU -----------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FakeDriver.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <set>

using namespace sfa::runtime::impl;
using namespace sfa::test;

#define ENTRY extern "C" __attribute__((visibility("default"))) cu::Result

namespace {

struct Function {
  std::string name;
  std::vector<size_t> parameterSizes;
};

struct Module {
  std::string text;
  std::vector<std::unique_ptr<Function>> functions;
};

struct LinkState {
  std::string cubin;
};

/// A stream by its handle. Time passes in it as work is put into it, and for the host as it waits.
struct Stream {
  std::optional<FakeGraph> captured;
  double milliseconds = 0;
  double millisecondsOfHost = 0;
};

struct Event {
  Stream *stream = nullptr;
  double milliseconds = 0;
};

/// How long it takes to overwrite memory: a test sees it in times that should not have it.
constexpr double millisecondsOfMemset = 1000;

constexpr cu::Result notReady = 600;       // CUDA_ERROR_NOT_READY
constexpr cu::Result invalidContext = 201; // CUDA_ERROR_INVALID_CONTEXT
constexpr cu::Result invalidHandle = 400;  // CUDA_ERROR_INVALID_HANDLE
constexpr cu::Result isCapturing = 900;    // CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED

/// The streams that were made here. Launches take other addresses, too.
std::set<void *> streams;

/// Under the lock.
Stream *findStream(cu::Stream handle) {
  return streams.count(handle) ? static_cast<Stream *>(handle) : nullptr;
}

/// The contexts of devices are their numbers and this, so that none is null.
constexpr uintptr_t firstContext = 0x1000;

thread_local std::vector<cu::Context> contexts;
thread_local cu::CaptureMode captureMode = static_cast<cu::CaptureMode>(0);

int deviceOf(cu::Context context) {
  return static_cast<int>(reinterpret_cast<uintptr_t>(context) - firstContext);
}

} // namespace

extern "C" __attribute__((visibility("default"))) FakeDriver *sfaFakeDriver() {
  static auto *driver = new FakeDriver;
  return driver;
}

static FakeDriver &fake = *sfaFakeDriver();

/// Records a call; the error that it is to fail with.
static cu::Result enter(const char *call) {
  if (!fake.isRecording.load(std::memory_order_relaxed))
    return cu::success;
  std::lock_guard<std::mutex> lock(fake.mutex);
  fake.calls.push_back(call);
  int numCalls = ++fake.numCalls[call];
  auto failure = fake.failures.find(call);
  if (failure == fake.failures.end())
    return cu::success;
  auto before = fake.numCallsBeforeFailure.find(call);
  return before != fake.numCallsBeforeFailure.end() && numCalls <= before->second ? cu::success
                                                                                  : failure->second;
}

#define ENTER(call)                                                                                \
  if (cu::Result failure = enter(call))                                                            \
  return failure

ENTRY cuInit(unsigned) {
  ENTER("cuInit");
  return cu::success;
}

ENTRY cuDriverGetVersion(int *version) {
  ENTER("cuDriverGetVersion");
  *version = 12040;
  return cu::success;
}

ENTRY cuGetErrorName(cu::Result error, const char **text) {
  if (error == 12345)
    return cu::invalidValue;
  *text = "CUDA_ERROR_FAKE";
  return cu::success;
}

ENTRY cuGetErrorString(cu::Result error, const char **text) {
  if (error == 12345)
    return cu::invalidValue;
  *text = "made to fail";
  return cu::success;
}

ENTRY cuDeviceGetCount(int *count) {
  ENTER("cuDeviceGetCount");
  *count = static_cast<int>(fake.devices.size());
  return cu::success;
}

ENTRY cuDeviceGet(cu::Device *device, int ordinal) {
  ENTER("cuDeviceGet");
  *device = ordinal;
  return cu::success;
}

ENTRY cuDeviceGetName(char *name, int size, cu::Device device) {
  ENTER("cuDeviceGetName");
  snprintf(name, static_cast<size_t>(size), "Fake GPU %d", device);
  return cu::success;
}

ENTRY cuDeviceGetPCIBusId(char *id, int size, cu::Device device) {
  ENTER("cuDeviceGetPCIBusId");
  // Device 0 is not the first of the bus.
  snprintf(id, static_cast<size_t>(size), "0000:%02x:00.0", 0x90 - 0x10 * device);
  return cu::success;
}

/// Memory of a fake device is memory of the host, at multiples of 256 bytes as that of devices.
ENTRY cuMemAlloc_v2(cu::Address *address, size_t bytes) {
  ENTER("cuMemAlloc");
  size_t rounded = (bytes + 255) / 256 * 256;
  *address =
      static_cast<cu::Address>(reinterpret_cast<uintptr_t>(std::aligned_alloc(256, rounded)));
  return cu::success;
}

ENTRY cuMemFree_v2(cu::Address address) {
  ENTER("cuMemFree");
  std::free(reinterpret_cast<void *>(static_cast<uintptr_t>(address)));
  return cu::success;
}

ENTRY cuMemcpy(cu::Address to, cu::Address from, size_t bytes) {
  ENTER("cuMemcpy");
  memcpy(reinterpret_cast<void *>(static_cast<uintptr_t>(to)),
         reinterpret_cast<void *>(static_cast<uintptr_t>(from)), bytes);
  return cu::success;
}

ENTRY cuCtxSynchronize() {
  ENTER("cuCtxSynchronize");
  return cu::success;
}

ENTRY cuDeviceTotalMem_v2(size_t *bytes, cu::Device) {
  ENTER("cuDeviceTotalMem");
  *bytes = size_t(80) << 30;
  return cu::success;
}

ENTRY cuDeviceGetAttribute(int *value, cu::DeviceAttribute attribute, cu::Device device) {
  ENTER("cuDeviceGetAttribute");
  const FakeDevice &properties = fake.devices[static_cast<size_t>(device)];
  switch (attribute) {
  case cu::multiprocessorCount:
    *value = 132;
    return cu::success;
  case cu::computeCapabilityMajor:
    *value = properties.major;
    return cu::success;
  case cu::computeCapabilityMinor:
    *value = properties.minor;
    return cu::success;
  case cu::maxSharedMemoryPerBlockOptin:
    *value = properties.maxSharedBytes;
    return cu::success;
  }
  return cu::invalidValue;
}

ENTRY cuDevicePrimaryCtxRetain(cu::Context *context, cu::Device device) {
  ENTER("cuDevicePrimaryCtxRetain");
  std::lock_guard<std::mutex> lock(fake.mutex);
  ++fake.devices[static_cast<size_t>(device)].numRetained;
  *context = reinterpret_cast<cu::Context>(firstContext + static_cast<uintptr_t>(device));
  return cu::success;
}

ENTRY cuDevicePrimaryCtxRelease_v2(cu::Device device) {
  ENTER("cuDevicePrimaryCtxRelease");
  std::lock_guard<std::mutex> lock(fake.mutex);
  --fake.devices[static_cast<size_t>(device)].numRetained;
  return cu::success;
}

ENTRY cuCtxGetCurrent(cu::Context *context) {
  ENTER("cuCtxGetCurrent");
  *context = contexts.empty() ? nullptr : contexts.back();
  return cu::success;
}

ENTRY cuCtxPushCurrent_v2(cu::Context context) {
  ENTER("cuCtxPushCurrent");
  contexts.push_back(context);
  return cu::success;
}

ENTRY cuCtxPopCurrent_v2(cu::Context *context) {
  ENTER("cuCtxPopCurrent");
  *context = contexts.back();
  contexts.pop_back();
  return cu::success;
}

ENTRY cuThreadExchangeStreamCaptureMode(cu::CaptureMode *mode) {
  ENTER("cuThreadExchangeStreamCaptureMode");
  std::swap(*mode, captureMode);
  return cu::success;
}

ENTRY cuStreamCreate(cu::Stream *stream, unsigned flags) {
  ENTER("cuStreamCreate");
  if (contexts.empty())
    return invalidContext;
  if (flags != cu::nonBlockingStream)
    return cu::invalidValue;
  *stream = new Stream;
  std::lock_guard<std::mutex> lock(fake.mutex);
  streams.insert(*stream);
  ++fake.numStreams;
  return cu::success;
}

ENTRY cuStreamDestroy_v2(cu::Stream stream) {
  ENTER("cuStreamDestroy");
  std::lock_guard<std::mutex> lock(fake.mutex);
  if (!streams.erase(stream))
    return invalidHandle;
  delete static_cast<Stream *>(stream);
  --fake.numStreams;
  return cu::success;
}

ENTRY cuStreamBeginCapture_v2(cu::Stream handle, cu::CaptureMode mode) {
  ENTER("cuStreamBeginCapture");
  std::lock_guard<std::mutex> lock(fake.mutex);
  Stream *stream = findStream(handle);
  if (!stream || stream->captured)
    return cu::invalidValue;
  stream->captured.emplace();
  fake.captureMode = mode;
  return cu::success;
}

ENTRY cuStreamEndCapture(cu::Stream handle, cu::Graph *graph) {
  ENTER("cuStreamEndCapture");
  std::lock_guard<std::mutex> lock(fake.mutex);
  Stream *stream = findStream(handle);
  if (!stream || !stream->captured)
    return cu::invalidValue;
  *graph = new FakeGraph(std::move(*stream->captured));
  stream->captured.reset();
  ++fake.numGraphs;
  return cu::success;
}

ENTRY cuGraphInstantiateWithFlags(cu::GraphExec *executable, cu::Graph graph,
                                  unsigned long long flags) {
  ENTER("cuGraphInstantiate");
  if (!graph || flags)
    return cu::invalidValue;
  *executable = new FakeGraph(*static_cast<FakeGraph *>(graph));
  std::lock_guard<std::mutex> lock(fake.mutex);
  ++fake.numGraphExecs;
  return cu::success;
}

ENTRY cuGraphLaunch(cu::GraphExec executable, cu::Stream handle) {
  ENTER("cuGraphLaunch");
  std::lock_guard<std::mutex> lock(fake.mutex);
  Stream *stream = findStream(handle);
  if (!stream)
    return invalidHandle;
  if (stream->captured)
    return isCapturing;
  const auto &graph = *static_cast<FakeGraph *>(executable);
  fake.launches.insert(fake.launches.end(), graph.begin(), graph.end());
  stream->milliseconds += fake.timeOfGraph(graph);
  return cu::success;
}

ENTRY cuGraphDestroy(cu::Graph graph) {
  ENTER("cuGraphDestroy");
  delete static_cast<FakeGraph *>(graph);
  std::lock_guard<std::mutex> lock(fake.mutex);
  --fake.numGraphs;
  return cu::success;
}

ENTRY cuGraphExecDestroy(cu::GraphExec executable) {
  ENTER("cuGraphExecDestroy");
  delete static_cast<FakeGraph *>(executable);
  std::lock_guard<std::mutex> lock(fake.mutex);
  --fake.numGraphExecs;
  return cu::success;
}

ENTRY cuMemsetD8Async(cu::Address address, uint8_t value, size_t bytes, cu::Stream handle) {
  ENTER("cuMemsetD8Async");
  std::lock_guard<std::mutex> lock(fake.mutex);
  if (Stream *stream = findStream(handle))
    stream->milliseconds += millisecondsOfMemset;
  fake.memsets.push_back({address, bytes, value, handle});
  return cu::success;
}

ENTRY cuEventCreate(cu::Event *event, unsigned flags) {
  ENTER("cuEventCreate");
  if (contexts.empty())
    return invalidContext;
  if (flags != cu::defaultEvent)
    return cu::invalidValue;
  *event = new Event;
  std::lock_guard<std::mutex> lock(fake.mutex);
  ++fake.numEvents;
  return cu::success;
}

ENTRY cuEventDestroy_v2(cu::Event event) {
  ENTER("cuEventDestroy");
  delete static_cast<Event *>(event);
  std::lock_guard<std::mutex> lock(fake.mutex);
  --fake.numEvents;
  return cu::success;
}

ENTRY cuEventRecord(cu::Event event, cu::Stream handle) {
  ENTER("cuEventRecord");
  std::lock_guard<std::mutex> lock(fake.mutex);
  Stream *stream = findStream(handle);
  if (!stream)
    return invalidHandle;
  *static_cast<Event *>(event) = {stream, stream->milliseconds};
  return cu::success;
}

ENTRY cuEventSynchronize(cu::Event handle) {
  ENTER("cuEventSynchronize");
  std::lock_guard<std::mutex> lock(fake.mutex);
  auto *event = static_cast<Event *>(handle);
  if (event->stream)
    event->stream->millisecondsOfHost = event->milliseconds;
  return cu::success;
}

ENTRY cuEventElapsedTime(float *milliseconds, cu::Event first, cu::Event second) {
  ENTER("cuEventElapsedTime");
  std::lock_guard<std::mutex> lock(fake.mutex);
  const auto &from = *static_cast<Event *>(first), &to = *static_cast<Event *>(second);
  if (!from.stream || from.stream != to.stream)
    return invalidHandle;
  if (to.milliseconds > to.stream->millisecondsOfHost)
    return notReady;
  *milliseconds = static_cast<float>(to.milliseconds - from.milliseconds);
  return cu::success;
}

static void writeLog(unsigned numOptions, const cu::JitOption *options, void **values) {
  for (unsigned index = 0; index + 1 < numOptions; ++index)
    if (options[index] == cu::errorLogBuffer && options[index + 1] == cu::errorLogBufferSizeBytes)
      snprintf(static_cast<char *>(values[index]), reinterpret_cast<uintptr_t>(values[index + 1]),
               "%s", fake.jitLog.c_str());
}

ENTRY cuModuleLoadDataEx(cu::Module *module, const void *image, unsigned numOptions,
                         cu::JitOption *options, void **optionValues) {
  writeLog(numOptions, options, optionValues);
  ENTER("cuModuleLoadDataEx");
  if (contexts.empty())
    return invalidContext;
  const char *text = static_cast<const char *>(image);
  // The fake cubin of cuLinkComplete has the PTX behind its first line.
  if (std::strncmp(text,
                   "\x7f"
                   "ELF",
                   4) == 0)
    text += std::strlen(text) + 1;
  auto *loaded = new Module{text, {}};
  *module = loaded;
  std::lock_guard<std::mutex> lock(fake.mutex);
  ++fake.numModules;
  fake.captureModeAtLoad = captureMode;
  return cu::success;
}

ENTRY cuModuleUnload(cu::Module module) {
  ENTER("cuModuleUnload");
  delete static_cast<Module *>(module);
  std::lock_guard<std::mutex> lock(fake.mutex);
  --fake.numModules;
  return cu::success;
}

ENTRY cuModuleGetFunction(cu::Function *function, cu::Module module, const char *name) {
  ENTER("cuModuleGetFunction");
  auto *loaded = static_cast<Module *>(module);
  std::string start = std::string(".entry ") + name + "(";
  size_t at = loaded->text.find(start);
  if (at == std::string::npos)
    return cu::notFound;
  auto found = std::make_unique<Function>();
  found->name = name;
  at += start.size();
  std::string list = loaded->text.substr(at, loaded->text.find(')', at) - at);
  for (size_t first = 0; first < list.size();) {
    size_t end = std::min(list.find(',', first), list.size());
    std::string parameter = list.substr(first, end - first);
    found->parameterSizes.push_back(parameter.find("[128]") != std::string::npos ? 128
                                    : parameter.find("32 ") != std::string::npos ? 4
                                                                                 : 8);
    first = end + 1;
  }
  *function = found.get();
  std::lock_guard<std::mutex> lock(fake.mutex);
  loaded->functions.push_back(std::move(found));
  return cu::success;
}

ENTRY cuFuncSetAttribute(cu::Function function, cu::FunctionAttribute attribute, int value) {
  ENTER("cuFuncSetAttribute");
  if (attribute != cu::maxDynamicSharedSizeBytes)
    return cu::invalidValue;
  std::lock_guard<std::mutex> lock(fake.mutex);
  fake.sharedBytes[static_cast<Function *>(function)->name] = value;
  return cu::success;
}

ENTRY cuLinkCreate_v2(unsigned numOptions, cu::JitOption *options, void **optionValues,
                      cu::LinkState *state) {
  writeLog(numOptions, options, optionValues);
  ENTER("cuLinkCreate");
  *state = new LinkState;
  std::lock_guard<std::mutex> lock(fake.mutex);
  ++fake.numLinkers;
  return cu::success;
}

ENTRY cuLinkAddData_v2(cu::LinkState state, cu::JitInputType type, void *data, size_t size,
                       const char *, unsigned, cu::JitOption *, void **) {
  ENTER("cuLinkAddData");
  std::string ptx(static_cast<const char *>(data), size);
  if (type != cu::ptx || ptx.back() != '\0')
    return cu::invalidValue;
  std::string &cubin = static_cast<LinkState *>(state)->cubin;
  cubin = std::string("\x7f"
                      "ELF") +
          '\0' + ptx;
  for (size_t at = ptx.find(".entry "); at != std::string::npos; at = ptx.find(".entry ", at + 1))
    cubin += ".text." + ptx.substr(at + 7, ptx.find('(', at) - at - 7) + '\0';
  return cu::success;
}

ENTRY cuLinkComplete(cu::LinkState state, void **cubin, size_t *size) {
  ENTER("cuLinkComplete");
  std::string &bytes = static_cast<LinkState *>(state)->cubin;
  *cubin = bytes.data();
  *size = bytes.size();
  return cu::success;
}

ENTRY cuLinkDestroy(cu::LinkState state) {
  ENTER("cuLinkDestroy");
  delete static_cast<LinkState *>(state);
  std::lock_guard<std::mutex> lock(fake.mutex);
  --fake.numLinkers;
  return cu::success;
}

// What drivers before 12.0 and 12.4 lack.
#ifndef SFA_FAKE_DRIVER_IS_OLD

ENTRY cuFuncGetParamInfo(cu::Function function, size_t index, size_t *offset, size_t *size) {
  ENTER("cuFuncGetParamInfo");
  const auto &sizes = static_cast<Function *>(function)->parameterSizes;
  if (index >= sizes.size())
    return cu::invalidValue;
  *offset = 0;
  *size = sizes[index];
  return cu::success;
}

ENTRY cuFuncLoad(cu::Function) {
  ENTER("cuFuncLoad");
  return cu::success;
}

ENTRY cuTensorMapEncodeTiled(cu::TensorMap *map, cu::TensorMapDataType type, uint32_t rank,
                             void *address, const uint64_t *sizes, const uint64_t *strides,
                             const uint32_t *box, const uint32_t *elementStrides,
                             int32_t interleave, int32_t swizzle, int32_t l2Promotion,
                             int32_t fill) {
  ENTER("cuTensorMapEncodeTiled");
  if (!fake.isRecording)
    return cu::success;
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0 || rank != 4)
    return cu::invalidValue;
  std::lock_guard<std::mutex> lock(fake.mutex);
  for (size_t word = 0; word < 16; ++word)
    map->opaque[word] = FakeDriver::mapWord(fake.tensorMaps.size(), word);
  fake.tensorMaps.push_back({type,
                             reinterpret_cast<uintptr_t>(address),
                             {sizes, sizes + rank},
                             {strides, strides + rank - 1},
                             {box, box + rank},
                             {elementStrides, elementStrides + rank},
                             interleave,
                             swizzle,
                             l2Promotion,
                             fill});
  return cu::success;
}

#endif // SFA_FAKE_DRIVER_IS_OLD

static cu::Result launch(const cu::LaunchConfig *config, cu::Function handle, void **parameters,
                         void **extra) {
  ENTER("cuLaunchKernelEx");
  if (!fake.isRecording)
    return cu::success;
  if (contexts.empty() || extra)
    return cu::invalidValue;
  auto *function = static_cast<Function *>(handle);
  FakeLaunch launch = {function->name,
                       {config->gridDim, config->gridDim + 3},
                       {config->blockDim, config->blockDim + 3},
                       config->sharedMemBytes,
                       1,
                       config->stream,
                       deviceOf(contexts.back()),
                       {}};
  for (uint32_t index = 0; index < config->numAttributes; ++index) {
    const cu::LaunchAttribute &attribute = config->attributes[index];
    if (attribute.id != cu::clusterDimension || attribute.value.clusterDim[1] != 1 ||
        attribute.value.clusterDim[2] != 1)
      return cu::invalidValue;
    launch.cluster = attribute.value.clusterDim[0];
  }
  for (size_t index = 0; index < function->parameterSizes.size(); ++index) {
    size_t size = function->parameterSizes[index], alignment = size == 128 ? 64 : size;
    launch.parameters.resize((launch.parameters.size() + alignment - 1) / alignment * alignment);
    const auto *bytes = static_cast<const uint8_t *>(parameters[index]);
    launch.parameters.insert(launch.parameters.end(), bytes, bytes + size);
  }
  std::lock_guard<std::mutex> lock(fake.mutex);
  Stream *stream = findStream(config->stream);
  FakeGraph &target = stream && stream->captured ? *stream->captured : fake.launches;
  target.push_back(std::move(launch));
  return cu::success;
}

/// Not exported by its name: only cuGetProcAddress knows it.
ENTRY cuGetProcAddress_v2(const char *symbol, void **address, int, uint64_t, void *) {
  *address =
      std::strcmp(symbol, "cuLaunchKernelEx") == 0 ? reinterpret_cast<void *>(launch) : nullptr;
  return *address ? cu::success : cu::notFound;
}
