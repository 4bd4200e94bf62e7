/*===- NewerGlibc.c - What objects compiled for a newer glibc call -*- C -*-===*\
|*                                                                            *|
|* Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.      *|
|* See LICENSE for license information.                                       *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Packages are linked against the symbols of an old glibc, while LLVM, the   *|
|* C++ library and our own objects are compiled with the headers of a newer   *|
|* one. This file defines what they call that the old one does not have.      *|
|* scripts/old-glibc.sh puts it into the archive that stands beside the old   *|
|* libc. All of it is hidden: nothing outside of a binary sees it.            *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/single_threaded.h>

/* glibc 2.32. The C++ library counts references without atomic instructions where this is true.
   Nobody sets it here when a thread starts, so it is never true. */
char __libc_single_threaded = 0;

/* glibc 2.33, for statistics of LLVM. The old function has the same fields as int, which wrap at 4
 * GiB. */
struct mallinfo2 mallinfo2(void) {
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
  struct mallinfo narrow = mallinfo();
  struct mallinfo2 wide = {
      .arena = (unsigned)narrow.arena,
      .ordblks = (unsigned)narrow.ordblks,
      .smblks = (unsigned)narrow.smblks,
      .hblks = (unsigned)narrow.hblks,
      .hblkhd = (unsigned)narrow.hblkhd,
      .usmblks = (unsigned)narrow.usmblks,
      .fsmblks = (unsigned)narrow.fsmblks,
      .uordblks = (unsigned)narrow.uordblks,
      .fordblks = (unsigned)narrow.fordblks,
      .keepcost = (unsigned)narrow.keepcost,
  };
  return wide;
}

/* glibc 2.36, for std::random_device. It cannot fail, and so neither may this. */
unsigned arc4random(void) {
  unsigned number;
  ssize_t got;
  do
    got = getrandom(&number, sizeof number, 0);
  while (got < 0 && errno == EINTR);
  if (got != sizeof number)
    abort();
  return number;
}

struct search {
  ElfW(Addr) address;
  struct dl_find_object *result;
};

/* Stops with 1 at the binary that has the address in a segment. */
static int find_in_binary(struct dl_phdr_info *binary, size_t size, void *data) {
  struct search *search = data;
  int found = 0;
  const ElfW(Phdr) *eh_frame = NULL;
  (void)size;
  for (ElfW(Half) i = 0; i < binary->dlpi_phnum; ++i) {
    const ElfW(Phdr) *header = &binary->dlpi_phdr[i];
    ElfW(Addr) start = binary->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_GNU_EH_FRAME) {
      eh_frame = header;
    } else if (header->p_type == PT_LOAD && search->address - start < header->p_memsz) {
      found = 1;
      search->result->dlfo_map_start = (void *)start;
      search->result->dlfo_map_end = (void *)(start + header->p_memsz);
    }
  }
  if (found && eh_frame)
    search->result->dlfo_eh_frame = (void *)(binary->dlpi_addr + eh_frame->p_vaddr);
  return found;
}

/* glibc 2.35, by which the unwinder of libgcc finds the frames of an exception. Of the result it
   reads dlfo_eh_frame alone; dlfo_link_map stays NULL. */
int _dl_find_object(void *address, struct dl_find_object *result) {
  struct search search = {(ElfW(Addr))address, result};
  memset(result, 0, sizeof *result);
  return dl_iterate_phdr(find_in_binary, &search) == 1 && result->dlfo_eh_frame ? 0 : -1;
}
