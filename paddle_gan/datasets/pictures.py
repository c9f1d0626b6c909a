"""Single pictures of any size and colour mode, as arrays, and back into files.

Not about sets of images of one size for training: see `folder`. Files are decoded by `decode`, as there.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from paddle_gan.datasets import decode
from paddle_gan.datasets.decode import over_white
from paddle_gan.datasets.depth import kind_of, range_of
from paddle_gan.datasets.fitting import Sides, eight_bits, to_pixels
from paddle_gan.datasets.found import EXTENSIONS
from paddle_gan.datasets.unreadable import Unreadable, unreadable
from paddle_gan.errors import DataError
from paddle_gan.system.files import atomic_path

_JPEG = {".jpg", ".jpeg", ".jpe", ".jfif"}
_JPEG_QUALITY = 95


class Picture(NamedTuple):
    """A picture as it is seen: upright, whatever its EXIF orientation says.

    Attributes:
        colours: uint8 [H, W, 3]; transparent pixels are blended with white.
        alpha: uint8 [H, W]; None for a picture without transparency.
    """

    colours: np.ndarray
    alpha: np.ndarray | None


def read_picture(path: Path) -> Picture:
    """Read a file of any format that Pillow knows.

    Raises:
        DataError: the file is not there, too large or damaged.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    try:
        with unreadable():
            content = path.read_bytes()
        image = _eight_bits(decode.read_picture(content))
    except Unreadable as error:
        raise DataError(f"{path}: {error.reason}") from error
    if not image.has_transparency_data:
        return Picture(np.asarray(image.convert("RGB")), None)
    image = image.convert("RGBA")
    return Picture(np.asarray(over_white(image).convert("RGB")), np.asarray(image.getchannel("A")))


def as_image(picture: Picture) -> Image.Image:
    """A picture as an image of Pillow, RGB or RGBA."""
    image = Image.fromarray(picture.colours)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    return image


def fitted(image: Image.Image, size: Sides, channels: int, fit: str) -> np.ndarray:
    """An image of 8 bits a channel as a network sees it, uint8 [H, W, C]; arguments as for `fitting.to_pixels`."""
    picture = decode.Picture(image, None, None, "", image.mode, bits=8, rotated=False, frames=1)
    return np.ascontiguousarray(to_pixels(picture, size, channels, fit, {}).transpose(1, 2, 0))


def picture_names(folder: Path) -> list[Path]:
    """The pictures below a folder, relative to it, in the order of their names; also those that cannot be read.

    Names that begin with a dot are left out, with all that is below them.
    """
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
    return sorted(name for name in names if not any(part.startswith(".") for part in name.parts))


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture as JPEG if its name ends so and it has no alpha, else as PNG.

    Raises:
        DiskError: the file cannot be written.
    """
    image = as_image(picture)
    with atomic_path(path) as temporary:
        if path.suffix.lower() in _JPEG and picture.alpha is None:
            image.save(temporary, "JPEG", quality=_JPEG_QUALITY)
        else:
            image.save(temporary, "PNG")


def written_name(name: Path, alpha: bool) -> Path:
    """The name under which `write_picture` should write what was made of the file `name`: its own, if that fits.

    A PNG stays a PNG, and a JPEG without alpha a JPEG; for all others `.png` is added.
    """
    suffix = name.suffix.lower()
    return name if suffix == ".png" or (suffix in _JPEG and not alpha) else name.with_name(f"{name.name}.png")


def _eight_bits(picture: decode.Picture) -> Image.Image:
    """A picture with 8 bits a channel; the range of one of more bits is that of its own values."""
    if picture.image is not None:
        return picture.image
    assert picture.deep is not None, "a picture has one of both"
    kind = kind_of(picture.deep)
    return eight_bits(picture, {kind: range_of(kind, [(float(picture.deep.min()), float(picture.deep.max()))])})
