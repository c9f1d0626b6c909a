"""One image file as a picture: its pixels as they are stored, the right way up, and what is to be known of the file.

Not about the value of white in files of more than 8 bits, which is decided for the whole set (`depth`), and not about
how a picture comes to the size of the networks (`fitting`).
"""

import ctypes
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

# Modes of more than 8 bits a channel: Pillow's own conversion clips the values instead of scaling them.
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
GREY_MODES = {"1", "L", *_DEEP_GREY}
# How Pillow unpacks colours of 16 bits to 8: it takes the higher byte. The other byte order gives the lower one.
_OTHER_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
_ORIENTATION, _BITS_PER_SAMPLE, _SAMPLE_FORMAT = 0x0112, 258, 339
_UNSIGNED = 1
_CUT_SHORT = ("truncated", "unexpected end", "end of file", "eof")

# What Pillow warns or logs of is said in this project's own words, or is of no use to its users.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())
try:  # libtiff writes its messages to stderr itself
    for _handler in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        ctypes.CDLL(Image.core.__file__)[_handler](None)
except (OSError, AttributeError):  # no libtiff, or one that is hidden inside Pillow
    pass


# Faults that are not those of the content: they may be gone at the next start.
PASSING = ("gone", "not opened", "out of memory")


class Unreadable(Exception):
    """A file that cannot be used.

    Attributes:
        kind: of the fault: empty, truncated, corrupt, too large, not finite, refused; or one of PASSING.
        reason: for a message that begins with the name of the file.
    """

    def __init__(self, kind: str, reason: str):
        super().__init__(reason)
        self.kind, self.reason = kind, reason


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


@contextmanager
def unreadable() -> Iterator[None]:
    """Turn whatever Pillow raises for a file into `Unreadable`."""
    try:
        yield
    except Unreadable:
        raise
    except FileNotFoundError as error:
        reason = "the image is gone; put it back, or start a new training run without it"
        raise Unreadable("gone", reason) from error
    except Image.DecompressionBombError as error:
        raise too_large() from error
    except MemoryError as error:
        raise Unreadable("out of memory", "the image is too large for the memory; make it smaller") from error
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:  # of the system, not of a decoder
            raise Unreadable("not opened", f"the file cannot be opened ({error.strerror})") from error
        # For a damaged file Pillow's decoders raise errors of many kinds, also SyntaxError or struct.error.
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            text = "it begins like no known image format"
        cut = any(words in text.lower() for words in _CUT_SHORT)
        raise damaged("truncated" if cut else "corrupt", text) from error


def damaged(kind: str, why: str) -> Unreadable:
    """The fault of a file that holds no whole image."""
    return Unreadable(kind, f"not an image that can be read ({why}); remove it or repair it")


def too_large() -> Unreadable:
    """The fault of an image of more pixels than are opened."""
    most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    return Unreadable("too large", f"the image is too large, more than {most:,} pixels; make it smaller")


def read_picture(content: bytes) -> Picture:
    """Decode the content of an image file.

    Of an animation, and of a file of several pages, the first image is taken.

    Raises:
        Unreadable: it is empty, damaged, too large, or holds values that are no numbers.
    """
    if not content:
        raise damaged("empty", "it is empty")
    with unreadable(), Image.open(io.BytesIO(content)) as opened:
        facts = {
            "format": "JPEG" if opened.format == "MPO" else opened.format or "",
            "mode": opened.mode,
            "frames": _frames(opened),
        }
        raw_mode = _raw_mode(opened)
        deep_colour = opened.mode in ("RGB", "RGBA") and raw_mode.endswith(tuple(_OTHER_BYTE))
        opened.load()
        facts["rotated"] = opened.getexif().get(_ORIENTATION, 1) in range(2, 9)
        image = ImageOps.exif_transpose(opened)
        if deep_colour:
            values = _both_bytes(image, content, raw_mode)
            alpha = (values[..., 3] >> 8).astype(np.uint8) if values.shape[2] == 4 else None
            return Picture(image=None, deep=values[..., :3], alpha=alpha, bits=16, **facts)
        if image.mode in _DEEP_GREY:
            return Picture(image=None, deep=_deep_grey(image, opened), alpha=None, bits=_bits(opened), **facts)
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


def _raw_mode(opened: Any) -> str:
    """The form of the pixels in the file, such as RGB;16B; empty if the format has no such name."""
    if not opened.tile:
        return ""
    arguments = opened.tile[0][3]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _both_bytes(high: Image.Image, content: bytes, raw_mode: str) -> np.ndarray:
    """The values of a colour image of 16 bits, uint16 [H, W, C], of which Pillow has read the higher bytes."""
    mode, order = raw_mode.split(";")
    with Image.open(io.BytesIO(content)) as opened:
        again: Any = opened
        swapped = f"{mode};{_OTHER_BYTE[order]}"
        again.tile = [
            (*part[:3], (swapped, *part[3][1:]) if isinstance(part[3], tuple) else swapped) for part in again.tile
        ]
        low = ImageOps.exif_transpose(again)
        return (np.asarray(high).astype(np.uint16) << 8) | np.asarray(low)


def _bits(opened: Any) -> int:
    bits = getattr(opened, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
    return bits[0] if bits else 16 if opened.mode.startswith("I;16") or opened.format in ("PNG", "PPM") else 32


def _deep_grey(image: Image.Image, opened: Any) -> np.ndarray:
    """The values of a grey image of more than 8 bits, [H, W]; Pillow takes unsigned ones of 32 bits for signed."""
    values = np.asarray(image)
    tags = getattr(opened, "tag_v2", {})
    if image.mode == "I" and tags.get(_BITS_PER_SAMPLE) == (32,) and tags.get(_SAMPLE_FORMAT, (1,)) == (_UNSIGNED,):
        values = values.view(np.uint32)
    wrong = int(values.size - np.isfinite(values).sum()) if values.dtype.kind == "f" else 0
    if wrong:
        raise Unreadable("not finite", f"{wrong} of {values.size} pixels are NaN or infinite; repair it or remove it")
    return values
