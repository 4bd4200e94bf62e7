"""The operations on torch tensors, on CPUs and CUDA devices, and their registration as torch custom
operators in the namespace `sfa`.

A call on ordinary tensors goes straight to the program: no dispatcher, no copy, no host
synchronisation. Whatever torch has to see - tracing by torch.compile, torch.export and torch.jit.trace,
fake tensors, dispatch modes, transforms of torch.func, tensors that require a gradient - goes through the
operators, and so do tensors whose memory is not their value, such as those with a negative bit."""

import contextlib
import functools
import warnings

import torch
from torch import Tensor
from torch.autograd import forward_ad

from . import _operations, _threads, errors
from ._plan import CPU, PlanTable, View
from ._watched import Watched, is_transformed, is_watched, refuse_layouts, refuse_tangents

is_compiling = torch.compiler.is_compiling
_threads.watch(torch.get_num_threads)

_NAMES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16", torch.int8: "i8",
          torch.uint8: "u8", torch.uint16: "u16", torch.int32: "i32"}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
_UINT8 = torch.uint8
_is_grad_enabled = torch.is_grad_enabled
# Called with the tensor, these take less time than as its methods. Integers have no negative bit: it comes of complex
# numbers.
_data_ptr, _is_negative = Tensor.data_ptr, Tensor.is_neg
_plans = PlanTable()

allocate = torch.empty_strided
"""Makes every result and the workspace, all contiguous; tests put their own in its place. torch.empty
takes twice as long."""

# The public way to the current stream builds a Python object each time.
_current_stream = getattr(torch._C, "_cuda_getCurrentRawStream", None) or (
    lambda device: torch.cuda.current_stream(device).cuda_stream)
# Whether a __torch_dispatch__ mode wants to see all calls. Where this torch cannot say, one always does.
_num_modes = getattr(torch._C, "_len_torch_dispatch_stack", None) or (lambda: 1)


@contextlib.contextmanager
def use_plans(table):
    """Within, calls look for their plans in `table` and add new ones to it. For those who measure: a
    table belongs to one chip, and may hold plans of its own making."""
    global _plans
    before, _plans = _plans, table
    try:
        yield table
    finally:
        _plans = before


def is_tensor(x):
    return isinstance(x, Tensor)


def _dtype_name(dtype):
    return _NAMES.get(dtype, str(dtype).removeprefix("torch."))


def _view(name, tensor):
    kind = tensor.device.type
    if kind not in ("cpu", "cuda"):
        raise errors.ArgumentValueError(
            f"{name} is on {tensor.device}; it has to be on a CUDA device or the CPU")
    dtype = _dtype_name(tensor.dtype)
    if kind == "cpu":
        return View(tuple(tensor.shape), None, dtype, CPU)
    return View(tuple(tensor.shape), tensor.stride(), dtype, tensor.device.index)


def _operand(name, parts, d, granularity, dtype):
    """Of the tensor of a dense operand, or of the tensors of codes: values, indices and, of 8-bit values, which stand for
    numbers of `dtype`, scales."""
    if len(parts) == 1:
        return _operations.Operand(name, _view(name, parts[0]))
    views = [_view(f"{name}.{part}", tensor) for part, tensor in zip(("values", "indices", "scales"), parts)]
    values, indices, scales = (*views, None)[:3]
    return _operations.Operand(name, values, indices, d, scales, granularity, _dtype_name(dtype))


def _given(*tensors):
    """Those that are not None."""
    return [tensor for tensor in tensors if tensor is not None]


def _contiguous_strides(shape):
    strides = [1]
    for size in shape[:0:-1]:
        strides.append(strides[-1] * max(size, 1))
    return tuple(strides[::-1])


def _add_plan(key, plan, device):
    results = [(shape, _contiguous_strides(shape), _DTYPES[dtype]) for shape, dtype in plan.results]
    plan.extra = device, results, _current_stream
    return _plans.add(key, plan)


def _aligned(tensor):
    """Row-major, and at a multiple of the size of an element; a copy only where that is needed."""
    tensor = tensor.contiguous()
    return tensor.clone() if tensor.data_ptr() % tensor.element_size() else tensor


