"""A trained generator from images to images in use: batches of one size, and single pictures of any size.

A picture that is larger than a tile is translated tile by tile, so that only its bytes, and the sums of one strip of
tiles, grow with it. Neighbouring tiles overlap, and in the overlap one passes smoothly into the other.
"""

from collections.abc import Callable

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.inference.images import to_uint8

# Images that are translated at once.
_CHUNK = 16
# Share of a tile that it has in common with the next one.
_OVERLAP = 1 / 4
# Pixels a side that every network can take; smaller pictures are extended.
LEAST_SIDE = 16


def translate_batch(network: nn.Layer, inputs: np.ndarray) -> np.ndarray:
    """The translations of inputs of one size.

    Args:
        network: with `value_range`; is put into evaluation mode.
        inputs: float32 [N, C, H, W] in the value range, H and W multiples of the network's `multiple`.

    Returns:
        uint8 [N, H, W, C'].
    """
    network.eval()
    made = []
    with paddle.no_grad():
        for start in range(0, len(inputs), _CHUNK):
            outputs = network(paddle.to_tensor(inputs[start : start + _CHUNK]))
            made.append(to_uint8(outputs.numpy(), network.value_range))
    return np.concatenate(made)


def with_translations(network: nn.Layer, images: Tensor) -> list[np.ndarray]:
    """Images and what a network makes of them, uint8 [N, H, W, C] each."""
    pixels = images.numpy()
    return [to_uint8(pixels, network.value_range), translate_batch(network, pixels)]


def translate_picture(
    network: nn.Layer, pixels: np.ndarray, tile: int, inputs_of: Callable[[np.ndarray], Tensor], scale: int = 1
) -> np.ndarray:
    """The translation of one picture of any size.

    Args:
        network: with `value_range` and `multiple`; is put into evaluation mode.
        pixels: uint8 [H, W, C].
        tile: the most pixels a side that are translated at once, at least the network's `multiple`.
        inputs_of: makes the network's inputs of a part of the picture, uint8 [1, C, h, w] to [1, C', h, w].
        scale: how many times larger the network's outputs are than its inputs.

    Returns:
        uint8 [scale · H, scale · W, C''].
    """
    network.eval()
    height, width, _ = pixels.shape
    whole = _padded(pixels, network.multiple)
    rows, columns = (_tiles(size, tile - tile % network.multiple, network.multiple) for size in whole.shape[:2])
    ends = [top for top, _ in rows[1:]] + [rows[-1][1]]
    made, rest = [], np.zeros((0, 0, 0), np.float32)
    for (top, bottom), end in zip(rows, ends, strict=True):
        strip = _strip(network, whole[top:bottom], columns, _ramp(scale * (bottom - top), rows), inputs_of, scale)
        if rest.size:
            strip[:, : rest.shape[1]] += rest
        # No later strip has a part in the rows above the next one.
        done, rest = np.split(strip, [scale * (end - top)], axis=1)
        made.append(to_uint8((done[:-1] / done[-1])[None], network.value_range)[0])
    return np.concatenate(made)[: scale * height, : scale * width]


def _strip(
    network: nn.Layer,
    pixels: np.ndarray,
    columns: list[tuple[int, int]],
    row_weights: np.ndarray,
    inputs_of: Callable[[np.ndarray], Tensor],
    scale: int,
) -> np.ndarray:
    """The weighted sum of the translations of the tiles in one strip, and as the last channel the sum of the weights.

    Args:
        network: as for `translate_picture`, as are `inputs_of` and `scale`.
        pixels: uint8 [h, W, C].
        columns: starts and ends of the tiles.
        row_weights: of each row of the result, [scale · h].

    Returns:
        float32 [C'' + 1, scale · h, scale · W].
    """
    total = np.zeros((0, 0, 0), np.float32)
    for left, right in columns:
        with paddle.no_grad():
            outputs = network(inputs_of(pixels[:, left:right].transpose(2, 0, 1)[None])).numpy()[0]
        if not total.size:
            total = np.zeros((len(outputs) + 1, scale * pixels.shape[0], scale * pixels.shape[1]), np.float32)
        weights = np.outer(row_weights, _ramp(scale * (right - left), columns)).astype(np.float32)
        place = slice(scale * left, scale * right)
        total[:-1, :, place] += outputs * weights
        total[-1, :, place] += weights
    return total


def _padded(pixels: np.ndarray, multiple: int) -> np.ndarray:
    """The picture, extended at the right and at the bottom by its mirror image to multiples of `multiple`.

    It has at least `LEAST_SIDE` pixels a side, and as many as the network needs.
    """
    least = max(multiple, LEAST_SIDE)
    missing = [max(least, -(-size // multiple) * multiple) - size for size in pixels.shape[:2]]
    return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric") if any(missing) else pixels


def _tiles(size: int, tile: int, multiple: int) -> list[tuple[int, int]]:
    """Starts and ends of the tiles along one side; each is of the size of a tile, and begins at a multiple."""
    if size <= tile:
        return [(0, size)]
    step = max(multiple, int(tile * (1 - _OVERLAP)) // multiple * multiple)
    starts = [*range(0, size - tile, step), size - tile]
    return [(start, start + tile) for start in starts]


def _ramp(size: int, tiles: list[tuple[int, int]]) -> np.ndarray:
    """The weight of each row of a tile: one for a single tile, else rising from its border to its overlap's end."""
    if len(tiles) == 1:
        return np.ones(size)
    from_border = np.minimum(np.arange(size), np.arange(size)[::-1]) + 1
    return np.minimum(1, from_border / (size * _OVERLAP))
