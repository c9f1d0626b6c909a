"""Bicubic interpolation to another size, of tensors, as Pillow and Matlab's `imresize` compute it.

The kernel is that of Keys 1981 with a = -1/2. Where an image is reduced, the kernel is widened by the factor, so that
what the small image cannot show is averaged away (antialiasing). At the border, weights outside the image are left out.
"""

from functools import lru_cache

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor

_A = -0.5


def resampled(images: Tensor, height: int, width: int) -> Tensor:
    """Images in another size: [N, C, H, W] to [N, C, height, width], in the same value range, not clipped."""
    across = paddle.to_tensor(_weights(images.shape[3], width).T)
    down = paddle.to_tensor(_weights(images.shape[2], height))
    return paddle.matmul(down, paddle.matmul(images, across))


def enlarged(images: Tensor, scale: int) -> Tensor:
    """Images that are `scale` times larger: [N, C, H, W] to [N, C, scale · H, scale · W]."""
    return resampled(images, scale * images.shape[2], scale * images.shape[3])


def enlarged_of_any_size(images: Tensor, scale: int) -> Tensor:
    """`enlarged` in a form that a program can hold whose height and width are not known when it is written.

    Each of the scale² places within a pixel has a filter of its own, which is the same everywhere. So this is a
    convolution and a pixel shuffle. On a CPU it takes several times as long as two matrix products.
    """
    channels = images.shape[1]
    filters = paddle.to_tensor(np.tile(_filters(scale), (channels, 1, 1, 1)))
    # The second sum is that of the weights, which is less than 1 at the border.
    sums, weights = (F.conv2d(x, filters, padding=2, groups=channels) for x in (images, images * 0 + 1))
    return F.pixel_shuffle(sums / weights, scale)


@lru_cache(maxsize=4)
def _filters(scale: int) -> np.ndarray:
    """The weights of the pixels around one in its scale² parts, row by row: float32 [scale², 1, 5, 5]."""
    centres = (np.arange(scale) + 0.5) / scale - 0.5
    line = _cubic(np.arange(-2, 3) - centres[:, None])
    return np.einsum("ai,bj->abij", line, line).reshape(scale**2, 1, 5, 5).astype(np.float32)


@lru_cache(maxsize=16)
def _weights(size: int, new_size: int) -> np.ndarray:
    """The weight of each pixel of a line in each pixel of the new line: float32 [new_size, size], each sum 1."""
    factor = size / new_size
    centres = (np.arange(new_size) + 0.5) * factor
    weights = _cubic((np.arange(size) + 0.5 - centres[:, None]) / max(factor, 1))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """The kernel at a distance in pixels (Keys 1981, eq. 4)."""
    x = np.abs(distance)
    near = (_A + 2) * x**3 - (_A + 3) * x**2 + 1
    far = _A * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0))
