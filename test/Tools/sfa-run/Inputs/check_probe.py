"""check_probe.py VALUE DATA PROBE: holds what a kernel had for queries 64 to 127 of head 1 against sums formed here."""

import ast
import math
import struct
import sys

HEAD, FIRST_ROW = 1, 64


def read(path):
    """Shape and numbers of a .npy file of f16 or f32."""
    data = open(path, "rb").read()
    length = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:10 + length].decode())
    code = {"<f2": "e", "<f4": "f"}[header["descr"]]
    return header["shape"], [number for number, in struct.iter_unpack("<" + code, data[10 + length:])]


value, data, path = sys.argv[1:]
(_, _, tokens, features), queries = read(data + "_q.npy")
_, keys = read(data + "_k.npy")


def row(numbers, token):
    start = (HEAD * tokens + token) * features
    return numbers[start:start + features]


(batch, tiles, *shape), probe = read(path)
rows, columns = shape[0], 48
assert batch == 1 and rows == 64 and tiles == -(-tokens // columns) and shape[1:] in ([], [columns]), (tiles, shape)
keys = [row(keys, token) for token in range(tokens)]
scale = 1 / math.sqrt(features)
count = 0
for i in range(rows):
    query = row(queries, FIRST_ROW + i)
    dots = [math.fsum(a * b for a, b in zip(query, key)) for key in keys]
    best = -math.inf
    for tile in range(-(-(FIRST_ROW + rows) // columns)):
        seen = range(tile * columns, min((tile + 1) * columns, FIRST_ROW + i + 1))
        best = max([best, *(dots[key] for key in seen)])
        if value == "state0":
            found, expected = [probe[tile * rows + i]], [best]
        else:
            start = (tile * rows + i) * columns
            found = probe[start:start + columns]
            expected = [dots[key] if key < tokens else 0.0 for key in range(tile * columns, (tile + 1) * columns)]
            if value != "scores":
                expected = [dot if tile * columns + j in seen else -math.inf for j, dot in enumerate(expected)]
            if value == "probabilities":
                expected = [math.exp((dot - best) * scale) for dot in expected]
        for j, (a, b) in enumerate(zip(found, expected)):
            if not (a == b or abs(a - b) <= 1e-4 * (1 + abs(b))):
                sys.exit(f"{value} of query {FIRST_ROW + i}, number {j} of key tile {tile} is {a}, expected {b}")
            count += 1
print(f"right: {count} numbers of head {HEAD}")
