"""Compilers at two revisions, and what they make of a module."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300


class CannotCompare(Exception):
    """There is no compiler to compare with."""


def _run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode:
        raise CannotCompare(f"{' '.join(map(str, command))} failed with status {done.returncode}:\n"
                            f"{(done.stdout + done.stderr).strip()[-4000:]}")
    return done.stdout.strip()


def build(folder):
    """sfa-opt of a build folder, up to date."""
    if not (folder / "build.ninja").is_file():
        raise CannotCompare(f"{folder} is no build folder; configure it with `cmake --preset dev`, or name one with --build")
    _run(["ninja", "-C", folder, "sfa-opt"])
    return folder / "bin/sfa-opt"


def build_revision(revision, folder):
    """sfa-opt of a commit, built in a work tree within the build folder `folder` with the same LLVM."""
    commit = _run(["git", "-C", ROOT, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"])
    tree = folder / "compare-ptx" / commit[:12]
    if not (tree / "CMakeLists.txt").is_file():
        _run(["git", "-C", ROOT, "worktree", "prune"])
        _run(["git", "-C", ROOT, "worktree", "add", "--detach", "--force", tree, commit])
    if not (tree / "build/build.ninja").is_file():
        cache = folder / "CMakeCache.txt"
        found = re.search(r"^MLIR_DIR:\w+=(.+)$", cache.read_text(), re.MULTILINE) if cache.is_file() else None
        _run(["cmake", "--preset", "dev", *([f"-DMLIR_DIR={found[1]}"] if found else [])], cwd=tree)
    # Work trees of several revisions share what ccache has.
    _run(["ninja", "-C", tree / "build", "sfa-opt"],
         env={**os.environ, "CCACHE_BASEDIR": str(tree), "CCACHE_NOHASHDIR": "true"})
    return tree / "build/bin/sfa-opt"


def _launches(text):
    """The launches of kernels, with what their operands are computed from instead of names of values."""
    values, launches = {}, []

    def resolve(line):
        return re.sub(r"%[\w$.-]+", lambda found: values.get(found[0], found[0]), line)

    for line in text.splitlines():
        line = line.strip()
        if line.startswith("func.func"):
            values.clear()
        defined = re.match(r"(%[\w$.:, %-]+) = (.*)", line)
        if defined:
            value = resolve(defined[2])
            constant = re.match(r"arith\.constant (\S+)", value)
            for name in re.findall(r"%[\w$.-]+", defined[1]):
                values[name] = constant[1] if constant else "%" + hashlib.sha256(value.encode()).hexdigest()[:12]
        elif line.startswith("gpu.launch_func"):
            launches.append(resolve(line))
    return launches


def _unescape(text):
    return re.sub(r"\\([0-9A-F]{2})|\\(.)", lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)


class Compiler:
    """sfa-opt of one revision. `results` is a folder in which what it makes is kept, or None."""

    def __init__(self, program, results=None):
        if not os.access(program, os.X_OK):
            raise CannotCompare(f"there is no program {program}; name an sfa-opt or a build folder that has one")
        self.program, self.results = Path(program).absolute(), None
        content = self.program.read_bytes()
        # A script may call anything.
        if results and content.startswith(b"\x7fELF"):
            self.results = results / hashlib.sha256(content).hexdigest()[:16]
            self.results.mkdir(parents=True, exist_ok=True)

    def compile(self, text, chip):
        """dict(ptx=..., launches=[...]), or dict(error=...)."""
        kept = self.results and self.results / (hashlib.sha256(f"{chip} {text}".encode()).hexdigest()[:32] + ".json")
        if kept and kept.is_file():
            return json.loads(kept.read_text())
        result = self._compile(text, chip)
        if kept:
            unfinished = kept.with_suffix(f".{os.getpid()}")
            unfinished.write_text(json.dumps(result))
            unfinished.replace(kept)
        return result

    def _compile(self, text, chip):
        try:
            done = subprocess.run([self.program, "--mlir-disable-threading", f"--sfa-to-ptx=chip={chip}", "-"],
                                  input=text, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return dict(error=f"no end after {SECONDS} s")
        if done.returncode:
            messages = re.findall(r"error: (.*)", done.stderr) or done.stderr.strip().splitlines()[-1:] or ["no message"]
            crash = f"status {done.returncode}: " if done.returncode < 0 or done.returncode > 1 else ""
            return dict(error=crash + "; ".join(messages[:3]))
        ptx = [_unescape(found) for found in re.findall(r'assembly = "((?:[^"\\]|\\.)*)"', done.stdout)]
        return dict(ptx="\n".join(ptx), launches=_launches(done.stdout))
