"""MNIST, which is part of the package, and Fashion-MNIST, which is searched for on this machine.

Each set has four IDX files. The md5 of the uncompressed content is checked, so a file that was compressed again is
accepted, and one set can never be taken for another.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from paddle_gan.config.sizes import ImageSize
from paddle_gan.datasets.download import download
from paddle_gan.datasets.idx import parse_idx, read_idx, unpack
from paddle_gan.datasets.image_set import ImageSet
from paddle_gan.datasets.resize import resize_grey
from paddle_gan.errors import DataError
from paddle_gan.system.cache import keep, read_kept

SIZE = 28
_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_SUFFIXES = ("", ".gz", ".xz")


@dataclass(frozen=True)
class GreySet:
    """A data set with the same files as MNIST.

    Attributes:
        name: on the command line.
        classes: names of the labels.
        md5: of the uncompressed content of each file, by the name of the file without its extension.
        folders: where the files are searched for, in this order.
        host: folder on a public server that has the files as .gz; None if the set cannot be downloaded.
    """

    name: str
    classes: tuple[str, ...]
    md5: dict[str, str]
    folders: tuple[Path, ...]
    host: str | None = None


MNIST = GreySet(
    name="mnist",
    classes=tuple("0123456789"),
    md5={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    folders=(Path(__file__).parent / "mnist",),
)

_CACHE = Path.home() / ".cache"

FASHION_MNIST = GreySet(
    name="fashion-mnist",
    classes=("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    md5={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    folders=(
        _CACHE / "paddle_gan" / "fashion-mnist",
        _CACHE / "paddle" / "dataset" / "fashion-mnist",
        Path("/usr/share/datasets/fashion-mnist"),
    ),
    host="https://dataset.bj.bcebos.com/fashion_mnist",
)


def load_grey_set(
    source: GreySet,
    *,
    split: str,
    image_size: ImageSize,
    channels: int,
    data_dir: Path | None = None,
    fetch: bool = False,
) -> ImageSet:
    """Load one split of a set.

    Args:
        source: which set.
        split: "train" or "test".
        image_size: in pixels; the files have 28, see `resize_grey` for other sizes.
        channels: 1, or 3 for the grey value three times.
        data_dir: a folder that is searched instead of the usual ones, and to which files are downloaded.
        fetch: download the files that are not found.

    Returns:
        The images in memory, with labels.

    Raises:
        DataError: a file is not found; the message names every place that was tried and the reason.
    """
    folders = (data_dir,) if data_dir else source.folders
    image_file, label_file = _FILES[split]
    images = _load_file(source, image_file, folders, fetch)
    labels = _load_file(source, label_file, folders, fetch)
    if len(images) != len(labels):
        raise DataError(f"{source.name}: there are {len(images)} images but {len(labels)} labels")
    images = np.repeat(resize_grey(images, image_size)[:, None], channels, axis=1)
    return ImageSet(source.name, images, labels.astype(np.int64), source.classes)


def _read(path: Path, md5: str) -> np.ndarray:
    """The content of one file. It is kept uncompressed: unpacking MNIST takes as long as a dozen steps of training."""
    if path.suffix not in _SUFFIXES[1:] or not path.exists():
        return read_idx(path, md5)
    kept = read_kept(f"{md5}.idx")
    if kept is not None:
        try:
            return parse_idx(kept, path, md5)
        except DataError:  # damaged, so it is unpacked anew
            pass
    payload = unpack(path)
    images = parse_idx(payload, path, md5)
    keep(f"{md5}.idx", payload)
    return images


def _load_file(source: GreySet, name: str, folders: tuple[Path, ...], fetch: bool) -> np.ndarray:
    """The content of one file, from the first folder that has it, or else from the server."""
    failures = []
    for folder in folders:
        absent = 0
        for suffix in _SUFFIXES:
            try:
                return _read(folder / f"{name}{suffix}", source.md5[name])
            except DataError as error:
                if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                    absent += 1
                else:
                    failures.append(str(error))
        if absent == len(_SUFFIXES):
            failures.append(f"{folder}: no {name}[.gz|.xz]")
    if fetch and source.host:
        target = folders[0] / f"{name}.gz"
        try:
            download(f"{source.host}/{name}.gz", target, check=partial(read_idx, md5=source.md5[name]))
            return read_idx(target, source.md5[name])
        except DataError as error:
            failures.append(str(error))
    remedy = ""
    if source.host:
        remedy = (
            f"; use --download, or put the four files of {source.host}/ into a folder and name it with --data-dir, "
            "or on Debian: apt-get install dataset-fashion-mnist"
        )
    raise DataError(f"{source.name} was not found. Tried: {'; '.join(failures)}{remedy}")
