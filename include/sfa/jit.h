/*===- jit.h - Compile and run modules of the sfa dialect (C) ---*- C -*-===*\
|*                                                                            *|
|* Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.      *|
|* See LICENSE for license information.                                       *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* libsfa.so: the compiler as a library, and the whole runtime (runtime.h) in *|
|* one. It takes the text of a module with one public function of sfa         *|
|* operations on tensors; what comes out is a program for a GPU, or a         *|
|* function of this CPU.                                                      *|
|*                                                                            *|
|* Errors are those of runtime.h: a status, and sfa_last_error(). All         *|
|* functions may be called from several threads at once.                      *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef SFA_JIT_H
#define SFA_JIT_H

#include "sfa/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Compiles the function `entry` (NULL: the only public one) of the module whose text is `module[0,
    size)` for `chip`, such as "sm_90a"; needs no driver. *bytes is a document that sfa_program_load
    takes, with the kernels as PTX; the caller frees it with sfa_free. Fails with
    SFA_ERROR_INVALID_ARGUMENT and the compiler's diagnostics.

    The shapes of `arguments` are hints, by which the compiler chooses the parameters that schedules
    leave open; the program takes any sizes. Data and types of these tensors do not matter. NULL and
    0 where nobody knows them. */
SFA_RUNTIME_API sfa_status sfa_jit_compile(const char *module, size_t size, const char *entry,
                                           const char *chip, const sfa_tensor *arguments,
                                           int32_t num_arguments, void **bytes, size_t *num_bytes);

/** The schedules that the compiler chooses for a call with arguments of these shapes on `chip`
    (NULL: this CPU), without compiling it: one for each sfa.attention, such as "strategy = dense,
    softmax = lazy, q_tile = 64, ...", with "; " between them. Calls with the same text share a
    program. The caller frees *schedules with sfa_free. */
SFA_RUNTIME_API sfa_status sfa_jit_schedules(const char *module, size_t size, const char *entry,
                                             const char *chip, const sfa_tensor *arguments,
                                             int32_t num_arguments, char **schedules);

/** What the compiler chooses for a call with arguments of these shapes, and why: a JSON array with
   an object for each sfa.attention, in the order of sfa_jit_schedules,
      {"schedule": "strategy = dense, ...", "ground": "measured", "reason": "1.378 ms on ..."}
    where "ground" is "measured" (in a database of tuned schedules), "nearby" (a problem of other
    sizes was measured) or "estimated" (by the cost model). For device `device`; where that is -1,
   for the product of `chip` that is most in use, or for this CPU where `chip` is NULL. The caller
   frees *choices with sfa_free. */
SFA_RUNTIME_API sfa_status sfa_jit_explain(const char *module, size_t size, const char *entry,
                                           const char *chip, int32_t device,
                                           const sfa_tensor *arguments, int32_t num_arguments,
                                           char **choices);

/** The program for a call of the module on device `device` with arguments of these shapes, which
    are hints as for sfa_jit_compile; the multiprocessors are those of the device. It is loaded on
    the device and ready to launch. Calls with the same schedules share it. The first of a process
    takes it from the cache (docs/knobs.md, SFA_CACHE_DIR), or else compiles it to PTX and puts it
    there; the driver assembles it, and has a cache of its own for that; calls of other threads that
    want the same wait. Later calls choose the schedules and look it up, in a few microseconds.
    *program belongs to the library and lives as long as the process. */
SFA_RUNTIME_API sfa_status sfa_jit_program(const char *module, size_t size, const char *entry,
                                           int32_t device, const sfa_tensor *arguments,
                                           int32_t num_arguments, sfa_program **program);

/** A function compiled for this CPU. */
typedef struct sfa_cpu_function sfa_cpu_function;

/** The function of the module for this CPU. As sfa_jit_program, but without hints and without a
    cache on disk. The library keeps the functions that were asked for last, as many as the knob
    SFA_MAX_PROGRAMS says (docs/knobs.md), and compiles another one anew. The caller owns *function,
    a share of the code, which stays until the last share is gone. */
SFA_RUNTIME_API sfa_status sfa_jit_cpu_function(const char *module, size_t size, const char *entry,
                                                sfa_cpu_function **function);

/** Gives a share of a function back; it must not be running. NULL is fine. */
SFA_RUNTIME_API void sfa_cpu_function_destroy(sfa_cpu_function *function);

/** Runs a function on tensors in host memory, on the threads of sfa_get_num_threads, and waits for
    it. Arguments and results are contiguous. The function writes its results into their memory,
    which they share neither with each other nor with arguments; they have the shapes that it gives.
    Fails with SFA_ERROR_INVALID_ARGUMENT where a tensor does not fit, and with
    SFA_ERROR_OUT_OF_MEMORY where the host has none for what is computed on the way. Results hold
    anything after an error. */
SFA_RUNTIME_API sfa_status sfa_cpu_function_run(const sfa_cpu_function *function,
                                                const sfa_tensor *arguments, int32_t num_arguments,
                                                const sfa_tensor *results, int32_t num_results);

/** Sets how many threads run each call of sfa_cpu_function_run that begins afterwards, on any
   thread of the process, the calling thread included: 1 to 1024. 0 goes back to what the
   environment gives: SFA_NUM_THREADS, else OMP_NUM_THREADS, else one for each physical core that
   the process may use (docs/knobs.md). Results are the same for any number. Fails with
    SFA_ERROR_INVALID_ARGUMENT for other numbers. */
SFA_RUNTIME_API sfa_status sfa_set_num_threads(int32_t num_threads);

/** How many threads run a call of sfa_cpu_function_run. Fails with SFA_ERROR_INVALID_KNOB where
    nothing was set and SFA_NUM_THREADS holds no number from 1 to 1024. */
SFA_RUNTIME_API sfa_status sfa_get_num_threads(int32_t *num_threads);

/** How many functions sfa_jit_cpu_function keeps. Fails with SFA_ERROR_INVALID_KNOB where
    SFA_MAX_PROGRAMS holds no number from 1 to 1000000. */
SFA_RUNTIME_API sfa_status sfa_get_max_programs(int32_t *max_programs);

/** The version of LLVM in this library, such as "22.1.8". */
SFA_RUNTIME_API const char *sfa_jit_llvm_version(void);

#ifdef __cplusplus
}
#endif

#endif /* SFA_JIT_H */
