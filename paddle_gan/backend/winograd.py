"""Convolution of stride 1 by Winograd's minimal filtering: a quarter of the multiplications for 3×3 filters, a sixth for 5×5.

Seen along one axis, a filter of r taps and a tile of m outputs multiply like polynomials: their values at
n = m + r - 1 points are multiplied one by one. In two dimensions and for all channels these are n² products
of matrices (Lavin and Gray 2016, eqs. 10 to 13, with matrices after Toom and Cook):

    Y = Aᵀ [Σ_c (G w Gᵀ) ⊙ (Bᵀ x B)] A

with tiles x of n × n pixels that overlap by r - 1. Each two-sided product is one product with a Kronecker
square. Batch and channels are taken in parts, so that what lies between the products stays in the
processor's cache. Rounding errors are about five times those of the direct sum: 2·10⁻⁶ of the result for 3×3, 5·10⁻⁶ for 5×5.
"""

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
import paddle
from paddle import Tensor

from paddle_gan.backend.dnnl import Layout, channels_last, empty, in_a_row, layout_of, rearrangement
from paddle_gan.backend.onednn import Geometry

# Outputs in a tile along an axis.
_TILE = 4
# Where the polynomials are evaluated, besides at infinity, by the taps of the filter: those of the least error.
_POINTS = {3: ("0", "1", "-1", "1/2", "-2"), 5: ("0", "1", "-1", "2", "-2", "1/2", "-1/2")}
# What must be saved, and how much there must be to do, so that memory and small products do not eat it up.
_LEAST_GAIN, _LEAST_OPERATIONS = 3, 1e9
# Values of a transformed operand that are worked on at once: 5 MiB.
_PART = 5 << 18


