"""What the metrics share: the check of their arguments, and how large arrays are cut into chunks."""

from collections.abc import Iterator

import numpy as np

from paddle_gan.errors import NumericalError

# A block of pairs is then 8 MiB of float64, and a chunk of pixels of 64 x 64 colour images 100 MB.
_ROWS = 1024


def slices(count: int, rows: int | None = None) -> Iterator[slice]:
    """Consecutive slices of `rows` indices that together are 0 ... count-1."""
    rows = rows or _ROWS
    return (slice(start, min(start + rows, count)) for start in range(0, count, rows))


def check_features(*sets: np.ndarray, least: int = 1) -> None:
    """Check that `sets` are features of the same kind.

    Args:
        sets: each [N, F].
        least: smallest N.

    Raises:
        ValueError: another shape, different F, or too few samples.
        NumericalError: a value is NaN or infinite.
    """
    for features in sets:
        if features.ndim != 2 or features.shape[1] == 0:
            raise ValueError(f"features must be [N, F], not {list(features.shape)}")
        if features.shape[1] != sets[0].shape[1]:
            raise ValueError(f"features of different sizes: {sets[0].shape[1]} and {features.shape[1]}")
        if len(features) < least:
            raise ValueError(f"{len(features)} samples, but at least {least} are needed")
        if not all(np.isfinite(features[rows]).all() for rows in slices(len(features))):
            raise NumericalError("features with NaN or infinite values; the network that gave them is damaged")
