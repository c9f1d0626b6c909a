"""Operations of convolutional networks by oneDNN, on float32 tensors that lie on the CPU. Gradients are `kernels`' business.

Paddle's own kernels reach a third of a CPU's rate and run, but for products, on one thread. What is made
here lies with the channels last, where it has more than a few: between two of these operations nothing
need be rearranged. To Paddle it is a tensor [N, C, H, W] as any other, with other strides. A gradient
lies as what it is the gradient of.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from paddle import Tensor

from paddle_gan.backend.dnnl import (
    Layout,
    Operand,
    channels_last,
    decided,
    described,
    empty,
    engine,
    in_a_row,
    integers,
    layout_of,
    make,
    operation,
    rearrangement,
    undecided,
)

# Channels that oneDNN takes at once. With a remainder it is told to choose the layout itself: with the channels last,
# the gradient in the filters writes to memory that is not its own then (oneDNN 3.6.2).
_BLOCK = 16
# Numbers of dnnl_types.h.
_DIRECT, _RELU = 1, 32
_TRAINING, _INFERENCE, _BACKWARD = 64, 96, 128
_GLOBAL_STATISTICS, _SCALE_AND_SHIFT = 1, 2 | 4


class Geometry(NamedTuple):
    """Of a convolution.

    Attributes:
        images: [N, C, H, W].
        filters: [K, C, R, S].
        stride: along both axes.
        padding: rows and columns of zeros at the top, left, bottom and right.
    """

    images: tuple[int, int, int, int]
    filters: tuple[int, int, int, int]
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def outputs(self) -> tuple[int, int, int, int]:
        """[N, K, P, Q]."""
        top, left, bottom, right = self.padding
        height = (self.images[2] + top + bottom - self.filters[2]) // self.stride + 1
        width = (self.images[3] + left + right - self.filters[3]) // self.stride + 1
        return self.images[0], self.filters[0], height, width

    @property
    def seen_from_the_outputs(self) -> "Geometry":
        """Of the convolution, of stride 1, with mirrored filters that is the adjoint of this one in the images."""
        k, c, rows, columns = self.filters
        top, left, bottom, right = self.padding
        outside = (rows - 1 - top, columns - 1 - left, rows - 1 - bottom, columns - 1 - right)
        return Geometry(self.outputs, (c, k, rows, columns), 1, outside)


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, geometry: Geometry, precision: str) -> Tensor:
    """Cross-correlation of x [N, C, H, W] with w [K, C, R, S], plus bias [K] if there is one: y [N, K, P, Q].

    Args:
        precision: to which the factors are rounded, "float32" or "bfloat16"; sums and results are float32.
    """
    given = (x, w) if bias is None else (x, w, bias)
    return _convolution("forward", geometry, precision, *map(layout_of, given))(*given)[0]


def image_gradient(dy: Tensor, w: Tensor, geometry: Geometry, precision: str) -> Tensor:
    """The adjoint in the images: what dy [N, K, P, Q] is worth at each pixel, [N, C, H, W]. A transposed convolution."""
    return _convolution("backward_data", geometry, precision, layout_of(dy), layout_of(w))(dy, w)[0]


def filter_gradient(x: Tensor, dy: Tensor, geometry: Geometry, precision: str) -> Tensor:
    """The adjoint in the filters: the correlation of x with dy [N, K, P, Q], [K, C, R, S]."""
    return _convolution("backward_weights", geometry, precision, layout_of(x), layout_of(dy))(x, dy)[0]


def leaky_relu(x: Tensor, slope: float, into: tuple[Tensor, ...] = ()) -> Tensor:
    """x where it is positive, slope · x elsewhere; written to a tensor that lies as x, or x itself, if there is one."""
    return _leaky_relu(layout_of(x), slope)(x, into=into)[0]


def rectify(dy: Tensor, x: Tensor, slope: float) -> Tensor:
    """dy where x > 0 and slope · dy elsewhere, of one shape: the gradient of a leaky ReLU of x."""
    return _rectifier(layout_of(dy), layout_of(x), slope)(dy, x)[0]


def normalise(x: Tensor, scale: Tensor, shift: Tensor, epsilon: float, parts: int) -> tuple[Tensor, list[list[Tensor]]]:
    """Batch normalisation of x [N, C, H, W], of each of so many equal parts of the batch by itself.

    Returns:
        y of the shape of x; mean and (biased) variance of each channel, [C], of each part.
    """
    y = empty(channels_last(tuple(x.shape)))
    return y, [
        _norm(layout_of(x_part), epsilon)(x_part, scale, shift, into=(y_part,))[1:]
        for x_part, y_part in zip(_split(x, parts), _split(y, parts))
    ]


def normalise_as(x: Tensor, mean: Tensor, variance: Tensor, scale: Tensor, shift: Tensor, epsilon: float) -> Tensor:
    """The norm of x [N, C, H, W] by known statistics instead of its own."""
    return _fixed_norm(layout_of(x), epsilon)(x, mean, variance, scale, shift)[0]


def norm_gradients(
    dy: Tensor, x: Tensor, statistics: list[list[Tensor]], scale: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `normalise` in x, scale and shift, given the statistics that it returned."""
    dx, parts = empty(layout_of(x)), len(statistics)
    made = [
        _norm_gradients(layout_of(dy_part), layout_of(x_part), epsilon)(dy_part, x_part, *known, scale, into=(dx_part,))
        for dy_part, x_part, dx_part, known in zip(_split(dy, parts), _split(x, parts), _split(dx, parts), statistics)
    ]
    (_, dscale, dshift), *others = made
    for _, more_scale, more_shift in others:
        dscale, dshift = dscale + more_scale, dshift + more_shift
    return dx, dscale, dshift


