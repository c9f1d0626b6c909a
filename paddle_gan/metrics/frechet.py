"""Fréchet distance between two sets of features, each taken for a Gaussian (Heusel et al. 2017, eq. 6)."""

from dataclasses import dataclass, field

import numpy as np

from paddle_gan.metrics.arrays import check_features, slices


@dataclass
class Moments:
    """Mean and covariance of features that come in batches; `Moments()` has seen none yet.

    The products are kept about the mean and joined by the formula of Chan, Golub and LeVeque (1979), so
    that nothing cancels however large the mean is, and the size of the batches does not matter.

    Attributes:
        count: features seen.
        sum: float64 [F], their sum.
        products: float64 [F, F], the sum of (x - mean)(x - mean)^T.
    """

    count: int = 0
    sum: np.ndarray = field(default_factory=lambda: np.zeros(0))
    products: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def add(self, features: np.ndarray) -> "Moments":
        """Add features, float [N, F]; returns itself.

        Raises:
            ValueError: not [N, F], or another F than before.
            NumericalError: a value is not finite.
        """
        check_features(features)
        size = features.shape[1]
        if self.count == 0:
            self.sum, self.products = np.zeros(size), np.zeros((size, size))
        if size != len(self.sum):
            raise ValueError(f"features of different sizes: {len(self.sum)} and {size}")
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
        """float64 [F]."""
        return self.sum / self.count

    @property
    def covariance(self) -> np.ndarray:
        """float64 [F, F], unbiased. ValueError for fewer than two features."""
        if self.count < 2:
            raise ValueError(f"{self.count} samples have no covariance; at least 2 are needed")
        return self.products / (self.count - 1)


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mu_a - mu_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)), 0 or more, in squared units of the features.

    With C = R R^T, the last trace is the sum of the singular values of R_a^T R_b. Taken so, no square
    root of a rounding error comes in, as it does from the eigenvalues of C_a C_b when N < F.

    Raises:
        ValueError: fewer than two features in one, or different F.
    """
    if a.covariance.shape != b.covariance.shape:
        raise ValueError(f"features of different sizes: {len(a.sum)} and {len(b.sum)}")
    overlap = np.linalg.svd(_root(a.covariance).T @ _root(b.covariance), compute_uv=False).sum()
    distance = np.square(a.mean - b.mean).sum() + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap
    return max(0.0, float(distance))


def _root(covariance: np.ndarray) -> np.ndarray:
    """R [F, rank] with covariance = R R^T; eigenvalues that are no more than rounding are left out."""
    values, vectors = np.linalg.eigh(covariance)
    real = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0)
    return vectors[:, real] * np.sqrt(values[real])
