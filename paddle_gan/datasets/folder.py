"""A folder of the user's own images as a data set.

All images of the usual formats and of any colour mode are used, from the folder and all folders below it, in the order
of their names. Each image is cropped at its centre to a square and resampled to the requested size.
"""

import hashlib
import os
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from paddle_gan.datasets.image_set import DiskImages, ImageSet, in_memory
from paddle_gan.errors import DataError

# Pillow opens more, such as .h5, .mpg or .eps, but such a file is rarely meant as a training image.
_EXTENSIONS = set(
    ".avif .bmp .gif .ico .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff .webp".split()
)
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
    sizes = _sizes(folder)
    if not sizes:
        raise DataError(
            f"{folder}: no images in this folder or below it (known extensions: {' '.join(sorted(_EXTENSIONS))})"
        )
    names = sorted(sizes, key=lambda name: name.split("/"))
    for name in names:
        if not sizes[name]:
            raise DataError(f"{folder / name}: not an image that can be read (it is empty); remove it or repair it")
    classes, labels = _labels(folder, names) if labelled else ((), None)
    digest = hashlib.sha256("".join(f"{name}\0{sizes[name]}\0" for name in names).encode(errors="surrogateescape"))
    read = partial(_read, folder, names, image_size, channels)
    images = DiskImages((len(names), channels, image_size, image_size), read)
    return ImageSet(folder.resolve().name, images, labels, classes, digest.hexdigest())


def load_folder(folder: Path, image_size: int, channels: int, *, labelled: bool = False) -> ImageSet:
    """As `open_folder`, with all images read into memory."""
    return in_memory(open_folder(folder, image_size, channels, labelled=labelled))


def _sizes(folder: Path) -> dict[str, int]:
    """Size in bytes of every image, by its path relative to `folder` with / between the parts.

    Symbolic links are followed, and every folder is searched once, so links that form a circle do no harm. Links are
    followed last, so that a folder below `folder` keeps its own path and does not get the path of a link to it.
    """
    sizes: dict[str, int] = {}
    seen: set[tuple[int, int]] = set()
    folders, links = [""], list[str]()
    while folders or links:
        prefix = folders.pop() if folders else links.pop(0)
        try:
            status = os.stat(folder / prefix)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder / prefix) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if entry.name.startswith("."):
                        continue
                    name = prefix + entry.name
                    if entry.is_dir():
                        (links if entry.is_symlink() else folders).append(f"{name}/")
                    elif os.path.splitext(name)[1].lower() in _EXTENSIONS and entry.is_file():
                        sizes[name] = entry.stat().st_size
        except OSError as error:
            raise DataError(f"{error.filename or folder / prefix}: cannot be read ({error.strerror})") from error
    return sizes


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
