"""Single pictures of any size and colour mode, as arrays, and back into files.

Not about sets of images of one size for training: see `folder`.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from paddle_gan.errors import DataError
from paddle_gan.system.files import atomic_path

# Grey modes of more than 8 bits: Pillow's own conversion clips the values instead of scaling them.
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "F")
_JPEG = {".jpg", ".jpeg", ".jpe", ".jfif"}
_JPEG_QUALITY = 95
# Formats that are meant when a folder is named; Pillow opens more, such as .h5 or .mpg.
_EXTENSIONS = set(
    ".avif .bmp .gif .ico .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff .webp".split()
)


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
    try:
        with Image.open(path) as opened:
            image = _eight_bits(ImageOps.exif_transpose(opened))
        if not image.has_transparency_data:
            return Picture(np.asarray(image.convert("RGB")), None)
        image = image.convert("RGBA")
        blended = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return Picture(np.asarray(blended.convert("RGB")), np.asarray(image.getchannel("A")))
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise DataError(f"{path}: the image is too large, more than {most:,} pixels; make it smaller") from error
    # For a damaged file Pillow's decoders raise errors of many kinds: OSError, SyntaxError, ValueError, struct.error
    except Exception as error:
        raise DataError(f"{path}: not an image that can be read ({error})") from error


def picture_names(folder: Path) -> list[Path]:
    """The pictures below a folder, relative to it, in the order of their names; also those that cannot be read.

    Names that begin with a dot are left out, with all that is below them.
    """
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in _EXTENSIONS)
    return sorted(name for name in names if not any(part.startswith(".") for part in name.parts))


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture as JPEG if its name ends so and it has no alpha, else as PNG.

    Raises:
        DiskError: the file cannot be written.
    """
    image = Image.fromarray(picture.colours)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
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


def _eight_bits(image: Image.Image) -> Image.Image:
    """The same picture in a mode of 8 bits, if it is grey of more bits."""
    if image.mode not in _DEEP_GREY:
        return image
    values = np.asarray(image, np.float32)
    # Only the modes of 16 bits define the value of white; for the others it is estimated from the brightest pixel.
    white = 65535 if image.mode.startswith("I;16") else next((w for w in (1, 255) if values.max() <= w), 65535)
    return Image.fromarray((values * (255 / white)).clip(0, 255).round().astype(np.uint8))
