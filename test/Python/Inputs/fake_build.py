"""A build whose rows take so many milliseconds, one after the other and then 1: fake_build.py MS|none|ends..."""

import json
import sys

rows = iter(sys.argv[1:])
for line in sys.stdin:
    request = json.loads(line)
    if request is not None:
        milliseconds = next(rows, "1")
        if milliseconds == "ends":
            sys.exit()
        print(json.dumps("no kernel" if milliseconds == "none" else None), flush=True)
    else:
        print(milliseconds, flush=True)
