"""A score as a record: every measure of one set of samples, the same of real images, and all that they depend on.

Samples are compared with `reference`, real images that were held out where the set has such; the same number of
other real images, the `floor`, takes the place of the samples to show what a perfect generator would get. The
numbers are those of `metrics`; the features come from an `extractors.Extractor`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddle.nn as nn

import paddle_gan
from paddle_gan import metrics
from paddle_gan.datasets import ImageSet
from paddle_gan.errors import DataError, UsageError
from paddle_gan.evaluation.records import FORMAT
from paddle_gan.features.extractors import (
    CLASSIFIERS,
    Extractor,
    classifier_extractor,
    inception_extractor,
    random_extractor,
)
from paddle_gan.inference.sampling import generate

LEAST_IMAGES = 12
MOST_REAL = 10_000
_COPY_SIZE = 16
# Training images that are looked at together: no more of those on the disk are held in memory.
_PIECE = 1000
# Some images of a set.
Choice = np.ndarray | slice
_SHOWN_NEIGHBOURS = 12


@dataclass(frozen=True)
class RealImages:
    """The real images of one evaluation.

    Attributes:
        reference: what samples are compared with, uint8 [N, H, W, C].
        floor: other real images, which are measured as if they were samples.
        training: the set that the generator was trained on; copies of its images are looked for.
        others: indices in `training` of images that the reference has no part in: what looks like a copy of these
            does so by chance.
        split: where reference and floor come from, in words.
    """

    reference: np.ndarray
    floor: np.ndarray
    training: ImageSet
    others: Choice
    split: str


def real_images(training: ImageSet, held_out: ImageSet | None, count: int, seed: int) -> RealImages:
    """Choose the real images of an evaluation.

    Args:
        training: what the generator was trained on.
        held_out: the test images; None where a set has none, whose training images are then halved.
        count: wanted in `reference` and in `floor`; fewer where there are not so many.
        seed: of the choice.

    Raises:
        UsageError: too small a count. DataError: too few images for any measure.
    """
    source, reference, floor, others = _choice(training, held_out, count, seed)
    split = "reference: held-out test images; floor: training images"
    if held_out is None:
        split = "reference and floor: two halves of the training images"
    return RealImages(_taken(source, reference), _taken(training, floor), training, others, split)


def reference_images(training: ImageSet, held_out: ImageSet | None, count: int, seed: int) -> np.ndarray:
    """The reference of `real_images` alone: no other image is read."""
    source, reference, _, _ = _choice(training, held_out, count, seed)
    return _taken(source, reference)


def _choice(
    training: ImageSet, held_out: ImageSet | None, count: int, seed: int
) -> tuple[ImageSet, Choice, Choice, Choice]:
    """The set that the reference is from, its indices there; those of the floor and of the others in `training`."""
    least = LEAST_IMAGES // 2
    if count < least:
        raise UsageError(f"{count} images are too few to measure; at least {least} are needed")
    random = np.random.default_rng(seed)
    order = random.permutation(len(training))
    if held_out is not None:
        all_of_them = count >= len(held_out)
        reference = slice(None) if all_of_them else random.permutation(len(held_out))[:count]
        return held_out, reference, order[:count], slice(None)
    half = min(count, len(training) // 2)
    if half < least:
        raise DataError(
            f"{training.name}: {len(training)} images are too few to measure; at least {LEAST_IMAGES} are needed"
        )
    return training, order[:half], order[half : 2 * half], order[half:]


def _taken(data: ImageSet, chosen: Choice) -> np.ndarray:
    """Images of a set as uint8 [N, H, W, C]."""
    return data.images[chosen].transpose(0, 2, 3, 1)


def extractor_for(dataset: str, channels: int, inception: str | None) -> Extractor:
    """The FID Inception where its file is given, the classifier of the data set where there is one, else random features."""
    if inception:
        return inception_extractor(Path(inception).expanduser())
    return classifier_extractor(dataset) if dataset in CLASSIFIERS else random_extractor(channels)


@dataclass(frozen=True)
class Seen:
    """A set of images as the measures see it.

    Attributes:
        features: float32 [N, F].
        probabilities: float32 [N, K], or None.
        pixels: uint8 [N, H·W·C].
    """

    features: np.ndarray
    probabilities: np.ndarray | None
    pixels: np.ndarray

    @property
    def class_counts(self) -> np.ndarray:
        """int64 [K], how many images have each class as their likeliest."""
        return metrics.class_histogram(self.probabilities.argmax(axis=1), self.probabilities.shape[1])


def see(images: np.ndarray, extractor: Extractor) -> Seen:
    """Extract what the measures need from images, uint8 [N, H, W, C]."""
    features, probabilities = extractor(images)
    return Seen(features, probabilities, images.reshape(len(images), -1))


def diversity(features: np.ndarray, reference: np.ndarray) -> float:
    """Root mean squared distance between two samples, over that between two real images: 0 when all are alike, 1 like real.

    The mean squared distance between two draws is twice the trace of the covariance.
    """
    return float(np.sqrt(features.var(axis=0, dtype=np.float64).sum() / reference.var(axis=0, dtype=np.float64).sum()))


def compare_sets(samples: Seen, reference: Seen) -> Iterator[tuple[str, float | int]]:
    """Every figure that compares two sets, by its name in FIGURES; those of classes only where there are any."""
    moments = (metrics.Moments().add(seen.features) for seen in (samples, reference))
    yield "frechet_distance", metrics.frechet_distance(*moments)
    yield "kernel_distance", metrics.kernel_distance(reference.features, samples.features)
    yield from zip(("precision", "recall"), metrics.precision_recall(reference.features, samples.features))
    yield from zip(("density", "coverage"), metrics.density_coverage(reference.features, samples.features))
    yield "diversity", diversity(samples.features, reference.features)
    if samples.probabilities is not None:
        yield "classifier_score", metrics.classifier_score(samples.probabilities)
        yield from zip(("modes", "class_kl"), metrics.mode_coverage(samples.class_counts, reference.class_counts))
    yield "sliced_wasserstein", metrics.sliced_wasserstein(samples.pixels, reference.pixels) / 255


def small_pixels(images: np.ndarray) -> np.ndarray:
    """Images, uint8 [N, H, W, C], as means of blocks, at most 16×16 of them: float32 [N, F] in [0, 1].

    What copies are looked for in: small shifts and noise do not hide one there.
    """
    count, size, _, channels = images.shape
    block = -(-size // _COPY_SIZE)
    edge = -size % block
    padded = np.pad(images, ((0, 0), (0, edge), (0, edge), (0, 0))) if edge else images
    blocks = padded.reshape(count, (size + edge) // block, block, (size + edge) // block, block, channels)
    return (blocks.mean(axis=(2, 4), dtype=np.float32) / 255).reshape(count, -1)


Step = Callable[[str], None]


@dataclass(frozen=True)
class Baseline:
    """The real side of evaluations, which many sets of samples can be measured against.

    Attributes:
        real, extractor: as given.
        reference: as the measures see it.
        training_pixels: `small_pixels` of the training images.
        figures: those of the real images that take the place of samples, by their names in FIGURES.
        class_counts: of "reference" and "floor", or None where there are no classes.
    """

    real: RealImages
    extractor: Extractor
    reference: Seen
    training_pixels: np.ndarray
    figures: dict[str, float | int]
    class_counts: dict[str, list[int]] | None


def baseline(real: RealImages, extractor: Extractor, step: Step = lambda name: None) -> Baseline:
    """Measure real images against real images.

    Args:
        real: the images.
        extractor: gives the features.
        step: called with what begins, for a progress bar.
    """
    step("features of real images")
    reference, floor = see(real.reference, extractor), see(real.floor, extractor)
    pieces = (slice(start, start + _PIECE) for start in range(0, len(real.training), _PIECE))
    training = np.concatenate([small_pixels(_taken(real.training, piece)) for piece in pieces])
    others = training[real.others]
    figures, _ = _figures(floor, reference, small_pixels(real.reference), others, "real images", step)
    counts = None
    if reference.probabilities is not None:
        counts = {"reference": reference.class_counts.tolist(), "floor": floor.class_counts.tolist()}
    return Baseline(real, extractor, reference, training, figures, counts)


def _figures(
    samples: Seen, reference: Seen, pixels: np.ndarray, training_pixels: np.ndarray, of: str, step: Step
) -> tuple[dict[str, float | int], metrics.NearCopies]:
    """All figures of a set of images by their names in FIGURES, and its near-copies."""
    figures = {}
    for name, value in compare_sets(samples, reference):
        step(f"{name} of {of}")
        figures[name] = value
    step(f"near-copies in {of}")
    copies = metrics.near_copies(pixels, training_pixels)
    return figures | {"near_copies": copies.share, "nearest_training": copies.median_distance}, copies


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        record: for JSON: "protocol" (all that the figures depend on), "subject" (whose samples), "figures"
            (name -> {"samples", "real"}), "class_counts".
        neighbours: uint8 [24, H, W, C], the samples nearest to a training image for what is usual around it, each
            followed by that image.
    """

    record: dict[str, Any]
    neighbours: np.ndarray


