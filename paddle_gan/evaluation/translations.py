"""How good translations are: near their targets where there are pairs, and like target images as a set.

Beside each figure stand the same figures of what is had without learning, the floors of every translation: the inputs
as they are ("identity") and with the colours of the target images ("matched"), or enlarged by interpolation
("bicubic"), or with holes that are filled smoothly ("harmonic", "biharmonic").
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle

import paddle_gan
from paddle_gan import metrics
from paddle_gan.errors import DataError
from paddle_gan.evaluation.records import FORMAT
from paddle_gan.evaluation.score import diversity, extract
from paddle_gan.features.extractors import Extractor
from paddle_gan.features.maps import Maps
from paddle_gan.objectives.reconstruction import perceptual_loss

# Decibels that stand for images that are the same, whose ratio is infinite.
_MOST_DECIBELS = 100.0
_LEAST_IMAGES = 2
# Pixels of which the feature maps are made at once: sixteen images of 64×64. More take memory and are not quicker.
_PIXELS_AT_ONCE = 2**16

# The images of each column of the record, by its name.
Columns = dict[str, np.ndarray]
# The figures of some images, by their names.
Measure = Callable[[np.ndarray], dict[str, float]]
# By the name of a figure, its value in each column.
Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class TranslatedImages:
    """What is measured; all images are uint8 [N, H, W, 3], and all of one size.

    Attributes:
        made: translations.
        floors: what is had without learning, by the names of `records.FLOORS`.
        targets: real images of the kind that `made` should be.
        against_targets: the figures of images of which image i belongs to target i; None for unpaired images.
        training_targets: images that were trained on, as the real images whose distance to `targets` a perfect
            translation would have.
    """

    made: np.ndarray
    floors: Columns
    targets: np.ndarray
    against_targets: Measure | None
    training_targets: np.ndarray


def pair_figures(made: np.ndarray, targets: np.ndarray, maps: Maps) -> dict[str, float]:
    """L1, PSNR, SSIM and the distance in features, the means over the pairs.

    Args:
        made, targets: uint8 [N, H, W, 3].
        maps: of the features.
    """
    return {
        "l1": float(metrics.l1(made, targets).mean()),
        "psnr": float(metrics.psnr(made, targets).clip(max=_MOST_DECIBELS).mean()),
        "ssim": float(metrics.ssim(made, targets).mean()),
        "perceptual": distance_in_features(made, targets, maps),
    }


def enlarged_figures(made: np.ndarray, targets: np.ndarray, maps: Maps, scale: int) -> dict[str, float]:
    """The figures of super-resolution, the means over the pairs: as `pair_figures`, PSNR and SSIM of Y without a border
    of `scale` pixels.

    Args:
        made, targets, maps: as for `pair_figures`.
        scale: the factor of the enlargement.
    """
    mine, real = (metrics.without_border(metrics.luma(images), scale) for images in (made, targets))
    return {
        "l1": float(metrics.l1(made, targets).mean()),
        "psnr_y": float(metrics.psnr(mine, real).clip(max=_MOST_DECIBELS).mean()),
        "ssim_y": float(metrics.ssim(mine, real).mean()),
        "perceptual": distance_in_features(made, targets, maps),
    }


def hole_figures(made: np.ndarray, targets: np.ndarray, maps: Maps, holes: np.ndarray) -> dict[str, float]:
    """The figures of in-painting, the means over the pairs: L1 and the distance in features of the whole image, PSNR
    and SSIM in the holes.

    Args:
        made, targets, maps: as for `pair_figures`.
        holes: bool [N, H, W].
    """
    similarity = metrics.within(metrics.ssim_map(made, targets), holes)
    return {
        "l1": float(metrics.l1(made, targets).mean()),
        "psnr_hole": float(np.nanmean(metrics.psnr_within(made, targets, holes).clip(max=_MOST_DECIBELS))),
        "ssim_hole": float(np.nanmean(similarity)),
        "perceptual": distance_in_features(made, targets, maps),
    }


def distance_in_features(made: np.ndarray, targets: np.ndarray, maps: Maps) -> float:
    """The mean over the pairs of `reconstruction.perceptual_loss`; arguments as for `pair_figures`."""
    at_once = max(1, _PIXELS_AT_ONCE // (made.shape[1] * made.shape[2]))
    losses, counts = [], []
    with paddle.no_grad():
        for start in range(0, len(made), at_once):
            chunk = slice(start, start + at_once)
            # [N, H, W, 3] from 0 to 255 to [N, 3, H, W] in [-1, 1]
            mine, real = (
                paddle.to_tensor(images[chunk].transpose(0, 3, 1, 2) / np.float32(127.5) - 1)
                for images in (made, targets)
            )
            losses.append(perceptual_loss(maps, mine, real).item())
            counts.append(len(mine))
    return float(np.average(losses, weights=counts))


def set_figures(images: np.ndarray, targets: np.ndarray, extractor: Extractor) -> dict[str, float]:
    """Fréchet and kernel distance of two sets, and how much images differ within the first, relative to the second."""
    mine, real = extract(images, extractor).features, extract(targets, extractor).features
    return {
        "frechet_distance": metrics.frechet_distance(metrics.Moments().add(mine), metrics.Moments().add(real)),
        "kernel_distance": float(metrics.kernel_distance(real, mine)),
        "diversity": diversity(mine, real),
    }


def colour_matched(images: np.ndarray, own: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Images whose colours are moved as sets: mean and standard deviation of each channel from those of one set of
    images to those of another (Reinhard et al. 2001, in RGB).

    Args:
        images: uint8 [N, H, W, C].
        own: images of their kind.
        wanted: images of the kind whose colours they get.
    """
    (mean, deviation), (new_mean, new_deviation) = (
        (array.mean((0, 1, 2)), array.std((0, 1, 2))) for array in (own.astype(np.float64), wanted.astype(np.float64))
    )
    moved = (images - mean) * (new_deviation / np.maximum(deviation, 1e-9)) + new_mean
    return moved.round().clip(0, 255).astype(np.uint8)


