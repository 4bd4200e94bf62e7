"""The operations on torch tensors, on CPUs and CUDA devices, and their registration as torch custom
operators in the namespace `sfa`.

A call on ordinary tensors goes straight to the program: no dispatcher, no copy, no host
synchronisation. Whatever torch has to see - tracing by torch.compile and torch.export, fake tensors,
dispatch modes, tensors that require a gradient - goes through the operators."""

import contextlib
import functools

import torch
from torch import Tensor

from . import _operations, errors
from ._plan import CPU, PlanTable, View

is_compiling = torch.compiler.is_compiling

_NAMES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16", torch.uint8: "u8",
          torch.uint16: "u16", torch.int32: "i32"}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
_UINT8 = torch.uint8
_is_grad_enabled = torch.is_grad_enabled
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


def _view(name, tensor):
    kind = tensor.device.type
    if kind not in ("cpu", "cuda"):
        raise errors.ArgumentValueError(
            f"{name} is on {tensor.device}; it has to be on a CUDA device or the CPU")
    dtype = _NAMES.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
    if kind == "cpu":
        return View(tuple(tensor.shape), None, dtype, CPU)
    return View(tuple(tensor.shape), tensor.stride(), dtype, tensor.device.index)


def _contiguous_strides(shape):
    strides = [1]
    for size in shape[:0:-1]:
        strides.append(strides[-1] * max(size, 1))
    return tuple(strides[::-1])


def _add_plan(key, plan, device):
    results = [(shape, _contiguous_strides(shape), _DTYPES[dtype]) for shape, dtype in plan.results]
    plan.extra = device, results, _current_stream
    return _plans.add(key, plan)


def _execute(plan, tensors):
    """Runs a plan; the results as a list."""
    device, specs, current_stream = plan.extra
    results = [allocate(shape, strides, dtype=dtype, device=device)
               for shape, strides, dtype in specs]
    if plan.device == CPU:
        tensors = [tensor.contiguous() for tensor in tensors]
        plan.run([tensor.data_ptr() for tensor in (*tensors, *results)])
        return results
    addresses = [tensor.data_ptr() for tensor in (*tensors, *results)]
    if plan.workspace_bytes:
        # Back to the allocator after the launch: it hands it out again in the order of the stream.
        workspace = allocate((plan.workspace_bytes,), (1,), dtype=_UINT8, device=device)
        plan.launch(addresses, workspace.data_ptr(), current_stream(plan.device))
    else:
        plan.launch(addresses, None, current_stream(plan.device))
    return results


def _is_plain(tensor):
    """Whether nobody but the program has to see an operation on this tensor."""
    return type(tensor) is Tensor and not (tensor.requires_grad and _is_grad_enabled())


def _require_tensor(name, x):
    if not isinstance(x, Tensor):
        raise errors.ArgumentTypeError(
            f"{name} is a {type(x).__name__} beside torch tensors; all have to be of one kind")


#===--- Ordinary tensors -----------------------------------------------------------------------===#

def _sparsify(x, k, two_four, return_dense):
    """All results as a list."""
    key = ("sparsify", x.shape, x.stride(), x.dtype, x.device, k, two_four, return_dense)
    plan = _plans.plans.get(key)
    if plan is None:
        plan = _add_plan(key, _operations.sparsify_plan(_view("x", x), k, two_four, return_dense),
                         x.device)
    return _execute(plan, [x])


def _densify(values, indices, d):
    key = ("densify", values.shape, values.stride(), indices.stride(), values.dtype, indices.dtype,
           values.device, indices.device, d)
    plan = _plans.plans.get(key)
    if plan is None:
        operand = _operations.Operand("codes", _view("codes.values", values),
                                      _view("codes.indices", indices), d)
        plan = _add_plan(key, _operations.densify_plan(operand), values.device)
    return _execute(plan, [values, indices])[0]


