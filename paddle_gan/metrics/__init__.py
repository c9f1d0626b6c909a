"""How near two sets of images are, measured on their features: pure NumPy, no Paddle, nothing random but a seed.

Each function takes features, float [N, F], or what a classifier said of the images, and returns plain
numbers. Not about where the features come from, what a good value is, or how it is printed. Pairs of
features are worked through in blocks, so that memory does not grow with the square of N.

    frechet      distance of two Gaussians, from moments that are added up batch by batch
    kernel       maximum mean discrepancy with a cubic kernel
    neighbours   nearest neighbours: precision, recall, density, coverage, near-copies of training images
    classes      classifier score, class histogram, modes and their divergence
    sliced       sliced Wasserstein distance

All raise ValueError for arguments of the wrong shape or too few samples, and NumericalError for
features that are not finite.
"""

from paddle_gan.metrics.classes import class_histogram, classifier_score, mode_coverage
from paddle_gan.metrics.frechet import Moments, frechet_distance
from paddle_gan.metrics.kernel import kernel_distance
from paddle_gan.metrics.neighbours import (
    NearCopies,
    density_coverage,
    kth_distances,
    near_copies,
    nearest,
    precision_recall,
)
from paddle_gan.metrics.sliced import sliced_wasserstein

__all__ = [
    "Moments",
    "NearCopies",
    "class_histogram",
    "classifier_score",
    "density_coverage",
    "frechet_distance",
    "kernel_distance",
    "kth_distances",
    "mode_coverage",
    "near_copies",
    "nearest",
    "precision_recall",
    "sliced_wasserstein",
]
