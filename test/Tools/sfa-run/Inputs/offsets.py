"""Writes numbers to an .npy file of int32.

    offsets.py FILE NUMBER...
"""

import struct
import sys

numbers = [int(text) for text in sys.argv[2:]]
header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({len(numbers)},), }}"
header += " " * (-(len(header) + 11) % 64) + "\n"
with open(sys.argv[1], "wb") as file:
    file.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode())
    file.write(struct.pack(f"<{len(numbers)}i", *numbers))
