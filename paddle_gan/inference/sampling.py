"""Samples of a generator: a stream of uint8 images that needs constant memory, and the files that are made of it."""

import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.errors import DataError, UsageError
from paddle_gan.inference.images import grid, save_png, to_pil, to_uint8
from paddle_gan.system.files import atomic_path, disk_errors, make_folder
from paddle_gan.system.randomness import seeded

# Samples that are generated at once.
CHUNK = 250
# Of images that are read from a file.
_MOST_BYTES = 8 << 30


class SampleBatch(NamedTuple):
    """Some samples.

    Attributes:
        images: uint8 [n, H, W, C].
        labels: int64 [n]; None for an unconditional generator.
    """

    images: np.ndarray
    labels: np.ndarray | None


Batches = Iterable[SampleBatch]


def generate(
    generator: nn.Layer, count: int, seed: int, classes: int = 0, label: int | None = None
) -> Iterator[SampleBatch]:
    """Samples in chunks; sample i depends on the seed and on i only, not on `count`.

    Args:
        generator: is put into evaluation mode.
        count: number of samples.
        seed: of latents and labels.
        classes: number of labels of a conditional generator, else 0.
        label: the class of all samples; None for every class in turn.
    """
    generator.eval()
    for start in range(0, count, CHUNK):
        # Always a whole chunk: otherwise `count` would change the last bits of the last samples.
        labels, tensor = None, None
        if classes:
            labels = labels_of(np.arange(start, start + CHUNK), classes, label)
            tensor = paddle.to_tensor(labels, "int64")
        with paddle.no_grad():
            images = generator(latents_of(generator.latent_dim, seed, start // CHUNK), tensor).numpy()
        end = count - start
        pixels = to_uint8(images[:end], generator.value_range)
        yield SampleBatch(pixels, None if labels is None else labels[:end])


def labels_of(numbers: np.ndarray, classes: int, label: int | None = None) -> np.ndarray:
    """The labels of the samples with these numbers, int64 [n]: every class in turn, or `label` for all."""
    return numbers % classes if label is None else np.full(len(numbers), label)


def latents_of(latent_dim: int, seed: int, chunk: int = 0) -> Tensor:
    """The latents of a whole chunk of samples, [CHUNK, latent_dim]."""
    with seeded("samples", seed, chunk):
        return paddle.randn([CHUNK, latent_dim])


def write_npz(path: Path, count: int, batches: Batches) -> None:
    """Write an .npz file: `images`, uint8 [count, H, W, C], and `labels`, int64 [count], if the samples have them.

    Each batch of images is written before the next one is generated; only the labels are kept in memory.
    """
    labels = []
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with archive.open("images.npy", "w", force_zip64=True) as file:
            for i, (images, chunk_labels) in enumerate(batches):
                if i == 0:
                    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *images.shape[1:])}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(images.tobytes())
                if chunk_labels is not None:
                    labels.append(chunk_labels)
        if labels:
            with archive.open("labels.npy", "w") as file:
                np.lib.format.write_array(file, np.concatenate(labels).astype(np.int64))


def read_npz(path: Path) -> np.ndarray:
    """The samples in an .npz file. Nothing in the file is executed, and the sizes in its header are checked.

    The array is called `images`, or it is the only one that numpy.savez was given, `arr_0`. Where it is unambiguous,
    other forms are read too: [N, C, H, W], Fortran order, and floats in [0, 1], [-1, 1] or [0, 255].

    Returns:
        uint8 [N, H, W, C] with C 1 or 3.

    Raises:
        UsageError: there is no such file.
        DataError: it holds no such array.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file of samples")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_member(archive)) as file:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran_order, dtype = read_header[version](file)
            payload = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not an .npz file with an array `images` ({error})") from error
    channels_first = len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3)
    is_images = len(shape) == 4 and (channels_first or shape[3] in (1, 3))
    if not is_images or not (dtype == np.uint8 or dtype.kind == "f"):
        raise DataError(f"{path}: images are {dtype} {list(shape)}, not uint8 [N, H, W, C], grey or colour")
    if len(payload) != math.prod(shape) * dtype.itemsize:
        raise DataError(
            f"{path}: holds {len(payload)} bytes of images (at most {_MOST_BYTES >> 30} GiB are read), "
            f"but {math.prod(shape) * dtype.itemsize} according to its header"
        )
    images = np.frombuffer(payload, dtype).reshape(shape, order="F" if fortran_order else "C")
    images = np.ascontiguousarray(images.transpose(0, 2, 3, 1) if channels_first else images)
    return images if dtype == np.uint8 else _from_floats(images, path)


def _member(archive: zipfile.ZipFile) -> str:
    return "images.npy" if "images.npy" in archive.namelist() or "arr_1.npy" in archive.namelist() else "arr_0.npy"


def _from_floats(images: np.ndarray, path: Path) -> np.ndarray:
    """Floats as uint8; their range is told by the least and the greatest of all values."""
    if not np.isfinite(images).all():
        raise DataError(f"{path}: the images hold NaN or infinity")
    least, greatest = float(images.min()), float(images.max())
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if low <= least and greatest <= high:
            return ((images - low) * (255 / (high - low))).round().astype(np.uint8)
    raise DataError(f"{path}: the images have values from {least:.4g} to {greatest:.4g}; scale them to [0, 1]")


def write_pngs(folder: Path, batches: Batches) -> None:
    """Write each sample as a PNG file: `000000.png` and so on, or `000000-LABEL.png` if there are labels."""
    make_folder(folder)
    number = 0
    with disk_errors(folder):
        for images, labels in batches:
            for i, image in enumerate(images):
                suffix = "" if labels is None else f"-{labels[i]}"
                to_pil(image).save(folder / f"{number:06d}{suffix}.png")
                number += 1


def write_grid(path: Path, batches: Batches, columns: int) -> None:
    """Write all samples as one sheet with this number of images in a row."""
    save_png(path, grid(np.concatenate([images for images, _ in batches]), columns))
