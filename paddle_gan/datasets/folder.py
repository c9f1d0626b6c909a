"""A folder of one's own images as a data set.

Every image of the usual formats is taken, in any mode, from the folder and all folders below it, in the
order of their names. Each is cropped at its centre to a square and resampled to the size asked for.
"""

import hashlib
import os
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from paddle_gan.datasets.image_set import DiskImages, ImageSet, in_memory
from paddle_gan.errors import DataError

# What Pillow also opens, such as .h5, .mpg or .eps, is seldom meant as a training image.
_EXTENSIONS = set(
    ".avif .bmp .gif .ico .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff .webp".split()
)
# Grey of more than 8 bits: Pillow's own conversion clips instead of scaling.
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "F")


def open_folder(folder: Path, image_size: int, channels: int, labelled: bool = False) -> ImageSet:
    """The images below `folder`, left on the disk: only names and sizes of the files are looked at.

    The fingerprint is of those, so it is the same for a copy of the folder elsewhere; an image that was
    changed without a change of its size in bytes is not noticed by it.

    Args:
        folder: searched with all folders below it; names that begin with a dot are passed over.
        image_size: pixels of the square.
        channels: 1 (grey) or 3 (RGB).
        labelled: the folders directly below `folder` are the classes, in the order of their names.

    Raises:
        DataError: no images, an empty file, a folder that cannot be read, or images outside a class folder.
            Reading an image raises it too.
    """
    sizes = _sizes(folder)
    if not sizes:
        raise DataError(f"{folder}: no images in it or below it (known: {' '.join(sorted(_EXTENSIONS))})")
    names = sorted(sizes, key=lambda name: name.split("/"))
    for name in names:
        if not sizes[name]:
            raise DataError(f"{folder / name}: not an image that can be read (it is empty); remove it or repair it")
    classes, labels = _labels(folder, names) if labelled else ((), None)
    digest = hashlib.sha256("".join(f"{name}\0{sizes[name]}\0" for name in names).encode(errors="surrogateescape"))
    read = partial(_read, folder, names, image_size, channels)
    images = DiskImages((len(names), channels, image_size, image_size), read)
    return ImageSet(folder.resolve().name, images, labels, classes, digest.hexdigest())


def load_folder(folder: Path, image_size: int, channels: int, labelled: bool = False) -> ImageSet:
    """As `open_folder`, with all images read into memory."""
    return in_memory(open_folder(folder, image_size, channels, labelled))


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of every image by its name below `folder`, with / between the parts.

    Links are followed, and every folder is taken once: so links in a circle end, and a folder that lies here
    goes by its own name and not by that of a link to it.
    """
    sizes, seen, folders, links = {}, set(), [""], []
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
    parts = [name.split("/") for name in names]
    for name, (first, *rest) in zip(names, parts):
        if not rest:
            raise DataError(
                f"{folder / name}: --conditional takes the class from the sub-folder, and this image is in none"
            )
    classes = tuple(sorted({first for first, *_ in parts}))
    numbers = {name: number for number, name in enumerate(classes)}
    return classes, np.array([numbers[first] for first, *_ in parts], np.int64)


def _read(folder: Path, names: list[str], size: int, channels: int, index: int) -> np.ndarray:
    return _load_image(folder / names[index], size, channels)


def _load_image(path: Path, size: int, channels: int) -> np.ndarray:
    """One image as uint8 [C, size, size]."""
    try:
        with Image.open(path) as opened:
            image = _to_mode(ImageOps.exif_transpose(opened), "RGB" if channels == 3 else "L")
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    except FileNotFoundError as error:
        raise DataError(f"{path}: the image is gone; put it back, or start again without it") from error
    # Pillow raises whatever its decoders stumble over: OSError, SyntaxError, ValueError, struct.error ...
    except Exception as error:
        raise DataError(f"{path}: not an image that can be read ({error}); remove it or repair it") from error
    return np.asarray(image).reshape(size, size, channels).transpose(2, 0, 1)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert to RGB or grey; what is transparent is laid on white."""
    if image.mode in _DEEP_GREY:
        values = np.asarray(image, np.float32)
        # Only 16-bit files say how bright white is; the others are judged by their brightest pixel.
        white = 65535 if image.mode.startswith("I;16") else next((w for w in (1, 255) if values.max() <= w), 65535)
        return Image.fromarray((values * (255 / white)).clip(0, 255).round().astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert(mode)
