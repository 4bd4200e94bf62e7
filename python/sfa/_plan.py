"""Plans: a compiled program bound to the shapes of one call, so that a repeated call only fills in
addresses. Nothing here knows torch or numpy."""

import array
import ctypes
import itertools
import threading

from . import _library, _threads, errors

_DTYPES = {"f16": _library.F16, "bf16": _library.BF16, "f32": _library.F32, "u8": _library.U8,
           "i8": _library.I8, "u16": _library.U16, "i32": _library.I32, "i64": _library.I64, "f64": _library.F64}

# An sfa_tensor is so many words, the first of which is its address.
_WORDS = ctypes.sizeof(_library.Tensor) // 8

CPU = -1
"""The `device` of a plan for this CPU; GPUs count from 0."""


def device_name(device):
    return "cpu" if device == CPU else f"cuda:{device}"


class View:
    """A tensor without its memory. `strides` in elements, None for a contiguous one; `device` as in
    a plan; `dtype` is f32, f16, bf16, u8, u16 or i32, or the name of another one."""

    __slots__ = ("shape", "strides", "dtype", "device")

    def __init__(self, shape, strides, dtype, device):
        self.shape, self.strides, self.dtype, self.device = shape, strides, dtype, device


def _fill(tensor, view, keep):
    """Writes all of sfa_tensor but the address."""
    rank = len(view.shape)
    sizes = (ctypes.c_int64 * _library.MAX_RANK)(*view.shape)
    keep.append(sizes)
    tensor.dtype, tensor.rank = _DTYPES[view.dtype], rank
    tensor.shape = ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64))
    if view.strides is not None:
        strides = (ctypes.c_int64 * _library.MAX_RANK)(*view.strides)
        keep.append(strides)
        tensor.strides = ctypes.cast(strides, ctypes.POINTER(ctypes.c_int64))


_uses = itertools.count()


