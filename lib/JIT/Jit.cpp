//===- Jit.cpp - Compile and run modules of the sfa dialect -------------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/jit.h"

#include "LastError.h"
#include "Module.h"
#include "sfa/Support/BuildId.h"
#include "sfa/Support/Knobs.h"
#include "sfa/Target/CPU/Executable.h"
#include "sfa/Target/CPU/ParallelFor.h"
#include "sfa/Target/CUDA/CompiledProgram.h"
#include "sfa/Target/CUDA/Executable.h"
#include "sfa/Version.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <vector>

using namespace mlir;
using namespace sfa;
using jit::Choices;
using jit::Module;
using jit::Shapes;

/// A share of a function, whose code lives until the last of them is gone.
struct sfa_cpu_function {
  std::shared_ptr<cpu::Executable> executable;
};

namespace {

sfa_status report(sfa_status status, const std::string &message) {
  return sfa::runtime::impl::report(status, message.c_str());
}

sfa_status report(sfa_status status, llvm::Error error) {
  return report(status, llvm::toString(std::move(error)));
}

/// The status of a call that has failed by itself.
sfa_status reportCall(llvm::Error error) {
  sfa_status status = SFA_ERROR_INVALID_ARGUMENT;
  llvm::Error rest =
      llvm::handleErrors(std::move(error), [&](std::unique_ptr<llvm::StringError> one) {
        if (one->convertToErrorCode() == std::errc::not_enough_memory)
          status = SFA_ERROR_OUT_OF_MEMORY;
        return llvm::Error(std::move(one));
      });
  return report(status, std::move(rest));
}

/// One compiled thing for each key. Threads that want the same wait for the one that makes it;
/// failures are not kept. Where there are more than a bound, those whose last use is longest ago
/// are forgotten; they live on as long as somebody shares them.
template <class Compiled>
class Table {
public:
  using Share = std::shared_ptr<Compiled>;

  explicit Table(size_t bound) : bound(bound) {}

  sfa_status get(llvm::StringRef key, Share *result, llvm::function_ref<sfa_status(Share *)> make) {
    std::shared_ptr<Entry> entry;
    std::vector<std::shared_ptr<Entry>> forgotten; // freed when the lock is no longer held
    {
      std::lock_guard<std::mutex> lock(mutex);
      std::shared_ptr<Entry> &slot = entries[key];
      if (!slot)
        slot = std::make_shared<Entry>();
      slot->lastUse = ++numUses;
      entry = slot;
      while (entries.size() > bound)
        forgotten.push_back(takeOldest());
    }
    std::lock_guard<std::mutex> lock(entry->mutex);
    if (!entry->isMade) {
      if (sfa_status status = make(&entry->compiled))
        return status;
      entry->isMade = true;
    }
    *result = entry->compiled;
    return SFA_SUCCESS;
  }

  // Around a fork. The thread that makes an entry is not in the child, which makes it itself.
  void beforeFork() { mutex.lock(); }
  void inParent() { mutex.unlock(); }
  void inChild() {
    for (auto &entry : entries)
      if (!entry.second->isMade) {
        // Its lock may be held for ever: it is not to be destroyed.
        new std::shared_ptr<Entry>(entry.second);
        entry.second = std::make_shared<Entry>();
      }
    mutex.unlock();
  }

private:
  struct Entry {
    std::mutex mutex;
    std::atomic<bool> isMade = false;
    Share compiled;
    /// Of `numUses`, under the lock of the table.
    uint64_t lastUse = 0;
  };

  std::shared_ptr<Entry> takeOldest() {
    auto oldest = entries.begin();
    for (auto it = entries.begin(); it != entries.end(); ++it)
      if (it->second->lastUse < oldest->second->lastUse)
        oldest = it;
    std::shared_ptr<Entry> entry = std::move(oldest->second);
    entries.erase(oldest);
    return entry;
  }

