"""Bicubic interpolation to another size, of tensors, as Pillow and Matlab's `imresize` compute it.

The kernel is that of Keys 1981 with a = -1/2. Where an image is reduced, the kernel is widened by the factor, so that
what the small image cannot show is averaged away (antialiasing). At the border, weights outside the image are left out.
"""

from functools import lru_cache

import numpy as np
import paddle
from paddle import Tensor

_A = -0.5


def resampled(images: Tensor, height: int, width: int) -> Tensor:
    """Images in another size: [N, C, H, W] to [N, C, height, width], in the same value range, not clipped."""
    across = paddle.to_tensor(_weights(images.shape[3], width).T)
    down = paddle.to_tensor(_weights(images.shape[2], height))
    return paddle.matmul(down, paddle.matmul(images, across))


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
