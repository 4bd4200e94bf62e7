// What a block of sfa.cache_append needs of a GPU, for a CPU: its threads run one after the other.

#include "gpu_on_cpu.h"

enum { numThreads = 128 };

void kernel();

// CALL calls the kernel with all its arguments, which are words of 8 bytes.
void launch(uint32_t blocks, uint32_t heads, uint32_t batches, const int64_t *words) {
  numBlocks = blocks;
  for (block[2] = 0; block[2] < batches; ++block[2])
    for (block[1] = 0; block[1] < heads; ++block[1])
      for (block[0] = 0; block[0] < numBlocks; ++block[0])
        for (thread = 0; thread < numThreads; ++thread)
          CALL;
}
