/*===- runtime.h - Load and launch compiled programs (C interface) -*- C -*-===*\
|*                                                                            *|
|* Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.      *|
|* See LICENSE for license information.                                       *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The runtime loads programs that FlashSFA has compiled (their format is in  *|
|* docs/program-format.md) and launches them on NVIDIA GPUs. It needs no CUDA *|
|* toolkit: the driver library is opened at the first call that needs it, so  *|
|* everything but devices works on a machine that has none.                   *|
|*                                                                            *|
|* Every function that can fail returns an sfa_status, and then leaves a      *|
|* message for sfa_last_error() of the same thread. Output parameters are     *|
|* written on success only, unless said otherwise. All functions may be       *|
|* called from several threads at once, on the same objects too; destroying   *|
|* an object that another thread is using is the one exception.               *|
|*                                                                            *|
|* The values of enums and the layout of structs do not change within a major *|
|* version of the library.                                                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef SFA_RUNTIME_H
#define SFA_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define SFA_RUNTIME_API __attribute__((visibility("default")))
#else
#define SFA_RUNTIME_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*===--- Errors ---------------------------------------------------------===*/

typedef enum sfa_status {
  SFA_SUCCESS = 0,
  /** A parameter or a tensor is not what the function or the program takes. */
  SFA_ERROR_INVALID_ARGUMENT = 1,
  /** The bytes are no valid program. */
  SFA_ERROR_INVALID_PROGRAM = 2,
  /** The CUDA driver library, or for sfa_device_state that of NVML, cannot be opened, is too old,
      or is another library. */
  SFA_ERROR_NO_DRIVER = 3,
  /** There is a driver, but no device, or none of that number. */
  SFA_ERROR_NO_DEVICE = 4,
  /** The device cannot run the program: wrong chip, too little shared memory. */
  SFA_ERROR_UNSUPPORTED_DEVICE = 5,
  /** A call of the driver failed; the message says which and with what. */
  SFA_ERROR_DRIVER = 6,
  /** No memory, on the host or on the device. */
  SFA_ERROR_OUT_OF_MEMORY = 7,
  /** An SFA_* environment variable holds what it must not; see docs/knobs.md. */
  SFA_ERROR_INVALID_KNOB = 8,
  /** sfa_cache_get: the cache does not have the key. */
  SFA_ERROR_NOT_FOUND = 9,
  /** A fault of the runtime itself. */
  SFA_ERROR_INTERNAL = 10
} sfa_status;

/** What the last call that failed in this thread has to say: what was given, what is allowed and
    what to do. Never NULL; empty before the first failure. Valid until the next failure of a
    call in this thread. A call that succeeds leaves it as it is. */
SFA_RUNTIME_API const char *sfa_last_error(void);

/** The name of a status, such as "SFA_ERROR_NO_DRIVER"; "unknown status" for other values. */
SFA_RUNTIME_API const char *sfa_status_name(sfa_status status);

/** The version of this library, such as "0.1.0". */
SFA_RUNTIME_API const char *sfa_runtime_version(void);

/** Frees the bytes that a function of this library has returned. NULL is fine. */
SFA_RUNTIME_API void sfa_free(void *bytes);

/*===--- Tensors --------------------------------------------------------===*/

typedef enum sfa_dtype {
  SFA_DTYPE_F16 = 1,
  SFA_DTYPE_BF16 = 2,
  SFA_DTYPE_F32 = 3,
  SFA_DTYPE_U8 = 4,
  SFA_DTYPE_U16 = 5,
  SFA_DTYPE_I32 = 6,
  SFA_DTYPE_I64 = 7,
  /** Of numbers only, rank 0. */
  SFA_DTYPE_F64 = 8,
  SFA_DTYPE_I8 = 9
} sfa_dtype;

/** The largest rank of a tensor. */
#define SFA_MAX_RANK 4

/** A tensor in the memory of a device, borrowed for the length of a call; of what a launch has put
    into its stream, the memory has to live until it has run.

    A number that a program takes, such as a scale, is a tensor of rank 0 whose data is an address
   of the host, with any alignment. It is read during the call; a graph that captures a launch keeps
    the number. */
typedef struct sfa_tensor {
  /** The first element, at an address of the device that is a multiple of 16. NULL only where a
      size is 0. */
  void *data;
  /** An sfa_dtype. */
  int32_t dtype;
  /** The number of dimensions: 4 for [batch, head, row, column], 3 for [batch, head, row], 1 for
      [row], 0 for a number. */
  int32_t rank;
  /** `rank` sizes, in elements, none negative. NULL is fine for rank 0. */
  const int64_t *shape;
  /** `rank` strides, in elements, none negative; NULL for a contiguous row-major tensor. Those of
      dimensions of size 1 do not matter. Columns (rank 4) have stride 1. */
  const int64_t *strides;
} sfa_tensor;