def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    """[N, factor² C, H, W] to [N, C, factor H, factor W]: the channels of a pixel as a square of pixels (Shi et al. 2016)."""
    return _shuffle(layout_of(x), factor)(x)[0]


def pixel_unshuffle(y: Tensor, factor: int) -> Tensor:
    """Back from `pixel_shuffle`."""
    return _unshuffle(layout_of(y), factor)(y)[0]


def flatten(x: Tensor) -> Tensor:
    """[N, C, H, W] to [N, C · H · W]."""
    row = in_a_row(tuple(x.shape))
    return rearrangement(layout_of(x), row, row)(x)[0].reshape([x.shape[0], -1])


@cache
def _convolution(kind: str, geometry: Geometry, precision: str, *layouts: Layout) -> Callable[..., list[Tensor]]:
    """One kind of convolution of one geometry, for tensors that lie so; a third of them is a bias."""
    shapes = {"x": geometry.images, "w": geometry.filters, "y": geometry.outputs}
    own = {role: undecided(shape, precision) for role, shape in shapes.items()}
    if all(channels % _BLOCK == 0 for channels in geometry.filters[:2]):
        own.update({role: described(channels_last(shapes[role]), precision) for role in "xy"})
    x, w, y = own.values()
    top, left, bottom, right = geometry.padding
    steps = [integers(pair) for pair in ([geometry.stride] * 2, (0, 0), (top, left), (bottom, right))]
    bias = described(layouts[2]) if len(layouts) > 2 else None
    forward = make(
        "convolution_forward_primitive_desc_create", engine(), _TRAINING, _DIRECT, x, w, bias, y, *steps, None
    )
    if kind == "forward":
        planned, roles = forward, ["x", "w", "y"]
    else:
        mds, roles = {
            "backward_data": ((x, w, y), ["dy", "w", "dx"]),
            "backward_weights": ((x, w, None, y), ["x", "dy", "dw"]),
        }[kind]
        planned = make(f"convolution_{kind}_primitive_desc_create", engine(), _DIRECT, *mds, *steps, forward, None)
    *given, made = roles
    inputs = [Operand(role, layout, decided(planned, role)) for role, layout in zip(given, layouts)]
    if bias:
        inputs.append(Operand("b", layouts[2], bias))
    result = in_a_row(geometry.filters) if made == "dw" else channels_last(shapes[made[-1]])
    return operation(planned, inputs, [Operand(made, result, decided(planned, made))])


@cache
def _leaky_relu(layout: Layout, slope: float) -> Callable[..., list[Tensor]]:
    md = described(layout)
    return operation(_rectification(md, slope), _described(layout, "x"), _described(layout, "y"))


