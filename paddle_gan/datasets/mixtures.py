"""Mixtures of Gaussians in the plane, with modes that can be counted: how to draw points, and how to count modes.

Not about networks or training, and free of Paddle. The mixtures are those of PacGAN (Lin et al. 2018, section 4.1). The
counts are those of VEEGAN (Srivastava et al. 2017, section 4.1): a sample is of high quality if its distance to the
nearest centre is at most three standard deviations, and a mode is covered if at least one sample of high quality is
nearest to its centre.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_HIGH_QUALITY_SIGMAS = 3.0


@dataclass(frozen=True)
class Mixture:
    """A mixture of isotropic Gaussians of equal weight.

    Attributes:
        centres: float64 [K, 2].
        sigma: standard deviation of each Gaussian along each axis.
    """

    centres: np.ndarray
    sigma: float

    @property
    def spread(self) -> float:
        """Square root of the mean variance over both axes; every mixture here has mean 0."""
        return float(np.sqrt(self.centres.var(0).mean() + self.sigma**2))


class ModeCount(NamedTuple):
    """How well points cover a mixture.

    Attributes:
        modes: covered modes, 0 ... K.
        quality: share of the points that are of high quality, 0 ... 1.
    """

    modes: int
    quality: float


def ring(modes: int) -> np.ndarray:
    """Centres on the unit circle with equal distances, the first at (1, 0): float64 [modes, 2]."""
    angles = 2 * np.pi * np.arange(modes) / modes
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def square_grid(coordinates: list[float]) -> np.ndarray:
    """Centres at all pairs of coordinates: float64 [len(coordinates)², 2]."""
    return np.stack(np.meshgrid(coordinates, coordinates, indexing="ij"), axis=-1).reshape(-1, 2).astype(float)


RING8 = Mixture(ring(8), 0.01)
GRID25 = Mixture(square_grid([-4, -2, 0, 2, 4]), 0.05)


def draw(mixture: Mixture, count: int, seed: int, step: int) -> np.ndarray:
    """Draw points from the mixture, as a function of (seed, step): float64 [count, 2]."""
    random = np.random.default_rng((seed, step))
    chosen = random.integers(len(mixture.centres), size=count)
    return mixture.centres[chosen] + mixture.sigma * random.normal(size=(count, 2))


def count_modes(mixture: Mixture, points: np.ndarray) -> ModeCount:
    """Count the covered modes, and measure the share of the points that are of high quality.

    Args:
        mixture: with K modes.
        points: [N, 2].
    """
    distances = np.linalg.norm(points[:, None] - mixture.centres, axis=2)
    nearest, good = distances.argmin(1), distances.min(1) <= _HIGH_QUALITY_SIGMAS * mixture.sigma
    return ModeCount(len(np.unique(nearest[good])), float(good.mean()))
