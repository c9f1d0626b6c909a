"""Batches of images by their numbers: out of memory, or from the disk while the step before them runs.

The readers are threads of this process, not processes: Pillow gives up Python's global lock while it
decodes and resamples, so that they run beside the step; nothing is left behind by a process that is
killed, and no shared memory is needed. Which images are in a batch does not depend on them.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from paddle_gan.datasets.image_set import DiskImages


@contextmanager
def reader(
    images: np.ndarray | DiskImages, indices: Callable[[int], np.ndarray], workers: int, ahead: int
) -> Iterator[Callable[[int], np.ndarray]]:
    """Yields a function of the number of a batch, to be called with rising ones, to its images, uint8 [n, C, H, W].

    An image that cannot be read is an error of the call for its own batch, whatever the number of workers.
    At the end, what has been begun is dropped after the images that are being read.

    Args:
        images: of all the set; what follows but `indices` is for those on the disk.
        indices: number of a batch -> indices of its images.
        workers: threads; 0 to read within the call.
        ahead: batches after the one asked for that are begun; so many are held in memory at most.
    """
    if isinstance(images, np.ndarray):
        yield lambda number: images[indices(number)]
        return
    if not workers:
        yield lambda number: np.stack([images.read(index) for index in indices(number)])
        return
    begun: dict[int, list[Future]] = {}
    pool = ThreadPoolExecutor(workers, thread_name_prefix="images")

    def batch(number: int) -> np.ndarray:
        for wanted in range(number, number + ahead + 1):
            if wanted not in begun:
                begun[wanted] = [pool.submit(images.read, index) for index in indices(wanted)]
        return np.stack([image.result() for image in begun.pop(number)])

    try:
        yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
