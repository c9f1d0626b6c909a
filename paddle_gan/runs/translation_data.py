"""The images of a translation run: the sets to train on, those that are held out, and the feed."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import Tensor

from paddle_gan.datasets import DATASETS, load_dataset
from paddle_gan.datasets.derived import GREY, reduced
from paddle_gan.datasets.feed import BatchFeed, thread_count
from paddle_gan.datasets.folder import open_folder
from paddle_gan.datasets.holes import drawn_from, with_drawn_holes
from paddle_gan.datasets.image_set import ImageSet, fingerprint, subset
from paddle_gan.datasets.pair_feed import Keys, Pair, both_sides, cropped, derived_from, independent
from paddle_gan.datasets.pairs import (
    CHANNELS,
    held_out_split,
    loaded,
    pairs_by_name,
    pairs_side_by_side,
    reversed_pairs,
)
from paddle_gan.errors import DataError
from paddle_gan.runs.translation_options import TranslationOptions

# As many as the next round takes, and one more, so that the threads have work also while it takes them.
_AHEAD = 2
_RANGE = (-1.0, 1.0)
# Tells the order of one set from that of the next.
_FEEDS = int.from_bytes(b"feeds", "little")


@dataclass(frozen=True)
class TranslationData:
    """The images of one task.

    Attributes:
        training: the sets to train on, at the size before the crop: one set of pairs or of targets, or two sets of
            unpaired images, those to translate from first.
        uncropped: the same images as `training` at the size that is measured, on the disk.
        held_out: images of the same sets that are not trained on, at the size that is measured: that of the crop, or
            before the crop for super-resolution, since there a smaller image would have more detail.
        pairs_of: makes the pairs of images in [-1, 1] of the first set and their keys; None for unpaired images.
        fingerprint: of all images.
    """

    training: tuple[ImageSet, ...]
    uncropped: tuple[ImageSet, ...]
    held_out: tuple[ImageSet, ...]
    pairs_of: Callable[[Tensor, Keys], Pair] | None
    fingerprint: str

    @property
    def name(self) -> str:
        """Name of the sets."""
        return " and ".join(data.name for data in self.training)


def load_translation_data(config: TranslationOptions) -> TranslationData:
    """Open the images of a run, and read them into memory where they fit.

    Raises:
        DataError: a folder cannot be read, or has too few images.
    """
    return divided(config, partial(_sets, config))


def divided(config: TranslationOptions, sets: Callable[[int], list[ImageSet]]) -> TranslationData:
    """The images of a run, divided into those to train on and those that are held out.

    Args:
        config: of the run.
        sets: makes all images of each set, at a size.

    Raises:
        DataError: an image cannot be read, or a set has too few of them.
    """
    measured_size = config.load_size if config.task == "super-resolution" else config.image_size
    whole, small = (sets(size) for size in (config.load_size, measured_size))
    splits = [held_out_split(data, config.held_out) for data in whole]
    for data in whole:
        if len(data) < 2:
            raise DataError(f"{data.name}: one image is too few to train on")
    training = [subset(data, split[0]) for data, split in zip(whole, splits, strict=True)]
    uncropped, held_out = (
        [subset(data, split[part]) for data, split in zip(small, splits, strict=True)] for part in range(2)
    )
    return TranslationData(
        training=tuple(loaded(data, config.workers) for data in training),
        uncropped=tuple(uncropped),
        held_out=tuple(loaded(data, None) for data in held_out),
        pairs_of=_pairs_of(config),
        fingerprint=" ".join(fingerprint(data) for data in whole),
    )


def translation_feed(config: TranslationOptions, data: TranslationData) -> AbstractContextManager[Callable[[int], Any]]:
    """The batches of a run: `Pair`s, or tuples of a batch of each of the unpaired sets."""
    feeds = []
    for i, images in enumerate(data.training):
        # Two sets of the same size must not come in the same order: their images would be pairs by chance.
        seed = config.seed if i == 0 else int(np.random.SeedSequence([config.seed, i, _FEEDS]).generate_state(1)[0])
        whole = BatchFeed(
            data=images,
            batch_size=config.batch_size,
            seed=seed,
            value_range=None,
            labelled=False,
            workers=thread_count(config.workers),
            ahead=_AHEAD,
        )
        crop = partial(
            cropped, whole, size=config.image_size, seed=seed, mirror=not config.no_mirror, value_range=_RANGE
        )
        feeds.append(crop(made=data.pairs_of) if data.pairs_of else crop())
    return feeds[0] if data.pairs_of else independent(*feeds)


def held_out_pairs(data: TranslationData, count: int) -> Pair:
    """At most `count` pairs that are not trained on; if none are held out, pairs that are trained on."""
    assert data.pairs_of is not None
    names = _shown(data, 0).names
    # A hole is the same in every measure, whatever other images there are.
    keys = [
        (int.from_bytes(sha256(Path(names[i]).stem.encode(errors="surrogateescape")).digest()[:8], "little"),)
        for i in spread(len(names), count)
    ]
    return data.pairs_of(held_out_images(data, 0, count), keys)


def held_out_images(data: TranslationData, side: int, count: int) -> Tensor:
    """Held-out images of a set, at most `count`, as a tensor in [-1, 1]: [n, C, H, W].

    If none are held out, they are images that are trained on.
    """
    images = _shown(data, side)
    return as_tensor(images.images[spread(len(images), count)])


def _shown(data: TranslationData, side: int) -> ImageSet:
    return data.held_out[side] if len(data.held_out[side]) else data.uncropped[side]


def spread(count: int, most: int) -> np.ndarray:
    """At most so many indices, with equal distances, from 0 to count - 1: names beside each other are often alike."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)


def as_tensor(images: np.ndarray) -> Tensor:
    """Images, uint8 [N, C, H, W], as a tensor in [-1, 1]."""
    return paddle.to_tensor(images).astype("float32") * (2 / 255) - 1


def _pairs_of(config: TranslationOptions) -> Callable[[Tensor, Keys], Pair] | None:
    if config.task == "unpaired":
        return None
    if not config.images:
        return both_sides
    if config.mask:
        return partial(with_drawn_holes, drawn_from(config.mask))
    if config.scale:
        return derived_from(partial(reduced, scale=config.scale))
    return derived_from(GREY[config.task])


def _sets(config: TranslationOptions, size: int) -> list[ImageSet]:
    """All images of each set, those of folders on the disk."""
    if config.unpaired:
        folders = config.unpaired[::-1] if config.reverse else config.unpaired
        return [open_folder(Path(folder), size, CHANNELS) for folder in folders]
    if config.images:
        named = config.images in DATASETS
        return [_by_row(config, size) if named else open_folder(Path(config.images), size, CHANNELS)]
    assert config.pairs is not None
    first, *second = (Path(folder) for folder in config.pairs)
    pairs = pairs_by_name(first, second[0], size) if second else pairs_side_by_side(first, size)
    return [reversed_pairs(pairs) if config.reverse else pairs]


def _by_row(config: TranslationOptions, size: int) -> ImageSet:
    """A set that is no folder. Its images are named by their rows: what is held out, and holes, follow from names."""
    assert config.images is not None
    data = load_dataset(config.images, size, CHANNELS, workers=config.workers)
    return replace(data, labels=None, classes=(), names=tuple(f"{row:05}" for row in range(len(data))))
