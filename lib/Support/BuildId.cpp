//===- BuildId.cpp - What tells this build of the library from others -----===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Support/BuildId.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

#include <elf.h>
#include <link.h>

namespace {
struct Search {
  uintptr_t inside;
  llvm::StringRef found;
};
} // namespace

/// The build id among the notes of one segment.
static llvm::StringRef findInNotes(llvm::StringRef notes) {
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    auto *note = reinterpret_cast<const ElfW(Nhdr) *>(notes.data());
    size_t name = sizeof(*note), content = name + llvm::alignTo(note->n_namesz, 4);
    size_t end = content + llvm::alignTo(note->n_descsz, 4);
    if (end > notes.size())
      break;
    if (note->n_type == NT_GNU_BUILD_ID &&
        notes.substr(name, note->n_namesz) == llvm::StringRef("GNU", 4))
      return notes.substr(content, note->n_descsz);
    notes = notes.drop_front(end);
  }
  return {};
}

static int visit(dl_phdr_info *object, size_t, void *data) {
  auto *search = static_cast<Search *>(data);
  llvm::ArrayRef<ElfW(Phdr)> segments(object->dlpi_phdr, object->dlpi_phnum);
  bool isThis = llvm::any_of(segments, [&](const ElfW(Phdr) & segment) {
    uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
    return segment.p_type == PT_LOAD && search->inside >= begin &&
           search->inside < begin + segment.p_memsz;
  });
  if (!isThis)
    return 0;
  for (const ElfW(Phdr) &segment : segments)
    if (segment.p_type == PT_NOTE && search->found.empty())
      search->found = findInNotes(
          {reinterpret_cast<const char *>(object->dlpi_addr + segment.p_vaddr), segment.p_memsz});
  return 1;
}

std::string sfa::getBuildId() {
  Search search{reinterpret_cast<uintptr_t>(&getBuildId), {}};
  dl_iterate_phdr(visit, &search);
  return llvm::toHex(search.found, /*LowerCase=*/true);
}
