"""Fréchet distance between two sets of features, each described by a Gaussian (Heusel et al. 2017, eq. 6)."""

from dataclasses import dataclass, field

import numpy as np

from paddle_gan.metrics.arrays import check_features, slices


@dataclass
class Moments:
    """Mean and covariance of features that are added batch by batch; `Moments()` is empty.

    The products are relative to the mean, and those of two batches are combined with the formula of Chan, Golub and
    LeVeque (1979). So a large mean causes no cancellation, and the batch size makes no difference but rounding.

    Attributes:
        count: number of samples added.
        sum: float64 [F], the sum of their features.
        products: float64 [F, F], the sum of (x - mean)(x - mean)^T.
    """

    count: int = 0
    sum: np.ndarray = field(default_factory=lambda: np.zeros(0))
    products: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def add(self, features: np.ndarray) -> "Moments":
        """Add features, float [N, F], and return this object.

        Raises:
            ValueError: the shape is not [N, F], or F is not that of earlier features.
            NumericalError: a value is not finite.
        """
        check_features(features)
        size = features.shape[1]
        if self.count == 0:
            self.sum, self.products = np.zeros(size), np.zeros((size, size))
        if size != len(self.sum):
            raise ValueError(f"the batches have different numbers of features: {len(self.sum)} and {size}")
        for rows in slices(len(features)):
            self._add_chunk(features[rows].astype(np.float64))
        return self

    def _add_chunk(self, features: np.ndarray) -> None:
        count = len(features)
        mean = features.mean(axis=0)
        centred = features - mean
        self.products += centred.T @ centred
        if self.count:
            shift = mean - self.mean
            self.products += np.outer(shift, shift * (self.count * count / (self.count + count)))
        self.sum += features.sum(axis=0)
        self.count += count

    @property
    def mean(self) -> np.ndarray:
        """Mean, float64 [F]."""
        return self.sum / self.count

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance, float64 [F, F]. Raises ValueError for fewer than two samples."""
        if self.count < 2:
            raise ValueError(f"there are {self.count} samples, but a covariance needs at least 2")
        return self.products / (self.count - 1)


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mu_a - mu_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)), 0 or more, in squared units of the features.

    With C = R R^T, the trace of (C_a C_b)^(1/2) is the sum of the singular values of R_a^T R_b. This avoids the
    eigenvalues of C_a C_b: if N < F, some of them are only rounding errors, and their square roots are large.

    Raises:
        ValueError: a set has fewer than two samples, or the values of F differ.
    """
    if a.covariance.shape != b.covariance.shape:
        raise ValueError(f"the sets have different numbers of features: {len(a.sum)} and {len(b.sum)}")
    overlap = np.linalg.svd(_root(a.covariance).T @ _root(b.covariance), compute_uv=False).sum()
    distance = np.square(a.mean - b.mean).sum() + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap
    return max(0.0, float(distance))


def _root(covariance: np.ndarray) -> np.ndarray:
    """R [F, rank] with covariance = R R^T; eigenvalues that are only rounding errors are left out."""
    values, vectors = np.linalg.eigh(covariance)
    real = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0)
    return vectors[:, real] * np.sqrt(values[real])
