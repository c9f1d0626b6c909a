"""Stacked MNIST: three digits as the channels of one image, a thousand combinations (Metz et al. 2017).

The networks and the training are the usual ones. The MNIST classifier counts the combinations among the samples.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import Tensor

from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import ImageSet, load_dataset
from paddle_gan.datasets.batches import batch_indices
from paddle_gan.features.extractors import Extract, classifier_extractor
from paddle_gan.inference.images import grid, save_png
from paddle_gan.inference.sampling import generate
from paddle_gan.metrics import mode_coverage
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.runs.building import build, schedules_of
from paddle_gan.runs.resolve import resolve
from paddle_gan.studies.points import TrialResult
from paddle_gan.training import callbacks
from paddle_gan.training.loop import train
from paddle_gan.training.progress import progress
from paddle_gan.training.schedule import scheduled
from paddle_gan.training.task import BatchSource

# Samples whose modes are counted, as in the published protocol.
STACKED_IMAGES = 26_000
STACKED_SETTINGS: dict[str, Any] = {
    "recipe": "paper",
    "preset": "small",
    "generator": "pixelshuffle",
    "width": 32,
    "discriminator_width": 32,
}
_LOG_EVERY = 100


def stacked_batches(digits: ImageSet, batch_size: int, seed: int, value_range: tuple[float, float]) -> BatchSource:
    """Batches of images that consist of three random digits: float32 [batch_size, 3, H, W], no labels.

    A batch is a function of the seed and its number.

    Args:
        digits: images with one channel.
        batch_size: images in a batch.
        seed: of the choice.
        value_range: of the generator.
    """
    assert isinstance(digits.images, np.ndarray)
    images = paddle.to_tensor(digits.images)
    low, high = value_range

    def batch(number: int) -> tuple[Tensor, None]:
        indices = batch_indices(count=len(digits), batch_size=3 * batch_size, seed=seed, step=number)
        triples = paddle.gather(images, paddle.to_tensor(indices)).reshape([batch_size, 3, *images.shape[2:]])
        return triples.astype("float32") * ((high - low) / 255) + low, None

    return batch


def stacked_classes(images: np.ndarray, extract: Extract) -> np.ndarray:
    """The mode of each image: the classes of its three channels are the three digits of the number.

    Args:
        images: uint8 [N, H, W, 3].
        extract: from grey images, uint8 [M, H, W, 1], to features and class probabilities [M, 10].

    Returns:
        int64 [N], values 0 ... 999.
    """
    channels = images.transpose(0, 3, 1, 2).reshape(-1, *images.shape[1:3], 1)
    _, probabilities = extract(channels)
    assert probabilities is not None
    return probabilities.argmax(1).reshape(-1, 3) @ np.array([100, 10, 1])


def stacked_shares(labels: np.ndarray) -> np.ndarray:
    """The share of the data in each of the thousand modes, float64 [1000], from the labels of the single digits [N]."""
    shares = np.bincount(labels, minlength=10) / len(labels)
    return (shares[:, None, None] * shares[:, None] * shares).reshape(-1)


def stacked_trial(
    loss: str,
    steps: int,
    seed: int,
    folder: Path | None,
    say: Callable[[str], None],
    recipe: str = STACKED_SETTINGS["recipe"],
) -> TrialResult:
    """Train on Stacked MNIST, and count the modes of 26,000 samples.

    The score is the KL divergence between the shares of the modes among the samples and those in the data, in nats. For
    the other arguments see `points.mixture_trial`.

    Args:
        recipe: see `runs.recipes`. There are no clusters and no augmentation in either: the stacks are drawn anew for
            each batch.
    """
    settings: dict[str, Any] = {**STACKED_SETTINGS, "recipe": recipe}
    if recipe == "paper" and OBJECTIVES[loss].optimizer == Adam():
        settings |= {"learning_rate": 4e-4, "beta2": 0.99}
    options = TrainConfig(loss=loss, steps=steps, seed=seed, channels=3, clusters=0, augment=("none",), **settings)
    config = resolve(options, "cpu").config
    task = build(config, classes=0)
    digits, extract = load_dataset("mnist", config.image_size, 1), classifier_extractor("mnist")
    batches = stacked_batches(digits, config.batch_size, seed, task.generator.network.value_range)
    with progress(steps, 0, say) as shown:
        rates = callbacks.rates(config.batch_size * config.discriminator_steps)
        train(task, batches, steps, seed, _LOG_EVERY, [rates, shown, scheduled(task, schedules_of(config, steps))])
    say(f"classes of {STACKED_IMAGES} samples")
    counts = np.zeros(1000, np.int64)
    for i, (images, _) in enumerate(generate(task.sampler, STACKED_IMAGES, seed)):
        counts += np.bincount(stacked_classes(images, extract), minlength=1000)
        if i == 0 and folder:
            save_png(folder / "samples.png", grid(images[:80], 10))
    assert digits.labels is not None
    covered = mode_coverage(counts, stacked_shares(digits.labels))
    return TrialResult(modes=covered.modes, score=covered.divergence)