/*===--- Devices --------------------------------------------------------===*/

/** Whether this process can use CUDA: SFA_SUCCESS when the driver is there and has a device,
    SFA_ERROR_NO_DRIVER, SFA_ERROR_NO_DEVICE or SFA_ERROR_DRIVER otherwise. Opens the driver. */
SFA_RUNTIME_API sfa_status sfa_driver_status(void);

/** The number of devices. On failure (those of sfa_driver_status) *count is 0. */
SFA_RUNTIME_API sfa_status sfa_device_count(int32_t *count);

typedef struct sfa_device_properties {
  /** Ends with a zero. */
  char name[256];
  /** The compute capability: 9 and 0 for H100. */
  int32_t capability_major;
  int32_t capability_minor;
  int32_t multiprocessors;
  /** The CUDA version of the driver: 1000 * major + 10 * minor. */
  int32_t driver_version;
  int64_t memory_bytes;
  /** The most shared memory that a block can have, static and dynamic together, in bytes. */
  int64_t max_shared_bytes_per_block;
} sfa_device_properties;

/** The properties of device `device`, counted from 0 in the order of CUDA. */
SFA_RUNTIME_API sfa_status sfa_device_info(int32_t device, sfa_device_properties *properties);

/** The bits of sfa_device_state_info.clock_reasons: what keeps clocks below their maxima. They are
    those of NVML, which has more. */
typedef enum sfa_clock_reason {
  /** Nothing runs. */
  SFA_CLOCK_REASON_IDLE = 0x1,
  /** Someone has set the clocks that applications get. */
  SFA_CLOCK_REASON_APPLICATION_SETTING = 0x2,
  /** More would take more power than the limit. */
  SFA_CLOCK_REASON_POWER_CAP = 0x4,
  /** The hardware has halved the clocks, or worse: for its temperature, or by the power brake. */
  SFA_CLOCK_REASON_HARDWARE_SLOWDOWN = 0x8,
  /** The driver keeps the device below a temperature. */
  SFA_CLOCK_REASON_SOFTWARE_THERMAL = 0x20,
  SFA_CLOCK_REASON_HARDWARE_THERMAL = 0x40,
  /** The power supply demands it. */
  SFA_CLOCK_REASON_POWER_BRAKE = 0x80
} sfa_clock_reason;

/** How a device fares now. What it does not tell is -1. */
typedef struct sfa_device_state_info {
  /** In MHz; the maxima are those of the device, whatever is set. */
  int32_t multiprocessor_clock_mhz;
  int32_t max_multiprocessor_clock_mhz;
  int32_t memory_clock_mhz;
  int32_t max_memory_clock_mhz;
  double power_watts;
  /** The limit in force. */
  double power_limit_watts;
  /** Bits of sfa_clock_reason; look at the sign first. */
  int64_t clock_reasons;
  int32_t temperature_celsius;
} sfa_device_state_info;

/** The state of device `device`, by NVML, the NVIDIA Management Library, which is opened at the
    first call. Fails with SFA_ERROR_NO_DRIVER where it is not there, which concerns no other
    function; the message says what is missing. */
SFA_RUNTIME_API sfa_status sfa_device_state(int32_t device, sfa_device_state_info *state);

/** Memory of a device for callers that have no allocator of their own. These four functions use the
    primary context of the device and retain it for the rest of the process. `address` is NULL for 0
    bytes. Fails with SFA_ERROR_OUT_OF_MEMORY where there is not enough. */
SFA_RUNTIME_API sfa_status sfa_memory_allocate(int32_t device, size_t bytes, void **address);

/** Frees what sfa_memory_allocate gave. NULL is fine. Nothing that uses it may still be running. */
SFA_RUNTIME_API sfa_status sfa_memory_free(int32_t device, void *address);

/** Copies between host and device, in any direction, after all that has been launched on the default
    stream, and waits for it. */
SFA_RUNTIME_API sfa_status sfa_memory_copy(int32_t device, void *to, const void *from,
                                           size_t bytes);

/** Waits for all work of the device's primary context; reports the errors of kernels that have
    failed. */
SFA_RUNTIME_API sfa_status sfa_synchronize(int32_t device);

/*===--- Programs -------------------------------------------------------===*/