def _execute(plan, tensors, number=None):
    """Runs a plan; the results as a list. `number` is what its program takes beside the tensors."""
    device, specs, current_stream = plan.extra
    results = []
    for shape, strides, dtype in specs:
        results.append(allocate(shape, strides, dtype=dtype, device=device))
    if plan.device == CPU:
        tensors = [_aligned(tensor) for tensor in tensors]
        plan.run(list(map(_data_ptr, tensors + results)), number)
        return results
    addresses = list(map(_data_ptr, tensors + results))
    if plan.workspace_bytes:
        # Back to the allocator after the launch: it hands it out again in the order of the stream.
        workspace = allocate((plan.workspace_bytes,), (1,), dtype=_UINT8, device=device)
        plan.launch(addresses, workspace.data_ptr(), current_stream(plan.device), number)
    else:
        plan.launch(addresses, None, current_stream(plan.device), number)
    return results


def _is_plain(tensor):
    """Whether nobody but the program has to see an operation on this tensor, as far as that can be told in
    a fraction of a microsecond; `is_watched` looks at the rest where a call has no plan, or fails."""
    return (type(tensor) is Tensor and not (tensor.requires_grad and _is_grad_enabled())
            and not _is_negative(tensor))


def feature_count(x):
    """d of [batch, heads, tokens, d] as an int, also while torch.jit.trace makes tensors of sizes."""
    d = x.shape[3]
    if type(d) is int or not isinstance(d, Tensor):
        return d
    with warnings.catch_warnings():
        # It is a constant of the program, and so it may be one of the trace.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return int(d)


def _require_tensor(name, x):
    if not isinstance(x, Tensor):
        raise errors.ArgumentTypeError(
            f"{name} is a {type(x).__name__} beside torch tensors; all have to be of one kind")


#===--- Ordinary tensors -----------------------------------------------------------------------===#

# `look` says that a call has come here around the dispatcher, so that it has to go back where that was wrong.

def _raise_watched(look, tensors):
    if look and is_watched(tensors):
        raise Watched


def _sparsify(x, k, two_four, return_dense, granularity=None, look=False):
    """All results as a list. `k` is an int."""
    key = ("sparsify", x.shape, x.stride(), x.dtype, x.device, k, two_four, return_dense, granularity)
    plan = _plans.plans.get(key)
    if plan is None:
        _raise_watched(look, (x,))
        plan = _add_plan(key, _operations.sparsify_plan(_view("x", x), k, two_four, return_dense, granularity), x.device)
    return _execute(plan, [x])


def _quantize(values, indices, d, granularity, look=False):
    """Values, indices and scales as a list."""
    if values.device.type == "cuda":
        # A program of a GPU computes each of its results, so none can be the indices that it is given: it finds them anew.
        return _sparsify(_densify(values, indices, d, look=look), values.shape[3], False, False, granularity)
    key = ("quantize", values.shape, indices.shape, values.dtype, indices.dtype, values.device, indices.device, d, granularity)
    plan = _plans.plans.get(key)
    if plan is None:
        _raise_watched(look, (values, indices))
        operand = _operand("codes", (values, indices), d, None, values.dtype)
        plan = _add_plan(key, _operations.quantize_plan(operand, granularity), values.device)
    return _execute(plan, [values, indices])


def _densify(values, indices, d, scales=None, granularity=None, dtype=None, look=False):
    tensors = [values, indices] if scales is None else [values, indices, scales]
    key = ("densify", values.shape, indices.shape, values.stride(), indices.stride(), values.dtype, indices.dtype,
           values.device, indices.device, d, granularity, dtype,
           scales is not None and (scales.shape, scales.stride(), scales.dtype, scales.device))
    plan = _plans.plans.get(key)
    if plan is None:
        _raise_watched(look, tensors)
        operand = _operand("codes", tensors, d, granularity, dtype or values.dtype)
        plan = _add_plan(key, _operations.densify_plan(operand), values.device)
    return _execute(plan, tensors)[0]