  const size_t bound;
  std::mutex mutex;
  uint64_t numUses = 0;
  llvm::StringMap<std::shared_ptr<Entry>> entries;
};

/// What a process has one of; it is never destroyed, since threads may be running its code when
/// others exit. The first call says how much it holds.
template <class Compiled>
Table<Compiled> &getTable(size_t bound) {
  static Table<Compiled> *table = [=] {
    static Table<Compiled> *made;
    made = new Table<Compiled>(bound);
    pthread_atfork([] { made->beforeFork(); }, [] { made->inParent(); }, [] { made->inChild(); });
    return made;
  }();
  return *table;
}

/// The shapes of tensors whose sizes are hints; data and types do not matter.
class HintedShapes {
public:
  sfa_status read(const sfa_tensor *tensors, int32_t count) {
    for (int32_t i = 0; i < count; ++i) {
      if (tensors[i].rank < 0 || tensors[i].rank > SFA_MAX_RANK ||
          (!tensors[i].shape && tensors[i].rank != 0))
        return report(SFA_ERROR_INVALID_ARGUMENT,
                      fmt::format("argument {} has no shape of 0 to {} sizes", i, SFA_MAX_RANK));
      shapes.push_back({tensors[i].shape, static_cast<size_t>(tensors[i].rank)});
    }
    return SFA_SUCCESS;
  }
  operator Shapes() const { return shapes; }
  bool empty() const { return shapes.empty(); }

private:
  llvm::SmallVector<llvm::ArrayRef<int64_t>, 8> shapes;
};

/// A function of a module, as the caller gives it.
struct Source {
  llvm::StringRef text;
  const char *entry;

