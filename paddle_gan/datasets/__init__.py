"""Data sets: MNIST, which is part of the package, Fashion-MNIST, folders and zip files of images, and their batches."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from paddle_gan.config.sizes import ImageSize
from paddle_gan.datasets.folder import DEFAULTS, FolderOptions, open_folder
from paddle_gan.datasets.grey_sets import FASHION_MNIST, MNIST, SIZE, load_grey_set
from paddle_gan.datasets.image_set import ImageSet, fits_in_memory, in_memory
from paddle_gan.errors import DataError, UsageError

DATASETS: dict[str, Callable[..., ImageSet]] = {
    "mnist": partial(load_grey_set, MNIST),
    "fashion-mnist": partial(load_grey_set, FASHION_MNIST),
}
FOLDER_SIZE = 64


class ImageFormat(NamedTuple):
    """Size in pixels, and number of channels."""

    image_size: ImageSize
    channels: int


def default_size(dataset: str) -> ImageFormat:
    """The image size and the channels that a data set is trained with if the options do not say otherwise."""
    return ImageFormat(SIZE, 1) if dataset in DATASETS else ImageFormat(FOLDER_SIZE, 3)


def load_held_out(
    dataset: str,
    image_size: ImageSize,
    channels: int,
    *,
    data_dir: str | None = None,
    download: bool = False,
    folder: FolderOptions = DEFAULTS,
) -> ImageSet | None:
    """The test images of a set, which training does not see; None for a folder of which no share is held out.

    Arguments and errors are those of `load_dataset`.
    """
    if dataset not in DATASETS:
        if not folder.val_fraction:
            return None
        return open_folder(data_path(dataset), image_size, channels, options=folder, held_out=True, stored=True)
    return load_dataset(dataset, image_size, channels, data_dir=data_dir, download=download, split="test")


def load_dataset(
    dataset: str,
    image_size: ImageSize,
    channels: int | None,
    *,
    labelled: bool = False,
    data_dir: str | None = None,
    download: bool = False,
    workers: int | None = None,
    split: str = "train",
    free_memory: int | None = None,
    folder: FolderOptions = DEFAULTS,
) -> ImageSet:
    """Load the images of a set by its name, or open a folder or a zip file by its path.

    The images of a folder are decoded once and kept for later starts, unless `workers` is given. They are read into
    memory if they fit there. Otherwise they stay on the disk.

    Args:
        dataset: a key of DATASETS, or a folder or zip file; one that has the name of a set is written with its path
            (./mnist).
        image_size: in pixels.
        channels: 1, 3, or 4 for a folder; None for a folder whose images decide.
        labelled: whether labels are needed; the sub-folders of a folder are then its classes.
        data_dir: folder with the files of Fashion-MNIST.
        download: download the files of Fashion-MNIST that are not found.
        workers: number of threads that will read the images of a folder from the disk; None for the default.
        split: "train" or "test"; a folder has only training images.
        free_memory: in bytes, to decide whether the images of a folder fit; None asks the system.
        folder: how a folder becomes a data set.

    Raises:
        UsageError: data_dir, download or workers for a set that does not take them.
        DataError: the set is missing, damaged or has no labels.
    """
    if dataset in DATASETS and workers is not None:
        raise UsageError(f"--workers is for folders of images; the images of {dataset} are in memory")
    if dataset in DATASETS and channels == 4:
        raise UsageError(f"--channels 4: the images of {dataset} have no transparency; use 1 or 3")
    if (data_dir or download) and dataset != "fashion-mnist":
        raise UsageError(f"--data-dir and --download are for fashion-mnist; {dataset} needs neither")
    if dataset in DATASETS:
        assert channels is not None, "only the images of a folder decide"
        sizes: dict[str, Any] = {"split": split, "image_size": image_size, "channels": channels}
        if dataset == "fashion-mnist":
            files = Path(data_dir).expanduser() if data_dir else None
            return DATASETS[dataset](**sizes, data_dir=files, fetch=download)
        return DATASETS[dataset](**sizes)
    path, stored = data_path(dataset), workers is None
    data = open_folder(path, image_size, channels, labelled=labelled, options=folder, stored=stored)
    return in_memory(data) if stored and fits_in_memory(data, free_memory) else data


def data_path(dataset: str) -> Path:
    """The folder or file that is given in the place of a set's name.

    Raises:
        DataError: there is none.
    """
    try:
        path = Path(dataset).expanduser()
    except RuntimeError as error:
        raise DataError(f"--dataset {dataset}: there is no such home folder") from error
    if not os.path.exists(path):
        raise DataError(
            f"--dataset {dataset}: neither a known set ({', '.join(DATASETS)}) nor a folder that can be read"
        )
    return path