def _attention(q, q_indices, q_scales, q_d, q_granularity, k, k_indices, k_scales, k_d, k_granularity, v, offsets, topk,
               topk_granularity, causal, window, scale, lse, schedule, look=False):
    """All results as a list. Options are as `_operations.plain_options` makes them."""
    number = None
    if scale is not None:
        scale, number = _operations.split_scale(scale)
    if q_indices is None and k_indices is None and offsets is None:
        tensors = [q, k, v]
        key = (q.shape, k.shape, v.shape, q.stride(), k.stride(), v.stride(), q.dtype, k.dtype,
               v.dtype, q.device, k.device, v.device, topk, topk_granularity, causal, window, scale, lse, schedule)
    else:
        tensors = _given(q, q_indices, q_scales, k, k_indices, k_scales, v)
        tensors += offsets or ()
        key = (q_d, k_d, q_granularity, k_granularity, q_scales is None, k_scales is None, offsets is None, topk,
               topk_granularity, causal, window, scale, lse, schedule,
               *[(tensor.shape, tensor.stride(), tensor.dtype, tensor.device) for tensor in tensors])
    plan = _plans.plans.get(key)
    if plan is None:
        _raise_watched(look, tensors)
        queries = _operand("q", _given(q, q_indices, q_scales), q_d, q_granularity, v.dtype)
        keys = _operand("k", _given(k, k_indices, k_scales), k_d, k_granularity, v.dtype)
        views = offsets and [_view(name, tensor)
                             for name, tensor in zip(_operations.OFFSET_NAMES, offsets)]
        plan = _add_plan(key, _operations.attention_plan(queries, keys, _view("v", v), views, topk, causal, window, scale,
                                                         lse, schedule, topk_granularity), q.device)
    if offsets is not None and plan.device == CPU:
        _operations.check_offset_values([tensor.tolist() for tensor in offsets],
                                        [q.shape[2], k.shape[2]])
    return _execute(plan, tensors, number)


#===--- Operators ------------------------------------------------------------------------------===#

_operators = torch.library.Library("sfa", "DEF")
_operators.define("sparsify(Tensor x, int k, bool two_four=False) -> (Tensor, Tensor)")
_operators.define("sparsify_and_densify(Tensor x, int k, bool two_four=False) -> (Tensor, Tensor, Tensor)")
_operators.define(
    "sparsify_and_quantize(Tensor x, int k, str granularity, bool two_four=False) -> (Tensor, Tensor, Tensor)")
_operators.define("quantize(Tensor values, Tensor indices, int d, str granularity) -> (Tensor, Tensor, Tensor)")
_operators.define(
    "densify(Tensor values, Tensor indices, int d, Tensor? scales=None, str? granularity=None, "
    "ScalarType? dtype=None) -> Tensor")
_operators.define(
    "attention(Tensor q, Tensor? q_indices, int? q_d, Tensor k, Tensor? k_indices, int? k_d, "
    "Tensor v, int? topk=None, bool causal=False, int? left=None, int? right=None, "
    "float? scale=None, bool return_lse=False, str? schedule=None, Tensor? cu_seqlens_q=None, "
    "Tensor? cu_seqlens_k=None, Tensor? q_scales=None, str? q_granularity=None, Tensor? k_scales=None, "
    "str? k_granularity=None, str? topk_granularity=None) -> (Tensor, Tensor)")


def _sparsify_operator(x, k, two_four=False):
    return tuple(_sparsify(x, k, two_four, False))


def _sparsify_and_densify_operator(x, k, two_four=False):
    return tuple(_sparsify(x, k, two_four, True))


def _sparsify_and_quantize_operator(x, k, granularity, two_four=False):
    return tuple(_sparsify(x, k, two_four, False, _operations.check_granularity("granularity", granularity)))


def _quantize_operator(values, indices, d, granularity):
    return tuple(_quantize(values, indices, d, _operations.check_granularity("granularity", granularity)))


def _attention_directly(q, q_indices, q_d, k, k_indices, k_d, v, topk=None, causal=False, left=None,
                        right=None, scale=None, return_lse=False, schedule=None, cu_seqlens_q=None, cu_seqlens_k=None,
                        q_scales=None, q_granularity=None, k_scales=None, k_granularity=None, topk_granularity=None):
    """Without return_lse the second result is an empty tensor, one for all calls."""
    window = None if left is None and right is None else (left, right)
    if (cu_seqlens_q is None) != (cu_seqlens_k is None):
        raise errors.ArgumentTypeError(
            "one of cu_seqlens_q and cu_seqlens_k is given; give both, or the same twice")
    offsets = None if cu_seqlens_q is None else (cu_seqlens_q, cu_seqlens_k)
    if topk_granularity is not None:
        _operations.check_granularity("topk_granularity", topk_granularity)
    results = _attention(q, q_indices, q_scales, q_d, q_granularity, k, k_indices, k_scales, k_d, k_granularity, v, offsets,
                         topk, topk_granularity, causal, window, scale, return_lse, schedule)
    if return_lse:
        return results[0], results[1]
    return results[0], _no_sums(q.device)