@cache
def suits(geometry: Geometry) -> bool:
    """Whether this is worth its while instead of the direct sum: by the operations of both."""
    (n, k, height, width), (_, c, size, columns) = geometry.outputs, geometry.filters
    if geometry.stride != 1 or size != columns or size not in _POINTS:
        return False
    values = (_TILE + size - 1) ** 2
    tiles = n * -(-height // _TILE) * -(-width // _TILE)
    direct = 2 * n * k * c * size**2 * height * width
    here = 2 * values * (tiles * (values * c + c * k + _TILE**2 * k) + size**2 * c * k)
    return direct >= max(_LEAST_OPERATIONS, _LEAST_GAIN * here)


def convolve(x: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
    """`onednn.convolve` without a bias."""
    _settle(x, w)
    plan, (k, c, _, _) = _plan(geometry), geometry.filters
    kernels = _parts(k, len(plan.images) * c)
    filters = [(part, _filters(w[part], plan.filters, exchanged=True)) for part in kernels]
    y = empty(channels_last(plan.tiled))
    for batch in plan.batches(c, kernels):
        points = _points(x[batch], geometry.padding[:2], plan, plan.images)
        for part, filter_points in filters:
            products = paddle.matmul(points, filter_points)
            _put(paddle.matmul(plan.outputs, _flat(products), transpose_x=True), y[batch, part], plan)
    return _cropped(y, geometry.outputs)


def image_gradient(dy: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
    """`onednn.image_gradient`: a convolution of dy with the mirrored filters, from outputs to images."""
    _settle(dy, w)
    plan, (k, c, _, _) = _plan(geometry.seen_from_the_outputs), geometry.filters
    corner = geometry.seen_from_the_outputs.padding[:2]
    kernels = _parts(k, len(plan.images) * c)
    filters = [(part, _filters(w[part], plan.mirrored)) for part in kernels]
    dx = empty(channels_last(plan.tiled))
    for batch in plan.batches(c, kernels):
        products = None
        for part, filter_points in filters:
            product = paddle.matmul(_points(dy[batch, part], corner, plan, plan.images), filter_points)
            products = product if products is None else products.add_(product)
        _put(paddle.matmul(plan.outputs, _flat(products), transpose_x=True), dx[batch], plan)
    return _cropped(dx, geometry.images)


def filter_gradient(x: Tensor, dy: Tensor, geometry: Geometry) -> Tensor:
    """`onednn.filter_gradient`: the adjoint of `convolve` in the filters, step by step."""
    _settle(x, dy)
    plan, (k, c, _, _) = _plan(geometry), geometry.filters
    kernels = _parts(k, len(plan.images) * c)
    sums: list[Tensor | None] = [None] * len(kernels)
    for batch in plan.batches(c, kernels):
        points = _points(x[batch], geometry.padding[:2], plan, plan.images)
        for i, part in enumerate(kernels):
            product = paddle.matmul(_points(dy[batch, part], (0, 0), plan, plan.outputs), points, transpose_x=True)
            sums[i] = product if sums[i] is None else sums[i].add_(product)
    dw = [paddle.matmul(_flat(total), plan.filters, transpose_x=True) for total in sums]
    return (dw[0] if len(dw) == 1 else paddle.concat(dw)).reshape(geometry.filters)


class _Plan(NamedTuple):
    """Of a convolution.

    Attributes:
        tiles: down and across.
        tiled: [N, K, height, width] of all tiles together, which may stand out at the bottom and on the right.
        images: Bᵀ ⊗ Bᵀ, [n², n²].
        outputs: A ⊗ A, [n², m²].
        filters: G ⊗ G, [n², r²].
        mirrored: the same for filters that are rotated by half a turn.
    """

    tiles: tuple[int, int]
    tiled: tuple[int, int, int, int]
    images: Tensor
    outputs: Tensor
    filters: Tensor
    mirrored: Tensor

    def batches(self, channels: int, kernels: list[slice]) -> list[slice]:
        """The parts in which to take the batch, for so many channels and these parts of others."""
        values = len(self.images) * self.tiles[0] * self.tiles[1]
        return _parts(self.tiled[0], values * max(channels, kernels[0].stop))


@cache
def _plan(geometry: Geometry) -> _Plan:
    (n, k, height, width), size = geometry.outputs, geometry.filters[2]
    outputs, filters, images = (np.kron(matrix, matrix) for matrix in toom_cook(size))
    tiles = -(-height // _TILE), -(-width // _TILE)
    matrices = (images, outputs, filters, filters[:, ::-1])
    return _Plan(
        tiles,
        (n, k, tiles[0] * _TILE, tiles[1] * _TILE),
        *(paddle.to_tensor(np.ascontiguousarray(matrix, np.float32)) for matrix in matrices),
    )


def _parts(count: int, values: int) -> list[slice]:
    """Equal parts, but for the last one, of so many things of so many values each."""
    size = count
    while size > 1 and size * values > _PART:
        size = -(-size // 2)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def toom_cook(taps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A [n, m], G [n, r] and Bᵀ [n, n] for tiles of m = 4 outputs, n = 4 + r - 1: Aᵀ [(G w) ⊙ (Bᵀ x)] correlates x with w.

    A and G hold the powers of the points. Bᵀ is the transpose of the interpolation, the inverse of the powers
    up to n - 1; fractions until then, so that nothing is rounded but the result.
    """
    points = [Fraction(point) for point in _POINTS[taps]]
    size = len(points) + 1

    def powers(count: int) -> list[list[Fraction]]:
        infinity = [Fraction(int(i == count - 1)) for i in range(count)]  # the leading coefficient
        return [[point**i for i in range(count)] for point in points] + [infinity]

    rows = [row + [Fraction(int(i == j)) for j in range(size)] for i, row in enumerate(powers(size))]
    for column in range(size):  # Gauss and Jordan
        pivot = next(i for i in range(column, size) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for i in range(size):
            if i != column:
                rows[i] = [a - rows[i][column] * b for a, b in zip(rows[i], rows[column])]
    inverse = np.array([[float(value) for value in row[size:]] for row in rows])
    return np.array(powers(_TILE), float), np.array(powers(taps), float), inverse.T


def _settle(*tensors: Tensor) -> None:
    """Let their values lie in a row, or with the channels last, if they did not."""
    for tensor in tensors:
        layout_of(tensor)


def _flat(x: Tensor) -> Tensor:
    """[n², ...] to [n², the rest]."""
    return x.reshape([x.shape[0], -1])


def _filters(w: Tensor, matrix: Tensor, exchanged: bool = False) -> Tensor:
    """w [K, C, r, r] at the points: [n², K, C], or with the channels exchanged [n², C, K]."""
    k, c, size, _ = w.shape
    if not exchanged:
        return paddle.matmul(matrix, w.reshape([k * c, -1]), transpose_y=True).reshape([-1, k, c])
    far = in_a_row((size * size, c, k))
    near = Layout(far.shape, (1, size * size, c * size * size))
    taps = rearrangement(near, far, far)(w)[0]
    return paddle.matmul(matrix, taps.reshape([size * size, -1])).reshape([-1, c, k])


def _points(x: Tensor, corner: tuple[int, int], plan: _Plan, matrix: Tensor) -> Tensor:
    """The tiles of x [N, C, H, W] at the points: [n², tiles, C].

    Args:
        x: part of a tensor that lies in a row or with the channels last.
        corner: rows and columns of zeros above and to the left of it.
        plan: says how many tiles there are.
        matrix: [n², values in a tile].
    """
    (n, c, height, width), (down, across) = x.shape, plan.tiles
    side = round(matrix.shape[1] ** 0.5)
    padded = (n, c, (down - 1) * _TILE + side, (across - 1) * _TILE + side)
    if padded != tuple(x.shape):
        (top, left), whole = corner, paddle.zeros([n, *padded[2:], c]).transpose([0, 3, 1, 2])
        _move(x, whole[:, :, top : top + height, left : left + width])
        x = whole
    image, channel, row, column = x.strides
    tiles = paddle.empty([side, side, n, down, across, c])
    far = in_a_row(tuple(tiles.shape)).strides
    for i in range(0, side, _TILE):
        for j in range(0, side, _TILE):
            shape = (min(_TILE, side - i), min(_TILE, side - j), n, down, across, c)
            near = Layout(shape, (row, column, image, _TILE * row, _TILE * column, channel))
            rearrangement(near, Layout(shape, far), Layout(shape, far))(x[:, :, i:, j:], into=(tiles[i:, j:],))
    return paddle.matmul(matrix, tiles.reshape([side * side, -1])).reshape([-1, n * down * across, c])


def _put(products: Tensor, y: Tensor, plan: _Plan) -> None:
    """Write outputs [m², tiles · K] to their pixels of y [N, K, height, width]."""
    n, k, _, _ = y.shape
    image, channel, row, column = y.strides
    near = in_a_row((_TILE, _TILE, n, *plan.tiles, k))
    far = Layout(near.shape, (row, column, image, _TILE * row, _TILE * column, channel))
    rearrangement(near, far, far)(products, into=(y,))


def _move(source: Tensor, target: Tensor) -> None:
    """Copy values between tensors of one shape, however they lie."""
    shape = tuple(source.shape)
    far = Layout(shape, tuple(target.strides))
    rearrangement(Layout(shape, tuple(source.strides)), far, far)(source, into=(target,))


def _cropped(y: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    if tuple(y.shape) == shape:
        return y
    result = empty(channels_last(shape))
    _move(y[:, :, : shape[2], : shape[3]], result)
    return result
