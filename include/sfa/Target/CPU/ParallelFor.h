//===- ParallelFor.h - Run the points of a grid on all cores ----*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TARGET_CPU_PARALLELFOR_H
#define SFA_TARGET_CPU_PARALLELFOR_H

#include "llvm/Support/Error.h"

#include <cstdint>

namespace sfa::cpu {

/// The threads of `sfa_cpu_parallel_for`, the calling one included: those that `setNumThreads` was
/// told last; else those of the knobs SFA_NUM_THREADS and OMP_NUM_THREADS; else one for each
/// physical core that the process may use. Fails when the knob holds rubbish. What the environment
/// gives is fixed for the process by the first call that succeeds.
llvm::Expected<unsigned> getNumThreads();

/// Sets the threads for the calls of `sfa_cpu_parallel_for` that begin afterwards, on all threads
/// of the process: 1 to `knobs::maxNumThreads`, or 0 for those that the environment gives. Fails
/// for other numbers.
llvm::Error setNumThreads(int64_t count);

} // namespace sfa::cpu

/// Calls `body(context, index, scratch)` once for each index from 0 to count - 1, on all threads,
/// and returns when all calls have. Indices are handed out one by one in ascending order, so a grid
/// whose heavy points come first is balanced.
///
/// `scratch` is `scratchBytes` bytes of the calling thread, aligned to 64 bytes, with unknown
/// contents; null when `scratchBytes` is 0. A call from inside a body runs serially on its thread.
/// Where the host has no memory for the scratch of any thread, the call of compiled code that this
/// belongs to (see Executable.h) ends with an error.
///
/// The code that the CPU target generates calls this; `body` must not throw.
extern "C" void sfa_cpu_parallel_for(int64_t count, int64_t scratchBytes,
                                     void (*body)(void *context, int64_t index, void *scratch),
                                     void *context);

#endif // SFA_TARGET_CPU_PARALLELFOR_H
