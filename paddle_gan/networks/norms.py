"""Norms of the networks, by name, and their settings in a whole network.

In Paddle 3.3 `nn.LayerNorm` has no second gradient, which a gradient penalty needs. The `LayerNorm` below is therefore
made of operations that have one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.backend import kernels
from paddle_gan.backend.computation import Computation
from paddle_gan.networks.activations import Activation, activation_slope

Norm = Callable[[int], nn.Layer]


class LayerNorm(nn.Layer):
    """Normalises each sample over all its axes; each channel has a scale and a shift (Ba et al. 2016).

    The WGAN-GP paper recommends it for a discriminator with a gradient penalty, because it does not mix samples. In
    contrast to `nn.LayerNorm` it has second gradients. It takes and returns [N, C, ...].

    Args:
        channels: C.
        epsilon: added to the variance.
    """

    def __init__(self, channels: int, epsilon: float = 1e-5):
        super().__init__()
        self.epsilon = epsilon
        self.weight = self.create_parameter([channels], default_initializer=nn.initializer.Constant(1.0))
        self.bias = self.create_parameter([channels], is_bias=True)

    def forward(self, x: Tensor) -> Tensor:
        axes = list(range(1, x.ndim))
        centred = x - x.mean(axes, keepdim=True)
        variance = centred.square().mean(axes, keepdim=True)
        shape = [1, -1] + [1] * (x.ndim - 2)
        return centred * paddle.rsqrt(variance + self.epsilon) * self.weight.reshape(shape) + self.bias.reshape(shape)


class InstanceNorm(nn.Layer):
    """Normalises each channel of each image over its pixels, in training and in use alike (Ulyanov et al. 2016).

    Each channel has a scale and a shift. It takes and returns [N, C, H, W]. It is a batch normalisation whose batches
    are single images, and is computed as one.

    Args:
        channels: C.
        epsilon: added to the variance.

    Attributes:
        computation: how this layer computes, see `layers.images_only`.
    """

    takes_activation = True

    def __init__(self, channels: int, epsilon: float = 1e-5):
        super().__init__()
        self.epsilon = epsilon
        self.weight = self.create_parameter([channels], default_initializer=nn.initializer.Constant(1.0))
        self.bias = self.create_parameter([channels], is_bias=True)
        self.computation = Computation()

    def forward(self, x: Tensor, activation: Activation | None = None) -> Tensor:
        """Normalise x, and apply the activation if there is one. The shape stays."""
        slope = activation_slope(activation)
        computation, parts = self.computation, x.shape[0]
        made = kernels.batch_norm(x, self.weight, self.bias, self.epsilon, parts, slope, computation=computation)
        if made is not None:
            return activation(made.outputs) if activation and slope is None else made.outputs
        y = F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.epsilon)
        return activation(y) if activation else y


class BatchNorm(nn.BatchNorm):
    """`nn.BatchNorm`, computed by `kernels.batch_norm`.

    In contrast to `nn.BatchNorm1D` and `nn.BatchNorm2D` it takes [N, C] as well as [N, C, H, W].

    Args:
        num_channels: C.
        momentum: weight of the old value when the running mean and variance are updated.
        epsilon: added to the variance.

    Attributes:
        parts: number of batches that a batch consists of, see `apart`.
        computation: how this layer computes, see `images_only`.
    """

    takes_activation = True

    def __init__(self, num_channels: int, momentum: float = 0.9, epsilon: float = 1e-5):
        super().__init__(num_channels, momentum=momentum, epsilon=epsilon)
        self.parts = 1
        self.computation = Computation()

    def forward(self, x: Tensor, activation: Activation | None = None) -> Tensor:
        """Normalise x, and apply the activation if there is one. The shape stays."""
        slope = activation_slope(activation)
        y = self._by_batch_statistics(x, slope) if self.training else self._by_running_statistics(x, slope)
        if y is None:
            y, slope = _each(super().forward, x, self.parts), None
        return activation(y) if activation and slope is None else y

    def _by_batch_statistics(self, x: Tensor, slope: float | None) -> Tensor | None:
        scale, shift = self.weight, self.bias
        assert scale is not None and shift is not None
        made = kernels.batch_norm(x, scale, shift, self._epsilon, self.parts, slope, computation=self.computation)
        if made is None:
            return None
        if self._momentum < 1:
            with paddle.no_grad():
                share = paddle.full([], 1 - self._momentum)
                for part in range(self.parts):
                    self._mean.lerp_(made.statistics.mean[part], share)
                    self._variance.lerp_(made.statistics.variance[part], share)
        return made.outputs

    def _by_running_statistics(self, x: Tensor, slope: float | None) -> Tensor | None:
        scale, shift = self.weight, self.bias
        assert scale is not None and shift is not None
        return kernels.fixed_batch_norm(x, self._mean, self._variance, scale, shift, self._epsilon, slope)


class SyncBatchNorm(nn.SyncBatchNorm):
    """`nn.SyncBatchNorm` with the attribute `parts` of `BatchNorm`."""

    parts = 1

    def forward(self, x: Tensor) -> Tensor:
        return _each(super().forward, x, self.parts)


def _each(norm: Activation, x: Tensor, parts: int) -> Tensor:
    return norm(x) if parts == 1 else paddle.concat([norm(part) for part in x.split(parts)])


@contextmanager
def apart(layer: nn.Layer, parts: int) -> Iterator[None]:
    """Within this, the BatchNorms of `layer` treat a batch as `parts` batches, each with its own statistics.

    One forward pass of several batches, one after the other in a tensor, then computes the same as a pass for each
    batch, up to rounding, in fewer and larger operations.

    Args:
        layer: any layer.
        parts: number of batches of equal size.
    """
    norms = [part for part in layer.sublayers(include_self=True) if isinstance(part, (BatchNorm, SyncBatchNorm))]
    try:
        for norm in norms:
            norm.parts = parts
        yield
    finally:
        for norm in norms:
            norm.parts = 1


NORMS: dict[str, Norm | None] = {"batch": BatchNorm, "layer": LayerNorm, "none": None}


def synchronise_norms(layer: nn.Layer) -> None:
    """Replace the BatchNorms in `layer` by ones with statistics over the batches of all processes; on a GPU only.

    Parameters and their names stay. `nn.SyncBatchNorm.convert_sync_batchnorm` would ignore `nn.BatchNorm`.
    """
    for part in layer.sublayers(include_self=True):
        for name, norm in list(part.named_children()):
            if isinstance(norm, nn.BatchNorm):
                synchronised = SyncBatchNorm(norm._mean.shape[0], norm._momentum, norm._epsilon)
                for key, parameter in norm.named_parameters():
                    setattr(synchronised, key, parameter)
                part.add_sublayer(name, synchronised)