class Plan:
    """A program and the shapes of one call.

    module           the text that the program is compiled from, None where nobody has said
    last_use         the number of its last run among those of all plans

    results          for each result its shape, a tuple, and its dtype
    workspace_bytes  memory of the device that a run needs besides
    extra            whatever the caller wants to keep with the plan
    """

    __slots__ = ("device", "module", "last_use", "names", "arguments", "results", "workspace_bytes", "extra",
                 "_function", "_handle", "_destroy", "_frames", "_places", "_takes_number", "_num_arguments", "_num_results")

    def __init__(self, device, names, arguments, results, function, handle=None, takes_number=False):
        """`arguments` and `results` are views, in the order of the program; `names` is what messages
        call the arguments. `function` of the C library runs the program `handle`. With `takes_number` the
        program has one more argument, a number that is given with each run."""
        self.device, self.names = device, names
        self.arguments, self.results = arguments, [(view.shape, view.dtype) for view in results]
        self._takes_number = takes_number
        self._num_arguments, self._num_results = len(arguments) + takes_number, len(results)
        places = range(0, _WORDS * (self._num_arguments + len(results)), _WORDS)
        self._places = (*places[:len(arguments)], *places[self._num_arguments:])
        self._function, self._handle, self._destroy = function, handle, None
        self.module, self.last_use = None, next(_uses)
        self.extra, self.workspace_bytes = None, 0
        self._frames = [self._new_frame()]

    @classmethod
    def of_module(cls, module, device, names, arguments, results, takes_number=False):
        """The plan of a call of `module`, which is compiled for its shapes where no program serves them
        yet."""
        library = _library.load()
        if device == CPU:
            plan = cls(device, names, arguments, results, library.sfa_cpu_function_run,
                       _library.jit_cpu_function(module), takes_number)
            plan.module, plan._destroy = module, library.sfa_cpu_function_destroy
            return plan
        plan, size = cls(device, names, arguments, results, library.sfa_program_launch,
                         takes_number=takes_number), ctypes.c_size_t()
        tensors, count = plan._frames[0][1], plan._num_arguments
        plan.module, plan._handle = module, _library.jit_program(module, device, tensors, count)
        _library.check(library.sfa_program_workspace_bytes(plan._handle, tensors, count, ctypes.byref(size)),
                       "cannot size the workspace")
        plan.workspace_bytes = size.value
        return plan

    def __del__(self):
        # A run holds its plan, so that none is under way.
        destroy = getattr(self, "_destroy", None)
        if destroy is not None:
            destroy(self._handle)

    def _new_frame(self):
        """The C structs of one call in flight: their memory as words, the addresses of arguments and
        of results, what has to stay alive, and the number that the program takes, an array of one."""
        tensors = (_library.Tensor * (self._num_arguments + self._num_results))()
        keep: list[object] = []
        number, numbers = array.array("d", [0.0]), [View((), None, "f64", CPU)] * self._takes_number
        views = self.arguments + numbers + [View(shape, None, dtype, self.device)
                                            for shape, dtype in self.results]
        for tensor, view in zip(tensors, views):
            _fill(tensor, view, keep)
        if self._takes_number:
            tensors[self._num_arguments - 1].data = number.buffer_info()[0]
        first = ctypes.addressof(tensors)
        return (memoryview(tensors).cast("B").cast("Q"), first,
                first + self._num_arguments * ctypes.sizeof(_library.Tensor), keep, number)

    def _take(self, addresses, number):
        self.last_use = next(_uses)
        # A frame belongs to one thread while it runs: list.pop and list.append are atomic.
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._new_frame()
        # `data` of each struct; through ctypes this takes twice as long.
        words = frame[0]
        for place, address in zip(self._places, addresses):
            words[place] = address
        if number is not None:
            frame[4][0] = number
        return frame

    def launch(self, addresses, workspace, stream, number=None):
        """Puts the program into a stream of its GPU. `addresses` are those of the arguments and then
        of the results; `workspace` the address of workspace_bytes, or None; `number` what a program takes
        besides."""
        frame = self._take(addresses, number)
        status = self._function(self._handle, self.device, stream, frame[1], self._num_arguments,
                                frame[2], self._num_results, workspace, self.workspace_bytes)
        self._frames.append(frame)
        if status:
            self._fail(status, addresses)

    def run(self, addresses, number=None):
        """Runs the function on this CPU and waits for it."""
        if _threads.of_torch() != _threads.followed:
            _threads.follow()
        frame = self._take(addresses, number)
        status = self._function(self._handle, frame[1], self._num_arguments, frame[2],
                                self._num_results)
        self._frames.append(frame)
        if status:
            self._fail(status, addresses)

    def _fail(self, status, addresses):
        message = _library.last_error()
        for name, view, address in zip(self.names, self.arguments, addresses):
            if address == 0 and 0 not in view.shape:
                raise errors.ArgumentValueError(
                    f"{name} has no memory, as after its storage was resized to 0; it has to hold its elements")
        if self.device != CPU:
            for name, view, address in zip(self.names, self.arguments, addresses):
                if address % 16 and 0 not in view.shape:
                    raise errors.ArgumentValueError(
                        f"the data of {name} is at {address:#x}; on a GPU it has to be at a multiple "
                        f"of 16 bytes: pass {name}.clone()")
        if status == _library.INVALID_ARGUMENT:
            raise errors.ArgumentValueError(f"{message} [on {device_name(self.device)}]")
        _library.check(status, f"cannot run on {device_name(self.device)}")


class PlanTable:
    """Plans by the key of a call: `plans`, which calls look into without a lock. There are bounds for the number of plans,
    so that changing shapes do not fill the memory, and for the number of modules whose programs they hold: the knob
    SFA_MAX_PROGRAMS. Those whose last use is longest ago go first."""

    __slots__ = ("plans", "limit", "_modules", "_lock")

    def __init__(self, limit=8192):
        self.plans, self.limit = {}, limit
        # The keys of the plans of each module.
        self._modules, self._lock = {}, threading.Lock()

    def add(self, key, plan):
        max_modules = _library.max_programs()
        dropped = [self.plans.get(key)]  # what goes may free its program: after the lock
        with self._lock:
            self.plans[key] = plan
            self._modules.setdefault(plan.module, set()).add(key)
            if len(self._modules) > max_modules:
                ordered = sorted(self._modules, key=lambda module: max(
                    self.plans[key].last_use for key in self._modules[module]))
                for module in ordered[:-max_modules]:
                    dropped += [self._drop(key) for key in list(self._modules[module])]
            if len(self.plans) > self.limit:
                # An eighth at once: to find the oldest takes a look at all.
                ordered = sorted(self.plans, key=lambda key: self.plans[key].last_use)
                dropped += [self._drop(key) for key in ordered[:len(ordered) - self.limit + self.limit // 8]]
        return plan

    def _drop(self, key):
        plan = self.plans.pop(key)
        keys = self._modules[plan.module]
        keys.discard(key)
        if not keys:
            del self._modules[plan.module]
        return plan