@cache
def _rectifier(dy: Layout, x: Layout, slope: float) -> Callable[..., list[Tensor]]:
    md = described(x)
    planned = make(
        "eltwise_backward_primitive_desc_create",
        *(engine(), _RELU, md, md, md, ctypes.c_float(slope), ctypes.c_float(0.0)),
        *(_rectification(md, slope), None),
    )
    return operation(planned, [Operand("dy", dy, md), Operand("x", x, md)], [Operand("dx", x, md)])


def _rectification(md: ctypes.c_void_p, slope: float) -> ctypes.c_void_p:
    numbers = ctypes.c_float(slope), ctypes.c_float(0.0)
    return make("eltwise_forward_primitive_desc_create", engine(), _TRAINING, _RELU, md, md, *numbers, None)


@cache
def _norm(x: Layout, epsilon: float) -> Callable[..., list[Tensor]]:
    own = channels_last(x.shape)
    parameters = in_a_row(x.shape[1:2])
    inputs = [Operand("x", x, described(own)), *_described(parameters, "scale", "shift")]
    results = _described(own, "y") + _described(parameters, "mean", "variance")
    return operation(_norm_forward(own, epsilon), inputs, results)


@cache
def _fixed_norm(x: Layout, epsilon: float) -> Callable[..., list[Tensor]]:
    own = channels_last(x.shape)
    inputs = [Operand("x", x, described(own))]
    inputs += _described(in_a_row(x.shape[1:2]), "mean", "variance", "scale", "shift")
    planned = _norm_forward(own, epsilon, _INFERENCE, _GLOBAL_STATISTICS | _SCALE_AND_SHIFT)
    return operation(planned, inputs, _described(own, "y"))


@cache
def _norm_gradients(dy: Layout, x: Layout, epsilon: float) -> Callable[..., list[Tensor]]:
    own = channels_last(x.shape)
    md, parameters = described(own), in_a_row(x.shape[1:2])
    forward = _norm_forward(own, epsilon)
    planned = make(
        "batch_normalization_backward_primitive_desc_create",
        *(engine(), _BACKWARD, md, md, md, ctypes.c_float(epsilon), _SCALE_AND_SHIFT, forward, None),
    )
    inputs = [Operand("dy", dy, md), Operand("x", x, md)]
    inputs += _described(parameters, "mean", "variance", "scale")
    results = [Operand("dx", x, md), *_described(parameters, "dscale", "dshift")]
    return operation(planned, inputs, results)


def _norm_forward(
    images: Layout, epsilon: float, kind: int = _TRAINING, flags: int = _SCALE_AND_SHIFT
) -> ctypes.c_void_p:
    md = described(images)
    return make(
        "batch_normalization_forward_primitive_desc_create",
        *(engine(), kind, md, md, ctypes.c_float(epsilon), flags, None),
    )


def _split(x: Tensor, parts: int) -> list[Tensor]:
    """Equal parts of a batch, where they lie."""
    size = x.shape[0] // parts
    return [x] if parts == 1 else [x[i * size : (i + 1) * size] for i in range(parts)]


def _described(layout: Layout, *roles: str) -> list[Operand]:
    """Operands that oneDNN takes as they lie."""
    return [Operand(role, layout, described(layout)) for role in roles]


@cache
def _shuffle(x: Layout, factor: int) -> Callable[..., list[Tensor]]:
    n, c, h, w = x.shape
    y = channels_last((n, c // factor**2, h * factor, w * factor))
    return rearrangement(_deep(x, factor), _wide(y, factor), y)


@cache
def _unshuffle(y: Layout, factor: int) -> Callable[..., list[Tensor]]:
    n, c, h, w = y.shape
    x = channels_last((n, c * factor**2, h // factor, w // factor))
    return rearrangement(_wide(y, factor), _deep(x, factor), x)


def _deep(x: Layout, factor: int) -> Layout:
    """Images before a pixel shuffle, by [N, C, row in the square, column in it, H, W]."""
    (n, c, h, w), (image, channel, row, column) = x
    strides = (image, channel * factor**2, channel * factor, channel, row, column)
    return Layout((n, c // factor**2, factor, factor, h, w), strides)


def _wide(y: Layout, factor: int) -> Layout:
    """Images after a pixel shuffle, by the same."""
    (n, c, h, w), (image, channel, row, column) = y
    return Layout(
        (n, c, factor, factor, h // factor, w // factor), (image, channel, row, column, row * factor, column * factor)
    )
