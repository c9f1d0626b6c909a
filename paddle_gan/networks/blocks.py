"""Building blocks of the networks: the ConvBN unit, norms, activations, initialisations.

Everything that stands in a discriminator here can be differentiated twice, which a gradient penalty
needs. Paddle 3.3 cannot do that for `nn.LayerNorm`, `nn.Flatten`, `nn.PReLU` and others, hence the
`LayerNorm` below, written out of operations that can.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.backend import kernels

Norm = Callable[[int], nn.Layer]
Activation = Callable[[Tensor], Tensor]

_SLOPE = 0.2


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2 (Radford et al. 2016, DCGAN, section 3)."""
    return kernels.leaky_relu(x, _SLOPE)


def relu(x: Tensor) -> Tensor:
    """max(0, x), quicker in training on a CPU than `F.relu`."""
    return kernels.leaky_relu(x, 0.0)


# Activations that `kernels` can join to what comes before them, with the slope of each at negative values.
_SLOPES = {leaky_relu: _SLOPE, relu: 0.0}


def mish(x: Tensor) -> Tensor:
    """x · tanh(softplus(x)) (Misra 2019), stable for every x: no exp is taken of a large number."""
    return x * paddle.tanh(F.softplus(x))


class LayerNorm(nn.Layer):
    """Each sample normalised over all its axes; one scale and shift a channel (Ba et al. 2016).

    Takes and returns [N, C, ...]. The norm that the WGAN-GP paper recommends for a penalised
    discriminator: it does not mix samples, and this one can be differentiated twice.
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


class Conv2D(nn.Conv2D):
    """`nn.Conv2D` without groups and dilation, by `kernels.conv2d`; "same" is for stride 1."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: int | str = "valid",
        bias_attr: bool | None = None,
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=padding, bias_attr=bias_attr)
        rows, columns = self.weight.shape[2:]
        if padding == "same":
            top, left = (rows - 1) // 2, (columns - 1) // 2
            self.zeros = (top, left, rows - 1 - top, columns - 1 - left)
        else:
            self.zeros = (0 if padding == "valid" else padding,) * 4
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return kernels.conv2d(x, self.weight, self.bias, self.stride, self.zeros)


class Conv2DTranspose(nn.Conv2DTranspose):
    """`nn.Conv2DTranspose` without groups and dilation, by `kernels.conv2d_transpose`."""

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
        self.stride, self.zeros, self.more = stride, (padding,) * 4, output_padding

    def forward(self, x: Tensor) -> Tensor:
        return kernels.conv2d_transpose(x, self.weight, self.bias, self.stride, self.zeros, self.more)


class BatchNorm(nn.BatchNorm):
    """`nn.BatchNorm`, by `kernels.batch_norm`; unlike BatchNorm1D and 2D it takes [N, C] as well as [N, C, H, W].

    Attributes:
        parts: batches that a batch consists of, see `apart`.
    """

    parts = 1

    def forward(self, x: Tensor, activation: Activation | None = None) -> Tensor:
        """What the norm, and then the activation if there is one, make of x."""
        slope = _SLOPES.get(activation)
        y = self._trained(x, slope) if self.training else self._fixed(x, slope)
        if y is None:
            y, slope = _each(super().forward, x, self.parts), None
        return activation(y) if activation and slope is None else y

    def _trained(self, x: Tensor, slope: float | None) -> Tensor | None:
        made = kernels.batch_norm(x, self.weight, self.bias, self._epsilon, self.parts, slope)
        if made is None:
            return None
        y, statistics = made
        if self._momentum < 1:
            with paddle.no_grad():
                share = paddle.full([], 1 - self._momentum)
                for mean, variance in statistics:
                    self._mean.lerp_(mean, share)
                    self._variance.lerp_(variance, share)
        return y

    def _fixed(self, x: Tensor, slope: float | None) -> Tensor | None:
        return kernels.fixed_batch_norm(x, self._mean, self._variance, self.weight, self.bias, self._epsilon, slope)


