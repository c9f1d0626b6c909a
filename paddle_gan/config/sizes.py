"""The size of images as options and functions write it: 64 for 64×64 pixels, "64x48" for 64 wide and 48 high.

Not about what a network or a data set does with a size: they take `sides` of it.
"""

import re
from typing import Any, NamedTuple

# An int is a square; a text is WIDTHxHEIGHT, as programs for images write it.
ImageSize = int | str
_LEAST, _MOST = 16, 256


class Sides(NamedTuple):
    """Pixels, in the order in which arrays have them."""

    height: int
    width: int


def sides(size: ImageSize) -> Sides:
    """The two sides of a size, 48 and 64 of "64x48"."""
    if isinstance(size, int):
        return Sides(size, size)
    width, height = map(int, size.split("x"))
    return Sides(height, width)


def written(height: int, width: int) -> ImageSize:
    """The size with these sides: an int if it is a square."""
    return height if height == width else f"{width}x{height}"


def shown(height: int, width: int, channels: int) -> str:
    """The shape of an image for people: WIDTHxHEIGHTxCHANNELS."""
    return f"{width}x{height}x{channels}"


def read_size(given: Any) -> ImageSize:
    """The size that a user gave, in the one form that it has everywhere else.

    Raises:
        ValueError: it is no size, or a side is out of range.
    """
    text = str(given) if isinstance(given, int | str) and not isinstance(given, bool) else ""
    if not (found := re.fullmatch(r"([0-9]{1,6})(?:[xX×]([0-9]{1,6}))?", text.strip())):
        raise ValueError("must be a number of pixels, as 64, or WIDTHxHEIGHT, as 64x48")
    width, height = int(found[1]), int(found[2] or found[1])
    if not all(_LEAST <= side <= _MOST for side in (width, height)):
        raise ValueError(f"{_LEAST} to {_MOST}" if width == height else f"each side {_LEAST} to {_MOST}")
    return written(height, width)