def evaluate_translations(
    images: TranslatedImages, extractor: Extractor, protocol: dict[str, Any], subject: dict[str, Any]
) -> dict[str, Any]:
    """The record of an evaluation, see `records`.

    Args:
        images: what is measured.
        extractor: gives the features for the figures of sets.
        protocol: what else the figures depend on.
        subject: whose translations they are; it has at least "name".

    Raises:
        DataError: too few images.
    """
    if min(len(images.made), len(images.targets), len(images.training_targets)) < _LEAST_IMAGES:
        raise DataError(f"{len(images.made)} images are too few to measure; at least {_LEAST_IMAGES} are needed")
    columns: Columns = {"samples": images.made, **images.floors}
    figures: Figures = {}
    if images.against_targets:
        collect(figures, columns, images.against_targets)
    columns["real"] = images.training_targets
    collect(figures, columns, lambda made: set_figures(made, images.targets, extractor))
    sizes = {
        "extractor": extractor.name,
        "extractor_sha256": extractor.sha256,
        "resize": extractor.resize,
        "samples": len(images.made),
        "reference": len(images.targets),
        "floor": len(images.training_targets),
    }
    return record_of(figures, sizes | protocol, subject)


def record_of(figures: Figures, protocol: dict[str, Any], subject: dict[str, Any]) -> dict[str, Any]:
    """A record of figures, see `records`; the versions are added to the protocol."""
    return {
        "format": FORMAT,
        "protocol": {
            **protocol,
            "paddle_gan": paddle_gan.__version__,
            "paddle": paddle.__version__,
            "numpy": np.__version__,
        },
        "subject": subject,
        "figures": figures,
        "class_counts": None,
    }


def collect(figures: Figures, columns: Columns, measure: Measure) -> None:
    """Add the figures of every column."""
    for column, images in columns.items():
        for name, value in measure(images).items():
            figures.setdefault(name, {})[column] = value
