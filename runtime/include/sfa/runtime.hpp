//===- runtime.hpp - Load and launch compiled programs (C++) ----*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Owning wrappers of <sfa/runtime.h>, which documents what each function does. All is inline, so
// only the C interface is binary interface.
//
// Functions that can fail return a Result, not an exception: the compiler, like LLVM, is built
// without exceptions, and so are many who launch kernels. A Result that is not looked at is a
// warning.
//
//   auto program = sfa::runtime::Program::load(document);
//   if (!program)
//     return report(program.error().message);
//   auto status = program->launch(/*device=*/0, stream, {q.tensor(), k.tensor()}, {o.tensor()});
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_HPP
#define SFA_RUNTIME_HPP

#include "sfa/runtime.h"

#include <cassert>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sfa::runtime {

struct Error {
  sfa_status status = SFA_ERROR_INTERNAL;
  /// What was given, what is allowed and what to do.
  std::string message;

  /// What the call that has just failed in this thread left behind.
  static Error last(sfa_status status) { return {status, sfa_last_error()}; }
};

/// A value, or why there is none.
template <typename T>
class [[nodiscard]] Result {
public:
  Result(T value) : content(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return content.index() == 0; }

  /// Only where there is a value.
  T &operator*() { return *get(); }
  const T &operator*() const { return *get(); }
  T *operator->() { return get(); }
  const T *operator->() const { return get(); }

  /// Only where there is none.
  const Error &error() const {
    assert(!*this && "there is a value, and no error");
    return *std::get_if<1>(&content);
  }

private:
  T *get() {
    assert(*this && "there is an error, and no value");
    return std::get_if<0>(&content);
  }
  const T *get() const { return const_cast<Result *>(this)->get(); }

  std::variant<T, Error> content;
};

/// Success, or what went wrong.
using Status = Result<std::monostate>;

inline Status toStatus(sfa_status status) {
  if (status != SFA_SUCCESS)
    return Error::last(status);
  return std::monostate();
}

/// A tensor that holds its own shape and strides, and borrows its data.
class Tensor {
public:
  /// Contiguous where there are no strides. Sizes and strides are counted in elements.
  Tensor(void *data, sfa_dtype dtype, std::vector<int64_t> shape, std::vector<int64_t> strides = {})
      : data(data), dtype(dtype), shape(std::move(shape)), strides(std::move(strides)) {
    assert(this->strides.empty() || this->strides.size() == this->shape.size());
  }

  /// Refers to this object.
  sfa_tensor tensor() const {
    return {data, dtype, static_cast<int32_t>(shape.size()), shape.data(),
            strides.empty() ? nullptr : strides.data()};
  }

private:
  void *data;
  sfa_dtype dtype;
  std::vector<int64_t> shape, strides;
};

/// A borrowed list of tensors: of a vector, an array or a list in braces.
class Tensors {
public:
  Tensors() = default;
  Tensors(const sfa_tensor *first, size_t count) : first(first), count(count) {}
  Tensors(const std::vector<sfa_tensor> &tensors) : Tensors(tensors.data(), tensors.size()) {}
  template <size_t n>
  Tensors(const sfa_tensor (&tensors)[n]) : Tensors(tensors, n) {}
  /// Only as the parameter of a call, at the end of which the list is gone.
  Tensors(const std::initializer_list<sfa_tensor> &tensors)
      : Tensors(tensors.begin(), tensors.size()) {}

  const sfa_tensor *data() const { return first; }
  int32_t size() const { return static_cast<int32_t>(count); }

private:
  const sfa_tensor *first = nullptr;
  size_t count = 0;
};

/// The shape and dtype of an argument or a result; -1 for sizes that are up to a call.
struct TensorType {
  sfa_dtype dtype;
  std::vector<int64_t> shape;

  static TensorType of(const sfa_tensor_type &type) {
    return {static_cast<sfa_dtype>(type.dtype), {type.shape, type.shape + type.rank}};
  }
};

inline Status driverStatus() { return toStatus(sfa_driver_status()); }

inline Result<int32_t> deviceCount() {
  int32_t count;
  if (sfa_status status = sfa_device_count(&count))
    return Error::last(status);
  return count;
}

inline Result<sfa_device_properties> deviceInfo(int32_t device) {
  sfa_device_properties properties;
  if (sfa_status status = sfa_device_info(device, &properties))
    return Error::last(status);
  return properties;
}

inline Result<sfa_device_state_info> deviceState(int32_t device) {
  sfa_device_state_info state;
  if (sfa_status status = sfa_device_state(device, &state))
    return Error::last(status);
  return state;
}

/// A compiled program.
class Program {
public:
  static Result<Program> load(std::string_view document) {
    sfa_program *program;
    if (sfa_status status = sfa_program_load(document.data(), document.size(), &program))
      return Error::last(status);
    return Program(program);
  }

  /// This program, which is in PTX, as machine code for a device.
  Result<Program> assemble(int32_t device) const {
    sfa_program *assembled;
    if (sfa_status status = sfa_assemble(get(), device, &assembled))
      return Error::last(status);
    return Program(assembled);
  }

  /// The document of this program.
  Result<std::string> save() const {
    void *bytes;
    size_t size;
    if (sfa_status status = sfa_program_save(get(), &bytes, &size))
      return Error::last(status);
    std::unique_ptr<void, void (*)(void *)> owner(bytes, sfa_free);
    return std::string(static_cast<const char *>(bytes), size);
  }

