"""The values of image files of more than 8 bits a channel, which Pillow would round, clip or mix up without a word.

Forms of which the values cannot be had are refused. Not about the value of white, which is decided for the whole set:
see `depth`.
"""

import io
import sys
from typing import Any

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from paddle_gan.datasets.unreadable import Unreadable, damaged, refused

# Modes of more than 8 bits a channel: Pillow's own conversion clips the values instead of scaling them.
DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
# How Pillow unpacks colours of 16 bits to 8: it takes the higher byte. The other byte order gives the lower one.
_OTHER_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
# libtiff unpacks to the byte order of the machine, and of these forms Pillow does not know that.
_NATIVE = {"I;16S": "I;16NS", "I;16BS": "I;16NS", "I;32S": "I;32NS", "I;32BS": "I;32NS"}
_NATIVE |= {"F;32F": "F;32NF", "F;32BF": "F;32NF"}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT = 258, 262, 284, 339
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_WHITE_IS_ZERO, _SEPARATE_PLANES = 0, 2
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# In the header of JPEG 2000: the marker SIZ, and where the bits of the first channel stand after it.
_SIZ, _SIZ_BITS = b"\xff\x4f\xff\x51", 38
CONVERT = "convert it to a PNG of 8 or 16 bits"


def raw_mode(opened: Any) -> str:
    """The form of the pixels in the file, such as RGB;16B; empty if the format has no such name.

    Args:
        opened: by Pillow, not loaded.
    """
    if not opened.tile:
        return ""
    arguments = opened.tile[0][3]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def values_of_tiff(content: bytes) -> str:
    """The kind of the values of a TIFF file that Pillow does not know, in words; empty if it is none."""
    if not content.startswith(_TIFF):
        return ""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if b"+" in content[2:4] else 8])
        file = io.BytesIO(content)
        file.seek(tags.next)
        tags.load(file)
        sizes, (form, *_) = tags[_BITS_PER_SAMPLE], tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))
    except Exception:  # a damaged file, for which Pillow raises errors of many kinds
        return ""
    kinds = {_UNSIGNED: "unsigned integers", _SIGNED: "signed integers", _FLOAT: "floats"}
    white = ", 0 is white" if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else ""
    return f"{len(sizes)} x {sizes[0]} bits, {kinds.get(form, 'of another kind')}{white}"


def refuse_form(opened: Any, form: str, content: bytes) -> None:
    """Raise Unreadable for forms of pixels, see `raw_mode`, whose values Pillow would change without a word."""
    tags = getattr(opened, "tag_v2", {})
    sizes = tags.get(_BITS_PER_SAMPLE, (8,))
    if len(sizes) > 1 and max(sizes) > 8 and tags.get(_PLANAR) == _SEPARATE_PLANES:
        raise refused(f"a TIFF of more than 8 bits with its colours in separate planes is not read; {CONVERT}")
    if form.startswith("RGBa;16"):
        raise refused(f"a TIFF of 16 bits with premultiplied transparency is not read; {CONVERT}")
    if tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _SIGNED and max(sizes) <= 8:
        raise refused(f"a TIFF of signed values of 8 bits is not read; {CONVERT}")
    if opened.mode == "F" and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        raise refused(f"a TIFF of floats of which 0 is white is not read; {CONVERT}")
    if is_wide_ppm(opened) and opened.tile[0][0] == "ppm_plain":
        raise refused(f"a PPM of more than 8 bits that is written as text is not read; {CONVERT}")
    if opened.format == "JPEG2000" and opened.mode in ("RGB", "RGBA"):
        depth = content[content.index(_SIZ) + len(_SIZ) + _SIZ_BITS]
        if (depth & 0x7F) + 1 > 8:
            raise refused(f"a JPEG 2000 of colours of more than 8 bits is not read; {CONVERT}")


def _most_of_ppm(opened: Any) -> int:
    """The value of white in a PPM file."""
    arguments = opened.tile[0][3]
    return arguments[-1] if isinstance(arguments, tuple) else 255


