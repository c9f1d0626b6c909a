"""Activations of the networks; those that `kernels` fuses with what is before them have a slope."""

from collections.abc import Callable

import paddle
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.backend import kernels

Activation = Callable[[Tensor], Tensor]

SLOPE = 0.2


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2 (Radford et al. 2016, DCGAN, section 3)."""
    return kernels.leaky_relu(x, SLOPE)


def relu(x: Tensor) -> Tensor:
    """max(0, x). In training on a CPU it is faster than `F.relu`."""
    return kernels.leaky_relu(x, 0.0)


# Activations that `kernels` can fuse with a convolution or a norm before them, with their slopes at negative values.
_SLOPES: dict[Activation | None, float] = {leaky_relu: SLOPE, relu: 0.0}


def activation_slope(activation: Activation | None) -> float | None:
    """The slope at negative values of an activation that `kernels` can fuse with what is before it; None for others."""
    return _SLOPES.get(activation)


def mish(x: Tensor) -> Tensor:
    """x · tanh(softplus(x)) (Misra 2019), stable for every x, because no exponential overflows."""
    return x * paddle.tanh(F.softplus(x))
