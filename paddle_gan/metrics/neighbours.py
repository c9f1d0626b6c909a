"""What nearest neighbours say of two sets of features: precision, recall, density, coverage, copies.

All distances are Euclidean. A ball is closed: a point whose distance equals the radius is inside.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from paddle_gan.metrics.arrays import check_features, slices

# Squared distances closer than this, relative to the squared norms about the mean, are equal but for rounding.
_ROUNDING = 1e-10


@dataclass(frozen=True)
class NearCopies:
    """Which samples are near-copies of training images.

    Attributes:
        share: of the samples that are, in [0, 1].
        median_distance: of the samples to their nearest training images, in units of the features.
        copied: bool [N].
        indices: int64 [N], the nearest training image of each sample.
        distances: float64 [N], to it.
        relative: float64 [N], that distance over the distance from the training image to its own nearest other one.
    """

    share: float
    median_distance: float
    copied: np.ndarray
    indices: np.ndarray
    distances: np.ndarray
    relative: np.ndarray


def nearest(queries: np.ndarray, points: np.ndarray, same: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The nearest point of each query.

    Args:
        queries: float [N, F].
        points: float [M, F].
        same: the points are the queries themselves, and each one's own entry does not count.

    Returns:
        Indices of points, int64 [N], and distances, float64 [N]; exactly 0 for a copy. Of points that are
        equally near but for rounding it is any one.

    Raises:
        ValueError: different F, no queries or no (other) points. NumericalError: a value is not finite.
    """
    check_features(queries, points, least=2 if same else 1)
    if same and queries.shape != points.shape:
        raise ValueError(f"not the same: {len(queries)} queries and {len(points)} points")
    indices, distances = _nearest(queries, points, 1, same)
    return indices[:, 0], distances[:, 0]


def kth_distances(points: np.ndarray, k: int) -> np.ndarray:
    """Distance of each of `points`, float [N, F], to the k-th nearest of the others: float64 [N].

    Raises:
        ValueError: k < 1, or no more than k points. NumericalError: a value is not finite.
    """
    if k < 1:
        raise ValueError(f"k = {k}, but it must be at least 1")
    check_features(points, least=k + 1)
    return _nearest(points, points, k, same=True)[1].max(axis=1)


def precision_recall(reference: np.ndarray, samples: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, section 2).

    A set's manifold is the union of balls around its entries, each as wide as the distance to the k-th
    nearest other entry. Precision is the share of samples in the reference's manifold, recall the
    share of the reference in the samples'.

    Args:
        reference: float [N, F].
        samples: float [M, F].
        k: as above; smaller than N and M.

    Returns:
        Precision and recall, each in [0, 1].

    Raises:
        ValueError: different F, or no more than k entries. NumericalError: a value is not finite.
    """
    check_features(reference, samples)
    around_samples, _ = _counts(reference, kth_distances(reference, k), samples)
    around_reference, _ = _counts(samples, kth_distances(samples, k), reference)
    return float((around_samples > 0).mean()), float((around_reference > 0).mean())


def density_coverage(reference: np.ndarray, samples: np.ndarray, k: int = 5) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020, section 3).

    Around each entry of the reference is a ball as wide as the distance to its k-th nearest other entry.
    Density is the number of balls that a sample is in, divided by k; coverage is the share of balls with a
    sample in them. Arguments and errors are those of `precision_recall`.

    Returns:
        Density, 0 or more and about 1 for equal distributions, and coverage, in [0, 1].
    """
    check_features(reference, samples)
    around_samples, inside = _counts(reference, kth_distances(reference, k), samples)
    return float(around_samples.mean() / k), float((inside > 0).mean())


