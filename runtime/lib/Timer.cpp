//===- Timer.cpp - How long the kernels of a call take --------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Launch.h"

#include <mutex>

using namespace sfa::runtime::impl;

namespace {

constexpr const char *cannotMake = "cannot make a timer";

/// Something that the driver has made and that `destroy`, a member of Driver, destroys.
template <auto destroy>
class Owned {
public:
  /// `create` is the call of the driver, to which it passes where the handle goes.
  template <typename Create>
  Owned(const Driver &driver, const char *call, const Create &create) : driver(driver) {
    driver.check(create(&handle), call, cannotMake);
  }
  ~Owned() { (driver.*destroy)(handle); }
  Owned(const Owned &) = delete;
  Owned &operator=(const Owned &) = delete;

  void *get() const { return handle; }

private:
  const Driver &driver;
  void *handle = nullptr;
};

using Stream = Owned<&Driver::streamDestroy>;
using Graph = Owned<&Driver::graphDestroy>;
using GraphExec = Owned<&Driver::graphExecDestroy>;
using Event = Owned<&Driver::eventDestroy>;

/// The capture of a stream into a graph; ends with this object at the latest.
class Capture {
public:
  /// Other threads may do meanwhile what a capture in the global mode would forbid them.
  Capture(const Driver &driver, cu::Stream stream) : driver(driver), stream(stream) {
    driver.check(driver.streamBeginCapture(stream, cu::threadLocal), "cuStreamBeginCapture",
                 cannotMake);
  }
  ~Capture() {
    cu::Graph graph = nullptr;
    if (!isEnded && driver.streamEndCapture(stream, &graph) == cu::success && graph)
      driver.graphDestroy(graph);
  }
  Capture(const Capture &) = delete;
  Capture &operator=(const Capture &) = delete;

  cu::Result end(cu::Graph *graph) {
    isEnded = true;
    return driver.streamEndCapture(stream, graph);
  }

private:
  const Driver &driver;
  cu::Stream stream;
  bool isEnded = false;
};

} // namespace

/// It neither blocks nor waits for the default stream, which other threads may therefore use while
/// this one is captured.
static Stream makeStream(const Driver &driver) {
  return Stream(driver, "cuStreamCreate", [&](cu::Stream *stream) {
    return driver.streamCreate(stream, cu::nonBlockingStream);
  });
}

static Graph capture(const Driver &driver, const LoadedProgram &loaded, const Call &call,
                     cu::Stream stream) {
  Capture capture(driver, stream);
  call.launch(driver, loaded, stream);
  return Graph(driver, "cuStreamEndCapture", [&](cu::Graph *graph) { return capture.end(graph); });
}

static GraphExec instantiate(const Driver &driver, const Graph &graph) {
  return GraphExec(driver, "cuGraphInstantiate", [&](cu::GraphExec *executable) {
    return driver.graphInstantiate(executable, graph.get(), /*flags=*/0);
  });
}

static Event makeEvent(const Driver &driver) {
  return Event(driver, "cuEventCreate",
               [&](cu::Event *event) { return driver.eventCreate(event, cu::defaultEvent); });
}

/// The handle of the C interface. Made and destroyed where its context is current.
struct sfa_timer {
  sfa_timer(const Driver &driver, const LoadedProgram &loaded, const Call &call)
      : context(loaded.context()), stream(makeStream(driver)),
        graph(instantiate(driver, capture(driver, loaded, call, stream.get()))),
        before(makeEvent(driver)), after(makeEvent(driver)) {}

  /// In milliseconds.
  float sample(const Driver &driver, void *scratch, size_t scratchBytes);

  const cu::Context context;

private:
  /// Of those who take samples.
  std::mutex mutex;
  Stream stream;
  GraphExec graph;
  Event before, after;
};

float sfa_timer::sample(const Driver &driver, void *scratch, size_t scratchBytes) {
  const char *what = "cannot time the program";
  std::lock_guard<std::mutex> lock(mutex);
  ScopedContext scope(driver, context);
  // Nothing of earlier work is left in the second-level cache after this. It also takes the device
  // longer than the host needs to queue the rest: the graph is in the queue before the first event
  // passes, so that the time between the events is the device's alone.
  if (scratchBytes > 0)
    driver.check(
        driver.memorySetAsync(cu::toAddress(scratch), /*value=*/0, scratchBytes, stream.get()),
        "cuMemsetD8Async", "cannot overwrite the scratch memory");
  driver.check(driver.eventRecord(before.get(), stream.get()), "cuEventRecord", what);
  driver.check(driver.graphLaunch(graph.get(), stream.get()), "cuGraphLaunch", what);
  driver.check(driver.eventRecord(after.get(), stream.get()), "cuEventRecord", what);
  driver.check(driver.eventSynchronize(after.get()), "cuEventSynchronize", what);
  float milliseconds = 0;
  driver.check(driver.eventElapsedTime(&milliseconds, before.get(), after.get()),
               "cuEventElapsedTime", what);
  return milliseconds;
}

sfa_status sfa_timer_create(sfa_program *program, int32_t device, const sfa_tensor *arguments,
                            int32_t numArguments, const sfa_tensor *results, int32_t numResults,
                            void *workspace, size_t workspaceBytes, sfa_timer **timer) {
  return guarded([=] {
    requireNotNull(program, "sfa_timer_create", "program");
    requireNotNull(timer, "sfa_timer_create", "timer");
    Call call(program->program, arguments, numArguments, results, numResults, workspace,
              workspaceBytes);
    const Driver &driver = Driver::get();
    // Before the capture, which could not load it.
    const LoadedProgram &loaded = program->loaded.get(driver, program->program, device);
    ScopedContext scope(driver, loaded.context());
    *timer = new sfa_timer(driver, loaded, call);
  });
}

sfa_status sfa_timer_sample(sfa_timer *timer, void *scratch, size_t scratchBytes,
                            float *milliseconds) {
  return guarded([=] {
    requireNotNull(timer, "sfa_timer_sample", "timer");
    requireNotNull(milliseconds, "sfa_timer_sample", "milliseconds");
    if (!scratch && scratchBytes > 0)
      fail(SFA_ERROR_INVALID_ARGUMENT,
           "sfa_timer_sample: `scratch` is NULL and `scratch_bytes` is {}; give memory of the "
           "device, or NULL and 0 to clear nothing",
           scratchBytes);
    *milliseconds = timer->sample(Driver::get(), scratch, scratchBytes);
  });
}

void sfa_timer_destroy(sfa_timer *timer) {
  if (!timer || Driver::isLostByFork())
    return;
  try {
    ScopedContext scope(Driver::get(), timer->context);
    delete timer;
  } catch (const Failure &) {
    // The driver is gone already, at the end of the process, or its context is broken: either takes
    // along what the timer has.
  }
}
