"""Stacked MNIST: three digits as the channels of one image, a thousand combinations (Metz et al. 2017).

The networks are those of `networks`, the training is that of `training`; the combinations of samples are counted with
the MNIST classifier.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import Tensor
from paddle.utils import unique_name

from paddle_gan.config.options import TrainConfig
from paddle_gan.datasets import ImageSet, load_dataset
from paddle_gan.datasets.batches import batch_indices
from paddle_gan.features.extractors import classifier_extractor
from paddle_gan.inference.images import grid, save_png
from paddle_gan.inference.sampling import generate
from paddle_gan.metrics import mode_coverage
from paddle_gan.runs.experiment import build
from paddle_gan.runs.resolve import resolve
from paddle_gan.training import callbacks
from paddle_gan.training.loop import BatchSource, train

STACKED_IMAGES = 26_000
STACKED_SETTINGS: dict[str, Any] = {"generator": "pixelshuffle", "width": 32, "discriminator_width": 32}
_LOG_EVERY = 100


def stacked_batches(digits: ImageSet, batch_size: int, seed: int, value_range: tuple[float, float]) -> BatchSource:
    """Batches of images of three random digits, a function of (seed, number): float32 [batch_size, 3, H, W].

    Args:
        digits: of one channel.
        batch_size: images in a batch.
        seed: of the choice.
        value_range: of the generator.
    """
    images = paddle.to_tensor(digits.images)
    low, high = value_range

    def batch(number: int) -> tuple[Tensor, None]:
        chosen = paddle.to_tensor(batch_indices(len(digits), 3 * batch_size, seed, number))
        triples = paddle.gather(images, chosen).reshape([batch_size, 3, *images.shape[2:]])
        return triples.astype("float32") * ((high - low) / 255) + low, None

    return batch


def stacked_classes(images: np.ndarray, extract: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Which of the thousand modes each image is in: the class of its channels as the digits of a number.

    Args:
        images: uint8 [N, H, W, 3].
        extract: grey images, uint8 [M, H, W, 1], to features and class probabilities [M, 10].

    Returns:
        int64 [N], values 0 ... 999.
    """
    channels = images.transpose(0, 3, 1, 2).reshape(-1, *images.shape[1:3], 1)
    _, probabilities = extract(channels)
    return probabilities.argmax(1).reshape(-1, 3) @ np.array([100, 10, 1])


def stacked_shares(labels: np.ndarray) -> np.ndarray:
    """Share of the data in each of the thousand modes, float64 [1000], from the labels of the single digits [N]."""
    one = np.bincount(labels, minlength=10) / len(labels)
    return (one[:, None, None] * one[:, None] * one).reshape(-1)


def stacked_trial(
    loss: str, steps: int, seed: int, folder: Path | None, say: Callable[[str], None]
) -> tuple[int, float]:
    """Train on Stacked MNIST; count the modes of 26,000 samples.

    Returns:
        Modes covered, and the divergence of the samples' shares of the modes from the data's.
    """
    options = TrainConfig(loss=loss, steps=steps, seed=seed, channels=3, preset="small", **STACKED_SETTINGS)
    config, _ = resolve(options, "cpu")
    with unique_name.guard():
        state = build(config, 0)
    digits, extract = load_dataset("mnist", config.image_size, 1), classifier_extractor("mnist")
    batches = stacked_batches(digits, config.batch_size, seed, state.generator.value_range)
    with callbacks.progress(steps, 0, say) as progress:
        rates = callbacks.rates(config.batch_size * config.discriminator_steps)
        train(state, batches, steps, seed, _LOG_EVERY, [rates, progress])
    say(f"classes of {STACKED_IMAGES} samples")
    counts = np.zeros(1000, np.int64)
    for i, (images, _) in enumerate(generate(state.average, STACKED_IMAGES, seed)):
        counts += np.bincount(stacked_classes(images, extract), minlength=1000)
        if i == 0 and folder:
            save_png(folder / "samples.png", grid(images[:80], 10))
    return mode_coverage(counts, stacked_shares(digits.labels))
