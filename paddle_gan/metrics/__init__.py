"""How similar two sets of images are, in pure NumPy without Paddle.

Each function but those of `pairs` and `significance` takes features, float [N, F], or the output of a classifier, and
returns numbers. The results depend only on the arguments; where random numbers are used, the seed is an argument. Not
about where the features come from, which value is good, or how it is printed. Pairs of features are computed in blocks,
so memory does not grow with the square of N.

    frechet      Fréchet distance of two Gaussians, from moments that are added up batch by batch
    kernel       maximum mean discrepancy with a cubic kernel
    neighbours   nearest neighbours: precision, recall, density, coverage, near-copies of training images
    classes      classifier score, class histogram, covered modes and their divergence
    sliced       sliced Wasserstein distance
    pairs        L1, PSNR and SSIM of images and their targets
    significance  Student's t-test for pairs

All functions raise ValueError for arguments of the wrong shape or too few samples, and NumericalError for features
that are not finite.
"""

from paddle_gan.metrics.classes import ModeCoverage, class_histogram, classifier_score, mode_coverage
from paddle_gan.metrics.frechet import Moments, frechet_distance
from paddle_gan.metrics.kernel import kernel_distance
from paddle_gan.metrics.neighbours import (
    DensityCoverage,
    NearCopies,
    Nearest,
    PrecisionRecall,
    density_coverage,
    kth_distances,
    near_copies,
    nearest,
    precision_recall,
)
from paddle_gan.metrics.pairs import l1, luma, psnr, psnr_within, ssim, ssim_map, within, without_border
from paddle_gan.metrics.sliced import sliced_wasserstein

__all__ = [
    "DensityCoverage",
    "ModeCoverage",
    "Moments",
    "NearCopies",
    "Nearest",
    "PrecisionRecall",
    "class_histogram",
    "classifier_score",
    "density_coverage",
    "frechet_distance",
    "kernel_distance",
    "kth_distances",
    "l1",
    "luma",
    "mode_coverage",
    "near_copies",
    "nearest",
    "precision_recall",
    "psnr",
    "psnr_within",
    "sliced_wasserstein",
    "ssim",
    "ssim_map",
    "within",
    "without_border",
]
