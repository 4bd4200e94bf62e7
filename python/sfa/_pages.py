"""Where what a cache holds is in its pages, and who has which page. Nothing here knows torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from . import _operations, errors

PAGE_SIZES = (16, 32, 64, 128)
ALIGNMENT = 128
"""Of blocks and of their values in bytes, so that all copies of a GPU are aligned."""
BYTES = {"f32": 4, "f16": 2, "bf16": 2, "u8": 1, "u16": 2}


def _align(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


class Layout(NamedTuple):
    """What a block has, which is what a page holds of one KV head: the values of the keys [page_size, topk], their features,
    padding to a multiple of 128 bytes, and the values [page_size, dv]. Without topk the keys are [page_size, d]."""

    d: int
    dv: int
    topk: int | None
    page_size: int
    dtype: str

    @property
    def index_dtype(self) -> str:
        return _operations.index_dtype(self.d)

    @property
    def key_width(self) -> int:
        """Elements of a row of `key_values`."""
        return self.d if self.topk is None else self.topk

    @property
    def indices_offset(self) -> int:
        return self.page_size * self.key_width * BYTES[self.dtype]

    @property
    def values_offset(self) -> int:
        indices = 0 if self.topk is None else self.page_size * self.topk * BYTES[self.index_dtype]
        return _align(self.indices_offset + indices)

    @property
    def block_bytes(self) -> int:
        return _align(self.values_offset + self.page_size * self.dv * BYTES[self.dtype])

    @property
    def bytes_per_token(self) -> int:
        """Of a token and head, without padding."""
        indices = 0 if self.topk is None else self.topk * BYTES[self.index_dtype]
        return (self.key_width + self.dv) * BYTES[self.dtype] + indices


class PageAllocator:
    """Who has which page of a pool: reference-counted pages for sequences, on the host.

    num_pages   pages of the pool: those of a `sfa.KVCache`, or of several that share a block table
    page_size   tokens of a page

    A sequence is a number that `allocate` gives. It has as many pages as its length needs. Pages of forked sequences
    are shared; the last one, where it is not full, is copied for the first sequence that grows in it. Which pages those are is
    what `extend` returns, for `KVCache.copy_pages`.

    Nothing changes where a method raises. Raises TypeError, ValueError (numbers, lengths, sequences that are not there),
    MemoryError (`sfa.errors.MemoryExhaustedError`: no pages left).
    """

    def __init__(self, num_pages: int, page_size: int = 64) -> None:
        self.num_pages = _operations.integer("num_pages", num_pages, 1)
        self.page_size = check_page_size(page_size)
        # Handed out from the end: those that were freed last are the next ones.
        self._free = list(range(self.num_pages - 1, -1, -1))
        self._counts = [0] * self.num_pages
        self._pages: dict[int, list[int]] = {}
        self._lengths: dict[int, int] = {}
        self._next = 0

    @property
    def num_free(self) -> int:
        """Pages that no sequence has."""
        return len(self._free)

    @property
    def sequences(self) -> list[int]:
        """The sequences that there are, oldest first."""
        return list(self._lengths)

    def length(self, sequence: int) -> int:
        """The tokens of a sequence."""
        self._check(sequence)
        return self._lengths[sequence]

    def pages(self, sequence: int) -> list[int]:
        """The numbers of the pages of a sequence, in order."""
        self._check(sequence)
        return list(self._pages[sequence])

    def allocate(self, length: int = 0) -> int:
        """A new sequence of `length` tokens, with pages for them."""
        length = _operations.integer("length", length, 0)
        self._require(self._count(length))
        sequence, self._next = self._next, self._next + 1
        self._lengths[sequence], self._pages[sequence] = length, self._take(self._count(length))
        return sequence

    def grow(self, num_pages: int) -> None:
        """More pages: those from the present number on are free. For pools that were copied into larger ones."""
        num_pages = _operations.integer("num_pages", num_pages, self.num_pages)
        self._free = [*range(num_pages - 1, self.num_pages - 1, -1), *self._free]
        self._counts += [0] * (num_pages - self.num_pages)
        self.num_pages = num_pages

    def extend(self, sequence: int, length: int) -> list[tuple[int, int]]:
        """Gives a sequence pages for `length` tokens, which is at least what it has; see `extend_all`."""
        return self.extend_all({sequence: length})

    def extend_all(self, lengths: Mapping[int, int]) -> list[tuple[int, int]]:
        """Gives each sequence pages for its new length, or none of them anything.

        Returns the pages to copy as pairs (from, to), before anything is written: a page of which another sequence has the
        rest, too, is replaced by a copy."""
        needed, wanted = 0, dict(lengths)
        counts: dict[int, int] = {}
        copied = []
        for sequence, length in wanted.items():
            self._check(sequence)
            before = self._lengths[sequence]
            wanted[sequence] = length = _operations.integer(f"the length of sequence {sequence}", length, before)
            pages = self._pages[sequence]
            needed += self._count(length) - len(pages)
            if length > before and before % self.page_size:
                last = pages[-1]
                count = counts.get(last, self._counts[last])
                if count > 1:
                    counts[last] = count - 1
                    copied.append(sequence)
                    needed += 1
        self._require(needed)
        copies = []
        for sequence in copied:
            pages = self._pages[sequence]
            (page,) = self._take(1)
            copies.append((pages[-1], page))
            self._release(pages[-1:])
            pages[-1] = page
        for sequence, length in wanted.items():
            self._pages[sequence] += self._take(self._count(length) - len(self._pages[sequence]))
            self._lengths[sequence] = length
        return copies

    def fork(self, sequence: int) -> int:
        """A new sequence with the same tokens, in the same pages."""
        self._check(sequence)
        new, self._next = self._next, self._next + 1
        self._lengths[new], self._pages[new] = self._lengths[sequence], list(self._pages[sequence])
        for page in self._pages[new]:
            self._counts[page] += 1
        return new

    def crop(self, sequence: int, length: int) -> None:
        """Forgets the tokens of a sequence from `length` on."""
        self._check(sequence)
        length = _operations.integer("length", length, 0, self._lengths[sequence])
        pages, kept = self._pages[sequence], self._count(length)
        self._release(pages[kept:])
        del pages[kept:]
        self._lengths[sequence] = length

    def free(self, sequence: int) -> None:
        """Ends a sequence: the pages that no other one has are free."""
        self._check(sequence)
        self._release(self._pages.pop(sequence))
        del self._lengths[sequence]

    def table(self, sequences: Iterable[int], max_pages: int | None = None) -> list[list[int]]:
        """The pages of each sequence, filled up with 0 to `max_pages`, the most that one has where None."""
        rows = [self.pages(sequence) for sequence in sequences]
        longest = max([1, *map(len, rows)])
        width = longest if max_pages is None else _operations.integer("max_pages", max_pages, longest)
        return [row + [0] * (width - len(row)) for row in rows]

    def block_table(self, sequences: Iterable[int], max_pages: int | None = None, device=None):
        """`table` as a torch tensor, int32 [sequences, max_pages]."""
        return self._tensor(self.table(sequences, max_pages), device)

    def seqlens(self, sequences: Iterable[int], device=None):
        """The lengths of sequences as a torch tensor, int32 [sequences]."""
        return self._tensor([self.length(sequence) for sequence in sequences], device)

    @staticmethod
    def _tensor(values, device):
        import torch
        return torch.tensor(values, dtype=torch.int32, device=device)

    def _count(self, length):
        return -(-length // self.page_size)

    def _check(self, sequence):
        if sequence not in self._lengths:
            raise errors.ArgumentValueError(f"there is no sequence {sequence!r}; allocate() and fork() give the number of one")

    def _require(self, count):
        if count > len(self._free):
            raise errors.MemoryExhaustedError(
                f"{count} pages are needed and {len(self._free)} of {self.num_pages} are free: free or crop sequences, or make "
                "a cache of more pages")

    def _take(self, count):
        taken = [self._free.pop() for _ in range(count)]
        for page in taken:
            self._counts[page] = 1
        return taken

    def _release(self, pages):
        for page in reversed(pages):
            self._counts[page] -= 1
            if not self._counts[page]:
                self._free.append(page)


def check_page_size(page_size) -> int:
    if _operations.integer("page_size", page_size, 1) not in PAGE_SIZES:
        raise errors.ArgumentValueError(f"page_size is {page_size}; it has to be 16, 32, 64 or 128")
    return int(page_size)
