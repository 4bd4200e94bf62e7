"""What ptxas and a disassembler say of two versions of a module's PTX."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import machine_code


def find_tool(name, given=None):
    """The path of a tool of the CUDA Toolkit, or None."""
    cuda = os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin")
    return shutil.which(given) if given else shutil.which(name) or shutil.which(name, path=cuda)


class Assembler:
    """`ptxas` and `disassembler` are paths or None. Without a disassembler, instructions of the PTX count."""

    def __init__(self, ptxas, disassembler):
        self.ptxas, self.disassembler = ptxas, disassembler if ptxas else None

    def look(self, ptx, chip):
        """Name to dict of a module's kernels, and the messages of ptxas that ask for attention."""
        kernels, messages, properties = machine_code.read_ptx(ptx), [], {}
        if self.ptxas:
            with tempfile.TemporaryDirectory() as folder:
                source, cubin = Path(folder, "f.ptx"), Path(folder, "f.cubin")
                source.write_text(ptx)
                done = subprocess.run([self.ptxas, f"-arch={chip}", "-v", source, "-o", cubin], capture_output=True, text=True)
                if done.returncode:
                    return {}, [f"ptxas: {done.stderr.strip()[:300]}"]
                messages = re.findall(r"C75\d\d|warning.*", done.stderr)
                properties = self._properties(done.stderr)
                if self.disassembler:
                    option = "-sass" if "cuobjdump" in Path(self.disassembler).name else "-c"
                    text = subprocess.run([self.disassembler, option, cubin], capture_output=True, text=True, check=True)
                    kernels = machine_code.read_disassembly(text.stdout)
        return {name: dict(code=kernel.code(), loops=kernel.main_loops(), **properties.get(name, {}))
                for name, kernel in kernels.items()}, messages

    @staticmethod
    def _properties(text):
        found = {}
        for part in text.split("Compiling entry function '")[1:]:
            numbers = {name: re.search(pattern, part) for name, pattern in (
                ("registers", r"Used (\d+) registers"), ("stack", r"(\d+) bytes stack frame"),
                ("stores", r"(\d+) bytes spill stores"), ("loads", r"(\d+) bytes spill loads"))}
            numbers = {name: int(number[1]) if number else 0 for name, number in numbers.items()}
            found[part.partition("'")[0]] = dict(registers=numbers["registers"], stack=numbers["stack"],
                                                 spills=numbers["stores"] + numbers["loads"])
        return found


class Comparison:
    """Two versions of a module's PTX. `lines` says what differs; `growth` are the ratios of the sizes of main loops."""

    def __init__(self, assembler, old, new, chip):
        (before, old_messages), (after, new_messages) = assembler.look(old, chip), assembler.look(new, chip)
        self.lines, self.growth, self.has_new_spills = [], [], False
        self.has_new_messages = len(new_messages) > len(old_messages) or not set(new_messages) <= set(old_messages)
        if old_messages != new_messages:
            self.lines.append(f"messages of ptxas: {', '.join(old_messages) or 'none'} -> {', '.join(new_messages) or 'none'}")
        # A kernel of another name takes the place of the one that is gone.
        gone, come = ([name for name in names if name not in others] for names, others in ((before, after), (after, before)))
        pairs = [(name, name) for name in before if name in after] + list(zip(gone, come))
        for name in [*gone[len(come):], *come[len(gone):]]:
            self.lines.append(f"{name}: only in the {'old' if name in before else 'new'} one")
        for old_name, new_name in pairs:
            self._add(old_name, new_name, before[old_name], after[new_name])
        self.is_same_code = bool(pairs) and len(pairs) == len(before) == len(after) and all(
            before[a]["code"] == after[b]["code"] for a, b in pairs)

    def _add(self, old_name, new_name, old, new):
        name = old_name if old_name == new_name else f"{old_name} -> {new_name}"
        if old["code"] == new["code"]:
            self.lines.append(f"{name}: the same instructions")
            return
        values = [f"{key} {old.get(key)} -> {new.get(key)}" for key in ("registers", "stack", "spills") if key in new and key in old]
        values.append(f"instructions {len(old['code'])} -> {len(new['code'])}")
        self.has_new_spills |= new.get("spills", 0) > old.get("spills", 0)
        self.lines.append(f"{name}: {', '.join(values)}")
        sizes = [", ".join(map(str, kernel["loops"])) or "none" for kernel in (old, new)]
        if sizes == ["none", "none"]:
            return
        line = f"  main loops: {sizes[0]}" + (f" -> {sizes[1]}" if sizes[0] != sizes[1] else ", as before")
        if len(old["loops"]) == len(new["loops"]):
            growth = [b.size / a.size - 1 for a, b in zip(old["loops"], new["loops"])]
            self.growth += growth
            if sizes[0] != sizes[1]:
                line += f", {max(growth, key=abs):+.1%}"
        self.lines.append(line)
