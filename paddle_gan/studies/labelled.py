"""Few labelled images of each class, and the images that a classifier is tested on; batches of them, changed or not.

The images of a classifier have 28 pixels a side, as of `features.classifier`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor
from PIL import Image

from paddle_gan.datasets import DATASETS, ImageSet, load_dataset
from paddle_gan.datasets.image_set import subset
from paddle_gan.errors import DataError
from paddle_gan.features.classifier import SIZE
from paddle_gan.system.files import atomic_path, make_folder

BATCH_SIZE = 128
# Ordinary augmentation: the most pixels along each axis, and the most degrees.
SHIFT, ANGLE = 2.0, 10.0
# Tells the split of a folder from everything that has a seed of its own.
_SPLIT = int.from_bytes(b"split", "little")


class Labelled(NamedTuple):
    """Images with labels.

    Attributes:
        images: uint8 [N, C, 28, 28].
        labels: int64 [N].
    """

    images: np.ndarray
    labels: np.ndarray


class Sides(NamedTuple):
    """The images that the few are drawn from, and those of the test, which have no image in common."""

    pool: ImageSet
    test: ImageSet


def load_sides(dataset: str, channels: int, data_dir: str | None, download: bool) -> Sides:
    """Open a labelled set: the training and the test images of a set by name, or two halves of each class of a folder.

    Raises:
        DataError: the set is missing, has no classes, or has a class of one image.
    """
    if dataset in DATASETS:
        pool, test = (
            load_dataset(dataset, SIZE, channels, data_dir=data_dir, download=download, split=split)
            for split in ("train", "test")
        )
        return Sides(pool, test)
    data = load_dataset(dataset, SIZE, channels, labelled=True, data_dir=data_dir, download=download)
    assert data.labels is not None
    order = np.random.default_rng(_SPLIT).permutation(len(data))
    places = [order[data.labels[order] == label] for label in range(len(data.classes))]
    for name, own in zip(data.classes, places, strict=True):
        if len(own) < 2:
            raise DataError(f"{data.name}: the class {name} has one image, and the training and the test need one each")
    halves = [[own[: len(own) // 2] for own in places], [own[len(own) // 2 :] for own in places]]
    test, pool = (subset(data, np.sort(np.concatenate(half))) for half in halves)
    return Sides(pool, test)


def draw(pool: ImageSet, per_class: int, seed: int) -> Labelled:
    """So many images of each class, class by class.

    Raises:
        DataError: a class has too few.
    """
    assert pool.labels is not None
    random, places = np.random.default_rng((seed, _SPLIT)), []
    for label, name in enumerate(pool.classes):
        own = np.flatnonzero(pool.labels == label)
        if len(own) < per_class:
            raise DataError(
                f"{pool.name}: {len(own)} images of the class {name} can be trained on, and --per-class {per_class} "
                "needs more; half of the images of a folder are kept for the test"
            )
        places.append(np.sort(random.permutation(own)[:per_class]))
    indices = np.concatenate(places)
    return Labelled(pool.images[indices], pool.labels[indices])


def write_folders(data: Labelled, names: Sequence[str], folder: Path) -> None:
    """Write images as PNG files in a sub-folder for each label; files that are there stay."""
    counts = [0] * len(names)
    for name in names:
        make_folder(folder / name)
    for image, label in zip(data.images, data.labels, strict=True):
        path = folder / names[int(label)] / f"{counts[label]:05d}.png"
        counts[label] += 1
        if not path.exists():
            with atomic_path(path) as temporary:
                Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(temporary, "PNG")


def batches(
    parts: Sequence[Labelled], steps: int, seed: int, *, moved: bool, mirror: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of images in [-1, 1] and their labels, of which each part has an equal share, drawn with replacement.

    Args:
        parts: sets of images, not empty.
        steps: number of batches.
        seed: of the choice and the changes.
        moved: change each image by `changed`.
        mirror: if it is changed, exchange left and right of about half of the images too.
    """
    for step in range(steps):
        random = np.random.default_rng((seed, step))
        chosen = [random.integers(len(part.labels), size=BATCH_SIZE // len(parts)) for part in parts]
        images = np.concatenate([part.images[places] for part, places in zip(parts, chosen, strict=True)])
        labels = np.concatenate([part.labels[places] for part, places in zip(parts, chosen, strict=True)])
        tensor = paddle.to_tensor(images).astype("float32") / 127.5 - 1
        if moved:
            count = len(labels)
            angles, shifts = random.uniform(-ANGLE, ANGLE, count), random.uniform(-SHIFT, SHIFT, (count, 2))
            tensor = changed(tensor, angles, shifts, random.integers(0, 2, count) * mirror)
        yield tensor, paddle.to_tensor(labels)


def changed(images: Tensor, angles: np.ndarray, shifts: np.ndarray, mirrored: np.ndarray) -> Tensor:
    """Images after ordinary augmentation: mirrored, turned about their middle and moved; the border pixels continue.

    Args:
        images: [N, C, H, W].
        angles: in degrees, counter-clockwise, [N].
        shifts: pixels down and to the right, [N, 2].
        mirrored: 1 where left and right are exchanged, else 0, [N].
    """
    height, width = images.shape[2:]
    radians = np.deg2rad(angles)
    cosine, sine = np.cos(radians), np.sin(radians)
    down, right = 2 * shifts[:, 0] / height, 2 * shifts[:, 1] / width
    # From a place in the result to the place in the image, in coordinates from -1 to 1: x to the right, then y down.
    rows = [[cosine, -sine * height / width], [sine * width / height, cosine]]
    signs = [1.0 - 2 * mirrored, np.ones(len(angles))]
    matrices = np.stack(
        [
            np.stack([sign * a, sign * b, -sign * (a * right + b * down)], -1)
            for (a, b), sign in zip(rows, signs, strict=True)
        ],
        1,
    )
    grid = F.affine_grid(paddle.to_tensor(matrices.astype(np.float32)), images.shape, align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
