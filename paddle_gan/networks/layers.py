"""Layers of the networks: convolutions, norms, activations, pixel shuffle; and the settings of all layers of a network.

Every layer that a discriminator uses has second gradients, because a gradient penalty needs them. In Paddle 3.3
`nn.LayerNorm`, `nn.Flatten`, `nn.PReLU` and others have none. The `LayerNorm` below is therefore made of operations
that have them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.backend import kernels
from paddle_gan.backend.kernels import Computation

Norm = Callable[[int], nn.Layer]
Activation = Callable[[Tensor], Tensor]
# Rows and columns of zeros on each side of the images; "valid" for none, "same" to keep the size at stride 1.
Padding = int | Literal["valid", "same"]

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


def minibatch_deviation(features: Tensor, group: int = 4) -> Tensor:
    """How much the samples of a group differ: the standard deviation of each feature over them, averaged: [N].

    In a linear map after it, this one value does the same as a map that repeats it at each place (Karras et al. 2018,
    progressive GAN, section 3).

    Args:
        features: [N, F].
        group: samples that are compared, those at i, i + N/group, ...; all of them if N is no multiple of it.
    """
    count = features.shape[0]
    group = group if count % group == 0 else count
    groups = features.reshape([group, count // group, -1])
    variance = (groups - groups.mean(0, keepdim=True)).square().mean(0)
    return paddle.sqrt(variance + 1e-8).mean(1).tile([group])


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


class Linear(nn.Linear):
    """`nn.Linear` that can have its weight normalised.

    Args:
        in_features, out_features: sizes of the inputs and of the outputs.

    Attributes:
        spectral: normalises the weight, see `networks.spectral`; None for nothing.
    """

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features)
        self.spectral: nn.Layer | None = None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.spectral(self.weight) if self.spectral else self.weight, self.bias)


class Embedding(nn.Embedding):
    """`nn.Embedding` that can have its weight normalised: labels int64 [N] to [N, features].

    Args:
        classes, features: sizes of the weight.

    Attributes:
        spectral: normalises the weight, see `networks.spectral`; None for nothing.
    """

    def __init__(self, classes: int, features: int):
        super().__init__(classes, features)
        self.spectral: nn.Layer | None = None

    def forward(self, x: Tensor) -> Tensor:
        return F.embedding(x, self.spectral(self.weight) if self.spectral else self.weight)


class Conv2D(nn.Conv2D):
    """`nn.Conv2D` without groups and dilation, computed by `kernels.conv2d`: [N, C, H, W] to [N, K, P, Q].

    Args:
        in_channels, out_channels, kernel_size, stride, bias_attr: as for `nn.Conv2D`.
        padding: rows and columns of zeros on each side; "valid" for none; "same" to keep the size, for stride 1 only.

    Attributes:
        computation: how this layer computes, see `images_only` and `round_factors`.
        spectral: normalises the weight, see `networks.spectral`; None for nothing.
    """

    takes_activation = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: Padding = "valid",
        bias_attr: bool | None = None,
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=padding, bias_attr=bias_attr)
        self.stride = stride
        self.explicit_padding = _explicit_padding(padding, *self.weight.shape[2:])
        self.computation = Computation()
        self.spectral: nn.Layer | None = None

    def forward(self, x: Tensor, activation: Activation | None = None) -> Tensor:
        weight = self.spectral(self.weight) if self.spectral else self.weight
        slope, padding = activation_slope(activation), self.explicit_padding
        y = kernels.conv2d(x, weight, self.bias, self.stride, padding, slope, computation=self.computation)
        return activation(y) if activation and slope is None else y


def _explicit_padding(padding: Padding, rows: int, columns: int) -> kernels.Padding:
    """Padding at the top, left, bottom and right, for filters of so many rows and columns."""
    if padding == "same":
        top, left = (rows - 1) // 2, (columns - 1) // 2
        return top, left, rows - 1 - top, columns - 1 - left
    if padding == "valid":
        return 0, 0, 0, 0
    return padding, padding, padding, padding


class Conv2DTranspose(nn.Conv2DTranspose):
    """`nn.Conv2DTranspose` without groups and dilation, computed by `kernels.conv2d_transpose`.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, output_padding, bias_attr: as for `nn.Conv2DTranspose`.

    Attributes:
        computation: how this layer computes, see `images_only` and `round_factors`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        output_padding: int = 0,
        bias_attr: bool | None = None,
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, output_padding, bias_attr=bias_attr)
        self.stride = stride
        self.explicit_padding = (padding, padding, padding, padding)
        self.explicit_output_padding = output_padding
        self.computation = Computation()

    def forward(self, x: Tensor) -> Tensor:
        return kernels.conv2d_transpose(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.explicit_padding,
            self.explicit_output_padding,
            computation=self.computation,
        )


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


@contextmanager
def images_only(network: nn.Layer) -> Iterator[None]:
    """Within this, the layers of `network` have gradients in images, but not in weights.

    It is for `paddle.grad` in a gradient penalty, which would compute gradients in weights too, in vain. Afterwards the
    same results have gradients in weights again, so a loss that contains the penalty can be differentiated.

    Args:
        network: any layer. For a function that is no layer this does nothing.
    """
    computations = _computations(network)
    previous = [computation.weight_gradients for computation in computations]
    try:
        for computation in computations:
            computation.weight_gradients = False
        yield
    finally:
        for computation, value in zip(computations, previous, strict=True):
            computation.weight_gradients = value


def round_factors(network: nn.Layer, factors: str) -> None:
    """Let the convolutions of `network` on a CPU round what they multiply, from now on.

    Args:
        network: any layer.
        factors: "float32" for no rounding, or "bfloat16" (8 bits of significand). Sums stay float32.
    """
    for computation in _computations(network):
        computation.factors = factors


def _computations(network: nn.Layer) -> list[Computation]:
    if not isinstance(network, nn.Layer):
        return []
    layers = network.sublayers(include_self=True)
    return [layer.computation for layer in layers if hasattr(layer, "computation")]


class PixelShuffle(nn.PixelShuffle):
    """`nn.PixelShuffle`, computed by `kernels.pixel_shuffle`: [N, factor² C, H, W] to [N, C, factor H, factor W]."""

    def forward(self, x: Tensor) -> Tensor:
        return kernels.pixel_shuffle(x, self._upscale_factor)


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
