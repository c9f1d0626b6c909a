"""A score as a record: every measure of a set of samples, the same measures of real images, and what they depend on.

Samples are compared with the `reference`: real images, which are held-out test images if the data set has them. The
same number of other real images, the `floor`, is measured like samples, to show the score of a perfect generator. The
functions of `metrics` compute the numbers; the features come from an `extractors.Extractor`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle

import paddle_gan
from paddle_gan import metrics
from paddle_gan.config.sizes import ImageSize, shown, sides
from paddle_gan.datasets import ImageSet
from paddle_gan.datasets.resize import block_means
from paddle_gan.errors import DataError
from paddle_gan.evaluation.real_images import LEAST_IMAGES, RealImages, select
from paddle_gan.evaluation.records import FORMAT
from paddle_gan.features.extractors import (
    CLASSIFIERS,
    Extractor,
    classifier_extractor,
    general_extractor,
    inception_extractor,
)

# Copies are searched for in images of at most this size.
_COPY_SIZE = 16
# Training images that are read at once; images on the disk need no more memory than these.
_CHUNK = 1000
_SHOWN_NEIGHBOURS = 12

# Called with the name of each part of an evaluation when it begins, for a progress bar.
Progress = Callable[[str], None]


def extractor_for(dataset: str, image_size: ImageSize, channels: int, inception: str | None) -> Extractor:
    """The extractor for a data set.

    Args:
        dataset: name or path.
        image_size: in pixels.
        channels: of the images, 1 or 3.
        inception: the file of the FID Inception, which is used if it is given. Otherwise the classifier of the data set
            is used, or `general_extractor` if the package has no classifier for this set, or if the images are no
            squares, which the classifiers are made for.
    """
    if inception:
        return inception_extractor(Path(inception))
    height, width = sides(image_size)
    has_classifier = dataset in CLASSIFIERS and height == width
    return classifier_extractor(dataset) if has_classifier else general_extractor(channels)


@dataclass(frozen=True)
class MeasuredImages:
    """What the measures need of a set of images.

    Attributes:
        features: float32 [N, F].
        probabilities: of the classes, float32 [N, K]; None if the extractor knows none.
        pixels: uint8 [N, H·W·C].
    """

    features: np.ndarray
    probabilities: np.ndarray | None
    pixels: np.ndarray

    @property
    def class_counts(self) -> np.ndarray:
        """For each class, the number of images that belong to it most probably: int64 [K]."""
        assert self.probabilities is not None
        return metrics.class_histogram(self.probabilities.argmax(axis=1), self.probabilities.shape[1])


def extract(images: np.ndarray, extractor: Extractor) -> MeasuredImages:
    """Extract from images, uint8 [N, H, W, C], what the measures need."""
    features, probabilities = extractor(images)
    return MeasuredImages(features, probabilities, pixels=images.reshape(len(images), -1))


def diversity(features: np.ndarray, reference: np.ndarray) -> float:
    """Root mean squared distance between two samples, divided by the one between two real images.

    It is 0 if all samples are the same, and 1 if they differ as much as real images, or if all real images are the
    same. The mean squared distance between two draws is twice the trace of the covariance.

    Args:
        features: of the samples, [N, F].
        reference: features of real images, [M, F].
    """
    mine, real = (values.var(axis=0, dtype=np.float64).sum() for values in (features, reference))
    return float(np.sqrt(mine / real)) if real > 0 else 1.0


def compare_sets(samples: MeasuredImages, reference: MeasuredImages) -> Iterator[tuple[str, float | int]]:
    """Every figure that compares two sets, by its name in FIGURES; figures about classes only if these are known.

    A generator, so that a progress bar can show each figure as it is computed.
    """
    sample_moments = metrics.Moments().add(samples.features)
    reference_moments = metrics.Moments().add(reference.features)
    yield "frechet_distance", metrics.frechet_distance(sample_moments, reference_moments)
    yield "kernel_distance", metrics.kernel_distance(reference.features, samples.features)
    precision_recall = metrics.precision_recall(reference.features, samples.features)
    yield "precision", precision_recall.precision
    yield "recall", precision_recall.recall
    density_coverage = metrics.density_coverage(reference.features, samples.features)
    yield "density", density_coverage.density
    yield "coverage", density_coverage.coverage
    yield "diversity", diversity(samples.features, reference.features)
    if samples.probabilities is not None:
        yield "classifier_score", metrics.classifier_score(samples.probabilities)
        covered = metrics.mode_coverage(samples.class_counts, reference.class_counts)
        yield "modes", covered.modes
        yield "class_kl", covered.divergence
    yield "sliced_wasserstein", metrics.sliced_wasserstein(samples.pixels, reference.pixels) / 255


def copy_blocks(images: np.ndarray) -> np.ndarray:
    """Images, uint8 [N, H, W, C], as means of at most 16×16 blocks: small shifts and noise do not hide a copy there."""
    return block_means(images, _COPY_SIZE)


@dataclass(frozen=True)
class Baseline:
    """Everything about the real images. Many sets of samples can be measured against one baseline.

    Attributes:
        real: the images.
        extractor: gives the features.
        reference: the reference images.
        training_blocks: `copy_blocks` of the training images.
        figures: of the floor, by their names in FIGURES.
        class_counts: of "reference" and "floor"; None if no classes are known.
    """

    real: RealImages
    extractor: Extractor
    reference: MeasuredImages
    training_blocks: np.ndarray
    figures: dict[str, float | int]
    class_counts: dict[str, list[int]] | None


def baseline(real: RealImages, extractor: Extractor, progress: Progress = lambda name: None) -> Baseline:
    """Measure the floor against the reference.

    Args:
        real: the images.
        extractor: gives the features.
        progress: called with the name of each part when it begins.
    """
    progress("features of real images")
    reference, floor = extract(real.reference, extractor), extract(real.floor, extractor)
    training = copy_blocks_of(real.training)
    figures = _figures(floor, reference, "real images", progress)
    progress("near-copies in real images")
    # The reference, which was held out, is searched for copies: those that are found are copies by chance.
    figures |= _copy_figures(metrics.near_copies(copy_blocks(real.reference), training[real.others]))
    counts = None
    if reference.probabilities is not None:
        counts = {"reference": reference.class_counts.tolist(), "floor": floor.class_counts.tolist()}
    return Baseline(
        real=real,
        extractor=extractor,
        reference=reference,
        training_blocks=training,
        figures=figures,
        class_counts=counts,
    )


def copy_blocks_of(training: ImageSet) -> np.ndarray:
    """`copy_blocks` of all images of a set, which is read in parts."""
    chunks = (slice(start, start + _CHUNK) for start in range(0, len(training), _CHUNK))
    return np.concatenate([copy_blocks(select(training, chunk)) for chunk in chunks])


def _figures(
    samples: MeasuredImages, reference: MeasuredImages, whose: str, progress: Progress
) -> dict[str, float | int]:
    figures = {}
    for name, value in compare_sets(samples, reference):
        progress(f"{name} of {whose}")
        figures[name] = value
    return figures


def _copy_figures(copies: metrics.NearCopies) -> dict[str, float | int]:
    return {"near_copies": copies.share, "nearest_training": copies.median_distance}


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        record: for JSON, see `records`.
        neighbours: uint8 [24, H, W, C]: the 12 samples that are nearest to a training image, relative to the usual
            distances around that image, each followed by that image.
    """

    record: dict[str, Any]
    neighbours: np.ndarray


