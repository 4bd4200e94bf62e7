"""Whether torch has to see an operation: tensors that somebody watches, and those whose memory is not their value."""

import torch
from torch import Tensor
from torch.autograd import forward_ad

from . import errors


def is_transformed():
    """Whether a transform of torch.func, such as vmap, is at work."""
    peek = getattr(getattr(torch._C, "_functorch", None), "peek_interpreter_stack", None)
    return peek is not None and peek() is not None


def is_watched(tensors):
    """Whether torch has to see an operation on these tensors. While torch.jit.trace is at work shapes are
    made of tensors, so that there is never a plan; tensors of torch.func have no address."""
    if torch.jit.is_tracing() or is_transformed():
        return True
    for tensor in tensors:
        if (type(tensor) is not Tensor or tensor.layout is not torch.strided or tensor.is_nested or tensor.is_neg()
                or tensor.is_conj() or tensor._is_zerotensor() or torch._is_functional_tensor(tensor)):
            return True
    return False


class Watched(Exception):
    """An operation has to go through its operator."""


def refuse_layouts(names, tensors):
    """Layouts that no operator takes."""
    for name, tensor in zip(names, tensors):
        if isinstance(tensor, Tensor):
            if tensor.is_nested:
                raise errors.ArgumentTypeError(
                    f"{name} is a nested tensor; it has to be a strided one: put the sequences one after the other "
                    "into a batch of 1, and pass their offsets as cu_seqlens")
            if tensor.layout is not torch.strided:
                raise errors.ArgumentTypeError(
                    f"{name} has layout {tensor.layout}; it has to be torch.strided: pass {name}.to_dense()")


def refuse_tangents(arguments):
    """Forward-mode derivatives: there are none either, and torch would take them for 0."""
    for argument in arguments:
        if isinstance(argument, Tensor) and forward_ad.unpack_dual(argument).tangent is not None:
            raise errors.RunError(
                "flashsfa computes values only: there is no forward-mode derivative of its operations; call them on "
                "tensors without a tangent, such as torch.autograd.forward_ad.unpack_dual(x).primal")
