// What a block of sfa.sparsify or sfa.quantize needs of a GPU, for a CPU: its threads take turns,
// each until the next barrier or shuffle.

#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

enum { numThreads = 128, stackBytes = 256 * 1024 };

_Alignas(1024) char sfa_shared[256 * 1024];
static uint32_t thread, block[3], numBlocks;
static char stacks[numThreads][stackBytes];
static ucontext_t threads[numThreads], scheduler;
static bool isDone[numThreads];

uint32_t read_tid_x(void) { return thread; }
uint32_t read_nctaid_x(void) { return numBlocks; }
uint32_t read_ctaid_x(void) { return block[0]; }
uint32_t read_ctaid_y(void) { return block[1]; }
uint32_t read_ctaid_z(void) { return block[2]; }

void cp_async(void *target, const void *source) { memcpy(target, source, 16); }
void cp_async_s(void *target, const void *source, uint32_t bytes) {
  memset(target, 0, 16);
  memcpy(target, source, bytes);
}
void cp_async_commit(void) {}
void cp_async_wait(uint32_t groups) { (void)groups; }
static void yield(void) { swapcontext(&threads[thread], &scheduler); }
void bar_warp_sync(uint32_t lanes) {
  (void)lanes;
  yield();
}
void barrier(uint32_t number) {
  (void)number;
  yield();
}

// What threads pass to others. One may be an exchange ahead of another one.
static uint32_t passed[2][numThreads], count[numThreads];
uint32_t shfl_bfly_i32(uint32_t mask, uint32_t value, uint32_t distance, uint32_t clamp) {
  (void)mask, (void)clamp;
  uint32_t *all = passed[count[thread]++ % 2];
  all[thread] = value;
  yield();
  return all[thread ^ distance];
}

uint32_t prmt(uint32_t low, uint32_t high, uint32_t selector) {
  uint64_t bytes = (uint64_t)high << 32 | low;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    uint32_t choice = selector >> 4 * i & 15, byte = bytes >> 8 * (choice & 7) & 0xFF;
    if (choice & 8)
      byte = byte & 0x80 ? 0xFF : 0;
    result |= byte << 8 * i;
  }
  return result;
}

int32_t dp4a(uint32_t a, uint32_t b, int32_t sum) {
  for (int i = 0; i < 4; ++i)
    sum += (int8_t)(a >> 8 * i) * (int8_t)(b >> 8 * i);
  return sum;
}

typedef struct {
  void *data;
  int64_t rows, batchStride, headStride, rowStride;
} Memory;

static const Memory *memories;

#define WORDS(i)                                                                                   \
  memories[i].data, memories[i].rows, memories[i].batchStride, memories[i].headStride,             \
      memories[i].rowStride
#if NUM_MEMORIES == 2
#define ARGUMENTS WORDS(0), WORDS(1)
#elif NUM_MEMORIES == 3
#define ARGUMENTS WORDS(0), WORDS(1), WORDS(2)
#elif NUM_MEMORIES == 4
#define ARGUMENTS WORDS(0), WORDS(1), WORDS(2), WORDS(3)
#else
#define ARGUMENTS WORDS(0), WORDS(1), WORDS(2), WORDS(3), WORDS(4)
#endif

void kernel();

static void runThread(void) {
  kernel(ARGUMENTS);
  isDone[thread] = true;
}

static void runBlock(void) {
  for (thread = 0; thread < numThreads; ++thread) {
    getcontext(&threads[thread]);
    threads[thread].uc_stack = (stack_t){.ss_sp = stacks[thread], .ss_size = stackBytes};
    threads[thread].uc_link = &scheduler;
    makecontext(&threads[thread], runThread, 0);
    isDone[thread] = false;
  }
  // All of them come to the same barriers.
  while (!isDone[0])
    for (thread = 0; thread < numThreads; ++thread)
      swapcontext(&scheduler, &threads[thread]);
}

void launch(uint32_t batches, uint32_t heads, const Memory *arguments) {
  memories = arguments;
  numBlocks = (memories[0].rows + numThreads - 1) / numThreads;
  for (block[2] = 0; block[2] < batches; ++block[2])
    for (block[1] = 0; block[1] < heads; ++block[1])
      for (block[0] = 0; block[0] < numBlocks; ++block[0])
        runBlock();
}
