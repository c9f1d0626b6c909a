"""A folder of the user's own images as a data set.

All images of the usual formats and of any colour mode are used, from the folder and all folders below it, in the order
of their names. Each image is cropped at its centre to a square and resampled to the requested size.
"""

import hashlib
import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from paddle_gan.datasets.image_set import DiskImages, ImageSet, in_memory
from paddle_gan.errors import DataError

# Pillow opens more, such as .h5, .mpg or .eps, but such a file is rarely meant as a training image.
_EXTENSIONS = set(
    ".avif .bmp .gif .ico .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff .webp".split()
)
# Pictures and videos that are not read, though a user may expect it: they are counted in a notice.
_UNREAD_PICTURES = set(
    ".ai .arw .avi .cr2 .cr3 .dng .eps .exr .hdr .heic .heif .mkv .mov .mp4 .nef .orf .pdf .psd .raf .svg .webm".split()
)
# A folder with both is that of a training run.
_OF_A_RUN = {"checkpoints", "config.json"}
# Grey modes of more than 8 bits: Pillow's own conversion clips the values instead of scaling them.
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "F")


def open_folder(folder: Path, image_size: int, channels: int, *, labelled: bool = False) -> ImageSet:
    """The images below `folder`, which stay on the disk: only the names and sizes of the files are read.

    The fingerprint is a hash of these names and sizes, so a copy of the folder in another place has the same one. It
    does not change if the content of an image changes and its size in bytes does not.

    Args:
        folder: searched with all folders below it; names that begin with a dot are ignored.
        image_size: height and width in pixels.
        channels: 1 (grey) or 3 (RGB).
        labelled: whether the folders directly below `folder` are the classes, in the order of their names.

    Raises:
        DataError: no images, an empty file, a folder that cannot be read, or images outside a class folder. Later, an
            image that cannot be read raises it too.
    """
    sizes, left_out = _sizes(folder)
    if not sizes:
        raise DataError(
            f"{folder}: no images in this folder or below it (known extensions: {' '.join(sorted(_EXTENSIONS))})"
            + "".join(f"; {notice}" for notice in left_out)
        )
    names = sorted(sizes, key=lambda name: name.split("/"))
    for name in names:
        if not sizes[name]:
            raise DataError(f"{folder / name}: not an image that can be read (it is empty); remove it or repair it")
    classes, labels = _labels(folder, names) if labelled else ((), None)
    digest = hashlib.sha256("".join(f"{name}\0{sizes[name]}\0" for name in names).encode(errors="surrogateescape"))
    read = partial(_read, folder, names, image_size, channels)
    images = DiskImages((len(names), channels, image_size, image_size), read)
    return ImageSet(
        folder.resolve().name, images, labels, classes, digest.hexdigest(), notices=left_out, names=tuple(names)
    )


def load_folder(folder: Path, image_size: int, channels: int, *, labelled: bool = False) -> ImageSet:
    """As `open_folder`, with all images read into memory."""
    return in_memory(open_folder(folder, image_size, channels, labelled=labelled))


def read_images(folder: Path) -> np.ndarray:
    """All images below `folder` as they are: uint8 [N, H, W, C], C 1 if the first of them is grey, else 3.

    Raises:
        DataError: no images, unreadable ones, or images that are not square and of one size.
    """
    found = _sizes(folder)
    sizes, modes = set(), []
    for name in found.sizes:
        try:
            with Image.open(folder / name) as image:
                sizes.add(image.size)
                modes.append(image.mode)
        except OSError as error:
            raise DataError(f"{folder / name}: not an image that can be read ({error})") from error
    if len(sizes) != 1 or len(set(*sizes)) != 1:
        shown = ", ".join(f"{width}x{height}" for width, height in sorted(sizes)[:3]) or "none"
        raise DataError(f"{folder}: square images of one size are needed, and these are: {shown}")
    (size,) = set(*sizes)
    data = load_folder(folder, size, 1 if modes[0] in ("1", "L", *_DEEP_GREY) else 3)
    return data.images[:].transpose(0, 2, 3, 1)