@functools.cache
def _no_sums(device):
    with torch.inference_mode(False):
        return torch.empty(0, dtype=torch.float32, device=device)


def _attention_operator(*arguments):
    """Gradients are recorded on what this returns: the empty tensor has to be a new one."""
    out, sums = _attention_directly(*arguments)
    return out, sums if sums.numel() else sums.clone()


def _sparsify_fake(x, k, two_four=False):
    torch._check(x.dim() == 4, lambda: "x has to have 4 dimensions: [batch, heads, tokens, features]")
    if two_four:
        _operations.check_two_four("sparsify", k, x.shape[3])
    shape = (*x.shape[:3], min(k, x.shape[3]))
    dtype = _DTYPES[_operations.index_dtype(x.shape[3])]
    return x.new_empty(shape), x.new_empty(shape, dtype=dtype)


def _sparsify_and_densify_fake(x, k, two_four=False):
    return *_sparsify_fake(x, k, two_four), x.new_empty(x.shape)


def _scales_fake(values, granularity):
    count = _operations.count_scales(_operations.check_granularity("granularity", granularity), values.shape[2])
    return values.new_empty((*values.shape[:2], count), dtype=torch.float32)


def _sparsify_and_quantize_fake(x, k, granularity, two_four=False):
    values, indices = _sparsify_fake(x, k, two_four)
    return values.to(torch.int8), indices, _scales_fake(values, granularity)


def _quantize_fake(values, indices, d, granularity):
    return (values.new_empty(values.shape, dtype=torch.int8), indices.new_empty(indices.shape),
            _scales_fake(values, granularity))


def _densify_fake(values, indices, d, scales=None, granularity=None, dtype=None):
    return values.new_empty((*values.shape[:3], d), dtype=dtype or values.dtype)


def _attention_fake(q, q_indices, q_d, k, k_indices, k_d, v, topk=None, causal=False, left=None,
                    right=None, scale=None, return_lse=False, schedule=None, cu_seqlens_q=None, cu_seqlens_k=None,
                    q_scales=None, q_granularity=None, k_scales=None, k_granularity=None, topk_granularity=None):
    torch._check(q.dim() == 4 and k.dim() == 4 and v.dim() == 4,
                 lambda: "q, k and v have to have 4 dimensions: [batch, heads, tokens, features]")
    rows = tuple(q.shape[:3])
    return (q.new_empty((*rows, v.shape[3]), dtype=v.dtype),
            q.new_empty(rows if return_lse else (0,), dtype=torch.float32))


def _refuse_backward(context, *gradients):
    raise errors.RunError(
        "flashsfa computes forward only: there is no gradient of its operations yet; call them under "
        "torch.no_grad(), or on tensors that do not require a gradient")


def _register_autograd(name, implementation, tensors):
    """The gradient of an operator: there is none. What torch makes of that sends every call through the
    dispatcher once more, by way of Python both times; where no gradient is asked for and nothing but
    the device comes below, `implementation` is called right away, at half the cost. `tensors` are the
    places of arguments that may require a gradient."""
    try:
        below = torch._C._after_ADInplaceOrView_keyset
        record = torch._library.autograd.make_autograd_impl(
            getattr(torch.ops.sfa, name).default, torch._library.autograd.Info(_refuse_backward, None))
        # Sets of dispatch keys as numbers: their objects are slow to compare.
        is_direct = {}
        torch._C._dispatch_keys(torch.empty(0)).raw_repr()
    except (AttributeError, TypeError):  # another torch: the public way
        torch.library.register_autograd(f"sfa::{name}", _refuse_backward, lib=_operators)
        return

    def look(keyset):
        kind = (keyset & below).highestPriorityTypeId()
        is_direct[keyset.raw_repr()] = kind in (torch._C.DispatchKey.CPU, torch._C.DispatchKey.CUDA)

    def kernel(keyset, *arguments):
        if forward_ad._current_level >= 0:
            refuse_tangents(arguments)
        keys = keyset.raw_repr()
        if keys not in is_direct:
            look(keyset)
        if is_direct[keys]:
            for place in tensors:
                # Of optional tensors at the end the last ones may be missing.
                if (place < len(arguments) and arguments[place] is not None and arguments[place].requires_grad
                        and _is_grad_enabled()):
                    break
            else:
                return implementation(*arguments)
        if is_transformed():
            _refuse_backward(None)  # torch.func.grad: what torch makes of a backward pass knows no transforms
        return record(keyset, *arguments)

    _operators.impl(name, kernel, "Autograd", with_keyset=True)


