"""Filling holes smoothly: the membrane over a hole, which takes the known values at its border.

It solves Laplace's equation in the hole, from coarse to fine: Jacobi's iterations begin with the solution at half the
size. Pure functions of tensors, linear in the values, with gradients.
"""

import paddle
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
    kept = values * known
    return _relaxed(kept, known, _start(kept, known, sweeps), sweeps)


def _start(kept: Tensor, known: Tensor, sweeps: int) -> Tensor:
    """The fill of the image at half the size, enlarged; at the coarsest size the mean of the known values."""
    height, width = kept.shape[2:]
    if min(height, width) < 2 * _LEAST_SIDE or height % 2 or width % 2:
        return _mean(kept, known)
    small, share = _halved(kept, known)
    return F.interpolate(smooth_fill(small, _any(share), sweeps), scale_factor=2, mode="bilinear")


@paddle.jit.not_to_static  # its transformation of source code fails with a recursion, and is not needed
def smooth_fill_of_any_size(values: Tensor, known: Tensor, sweeps: int, halvings: int = 10) -> Tensor:
    """`smooth_fill` in a form that a program can hold whose height and width are not known when it is written.

    It halves the image a fixed number of times. Where `smooth_fill` would halve it no further, the result at half the
    size is multiplied by 0, and the mean by 1.

    Args:
        values, known, sweeps: as for `smooth_fill`.
        halvings: most halvings; ten are enough for images with a shorter side below 8,192 pixels.
    """
    kept = values * known
    start = _mean(kept, known)
    if halvings:
        sizes = paddle.shape(kept)
        height, width = sizes[2], sizes[3]
        even = (1 - height % 2) * (1 - width % 2)
        halves = (paddle.minimum(height, width) * even > 2 * _LEAST_SIDE - 1).astype(kept.dtype)
        small, share = _halved(kept, known)
        small = smooth_fill_of_any_size(small, _any(share), sweeps, halvings - 1)
        start = halves * _doubled(_doubled(small, height, 2), width, 3) + (1 - halves) * start
    return _relaxed(kept, known, start, sweeps)


def _doubled(x: Tensor, size: Tensor, axis: int) -> Tensor:
    """x, linearly interpolated along an axis to `size`, which is twice its size there, or one less.

    Each value is three quarters of the nearest one and a quarter of the next one. `F.interpolate` computes the same,
    but oneDNN within `paddle.inference` fails with it.
    """
    place, least = paddle.arange(0, size, dtype="int64"), paddle.zeros([], "int64")
    nearest = place // 2
    following = paddle.minimum(paddle.maximum(nearest + (place % 2 * 2 - 1), least), (size - 1) // 2)
    return 0.75 * paddle.index_select(x, nearest, axis) + 0.25 * paddle.index_select(x, following, axis)


def _relaxed(kept: Tensor, known: Tensor, start: Tensor, sweeps: int) -> Tensor:
    """Jacobi's iterations in the hole from a start on."""
    hole = 1 - known
    filled = kept + hole * start
    for _ in range(sweeps):  # the mean of a pixel and its neighbours within the image: one pass, and a quick one
        filled = kept + hole * F.avg_pool2d(filled, 3, stride=1, padding=1, exclusive=True)
    return filled


def _mean(kept: Tensor, known: Tensor) -> Tensor:
    return kept.sum([2, 3], keepdim=True) / known.sum([2, 3], keepdim=True).clip(min=1)


def _halved(kept: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """The means of the known ones of each four values, and the share of those that are known."""
    share = F.avg_pool2d(known, 2, ceil_mode=True)
    return F.avg_pool2d(kept, 2, ceil_mode=True) / share.clip(min=1 / 4), share


def _any(share: Tensor) -> Tensor:
    """1 where at least one value is known, else 0."""
    return (share > 0).astype(share.dtype)
