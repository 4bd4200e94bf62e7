"""Programs of one module for calls of several sizes, on a driver without a GPU: hints.py"""

from sfa import _library, _module, errors

_GPU = 0


def programs(name, queries, keys, schedule=None):
    text = _module.attention(q_heads=8, kv_heads=2, d=64, dv=64, dtype="bf16", schedule=schedule)
    made, chosen, calls = {}, set(), 0
    for n_q in queries:
        for n_k in keys:
            shapes = [(1, 8, n_q, 64), (1, 2, n_k, 64), (1, 2, n_k, 64)]
            arguments, count, _keep = _library.shapes_of_call(shapes)
            program = _library.jit_program(text, _GPU, arguments, count)
            schedules = _library.jit_schedules(text, CHIP, shapes)
            if made.setdefault(schedules, program) != program:
                print(f"two programs for {schedules}")
            chosen.add(schedules)
            calls += 1
    number = len(set(made.values()))
    print(f"{name}: {calls} calls, {len(chosen)} schedule{'s' * (len(chosen) > 1)}, {number} program{'s' * (number > 1)}")
    return text, made


properties = _library.device_properties(_GPU)
CHIP = "sm_90a" if (properties.capability_major, properties.capability_minor) == (9, 0) else "sm_80"
text, made = programs("few queries", (1, 3), (10, 500, 1000, 1024, 2000, 2048))
programs("many queries", (5000, 6000), (5000, 100000))
programs("splits that are given", (1, 3), (10, 500, 1000, 1024, 2000, 2048), "splits = 2")
print("without sizes:", "one of these" if _library.jit_program(text, _GPU) in made.values() else "another program")
try:
    arguments, count, _keep = _library.shapes_of_call([(1, 8, 1, 64)])
    _library.jit_program(text, _GPU, arguments, count)
except errors.CompileError as error:
    print(f"a shape that is missing: {error}")
