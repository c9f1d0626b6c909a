"""What every data set becomes: images as uint8, in memory or left on the disk, with their labels."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from paddle_gan.system.runtime import available_memory, cpu_count

_MEMORY_SHARE = 1 / 4
_PIECE = 16


@dataclass(frozen=True)
class DiskImages:
    """Images that are read when they are asked for; indexed like the array of them all.

    Attributes:
        shape: (N, C, H, W) of that array.
        read: index of an image -> uint8 [C, H, W]; called from several threads.
    """

    shape: tuple[int, int, int, int]
    read: Callable[[int], np.ndarray]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: np.ndarray | slice) -> np.ndarray:
        """The images at some indices or of a slice, uint8 [n, C, H, W], read by as many threads as there are cores."""
        indices = np.arange(len(self))[chosen]
        images = np.empty((len(indices), *self.shape[1:]), np.uint8)

        def fill(start: int) -> None:
            for place in range(start, min(start + _PIECE, len(indices))):
                images[place] = self.read(indices[place])

        with ThreadPoolExecutor(cpu_count()) as pool:
            for _ in pool.map(fill, range(0, len(indices), _PIECE)):  # an error here cancels the rest
                pass
        return images


@dataclass(frozen=True)
class ImageSet:
    """Images and labels of one data set.

    Attributes:
        name: for messages and folder names.
        images: uint8 [N, C, H, W], H = W; either kind gives an array for an array of indices or a slice.
        labels: int64 [N], values 0 ... classes-1; None for a set without labels.
        classes: one name for each label value; empty without labels.
        fingerprint: a hash of the files that the images are read from; None where it is to be taken of the images.
    """

    name: str
    images: np.ndarray | DiskImages
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    fingerprint: str | None = None

    def __len__(self) -> int:
        return len(self.images)


def in_memory(data: ImageSet) -> ImageSet:
    """The same set with all its images read."""
    return replace(data, images=data.images[:])


def fits_in_memory(data: ImageSet) -> bool:
    """Whether all its images take at most a quarter of the memory that is free now."""
    return size_in_bytes(data) <= available_memory() * _MEMORY_SHARE


def size_in_bytes(data: ImageSet) -> int:
    """What all images of a set take, or would take, in memory."""
    count, channels, height, width = data.images.shape
    return count * channels * height * width
