"""Measures from nearest neighbours of two sets of features: precision, recall, density, coverage, near-copies.

All distances are Euclidean. A ball is closed: a point whose distance equals the radius is inside.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from paddle_gan.metrics.arrays import check_features, slices

# Squared distances with a smaller difference than this count as equal, because rounding may cause it. It is relative to
# the squared norms of the features after the mean was subtracted.
_ROUNDING = 1e-10


# A near-copy is nearer to a training image than this share of that image's distance to its nearest neighbour.
_COPY_DISTANCE = 0.5


class Nearest(NamedTuple):
    """The nearest point of each query.

    Attributes:
        indices: int64 [N], of the points.
        distances: float64 [N], exactly 0 for a copy.
    """

    indices: np.ndarray
    distances: np.ndarray


class PrecisionRecall(NamedTuple):
    """Improved precision and recall, each in [0, 1]."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Density, 0 or more and about 1 for equal distributions, and coverage, in [0, 1]."""

    density: float
    coverage: float


@dataclass(frozen=True)
class NearCopies:
    """Which samples are near-copies of training images.

    Attributes:
        share: of the samples that are near-copies, in [0, 1].
        median_distance: median over the samples of the distance to the nearest training image, in units of the
            features.
        copied: bool [N], whether each sample is a near-copy.
        indices: int64 [N], the nearest training image of each sample.
        distances: float64 [N], from each sample to this training image.
        relative: float64 [N], this distance divided by the distance from the training image to the nearest training
            image that differs from it.
    """

    share: float
    median_distance: float
    copied: np.ndarray
    indices: np.ndarray
    distances: np.ndarray
    relative: np.ndarray


def nearest(queries: np.ndarray, points: np.ndarray, same: bool = False) -> Nearest:
    """Find the nearest point of each query. If several points are equally near up to rounding, any of them is chosen.

    Args:
        queries: float [N, F].
        points: float [M, F].
        same: `points` are the queries themselves, and a query is not its own nearest point.

    Raises:
        ValueError: the values of F differ, or there are no queries or no (other) points.
        NumericalError: a value is not finite.
    """
    check_features(queries, points, least=2 if same else 1)
    if same and queries.shape != points.shape:
        raise ValueError(f"same=True, but there are {len(queries)} queries and {len(points)} points")
    indices, distances = _nearest(queries, points, 1, same)
    return Nearest(indices[:, 0], distances[:, 0])


def kth_distances(points: np.ndarray, k: int) -> np.ndarray:
    """Distance from each point to the k-th nearest of the other points.

    Args:
        points: float [N, F].
        k: at least 1 and smaller than N.

    Returns:
        float64 [N].

    Raises:
        ValueError: k < 1, or there are no more than k points.
        NumericalError: a value is not finite.
    """
    if k < 1:
        raise ValueError(f"k = {k}, but it must be at least 1")
    check_features(points, least=k + 1)
    return _nearest(points, points, k, same=True)[1].max(axis=1)


