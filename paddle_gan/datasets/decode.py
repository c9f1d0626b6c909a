"""One image file as a picture: its pixels as they are stored, the right way up, and what is to be known of the file.

Not about the values of files of more than 8 bits (`deep_pixels`), and not about how a picture comes to the size of the
networks (`fitting`).
"""

import ctypes
import io
import logging
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

from paddle_gan.datasets import deep_pixels
from paddle_gan.datasets.deep_pixels import CONVERT, DEEP_GREY
from paddle_gan.datasets.unreadable import damaged, refused, unreadable

GREY_MODES = {"1", "L", *DEEP_GREY}
_ORIENTATION = 0x0112
# What Pillow warns or logs of is said in this project's own words, or is of no use to its users.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())
try:  # libtiff writes its messages to stderr itself
    for _handler in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        ctypes.CDLL(Image.core.__file__)[_handler](None)
except (OSError, AttributeError):  # no libtiff, or one that is hidden inside Pillow
    pass


@dataclass(frozen=True)
class Picture:
    """An image as its file has it, the right way up.

    Attributes:
        image: 8 bits a channel, in any mode of Pillow; None for a deep picture.
        deep: the values of a picture of more than 8 bits a channel, [H, W] or [H, W, 3]; else None.
        alpha: uint8 [H, W] beside `deep`; None without transparency.
        format, mode: as Pillow names them.
        bits: of a channel in the file.
        rotated: whether EXIF turned or mirrored it.
        frames: of an animation, or pages.
    """

    image: Image.Image | None
    deep: np.ndarray | None
    alpha: np.ndarray | None
    format: str
    mode: str
    bits: int
    rotated: bool
    frames: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        if self.image is not None:
            return self.image.height, self.image.width
        assert self.deep is not None, "a picture has one of both"
        return self.deep.shape[0], self.deep.shape[1]


@cache
def reads_heif() -> bool:
    """Whether HEIC and HEIF files are read, which needs the package pillow-heif."""
    try:
        import pillow_heif  # type: ignore[import-not-found]
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def read_picture(content: bytes) -> Picture:
    """Decode the content of an image file.

    Of an animation, and of a file of several pages, the first image is taken.

    Raises:
        Unreadable: it is empty, damaged, too large, holds values that are no numbers, or has a form that is not read.
    """
    if not content:
        raise damaged("empty", "it is empty")
    with unreadable(), _opened(content) as opened:
        facts = {
            "format": "JPEG" if opened.format == "MPO" else opened.format or "",
            "mode": opened.mode,
            "frames": _frames(opened),
        }
        form = deep_pixels.raw_mode(opened)
        deep_pixels.refuse_form(opened, form, content)
        if deep_pixels.is_wide_ppm(opened):
            values = deep_pixels.values_of_ppm(opened, content)
            return Picture(image=None, deep=values, alpha=None, bits=16, rotated=False, **facts)
        deep_pixels.keep_byte_order(opened, form)
        opened.load()
        facts["rotated"] = opened.getexif().get(_ORIENTATION, 1) in range(2, 9)
        image = ImageOps.exif_transpose(opened)
        if deep_pixels.is_deep_colour(opened, form):
            values, alpha = deep_pixels.deep_colour(image, content, form)
            return Picture(image=None, deep=values, alpha=alpha, bits=16, **facts)
        if image.mode in DEEP_GREY:
            values = deep_pixels.deep_grey(image, opened)
            return Picture(image=None, deep=values, alpha=None, bits=deep_pixels.bits(opened), **facts)
        if image.mode not in ("1", "L", "P", "LA", "PA", "RGB", "RGBA"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        return Picture(image=image, deep=None, alpha=None, bits=1 if facts["mode"] == "1" else 8, **facts)


def is_grey(picture: Picture) -> bool:
    """Whether all pixels are grey."""
    if picture.deep is not None:
        return picture.deep.ndim == 2 or bool((picture.deep == picture.deep[..., :1]).all())
    assert picture.image is not None, "a picture has one of both"
    if picture.image.mode in ("1", "L", "LA"):
        return True
    red, green, blue = over_white(picture.image).convert("RGB").split()
    return not any(ImageChops.difference(red, other).getbbox() for other in (green, blue))


def is_transparent(picture: Picture) -> bool:
    """Whether any pixel lets the background through."""
    if picture.image is None:
        return picture.alpha is not None and bool((picture.alpha < 255).any())
    if not picture.image.has_transparency_data:
        return False
    least: Any = picture.image.convert("RGBA").getchannel("A").getextrema()[0]
    return least < 255


def over_white(image: Image.Image) -> Image.Image:
    """An image of 8 bits with its transparent pixels blended with white."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _frames(opened: Image.Image) -> int:
    """Images in the file that are meant to be shown one after another; 1 if that cannot be told."""
    if opened.format == "MPO":  # a photo with a second view of it
        return 1
    try:
        return getattr(opened, "n_frames", 1)
    except Exception:  # the file ends within a later one
        return 1
    finally:
        opened.seek(0)


def _opened(content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content))
    except UnidentifiedImageError as error:
        if values := deep_pixels.values_of_tiff(content):
            advice = f"{CONVERT}, or to a TIFF of one channel of floats of 32 bits"
            raise refused(f"a TIFF of such values is not read ({values}); {advice}") from error
        raise
