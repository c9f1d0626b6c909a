"""Measures from the output of a classifier for a set of images: its certainty, and the frequency of each class."""

import math
from typing import NamedTuple

import numpy as np


class ModeCoverage(NamedTuple):
    """How well the classes of samples match those of real images.

    Attributes:
        modes: number of classes with at least one sample.
        divergence: KL(sample shares || real shares) in nats; infinite if the samples have a class that the real images
            do not have.
    """

    modes: int
    divergence: float


def classifier_score(probabilities: np.ndarray) -> float:
    """exp(E KL(p(y|x) || p(y))) over all samples together: the "Inception score" (Salimans et al. 2016, section 4).

    Args:
        probabilities: [N, K], p(y|x) of each sample.

    Returns:
        A value from 1 to K. It is 1 if p(y|x) is the same for all samples. It is K if the classifier is certain for
        every sample and all classes are equally frequent.

    Raises:
        ValueError: the shape is not [N, K], or a row is not a probability distribution.
    """
    if probabilities.ndim != 2 or probabilities.size == 0:
        raise ValueError(f"probabilities must be [N, K], not {list(probabilities.shape)}")
    p = probabilities.astype(np.float64)
    if not (p.min() >= 0 and np.allclose(p.sum(axis=1), 1, rtol=0, atol=1e-3)):
        raise ValueError("probabilities must be at least 0, and each row must sum to 1")
    p /= p.sum(axis=1, keepdims=True)
    # E KL(p(y|x) || p(y)) is the entropy of the mean minus the mean of the entropies.
    divergence = _negative_entropy(p) / len(p) - _negative_entropy(p.mean(axis=0))
    return math.exp(max(0.0, divergence))


def _negative_entropy(p: np.ndarray) -> float:
    """The sum of p log p over all entries, with 0 log 0 = 0."""
    positive = p[p > 0]
    return float((positive * np.log(positive)).sum())


def class_histogram(labels: np.ndarray, classes: int) -> np.ndarray:
    """Number of samples in each class, int64 [classes].

    Args:
        labels: integers [N], values 0 ... classes-1.
        classes: number of classes.

    Raises:
        ValueError: a label is outside this range.
    """
    if len(labels) and not (0 <= labels.min() and labels.max() < classes):
        raise ValueError(f"labels from {labels.min()} to {labels.max()}, but there are {classes} classes")
    return np.bincount(labels, minlength=classes).astype(np.int64)


def mode_coverage(histogram: np.ndarray, real_histogram: np.ndarray) -> ModeCoverage:
    """Covered classes, and the divergence of their shares from the real shares (Metz et al. 2017).

    Args:
        histogram: [classes], number of samples in each class.
        real_histogram: [classes], number of real images in each class.

    Raises:
        ValueError: the numbers of classes differ, or a histogram has no samples.
    """
    if histogram.shape != real_histogram.shape:
        raise ValueError(f"the histograms have {len(histogram)} and {len(real_histogram)} classes")
    if not (histogram.sum() > 0 and real_histogram.sum() > 0):
        raise ValueError("a histogram has no samples")
    reached = histogram > 0
    share = histogram[reached] / histogram.sum()
    real_share = real_histogram[reached] / real_histogram.sum()
    if not real_share.all():
        return ModeCoverage(int(reached.sum()), math.inf)
    return ModeCoverage(int(reached.sum()), max(0.0, float((share * np.log(share / real_share)).sum())))
