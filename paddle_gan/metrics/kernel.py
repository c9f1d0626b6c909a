"""Kernel distance: the squared maximum mean discrepancy with a cubic kernel (Binkowski et al. 2018).

Unlike there, the features are standardised, so that none counts for its scale alone, and all pairs are
taken instead of random subsets: the result depends on the features only. A feature that hardly varies in the
reference is not blown up: no deviation is taken for less than a tenth of what is usual, or else the few images
in which a rare feature is active decide everything, cubed.
"""

import numpy as np

from paddle_gan.metrics.arrays import check_features, slices

_LEAST_DEVIATION = 0.1


def kernel_distance(reference: np.ndarray, samples: np.ndarray) -> float:
    """Unbiased estimate of MMD^2 with the kernel (x.y / F + 1)^3; about 0, also below, for equal distributions.

    Args:
        reference: float [N, F]; its mean and standard deviations standardise both sets, each deviation being
            at least a tenth of the root mean square of all.
        samples: float [M, F].

    Raises:
        ValueError: fewer than two samples in one, different F, or a reference with constant features only.
        NumericalError: a value is not finite.
    """
    check_features(reference, samples, least=2)
    if (reference == reference[0]).all():
        raise ValueError("all features of the reference are constant")
    x, y = reference.astype(np.float64), samples.astype(np.float64)
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    deviation = np.maximum(deviation, _LEAST_DEVIATION * np.sqrt(np.square(deviation).mean()))
    for features in (x, y):
        features -= mean
        # The root of F, so that a product of two has the kernel's 1 / F.
        features /= deviation * np.sqrt(features.shape[1])
    return _mean_within(x) + _mean_within(y) - 2 * _sum(x, y) / (len(x) * len(y))


def _mean_within(x: np.ndarray) -> float:
    """Mean of the kernel over the pairs of different entries of one set."""
    own = (np.square(x).sum(axis=1) + 1) ** 3
    return (_sum(x, x) - float(own.sum())) / (len(x) * (len(x) - 1))


def _sum(x: np.ndarray, y: np.ndarray) -> float:
    """Sum of (x.y + 1)^3 over all pairs."""
    total = 0.0
    for rows in slices(len(x)):
        for columns in slices(len(y)):
            block = x[rows] @ y[columns].T
            block += 1
            total += float(np.vdot(block * block, block))
    return total
