"""A generator rewritten for inference: the same images up to rounding, in fewer and quicker operations.

- A norm in evaluation mode is an affine map of each channel: it goes into the weights before it.
- A transposed convolution of stride 2 that doubles the size becomes a 3×3 convolution to four times the channels
  and a PixelShuffle, tap for tap (Shi et al. 2016): oneDNN is several times quicker at that.
- Leaky ReLU stands between two reshapes and up-sampling is a repetition of pixels, see `unfused_leaky_relu` and `Doubling`:
  oneDNN within Paddle 3.3 fails at what they replace.

Not about training: what comes out has no norms left to train.
"""

import copy
from collections.abc import Callable

import numpy as np
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.networks.blocks import ConvBN, leaky_relu
from paddle_gan.networks.generators import MLPGenerator, Projection


def folded(generator: nn.Layer) -> nn.Layer:
    """A copy of `generator`, in evaluation mode, in the form that inference is quickest in.

    Layers that are not known here stay as they are.
    """
    copied = copy.deepcopy(generator)
    for part in copied.sublayers(include_self=True):
        if isinstance(part, ConvBN):
            _fold_convolution(part)
        elif isinstance(part, Projection):
            _fold_linear(part.linear, part.norm)
            part.norm = Activation()
        elif isinstance(part, MLPGenerator):
            for linear, norm in zip(part.hidden[1:], part.norms):
                _fold_linear(linear, norm)
            part.norms = nn.LayerList()
        elif isinstance(part, nn.Sequential):
            for name, child in part.named_children():
                if isinstance(child, nn.Upsample) and (child.mode, child.scale_factor) == ("nearest", 2):
                    part[int(name)] = Doubling()
        if getattr(part, "activation", None) is leaky_relu:
            part.activation = unfused_leaky_relu
    copied.eval()
    return copied


def unfused_leaky_relu(x: Tensor) -> Tensor:
    """`leaky_relu`, where Paddle cannot see it: its pass that joins a leaky ReLU to the convolution before it, for oneDNN,
    ends the process (Paddle 3.3.1, conv_activation_onednn_fuse_pass)."""
    return leaky_relu(x.reshape([0, 1, -1])).reshape([-1, *x.shape[1:]])


class Activation(nn.Layer):
    """In place of a norm that has gone into the weights before it: the activation alone."""

    def forward(self, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        return activation(x)


class Doubling(nn.Layer):
    """Nearest-neighbour up-sampling by two. That of Paddle 3.3 has an attribute that its oneDNN instructions cannot take."""

    def forward(self, x: Tensor) -> Tensor:
        _, channels, height, width = x.shape
        repeated = x.reshape([-1, channels, height, 1, width, 1]).expand([-1, -1, -1, 2, -1, 2])
        return repeated.reshape([-1, channels, 2 * height, 2 * width])


def sub_pixel_kernel(kernel: np.ndarray) -> np.ndarray:
    """The 3×3 convolution before PixelShuffle(2) that a transposed convolution of stride 2 and padding 2 equals.

    Output 2y + a of the latter sums input y + 1 - j over its taps a + 2j: of every second one, for each parity a.

    Args:
        kernel: [in_channels, out_channels, 5 or 6, 5 or 6], the 5 with an output padding of 1.

    Returns:
        [4 out_channels, in_channels, 3, 3], to be padded by 1.
    """
    inputs, outputs, size, _ = kernel.shape
    kernel = np.pad(kernel, [(0, 0), (0, 0), (0, 6 - size), (0, 6 - size)])
    taps = kernel.reshape(inputs, outputs, 3, 2, 3, 2)[:, :, ::-1, :, ::-1]  # tap, parity of rows, then of columns
    return np.ascontiguousarray(taps.transpose(1, 3, 5, 0, 2, 4).reshape(4 * outputs, inputs, 3, 3))


def _fold_convolution(unit: ConvBN) -> None:
    convolution = unit.conv
    transposed = isinstance(convolution, nn.Conv2DTranspose)
    weight = convolution.weight.numpy()
    scale, shift = _affine(unit.BN, weight.shape[1 if transposed else 0])
    weight = weight * (scale.reshape([-1, 1, 1]) if transposed else scale.reshape([-1, 1, 1, 1]))
    bias = shift if convolution.bias is None else convolution.bias.numpy() * scale + shift
    unit.BN = None
    if transposed and _doubles(convolution):
        inputs, outputs = weight.shape[:2]
        sub_pixel = nn.Conv2D(inputs, 4 * outputs, 3, padding=1)
        _set(sub_pixel, sub_pixel_kernel(weight), bias.repeat(4))
        unit.conv = nn.Sequential(sub_pixel, nn.PixelShuffle(2))
    else:
        _set(convolution, weight, bias)


def _doubles(convolution: nn.Conv2DTranspose) -> bool:
    """Whether it is one that `sub_pixel_kernel` is for."""
    size = convolution.weight.shape[2:]
    return (
        size in ([5, 5], [6, 6])
        and list(convolution._stride) == [2, 2]
        and convolution._padding == 2
        and convolution.output_padding == 6 - size[0]
    )


def _fold_linear(linear: nn.Linear, norm: nn.Layer) -> None:
    weight = linear.weight.numpy()
    scale, shift = _affine(norm, norm.weight.shape[0])
    scale, shift = (values.repeat(weight.shape[1] // len(values)) for values in (scale, shift))
    bias = shift if linear.bias is None else linear.bias.numpy() * scale + shift
    _set(linear, weight * scale, bias)


def _affine(norm: nn.BatchNorm | None, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift of each channel by a BatchNorm on its running statistics; those of identity for None."""
    if norm is None:
        return np.ones(channels), np.zeros(channels)
    mean, variance = norm._mean.numpy().astype(np.float64), norm._variance.numpy().astype(np.float64)
    scale = norm.weight.numpy() / np.sqrt(variance + norm._epsilon)
    return scale, norm.bias.numpy() - mean * scale


def _set(layer: nn.Layer, weight: np.ndarray, bias: np.ndarray) -> None:
    layer.weight.set_value(weight.astype(np.float32))
    if layer.bias is None:
        layer.bias = layer.create_parameter([len(bias)], is_bias=True)
    layer.bias.set_value(bias.astype(np.float32))
