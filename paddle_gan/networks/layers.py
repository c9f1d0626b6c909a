"""Layers of the networks: linear maps, convolutions, pixel shuffle; and the settings of all layers of a network.

Every layer that a discriminator uses has second gradients, because a gradient penalty needs them. In Paddle 3.3
`nn.Flatten`, `nn.PReLU` and others have none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.backend import kernels
from paddle_gan.backend.computation import Computation
from paddle_gan.networks.activations import Activation, activation_slope

# Rows and columns of zeros on each side of the images; "valid" for none, "same" to keep the size at stride 1.
Padding = int | Literal["valid", "same"]


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


class _Normalisable(Protocol):
    weight: Tensor
    spectral: nn.Layer | None


def _weight(layer: _Normalisable) -> Tensor:
    """The weight that the layer computes with: normalised if it has a `spectral`."""
    return layer.spectral(layer.weight) if layer.spectral else layer.weight


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
        return F.linear(x, _weight(self), self.bias)


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
        return F.embedding(x, _weight(self))


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
        weight = _weight(self)
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


class PixelShuffle(nn.PixelShuffle):
    """`nn.PixelShuffle`, computed by `kernels.pixel_shuffle`: [N, factor² C, H, W] to [N, C, factor H, factor W]."""

    def forward(self, x: Tensor) -> Tensor:
        return kernels.pixel_shuffle(x, self._upscale_factor)


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