  /// Of tables and of the cache on disk.
  std::string key() const { return fmt::format("entry {}\n{}", entry ? entry : "", text.str()); }
};

/// Whether the knobs by which schedules are chosen are right.
sfa_status checkTuningKnobs() {
  if (llvm::Expected<const TuningDatabase *> database = getTuningDatabase(); !database)
    return report(SFA_ERROR_INVALID_KNOB, database.takeError());
  if (llvm::Expected<Schedule> schedule = givenSchedule({}); !schedule)
    return report(SFA_ERROR_INVALID_KNOB, schedule.takeError());
  return SFA_SUCCESS;
}

/// What there is to choose in a module, read once.
sfa_status findChoices(const Source &source, std::shared_ptr<Choices> *choices) {
  if (sfa_status status = checkTuningKnobs())
    return status;
  llvm::Expected<unsigned> bound = knobs::maxPrograms();
  if (!bound)
    return report(SFA_ERROR_INVALID_KNOB, bound.takeError());
  auto make = [&](std::shared_ptr<Choices> *made) {
    llvm::Expected<Module> module = Module::parse(source.text, source.entry);
    if (!module)
      return report(SFA_ERROR_INVALID_ARGUMENT, module.takeError());
    llvm::Expected<Choices> found = Choices::of(std::move(*module));
    if (!found)
      return report(SFA_ERROR_INVALID_ARGUMENT, found.takeError());
    *made = std::make_shared<Choices>(std::move(*found));
    return SFA_SUCCESS;
  };
  return getTable<Choices>(*bound).get(source.key(), choices, make);
}

/// Where sizes are known: what the schedules of a call are. Empty without sizes.
sfa_status describeSchedules(const Source &source, const HintedShapes &shapes, const Device &device,
                             std::string *schedules) {
  if (shapes.empty())
    return SFA_SUCCESS;
  std::shared_ptr<Choices> choices;
  if (sfa_status status = findChoices(source, &choices))
    return status;
  llvm::Expected<std::string> text = choices->describe(shapes, device);
  if (!text)
    return report(SFA_ERROR_INVALID_ARGUMENT, text.takeError());
  *schedules = std::move(*text);
  return SFA_SUCCESS;
}

/// Writes down what the call asks for, where a knob says so.
sfa_status recordProblems(const Source &source, const HintedShapes &shapes) {
  if (shapes.empty() || !knobs::recordProblems())
    return SFA_SUCCESS;
  std::shared_ptr<Choices> choices;
  if (sfa_status status = findChoices(source, &choices))
    return status;
  if (llvm::Error error = choices->record(shapes))
    return report(SFA_ERROR_INVALID_KNOB, std::move(error));
  return SFA_SUCCESS;
}

sfa_status compile(const Source &source, const Chip &chip, const HintedShapes &shapes,
                   const Device &device, std::string *document) {
  if (sfa_status status = checkTuningKnobs())
    return status;
  llvm::Expected<Module> module = Module::parse(source.text, source.entry);
  if (!module)
    return report(SFA_ERROR_INVALID_ARGUMENT, module.takeError());
  if (!shapes.empty())
    if (llvm::Error error = module->assignSchedules(shapes, device))
      return report(SFA_ERROR_INVALID_ARGUMENT, std::move(error));
  llvm::Expected<cuda::CompiledProgram> program =
      cuda::compileProgram(*module->module, module->entry, chip);
  if (!program)
    return report(SFA_ERROR_INVALID_ARGUMENT, program.takeError());
  *document = program->toJson();
  return SFA_SUCCESS;
}

sfa_status parseChip(llvm::StringRef name, Chip *chip) {
  llvm::Expected<Chip> parsed = Chip::parse(name);
  if (!parsed)
    return report(SFA_ERROR_INVALID_ARGUMENT, parsed.takeError());
  *chip = std::move(*parsed);
  return SFA_SUCCESS;
}

/// The chip to compile for on a device, that of the knob SFA_CHIP or the best, and what to choose
/// schedules for.
sfa_status describeDevice(int32_t device, Chip *chip, Device *description) {
  sfa_device_properties properties;
  if (sfa_status status = sfa_device_info(device, &properties))
    return status;
  llvm::Expected<std::string> best = cuda::chooseChip(device);
  if (!best)
    return report(SFA_ERROR_UNSUPPORTED_DEVICE, best.takeError());
  llvm::Expected<std::optional<std::string>> wanted = knobs::chip();
  if (!wanted)
    return report(SFA_ERROR_INVALID_KNOB, wanted.takeError());
  if (sfa_status status = parseChip(wanted->value_or(*best), chip))
    return status;
  *description = Device::of(*chip);
  description->name = properties.name;
  description->multiprocessors = properties.multiprocessors;
  description->sharedBytesOfMultiprocessor =
      properties.max_shared_bytes_per_block + Device::sharedBytesOfSystem;
  return SFA_SUCCESS;
}

struct ProgramDeleter {
  void operator()(sfa_program *program) const { sfa_program_destroy(program); }
};
using OwnedProgram = std::unique_ptr<sfa_program, ProgramDeleter>;

/// From the cache, or null.
OwnedProgram readCache(sfa_cache *cache, const std::string &key) {
  void *bytes = nullptr;
  size_t size = 0;
  sfa_program *program = nullptr;
  if (!cache || sfa_cache_get(cache, key.data(), key.size(), &bytes, &size) != SFA_SUCCESS)
    return nullptr;
  // What does not load is compiled anew.
  if (sfa_program_load(bytes, size, &program) != SFA_SUCCESS)
    program = nullptr;
  sfa_free(bytes);
  return OwnedProgram(program);
}

void writeCache(sfa_cache *cache, const std::string &key, const sfa_program *program) {
  void *bytes = nullptr;
  size_t size = 0;
  if (!cache || sfa_program_save(program, &bytes, &size) != SFA_SUCCESS)
    return;
  sfa_cache_put(cache, key.data(), key.size(), bytes, size);
  sfa_free(bytes);
}

sfa_status makeProgram(const std::string &key, int32_t device,
                       llvm::function_ref<sfa_status(std::string *)> compile,
                       sfa_program **result) {
  sfa_cache *opened = nullptr;
  // Without a build id the cache would serve what other compilers have made: a bound of 0 is none.
  if (sfa_status status = sfa_cache_open(nullptr, getBuildId().empty() ? 0 : -1, &opened))
    return status;
  std::unique_ptr<sfa_cache, decltype(&sfa_cache_close)> cache(opened, sfa_cache_close);
  OwnedProgram program = readCache(opened, key);
  // Code that the driver refuses, of another driver or another device, is compiled anew.
  if (program && sfa_program_prepare(program.get(), device) != SFA_SUCCESS)
    program = nullptr;
  if (!program) {
    std::string document;
    if (sfa_status status = compile(&document))
      return status;
    sfa_program *loaded = nullptr;
    if (sfa_status status = sfa_program_load(document.data(), document.size(), &loaded))
      return status;
    // Kept as PTX: what the driver's linker (sfa_assemble) makes of warpgroup kernels was measured
    // at half the speed of what its loader makes. The driver keeps machine code in a cache of its
    // own.
    program.reset(loaded);
    if (sfa_status status = sfa_program_prepare(loaded, device))
      return status;
    writeCache(opened, key, loaded);
  }
  *result = program.release();
  return SFA_SUCCESS;
}

std::optional<ElementType> toElementType(int32_t dtype) {
  switch (dtype) {
  case SFA_DTYPE_F16:
    return ElementType::F16;
  case SFA_DTYPE_BF16:
    return ElementType::BF16;
  case SFA_DTYPE_F32:
    return ElementType::F32;
  case SFA_DTYPE_I8:
    return ElementType::I8;
  case SFA_DTYPE_U8:
    return ElementType::U8;
  case SFA_DTYPE_U16:
    return ElementType::U16;
  case SFA_DTYPE_I32:
    return ElementType::I32;
  case SFA_DTYPE_I64:
    return ElementType::I64;
  case SFA_DTYPE_F64:
    return ElementType::F64;
  default:
    return std::nullopt;
  }
}

} // namespace

