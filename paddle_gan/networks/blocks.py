"""Building blocks of the networks: the ConvBN unit, its gated form, and the initialisations by name."""

from collections.abc import Callable
from operator import mul
from typing import Any

import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.backend.kernels import elementwise, forked
from paddle_gan.networks.activations import Activation, leaky_relu
from paddle_gan.networks.layers import Conv2D, Padding
from paddle_gan.networks.norms import BatchNorm, Norm


class ConvBN(nn.Layer):
    """Convolution, norm, activation: the unit that every convolutional network here consists of.

    With the defaults it is the unit of the tutorial (AI Studio project 1668279), including the names of parameters
    (`conv.weight`, `BN.weight`, ...).

    Args:
        in_channels, out_channels, kernel_size, stride, padding: as for `Conv2D`.
        norm: makes the norm for a number of channels, or None for no norm.
        activation: applied last, or None.
        convolution: `Conv2D`, `Conv2DTranspose` or another class with the same arguments.
        bias: whether the convolution has a bias; by default only where no norm follows, which would remove it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: Padding = "valid",
        norm: Norm | None = BatchNorm,
        activation: Activation | None = leaky_relu,
        convolution: Callable[..., nn.Layer] = Conv2D,
        bias: bool | None = None,
    ):
        super().__init__()
        bias = norm is None if bias is None else bias
        bias_attr = None if bias else False  # Paddle's None is a bias with the default initialisation
        self.conv = convolution(in_channels, out_channels, kernel_size, stride, padding=padding, bias_attr=bias_attr)
        self.BN = norm(out_channels) if norm else None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        *before, last = (self.conv,) if self.BN is None else (self.conv, self.BN)
        for layer in before:
            x = layer(x)
        if getattr(last, "takes_activation", False):
            return last(x, self.activation)
        x = last(x)
        return self.activation(x) if self.activation else x


class GatedConv(nn.Layer):
    """A `ConvBN` whose values a second convolution lets through or holds back, place by place and channel by channel:
    φ(N(W x)) · σ(W' x + b) (Yu et al. 2019, Free-form image inpainting with gated convolution, eq. 3).

    So values that come from a hole can be told from those that are known. Arguments as for `ConvBN`.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__()
        self.features = ConvBN(*arguments, **options)
        self.gate = ConvBN(*arguments, **options | {"norm": None, "activation": F.sigmoid})

    def forward(self, x: Tensor) -> Tensor:
        x, same = forked(x)
        return elementwise(mul, self.features(x), self.gate(same))


def kaiming(layer: nn.Layer) -> None:
    """The alternative initialisation in the tutorial: weights Kaiming uniform (He et al. 2015), biases 0.1."""
    _initialise(layer, nn.initializer.KaimingUniform(), nn.initializer.Constant(0.1))


def dcgan(layer: nn.Layer) -> None:
    """Weights from N(0, 0.02²), biases 0 (Radford et al. 2016, section 4)."""
    _initialise(layer, nn.initializer.Normal(0.0, 0.02), nn.initializer.Constant(0.0))


def he(layer: nn.Layer) -> None:
    """Weights from N(0, 2 / ((1 + 0.2²) n)) with n inputs of each output, which keeps the size of the values through
    layers with a leaky ReLU of slope 0.2 (He et al. 2015, eq. 15); biases 0.

    For networks without norms. Embeddings, which are multiplied with n features, are from N(0, 1/n).
    """
    for part in layer.sublayers(include_self=True):
        if isinstance(part, (nn.Conv2D, nn.Linear)):
            weight = part.weight
            inputs = weight.size // (weight.shape[0] if isinstance(part, nn.Conv2D) else weight.shape[1])
            nn.initializer.Normal(0.0, (2 / (1 + 0.2**2) / inputs) ** 0.5)(weight)
            if part.bias is not None:
                nn.initializer.Constant(0.0)(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.initializer.Normal(0.0, part.weight.shape[1] ** -0.5)(part.weight)


def _initialise(layer: nn.Layer, weight: Callable, bias: Callable) -> None:
    """Initialise weights and biases of each convolution and linear layer; norms and embeddings stay."""
    for part in layer.sublayers(include_self=True):
        if isinstance(part, (nn.Conv2D, nn.Conv2DTranspose, nn.Linear)):
            weight(part.weight)
            if part.bias is not None:
                bias(part.bias)


# None: the initialisation of Paddle's layers themselves, with which the tutorial runs.
INITIALISERS: dict[str, Callable[[nn.Layer], None] | None] = {
    "paddle": None,
    "kaiming": kaiming,
    "dcgan": dcgan,
    "he": he,
}
