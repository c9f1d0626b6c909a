"""Convolution of stride 1 by Winograd's minimal filtering: a quarter of the multiplications for 3×3, a sixth for 5×5.

Along one axis, a filter of r taps and a tile of m outputs multiply like polynomials: their values at n = m + r - 1
points are multiplied one by one. In two dimensions and for all channels these are n² matrix products (Lavin and Gray
2016, equations 10 to 13, with the matrices of Toom and Cook):

    Y = Aᵀ [Σ_c (G w Gᵀ) ⊙ (Bᵀ x B)] A

with tiles x of n × n pixels that overlap by r - 1. Each two-sided product is one product with a Kronecker square. Batch
and channels are divided into parts, so that intermediate values stay in the processor's cache. The rounding error is
three to five times that of the direct sum: 2·10⁻⁶ of the result for 3×3 and 5·10⁻⁶ for 5×5.
"""

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
import paddle
from paddle import Tensor

from paddle_gan.backend.layout import Layout, channels_last, contiguous, empty, layout_of
from paddle_gan.backend.onednn import Geometry
from paddle_gan.backend.primitive import reorder_function

# Outputs of a tile along an axis.
_TILE = 4
# Points at which the polynomials are evaluated, besides infinity, by the number of taps: those with the least error.
_POINTS = {3: ("0", "1", "-1", "1/2", "-2"), 5: ("0", "1", "-1", "2", "-2", "1/2", "-1/2")}
# Winograd's algorithm must save this factor of a certain number of operations. Otherwise memory traffic and small
# matrix products cost more than is saved.
_LEAST_GAIN, _LEAST_OPERATIONS = 3, 1e9
# Values of a transformed operand that are in work at once: 5 MiB.
_PART = 5 << 18