/** A compiled program: kernels, and how to launch them. */
typedef struct sfa_program sfa_program;

/** Reads a program of `size` bytes, and checks all of it; needs no driver. The bytes are not needed
    afterwards. The caller owns *program. Fails with SFA_ERROR_INVALID_PROGRAM and a message that
    names the field. */
SFA_RUNTIME_API sfa_status sfa_program_load(const void *bytes, size_t size, sfa_program **program);

/** Frees a program and unloads its code from all devices. Nothing that it has launched may still be
    running. NULL is fine. */
SFA_RUNTIME_API void sfa_program_destroy(sfa_program *program);

/** Writes the program as a document that sfa_program_load takes. The caller owns *bytes, to be
    freed with sfa_free. */
SFA_RUNTIME_API sfa_status sfa_program_save(const sfa_program *program, void **bytes, size_t *size);

typedef struct sfa_program_properties {
  /** The version of the compiler and the chip, such as "0.1.0" and "sm_90a". They live as long as
      the program. */
  const char *compiler;
  const char *chip;
  int32_t num_arguments;
  int32_t num_results;
  int32_t num_temporaries;
  int32_t num_launches;
  /** 1 where the image is PTX, which the driver assembles when it loads it; 0 for machine code. */
  int32_t is_ptx;
} sfa_program_properties;

SFA_RUNTIME_API sfa_status sfa_program_info(const sfa_program *program,
                                            sfa_program_properties *properties);

/** What an argument or a result has to be. */
typedef struct sfa_tensor_type {
  /** An sfa_dtype. */
  int32_t dtype;
  int32_t rank;
  /** The first `rank` entries are sizes; -1 where the size is up to the arguments of a call. */
  int64_t shape[SFA_MAX_RANK];
} sfa_tensor_type;

/** The type of argument `index`, from 0. */
SFA_RUNTIME_API sfa_status sfa_program_argument_type(const sfa_program *program, int32_t index,
                                                     sfa_tensor_type *type);

/** The type of result `index`, from 0. */
SFA_RUNTIME_API sfa_status sfa_program_result_type(const sfa_program *program, int32_t index,
                                                   sfa_tensor_type *type);

/** The type of result `index` for these arguments: all sizes are known. The arguments' types and
    shapes are checked, their data and strides are not looked at. */
SFA_RUNTIME_API sfa_status sfa_program_result_for(const sfa_program *program,
                                                  const sfa_tensor *arguments,
                                                  int32_t num_arguments, int32_t index,
                                                  sfa_tensor_type *type);

/** The alignment, in bytes, of the workspace and of each temporary in it. */
#define SFA_WORKSPACE_ALIGNMENT 256

/** How much workspace a launch with these arguments needs, in bytes; may be 0. The arguments' types
    and shapes are checked, their data and strides are not looked at. Fails with
    SFA_ERROR_INVALID_ARGUMENT where the size does not fit in 63 bits. */
SFA_RUNTIME_API sfa_status sfa_program_workspace_bytes(const sfa_program *program,
                                                       const sfa_tensor *arguments,
                                                       int32_t num_arguments, size_t *bytes);

/** Loads the code of the program onto a device, which the first launch does otherwise; the driver
    assembles PTX then. Does nothing where it is loaded. Call it before a launch is captured
    into a graph. Retains the primary context of the device until the program is destroyed.

    Fails with SFA_ERROR_UNSUPPORTED_DEVICE where the chip of the program is not that of the
    device: sm_90a runs on compute capability 9.0 only, PTX for sm_80 on 8.0 and later, machine
    code for sm_80 on 8.0 to 8.9. The message of SFA_ERROR_DRIVER has the driver's log. */
SFA_RUNTIME_API sfa_status sfa_program_prepare(sfa_program *program, int32_t device);

/** Puts the kernels of the program into a stream, in the device's primary context.

    \param stream           a CUstream or cudaStream_t of that context; NULL is the default stream.
    \param arguments        `num_arguments` tensors: types and sizes as the program has them.
    \param results          `num_results` tensors of the shapes of sfa_program_result_for, which the
                            kernels fill; none overlaps anything else.
    \param workspace        memory of the device at a multiple of SFA_WORKSPACE_ALIGNMENT, at least
                            sfa_program_workspace_bytes. Contents do not matter. NULL where that is
                            0. Launches that may run at once need one each.

    Allocates no memory of the device and does not synchronise, so a launch can be captured into a
    graph; the graph then holds the addresses, sizes and numbers of this call. The calling thread's
   current context is the same afterwards. Where anything is wrong with the parameters, nothing is
    launched. */
