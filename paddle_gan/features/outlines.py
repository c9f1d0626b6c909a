"""Where images have edges, and in which direction: features that tell shapes apart better than pixels do.

Two images of the same shape whose strokes lie a little beside each other have hardly a pixel in common, but nearly the
same edges in nearly the same places. So k-means finds purer clusters in them: see docs/recipes.md.
"""

import numpy as np

from paddle_gan.datasets.resize import block_means

# Rises when the features come out another way; measures depend on them.
VERSION = 1
# Images are shrunk to at most so many pixels a side first.
_SIZE = 28
_DIRECTIONS = 8
# Cells along the longer side in which edges are summed.
_CELLS = 7
# Of the colours of a cell beside its edges.
_COLOUR_WEIGHT = 0.5
_TINY = 1e-6


def outlines(images: np.ndarray) -> np.ndarray:
    """The edges of images in coarse cells, by direction, and their colours (after Dalal and Triggs 2005, HOG).

    In contrast to HOG the root of the sums is taken instead of norms of blocks, and light on dark is another direction
    than dark on light.

    Args:
        images: uint8 [N, H, W, C].

    Returns:
        float32 [N, F], F = (8 + C) · cells.
    """
    count, height, width, channels = images.shape
    block = -(-max(height, width) // _SIZE)
    rows, columns = -(-height // block), -(-width // block)
    x = block_means(images, _SIZE).reshape(count, rows, columns, channels).transpose(0, 3, 1, 2)
    across = _smoothing(rows) @ x @ (_difference(columns) @ _smoothing(columns)).T
    down = (_difference(rows) @ _smoothing(rows)) @ x @ _smoothing(columns).T
    strength = np.sqrt(across * across + down * down)
    cell = max(rows, columns) / _CELLS
    pools = [_pooling(side, max(1, round(side / cell))) for side in (rows, columns)]
    edges = []
    for angle in 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS:
        along = across * np.float32(np.cos(angle)) + down * np.float32(np.sin(angle))
        cosine = np.maximum(along, 0) / (strength + _TINY)
        square = cosine * cosine  # an edge counts for a direction by the fifth power of the cosine between the two
        edges.append(pools[0] @ (strength * cosine * square * square).mean(axis=1) @ pools[1].T)
    colours = pools[0] @ x @ pools[1].T * (_COLOUR_WEIGHT / np.sqrt(channels))
    parts = [np.sqrt(np.stack(edges, axis=1)), colours]
    return np.concatenate([part.reshape(count, -1) for part in parts], axis=1, dtype=np.float32)


def _smoothing(count: int) -> np.ndarray:
    """Weighted means of neighbours, 1 : 2 : 1, the border repeated: float32 [count, count]."""
    return ((_neighbour(count, -1) + 2 * _neighbour(count, 0) + _neighbour(count, 1)) / 4).astype(np.float32)


def _difference(count: int) -> np.ndarray:
    """Differences of the two neighbours, the border repeated: float32 [count, count]."""
    return (_neighbour(count, 1) - _neighbour(count, -1)).astype(np.float32)


def _neighbour(count: int, offset: int) -> np.ndarray:
    return np.eye(count)[np.clip(np.arange(count) + offset, 0, count - 1)]


def _pooling(count: int, cells: int) -> np.ndarray:
    """Means over overlapping cells, whose weights fall linearly to the middles of their neighbours: [cells, count]."""
    places = (np.arange(count) + 0.5) * cells / count - 0.5
    weights = np.maximum(0, 1 - np.abs(places - np.arange(cells)[:, None]))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
