"""Mixtures of Gaussians in the plane, whose modes can be counted: points of them, and the two counts of the papers.

Not about networks or training, and free of Paddle. The mixtures are those of PacGAN (Lin et al. 2018,
section 4.1) and the counts those of VEEGAN (Srivastava et al. 2017, section 4.1): a sample is of high
quality if it lies within three standard deviations of the centre that is nearest to it, and a mode is
covered if at least one sample of high quality is nearest to its centre.
"""

from dataclasses import dataclass

import numpy as np

_HIGH_QUALITY_SIGMAS = 3.0


@dataclass(frozen=True)
class Mixture:
    """Isotropic Gaussians of equal weight.

    Attributes:
        centres: float64 [K, 2].
        sigma: standard deviation of each along each axis.
    """

    centres: np.ndarray
    sigma: float

    @property
    def spread(self) -> float:
        """Root of the mean variance of an axis; the mean of every mixture here is 0."""
        return float(np.sqrt(self.centres.var(0).mean() + self.sigma**2))


def ring(modes: int) -> np.ndarray:
    """Centres on the unit circle at equal distances, the first at (1, 0): float64 [modes, 2]."""
    angles = 2 * np.pi * np.arange(modes) / modes
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def square_grid(coordinates: list[float]) -> np.ndarray:
    """Centres at all pairs of the coordinates: float64 [len(coordinates)², 2]."""
    return np.stack(np.meshgrid(coordinates, coordinates, indexing="ij"), axis=-1).reshape(-1, 2).astype(float)


RING8 = Mixture(ring(8), 0.01)
GRID25 = Mixture(square_grid([-4, -2, 0, 2, 4]), 0.05)


def draw(mixture: Mixture, count: int, seed: int, step: int) -> np.ndarray:
    """Points of the mixture, a function of (seed, step): float64 [count, 2]."""
    random = np.random.default_rng((seed, step))
    chosen = random.integers(len(mixture.centres), size=count)
    return mixture.centres[chosen] + mixture.sigma * random.normal(size=(count, 2))


def count_modes(mixture: Mixture, points: np.ndarray) -> tuple[int, float]:
    """Modes that are covered, and the share of the points that is of high quality.

    Args:
        points: [N, 2].

    Returns:
        Number of modes, 0 ... K, and share, 0 ... 1.
    """
    distances = np.linalg.norm(points[:, None] - mixture.centres, axis=2)
    nearest, good = distances.argmin(1), distances.min(1) <= _HIGH_QUALITY_SIGMAS * mixture.sigma
    return len(np.unique(nearest[good])), float(good.mean())