class _Found(NamedTuple):
    """Size in bytes of every image, by its path relative to the folder; and notices of pictures that are left out."""

    sizes: dict[str, int]
    left_out: tuple[str, ...]


def _sizes(folder: Path) -> _Found:
    """The images below `folder`, by their paths with / between the parts.

    Symbolic links are followed, and every folder is searched once, so links that form a circle do no harm. Links are
    followed last, so that a folder below `folder` keeps its own path and does not get the path of a link to it.
    """
    sizes: dict[str, int] = {}
    unread: Counter[str] = Counter()
    runs = 0
    seen: set[tuple[int, int]] = set()
    folders, links = [""], list[str]()
    while folders or links:
        prefix = folders.pop() if folders else links.pop(0)
        try:
            status = os.stat(folder / prefix)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder / prefix) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
                if _OF_A_RUN <= {entry.name for entry in entries}:
                    runs += 1  # its sample sheets are no training images
                    continue
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    name = prefix + entry.name
                    if entry.is_dir():
                        (links if entry.is_symlink() else folders).append(f"{name}/")
                        continue
                    extension = os.path.splitext(name)[1].lower()
                    if extension in _EXTENSIONS and entry.is_file():
                        sizes[name] = entry.stat().st_size
                    elif extension in _UNREAD_PICTURES and entry.is_file():
                        unread[extension] += 1
        except OSError as error:
            raise DataError(f"{error.filename or folder / prefix}: cannot be read ({error.strerror})") from error
    return _Found(sizes, _left_out(unread, runs))


def _left_out(unread: Counter[str], runs: int) -> tuple[str, ...]:
    notices = []
    if unread:
        counts = ", ".join(f"{count} {extension}" for extension, count in sorted(unread.items()))
        notices.append(
            f"left out, since these formats are not read: {counts}; convert them to PNG or JPEG to train on them"
        )
    if runs:
        notices.append(f"left out: the pictures in {runs} folder(s) of training runs")
    return tuple(notices)


def _labels(folder: Path, names: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the classes, and the label of each image, int64 [N]."""
    for name in names:
        if "/" not in name:
            raise DataError(
                f"{folder / name}: --conditional takes the class of an image from its sub-folder, "
                "but this image is in no sub-folder"
            )
    first_parts = [name.split("/")[0] for name in names]
    classes = tuple(sorted(set(first_parts)))
    numbers = {name: number for number, name in enumerate(classes)}
    return classes, np.array([numbers[first] for first in first_parts], np.int64)


def _read(folder: Path, names: list[str], size: int, channels: int, index: int) -> np.ndarray:
    """The image at an index, uint8 [C, size, size]."""
    return _load_image(folder / names[index], size, channels)


def _load_image(path: Path, size: int, channels: int) -> np.ndarray:
    """One image as uint8 [C, size, size]."""
    try:
        with Image.open(path) as opened:
            image = _to_mode(ImageOps.exif_transpose(opened), "RGB" if channels == 3 else "L")
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    except FileNotFoundError as error:
        raise DataError(f"{path}: the image is gone; put it back, or start a new training run without it") from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise DataError(f"{path}: the image is too large, more than {most:,} pixels; make it smaller") from error
    # For a damaged file Pillow's decoders raise errors of many kinds: OSError, SyntaxError, ValueError, struct.error
    except Exception as error:
        raise DataError(f"{path}: not an image that can be read ({error}); remove it or repair it") from error
    return np.asarray(image).reshape(size, size, channels).transpose(2, 0, 1)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert to RGB or grey; transparent pixels are blended with white."""
    if image.mode in _DEEP_GREY:
        values = np.asarray(image, np.float32)
        # Only the modes of 16 bits define the value of white; for the others it is estimated from the brightest pixel.
        white = 65535 if image.mode.startswith("I;16") else next((w for w in (1, 255) if values.max() <= w), 65535)
        return Image.fromarray((values * (255 / white)).clip(0, 255).round().astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)
