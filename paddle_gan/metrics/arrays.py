"""Helpers of the metrics: the check of their arguments, and slices that divide large arrays into chunks."""

from collections.abc import Iterator

import numpy as np

from paddle_gan.errors import NumericalError

# With this size a block of pairs takes 8 MiB in float64, and a chunk of 64 x 64 colour images 100 MB.
_ROWS = 1024


def slices(count: int, rows: int | None = None) -> Iterator[slice]:
    """Consecutive slices that together cover 0 ... count-1; each has at most `rows` indices, 1024 by default."""
    rows = rows or _ROWS
    return (slice(start, min(start + rows, count)) for start in range(0, count, rows))


def check_features(*sets: np.ndarray, least: int = 1) -> None:
    """Check that all arrays are features with the same F.

    Args:
        sets: each [N, F].
        least: the smallest N that is allowed.

    Raises:
        ValueError: an array does not have this shape, the values of F differ, or there are too few samples.
        NumericalError: a value is NaN or infinite.
    """
    for features in sets:
        if features.ndim != 2 or features.shape[1] == 0:
            raise ValueError(f"features must be [N, F], not {list(features.shape)}")
        if features.shape[1] != sets[0].shape[1]:
            raise ValueError(f"the sets have different numbers of features: {sets[0].shape[1]} and {features.shape[1]}")
        if len(features) < least:
            raise ValueError(f"there are {len(features)} samples, but at least {least} are needed")
        if not all(np.isfinite(features[rows]).all() for rows in slices(len(features))):
            raise NumericalError("the features contain NaN or infinity; the network that computed them is damaged")