def precision_recall(reference: np.ndarray, samples: np.ndarray, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkäänniemi et al. 2019, section 2).

    The manifold of a set is the union of balls around its entries. The radius of a ball is the distance to the k-th
    nearest other entry of the set. Precision is the share of the samples that are in the manifold of the reference.
    Recall is the share of the reference that is in the manifold of the samples.

    Args:
        reference: float [N, F].
        samples: float [M, F].
        k: at least 1, and smaller than N and M.

    Raises:
        ValueError: the values of F differ, or a set has no more than k entries.
        NumericalError: a value is not finite.
    """
    check_features(reference, samples)
    around_samples, _ = _counts(reference, kth_distances(reference, k), samples)
    around_reference, _ = _counts(samples, kth_distances(samples, k), reference)
    return PrecisionRecall(float((around_samples > 0).mean()), float((around_reference > 0).mean()))


def density_coverage(reference: np.ndarray, samples: np.ndarray, k: int = 5) -> DensityCoverage:
    """Density and coverage (Naeem et al. 2020, section 3).

    Around each entry of the reference is a ball. Its radius is the distance to the k-th nearest other entry of the
    reference. Density is the mean number of balls that contain a sample, divided by k. Coverage is the share of the
    balls that contain at least one sample.

    Args:
        reference: float [N, F].
        samples: float [M, F].
        k: at least 1, and smaller than N.

    Raises:
        ValueError: the values of F differ, there are no samples, or the reference has no more than k entries.
        NumericalError: a value is not finite.
    """
    check_features(reference, samples)
    around_samples, inside = _counts(reference, kth_distances(reference, k), samples)
    return DensityCoverage(float(around_samples.mean() / k), float((inside > 0).mean()))


def near_copies(samples: np.ndarray, training: np.ndarray) -> NearCopies:
    """Find the samples that are much nearer to a training image than other training images are.

    A sample is a near-copy if its distance to the nearest training image is less than half of the distance from this
    training image to the nearest training image that differs from it. This scale is local: simple images are all close
    to each other, and they do not count as copies for that reason. The measure combines the authenticity of Alaa et al.
    (2022), which has no factor of one half, with the relative distance of Carlini et al. (2023).

    If the features have few dimensions, new images can be that near too. Therefore compare the share with that of
    held-out real images.

    Args:
        samples: float [N, F].
        training: float [M, F]; for the scale, exact copies of an image within it are ignored.

    Raises:
        ValueError: the values of F differ, there are no samples, or there are fewer than two training images.
        NumericalError: a value is not finite.
    """
    check_features(training, least=2)
    indices, distances = nearest(samples, training)
    originals, position = np.unique(indices, return_inverse=True)
    spacing = _spacing(training[originals], training)[position]
    # If all training images are equal, there is no scale, and only an exact copy is near.
    relative = np.divide(distances, spacing, out=np.where(distances == 0, 0.0, np.inf), where=spacing > 0)
    copied = relative < _COPY_DISTANCE
    return NearCopies(
        share=float(copied.mean()),
        median_distance=float(np.median(distances)),
        copied=copied,
        indices=indices,
        distances=distances,
        relative=relative,
    )


def _spacing(queries: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance from each query to the nearest point that differs from it, float64 [N]; 0 if no point differs."""
    smallest = np.full(len(queries), np.inf)
    for rows, _, squares in _squares(queries, points, _ROUNDING):
        squares[squares <= 0] = np.inf
        np.minimum(smallest[rows], squares.min(axis=1), out=smallest[rows])
    return np.sqrt(np.where(np.isinf(smallest), 0, smallest))


def _counts(centres: np.ndarray, radii: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each point the number of balls that contain it, int64 [points]; for each ball its points, int64 [balls]."""
    around, inside = np.zeros(len(points), np.int64), np.zeros(len(centres), np.int64)
    for rows, columns, squares in _squares(points, centres, _ROUNDING):
        within = squares <= np.square(radii[columns])
        around[rows] += np.count_nonzero(within, axis=1)
        inside[columns] += np.count_nonzero(within, axis=0)
    return around, inside


def _nearest(queries: np.ndarray, points: np.ndarray, k: int, same: bool) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances of the k nearest points, [N, k] each, unsorted."""
    smallest, indices = np.full((len(queries), k), np.inf), np.zeros((len(queries), k), np.int64)
    for rows, columns, squares in _squares(queries, points):
        if same and rows == columns:
            np.fill_diagonal(squares, np.inf)
        _keep_smallest(smallest[rows], indices[rows], squares, columns.start)
    distances = np.empty((len(queries), k))
    for rows in slices(len(queries)):
        for i in range(k):
            # `_squares` loses digits by cancellation, so the distances of the pairs found are computed again.
            difference = queries[rows].astype(np.float64) - points[indices[rows, i]]
            distances[rows, i] = np.sqrt(np.square(difference).sum(axis=1))
    return indices, distances


def _keep_smallest(smallest: np.ndarray, indices: np.ndarray, squares: np.ndarray, start: int) -> None:
    """In each row, replace the largest entries of `smallest` by smaller ones of `squares`, and also their indices."""
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
    """Squared distances in blocks: rows (of queries), columns (of points), float64 [rows, columns].

    They are computed as |x|^2 + |y|^2 - 2 x.y after subtraction of the mean of the points, minus `leeway` times
    |x|^2 + |y|^2. If the leeway is larger than the rounding error, equal features get a value of at most 0.
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