def evaluate(
    images: np.ndarray,
    against: Baseline,
    protocol: dict[str, Any],
    subject: dict[str, Any],
    step: Step = lambda name: None,
) -> Evaluation:
    """Measure samples.

    Args:
        images: the samples, uint8 [N, H, W, C]; only as many as there are in the reference are taken, since figures
            of different numbers cannot be compared with the floor's.
        against: the real side, of the same size and channels.
        protocol: what else the figures depend on (data set, seed, weights), for the record.
        subject: whose samples they are, "name" at least.
        step: called with what begins, for a progress bar.

    Raises:
        DataError: other sizes than the real images', or too few samples.
    """
    real, extractor = against.real, against.extractor
    if images.shape[1:] != real.reference.shape[1:]:
        shapes = ["x".join(map(str, array.shape[1:])) for array in (images, real.reference)]
        raise DataError(f"the samples are {shapes[0]} and the real images {shapes[1]}; name the set they imitate")
    if len(images) < LEAST_IMAGES // 2:
        raise DataError(f"{len(images)} samples are too few to measure; at least {LEAST_IMAGES // 2} are needed")
    images = images[: len(real.reference)]
    step("features of samples")
    seen = see(images, extractor)
    figures, copies = _figures(seen, against.reference, small_pixels(images), against.training_pixels, "samples", step)
    closest = np.argsort(copies.relative, kind="stable")[:_SHOWN_NEIGHBOURS]
    neighbours = np.stack([images[closest], _taken(real.training, copies.indices[closest])], axis=1)
    counts = against.class_counts and {"samples": seen.class_counts.tolist(), **against.class_counts}
    record = {
        "format": FORMAT,
        "protocol": {
            "extractor": extractor.name,
            "extractor_sha256": extractor.sha256,
            "resize": extractor.resize,
            "split": real.split,
            "samples": len(images),
            "reference": len(real.reference),
            "floor": len(real.floor),
            "training": len(real.training),
            **protocol,
            "paddle_gan": paddle_gan.__version__,
            "paddle": paddle.__version__,
            "numpy": np.__version__,
        },
        "subject": subject,
        "figures": {name: {"samples": figures[name], "real": against.figures[name]} for name in figures},
        "class_counts": counts,
    }
    return Evaluation(record, neighbours.reshape(-1, *images.shape[1:]))


def monitor(extractor: Extractor, reference: np.ndarray, count: int) -> Callable[[nn.Layer, int, int], dict[str, Any]]:
    """A quick evaluation for use while training; the features of the reference are taken once.

    Args:
        extractor: gives the features.
        reference: real images, uint8 [N, H, W, C].
        count: samples at each call.

    Returns:
        A function of (generator, seed, classes) to the values to log. It leaves the generator in
        evaluation mode.
    """
    real = see(reference, extractor)
    moments = metrics.Moments().add(real.features)

    def measure(generator: nn.Layer, seed: int, classes: int) -> dict[str, Any]:
        seen = see(np.concatenate([images for images, _ in generate(generator, count, seed, classes)]), extractor)
        values: dict[str, Any] = {
            "evaluation/frechet_distance": metrics.frechet_distance(metrics.Moments().add(seen.features), moments),
            "evaluation/diversity": diversity(seen.features, real.features),
        }
        if seen.probabilities is not None:
            modes, kl = metrics.mode_coverage(seen.class_counts, real.class_counts)
            values |= {"evaluation/classes_reached": modes, "evaluation/class_kl": kl}
            values["evaluation/class_counts"] = seen.class_counts.tolist()
        return values

    return measure
