"""A tensor's value as a number of Python."""

from typing import cast

from paddle import Tensor


def number(tensor: Tensor) -> float:
    """The value of a tensor with one element; the host waits for the device."""
    return cast(float, tensor.item())
