"""The real images of an evaluation: which images of a data set are the reference, and which stand in for samples.

Not about measures: see `score`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from paddle_gan.datasets import ImageSet
from paddle_gan.errors import DataError, UsageError

LEAST_IMAGES = 12
MOST_REAL = 10_000
# Selects some images of a set.
Indices = np.ndarray | slice


@dataclass(frozen=True)
class RealImages:
    """The real images of one evaluation.

    Attributes:
        reference: what samples are compared with, uint8 [N, H, W, C].
        floor: other real images, which are measured as if they were samples.
        training: the set that the generator was trained on; samples are compared with it to find copies.
        others: indices in `training` of the images that are not in the reference. If an image of the reference looks
            like a copy of one of these, it does so by chance.
        split: where reference and floor come from, in words.
    """

    reference: np.ndarray
    floor: np.ndarray
    training: ImageSet
    others: Indices
    split: str


class _Choice(NamedTuple):
    """Which images to take.

    Attributes:
        source: the set that the reference comes from.
        reference: indices in `source`.
        floor, others: indices in the training set.
    """

    source: ImageSet
    reference: Indices
    floor: Indices
    others: Indices


def real_images(training: ImageSet, held_out: ImageSet | None, count: int, seed: int) -> RealImages:
    """Choose the real images of an evaluation.

    Args:
        training: the set that the generator was trained on.
        held_out: the test images; None if the set has none, then the training images are divided into two halves.
        count: images in `reference` and in `floor`; if the set has fewer, all of them are taken.
        seed: of the choice.

    Raises:
        UsageError: the count is too small.
        DataError: the set has too few images for any measure.
    """
    chosen = _choose(training, held_out, count, seed)
    split = "reference: held-out test images; floor: training images"
    if held_out is None:
        split = "reference and floor: two halves of the training images"
    reference = select(chosen.source, chosen.reference)
    if (reference == reference[0]).all():
        raise DataError(f"{chosen.source.name}: all {len(reference)} real images are the same, which measures nothing")
    return RealImages(
        reference=reference,
        floor=select(training, chosen.floor),
        training=training,
        others=chosen.others,
        split=split,
    )


class Reference(NamedTuple):
    """The reference of `RealImages` alone, and its `others`."""

    images: np.ndarray
    others: Indices


def reference_images(training: ImageSet, held_out: ImageSet | None, count: int, seed: int) -> Reference:
    """The reference of `real_images` alone; no other image is read from the disk."""
    chosen = _choose(training, held_out, count, seed)
    return Reference(select(chosen.source, chosen.reference), chosen.others)


def select(data: ImageSet, indices: Indices) -> np.ndarray:
    """Some images of a set, uint8 [N, H, W, C]."""
    return data.images[indices].transpose(0, 2, 3, 1)


def _choose(training: ImageSet, held_out: ImageSet | None, count: int, seed: int) -> _Choice:
    least = LEAST_IMAGES // 2
    if count < least:
        raise UsageError(f"{count} images are too few to measure; at least {least} are needed")
    random = np.random.default_rng(seed)
    order = random.permutation(len(training))
    if held_out is not None:
        reference = slice(None) if count >= len(held_out) else random.permutation(len(held_out))[:count]
        return _Choice(source=held_out, reference=reference, floor=order[:count], others=slice(None))
    half = min(count, len(training) // 2)
    if half < least:
        raise DataError(
            f"{training.name}: {len(training)} images are too few to measure; at least {LEAST_IMAGES} are needed"
        )
    return _Choice(source=training, reference=order[:half], floor=order[half : 2 * half], others=order[half:])
