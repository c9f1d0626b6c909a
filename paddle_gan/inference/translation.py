"""A trained generator from images to images in use: batches of one size, and single pictures of any size.

A picture that is larger than a tile is translated tile by tile, so the memory of the network does not grow with it.
Neighbouring tiles overlap, and in the overlap one passes smoothly into the other.
"""

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.inference.images import to_uint8

# Images that are translated at once.
_CHUNK = 16
# Share of a tile that it has in common with the next one.
_OVERLAP = 1 / 4


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


def translate_picture(network: nn.Layer, inputs: Tensor, tile: int) -> np.ndarray:
    """The translation of one picture of any size.

    Args:
        network: with `value_range` and `multiple`; is put into evaluation mode.
        inputs: float32 [1, C, H, W] in the value range.
        tile: the most pixels a side that are translated at once, at least the network's `multiple`.

    Returns:
        uint8 [H, W, C'].
    """
    network.eval()
    multiple = network.multiple
    tile -= tile % multiple
    _, _, height, width = inputs.shape
    whole = _padded(inputs.numpy(), multiple)
    rows, columns = (_tiles(size, tile, multiple) for size in whole.shape[2:])
    total: np.ndarray | None = None
    weights = np.zeros(whole.shape[2:], np.float32)
    for top, bottom in rows:
        for left, right in columns:
            with paddle.no_grad():
                part = network(paddle.to_tensor(whole[:, :, top:bottom, left:right])).numpy()[0]
            weight = np.outer(_ramp(bottom - top, rows), _ramp(right - left, columns)).astype(np.float32)
            if total is None:
                total = np.zeros((part.shape[0], *whole.shape[2:]), np.float32)
            total[:, top:bottom, left:right] += part * weight
            weights[top:bottom, left:right] += weight
    assert total is not None
    return to_uint8((total / weights)[None, :, :height, :width], network.value_range)[0]


def _padded(inputs: np.ndarray, multiple: int) -> np.ndarray:
    """The picture, extended at the right and at the bottom by its mirror image to multiples of `multiple`.

    It has at least 16 pixels a side, and as many as the network needs.
    """
    least = max(multiple, 16)
    missing = [max(least, -(-size // multiple) * multiple) - size for size in inputs.shape[2:]]
    return np.pad(inputs, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric")


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