def _attention(q, q_indices, q_d, k, k_indices, k_d, v, offsets, topk, causal, window, scale, lse,
               schedule):
    """All results as a list."""
    if q_indices is None and k_indices is None and offsets is None:
        tensors = [q, k, v]
        key = (q.shape, k.shape, v.shape, q.stride(), k.stride(), v.stride(), q.dtype, k.dtype,
               v.dtype, q.device, k.device, v.device, topk, causal, window, scale, lse, schedule)
    else:
        tensors = [tensor for tensor in (q, q_indices, k, k_indices, v) if tensor is not None]
        tensors += offsets or ()
        key = (q_d, k_d, offsets is None, topk, causal, window, scale, lse, schedule,
               *((tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
                 for tensor in tensors))
    try:
        plan = _plans.plans.get(key)
    except TypeError:  # something that is not hashable, which the plan refuses
        plan = None
    if plan is None:
        operands = [
            _operations.Operand(name, _view(name, values),
                                None if indices is None else _view(f"{name}.indices", indices), d)
            for name, values, indices, d in (("q", q, q_indices, q_d), ("k", k, k_indices, k_d))]
        views = offsets and [_view(name, tensor)
                             for name, tensor in zip(_operations.OFFSET_NAMES, offsets)]
        plan = _add_plan(key, _operations.attention_plan(*operands, _view("v", v), views, topk, causal,
                                                         window, scale, lse, schedule), q.device)
    if offsets is not None and plan.device == CPU:
        _operations.check_offset_values([tensor.tolist() for tensor in offsets],
                                        [q.shape[2], k.shape[2]])
    return _execute(plan, tensors)


#===--- Operators ------------------------------------------------------------------------------===#

_operators = torch.library.Library("sfa", "DEF")
_operators.define("sparsify(Tensor x, int k, bool two_four=False) -> (Tensor, Tensor)")
_operators.define("sparsify_and_densify(Tensor x, int k, bool two_four=False) -> (Tensor, Tensor, Tensor)")
_operators.define("densify(Tensor values, Tensor indices, int d) -> Tensor")
_operators.define(
    "attention(Tensor q, Tensor? q_indices, int? q_d, Tensor k, Tensor? k_indices, int? k_d, "
    "Tensor v, int? topk=None, bool causal=False, int? left=None, int? right=None, "
    "float? scale=None, bool return_lse=False, str? schedule=None, Tensor? cu_seqlens_q=None, "
    "Tensor? cu_seqlens_k=None) -> (Tensor, Tensor)")


def _sparsify_operator(x, k, two_four=False):
    return tuple(_sparsify(x, k, two_four, False))


def _sparsify_and_densify_operator(x, k, two_four=False):
    return tuple(_sparsify(x, k, two_four, True))


def _attention_directly(q, q_indices, q_d, k, k_indices, k_d, v, topk=None, causal=False, left=None,
                        right=None, scale=None, return_lse=False, schedule=None,
                        cu_seqlens_q=None, cu_seqlens_k=None):
    """Without return_lse the second result is an empty tensor, one for all calls."""
    window = None if left is None and right is None else (left, right)
    offsets = (cu_seqlens_q, cu_seqlens_k)
    if offsets == (None, None):
        offsets = None
    elif None in offsets:
        raise errors.ArgumentTypeError(
            "one of cu_seqlens_q and cu_seqlens_k is given; give both, or the same twice")
    results = _attention(q, q_indices, q_d, k, k_indices, k_d, v, offsets, topk, causal, window, scale,
                         return_lse, schedule)
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


def _densify_fake(values, indices, d):
    return values.new_empty((*values.shape[:3], d))


def _attention_fake(q, q_indices, q_d, k, k_indices, k_d, v, topk=None, causal=False, left=None,
                    right=None, scale=None, return_lse=False, schedule=None, cu_seqlens_q=None,
                    cu_seqlens_k=None):
    torch._check(q.dim() == 4 and k.dim() == 4 and v.dim() == 4,
                 lambda: "q, k and v have to have 4 dimensions: [batch, heads, tokens, features]")
    rows = tuple(q.shape[:3])
    return (q.new_empty((*rows, v.shape[3])),
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
        keys = keyset.raw_repr()
        if keys not in is_direct:
            look(keyset)
        if is_direct[keys]:
            for place in tensors:
                if arguments[place].requires_grad and _is_grad_enabled():
                    break
            else:
                return implementation(*arguments)
        return record(keyset, *arguments)

    _operators.impl(name, kernel, "Autograd", with_keyset=True)


for _name, _implementation, _fake in (
        ("sparsify", _sparsify_operator, _sparsify_fake),
        ("sparsify_and_densify", _sparsify_and_densify_operator, _sparsify_and_densify_fake),
        ("densify", _densify, _densify_fake),
        ("attention", _attention_operator, _attention_fake)):
    for _key in ("CPU", "CUDA"):
        _operators.impl(_name, _implementation, _key)
    torch.library.register_fake(f"sfa::{_name}", _fake, lib=_operators)
_register_autograd("sparsify", _sparsify_operator, (0,))
_register_autograd("sparsify_and_densify", _sparsify_and_densify_operator, (0,))
_register_autograd("densify", _densify, (0,))
_register_autograd("attention", _attention_directly, (0, 3, 6))

_sparsify_op = torch.ops.sfa.sparsify.default
_sparsify_and_densify_op = torch.ops.sfa.sparsify_and_densify.default
_densify_op = torch.ops.sfa.densify.default
_attention_op = torch.ops.sfa.attention.default


#===--- Entry points ---------------------------------------------------------------------------===#

def check_codes(values, indices, d):
    """Ranges are looked at on a CPU only: on a GPU that would wait for it."""
    if is_compiling() or type(values) is not Tensor:
        return
    _operations.check_codes("codes", _view("values", values), _view("indices", indices), d)
    if values.device.type == "cpu" and indices.numel():
        # uint16 has no max.
        _operations.check_range(int(indices.to(torch.int32).max()), d)


def sparsify(x, k, two_four, return_dense):
    if not is_compiling() and _is_plain(x) and not _num_modes():
        return _sparsify(x, k, two_four, return_dense)
    return (_sparsify_and_densify_op if return_dense else _sparsify_op)(x, k, two_four)


def densify(values, indices, d):
    if not is_compiling():
        _require_tensor("codes.indices", indices)
        if _is_plain(values) and type(indices) is Tensor and not _num_modes():
            return [_densify(values, indices, d)]
    return [_densify_op(values, indices, d)]


def attention(q, q_indices, k, k_indices, v, offsets_q, offsets_k, q_d, k_d, topk, causal, window, scale,
              lse, schedule):
    """All results, as a list or a tuple; without `lse` the second does not matter."""
    offsets = None if offsets_q is None else (offsets_q, offsets_k)
    if window is not None and type(window) is not tuple:
        window = _operations.window_bounds(window)
    if (not is_compiling() and type(q) is Tensor and type(k) is Tensor and type(v) is Tensor
            and not ((q.requires_grad or k.requires_grad or v.requires_grad) and _is_grad_enabled())
            and (q_indices is None or type(q_indices) is Tensor)
            and (k_indices is None or type(k_indices) is Tensor)
            and (offsets is None or (type(offsets_q) is Tensor and type(offsets_k) is Tensor))
            and not _num_modes()):
        return _attention(q, q_indices, q_d, k, k_indices, k_d, v, offsets, topk, causal, window,
                          scale, lse, schedule)
    for name, tensor in (("q", q), ("k", k), ("v", v),
                         *zip(_operations.OFFSET_NAMES, offsets or ())):
        _require_tensor(name, tensor)
    if not is_compiling():
        topk = None if topk is None else _operations.integer("topk", topk, 1)
        scale, causal, lse = _operations.scale_value(scale), bool(causal), bool(lse)
    left, right = _operations.window_bounds(window) or (None, None)
    return _attention_op(q, q_indices, q_d, k, k_indices, k_d, v, topk, causal, left, right, scale,
                         lse, schedule, *(offsets or ()))
