// What a kernel that combines splits needs of a GPU, for a CPU: the lanes of a warp take turns, and
// pass values where they meet in shuffles.

#include <ucontext.h>

#include "gpu_on_cpu.h"

enum { numLanes = 32, numWarps = 4, stackBytes = 1 << 16 };

uint32_t pack_bf16(float high, float low) { return (uint32_t)to_bf16(high) << 16 | to_bf16(low); }
uint32_t pack_f16(float high, float low) { return (uint32_t)to_f16(high) << 16 | to_f16(low); }

static ucontext_t scheduler, lanes[numLanes];
static char stacks[numLanes][stackBytes];
// A lane may be one shuffle ahead of another one.
static uint32_t passed[2][numLanes], count[numLanes];
static int isDone[numLanes];

static uint32_t exchange(uint32_t value, uint32_t source) {
  uint32_t lane = thread % numLanes, *slot = passed[count[lane]++ % 2];
  slot[lane] = value;
  swapcontext(&lanes[lane], &scheduler);
  return slot[source];
}
static float exchange_float(float value, uint32_t source) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  bits = exchange(bits, source);
  memcpy(&value, &bits, 4);
  return value;
}
uint32_t shfl_idx_i32(uint32_t mask, uint32_t value, uint32_t lane, uint32_t clamp) {
  return exchange(value, lane);
}
float shfl_idx_f32(uint32_t mask, float value, uint32_t lane, uint32_t clamp) {
  return exchange_float(value, lane);
}
float shfl_bfly_f32(uint32_t mask, float value, uint32_t distance, uint32_t clamp) {
  return exchange_float(value, thread % numLanes ^ distance);
}

typedef struct {
  char *data;
  int64_t rows, batchStride, headStride, rowStride;
} Memory;

void combine(char *, int64_t, int64_t, int64_t, int64_t, char *, int64_t, int64_t, int64_t, int64_t,
             char *, int64_t, int64_t, int64_t, int64_t, char *, int64_t, int64_t, int64_t,
             int64_t);

static Memory arguments[4];

static void run_lane(void) {
  Memory a = arguments[0], b = arguments[1], c = arguments[2], d = arguments[3];
  combine(a.data, a.rows, a.batchStride, a.headStride, a.rowStride, b.data, b.rows, b.batchStride,
          b.headStride, b.rowStride, c.data, c.rows, c.batchStride, c.headStride, c.rowStride,
          d.data, d.rows, d.batchStride, d.headStride, d.rowStride);
  isDone[thread % numLanes] = 1;
}

static void run_warp(uint32_t warp) {
  for (uint32_t lane = 0; lane < numLanes; ++lane) {
    getcontext(&lanes[lane]);
    lanes[lane].uc_stack.ss_sp = stacks[lane];
    lanes[lane].uc_stack.ss_size = stackBytes;
    lanes[lane].uc_link = &scheduler;
    makecontext(&lanes[lane], run_lane, 0);
    count[lane] = isDone[lane] = 0;
  }
  while (!isDone[numLanes - 1])
    for (uint32_t lane = 0; lane < numLanes; ++lane) {
      thread = warp * numLanes + lane;
      if (!isDone[lane])
        swapcontext(&scheduler, &lanes[lane]);
    }
}

void launch(uint32_t batches, uint32_t heads, Memory outputs, Memory sums, Memory output,
            Memory lse) {
  arguments[0] = outputs, arguments[1] = sums, arguments[2] = output, arguments[3] = lse;
  numBlocks = (output.rows + 3) / 4;
  for (block[2] = 0; block[2] < batches; ++block[2])
    for (block[1] = 0; block[1] < heads; ++block[1])
      for (block[0] = 0; block[0] < numBlocks; ++block[0])
        for (uint32_t warp = 0; warp < numWarps; ++warp)
          run_warp(warp);
}
