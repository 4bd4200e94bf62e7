"""Loads all programs of a folder with the runtime, and says what they are.

    load_programs.py FOLDER TEST

TEST is the file of the GPU test, which has the names of those that it launches.
"""

import ast
import ctypes
import json
import re
import sys
from pathlib import Path

from sfa import _library

library = _library.load()
library.sfa_program_load.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p)]
library.sfa_program_destroy.argtypes = [ctypes.c_void_p]
files = sorted(Path(sys.argv[1]).glob("*.json"))
for file in files:
    text, program, properties = file.read_bytes(), ctypes.c_void_p(), _library.ProgramProperties()
    _library.check(library.sfa_program_load(text, len(text), ctypes.byref(program)), f"cannot load {file.stem}")
    _library.check(library.sfa_program_info(program, ctypes.byref(properties)), f"cannot look at {file.stem}")
    print(f"{file.stem}: {properties.chip.decode()}, {properties.num_arguments} arguments, {properties.num_results} results, "
          f"shared memory {json.loads(text)['launches'][0]['shared_bytes']}")
    library.sfa_program_destroy(program)
names = ast.literal_eval(re.search(r"^NAMES = (\(.*?\))$", Path(sys.argv[2]).read_text(), re.M)[1])
if tuple(file.stem for file in files) != names:
    sys.exit(f"the test launches {names}")
print("the test launches these")
