"""Kernel distance: the squared maximum mean discrepancy with a cubic kernel (Binkowski et al. 2018).

There are two differences from the paper. The features are standardised, so that no feature dominates because of its
scale. All pairs are used instead of random subsets, so the result depends only on the features.

A feature that hardly varies in the reference has a small standard deviation, and dividing by it would make that feature
very large: the few images in which a rare feature is active would decide the result, because the kernel is cubic.
Therefore no standard deviation counts as less than a tenth of the root mean square of all of them.
"""

import numpy as np

from paddle_gan.metrics.arrays import check_features, slices

_LEAST_DEVIATION = 0.1


def kernel_distance(reference: np.ndarray, samples: np.ndarray) -> float:
    """Unbiased estimate of MMD^2 with the kernel (x.y / F + 1)^3.

    For equal distributions the value is near 0, and it may be negative.

    Args:
        reference: float [N, F]; both sets are standardised with its mean and its standard deviations, which count as
            at least a tenth of the root mean square of all of them.
        samples: float [M, F].

    Raises:
        ValueError: a set has fewer than two samples, the values of F differ, or all features of the reference are
            constant.
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
        # With the square root of F in each factor, the product x.y has the 1 / F of the kernel.
        features /= deviation * np.sqrt(features.shape[1])
    return _mean_within(x) + _mean_within(y) - 2 * _sum(x, y) / (len(x) * len(y))


def _mean_within(x: np.ndarray) -> float:
    """Mean of the kernel over all pairs of two different samples of one set."""
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
