"""Samples of a generator: a stream of uint8 images that needs constant memory, and the pictures that are made of it.

Not about .npz files: see `npz_files`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.inference.images import grid, save_png, to_uint8
from paddle_gan.system.files import make_folder
from paddle_gan.system.randomness import seeded

# Samples that are generated at once.
CHUNK = 250


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


def write_pngs(folder: Path, batches: Batches) -> None:
    """Write each sample as a PNG file: `000000.png` and so on, or `000000-LABEL.png` if there are labels.

    Each file is whole: if the disk is full, those that were written before stay, and a DiskError is raised.
    """
    make_folder(folder)
    number = 0
    for images, labels in batches:
        for i, image in enumerate(images):
            suffix = "" if labels is None else f"-{labels[i]}"
            save_png(folder / f"{number:06d}{suffix}.png", image, durable=False)
            number += 1


def write_grid(path: Path, batches: Batches, columns: int) -> None:
    """Write all samples as one sheet with this number of images in a row."""
    save_png(path, grid(np.concatenate([images for images, _ in batches]), columns))
