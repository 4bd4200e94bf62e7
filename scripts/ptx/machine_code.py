"""Main loops of kernels, in PTX or in what nvdisasm and cuobjdump print: natural loops that hold a matrix product."""

import re

_PRODUCT = re.compile(r"\b([HIQD]G?MMA)\b|\b(wgmma)\.mma_async|\b(mma)\.sync")
_LABEL = re.compile(r"([.$\w]+):(?!:)\s*")
_ADDRESS = re.compile(r"/\*([0-9a-f]{4,})\*/\s*")


class Loop:
    def __init__(self, instructions):
        self.size = len(instructions)
        self.products = sum(bool(_PRODUCT.search(text)) for text in instructions)

    def __str__(self):
        return f"{self.size} ({self.products} products)"


class Kernel:
    """Instructions of one kernel: their texts, and what labels and addresses stand for."""

    def __init__(self):
        self.instructions, self.places = [], {}

    def label(self, name):
        # Labels of a { } of inline PTX come again.
        self.places.setdefault(name, []).append(len(self.instructions))

    def target(self, name, at):
        """The nearest definition before an instruction, or else the first one behind it."""
        places = self.places.get(name, [])
        before = [place for place in places if place <= at]
        behind = [place for place in places if place > at]
        # A loop of inline PTX: its labels are around the jump, the exit behind it.
        nearest = ([before[-1]] if before else []) + ([behind[0]] if behind else [])
        return min(nearest, key=lambda place: abs(place - at), default=None)

    def _jump(self, at):
        """Where an instruction goes to: (targets, whether it goes on to the next)."""
        text = self.instructions[at]
        is_conditional = text.startswith("@")
        text = re.sub(r"^@!?\S+\s+", "", text)
        operation, _, operands = text.partition(" ")
        if re.match(r"(EXIT|RET|ret|exit)\b", operation):
            return [], is_conditional
        if operation == "brx.idx" or operation.startswith("BRX"):
            return [place for places in self.places.values() for place in places], False
        if re.match(r"(BRA|bra)\b", operation):
            names = re.findall(r"0x[0-9a-f]+|[.$\w]+", operands.replace("`(", " "))
            target = self.target(self._name(names[-1]), at) if names else None
            # A uniform or second predicate stands before the target.
            return [target] if target is not None else [], is_conditional or len(names) > 1
        if operation.startswith("BSYNC"):
            barrier = operands.strip(" ;")
            for before in range(at, -1, -1):
                found = re.match(rf"BSSY\S*\s+{barrier}, (?:`\()?([.$\w]+)", self.instructions[before])
                if found:
                    target = self.target(self._name(found[1]), at)
                    return [target] if target is not None else [], is_conditional
        return [], True

    @staticmethod
    def _name(text):
        return int(text, 16) if text.startswith("0x") else text

    def code(self):
        """The instructions, with places instead of the names of labels."""
        return [re.sub(r"[.$]L[\w$]+", lambda found: str(self.target(found[0], at)), text)
                for at, text in enumerate(self.instructions)]

    def _blocks(self):
        """The first instructions of basic blocks, and the blocks that follow each."""
        jumps = {}
        starts = {0}
        for at in range(len(self.instructions)):
            targets, goes_on = self._jump(at)
            if targets or not goes_on:
                jumps[at] = targets, goes_on
                starts.update(targets)
                starts.add(at + 1)
        starts = sorted(start for start in starts if start < len(self.instructions))
        number = {start: block for block, start in enumerate(starts)}
        follow = []
        for block, start in enumerate(starts):
            end = (starts[block + 1] if block + 1 < len(starts) else len(self.instructions)) - 1
            targets, goes_on = jumps.get(end, ([], True))
            follow.append({number[place] for place in targets + [end + 1] * goes_on if place in number})
        return starts + [len(self.instructions)], follow

    def main_loops(self):
        """The innermost loops with a product, in the order of their first instructions."""
        starts, follow = self._blocks()
        lead = [set() for _ in follow]
        for block, blocks in enumerate(follow):
            for next_block in blocks:
                lead[next_block].add(block)
        reached, stack = {0}, [0]
        while stack:
            for block in follow[stack.pop()] - reached:
                reached.add(block)
                stack.append(block)
        # Sets of dominators as bits.
        everything = (1 << len(follow)) - 1
        dominators = [1 if block == 0 else everything for block in range(len(follow))]
        is_changed = True
        while is_changed:
            is_changed = False
            for block in sorted(reached - {0}):
                common = everything
                for before in lead[block] & reached:
                    common &= dominators[before]
                common |= 1 << block
                is_changed |= common != dominators[block]
                dominators[block] = common
        loops = {}
        for block in reached:
            for header in follow[block]:
                if dominators[block] >> header & 1:
                    body, stack = {header}, [block]
                    while stack:
                        inner = stack.pop()
                        if inner not in body:
                            body.add(inner)
                            stack += lead[inner] & reached
                    loops.setdefault(header, set()).update(body)
        found = []
        for header, body in loops.items():
            loop = Loop([text for block in body for text in self.instructions[starts[block]:starts[block + 1]]])
            if loop.products:
                found.append((header, body, loop))
        return [loop for header, body, loop in sorted(found, key=lambda each: each[0])
                if not any(other < body for _, other, _ in found)]


def _add(kernel, text):
    """Adds a line of code without its comments."""
    while found := _ADDRESS.match(text) or _LABEL.match(text):
        kernel.label(int(found[1], 16) if text.startswith("/*") else found[1])
        text = text[found.end():]
    text = " ".join(text.strip().strip("{}").split())
    if text and not text.startswith((".", "//", "/*")):
        kernel.instructions.append(text)


def read_ptx(text):
    """Name to kernel."""
    kernels, kernel, is_body = {}, None, False
    for line in re.sub(r"//.*", "", text).splitlines():
        entry = re.search(r"\.entry\s+([\w$]+)", line)
        if entry:
            kernel, is_body = kernels.setdefault(entry[1], Kernel()), False
        elif kernel and line.startswith("{"):
            is_body = True
        elif kernel and line.startswith("}"):
            kernel = None
        elif kernel and is_body:
            # An inline { } may have several instructions and labels in a line.
            for part in re.sub(r"^\s*\{|\}\s*$", "", line).split(";"):
                _add(kernel, part.strip())
    return kernels


def read_disassembly(text):
    """Name to kernel, of what `nvdisasm -c` or `cuobjdump -sass` prints."""
    kernels, kernel = {}, None
    for line in text.splitlines():
        start = re.match(r"\.text\.([\w$]+):|\s*Function : ([\w$]+)", line)
        if start:
            kernel = kernels.setdefault(start[1] or start[2], Kernel())
        elif line.startswith("\t.section") and ".text." not in line:
            kernel = None
        elif kernel is not None and re.match(r"\s*/\*[0-9a-f]{4,6}\*/ .*;|\.L", line):
            _add(kernel, line.strip().partition(";")[0])
    return kernels
