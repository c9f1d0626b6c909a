"""A generator of labelled parts as a generator of the whole: the label is drawn by a latent of its own.

Training on clusters (`features.clusters`) makes a generator that takes the number of a cluster. Users want samples in
which the clusters have the frequencies of the data. `Mixture` is that generator: it has one more latent, standard
normal as all others, and the interval of the normal distribution in which this latent lies decides the cluster. So
sampling, measuring and export treat it as any generator.
"""

from statistics import NormalDist

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor

# In place of infinity, which no normal latent reaches; products with zero stay zero.
_BEYOND = 100.0


class Mixture(nn.Layer):
    """A mixture of the parts that a generator makes.

    It is called as `mixture(latents, labels)` with latents [N, latent_dim] and, if there are classes, labels int64 [N]
    of these. Its latent_dim is one more than that of the parts; the last latent chooses the part.

    Args:
        parts: a generator whose labels are numbers of parts, 0 ... K-1.
        shares: P(part | class), [C, K], each row summing to 1; C = 1 without classes.
    """

    def __init__(self, parts: nn.Layer, shares: np.ndarray):
        super().__init__()
        self.parts = parts
        self.latent_dim, self.value_range = parts.latent_dim + 1, parts.value_range
        self.classes = len(shares) if len(shares) > 1 else 0
        # In each row the upper ends of the intervals; a part of share 0 has an empty one.
        self.register_buffer("bounds", paddle.to_tensor(_bounds(shares)), persistable=False)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.parts(latents[:, :-1], self.part_of(latents[:, -1:], labels))

    def part_of(self, choice: Tensor, labels: Tensor | None = None) -> Tensor:
        """The part that a latent chooses: int64 [N].

        Args:
            choice: the last latent, [N, 1].
            labels: classes, int64 [N]; None without classes.
        """
        bounds = self.bounds
        if self.classes:
            assert labels is not None, "a mixture within classes needs labels"
            bounds = paddle.matmul(nn.functional.one_hot(labels, self.classes), bounds)
        return (choice > bounds).astype("int64").sum(1)


def _bounds(shares: np.ndarray) -> np.ndarray:
    """Φ⁻¹ of the cumulative shares, float32 [C, K]."""
    cumulative = np.cumsum(shares, axis=1, dtype=np.float64)
    cumulative /= cumulative[:, -1:]
    quantile = NormalDist().inv_cdf
    ends = [[quantile(value) if 1e-12 < value < 1 - 1e-12 else _end(value) for value in row] for row in cumulative]
    return np.array(ends, np.float32)


def _end(value: float) -> float:
    return _BEYOND if value > 0.5 else -_BEYOND
