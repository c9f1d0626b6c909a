"""What a classifier says of a set of images: how sure it is, which classes there are, and how often."""

import math

import numpy as np


def classifier_score(probabilities: np.ndarray) -> float:
    """exp(E KL(p(y|x) || p(y))) over all samples at once: the "Inception score" (Salimans et al. 2016, section 4).

    Args:
        probabilities: [N, K], p(y|x) of each sample.

    Returns:
        From 1, all samples alike or undecided, to K, all certain and every class as often.

    Raises:
        ValueError: not [N, K], or rows that are no probabilities.
    """
    if probabilities.ndim != 2 or probabilities.size == 0:
        raise ValueError(f"probabilities must be [N, K], not {list(probabilities.shape)}")
    p = probabilities.astype(np.float64)
    if not (p.min() >= 0 and np.allclose(p.sum(axis=1), 1, rtol=0, atol=1e-3)):
        raise ValueError("probabilities must be 0 or more and sum to 1 in each row")
    p /= p.sum(axis=1, keepdims=True)
    # E KL(p(y|x) || p(y)) is the entropy of the mean less the mean of the entropies.
    divergence = _negative_entropy(p) / len(p) - _negative_entropy(p.mean(axis=0))
    return math.exp(max(0.0, divergence))


def _negative_entropy(p: np.ndarray) -> float:
    """Sum of p log p over all entries, with 0 log 0 = 0."""
    positive = p[p > 0]
    return float((positive * np.log(positive)).sum())


def class_histogram(labels: np.ndarray, classes: int) -> np.ndarray:
    """Number of samples in each class, int64 [classes].

    Args:
        labels: integers [N], values 0 ... classes-1.
        classes: their number.

    Raises:
        ValueError: a label outside that range.
    """
    if len(labels) and not (0 <= labels.min() and labels.max() < classes):
        raise ValueError(f"labels from {labels.min()} to {labels.max()}, but there are {classes} classes")
    return np.bincount(labels, minlength=classes).astype(np.int64)


def mode_coverage(histogram: np.ndarray, real_histogram: np.ndarray) -> tuple[int, float]:
    """Classes that the samples reach, and how far their shares are from the real ones (Metz et al. 2017).

    Args:
        histogram: [classes], number of samples in each.
        real_histogram: [classes], the same of real images.

    Returns:
        The number of classes with at least one sample, and KL(sample shares || real shares) in nats:
        infinite if the samples have a class that the real images do not have.

    Raises:
        ValueError: different numbers of classes, or a histogram of nothing.
    """
    if histogram.shape != real_histogram.shape:
        raise ValueError(f"histograms of {len(histogram)} and {len(real_histogram)} classes")
    if not (histogram.sum() > 0 and real_histogram.sum() > 0):
        raise ValueError("a histogram without samples")
    reached = histogram > 0
    share = histogram[reached] / histogram.sum()
    real_share = real_histogram[reached] / real_histogram.sum()
    if not real_share.all():
        return int(reached.sum()), math.inf
    return int(reached.sum()), max(0.0, float((share * np.log(share / real_share)).sum()))
