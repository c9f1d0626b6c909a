"""Reflected borders of feature maps on the CPU, without gradients: see `differentiable`.

The channels are last in memory, so a border is a few copies of whole pixels. Paddle's own operation goes from value to
value, and its gradient takes ten times as long.
"""

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
    result = empty(channels_last((n, c, h - 2 * width, w - 2 * width)))
    given, x, inside = values_of(y), values_of(result), slice(width, -width)
    x[...] = given[:, :, inside, inside]
    # Pixels of the inside, and those of the border that mirror them.
    sides = ((slice(1, width + 1), slice(width - 1, None, -1)), (slice(-width - 1, -1), slice(-1, -width - 1, -1)))
    for rows, border_rows in sides:
        x[:, :, rows] += given[:, :, border_rows, inside]
        x[:, :, :, rows] += given[:, :, inside, border_rows]
        for columns, border_columns in sides:
            x[:, :, rows, columns] += given[:, :, border_rows, border_columns]
    return result