  sfa_program_properties properties() const {
    sfa_program_properties properties;
    [[maybe_unused]] sfa_status status = sfa_program_info(get(), &properties);
    assert(status == SFA_SUCCESS);
    return properties;
  }

  std::vector<TensorType> arguments() const {
    return types(properties().num_arguments, sfa_program_argument_type);
  }
  std::vector<TensorType> results() const {
    return types(properties().num_results, sfa_program_result_type);
  }

  /// The types of all results for these arguments, of which only type and shape are looked at.
  Result<std::vector<TensorType>> resultsFor(Tensors arguments) const {
    std::vector<TensorType> types;
    for (int32_t index = 0, count = properties().num_results; index < count; ++index) {
      sfa_tensor_type type;
      if (sfa_status status =
              sfa_program_result_for(get(), arguments.data(), arguments.size(), index, &type))
        return Error::last(status);
      types.push_back(TensorType::of(type));
    }
    return types;
  }

  /// In bytes.
  Result<size_t> workspaceBytes(Tensors arguments) const {
    size_t bytes;
    if (sfa_status status =
            sfa_program_workspace_bytes(get(), arguments.data(), arguments.size(), &bytes))
      return Error::last(status);
    return bytes;
  }

  Status prepare(int32_t device) const { return toStatus(sfa_program_prepare(get(), device)); }

  Status launch(int32_t device, void *stream, Tensors arguments, Tensors results,
                void *workspace = nullptr, size_t workspaceBytes = 0) const {
    return toStatus(sfa_program_launch(get(), device, stream, arguments.data(), arguments.size(),
                                       results.data(), results.size(), workspace, workspaceBytes));
  }

  sfa_program *get() const { return handle.get(); }

private:
  struct Destroy {
    void operator()(sfa_program *program) const { sfa_program_destroy(program); }
  };

  explicit Program(sfa_program *program) : handle(program) {}

  std::vector<TensorType> types(int32_t count, sfa_status (*query)(const sfa_program *, int32_t,
                                                                   sfa_tensor_type *)) const {
    std::vector<TensorType> types;
    for (int32_t index = 0; index < count; ++index) {
      sfa_tensor_type type;
      [[maybe_unused]] sfa_status status = query(get(), index, &type);
      assert(status == SFA_SUCCESS);
      types.push_back(TensorType::of(type));
    }
    return types;
  }

  std::unique_ptr<sfa_program, Destroy> handle;
};

/// A call of a program that is run and timed again and again.
class Timer {
public:
  /// The program, the memory of the tensors and the workspace have to outlive the timer.
  static Result<Timer> create(const Program &program, int32_t device, Tensors arguments,
                              Tensors results, void *workspace = nullptr,
                              size_t workspaceBytes = 0) {
    sfa_timer *timer;
    if (sfa_status status =
            sfa_timer_create(program.get(), device, arguments.data(), arguments.size(),
                             results.data(), results.size(), workspace, workspaceBytes, &timer))
      return Error::last(status);
    return Timer(timer);
  }

  /// In milliseconds. Memory of the device that is not NULL is overwritten before, to clear the
  /// second-level cache.
  Result<float> sample(void *scratch = nullptr, size_t scratchBytes = 0) const {
    float milliseconds;
    if (sfa_status status = sfa_timer_sample(get(), scratch, scratchBytes, &milliseconds))
      return Error::last(status);
    return milliseconds;
  }

  sfa_timer *get() const { return handle.get(); }

private:
  struct Destroy {
    void operator()(sfa_timer *timer) const { sfa_timer_destroy(timer); }
  };

  explicit Timer(sfa_timer *timer) : handle(timer) {}

  std::unique_ptr<sfa_timer, Destroy> handle;
};

/// Bytes kept from one process to the next.
class Cache {
public:
  /// The cache that the knobs name.
  static Result<Cache> open() { return open(nullptr, -1); }

  static Result<Cache> open(const std::string &directory, int64_t maxBytes) {
    return open(directory.c_str(), maxBytes);
  }

  /// Fails with SFA_ERROR_NOT_FOUND where there is no entry.
  Result<std::string> get(std::string_view key) const {
    void *bytes;
    size_t size;
    if (sfa_status status = sfa_cache_get(handle.get(), key.data(), key.size(), &bytes, &size))
      return Error::last(status);
    std::unique_ptr<void, void (*)(void *)> owner(bytes, sfa_free);
    return std::string(static_cast<const char *>(bytes), size);
  }

  /// A cache that cannot be written is no error.
  Status put(std::string_view key, std::string_view bytes) const {
    return toStatus(
        sfa_cache_put(handle.get(), key.data(), key.size(), bytes.data(), bytes.size()));
  }

private:
  struct Close {
    void operator()(sfa_cache *cache) const { sfa_cache_close(cache); }
  };

  explicit Cache(sfa_cache *cache) : handle(cache) {}

  static Result<Cache> open(const char *directory, int64_t maxBytes) {
    sfa_cache *cache;
    if (sfa_status status = sfa_cache_open(directory, maxBytes, &cache))
      return Error::last(status);
    return Cache(cache);
  }

  std::unique_ptr<sfa_cache, Close> handle;
};

} // namespace sfa::runtime

#endif // SFA_RUNTIME_HPP