//===----------------------------------------------------------------------===//
// C interface
//===----------------------------------------------------------------------===//

static sfa_status requirePointers(std::initializer_list<const void *> pointers) {
  for (const void *pointer : pointers)
    if (!pointer)
      return report(SFA_ERROR_INVALID_ARGUMENT, "a parameter is NULL; it has to point to something");
  return SFA_SUCCESS;
}

/// Bytes that the caller frees with sfa_free; null where there is no memory.
static void *copyForCaller(llvm::StringRef bytes) {
  void *copy = std::malloc(bytes.size());
  if (copy)
    std::memcpy(copy, bytes.data(), bytes.size());
  else
    report(SFA_ERROR_OUT_OF_MEMORY, "the host has no memory left");
  return copy;
}

/// With its zero.
static sfa_status giveText(const std::string &text, char **result) {
  void *copy = copyForCaller({text.c_str(), text.size() + 1});
  if (!copy)
    return SFA_ERROR_OUT_OF_MEMORY;
  *result = static_cast<char *>(copy);
  return SFA_SUCCESS;
}

sfa_status sfa_jit_compile(const char *module, size_t size, const char *entry, const char *chip,
                           const sfa_tensor *arguments, int32_t num_arguments, void **bytes,
                           size_t *num_bytes) {
  if (sfa_status status = requirePointers({module, chip, bytes, num_bytes}))
    return status;
  Chip target;
  HintedShapes shapes;
  std::string document;
  if (sfa_status status = parseChip(chip, &target))
    return status;
  if (sfa_status status = shapes.read(arguments, num_arguments))
    return status;
  if (sfa_status status =
          compile({{module, size}, entry}, target, shapes, Device::of(target), &document))
    return status;
  void *copy = copyForCaller(document);
  if (!copy)
    return SFA_ERROR_OUT_OF_MEMORY;
  *bytes = copy;
  *num_bytes = document.size();
  return SFA_SUCCESS;
}

