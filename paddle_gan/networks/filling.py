"""Filling holes smoothly: the membrane over a hole, which takes the known values at its border.

It solves Laplace's equation in the hole, from coarse to fine: Jacobi's iterations begin with the solution at half the
size. Pure functions of tensors, linear in the values, with gradients.
"""

import paddle.nn.functional as F
from paddle import Tensor

# An image with fewer pixels a side is not halved again.
_LEAST_SIDE = 4


def smooth_fill(values: Tensor, known: Tensor, sweeps: int) -> Tensor:
    """Values that are kept where they are known, and in holes are nearly the mean of their eight neighbours.

    Args:
        values: [N, C, H, W]; those that are not known make no difference.
        known: [N, 1, H, W], 1 where a value is known, 0 in the hole.
        sweeps: iterations at each size; a few give a smooth fill, many the harmonic one.

    Returns:
        [N, C, H, W]; 0 everywhere in an image of which nothing is known.
    """
    kept, hole = values * known, 1 - known
    filled = kept + hole * _start(kept, known, sweeps)
    for _ in range(sweeps):  # the mean of a pixel and its neighbours within the image: one pass, and a quick one
        filled = kept + hole * F.avg_pool2d(filled, 3, stride=1, padding=1, exclusive=True)
    return filled


def _start(kept: Tensor, known: Tensor, sweeps: int) -> Tensor:
    """The fill of the image at half the size, enlarged; at the coarsest size the mean of the known values."""
    height, width = kept.shape[2:]
    if min(height, width) < 2 * _LEAST_SIDE or height % 2 or width % 2:
        return kept.sum([2, 3], keepdim=True) / known.sum([2, 3], keepdim=True).clip(min=1)
    share = F.avg_pool2d(known, 2)
    small = F.avg_pool2d(kept, 2) / share.clip(min=1 / 4)
    return F.interpolate(smooth_fill(small, (share > 0).astype(kept.dtype), sweeps), scale_factor=2, mode="bilinear")
