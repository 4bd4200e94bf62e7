"""Programs of the JIT library by many processes at once, on a driver without a GPU.

    SFA_LIBRARY=libsfa.so SFA_CUDA_DRIVER=driver.so processes.py FOLDER

Every process asks for the same program, with one cache directory for all. Prints a line for each way that the cache can
be; exit status 1, with the reasons, where a process failed or got another program.
"""

import ctypes
import hashlib
import os
import pathlib
import resource
import subprocess
import sys

from sfa import _library, _module

TEXT = _module.densify(4, 64, "f16", 8)


def work():
    """Loads the library, says so, waits for the start, and prints a hash of the program and how it was got."""
    library = _library.load()
    print("ready", flush=True)
    sys.stdin.readline()
    program = _library.jit_program(TEXT, 0)
    size, data = ctypes.c_size_t(), ctypes.c_void_p()
    save = library.sfa_program_save
    save.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    _library.check(save(program, ctypes.byref(data), ctypes.byref(size)), "cannot save the program")
    print(hashlib.sha256(ctypes.string_at(data, size.value)).hexdigest())
    library.sfa_free(data)


def run(count, cache, limit=None):
    """The hashes and what was printed to stderr, of processes that all start at once."""
    def restrict():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    processes = [subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, preexec_fn=restrict,
                                  env={**os.environ, "SFA_CACHE_DIR": str(cache)}) for _ in range(count)]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    results = [process.communicate() for process in processes]
    for process, (_, error) in zip(processes, results):
        if process.returncode:
            sys.exit(f"a process failed: {error}")
    return [out.strip() for out, _ in results], [error for _, error in results]


def require(condition, what, *details):
    if not condition:
        sys.exit(" ".join([f"not so: {what}", *map(str, details)]))


def main(folder):
    cache = folder / "cache"
    hashes, errors = run(16, cache)
    require(len(set(hashes)) == 1 and len(hashes[0]) == 64, "all have the same program", hashes)
    require(not any(errors), "nobody complains", errors)
    files = sorted(path.name for path in cache.iterdir())
    require(len(files) == 1, "one entry is left, and nothing half written", files)
    print("16 processes on an empty cache: the same program")

    entry = next(cache.iterdir())
    written = entry.stat().st_mtime_ns
    content = entry.read_bytes()
    again, _ = run(1, cache)
    require(again == hashes[:1] and entry.stat().st_mtime_ns > written, "the next one takes it from there")
    entry.write_bytes(content[:-100] + bytes(100))
    again, _ = run(1, cache)
    require(again == hashes[:1] and entry.read_bytes() == content, "a damaged entry is written anew")
    print("a damaged entry: the same program")

    # Below a file there is no directory, whoever asks; a limit on files is a full disk.
    (folder / "file").write_text("")
    for name, directory, limit in (("no cache can be written", folder / "file" / "cache", None),
                                   ("the disk is full", folder / "full", 1000)):
        again, errors = run(2, directory, limit)
        require(set(again) == set(hashes), "both have the same program", again)
        require(all(error.count("warning: the kernel cache does not work") == 1 for error in errors),
                "each says so once", errors)
        require(not directory.is_dir() or not any(directory.iterdir()), "nothing is left")
        print(f"{name}: the same program, and a warning")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(pathlib.Path(sys.argv[1]))
    else:
        work()
