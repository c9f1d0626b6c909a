"""A folder of one's own images as a data set.

Every image of the usual formats is taken, in any mode, from the folder and all folders below it, in the
order of their names. Each is cropped at its centre to a square and resampled to the size asked for.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from paddle_gan.datasets.image_set import ImageSet
from paddle_gan.errors import DataError
from paddle_gan.runtime import cpu_count

_MOST_BYTES = 8 << 30
# What Pillow also opens, such as .h5, .mpg or .eps, is seldom meant as a training image.
_EXTENSIONS = set(
    ".avif .bmp .gif .ico .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff .webp".split()
)
# Grey of more than 8 bits: Pillow's own conversion clips instead of scaling.
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "F")


def load_folder(folder: Path, image_size: int, channels: int, labelled: bool = False) -> ImageSet:
    """Load all images below `folder` into memory.

    Args:
        folder: searched with all folders below it; names that begin with a dot are passed over.
        image_size: pixels of the square.
        channels: 1 (grey) or 3 (RGB).
        labelled: the folders directly below `folder` are the classes, in the order of their names.

    Raises:
        DataError: no images, one that cannot be read, images outside a class folder, or more than
            8 GiB when unpacked.
    """
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _EXTENSIONS
        and os.path.isfile(path)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not paths:
        raise DataError(f"{folder}: no images in it or below it (known: {' '.join(sorted(_EXTENSIONS))})")
    size = len(paths) * channels * image_size**2
    if size > _MOST_BYTES:
        raise DataError(
            f"{folder}: {len(paths)} images need {size >> 30} GiB of memory at this size; use a smaller --image-size"
        )
    classes, labels = _labels(folder, paths) if labelled else ((), None)
    with ThreadPoolExecutor(cpu_count()) as pool:
        images = np.stack(list(pool.map(partial(_load_image, size=image_size, channels=channels), paths)))
    return ImageSet(folder.resolve().name, images, labels, classes)


def _labels(folder: Path, paths: list[Path]) -> tuple[tuple[str, ...], np.ndarray]:
    names = []
    for path in paths:
        parts = path.relative_to(folder).parts
        if len(parts) < 2:
            raise DataError(f"{path}: --conditional takes the class from the sub-folder, and this image is in none")
        names.append(parts[0])
    classes = tuple(sorted(set(names)))
    return classes, np.array([classes.index(name) for name in names], np.int64)


def _load_image(path: Path, size: int, channels: int) -> np.ndarray:
    """One image as uint8 [C, size, size]."""
    try:
        with Image.open(path) as opened:
            image = _to_mode(ImageOps.exif_transpose(opened), "RGB" if channels == 3 else "L")
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
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