def near_copies(samples: np.ndarray, training: np.ndarray) -> NearCopies:
    """Samples that are much nearer to a training image than its own surroundings are.

    A sample is a near-copy when its distance to the nearest training image is under half of the distance
    from that image to the nearest training image that differs from it. The scale is a local one, so that
    simple images, which all lie close together, are not called copies. It goes back to the authenticity of
    Alaa et al. (2022), which has no half, and to the relative distance of Carlini et al. (2023).

    Where the features have few dimensions new images come that near too: compare the share with the one of
    held-out real images.

    Args:
        samples: float [N, F].
        training: float [M, F]; exact copies within it are passed over for the scale.

    Raises:
        ValueError: different F, no samples or fewer than two training images.
        NumericalError: a value is not finite.
    """
    check_features(training, least=2)
    indices, distances = nearest(samples, training)
    originals, position = np.unique(indices, return_inverse=True)
    spacing = _spacing(training[originals], training)[position]
    # Where all training images are equal there is no scale: only a copy is near.
    relative = np.divide(distances, spacing, out=np.where(distances == 0, 0.0, np.inf), where=spacing > 0)
    copied = relative < 0.5
    return NearCopies(float(copied.mean()), float(np.median(distances)), copied, indices, distances, relative)


def _spacing(queries: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of each query to the nearest point that differs from it, float64 [N]; 0 if none does."""
    smallest = np.full(len(queries), np.inf)
    for rows, _, squares in _squares(queries, points, _ROUNDING):
        squares[squares <= 0] = np.inf
        np.minimum(smallest[rows], squares.min(axis=1), out=smallest[rows])
    return np.sqrt(np.where(np.isinf(smallest), 0, smallest))


def _counts(centres: np.ndarray, radii: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many of the balls each point is in, int64 [number of points], and how many points are in each ball."""
    around, inside = np.zeros(len(points), np.int64), np.zeros(len(centres), np.int64)
    for rows, columns, squares in _squares(points, centres, _ROUNDING):
        within = squares <= np.square(radii[columns])
        around[rows] += np.count_nonzero(within, axis=1)
        inside[columns] += np.count_nonzero(within, axis=0)
    return around, inside


def _nearest(queries: np.ndarray, points: np.ndarray, k: int, same: bool) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances of the k nearest points, [N, k] each, in no order."""
    smallest, indices = np.full((len(queries), k), np.inf), np.zeros((len(queries), k), np.int64)
    for rows, columns, squares in _squares(queries, points):
        if same and rows == columns:
            np.fill_diagonal(squares, np.inf)
        _keep_smallest(smallest[rows], indices[rows], squares, columns.start)
    distances = np.empty((len(queries), k))
    for rows in slices(len(queries)):
        for i in range(k):
            # Once more for the pairs found, without the cancellation of `_squares`.
            difference = queries[rows].astype(np.float64) - points[indices[rows, i]]
            distances[rows, i] = np.sqrt(np.square(difference).sum(axis=1))
    return indices, distances


def _keep_smallest(smallest: np.ndarray, indices: np.ndarray, squares: np.ndarray, start: int) -> None:
    """Put what is smaller in `squares` in the place of the largest in `smallest`, and its index in `indices`."""
    row = np.arange(len(squares))
    for _ in range(smallest.shape[1]):
        column, largest = squares.argmin(axis=1), smallest.argmax(axis=1)
        better = squares[row, column] < smallest[row, largest]
        if not better.any():
            break
        smallest[row[better], largest[better]] = squares[row, column][better]
        indices[row[better], largest[better]] = start + column[better]
        squares[row, column] = np.inf


def _squares(queries: np.ndarray, points: np.ndarray, leeway: float = 0.0) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Squared distances block by block: rows (of queries), columns (of points), float64 [rows, columns].

    They are |x|^2 + |y|^2 - 2 x.y about the points' mean, less `leeway` times |x|^2 + |y|^2: with a leeway
    of more than the rounding, equal features have squares of at most 0.
    """
    centre = points.mean(axis=0, dtype=np.float64)
    for rows in slices(len(queries)):
        x = queries[rows] - centre
        x_squares = np.square(x).sum(axis=1) * (1 - leeway)
        x *= -2
        for columns in slices(len(points)):
            y = points[columns] - centre
            squares = x @ y.T
            squares += x_squares[:, None]
            squares += np.square(y).sum(axis=1) * (1 - leeway)
            yield rows, columns, squares