sfa_status sfa_jit_schedules(const char *module, size_t size, const char *entry, const char *chip,
                             const sfa_tensor *arguments, int32_t num_arguments, char **schedules) {
  if (sfa_status status = requirePointers({module, arguments, schedules}))
    return status;
  Device device = Device::cpu();
  if (chip) {
    Chip target;
    if (sfa_status status = parseChip(chip, &target))
      return status;
    device = Device::of(target);
  }
  HintedShapes shapes;
  std::string text;
  if (sfa_status status = shapes.read(arguments, num_arguments))
    return status;
  if (sfa_status status = describeSchedules({{module, size}, entry}, shapes, device, &text))
    return status;
  return giveText(text, schedules);
}

sfa_status sfa_jit_explain(const char *module, size_t size, const char *entry, const char *chip,
                           int32_t device, const sfa_tensor *arguments, int32_t num_arguments,
                           char **choices) {
  if (sfa_status status = requirePointers({module, arguments, choices}))
    return status;
  Device description = Device::cpu();
  Chip target;
  if (device >= 0) {
    if (sfa_status status = describeDevice(device, &target, &description))
      return status;
  } else if (chip) {
    if (sfa_status status = parseChip(chip, &target))
      return status;
    description = Device::of(target);
  }
  HintedShapes shapes;
  if (sfa_status status = shapes.read(arguments, num_arguments))
    return status;
  std::shared_ptr<Choices> found;
  if (sfa_status status = findChoices({{module, size}, entry}, &found))
    return status;
  llvm::Expected<std::vector<Choice>> chosen = found->choose(shapes, description);
  if (!chosen)
    return report(SFA_ERROR_INVALID_ARGUMENT, chosen.takeError());
  llvm::json::Array list;
  for (const Choice &choice : *chosen) {
    std::string schedule;
    llvm::raw_string_ostream(schedule) << withoutDefaults(choice.schedule, description);
    list.push_back(llvm::json::Object{
        {"schedule", schedule}, {"ground", stringify(choice.ground)}, {"reason", choice.reason}});
  }
  return giveText(llvm::formatv("{0}", llvm::json::Value(std::move(list))).str(), choices);
}

sfa_status sfa_jit_program(const char *module, size_t size, const char *entry, int32_t device,
                           const sfa_tensor *arguments, int32_t num_arguments,
                           sfa_program **program) {
  if (sfa_status status = requirePointers({module, program}))
    return status;
  Source source = {{module, size}, entry};
  Chip chip;
  Device description;
  HintedShapes shapes;
  std::string schedules;
  if (sfa_status status = describeDevice(device, &chip, &description))
    return status;
  if (sfa_status status = shapes.read(arguments, num_arguments))
    return status;
  if (sfa_status status = describeSchedules(source, shapes, description, &schedules))
    return status;
  if (sfa_status status = recordProblems(source, shapes))
    return status;
  // All that changes the code.
  static const std::string buildId = getBuildId();
  std::string key =
      fmt::format("flashsfa {} build {} llvm {} chip {} schedules {}\n{}", SFA_VERSION, buildId,
                  SFA_LLVM_VERSION, chip.name, schedules, source.key());
  // There is no bound: nothing tells when a kernel that was launched, or captured into a graph, is
  // no longer going to run (docs/runtime.md), so that programs of GPUs stay.
  constexpr size_t unbounded = std::numeric_limits<size_t>::max();
  std::shared_ptr<sfa_program> shared;
  auto make = [&](std::shared_ptr<sfa_program> *made) {
    auto compileSource = [&](std::string *document) {
      return compile(source, chip, shapes, description, document);
    };
    sfa_program *program = nullptr;
    sfa_status status = makeProgram(key, device, compileSource, &program);
    made->reset(program, sfa_program_destroy);
    return status;
  };
  if (sfa_status status = getTable<sfa_program>(unbounded).get(key, &shared, make))
    return status;
  *program = shared.get();
  // Another device of the same chip shares the program.
  return sfa_program_prepare(*program, device);
}

