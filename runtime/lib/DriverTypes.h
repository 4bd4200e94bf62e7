//===- DriverTypes.h - The part of the CUDA driver API in use ---*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Types and constants of the driver's binary interface, which CUDA keeps stable, so that building
// needs no toolkit. Each constant has the name of <cuda.h> beside it.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_DRIVERTYPES_H
#define SFA_RUNTIME_LIB_DRIVERTYPES_H

#include <cstddef>
#include <cstdint>

namespace sfa::runtime::impl::cu {

using Result = int32_t;   // CUresult
using Device = int32_t;   // CUdevice
using Address = uint64_t; // CUdeviceptr
using Context = void *;   // CUcontext
using Module = void *;    // CUmodule
using Function = void *;  // CUfunction
using Stream = void *;    // CUstream
using LinkState = void *; // CUlinkState
using Event = void *;     // CUevent
using Graph = void *;     // CUgraph
using GraphExec = void *; // CUgraphExec

/// The address of the device that a pointer of the C interface holds.
inline Address toAddress(const void *pointer) {
  return static_cast<Address>(reinterpret_cast<uintptr_t>(pointer));
}

constexpr Result success = 0;          // CUDA_SUCCESS
constexpr Result invalidValue = 1;     // CUDA_ERROR_INVALID_VALUE
constexpr Result outOfMemory = 2;      // CUDA_ERROR_OUT_OF_MEMORY
constexpr Result notInitialized = 3;   // CUDA_ERROR_NOT_INITIALIZED
constexpr Result noDevice = 100;       // CUDA_ERROR_NO_DEVICE
constexpr Result notFound = 500;       // CUDA_ERROR_NOT_FOUND
constexpr Result illegalAddress = 700; // CUDA_ERROR_ILLEGAL_ADDRESS, first of those of a kernel
constexpr Result launchFailed = 719;   // CUDA_ERROR_LAUNCH_FAILED, last of those of a kernel
constexpr Result firstOfCapture = 900; // CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
constexpr Result lastOfCapture = 908;  // CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD

enum DeviceAttribute : int32_t { // CU_DEVICE_ATTRIBUTE_*
  multiprocessorCount = 16,
  computeCapabilityMajor = 75,
  computeCapabilityMinor = 76,
  maxSharedMemoryPerBlockOptin = 97,
};

enum FunctionAttribute : int32_t { // CU_FUNC_ATTRIBUTE_*
  maxDynamicSharedSizeBytes = 8,
};

enum JitOption : int32_t { // CU_JIT_*
  errorLogBuffer = 5,
  errorLogBufferSizeBytes = 6,
};

enum JitInputType : int32_t { // CU_JIT_INPUT_*
  ptx = 1,
};

constexpr uint32_t nonBlockingStream = 1; // CU_STREAM_NON_BLOCKING
constexpr uint32_t defaultEvent = 0;      // CU_EVENT_DEFAULT, which records its time

enum CaptureMode : int32_t { // CU_STREAM_CAPTURE_MODE_*
  threadLocal = 1,
  relaxed = 2,
};

constexpr uint32_t clusterDimension = 4; // CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
// CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
constexpr uint32_t programmaticStreamSerialization = 6;

struct LaunchAttribute { // CUlaunchAttribute
  uint32_t id;
  uint32_t padding;
  union {
    uint64_t all[8];
    uint32_t clusterDim[3];
    int32_t programmaticStreamSerializationAllowed;
  } value;
};
static_assert(sizeof(LaunchAttribute) == 72);

struct LaunchConfig { // CUlaunchConfig
  uint32_t gridDim[3];
  uint32_t blockDim[3];
  uint32_t sharedMemBytes;
  Stream stream;
  LaunchAttribute *attributes;
  uint32_t numAttributes;
};
static_assert(sizeof(LaunchConfig) == 56 && offsetof(LaunchConfig, stream) == 32);

/// CUtensorMap. The driver demands an alignment of 64; newer headers declare 128.
struct alignas(128) TensorMap {
  uint64_t opaque[16];
};
static_assert(sizeof(TensorMap) == 128);

enum TensorMapDataType : int32_t { // CU_TENSOR_MAP_DATA_TYPE_*
  uint8 = 0,
  uint16 = 1,
  int32 = 3,
  int64 = 5,
  float16 = 6,
  float32 = 7,
  bfloat16 = 9,
};

constexpr int32_t interleaveNone = 0;   // CU_TENSOR_MAP_INTERLEAVE_NONE
constexpr int32_t swizzle128B = 3;      // CU_TENSOR_MAP_SWIZZLE_128B
constexpr int32_t l2Promotion128B = 2;  // CU_TENSOR_MAP_L2_PROMOTION_L2_128B
constexpr int32_t outOfBoundsZeros = 0; // CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE

constexpr uint64_t legacyStream = 1; // CU_GET_PROC_ADDRESS_LEGACY_STREAM

} // namespace sfa::runtime::impl::cu

#endif // SFA_RUNTIME_LIB_DRIVERTYPES_H
