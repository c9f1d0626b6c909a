"""Training runs that are ready for their rounds, without a run folder: what the benchmark and `selfcheck` time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from paddle_gan.config.sizes import sides
from paddle_gan.config.train import TrainConfig
from paddle_gan.config.translate import TranslateConfig
from paddle_gan.datasets import ImageSet, load_dataset
from paddle_gan.datasets.pairs import CHANNELS
from paddle_gan.runs.building import batch_feed, build, precision_of
from paddle_gan.runs.resolve import RunOptions, resolve
from paddle_gan.runs.translation import check_buffer
from paddle_gan.runs.translation_building import TranslationTask, build_translation
from paddle_gan.runs.translation_data import TranslationData, divided, translation_feed
from paddle_gan.runs.translation_options import TranslationOptions, resolve_translation
from paddle_gan.training.noise_to_image import NoiseToImage

# Steps of a run of which every measured round is of the same part.
_ENDLESS = 10**9


Config = TypeVar("Config", RunOptions, TranslationOptions)
Data = TypeVar("Data", ImageSet, TranslationData)
Trained = TypeVar("Trained", NoiseToImage, TranslationTask)


@dataclass(frozen=True)
class Rounds(Generic[Config, Data, Trained]):
    """A task with its batches.

    Attributes:
        config: options, filled in.
        data: the images.
        task: at step 0, its networks in training mode.
        batches: of the task.
    """

    config: Config
    data: Data
    task: Trained
    batches: Callable[[int], Any]

    def play(self) -> None:
        """One round."""
        self.task.round(self.batches, self.config.seed)


FromNoise = Rounds[RunOptions, ImageSet, NoiseToImage]


@contextmanager
def rounds_of(
    given: TrainConfig, device: str, noise_images: int | None = None, classes: int = 0
) -> Iterator[FromNoise]:
    """The task of a training run, without clusters, with its batches.

    Args:
        given: its options.
        device: the chosen one, which recipes depend on.
        noise_images: number of images of noise that take the place of the data set; None for the data set.
        classes: number of labels, drawn at random for the images of noise, if `given` is conditional.
    """
    config = resolve(given, device).config
    if noise_images:
        shape = (noise_images, config.channels, *sides(config.image_size))
        random = np.random.default_rng(0)
        data = ImageSet("noise", random.integers(0, 256, shape, np.uint8))
        if classes:
            labels = random.integers(0, classes, noise_images)
            data = replace(data, labels=labels, classes=tuple(map(str, range(classes))))
    else:
        data = load_dataset(config.dataset, config.image_size, config.channels)
    task = build(config, classes)
    for player in task.players.values():
        player.network.train()
    with batch_feed(config, data, task) as batches:
        yield Rounds(config, data, task, batches)


@contextmanager
def translation_rounds_of(
    given: TranslateConfig, device: str, noise_images: int
) -> Iterator[Rounds[TranslationOptions, TranslationData, TranslationTask]]:
    """The task of the training of a translation, with its batches.

    Args:
        given: its options; noise takes the place of the folders that they name.
        device: the chosen one.
        noise_images: number of images of noise in each set.

    Raises:
        UsageError: options that do not go together.
    """
    config = resolve_translation(given, device)
    check_buffer(config)
    assert config.warm_up is None or config.warm_up in (0, 1), "one kind of round"
    random = np.random.default_rng(0)

    def noise(size: int) -> list[ImageSet]:
        shape = (noise_images, 2 * CHANNELS if config.pairs else CHANNELS, size, size)
        names = tuple(map(str, range(noise_images)))
        count = 1 if config.unpaired is None else 2
        return [ImageSet("noise", random.integers(0, 256, shape, np.uint8), names=names) for _ in range(count)]

    data = divided(config, noise)
    task = build_translation(config, data, precision_of(config.precision, False, device), steps=_ENDLESS)
    with translation_feed(config, data) as batches:
        yield Rounds(config, data, task, batches)
