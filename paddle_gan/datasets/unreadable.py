"""What is wrong with an image file that cannot be used, in words for its owner."""

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, PngImagePlugin, UnidentifiedImageError

# Texts and colour profiles in PNG files are often longer than Pillow's limit of 1 MiB. Bytes of each, and of all.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 64 << 20
_CUT_SHORT = ("truncated", "unexpected end", "end of file", "eof")

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
            raise refused(f"its text or its colour profile is larger than {most} MiB; save it without them") from error
        if isinstance(error, UnidentifiedImageError):
            text = "it begins like no known image format"
        cut = any(words in text.lower() for words in _CUT_SHORT)
        raise damaged("truncated" if cut else "corrupt", text) from error


def damaged(kind: str, why: str) -> Unreadable:
    """The fault of a file that holds no whole image."""
    return Unreadable(kind, f"not an image that can be read ({why}); remove it or repair it")


def refused(reason: str) -> Unreadable:
    """The fault of a file of a form that is not read."""
    return Unreadable("refused", reason)


def too_large() -> Unreadable:
    """The fault of an image of more pixels than are opened."""
    most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    return Unreadable("too large", f"the image is too large, more than {most:,} pixels; make it smaller")
