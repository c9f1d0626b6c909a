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
from PIL import Image, ImageChops, ImageOps, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

# Modes of more than 8 bits a channel: Pillow's own conversion clips the values instead of scaling them.
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
GREY_MODES = {"1", "L", *_DEEP_GREY}
# How Pillow unpacks colours of 16 bits to 8: it takes the higher byte. The other byte order gives the lower one.
_OTHER_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
# libtiff unpacks to the byte order of the machine, and of these forms Pillow does not know that.
_NATIVE = {"I;16S": "I;16NS", "I;16BS": "I;16NS", "I;32S": "I;32NS", "I;32BS": "I;32NS"}
_NATIVE |= {"F;32F": "F;32NF", "F;32BF": "F;32NF"}
_ORIENTATION, _BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT = 0x0112, 258, 262, 284, 339
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_WHITE_IS_ZERO, _SEPARATE_PLANES = 0, 2
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# In the header of JPEG 2000: the marker SIZ, and where the bits of the first channel stand after it.
_SIZ, _SIZ_BITS = b"\xff\x4f\xff\x51", 38
_CONVERT = "convert it to a PNG of 8 or 16 bits"
_CUT_SHORT = ("truncated", "unexpected end", "end of file", "eof")

# Texts and colour profiles in PNG files are often longer than Pillow's limit of 1 MiB. Bytes of each, and of all.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 64 << 20
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
        if "MAX_TEXT" in text:
            most = PngImagePlugin.MAX_TEXT_CHUNK >> 20
            raise _refused(f"its text or its colour profile is larger than {most} MiB; save it without them") from error
        if isinstance(error, UnidentifiedImageError):
            text = "it begins like no known image format"
        cut = any(words in text.lower() for words in _CUT_SHORT)
        raise damaged("truncated" if cut else "corrupt", text) from error


def damaged(kind: str, why: str) -> Unreadable:
    """The fault of a file that holds no whole image."""
    return Unreadable(kind, f"not an image that can be read ({why}); remove it or repair it")


def _refused(reason: str) -> Unreadable:
    return Unreadable("refused", reason)


def too_large() -> Unreadable:
    """The fault of an image of more pixels than are opened."""
    most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    return Unreadable("too large", f"the image is too large, more than {most:,} pixels; make it smaller")


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
        raw_mode = _raw_mode(opened)
        _refuse_form(opened, raw_mode, content)
        if _is_wide_ppm(opened):
            values = _values_of_ppm(opened, content)
            return Picture(image=None, deep=values, alpha=None, bits=16, rotated=False, **facts)
        if raw_mode in _NATIVE and _is_libtiff(opened):
            _set_raw_mode(opened, _NATIVE[raw_mode])
        opened.load()
        facts["rotated"] = opened.getexif().get(_ORIENTATION, 1) in range(2, 9)
        image = ImageOps.exif_transpose(opened)
        if opened.mode in ("RGB", "RGBA", "CMYK") and raw_mode.endswith(tuple(_OTHER_BYTE)):
            values, alpha = _deep_colour(image, content, raw_mode)
            return Picture(image=None, deep=values, alpha=alpha, bits=16, **facts)
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


def _opened(content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content))
    except UnidentifiedImageError as error:
        if values := _values_of_tiff(content):
            advice = f"{_CONVERT}, or to a TIFF of one channel of floats of 32 bits"
            raise _refused(f"a TIFF of such values is not read ({values}); {advice}") from error
        raise


def _values_of_tiff(content: bytes) -> str:
    """The kind of the values of a TIFF file that Pillow does not know, in words; empty if it is none."""
    if not content.startswith(_TIFF):
        return ""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if b"+" in content[2:4] else 8])
        file = io.BytesIO(content)
        file.seek(tags.next)
        tags.load(file)
        bits, (form, *_) = tags[_BITS_PER_SAMPLE], tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))
    except Exception:  # a damaged file, for which Pillow raises errors of many kinds
        return ""
    kinds = {_UNSIGNED: "unsigned integers", _SIGNED: "signed integers", _FLOAT: "floats"}
    white = ", 0 is white" if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else ""
    return f"{len(bits)} x {bits[0]} bits, {kinds.get(form, 'of another kind')}{white}"


