"""A generator rewritten for inference: the same images up to rounding, with fewer and faster operations.

- A norm in evaluation mode is an affine map of each channel. It is folded into the weights of the layer before it.
- A transposed convolution of stride 2 that doubles the size becomes a 3×3 convolution to four times the channels and a
  PixelShuffle with the same weights (Shi et al. 2016). This is several times faster in oneDNN.
- Leaky ReLU and up-sampling are replaced by `unfused_leaky_relu` and `Upsample2x`, because oneDNN within Paddle 3.3
  fails with the originals.

Not about training: the result has no norms that could be trained.
"""

import copy
from collections.abc import Callable

import numpy as np
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.networks.activations import leaky_relu
from paddle_gan.networks.blocks import ConvBN
from paddle_gan.networks.generators import MLPGenerator, Projection
from paddle_gan.networks.sizes import doubled


def folded(generator: nn.Layer) -> nn.Layer:
    """A copy of `generator`, in evaluation mode, in the form that is fastest in inference.

    Layers of other classes than those in this function stay as they are.
    """
    copied = copy.deepcopy(generator)
    for part in copied.sublayers(include_self=True):
        if isinstance(part, ConvBN):
            _fold_convolution(part)
        elif isinstance(part, Projection):
            _fold_linear(part.linear, part.norm)
            part.norm = Activation()  # type: ignore[assignment]
        elif isinstance(part, MLPGenerator):
            # There is a norm after each hidden layer but the first, or there are no norms at all.
            _, *linears = part.hidden
            for linear, norm in zip(linears, part.norms, strict=False):
                assert isinstance(linear, nn.Linear)
                _fold_linear(linear, norm)
            part.norms = nn.LayerList()
        elif isinstance(part, nn.Sequential):
            for name, child in part.named_children():
                if isinstance(child, nn.Upsample) and (child.mode, child.scale_factor) == ("nearest", 2):
                    part[name] = Upsample2x()
        # Of all activations, only this one fails; no field of the layers says which they are.
        if getattr(part, "activation", None) is leaky_relu:
            part.activation = unfused_leaky_relu
    copied.eval()
    return copied


def unfused_leaky_relu(x: Tensor) -> Tensor:
    """`leaky_relu` between two reshapes, so that Paddle does not fuse it with the convolution before it.

    That pass for oneDNN ends the process (Paddle 3.3.1, conv_activation_onednn_fuse_pass).
    """
    return leaky_relu(x.reshape([0, 1, -1])).reshape([-1, *x.shape[1:]])


class Activation(nn.Layer):
    """Takes the place of a norm that was folded into the weights before it: computes the activation alone."""

    def forward(self, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        return activation(x)


class Upsample2x(nn.Layer):
    """Nearest-neighbour up-sampling by two, in the form that an exported program needs."""

    def forward(self, x: Tensor) -> Tensor:
        return doubled(x)


def sub_pixel_kernel(kernel: np.ndarray) -> np.ndarray:
    """The kernel of a 3×3 convolution that, with PixelShuffle(2) after it, equals a transposed convolution.

    The transposed convolution has stride 2 and padding 2. Along each axis, its output at 2y + a, with parity a = 0 or
    1, is the sum over j of the input at y + 1 − j times the kernel's value at a + 2j. So each parity uses every second
    value of the kernel, and these are a kernel of size 3.

    Args:
        kernel: [in_channels, out_channels, S, S] with S = 6, or S = 5 and an output padding of 1.

    Returns:
        [4 out_channels, in_channels, 3, 3], for a padding of 1.
    """
    inputs, outputs, size, _ = kernel.shape
    kernel = np.pad(kernel, [(0, 0), (0, 0), (0, 6 - size), (0, 6 - size)])
    # Axes: in, out, j and parity of the rows, j and parity of the columns.
    split = kernel.reshape(inputs, outputs, 3, 2, 3, 2)[:, :, ::-1, :, ::-1]
    return np.ascontiguousarray(split.transpose(1, 3, 5, 0, 2, 4).reshape(4 * outputs, inputs, 3, 3))


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
    """Whether it doubles the size in the way that `sub_pixel_kernel` replaces."""
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


def _affine(norm: nn.Layer | None, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift of each channel by a BatchNorm with its running statistics; 1 and 0 for None."""
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
