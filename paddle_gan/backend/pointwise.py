"""Several operations on each value by itself in one pass over memory, by oneDNN (a binary primitive with post-ops)."""

import math
from ctypes import c_float, c_int
from enum import IntEnum
from functools import cache
from typing import NamedTuple

import numpy as np
import paddle
from paddle import Tensor

from paddle_gan.backend.dnnl import Argument, attributes, check, engine, library, make, memory_descriptor
from paddle_gan.backend.layout import Layout, values_of
from paddle_gan.backend.primitive import Function, Operand, as_it_is, primitive_function

# With fewer values other ways are as quick: one call of Paddle's, or NumPy.
FEW = 2**16
# The layout of a single number.
NUMBER = Layout((1, 1), (1, 1))
# dnnl_types.h: DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE.
_POST_OP = 32768


class Kind(IntEnum):
    """dnnl_alg_kind_t."""

    SQUARE_ROOT = 0x25
    LINEAR = 0x26
    POWER = 0x30
    MULTIPLY = 0x1FFF1
    MAXIMUM = 0x1FFF2
    DIFFERENCE = 0x1FFF5


class Elementwise(NamedTuple):
    """x becomes √x, alpha · x + beta, or alpha · x to the power beta."""

    kind: Kind
    alpha: float = 0.0
    beta: float = 0.0


class With(NamedTuple):
    """x becomes x · y, or the larger one of both; y is a further tensor, of this layout or of one value."""

    kind: Kind
    layout: Layout


class Added(NamedTuple):
    """x becomes x + scale · the value that was in the destination."""

    scale: float


def pointwise(kind: Kind, layout: Layout, *operations: Elementwise | With | Added) -> Function:
    """The function of two tensors of a layout, and of one for each `With`, that writes to `into`.

    Args:
        kind: what is made of the first two tensors.
        layout: of them and of the result.
        operations: what follows, in this order.
    """
    made = make("post_ops_create")
    inputs = [as_it_is(Argument.SOURCE, layout), as_it_is(Argument.SOURCE_1, layout)]
    for number, operation in enumerate(operations):
        if isinstance(operation, Elementwise):
            alpha, beta = c_float(operation.alpha), c_float(operation.beta)
            status = library().dnnl_post_ops_append_eltwise(made, c_int(operation.kind), alpha, beta)
        elif isinstance(operation, Added):
            status = library().dnnl_post_ops_append_sum(made, c_float(operation.scale), c_int(0), c_int(0))
        else:
            descriptor = memory_descriptor(operation.layout)
            status = library().dnnl_post_ops_append_binary(made, c_int(operation.kind), descriptor)
            inputs.append(Operand(_POST_OP * (number + 1) | Argument.SOURCE_1, operation.layout, descriptor))
        check("post_ops_append", status)
    descriptor = memory_descriptor(layout)
    planned = make("binary_primitive_desc_create", engine(), kind, descriptor, descriptor, descriptor, attributes(made))
    return primitive_function(planned, inputs, [as_it_is(Argument.DESTINATION, layout)])


def row(size: int) -> Layout:
    """The layout of so many values one after another, whatever the shape of their tensor is."""
    return Layout((1, size), (size, 1))


def move_towards(old: Tensor, new: Tensor, share: float) -> None:
    """old ← old + share · (new - old), in place; both contiguous."""
    size = math.prod(old.shape)
    if size < FEW:
        values = values_of(old)
        values += (values_of(new) - values) * np.float32(share)
    else:
        _move(size)(new, old, paddle.full([1], share), into=(old,))


@cache
def _move(size: int) -> Function:
    return pointwise(Kind.DIFFERENCE, row(size), With(Kind.MULTIPLY, NUMBER), Added(1.0))
