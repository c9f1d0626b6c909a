"""Memory layouts of tensors: contiguous, as Paddle makes them, or channels-last, which oneDNN computes fastest.

A channels-last tensor is an ordinary Paddle tensor [N, C, H, W] with other strides. Not about oneDNN's own, blocked
layouts: see `dnnl`.
"""

import math
from ctypes import c_float
from functools import cache
from typing import NamedTuple

import numpy as np
import paddle
from paddle import Tensor

Shape = tuple[int, ...]

# oneDNN computes in blocks of sixteen channels. Images have so few channels that they are treated differently.
FEW_CHANNELS = 3


class Layout(NamedTuple):
    """Where the values of a tensor lie in memory, relative to its address.

    Attributes:
        shape: of the tensor.
        strides: distance of neighbours along each axis, in values.
    """

    shape: Shape
    strides: Shape


@cache
def contiguous(shape: Shape) -> Layout:
    """The layout of a new Paddle tensor: the last axis has stride 1."""
    return Layout(shape, tuple(math.prod(shape[i + 1 :]) for i in range(len(shape))))


@cache
def channels_last(shape: Shape) -> Layout:
    """The layout of a feature map [N, C, H, W] here: channels-last, so that oneDNN need not reorder its values.

    A tensor with up to `FEW_CHANNELS` channels is contiguous instead, because the vectors of the processor would stay
    half empty. So is one of a single pixel, whose two layouts are the same.
    """
    n, c, h, w = shape
    return Layout(shape, (h * w * c, 1, w * c, c)) if c > FEW_CHANNELS and h * w > 1 else contiguous(shape)


def layout_of(tensor: Tensor) -> Layout:
    """The layout of `tensor`. If it is neither contiguous nor channels-last, the tensor is made contiguous in place."""
    layout = Layout(tuple(tensor.shape), tuple(tensor.strides))
    if layout == contiguous(layout.shape) or (len(layout.shape) == 4 and layout == channels_last(layout.shape)):
        return layout
    tensor.contiguous()  # in Paddle this moves the values of the tensor itself
    return contiguous(layout.shape)


def values_of(tensor: Tensor) -> np.ndarray:
    """The values of a float32 tensor on the CPU as an array that shares its memory, while the tensor is alive."""
    shape = tensor.shape
    memory = (c_float * math.prod(shape)).from_address(tensor.data_ptr())  # Paddle's `size` takes longer than all else
    return np.ndarray(shape, np.float32, memoryview(memory), strides=[4 * stride for stride in tensor.strides])


def empty(layout: Layout) -> Tensor:
    """A tensor without values of this layout, which is contiguous or channels-last."""
    if layout == contiguous(layout.shape):
        return paddle.empty(layout.shape)
    n, c, h, w = layout.shape
    return paddle.empty([n, h, w, c]).transpose([0, 3, 1, 2])
