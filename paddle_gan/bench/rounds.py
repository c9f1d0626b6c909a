"""A training run that is ready for its rounds, without a run folder: what the benchmark and `selfcheck` time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from paddle_gan.config.sizes import sides
from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import ImageSet, load_dataset
from paddle_gan.datasets.feed import BatchFeed
from paddle_gan.runs.building import batch_feed, build
from paddle_gan.runs.resolve import RunOptions, resolve
from paddle_gan.training.noise_to_image import NoiseToImage


@dataclass(frozen=True)
class Rounds:
    """A task with its batches.

    Attributes:
        config: options, filled in.
        data: the images.
        task: at step 0, its networks in training mode.
        batches: of the task.
    """

    config: RunOptions
    data: ImageSet
    task: NoiseToImage
    batches: BatchFeed

    def play(self) -> None:
        """One round."""
        self.task.round(self.batches, self.config.seed)


@contextmanager
def rounds_of(given: TrainConfig, device: str, noise_images: int | None = None) -> Iterator[Rounds]:
    """The task of a training run, unconditional, with its batches.

    Args:
        given: its options.
        device: the chosen one, which recipes depend on.
        noise_images: number of images of noise that take the place of the data set; None for the data set.
    """
    config = resolve(given, device).config
    if noise_images:
        shape = (noise_images, config.channels, *sides(config.image_size))
        data = ImageSet("noise", np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    else:
        data = load_dataset(config.dataset, config.image_size, config.channels)
    task = build(config, classes=0)
    for player in task.players.values():
        player.network.train()
    with batch_feed(config, data, task) as batches:
        yield Rounds(config, data, task, batches)