@cache
def is_faster(geometry: Geometry) -> bool:
    """Whether this algorithm is expected to be faster than the direct sum, by the number of operations of both."""
    (n, k, height, width), (_, c, size, columns) = geometry.outputs, geometry.filters
    if geometry.stride != 1 or size != columns or size not in _POINTS:
        return False
    values = (_TILE + size - 1) ** 2
    tiles = n * -(-height // _TILE) * -(-width // _TILE)
    direct = 2 * n * k * c * size**2 * height * width
    winograd = 2 * values * (tiles * (values * c + c * k + _TILE**2 * k) + size**2 * c * k)
    return direct >= max(_LEAST_OPERATIONS, _LEAST_GAIN * winograd)


def convolve(images: Tensor, filters: Tensor, geometry: Geometry) -> Tensor:
    """`onednn.convolve` in float32 without a bias: [N, C, H, W] with [K, C, r, r] to [N, K, P, Q]."""
    _settle_layouts(images, filters)
    plan, (k, c, _, _) = _plan(geometry), geometry.filters
    channels = _parts(k, len(plan.images) * c)
    evaluated = [_evaluated_filters(filters[part], plan.filters, channels_exchanged=True) for part in channels]
    outputs = empty(channels_last(plan.tiled))
    for batch in plan.batches(c, channels):
        values = _evaluated_tiles(images[batch], geometry.padding[:2], plan, plan.images)
        for part, filter_values in zip(channels, evaluated, strict=True):
            products = paddle.matmul(values, filter_values)
            tiles = paddle.matmul(plan.outputs, _flat(products), transpose_x=True)
            _write_tiles(tiles, outputs[batch, part], plan)
    return _cropped(outputs, geometry.outputs)


def image_gradient(output_gradients: Tensor, filters: Tensor, geometry: Geometry) -> Tensor:
    """`onednn.image_gradient` in float32: a convolution of the gradients with the mirrored filters."""
    _settle_layouts(output_gradients, filters)
    plan, (k, c, _, _) = _plan(geometry.adjoint), geometry.filters
    corner = geometry.adjoint.padding[:2]
    channels = _parts(k, len(plan.images) * c)
    evaluated = [_evaluated_filters(filters[part], plan.mirrored) for part in channels]
    gradients = empty(channels_last(plan.tiled))
    for batch in plan.batches(c, channels):
        products = []
        for part, filter_values in zip(channels, evaluated, strict=True):
            values = _evaluated_tiles(output_gradients[batch, part], corner, plan, plan.images)
            _add_at(products, 0, paddle.matmul(values, filter_values))
        tiles = paddle.matmul(plan.outputs, _flat(products[0]), transpose_x=True)
        _write_tiles(tiles, gradients[batch], plan)
    return _cropped(gradients, geometry.images)


def filter_gradient(images: Tensor, output_gradients: Tensor, geometry: Geometry) -> Tensor:
    """`onednn.filter_gradient` in float32: the adjoint of `convolve` in the filters, step by step."""
    _settle_layouts(images, output_gradients)
    plan, (k, c, _, _) = _plan(geometry), geometry.filters
    channels = _parts(k, len(plan.images) * c)
    sums: list[Tensor] = []
    for batch in plan.batches(c, channels):
        values = _evaluated_tiles(images[batch], geometry.padding[:2], plan, plan.images)
        for i, part in enumerate(channels):
            gradients = _evaluated_tiles(output_gradients[batch, part], (0, 0), plan, plan.outputs)
            product = paddle.matmul(gradients, values, transpose_x=True)
            _add_at(sums, i, product)
    made = [paddle.matmul(_flat(total), plan.filters, transpose_x=True) for total in sums]
    return (made[0] if len(made) == 1 else paddle.concat(made)).reshape(geometry.filters)


def _add_at(sums: list[Tensor], i: int, value: Tensor) -> None:
    """Add `value` to the sum of index i, or append it if there is no such sum yet."""
    if i == len(sums):
        sums.append(value)
    else:
        sums[i].add_(value)


class _Plan(NamedTuple):
    """Tiles and matrices of a convolution.

    Attributes:
        tiles: number of tiles, down and across.
        tiled: shape [N, K, height, width] of all tiles together, which may exceed the outputs at the bottom and right.
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

    def batches(self, channels: int, others: list[slice]) -> list[slice]:
        """The parts into which the batch is divided.

        Args:
            channels: number of channels on one side of the convolution, all taken at once.
            others: parts into which the channels on the other side are divided.
        """
        values = len(self.images) * self.tiles[0] * self.tiles[1]
        return _parts(self.tiled[0], values * max(channels, others[0].stop))


@cache
def _plan(geometry: Geometry) -> _Plan:
    (n, k, height, width), size = geometry.outputs, geometry.filters[2]
    matrices = toom_cook(size)
    tiles = -(-height // _TILE), -(-width // _TILE)
    filters = np.kron(matrices.filters, matrices.filters)
    return _Plan(
        tiles=tiles,
        tiled=(n, k, tiles[0] * _TILE, tiles[1] * _TILE),
        images=_tensor(np.kron(matrices.images, matrices.images)),
        outputs=_tensor(np.kron(matrices.outputs, matrices.outputs)),
        filters=_tensor(filters),
        mirrored=_tensor(filters[:, ::-1]),
    )


def _tensor(matrix: np.ndarray) -> Tensor:
    return paddle.to_tensor(np.ascontiguousarray(matrix, np.float32))


def _parts(count: int, values: int) -> list[slice]:
    """Divide `count` things of `values` values each into parts of up to `_PART` values, equal except for the last."""
    size = count
    while size > 1 and size * values > _PART:
        size = -(-size // 2)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


class Matrices(NamedTuple):
    """The matrices of the algorithm along one axis.

    Attributes:
        outputs: A, [n, m].
        filters: G, [n, r].
        images: Bᵀ, [n, n].
    """

    outputs: np.ndarray
    filters: np.ndarray
    images: np.ndarray


def toom_cook(taps: int) -> Matrices:
    """The matrices for tiles of m = 4 outputs and n = m + taps - 1: Aᵀ [(G w) ⊙ (Bᵀ x)] correlates x with w.

    A and G contain the powers of the points. Bᵀ is the transpose of the interpolation: the inverse of the matrix of
    powers up to n - 1. It is computed in fractions, so that only the result is rounded.

    Args:
        taps: r, 3 or 5.
    """
    points = [Fraction(point) for point in _POINTS[taps]]
    size = len(points) + 1

    def powers(count: int) -> list[list[Fraction]]:
        infinity = [Fraction(int(i == count - 1)) for i in range(count)]  # the leading coefficient
        return [[point**i for i in range(count)] for point in points] + [infinity]

    rows = [row + [Fraction(int(i == j)) for j in range(size)] for i, row in enumerate(powers(size))]
    for column in range(size):  # Gauss-Jordan elimination
        pivot = next(i for i in range(column, size) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for i in range(size):
            if i != column:
                factor = rows[i][column]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    inverse = np.array([[float(value) for value in row[size:]] for row in rows])
    return Matrices(outputs=np.array(powers(_TILE), float), filters=np.array(powers(taps), float), images=inverse.T)


def _settle_layouts(*tensors: Tensor) -> None:
    """Make each tensor contiguous in place, unless it is contiguous or channels-last already."""
    for tensor in tensors:
        layout_of(tensor)


def _flat(x: Tensor) -> Tensor:
    """[n², ...] to [n², all other axes]."""
    return x.reshape([x.shape[0], -1])


def _evaluated_filters(filters: Tensor, matrix: Tensor, channels_exchanged: bool = False) -> Tensor:
    """Filters [K, C, r, r] at the points: [n², K, C], or with the channels exchanged [n², C, K]."""
    k, c, size, _ = filters.shape
    if not channels_exchanged:
        return paddle.matmul(matrix, filters.reshape([k * c, -1]), transpose_y=True).reshape([-1, k, c])
    destination = contiguous((size * size, c, k))
    source = Layout(destination.shape, (1, size * size, c * size * size))
    taps = reorder_function(source, destination, destination)(filters)[0]
    return paddle.matmul(matrix, taps.reshape([size * size, -1])).reshape([-1, c, k])


def _evaluated_tiles(x: Tensor, corner: tuple[int, int], plan: _Plan, matrix: Tensor) -> Tensor:
    """The tiles of x [N, C, H, W] at the points: [n², tiles, C].

    Args:
        x: part of a tensor that is contiguous or channels-last.
        corner: rows of zeros above x and columns of zeros to its left.
        plan: says how many tiles there are.
        matrix: [n², values of a tile].
    """
    (n, c, height, width), (down, across) = x.shape, plan.tiles
    side = round(matrix.shape[1] ** 0.5)
    padded = (n, c, (down - 1) * _TILE + side, (across - 1) * _TILE + side)
    if padded != tuple(x.shape):
        (top, left), whole = corner, paddle.zeros([n, *padded[2:], c]).transpose([0, 3, 1, 2])
        _copy(x, whole[:, :, top : top + height, left : left + width])
        x = whole
    image, channel, row, column = x.strides
    tiles = paddle.empty([side, side, n, down, across, c])
    strides = contiguous(tuple(tiles.shape)).strides
    # Tiles overlap, so one reorder cannot read them all. Each of these reads a part of every tile without an overlap.
    for i in range(0, side, _TILE):
        for j in range(0, side, _TILE):
            shape = (min(_TILE, side - i), min(_TILE, side - j), n, down, across, c)
            source = Layout(shape, (row, column, image, _TILE * row, _TILE * column, channel))
            destination = Layout(shape, strides)
            reorder_function(source, destination, destination)(x[:, :, i:, j:], into=(tiles[i:, j:],))
    return paddle.matmul(matrix, tiles.reshape([side * side, -1])).reshape([-1, n * down * across, c])


def _write_tiles(tiles: Tensor, outputs: Tensor, plan: _Plan) -> None:
    """Write tiles of outputs [m², tiles · K] to their pixels in `outputs` [N, K, height, width]."""
    n, k, _, _ = outputs.shape
    image, channel, row, column = outputs.strides
    source = contiguous((_TILE, _TILE, n, *plan.tiles, k))
    destination = Layout(source.shape, (row, column, image, _TILE * row, _TILE * column, channel))
    reorder_function(source, destination, destination)(tiles, into=(outputs,))


def _copy(source: Tensor, destination: Tensor) -> None:
    """Copy values between tensors of one shape, whatever their strides."""
    shape = tuple(source.shape)
    written = Layout(shape, tuple(destination.strides))
    reorder_function(Layout(shape, tuple(source.strides)), written, written)(source, into=(destination,))


def _cropped(x: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    if tuple(x.shape) == shape:
        return x
    result = empty(channels_last(shape))
    _copy(x[:, :, : shape[2], : shape[3]], result)
    return result
