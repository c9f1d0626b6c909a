"""Inputs that are made of the target images themselves: their grey values, their outlines, a reduced image.

Pure functions of tensors, so that they run on the device, after the crop.
"""

from collections.abc import Callable

import paddle
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.datasets.bicubic import resampled

# Luma of ITU-R BT.601, as Pillow's mode L has it.
_LUMA = (0.299, 0.587, 0.114)
# Norm of the Sobel gradient of values in [0, 1], smoothed, at which an outline begins and at which it is black.
_FAINT, _BLACK = 0.15, 0.6


def grey(images: Tensor) -> Tensor:
    """The luma of colour images, [N, 3, H, W] to [N, 1, H, W], in the same value range."""
    red, green, blue = (images[:, channel : channel + 1] for channel in range(3))
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def edges(images: Tensor) -> Tensor:
    """Black outlines on white, as in a drawing: [N, C, H, W] in [-1, 1] to [N, 1, H, W] in [-1, 1].

    The darkness is the norm of the Sobel gradient, smoothed by a 3×3 binomial filter, above a threshold; of the channel
    in which it is largest, since yellow and white, for example, have nearly the same luma.
    """
    binomial = paddle.to_tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    across = paddle.to_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4
    count, channels, height, width = images.shape
    each = images.reshape([count * channels, 1, height, width])
    # The border repeats, so that it is no outline itself.
    padded = F.pad((each + 1) / 2, [2, 2, 2, 2], mode="replicate")
    smooth = F.conv2d(padded, binomial.reshape([1, 1, 3, 3]))
    gradients = F.conv2d(smooth, paddle.stack([across, across.t()]).unsqueeze(1))
    norms = paddle.sqrt(gradients.square().sum(1)).reshape([count, channels, height, width])
    return 1 - 2 * ((norms.max(1, keepdim=True) - _FAINT) / (_BLACK - _FAINT)).clip(0, 1)


def reduced(images: Tensor, scale: int) -> Tensor:
    """Images whose height and width are divided by `scale`, in 256 levels, as a file has them.

    Args:
        images: [N, C, H, W] in [-1, 1]; H and W are multiples of `scale`.
        scale: the factor.
    """
    small = resampled(images, images.shape[2] // scale, images.shape[3] // scale)
    return ((small.clip(-1, 1) + 1) * 127.5).round() / 127.5 - 1


# What makes grey inputs of the targets, by the names of the tasks.
GREY: dict[str, Callable[[Tensor], Tensor]] = {"colorize": grey, "edges": edges}