def _refuse_form(opened: Any, raw_mode: str, content: bytes) -> None:
    """Raise Unreadable for forms of pixels whose values Pillow would change without a word."""
    tags = getattr(opened, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (8,))
    if len(bits) > 1 and max(bits) > 8 and tags.get(_PLANAR) == _SEPARATE_PLANES:
        raise _refused(f"a TIFF of more than 8 bits with its colours in separate planes is not read; {_CONVERT}")
    if raw_mode.startswith("RGBa;16"):
        raise _refused(f"a TIFF of 16 bits with premultiplied transparency is not read; {_CONVERT}")
    if tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _SIGNED and max(bits) <= 8:
        raise _refused(f"a TIFF of signed values of 8 bits is not read; {_CONVERT}")
    if opened.mode == "F" and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        raise _refused(f"a TIFF of floats of which 0 is white is not read; {_CONVERT}")
    if _is_wide_ppm(opened) and opened.tile[0][0] == "ppm_plain":
        raise _refused(f"a PPM of more than 8 bits that is written as text is not read; {_CONVERT}")
    if opened.format == "JPEG2000" and opened.mode in ("RGB", "RGBA"):
        depth = content[content.index(_SIZ) + len(_SIZ) + _SIZ_BITS]
        if (depth & 0x7F) + 1 > 8:
            raise _refused(f"a JPEG 2000 of colours of more than 8 bits is not read; {_CONVERT}")


def _most_of_ppm(opened: Any) -> int:
    """The value of white in a PPM file."""
    arguments = opened.tile[0][3]
    return arguments[-1] if isinstance(arguments, tuple) else 255


def _is_wide_ppm(opened: Any) -> bool:
    return opened.format == "PPM" and opened.mode == "RGB" and _most_of_ppm(opened) > 255


def _values_of_ppm(opened: Any, content: bytes) -> np.ndarray:
    """The values of a colour PPM of two bytes each, uint16 [H, W, 3], of which white is 65535, as in a grey one."""
    _, _, start, _ = opened.tile[0]
    count = opened.width * opened.height * 3
    if len(content) < start + 2 * count:
        raise damaged("truncated", "it is cut short")
    values = np.frombuffer(content, ">u2", count, start).reshape(opened.height, opened.width, 3)
    return (values * (65535 / _most_of_ppm(opened))).round().clip(0, 65535).astype(np.uint16)


def _is_libtiff(opened: Any) -> bool:
    return opened.tile[0][0] == "libtiff"


def _set_raw_mode(opened: Any, raw_mode: str) -> None:
    """Let Pillow take the pixels for this form when it reads them."""
    opened.tile = [
        (*part[:3], (raw_mode, *part[3][1:]) if isinstance(part[3], tuple) else raw_mode) for part in opened.tile
    ]


def _deep_colour(high: Image.Image, content: bytes, raw_mode: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The values of an image of 16 bits, uint16 [H, W, 3], or [H, W] if it is grey, and its alpha, uint8 [H, W].

    Args:
        high: what Pillow has read, the higher bytes.
        content: of the file.
        raw_mode: see `_raw_mode`.
    """
    mode, order = raw_mode.split(";")
    if mode == "LA":  # Pillow has no form with the other bytes, but as RGBA it gives all of them one after another
        grey_high, grey_low, alpha, _ = np.moveaxis(_read_as(content, "RGBA"), 2, 0)
        return grey_high.astype(np.uint16) << 8 | grey_low, alpha
    values = (np.asarray(high).astype(np.uint16) << 8) | _read_as(content, f"{mode};{_OTHER_BYTE[order]}")
    if mode == "CMYK":
        light = 65535 - values.astype(np.float64)
        return (light[..., :3] * light[..., 3:] / 65535).round().astype(np.uint16), None
    return values[..., :3], (values[..., 3] >> 8).astype(np.uint8) if values.shape[2] == 4 else None


def _read_as(content: bytes, raw_mode: str) -> np.ndarray:
    """The pixels of a file, uint8 [H, W, C], the right way up, as if they had another form."""
    with Image.open(io.BytesIO(content)) as opened:
        _set_raw_mode(opened, raw_mode)
        return np.asarray(ImageOps.exif_transpose(opened))


def _bits(opened: Any) -> int:
    bits = getattr(opened, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
    return bits[0] if bits else 16 if opened.mode.startswith("I;16") or opened.format in ("PNG", "PPM") else 32


def _deep_grey(image: Image.Image, opened: Any) -> np.ndarray:
    """The values of a grey image of more than 8 bits, [H, W]; Pillow takes unsigned ones of 32 bits for signed."""
    values = np.asarray(image)
    tags = getattr(opened, "tag_v2", {})
    if image.mode == "I" and tags.get(_BITS_PER_SAMPLE) == (32,) and tags.get(_SAMPLE_FORMAT, (1,)) == (_UNSIGNED,):
        values = values.view(np.uint32)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = 2 ** _bits(opened) - 1 - values
    wrong = int(values.size - np.isfinite(values).sum()) if values.dtype.kind == "f" else 0
    if wrong:
        raise Unreadable("not finite", f"{wrong} of {values.size} pixels are NaN or infinite; repair it or remove it")
    return values