def evaluate(
    images: np.ndarray,
    against: Baseline,
    protocol: dict[str, Any],
    subject: dict[str, Any],
    progress: Progress = lambda name: None,
) -> Evaluation:
    """Measure samples.

    Args:
        images: the samples, uint8 [N, H, W, C]. No more of them are used than there are images in the reference:
            figures of different numbers of images cannot be compared with those of the floor.
        against: the real images, of the same size and channels.
        protocol: what else the figures depend on (data set, seed, weights), for the record.
        subject: whose samples they are; it has at least "name".
        progress: called with the name of each part when it begins.

    Raises:
        DataError: the samples are of another size than the real images, or too few.
    """
    real = against.real
    if images.shape[1:] != real.reference.shape[1:]:
        shapes = [shown(*array.shape[1:]) for array in (images, real.reference)]
        raise DataError(f"the samples are {shapes[0]} and the real images {shapes[1]}; name the set that they imitate")
    if len(images) < LEAST_IMAGES // 2:
        raise DataError(f"{len(images)} samples are too few to measure; at least {LEAST_IMAGES // 2} are needed")
    images = images[: len(real.reference)]
    progress("features of samples")
    samples = extract(images, against.extractor)
    figures = _figures(samples, against.reference, "samples", progress)
    progress("near-copies in samples")
    copies = metrics.near_copies(copy_blocks(images), against.training_blocks)
    figures |= _copy_figures(copies)
    counts = against.class_counts and {"samples": samples.class_counts.tolist(), **against.class_counts}
    record = {
        "format": FORMAT,
        "protocol": _protocol(against, len(images), protocol),
        "subject": subject,
        "figures": {name: {"samples": figures[name], "real": against.figures[name]} for name in figures},
        "class_counts": counts,
    }
    return Evaluation(record, _neighbours(images, real, copies))


def _protocol(against: Baseline, samples: int, further: dict[str, Any]) -> dict[str, Any]:
    """Everything that the figures depend on, for the record."""
    real, extractor = against.real, against.extractor
    return {
        "extractor": extractor.name,
        "extractor_sha256": extractor.sha256,
        "resize": extractor.resize,
        "split": real.split,
        "samples": samples,
        "reference": len(real.reference),
        "floor": len(real.floor),
        "training": len(real.training),
        **further,
        "paddle_gan": paddle_gan.__version__,
        "paddle": paddle.__version__,
        "numpy": np.__version__,
    }


def _neighbours(images: np.ndarray, real: RealImages, copies: metrics.NearCopies) -> np.ndarray:
    """The samples that are most like copies, each followed by its training image, uint8 [2 n, H, W, C]."""
    closest = np.argsort(copies.relative, kind="stable")[:_SHOWN_NEIGHBOURS]
    pairs = np.stack([images[closest], select(real.training, copies.indices[closest])], axis=1)
    return pairs.reshape(-1, *images.shape[1:])
