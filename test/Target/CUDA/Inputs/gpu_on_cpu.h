// What all kernels need of a GPU, for a CPU: who a thread is, and its arithmetic.

#include <math.h>
#include <stdint.h>
#include <string.h>

static uint32_t thread, block[3], numBlocks;

uint32_t read_tid_x(void) { return thread; }
uint32_t read_nctaid_x(void) { return numBlocks; }
uint32_t read_ctaid_x(void) { return block[0]; }
uint32_t read_ctaid_y(void) { return block[1]; }
uint32_t read_ctaid_z(void) { return block[2]; }

float ex2(float x) { return exp2f(x); }
float lg2(float x) { return log2f(x); }
float rcp(float x) { return 1 / x; }

static uint16_t to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return isnan(x) ? 0x7FFF : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}
static uint16_t to_f16(float x) {
  _Float16 half = (_Float16)x;
  uint16_t bits;
  memcpy(&bits, &half, 2);
  return bits;
}
