"""Sliced Wasserstein distance (Rabin et al. 2011; Bonneel et al. 2015): optimal transport along random directions."""

import numpy as np

from paddle_gan.metrics.arrays import check_features, slices

_PROJECTIONS_AT_ONCE = 32


def sliced_wasserstein(a: np.ndarray, b: np.ndarray, projections: int = 256, seed: int = 0) -> float:
    """Sliced 2-Wasserstein distance between two sets of features.

    The features are projected on random directions. The result is the square root of the mean, over the directions, of
    the squared 2-Wasserstein distance between the projections.

    Args:
        a: float [N, F].
        b: float [M, F]; N and M may differ.
        projections: number of directions, which are uniform on the unit sphere.
        seed: of the directions (numpy.random.default_rng).

    Returns:
        The distance, 0 or more, in units of the features.

    Raises:
        ValueError: the values of F differ, a set has no samples, or there are no projections.
        NumericalError: a value is not finite.
    """
    check_features(a, b)
    if projections < 1:
        raise ValueError(f"there are {projections} projections, but at least 1 is needed")
    directions = np.random.default_rng(seed).normal(size=(projections, a.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    index_a, index_b, weights = _transport(len(a), len(b))
    total = 0.0
    for chunk in slices(projections, _PROJECTIONS_AT_ONCE):
        moved = _sorted(a, directions[chunk])[:, index_a] - _sorted(b, directions[chunk])[:, index_b]
        total += float((np.square(moved) @ weights).sum())
    return float(np.sqrt(total / projections))


def _transport(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The optimal transport between n and m sorted numbers.

    It moves each quantile of one set to the same quantile of the other. The numbers at a quantile change at multiples
    of 1/n and of 1/m. These are computed in units of 1/(n m), which are integers, so the comparison is exact.

    Returns:
        Indices into the n numbers, indices into the m numbers, and the mass that is moved between the two: [P] each.
    """
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    return (ends - 1) // m, (ends - 1) // n, np.diff(ends, prepend=0) / (n * m)


def _sorted(features: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Features [N, F] projected on each of the directions [P, F] and sorted: float64 [P, N]."""
    along = np.empty((len(directions), len(features)))
    for rows in slices(len(features)):
        along[:, rows] = directions @ features[rows].T
    along.sort(axis=1)
    return along
