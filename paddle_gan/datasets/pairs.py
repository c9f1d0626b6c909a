"""Pairs of images, an input and its target, as one set: each image has the channels of both sides, inputs first.

So a set of pairs is read, kept in memory or on the disk, and divided into batches like any other `ImageSet`. Not about
crops: see `pair_feed`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from paddle_gan.datasets.folder import open_folder
from paddle_gan.datasets.image_set import DiskImages, ImageSet, fits_in_memory, in_memory, subset
from paddle_gan.datasets.pictures import read_picture
from paddle_gan.errors import DataError

# Both sides are colour images.
CHANNELS = 3


def pairs_by_name(inputs: Path, targets: Path, image_size: int) -> ImageSet:
    """Pairs of the images that have the same name in two folders; extensions may differ.

    Args:
        inputs, targets: the folders, each with the folders below it. Images are brought to size as by `open_folder`.
        image_size: height and width in pixels.

    Returns:
        uint8 [N, 6, image_size, image_size], on the disk, in the order of the names.

    Raises:
        DataError: no name is in both folders, or one is twice in a folder.
    """
    sides = [open_folder(folder, image_size, CHANNELS) for folder in (inputs, targets)]
    places = [_by_stem(folder, side) for folder, side in zip((inputs, targets), sides, strict=True)]
    common = sorted(places[0].keys() & places[1].keys())
    if not common:
        raise DataError(
            f"{inputs} and {targets}: no image has the same name in both; for images without partners use --unpaired"
        )
    first, second = (
        subset(side, np.array([place[name] for name in common])) for side, place in zip(sides, places, strict=True)
    )
    read_first, read_second = _reader(first), _reader(second)
    images = DiskImages(
        (len(common), 2 * CHANNELS, image_size, image_size),
        lambda index: np.concatenate([read_first(index), read_second(index)]),
    )
    digest = hashlib.sha256(f"{first.fingerprint} {second.fingerprint}".encode()).hexdigest()
    alone = [
        f"left out: {len(place) - len(common)} of {len(place)} images in {folder.name}, "
        "which have no partner of their name"
        for place, folder in zip(places, (inputs, targets), strict=True)
        if len(place) > len(common)
    ]
    notices = (*sides[0].notices, *sides[1].notices, *alone)
    name = f"{sides[0].name}-{sides[1].name}"
    return ImageSet(name, images, fingerprint=digest, notices=notices, names=first.names)


def pairs_side_by_side(folder: Path, image_size: int) -> ImageSet:
    """Pairs of the left and the right half of each image in a folder, the form of the data sets of pix2pix.

    Arguments, result and errors are those of `pairs_by_name`; each half is resampled to the size as a whole.
    """
    data = open_folder(folder, image_size, CHANNELS)

    def read(index: int) -> np.ndarray:
        colours = read_picture(folder / data.names[index]).colours
        middle = colours.shape[1] // 2
        if not middle:
            raise DataError(f"{folder / data.names[index]}: one pixel wide, so it has no two halves; remove it")
        halves = (colours[:, :middle], colours[:, -middle:])
        return np.concatenate([_resized(half, image_size).transpose(2, 0, 1) for half in halves])

    images = DiskImages((len(data), 2 * CHANNELS, image_size, image_size), read)
    return replace(data, images=images)


def reversed_pairs(data: ImageSet) -> ImageSet:
    """The same pairs with inputs and targets exchanged."""
    read, size = _reader(data), data.images.shape[2]
    images = DiskImages(
        (len(data), 2 * CHANNELS, size, size),
        lambda index: np.roll(read(index), CHANNELS, axis=0),
    )
    return replace(data, images=images)


def held_out_split(data: ImageSet, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the images to train on, and of those that are held out: int64 each, rising.

    An image is held out by the hash of its name without the extension. So the choice depends on no seed, images that
    are added move few others, and two folders with the same names hold out the same ones.

    Args:
        data: with names.
        share: of the images that are held out, at least one of them; 0 for none.
    """
    hashes = [hashlib.sha256(_stem(name).encode(errors="surrogateescape")).digest() for name in data.names]
    order = np.array(sorted(range(len(hashes)), key=hashes.__getitem__), np.int64)
    count = min(len(order) - 1, max(1, round(share * len(order)))) if share else 0
    return np.sort(order[count:]), np.sort(order[:count])


def loaded(data: ImageSet, workers: int | None, free_memory: int | None = None) -> ImageSet:
    """The set in memory if it fits there and `workers` is None, else as it is; see `datasets.load_dataset`."""
    return in_memory(data) if workers is None and fits_in_memory(data, free_memory) else data


def _stem(name: str) -> str:
    """A name without its extension, but with its folders."""
    return str(Path(name).with_suffix(""))


def _by_stem(folder: Path, data: ImageSet) -> dict[str, int]:
    places: dict[str, int] = {}
    for index, name in enumerate(data.names):
        if places.setdefault(_stem(name), index) != index:
            raise DataError(f"{folder / name}: another image has the same name but for its extension; remove one")
    return places


def _reader(data: ImageSet) -> Callable[[int], np.ndarray]:
    images = data.images
    assert isinstance(images, DiskImages), "the images of a folder stay on the disk at first"
    return images.read


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    if image.shape[:2] == (size, size):
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
