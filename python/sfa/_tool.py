"""A tool inside libsfa.so as a program: `python -I _tool.py LIBRARY NAME ARGUMENTS`, with a NAME such as "tune". Imports nothing
of the package, which would import torch."""

import ctypes
import sys


def main():
    file, name, *arguments = sys.argv[1:]
    words = [word.encode(errors="surrogateescape") for word in (f"sfa-{name}", *arguments)]
    library = ctypes.CDLL(file)
    # As of a C program, NULL follows the arguments.
    return library.sfa_tool_main(name.encode(), len(words), (ctypes.c_char_p * (len(words) + 1))(*words))


if __name__ == "__main__":
    sys.exit(main())