SFA_RUNTIME_API sfa_status sfa_program_launch(sfa_program *program, int32_t device, void *stream,
                                              const sfa_tensor *arguments, int32_t num_arguments,
                                              const sfa_tensor *results, int32_t num_results,
                                              void *workspace, size_t workspace_bytes);

/** Assembles a program in PTX for a device: *assembled has machine code and loads at once. The
    caller owns it; `program` stays as it is. Fails with SFA_ERROR_INVALID_ARGUMENT where the
    program is machine code already. */
SFA_RUNTIME_API sfa_status sfa_assemble(const sfa_program *program, int32_t device,
                                        sfa_program **assembled);

/*===--- Timers ---------------------------------------------------------===*/

/** One call of a program, captured into a graph to be run and timed again and again. */
typedef struct sfa_timer sfa_timer;

/** Captures a call; the parameters are those of sfa_program_launch, and are checked as there. Loads
    the program where it is not loaded, and launches nothing.

    The graph holds the addresses, sizes and numbers of this call. The program, the memory of all
    tensors and the workspace have to live until the timer is destroyed. The caller owns *timer. On
    failure nothing is left behind. */
SFA_RUNTIME_API sfa_status sfa_timer_create(sfa_program *program, int32_t device,
                                            const sfa_tensor *arguments, int32_t num_arguments,
                                            const sfa_tensor *results, int32_t num_results,
                                            void *workspace, size_t workspace_bytes,
                                            sfa_timer **timer);

/** Runs the call and waits for it. *milliseconds is the time between an event before its first
    kernel and one after its last.

    \param scratch          memory of the device that is overwritten before, so that nothing of
                            earlier work is left in the second-level cache: take several times as
                            much as that holds. NULL where scratch_bytes is 0; the caches are then
                            as the work before has left them, and the time includes what the host
                            takes to launch.

    It runs on a stream of the timer, which does not wait for other streams: synchronise them first.
    Samples of one timer wait for each other; those of several timers of a device may run at once
    and disturb each other. The calling thread's current context is the same afterwards. Not while
    this thread captures a stream into a graph. The first sample takes longer: the driver makes the
    graph ready. */
SFA_RUNTIME_API sfa_status sfa_timer_sample(sfa_timer *timer, void *scratch, size_t scratch_bytes,
                                            float *milliseconds);

/** Frees a timer. NULL is fine. Its call may not be running any more: after a sample that has
    succeeded it is not; after one that has failed, call sfa_synchronize first. */
SFA_RUNTIME_API void sfa_timer_destroy(sfa_timer *timer);

/*===--- Cache ----------------------------------------------------------===*/

/** A directory of files, one for each key, that several processes share. Entries are checked when
    they are read. A cache that cannot be read or written is one that has nothing: beyond wrong
    parameters nothing fails, and at most one warning a process goes to stderr. */
typedef struct sfa_cache sfa_cache;

/** Opens a cache; makes its directory, for this user only, when the first entry is put.

    \param directory  NULL for that of the knob SFA_CACHE_DIR, where not set
                      $XDG_CACHE_HOME/flashsfa, or else ~/.cache/flashsfa.
    \param max_bytes  what all entries together may take; 0 for no cache; negative for the knob
                      SFA_CACHE_SIZE_MB.

    The caller owns *cache. Fails with SFA_ERROR_INVALID_KNOB. */
SFA_RUNTIME_API sfa_status sfa_cache_open(const char *directory, int64_t max_bytes,
                                          sfa_cache **cache);

/** NULL is fine. */
SFA_RUNTIME_API void sfa_cache_close(sfa_cache *cache);

/** The bytes of a key. The caller owns *bytes, to be freed with sfa_free; it is not NULL, also
    for an entry of 0 bytes. SFA_ERROR_NOT_FOUND, which is no reason to worry, where there is no
    entry, or none that can be trusted. */
SFA_RUNTIME_API sfa_status sfa_cache_get(sfa_cache *cache, const void *key, size_t key_size,
                                         void **bytes, size_t *size);

/** Keeps bytes under a key, in place of those that it had. Removes those entries whose last use is
    longest ago where all together take more than the bound; does nothing with bytes that are more
    than the bound by themselves. Succeeds, without an entry, where the directory cannot be
    written. */
SFA_RUNTIME_API sfa_status sfa_cache_put(sfa_cache *cache, const void *key, size_t key_size,
                                         const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* SFA_RUNTIME_H */