for _name, _implementation, _fake in (
        ("sparsify", _sparsify_operator, _sparsify_fake),
        ("sparsify_and_densify", _sparsify_and_densify_operator, _sparsify_and_densify_fake),
        ("sparsify_and_quantize", _sparsify_and_quantize_operator, _sparsify_and_quantize_fake),
        ("quantize", _quantize_operator, _quantize_fake),
        ("densify", _densify, _densify_fake),
        ("attention", _attention_operator, _attention_fake)):
    for _key in ("CPU", "CUDA"):
        _operators.impl(_name, _implementation, _key)
    torch.library.register_fake(f"sfa::{_name}", _fake, lib=_operators)
_register_autograd("sparsify", _sparsify_operator, (0,))
_register_autograd("sparsify_and_densify", _sparsify_and_densify_operator, (0,))
_register_autograd("sparsify_and_quantize", _sparsify_and_quantize_operator, (0,))
_register_autograd("quantize", _quantize_operator, (0,))
_register_autograd("densify", _densify, (0, 3))
_register_autograd("attention", _attention_directly, (0, 3, 6, 16, 18))



def _register_vmap(name):
    """torch.vmap over an operator: its batch goes into that of the call, but for sequences, whose batch is 1."""
    operator = getattr(torch.ops.sfa, name).default

    def rule(info, in_dims, *arguments):
        size = info.batch_size
        moved = [x if not isinstance(x, Tensor) else x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
                 for x, dim in zip(arguments, in_dims)]
        if any(isinstance(x, Tensor) and x.dim() == 2 for x in moved):  # offsets
            parts = [operator(*[x[i].contiguous() if isinstance(x, Tensor) else x for x in moved]) for i in range(size)]
            return tuple(torch.stack(results) for results in zip(*parts)), (0, 0)
        results = operator(*[x.flatten(0, 1) if isinstance(x, Tensor) else x for x in moved])
        single = isinstance(results, Tensor)
        results = [(x, None) if x.dim() == 1 else (x.unflatten(0, (size, x.shape[0] // size)), 0)
                   for x in ([results] if single else results)]
        return results[0] if single else tuple(zip(*results))

    if hasattr(torch.library, "register_vmap"):  # without it torch calls the operator for each element
        torch.library.register_vmap(f"sfa::{name}", rule, lib=_operators)


for _name in ("sparsify", "sparsify_and_densify", "sparsify_and_quantize", "quantize", "densify", "attention"):
    _register_vmap(_name)

_sparsify_op = torch.ops.sfa.sparsify.default
_sparsify_and_densify_op = torch.ops.sfa.sparsify_and_densify.default
_sparsify_and_quantize_op = torch.ops.sfa.sparsify_and_quantize.default
_quantize_op = torch.ops.sfa.quantize.default
_densify_op = torch.ops.sfa.densify.default
_attention_op = torch.ops.sfa.attention.default


#===--- Entry points ---------------------------------------------------------------------------===#

def as_dtype(dtype):
    """The dtype that 8-bit codes stand for, as one of torch; others are taken by their names."""
    if isinstance(dtype, torch.dtype):
        return dtype
    name = getattr(dtype, "name", dtype)
    found = getattr(torch, name, None) if isinstance(name, str) else None
    if not isinstance(found, torch.dtype):
        raise errors.ArgumentTypeError(
            f"dtype is {dtype!r}; codes of 8-bit values need that of the numbers which they stand for, such as "
            "torch.bfloat16")
    return found


def check_codes(parts, d, granularity, dtype):
    """`parts` are values, indices and, of 8-bit values, scales. Features and scales are looked at on a CPU only: on a GPU
    that would wait for it."""
    values, indices, *scales = parts
    if is_compiling() or type(values) is not Tensor or values.is_meta:
        return
    refuse_layouts(("values", "indices", "scales"), parts)
    _operations.check_codes(_operand("codes", parts, d, granularity, dtype or values.dtype))
    if values.device.type != "cpu" or not indices.numel() or _num_modes() or is_watched(parts):
        return
    # uint16 has neither max nor cummax.
    features = indices.to(torch.int32)
    _operations.check_range(int(features.max()), d)
    counting = values != 0
    features = torch.where(counting, features, -1)
    before = features.cummax(-1).values[..., :-1]
    wrong = (counting[..., 1:] & (features[..., 1:] <= before)).any(-1)
    if wrong.any():
        row = tuple(wrong.nonzero()[0].tolist())
        _operations.refuse_row(row, features[row][counting[row]].tolist())
    for tensor in scales:
        for place in (tensor <= 0).nonzero().tolist():
            _operations.refuse_scale(place, tensor[tuple(place)].item())


def move(parts, d, granularity, current, device, dtype, non_blocking):
    if isinstance(device, torch.dtype) and dtype is None:
        device, dtype = None, device
    current = current if dtype is None else as_dtype(dtype)
    moved = [x.to(device=device, non_blocking=non_blocking) for x in parts]
    if granularity is None:
        moved[0] = moved[0].to(dtype=current)
    if not is_compiling() and type(moved[0]) is Tensor and not moved[0].is_meta:
        _operations.check_codes(_operand("codes", moved, d, granularity, current))
    return moved, current


concatenate = torch.cat


def pack_indices(indices):
    return indices.view(torch.int16) if indices.dtype is torch.uint16 else indices


def unpack_indices(indices):
    return indices.view(torch.uint16) if indices.dtype is torch.int16 else indices


def allow_in_files(functions):
    torch.serialization.add_safe_globals(functions)


def sparsify(x, k, two_four, return_dense, granularity):
    if not is_compiling():
        if type(k) is not int:
            k = _operations.integer("k", k, 1)
        if _is_plain(x) and not _num_modes() and forward_ad._current_level < 0:
            try:
                return _sparsify(x, k, two_four, return_dense, granularity, True)
            except Watched:
                pass
            except Exception:
                if not is_watched((x,)):
                    raise
        refuse_layouts("x", (x,))
    if granularity is not None:
        return _sparsify_and_quantize_op(x, k, granularity, two_four)
    return (_sparsify_and_densify_op if return_dense else _sparsify_op)(x, k, two_four)


def quantize(values, indices, d, granularity):
    if not is_compiling():
        _require_tensor("codes.indices", indices)
        if (_is_plain(values) and type(indices) is Tensor and not _num_modes() and forward_ad._current_level < 0):
            try:
                return _quantize(values, indices, d, granularity, True)
            except Watched:
                pass
            except Exception:
                if not is_watched((values, indices)):
                    raise
        refuse_layouts(("codes.values", "codes.indices"), (values, indices))
    return _quantize_op(values, indices, d, granularity)


def densify(values, indices, scales, d, granularity, dtype):
    if scales is not None:
        dtype = as_dtype(dtype)
    if not is_compiling():
        _require_tensor("codes.indices", indices)
        if (_is_plain(values) and type(indices) is Tensor and (scales is None or _is_plain(scales)) and not _num_modes()
                and forward_ad._current_level < 0):
            try:
                return [_densify(values, indices, d, scales, granularity, dtype, True)]
            except Watched:
                pass
            except Exception:
                if not is_watched(_given(values, indices, scales)):
                    raise
        refuse_layouts(("codes.values", "codes.indices", "codes.scales"), (values, indices, scales))
    if scales is None:
        return [_densify_op(values, indices, d)]
    return [_densify_op(values, indices, d, scales, granularity, dtype)]


def attention(q, q_indices, q_scales, k, k_indices, k_scales, v, offsets_q, offsets_k, q_d, k_d, q_granularity, k_granularity,
              topk, topk_granularity, causal, window, scale, lse, schedule):
    """All results, as a list or a tuple; without `lse` the second does not matter."""
    offsets = None if offsets_q is None else (offsets_q, offsets_k)
    if is_compiling():
        _require_tensors(q, k, v, offsets)
        if isinstance(scale, Tensor):
            _operations.scale_value(scale)
        window = _operations.window_bounds(window)
    else:
        if window is not None:
            window = _operations.window_bounds(window)
        if ((causal is not True and causal is not False) or (lse is not True and lse is not False)
                or (topk is not None and type(topk) is not int) or (scale is not None and type(scale) is not float)
                or (schedule is not None and type(schedule) is not str)):
            topk, causal, window, scale, lse, schedule = _operations.plain_options(
                topk, causal, window, scale, lse, schedule)
        if (type(q) is Tensor and type(k) is Tensor and type(v) is Tensor
                and not ((q.requires_grad or k.requires_grad or v.requires_grad) and _is_grad_enabled())
                and (q_indices is None or type(q_indices) is Tensor)
                and (k_indices is None or type(k_indices) is Tensor)
                and (q_scales is None or _is_plain(q_scales)) and (k_scales is None or _is_plain(k_scales))
                and (offsets is None or (type(offsets_q) is Tensor and type(offsets_k) is Tensor))
                and not _num_modes() and forward_ad._current_level < 0
                and not (_is_negative(q) or _is_negative(k) or _is_negative(v))):
            try:
                if q_indices is None and k_indices is None and offsets is None:
                    # The key is that of _attention: to look here saves the call.
                    part, number = scale, None
                    if scale is not None:
                        part, number = _operations.split_scale(scale)
                    plan = _plans.plans.get((
                        q.shape, k.shape, v.shape, q.stride(), k.stride(), v.stride(), q.dtype, k.dtype, v.dtype,
                        q.device, k.device, v.device, topk, topk_granularity, causal, window, part, lse, schedule))
                    if plan is not None:
                        return _execute(plan, [q, k, v], number)
                return _attention(q, q_indices, q_scales, q_d, q_granularity, k, k_indices, k_scales, k_d, k_granularity, v,
                                  offsets, topk, topk_granularity, causal, window, scale, lse, schedule, True)
            except Watched:
                pass
            except Exception:
                if not is_watched(_given(q, q_indices, q_scales, k, k_indices, k_scales, v, offsets_q, offsets_k)):
                    raise
        _require_tensors(q, k, v, offsets)
        refuse_layouts(("q", "q.indices", "q.scales", "k", "k.indices", "k.scales", "v", *_operations.OFFSET_NAMES),
                       (q, q_indices, q_scales, k, k_indices, k_scales, v, offsets_q, offsets_k))
    left, right = window or (None, None)
    return _attention_op(q, q_indices, q_d, k, k_indices, k_d, v, topk, causal, left, right, scale, lse, schedule, offsets_q,
                         offsets_k, q_scales, q_granularity, k_scales, k_granularity, topk_granularity)


def attention_request(q, q_indices, q_scales, k, k_indices, k_scales, v, offsets_q, offsets_k, q_d, k_d, q_granularity,
                      k_granularity, topk, topk_granularity, causal, window, scale, lse, schedule):
    """What `attention` would make a plan of; looks at no memory."""
    offsets = None if offsets_q is None else (offsets_q, offsets_k)
    _require_tensors(q, k, v, offsets)
    refuse_layouts(("q", "q.indices", "q.scales", "k", "k.indices", "k.scales", "v", *_operations.OFFSET_NAMES),
                   (q, q_indices, q_scales, k, k_indices, k_scales, v, offsets_q, offsets_k))
    topk, causal, window, scale, lse, schedule = _operations.plain_options(topk, causal, window, scale, lse, schedule)
    if scale is not None:
        scale, _ = _operations.split_scale(scale)
    return _operations.attention_request(
        _operand("q", _given(q, q_indices, q_scales), q_d, q_granularity, v.dtype),
        _operand("k", _given(k, k_indices, k_scales), k_d, k_granularity, v.dtype), _view("v", v),
        offsets and [_view(name, tensor) for name, tensor in zip(_operations.OFFSET_NAMES, offsets)], topk, causal, window,
        scale, lse, schedule, topk_granularity)


def _require_tensors(q, k, v, offsets):
    for name, tensor in (("q", q), ("k", k), ("v", v),
                         *zip(_operations.OFFSET_NAMES, offsets or ())):
        _require_tensor(name, tensor)
