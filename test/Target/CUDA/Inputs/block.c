// What a block of attention on sm_80 needs of a GPU, for a CPU: its threads take turns, each until
// it passes something to others of its warp or comes to a barrier. The lanes of a warp do so
// together.

#define _GNU_SOURCE
#include <stdbool.h>
#include <ucontext.h>

#include "gpu_on_cpu.h"

enum { numLanes = 32, numThreads = 128, stackBytes = 256 * 1024 };

_Alignas(1024) char sfa_shared[256 * 1024];
static char stacks[numThreads][stackBytes];
static ucontext_t threads[numThreads], scheduler;
static bool isDone[numThreads];

//===--- Arithmetic -------------------------------------------------------===//

static float from_bf16(uint16_t half) {
  uint32_t bits = (uint32_t)half << 16;
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
static float from_f16(uint16_t half) {
  _Float16 x;
  memcpy(&x, &half, 2);
  return x;
}
uint32_t bits_of_bf16(float high, float low) {
  return (uint32_t)to_bf16(high) << 16 | to_bf16(low);
}
uint32_t bits_of_f16(float high, float low) { return (uint32_t)to_f16(high) << 16 | to_f16(low); }

//===--- Warps ------------------------------------------------------------===//

static void yield(void) { swapcontext(&threads[thread], &scheduler); }

// What threads pass to those of their warp. A lane may be one exchange ahead of another one.
typedef struct {
  uint32_t words[10];
} Passed;
static Passed passed[2][numThreads];
static uint32_t count[numThreads];

// What the lanes of the warp pass, the first one's first.
static const Passed *exchange(const Passed *mine) {
  Passed *all = passed[count[thread]++ % 2];
  all[thread] = *mine;
  yield();
  return all + thread / numLanes * numLanes;
}
static uint32_t shuffle(uint32_t value, uint32_t source) {
  Passed mine = {{value}};
  return exchange(&mine)[source % numLanes].words[0];
}
uint32_t shfl_idx_i32(uint32_t mask, uint32_t value, uint32_t lane, uint32_t clamp) {
  return shuffle(value, lane);
}
uint32_t shfl_bfly_i32(uint32_t mask, uint32_t value, uint32_t distance, uint32_t clamp) {
  return shuffle(value, thread % numLanes ^ distance);
}
float shfl_bfly_f32(uint32_t mask, float value, uint32_t distance, uint32_t clamp) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  bits = shuffle(bits, thread % numLanes ^ distance);
  memcpy(&value, &bits, 4);
  return value;
}
uint32_t ballot(uint32_t mask, bool condition) {
  Passed mine = {{condition}};
  const Passed *all = exchange(&mine);
  uint32_t result = 0;
  for (int lane = 0; lane < numLanes; ++lane)
    result |= (all[lane].words[0] & 1) << lane;
  return result;
}
void bar_warp_sync(uint32_t lanes) { shuffle(0, 0); }

// Lane l has the address of row l % 8 of matrix l / 8, and gets two elements of each: of row l / 4,
// or with a transposition of column l / 4.
static void load_matrices(uint32_t *registers, const void *address, bool isTransposed) {
  Passed mine;
  memcpy(mine.words, &address, sizeof address);
  const Passed *all = exchange(&mine);
  uint32_t lane = thread % numLanes;
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint16_t halves[2];
    for (uint32_t i = 0; i < 2; ++i) {
      uint32_t row = isTransposed ? lane % 4 * 2 + i : lane / 4,
               column = isTransposed ? lane / 4 : lane % 4 * 2 + i;
      const uint16_t *start;
      memcpy(&start, all[8 * matrix + row].words, sizeof start);
      halves[i] = start[column];
    }
    memcpy(&registers[matrix], halves, 4);
  }
}
void ldmatrix_x4(uint32_t *registers, const void *address) {
  load_matrices(registers, address, false);
}
void ldmatrix_x4_trans(uint32_t *registers, const void *address) {
  load_matrices(registers, address, true);
}

