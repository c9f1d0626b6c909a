"""The batch feed: from images on the disk or in memory to the normalised batch on the device.

`BatchFeed` reads from top to bottom: which images belong to a batch, where their pixels come from, and how the device
normalises them. Not about how images are decoded (`folder`) or how their order is drawn (`batches`).

Images on the disk are read by threads of this process, not by other processes. Pillow releases Python's global lock
while it decodes and resamples, so the threads work while the training step runs. If the process is killed, no other
process stays behind, and no shared memory is needed. The content of a batch does not depend on the threads.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

import numpy as np
import paddle
from paddle import Tensor

from paddle_gan.datasets.batches import batch_indices
from paddle_gan.datasets.image_set import DiskImages, ImageSet, size_in_bytes
from paddle_gan.system import parallel
from paddle_gan.system.device import on_gpu
from paddle_gan.system.runtime import cpu_count

# More threads than this are of little use for most folders, and other processes need cores too.
_MOST_DEFAULT_THREADS = 4
# The networks and their gradients need the rest.
_GPU_MEMORY_SHARE = 1 / 4


class Batch(NamedTuple):
    """One process's part of a global batch, on the device.

    Attributes:
        images: float32 [N, C, H, W] in the value range of the feed; as they are stored, uint8, if it has none.
        labels: int64 [N]; None if the feed has no labels.
    """

    images: Tensor
    labels: Tensor | None


class BatchFeed:
    """The batches of a training run by their numbers; a context manager, because it may own threads and GPU memory.

        with BatchFeed(data=data, batch_size=64, seed=0, ...) as feed:
            images, labels = feed(0)

    A batch is a function of the seed and its number alone. It does not depend on where the images are, on the threads,
    or on the batches before it, so a resumed training run gets the same batches.

    At the end of the `with` block no further image is read. Each thread finishes the image that it is reading, and
    ends. The block does not wait for the threads.
    """

    def __init__(
        self,
        *,
        data: ImageSet,
        batch_size: int,
        seed: int,
        value_range: tuple[float, float] | None,
        labelled: bool,
        workers: int,
        ahead: int,
        resident: bool | None = None,
    ) -> None:
        """Store the settings; threads start and images go to the GPU only when the `with` block begins.

        Args:
            data: images in memory or on the disk.
            batch_size: images of all processes together (the global batch); a multiple of the number of processes.
            seed: of the order of the images.
            value_range: the values that pixels 0 and 255 become; None leaves the images as they are stored.
            labelled: whether the batches have labels.
            workers: threads that read images from the disk in advance; 0 reads them within the call. Without effect
                for images in memory.
            ahead: number of batches that the threads begin after the one that is asked for. At most that many batches
                wait in memory.
            resident: whether all images are kept on the device; None decides with `fits_on_gpu`.

        Raises:
            ValueError: labels of a set without labels, or `resident` for images on the disk.
        """
        if labelled and data.labels is None:
            raise ValueError(f"{data.name} has no labels")
        if resident and isinstance(data.images, DiskImages):
            raise ValueError(f"the images of {data.name} are on the disk and cannot be resident on the device")
        self._data = data
        self._batch_size = batch_size
        self._seed = seed
        self._value_range = value_range
        self._labels = data.labels if labelled else None
        self._workers = workers
        self._ahead = ahead
        self._resident = resident
        self._on_device: Tensor | None = None
        self._threads: ThreadPoolExecutor | None = None
        # By the number of a batch: one future image for each of its rows.
        self._begun: dict[int, list[Future[np.ndarray]]] = {}

    def __enter__(self) -> "BatchFeed":
        if isinstance(self._data.images, DiskImages):
            if self._workers:
                self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="images")
        elif fits_on_gpu(self._data) if self._resident is None else self._resident:
            self._on_device = paddle.to_tensor(self._data.images)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._threads:
            self._threads.shutdown(wait=False, cancel_futures=True)
        self._threads, self._on_device, self._begun = None, None, {}

    def __call__(self, number: int) -> Batch:
        """The batch with this number, from 0.

        Where threads read the images, the numbers should rise by one from call to call: images that were read for a
        batch stay in memory until that batch is asked for, or until the `with` block ends.

        Raises:
            DataError: an image of this batch cannot be read. An error in a batch that is read in advance is raised
                when that batch is asked for.
        """
        indices = self._indices(number)
        images = self._pixels(number, indices)
        if self._value_range is not None:
            images = normalised(images, self._value_range)
        labels = None if self._labels is None else paddle.to_tensor(self._labels[indices])
        return Batch(images, labels)

    def _indices(self, number: int) -> np.ndarray:
        """Indices of this process's images of a batch, int64 [N]."""
        whole = batch_indices(count=len(self._data), batch_size=self._batch_size, seed=self._seed, step=number)
        return parallel.shard(whole)

    def _pixels(self, number: int, indices: np.ndarray) -> Tensor:
        """The images of a batch as they are stored, uint8 [N, C, H, W], on the device."""
        if self._on_device is not None:
            return paddle.gather(self._on_device, paddle.to_tensor(indices))
        images = self._data.images
        if not isinstance(images, DiskImages):
            return paddle.to_tensor(images[indices])
        if self._threads is None:
            return paddle.to_tensor(np.stack([images.read(index) for index in indices]))
        return paddle.to_tensor(self._read_in_advance(number, images, self._threads))

    def _read_in_advance(self, number: int, images: DiskImages, threads: ThreadPoolExecutor) -> np.ndarray:
        """Let the threads begin this batch and those after it, and wait for this one."""
        for wanted in range(number, number + self._ahead + 1):
            if wanted not in self._begun:
                self._begun[wanted] = [threads.submit(images.read, index) for index in self._indices(wanted)]
        return np.stack([image.result() for image in self._begun.pop(number)])


def normalised(pixels: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Pixels, uint8, as float32; 0 and 255 become the ends of the value range."""
    low, high = value_range
    return pixels.astype("float32") * ((high - low) / 255) + low


def thread_count(workers: int | None, cores: int | None = None) -> int:
    """Number of threads that read images from the disk.

    Args:
        workers: the option --workers; None if it is not given, which means one thread for each core, but at most 4.
        cores: that this process may use; None asks the system.
    """
    if workers is not None:
        return workers
    return min(cpu_count() if cores is None else cores, _MOST_DEFAULT_THREADS)


def fits_on_gpu(data: ImageSet, gpu_memory: int | None = None) -> bool:
    """Whether the images of a set are in memory and take at most a quarter of the memory of the GPU.

    Args:
        data: in memory or on the disk.
        gpu_memory: in bytes, 0 without a GPU; None asks the device that Paddle uses.
    """
    if isinstance(data.images, DiskImages):
        return False
    return size_in_bytes(data) <= (_gpu_memory() if gpu_memory is None else gpu_memory) * _GPU_MEMORY_SHARE


def _gpu_memory() -> int:
    if not on_gpu():
        return 0
    return paddle.device.cuda.get_device_properties().total_memory


def on_disk_notice(data: ImageSet, workers: int | None) -> str:
    """The sentence that tells the user why the images stay on the disk, and what reads them.

    Args:
        data: with images on the disk.
        workers: the option --workers; None if it is not given.
    """
    threads = thread_count(workers)
    reader = f"{threads} threads" if threads else "the training step itself"
    reason = "because --workers is given"
    if workers is None:
        reason = (
            f"because they would take {size_in_bytes(data) / 2**30:.1f} GiB, more than a quarter of the free memory"
        )
    return f"the images stay on the disk and are read by {reader} while training, {reason}"
