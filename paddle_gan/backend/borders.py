"""Reflected borders of feature maps on the CPU, without gradients: see `differentiable`.

The channels are last in memory, so a border is a few copies of whole pixels. Paddle's own operation goes from value to
value, and its gradient takes ten times as long.
"""

import numpy as np
from paddle import Tensor

from paddle_gan.backend.layout import channels_last, empty, layout_of, values_of


def reflected(x: Tensor, width: int) -> Tensor:
    """x [N, C, H, W] with so many rows and columns on each side, mirrored at the border pixels, as H + 2 width."""
    layout_of(x)
    n, c, h, w = x.shape
    result = empty(channels_last((n, c, h + 2 * width, w + 2 * width)))
    y = values_of(result)
    y[:, :, width:-width, width:-width] = values_of(x)
    for lines in (y[:, :, :, width:-width].swapaxes(2, 3), y):  # rows of the middle columns, then all columns
        lines[..., :width] = lines[..., 2 * width : width : -1]
        lines[..., -width:] = lines[..., -width - 2 : -2 * width - 2 : -1]
    return result


def folded(y: Tensor, width: int) -> Tensor:
    """The adjoint of `reflected`: [N, C, H + 2 width, W + 2 width] to [N, C, H, W]; borders are added to the inside."""
    layout_of(y)
    n, c, h, w = y.shape
    given = values_of(y)
    result = empty(channels_last((n, c, h - 2 * width, w - 2 * width)))
    middle, x = given[..., width:-width].copy(order="K"), values_of(result)
    _add_borders(middle, given[..., :width], given[..., -width:])
    x[...] = middle[:, :, width:-width]
    across = middle.swapaxes(2, 3)
    _add_borders(x.swapaxes(2, 3), across[..., :width], across[..., -width:])
    return result


def _add_borders(inside: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    """Add the borders along the last axis to the values that they mirror."""
    width = before.shape[-1]
    inside[..., 1 : width + 1] += before[..., ::-1]
    inside[..., -width - 1 : -1] += after[..., ::-1]
