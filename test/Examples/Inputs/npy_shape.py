"""Prints the element type and the shape of .npy files, without numpy."""

import ast
import sys

for path in sys.argv[1:]:
    with open(path, "rb") as file:
        file.read(8)
        header = ast.literal_eval(file.read(int.from_bytes(file.read(2), "little")).decode())
        print(header["descr"], header["shape"])
