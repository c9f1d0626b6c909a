"""The quick measures of a run while it trains: a part of those of `score`, on fewer samples."""

from collections.abc import Callable
from typing import Any

import numpy as np
import paddle.nn as nn

from paddle_gan import metrics
from paddle_gan.datasets import ImageSet
from paddle_gan.evaluation.real_images import Reference
from paddle_gan.evaluation.score import copy_blocks, copy_blocks_of, diversity, extract
from paddle_gan.features.extractors import Extractor
from paddle_gan.inference.sampling import generate

# Samples that are searched for copies at each measure.
_SEARCHED = 1000


def copy_monitor(training: ImageSet, reference: Reference) -> Callable[[np.ndarray], dict[str, float]]:
    """The share of near-copies, for use during training, when few images are what a generator may copy.

    Args:
        training: the set that the generator is trained on; it is read once.
        reference: real images that are compared with the others of the training set, for copies by chance.

    Returns:
        A function from samples, uint8 [N, H, W, C], to the values to log; at most 1,000 samples are searched.
    """
    blocks = copy_blocks_of(training)
    by_chance = metrics.near_copies(copy_blocks(reference.images[:_SEARCHED]), blocks[reference.others]).share

    def measure(samples: np.ndarray) -> dict[str, float]:
        share = metrics.near_copies(copy_blocks(samples[:_SEARCHED]), blocks).share
        return {"evaluation/near_copies": share, "evaluation/near_copies_by_chance": by_chance}

    return measure


def monitor(
    extractor: Extractor,
    reference: np.ndarray,
    count: int,
    copies: Callable[[np.ndarray], dict[str, float]] | None = None,
) -> Callable[[nn.Layer, int, int], dict[str, Any]]:
    """A quick evaluation for use during training; the features of the reference are computed once.

    Args:
        extractor: gives the features.
        reference: real images, uint8 [N, H, W, C].
        count: samples at each call.
        copies: see `copy_monitor`; None where copies are not searched for.

    Returns:
        A function from (generator, seed, classes) to the values to log. It leaves the generator in evaluation mode.
    """
    real = extract(reference, extractor)
    moments = metrics.Moments().add(real.features)

    def measure(generator: nn.Layer, seed: int, classes: int) -> dict[str, Any]:
        images = np.concatenate([batch.images for batch in generate(generator, count, seed, classes)])
        samples = extract(images, extractor)
        values: dict[str, Any] = {
            "evaluation/features": extractor.name,
            "evaluation/frechet_distance": metrics.frechet_distance(metrics.Moments().add(samples.features), moments),
            "evaluation/diversity": diversity(samples.features, real.features),
        }
        if samples.probabilities is not None:
            covered = metrics.mode_coverage(samples.class_counts, real.class_counts)
            values["evaluation/classes_reached"] = covered.modes
            values["evaluation/class_kl"] = covered.divergence
            values["evaluation/class_counts"] = samples.class_counts.tolist()
        return values | copies(images) if copies else values

    return measure
