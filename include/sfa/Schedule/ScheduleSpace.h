//===- ScheduleSpace.h - The schedules that a device can run ----*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SCHEDULE_SCHEDULESPACE_H
#define SFA_SCHEDULE_SCHEDULESPACE_H

#include "sfa/Schedule/Problem.h"
#include "sfa/Support/Chip.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <string>

namespace sfa {

/// What a schedule is chosen for: this CPU, or a GPU.
struct Device {
  bool isGpu = false;
  /// The code path: that of Chip, or "cpu"; and the name of the product.
  std::string chip = "cpu", name = "cpu";
  /// Whether it has warpgroup products; see Chip.
  bool hasWarpgroups = false;
  /// The most shared memory of a block.
  int64_t maxSharedBytes = 0;
  /// That of a multiprocessor, of which the system takes some for each block.
  int64_t sharedBytesOfMultiprocessor = 0;
  static constexpr int64_t sharedBytesOfSystem = 1024;
  int64_t multiprocessors = 0;
  /// Peaks; see Chip.
  double productsOfClock = 0, clockGHz = 0, bandwidthGBs = 0;

  static Device cpu();
  /// The product that is most in use of those with this chip; who knows the device says how many
  /// multiprocessors it has and how much shared memory one has.
  static Device of(const Chip &chip);
};

/// What a block of a kernel takes of a multiprocessor.
struct BlockResources {
  int64_t numThreads = 0;
  /// As the lowering places tiles, barriers and marks one after the other.
  int64_t sharedBytes = 0;
  /// Registers of a consumer's thread that hold accumulator, scores, probabilities and kept
  /// queries, beside `reservedRegisters` for all else.
  int64_t tileRegisters = 0;
  /// Those that such a thread has.
  int64_t registersOfThread = 0;

  static constexpr int64_t reservedRegisters = 24;
};

/// The schedules of `problem` that `device` can run, with the parameters that `given` leaves open.
class ScheduleSpace {
public:
  ScheduleSpace(const Problem &problem, const Device &device, const Schedule &given = {})
      : problem(problem), device(device), given(given) {}

  /// Strategies that the operands allow and the device has.
  llvm::SmallVector<Strategy> strategies() const;
  /// Numbers of query heads that may share a tile, the largest first.
  llvm::SmallVector<int64_t> packedHeads() const;

  /// Why the device cannot run `schedule`; empty where it can.
  std::string whyNot(const ResolvedSchedule &schedule) const;

  /// Calls `visit` with each schedule that the device can run: every value of small parameters,
  /// tiles in the steps of the matrix units, powers of two of splits.
  void forEach(llvm::function_ref<void(const ResolvedSchedule &)> visit) const;

private:
  const Problem &problem;
  const Device &device;
  const Schedule given;
};

/// What a block of a kernel for `schedule` takes on a GPU.
BlockResources getBlockResources(const Problem &problem, const Device &device,
                                 const ResolvedSchedule &schedule);

/// Rows of a tile that a warp owns; those of several heads have to be whole heads.
int64_t rowsOfWarp(const ResolvedSchedule &schedule);

/// Whether each of `packedHeads` heads has at least `numQueries` rows of a tile, and a warp rows of
/// one head or of several whole heads.
bool haveRoomFor(const ResolvedSchedule &schedule, int64_t packedHeads, int64_t numQueries);

} // namespace sfa

#endif // SFA_SCHEDULE_SCHEDULESPACE_H