sfa_status sfa_jit_cpu_function(const char *module, size_t size, const char *entry,
                                sfa_cpu_function **function) {
  if (sfa_status status = requirePointers({module, function}))
    return status;
  llvm::Expected<unsigned> bound = knobs::maxPrograms();
  if (!bound)
    return report(SFA_ERROR_INVALID_KNOB, bound.takeError());
  if (sfa_status status = checkTuningKnobs())
    return status;
  Source source = {{module, size}, entry};
  std::shared_ptr<cpu::Executable> shared;
  auto make = [&](std::shared_ptr<cpu::Executable> *made) {
    llvm::Expected<Module> parsed = Module::parse(source.text, source.entry);
    if (!parsed)
      return report(SFA_ERROR_INVALID_ARGUMENT, parsed.takeError());
    auto executable = cpu::Executable::compile(*parsed->module, parsed->entry);
    if (!executable)
      return report(SFA_ERROR_INVALID_ARGUMENT, executable.takeError());
    *made = std::move(*executable);
    return SFA_SUCCESS;
  };
  if (sfa_status status = getTable<cpu::Executable>(*bound).get(source.key(), &shared, make))
    return status;
  *function = new sfa_cpu_function{std::move(shared)};
  return SFA_SUCCESS;
}

void sfa_cpu_function_destroy(sfa_cpu_function *function) { delete function; }

static sfa_status toBuffers(const sfa_tensor *tensors, int32_t count, const char *what,
                            std::vector<BufferRef> &buffers) {
  for (int32_t i = 0; i < count; ++i) {
    std::optional<ElementType> type = toElementType(tensors[i].dtype);
    if (!type || tensors[i].rank < 0 || tensors[i].rank > SFA_MAX_RANK ||
        (!tensors[i].shape && tensors[i].rank != 0))
      return report(SFA_ERROR_INVALID_ARGUMENT,
                    fmt::format("{} {} is no tensor of a known type and rank", what, i));
    buffers.push_back({*type, tensors[i].data,
                       std::vector<int64_t>(tensors[i].shape, tensors[i].shape + tensors[i].rank)});
  }
  return SFA_SUCCESS;
}

sfa_status sfa_cpu_function_run(const sfa_cpu_function *function, const sfa_tensor *arguments,
                                int32_t num_arguments, const sfa_tensor *results,
                                int32_t num_results) {
  if (sfa_status status = requirePointers({function}))
    return status;
  std::vector<BufferRef> inputs, outputs;
  if (sfa_status status = toBuffers(arguments, num_arguments, "argument", inputs))
    return status;
  if (sfa_status status = toBuffers(results, num_results, "result", outputs))
    return status;
  llvm::Expected<cpu::Call> call = function->executable->prepare(inputs);
  if (!call)
    return report(SFA_ERROR_INVALID_ARGUMENT, call.takeError());
  if (llvm::Error error = call->into(outputs))
    return reportCall(std::move(error));
  return SFA_SUCCESS;
}

sfa_status sfa_set_num_threads(int32_t num_threads) {
  if (llvm::Error error = cpu::setNumThreads(num_threads))
    return report(SFA_ERROR_INVALID_ARGUMENT, std::move(error));
  return SFA_SUCCESS;
}

sfa_status sfa_get_num_threads(int32_t *num_threads) {
  if (sfa_status status = requirePointers({num_threads}))
    return status;
  llvm::Expected<unsigned> count = cpu::getNumThreads();
  if (!count)
    return report(SFA_ERROR_INVALID_KNOB, count.takeError());
  *num_threads = static_cast<int32_t>(*count);
  return SFA_SUCCESS;
}

sfa_status sfa_get_max_programs(int32_t *maxPrograms) {
  if (sfa_status status = requirePointers({maxPrograms}))
    return status;
  llvm::Expected<unsigned> count = knobs::maxPrograms();
  if (!count)
    return report(SFA_ERROR_INVALID_KNOB, count.takeError());
  *maxPrograms = static_cast<int32_t>(*count);
  return SFA_SUCCESS;
}

const char *sfa_jit_llvm_version(void) { return SFA_LLVM_VERSION; }