class SyncBatchNorm(nn.SyncBatchNorm):
    """`nn.SyncBatchNorm` that knows of parts, as `BatchNorm` does."""

    parts = 1

    def forward(self, x: Tensor) -> Tensor:
        return _each(super().forward, x, self.parts)


def _each(norm: Activation, x: Tensor, parts: int) -> Tensor:
    return norm(x) if parts == 1 else paddle.concat([norm(part) for part in x.split(parts)])


@contextmanager
def apart(layer: nn.Layer, parts: int) -> Iterator[None]:
    """Let the BatchNorms of `layer` take batches of so many batches, one after the other: each keeps its own statistics.

    So one forward pass gives what one for each batch would give, up to rounding, in fewer and larger operations.
    """
    norms = [part for part in layer.sublayers(include_self=True) if isinstance(part, (BatchNorm, SyncBatchNorm))]
    try:
        for norm in norms:
            norm.parts = parts
        yield
    finally:
        for norm in norms:
            norm.parts = 1


class PixelShuffle(nn.PixelShuffle):
    """`nn.PixelShuffle`, by `kernels.pixel_shuffle`."""

    def forward(self, x: Tensor) -> Tensor:
        return kernels.pixel_shuffle(x, self._upscale_factor)


NORMS: dict[str, Norm | None] = {"batch": BatchNorm, "layer": LayerNorm, "none": None}


def synchronise_norms(layer: nn.Layer) -> None:
    """Let the BatchNorms of `layer` take their statistics over the batches of all processes; on a GPU only.

    Parameters and their names stay. `nn.SyncBatchNorm.convert_sync_batchnorm` passes `nn.BatchNorm` over.
    """
    for part in layer.sublayers(include_self=True):
        for name, norm in list(part.named_children()):
            if isinstance(norm, nn.BatchNorm):
                synchronised = SyncBatchNorm(norm.weight.shape[0], norm._momentum, norm._epsilon)
                for key, parameter in norm.named_parameters():
                    setattr(synchronised, key, parameter)
                part.add_sublayer(name, synchronised)


class ConvBN(nn.Layer):
    """Convolution, norm, activation: the unit that every convolutional network here is made of.

    With the defaults it is the write-up's unit, parameter names (`conv.weight`, `BN.weight`, ...)
    included.

    Args:
        in_channels, out_channels, kernel_size, stride, padding: as for `nn.Conv2D`.
        norm: makes the norm for a number of channels, or None for no norm.
        activation: applied last, or None.
        convolution: `Conv2D`, `Conv2DTranspose` or what takes the same arguments.
        bias: whether the convolution has one; by default only where no norm follows, which would remove it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = "valid",
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
        x = self.conv(x)
        if isinstance(self.BN, BatchNorm):
            return self.BN(x, self.activation)
        if self.BN is not None:
            x = self.BN(x)
        return self.activation(x) if self.activation else x


def kaiming(layer: nn.Layer) -> None:
    """The initialisation that the write-up keeps as an alternative: Kaiming uniform, biases 0.1."""
    _initialise(layer, nn.initializer.KaimingUniform(), nn.initializer.Constant(0.1))


def dcgan(layer: nn.Layer) -> None:
    """Weights from N(0, 0.02²), biases 0 (Radford et al. 2016, section 4)."""
    _initialise(layer, nn.initializer.Normal(0.0, 0.02), nn.initializer.Constant(0.0))


def _initialise(layer: nn.Layer, weight: Callable, bias: Callable) -> None:
    """Set weights and biases of every convolution and linear map; norms and embeddings stay."""
    for part in layer.sublayers(include_self=True):
        if isinstance(part, (nn.Conv2D, nn.Conv2DTranspose, nn.Linear)):
            weight(part.weight)
            if part.bias is not None:
                bias(part.bias)


# None: what Paddle's layers do by themselves, as the write-up runs.
INITIALISERS: dict[str, Callable[[nn.Layer], None] | None] = {"paddle": None, "kaiming": kaiming, "dcgan": dcgan}
