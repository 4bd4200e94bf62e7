// What the producer of a persistent grid needs of a GPU, for a CPU: one of its threads runs at a
// time, and the boxes that it would have copied are written down.

#include <stdbool.h>
#include <stdint.h>

_Alignas(1024) char sfa_shared[256 * 1024];
static uint32_t thread, block, numBlocks;
static char maps[3][128];

typedef struct {
  int32_t map, column, row, head, batch;
} Box;
static Box *boxes;
static int64_t numBoxes, mostBoxes;

uint32_t read_tid_x(void) { return thread; }
uint32_t read_ctaid_x(void) { return block; }
uint32_t read_nctaid_x(void) { return numBlocks; }
uint32_t shuffle(uint32_t lanes, uint32_t value, uint32_t lane, uint32_t clamp) { return value; }
uint32_t ballot(uint32_t lanes, bool condition) { return condition ? lanes : 0; }

void copy_box(void *target, void *barrier, const void *map, int32_t column, int32_t row,
              int32_t head, int32_t batch, int16_t mask, int64_t hint, bool multicasts, bool hints,
              int32_t group) {
  if (numBoxes < mostBoxes)
    boxes[numBoxes] = (Box){(int32_t)((const char (*)[128])map - maps), column, row, head, batch};
  ++numBoxes;
}

#define MEMORY(rows) (void *)0, (int64_t)(rows), (int64_t)0, (int64_t)0, (int64_t)0
void KERNEL();

// What thread `number` of a block copies, in order; the number of boxes, of which at most `most`
// are written.
int64_t run(uint32_t number, uint32_t ownBlock, uint32_t blocks, int64_t queries, int64_t keys,
            int32_t tiles, int32_t heads, int32_t batches, Box *written, int64_t most) {
  thread = number, block = ownBlock, numBlocks = blocks;
  boxes = written, numBoxes = 0, mostBoxes = most;
  KERNEL(MEMORY(queries), MEMORY(keys), MEMORY(keys), MEMORY(queries), tiles, heads, batches,
         maps[0], maps[1], maps[2]);
  return numBoxes;
}