def is_wide_ppm(opened: Any) -> bool:
    """Whether it is a colour PPM of two bytes a value."""
    return opened.format == "PPM" and opened.mode == "RGB" and _most_of_ppm(opened) > 255


def values_of_ppm(opened: Any, content: bytes) -> np.ndarray:
    """The values of a colour PPM of two bytes each, uint16 [H, W, 3], of which white is 65535, as in a grey one."""
    _, _, start, _ = opened.tile[0]
    count = opened.width * opened.height * 3
    if len(content) < start + 2 * count:
        raise damaged("truncated", "it is cut short")
    values = np.frombuffer(content, ">u2", count, start).reshape(opened.height, opened.width, 3)
    return (values * (65535 / _most_of_ppm(opened))).round().clip(0, 65535).astype(np.uint16)


def keep_byte_order(opened: Any, form: str) -> None:
    """Let Pillow read the values in the byte order in which libtiff gives them. Before the image is loaded."""
    if form in _NATIVE and opened.tile[0][0] == "libtiff":
        _set_raw_mode(opened, _NATIVE[form])


def _set_raw_mode(opened: Any, form: str) -> None:
    """Let Pillow take the pixels for this form when it reads them."""
    opened.tile = [(*part[:3], (form, *part[3][1:]) if isinstance(part[3], tuple) else form) for part in opened.tile]


def is_deep_colour(opened: Any, form: str) -> bool:
    """Whether Pillow has read the higher bytes only of an image of this form, see `raw_mode`."""
    return opened.mode in ("RGB", "RGBA", "CMYK") and form.endswith(tuple(_OTHER_BYTE))


def deep_colour(high: Image.Image, content: bytes, form: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The values of an image of 16 bits, uint16 [H, W, 3], or [H, W] if it is grey, and its alpha, uint8 [H, W].

    Args:
        high: what Pillow has read, the higher bytes.
        content: of the file.
        form: see `raw_mode`.
    """
    mode, order = form.split(";")
    if mode == "LA":  # Pillow has no form with the other bytes, but as RGBA it gives all of them one after another
        grey_high, grey_low, alpha, _ = np.moveaxis(_read_as(content, "RGBA"), 2, 0)
        return grey_high.astype(np.uint16) << 8 | grey_low, alpha
    values = (np.asarray(high).astype(np.uint16) << 8) | _read_as(content, f"{mode};{_OTHER_BYTE[order]}")
    if mode == "CMYK":
        light = 65535 - values.astype(np.float64)
        return (light[..., :3] * light[..., 3:] / 65535).round().astype(np.uint16), None
    return values[..., :3], (values[..., 3] >> 8).astype(np.uint8) if values.shape[2] == 4 else None


def _read_as(content: bytes, form: str) -> np.ndarray:
    """The pixels of a file, uint8 [H, W, C], the right way up, as if they had another form."""
    with Image.open(io.BytesIO(content)) as opened:
        _set_raw_mode(opened, form)
        return np.asarray(ImageOps.exif_transpose(opened))


def bits(opened: Any) -> int:
    """Of a channel in the file."""
    sizes = getattr(opened, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
    return sizes[0] if sizes else 16 if opened.mode.startswith("I;16") or opened.format in ("PNG", "PPM") else 32


def deep_grey(image: Image.Image, opened: Any) -> np.ndarray:
    """The values of a grey image of more than 8 bits, [H, W]; Pillow takes unsigned ones of 32 bits for signed."""
    values = np.asarray(image)
    tags = getattr(opened, "tag_v2", {})
    if image.mode == "I" and tags.get(_BITS_PER_SAMPLE) == (32,) and tags.get(_SAMPLE_FORMAT, (1,)) == (_UNSIGNED,):
        values = values.view(np.uint32)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = 2 ** bits(opened) - 1 - values
    wrong = int(values.size - np.isfinite(values).sum()) if values.dtype.kind == "f" else 0
    if wrong:
        raise Unreadable("not finite", f"{wrong} of {values.size} pixels are NaN or infinite; repair it or remove it")
    return values