// mma.m16n8k16: `operands` are four registers of a, two of b and four of c.
static void multiply(float *sums, const uint32_t *operands, float (*widen)(uint16_t)) {
  Passed mine;
  memcpy(mine.words, operands, sizeof mine.words);
  const Passed *all = exchange(&mine);
  uint32_t lane = thread % numLanes, g = lane / 4, t = lane % 4;
  for (uint32_t i = 0; i < 4; ++i) {
    uint32_t row = g + i / 2 * 8, column = 2 * t + i % 2;
    double sum;
    float before;
    memcpy(&before, &operands[6 + i], 4);
    sum = before;
    for (uint32_t k = 0; k < 16; ++k) {
      uint32_t a = all[row % 8 * 4 + k % 8 / 2].words[row / 8 + k / 8 * 2],
               b = all[column * 4 + k % 8 / 2].words[4 + k / 8];
      sum += (double)widen(a >> k % 2 * 16) * widen(b >> k % 2 * 16);
    }
    sums[i] = sum;
  }
}
void mma_bf16(float *sums, const uint32_t *operands) { multiply(sums, operands, from_bf16); }
void mma_f16(float *sums, const uint32_t *operands) { multiply(sums, operands, from_f16); }

//===--- Blocks -----------------------------------------------------------===//

static uint32_t numArrived, phase;
static bool condition, conditionBefore;

static void meet(void) {
  uint32_t mine = phase;
  if (++numArrived == numThreads) {
    numArrived = 0;
    conditionBefore = condition;
    condition = false;
    ++phase;
  }
  do
    yield();
  while (phase == mine);
}
void barrier(uint32_t number) { meet(); }
bool barrier_or(uint32_t number, bool mine) {
  condition |= mine;
  meet();
  return conditionBefore;
}

// Copies are there at once, which no program may tell from later.
void cp_async(void *target, const void *source) { memcpy(target, source, 16); }
void cp_async_s(void *target, const void *source, uint32_t bytes) {
  char piece[16] = {0};
  memcpy(piece, source, bytes);
  memcpy(target, piece, 16);
}
void cp_async_commit(void) {}
void cp_async_wait(uint32_t groups) {}

//===--- Grids ------------------------------------------------------------===//

typedef struct {
  void *data;
  int64_t rows, batchStride, headStride, rowStride;
} Memory;

void prepare();
void attention();

static const Memory *memories;
static bool isAttention;

#define WORDS(i)                                                                                   \
  memories[i].data, memories[i].rows, memories[i].batchStride, memories[i].headStride,             \
      memories[i].rowStride

static void runThread(void) {
  if (isAttention)
    attention(WORDS(0), WORDS(1), WORDS(2), WORDS(3), WORDS(4), WORDS(5));
  else if (ARE_KEYS_CODES)
    prepare(WORDS(0), WORDS(1), WORDS(2));
  else
    prepare(WORDS(0), WORDS(1));
  isDone[thread] = true;
}

static void runBlock(void) {
  memset(sfa_shared, 0xFF, sizeof sfa_shared);
  numArrived = 0;
  for (thread = 0; thread < numThreads; ++thread) {
    getcontext(&threads[thread]);
    threads[thread].uc_stack = (stack_t){.ss_sp = stacks[thread], .ss_size = stackBytes};
    threads[thread].uc_link = &scheduler;
    makecontext(&threads[thread], runThread, 0);
    isDone[thread] = false;
    count[thread] = 0;
  }
  for (bool isAnyLeft = true; isAnyLeft;) {
    isAnyLeft = false;
    for (thread = 0; thread < numThreads; ++thread)
      if (!isDone[thread]) {
        swapcontext(&scheduler, &threads[thread]);
        isAnyLeft = true;
      }
  }
}

void launch(bool runsAttention, uint32_t batches, uint32_t heads, uint32_t tiles,
            const Memory *arguments) {
  isAttention = runsAttention;
  memories = arguments;
  numBlocks = tiles;
  for (block[2] = 0; block[2] < batches; ++block[2])
    for (block[1] = 0; block[1] < heads; ++block[1])
      for (block[0] = 0; block[0] < numBlocks; ++block[0])
        runBlock();
}
