"""The form of every data set: images as uint8, in memory or on the disk, with labels if there are any."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Thread

import numpy as np

from paddle_gan.errors import DataError
from paddle_gan.system.memory import available_memory
from paddle_gan.system.runtime import cpu_count

# Training needs memory of its own, and other programs need some too.
_MEMORY_SHARE = 1 / 4
# Images that one thread reads before it takes the next piece.
_PIECE = 16
# So many images that cannot be read are named in a message.
_NAMED_FAILURES = 5


@dataclass(frozen=True)
class DiskImages:
    """Images that stay on the disk and are read when they are needed; indexed like an array of all of them.

    Attributes:
        shape: (N, C, H, W) of that array.
        read: takes the index of an image and returns uint8 [C, H, W]; several threads call it at the same time.
        read_many: takes indices, int64 [n], and returns uint8 [n, C, H, W], where that is quicker; else None.
        mapped: all of them as one array whose file is mapped into memory; None if they lie otherwise.
    """

    shape: tuple[int, int, int, int]
    read: Callable[[int], np.ndarray]
    read_many: Callable[[np.ndarray], np.ndarray] | None = None
    mapped: np.ndarray | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: np.ndarray | slice) -> np.ndarray:
        """Read the images at an array of indices or of a slice, with one thread for each core.

        Returns:
            uint8 [n, C, H, W].

        Raises:
            DataError: images cannot be read; the message names the first of them and says how many there are.
        """
        indices = np.arange(len(self))[chosen]
        if self.read_many:
            return self.read_many(indices)
        images = np.empty((len(indices), *self.shape[1:]), np.uint8)

        def fill(start: int) -> list[str]:
            failures = []
            for place in range(start, min(start + _PIECE, len(indices))):
                try:
                    images[place] = self.read(indices[place])
                except DataError as error:
                    failures.append(str(error))
            return failures

        with ThreadPoolExecutor(cpu_count()) as pool:
            failures = [failure for piece in pool.map(fill, range(0, len(indices), _PIECE)) for failure in piece]
        if failures:
            raise DataError(all_failures(failures))
        return images


def all_failures(failures: list[str]) -> str:
    """One line for all images that cannot be read."""
    if len(failures) == 1:
        return failures[0]
    more = f"; and {len(failures) - _NAMED_FAILURES} more" if len(failures) > _NAMED_FAILURES else ""
    return f"{len(failures)} images cannot be read: {'; '.join(failures[:_NAMED_FAILURES])}{more}"


@dataclass(frozen=True)
class ImageSet:
    """Images and labels of one data set.

    Attributes:
        name: used in messages and names of folders.
        images: uint8 [N, C, H, W]; both types return an array for an array of indices or a slice.
        labels: int64 [N], values 0 ... classes-1; None for a set without labels.
        classes: one name for each label value; empty without labels.
        fingerprint: a hash of the files that hold the images; None if the hash is computed from the images themselves
            (see the function `fingerprint`).
        notices: sentences that the user should read before training.
        names: of the files, relative to the folder of the set, one for each image; empty for a set that is no folder.
    """

    name: str
    images: np.ndarray | DiskImages
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    fingerprint: str | None = None
    notices: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)


def in_class_order(data: ImageSet, classes: tuple[str, ...]) -> ImageSet:
    """The same set with its labels numbered in the order of `classes`, if these are its own classes."""
    if data.labels is None or classes == data.classes or sorted(classes) != sorted(data.classes):
        return data
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array([numbers[name] for name in data.classes])[data.labels]
    return replace(data, labels=labels, classes=classes)


def fingerprint(data: ImageSet) -> str:
    """A hash that tells whether two training runs see the same data: SHA-256, 64 hexadecimal digits.

    It is the hash of the files if the set has one. Otherwise it is computed from the images, the labels and the names
    of the classes.
    """
    if data.fingerprint:
        return data.fingerprint
    digest = hashlib.sha256(np.ascontiguousarray(data.images[:]).data)
    if data.labels is not None:
        digest.update(data.labels.tobytes() + repr(data.classes).encode())
    return digest.hexdigest()


def in_memory(data: ImageSet) -> ImageSet:
    """The same set with all images in memory. Raises DataError if an image cannot be read.

    Images that are mapped are not copied: a thread reads their file while other things begin.
    """
    images = data.images
    if isinstance(images, DiskImages) and images.mapped is not None:
        Thread(target=_read_through, args=(images.mapped,), daemon=True).start()
        return replace(data, images=images.mapped)
    return replace(data, images=images[:])


def _read_through(mapped: np.ndarray) -> None:
    for start in range(0, len(mapped), 64 * _PIECE):
        mapped[start : start + 64 * _PIECE].max()


def subset(data: ImageSet, indices: np.ndarray) -> ImageSet:
    """The images at `indices`, int64 [n], as a set of their own. Its fingerprint is that of the whole set."""
    images = data.images
    if isinstance(images, DiskImages):
        read = images.read
        chosen = DiskImages((len(indices), *images.shape[1:]), lambda index: read(int(indices[index])))
    else:
        chosen = images[indices]
    labels = None if data.labels is None else data.labels[indices]
    names = tuple(data.names[index] for index in indices) if data.names else ()
    return replace(data, images=chosen, labels=labels, names=names, fingerprint=fingerprint(data))


def fits_in_memory(data: ImageSet, free_memory: int | None = None) -> bool:
    """Whether all images of a set take at most a quarter of the free memory.

    Args:
        data: in memory or on the disk.
        free_memory: in bytes; None asks the system.
    """
    return size_in_bytes(data) <= (available_memory() if free_memory is None else free_memory) * _MEMORY_SHARE


def all_alike(data: ImageSet) -> bool:
    """Whether all images in memory are the same; False for images on the disk, which are not read for this."""
    images = data.images
    if isinstance(images, DiskImages) or len(images) < 2:
        return False
    return bool((images[:16] == images[0]).all() and (images == images[0]).all())


def brightest(data: ImageSet, most: int = 1000) -> int | None:
    """The greatest value of at most so many images in memory; None for images on the disk, which are not read."""
    if isinstance(data.images, DiskImages):
        return None
    return int(data.images[:: -(-len(data) // most)].max())


def size_in_bytes(data: ImageSet) -> int:
    """Bytes that all images of a set take in memory, or would take there."""
    count, channels, height, width = data.images.shape
    return count * channels * height * width
