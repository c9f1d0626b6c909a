"""Data sets: MNIST, which is part of the package, Fashion-MNIST, folders of images, and the order of their batches."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from paddle_gan.config.sizes import ImageSize
from paddle_gan.datasets.folder import open_folder
from paddle_gan.datasets.grey_sets import FASHION_MNIST, MNIST, SIZE, load_grey_set
from paddle_gan.datasets.image_set import ImageSet, fits_in_memory, in_memory
from paddle_gan.errors import DataError, UsageError

DATASETS: dict[str, Callable[..., ImageSet]] = {
    "mnist": partial(load_grey_set, MNIST),
    "fashion-mnist": partial(load_grey_set, FASHION_MNIST),
}
_FOLDER_SIZE = 64


class ImageFormat(NamedTuple):
    """Size in pixels, and number of channels."""

    image_size: ImageSize
    channels: int


def default_size(dataset: str) -> ImageFormat:
    """The image size and the channels that a data set is trained with if the options do not say otherwise."""
    return ImageFormat(SIZE, 1) if dataset in DATASETS else ImageFormat(_FOLDER_SIZE, 3)


def load_held_out(
    dataset: str, image_size: ImageSize, channels: int, *, data_dir: str | None = None, download: bool = False
) -> ImageSet | None:
    """The test images of a set; None for a folder, which has none. Arguments and errors are those of `load_dataset`."""
    if dataset not in DATASETS:
        return None
    return load_dataset(dataset, image_size, channels, data_dir=data_dir, download=download, split="test")


def load_dataset(
    dataset: str,
    image_size: ImageSize,
    channels: int,
    *,
    labelled: bool = False,
    data_dir: str | None = None,
    download: bool = False,
    workers: int | None = None,
    split: str = "train",
    free_memory: int | None = None,
) -> ImageSet:
    """Load the images of a set by its name, or open a folder by its path.

    The images of a folder are read into memory if they fit there and `workers` is None. Otherwise they stay on the
    disk.

    Args:
        dataset: a key of DATASETS, or a folder; a folder that has the name of a set is written with its path (./mnist).
        image_size: in pixels.
        channels: 1 or 3.
        labelled: whether labels are needed; the sub-folders of a folder are then its classes.
        data_dir: folder with the files of Fashion-MNIST.
        download: download the files of Fashion-MNIST that are not found.
        workers: number of threads that will read the images of a folder from the disk; None for the default.
        split: "train" or "test"; a folder has only training images.
        free_memory: in bytes, to decide whether the images of a folder fit; None asks the system.

    Raises:
        UsageError: data_dir, download or workers for a set that does not take them.
        DataError: the set is missing, damaged or has no labels.
    """
    if dataset in DATASETS and workers is not None:
        raise UsageError(f"--workers is for folders of images; the images of {dataset} are in memory")
    if dataset == "fashion-mnist":
        files = Path(data_dir).expanduser() if data_dir else None
        return DATASETS[dataset](split=split, image_size=image_size, channels=channels, data_dir=files, fetch=download)
    if data_dir or download:
        raise UsageError(f"--data-dir and --download are for fashion-mnist; {dataset} needs neither")
    if dataset in DATASETS:
        return DATASETS[dataset](split=split, image_size=image_size, channels=channels)
    folder = Path(dataset).expanduser()
    if not os.path.isdir(folder):  # Path.is_dir raises an error if a parent folder may not be entered
        raise DataError(
            f"--dataset {dataset}: neither a known set ({', '.join(DATASETS)}) nor a folder that can be read"
        )
    data = open_folder(folder, image_size, channels, labelled=labelled)
    return in_memory(data) if workers is None and fits_in_memory(data, free_memory) else data
