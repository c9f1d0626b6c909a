"""Data sets: the embedded MNIST, Fashion-MNIST, folders of images, and the order of their batches."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from paddle_gan.datasets.folder import open_folder
from paddle_gan.datasets.grey_sets import FASHION_MNIST, MNIST, SIZE, load_grey_set
from paddle_gan.datasets.image_set import ImageSet, fits_in_memory, in_memory
from paddle_gan.errors import DataError, UsageError

DATASETS: dict[str, Callable[..., ImageSet]] = {
    "mnist": partial(load_grey_set, MNIST),
    "fashion-mnist": partial(load_grey_set, FASHION_MNIST),
}
_FOLDER_SIZE = 64


def default_size(dataset: str) -> tuple[int, int]:
    """Image size in pixels and number of channels that a data set is trained at unless told otherwise."""
    return (SIZE, 1) if dataset in DATASETS else (_FOLDER_SIZE, 3)


def load_held_out(
    dataset: str, image_size: int, channels: int, data_dir: str | None, download: bool
) -> ImageSet | None:
    """The test images of a set; None for a folder, which has none. Arguments and errors as for `load_dataset`."""
    if dataset not in DATASETS:
        return None
    return load_dataset(dataset, image_size, channels, False, data_dir, download, split="test")


def load_dataset(
    dataset: str,
    image_size: int,
    channels: int,
    labelled: bool = False,
    data_dir: str | None = None,
    download: bool = False,
    workers: int | None = None,
    split: str = "train",
) -> ImageSet:
    """Load the images of a set by its name, or open a folder by its path.

    The images of a folder are read into memory if they fit there and nothing is said of workers.

    Args:
        dataset: a key of DATASETS, or a folder (write ./mnist for a folder of such a name).
        image_size: pixels.
        channels: 1 or 3.
        labelled: whether labels are needed; a folder's sub-folders are then its classes.
        data_dir: where the files of Fashion-MNIST are.
        download: fetch Fashion-MNIST where it is not found.
        workers: how many threads will read the images of a folder, which are left on the disk for them.
        split: "train" or "test"; of a folder, which has none, everything is "train".

    Raises:
        UsageError: data_dir, download or workers for a set that does not take them.
        DataError: the set is missing, damaged or has no labels.
    """
    if dataset in DATASETS and workers is not None:
        raise UsageError(f"--workers is for folders of images; {dataset} lies in memory")
    if dataset == "fashion-mnist":
        folder = Path(data_dir).expanduser() if data_dir else None
        return DATASETS[dataset](split, image_size, channels, data_dir=folder, fetch=download)
    if data_dir or download:
        raise UsageError(f"--data-dir and --download are for fashion-mnist; {dataset} needs neither")
    if dataset in DATASETS:
        return DATASETS[dataset](split, image_size, channels)
    folder = Path(dataset).expanduser()
    if not os.path.isdir(folder):  # Path.is_dir raises where a parent may not be entered
        raise DataError(
            f"--dataset {dataset}: neither a known set ({', '.join(DATASETS)}) nor a folder that can be read"
        )
    data = open_folder(folder, image_size, channels, labelled)
    return data if workers is not None or not fits_in_memory(data) else in_memory(data)
