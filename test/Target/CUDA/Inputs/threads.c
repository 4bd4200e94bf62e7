// What a block of sfa.sparsify needs of a GPU, for a CPU: its threads run one after the other.

#include <stdint.h>
#include <string.h>

enum { numThreads = 128 };

_Alignas(1024) char sfa_shared[256 * 1024];
static uint32_t thread, block[3], numBlocks;

uint32_t read_tid_x(void) { return thread; }
uint32_t read_nctaid_x(void) { return numBlocks; }
uint32_t read_ctaid_x(void) { return block[0]; }
uint32_t read_ctaid_y(void) { return block[1]; }
uint32_t read_ctaid_z(void) { return block[2]; }

void cp_async(void *target, const void *source) { memcpy(target, source, 16); }
void cp_async_commit(void) {}
void cp_async_wait(uint32_t groups) { (void)groups; }
void bar_warp_sync(uint32_t lanes) { (void)lanes; }

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

void sparsify(void *, int64_t, int64_t, int64_t, int64_t, void *, int64_t, int64_t, int64_t,
              int64_t, void *, int64_t, int64_t, int64_t, int64_t);

void launch(uint32_t batches, uint32_t heads, Memory x, Memory v, Memory i) {
  numBlocks = (x.rows + numThreads - 1) / numThreads;
  for (block[2] = 0; block[2] < batches; ++block[2])
    for (block[1] = 0; block[1] < heads; ++block[1])
      for (block[0] = 0; block[0] < numBlocks; ++block[0])
        // The first time all threads copy, which is what the second time finds.
        for (int turn = 0; turn < 2; ++turn)
          for (thread = 0; thread < numThreads; ++thread)
            sparsify(x.data, x.rows, x.batchStride, x.headStride, x.rowStride, v.data, v.rows,
                     v.batchStride, v.headStride, v.rowStride, i.data, i.rows, i.batchStride,
                     i.headStride, i.rowStride);
}
