"""The values of black and white in images of more than 8 bits a channel, decided once for the whole set.

Such files do not say what white is. A scanner of 12 bits writes 0 to 4095 into files of 16 bits, a CT signed values, a
program floats in [0, 1] or in [0, 255]. So the least and the greatest value of all such files decide. A range of one
file alone would make a dark image as bright as the others.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

# Resampling with overshoot leaves floats a little outside of their range.
_TOLERANCE = 0.05
# Values below this are numbers of classes or a brightness without a unit, not a byte.
_LEAST_OF_A_BYTE = 16
# One file that makes the range so many times as wide is told, if there are more than so many files.
_OUTLIER, _FEWEST_OTHERS = 4, 3


class Range(NamedTuple):
    """The values that become black and white."""

    black: float
    white: float


def kind_of(values: np.ndarray) -> str:
    """Floats and integers of one set have ranges of their own: "float" or "integer"."""
    return "float" if values.dtype.kind == "f" else "integer"


def range_of(kind: str, extremes: Iterable[tuple[float, float]]) -> Range:
    """The range of all files of a kind.

    Integers from 0 have so many bits as the greatest value needs: white is 4095 for 12 bits. They have at least 8,
    unless all values are below 16. Floats are in [0, 1], [-1, 1] or [0, 255], also if they lie up to 5 % outside. Any
    other values go from the least to the greatest.

    Args:
        kind: "float" or "integer".
        extremes: the least and the greatest value of each file.
    """
    pairs = list(extremes)
    low, high = min(low for low, _ in pairs), max(high for _, high in pairs)
    if kind == "integer" and low >= 0:
        bits = int(high).bit_length()
        return Range(0, 2 ** (bits if high < _LEAST_OF_A_BYTE else max(8, bits)) - 1 or 1)
    if kind == "float":
        for white in (1.0, 255.0):
            if -_TOLERANCE * white <= low and high <= (1 + _TOLERANCE) * white:
                if white == 1 or high >= _LEAST_OF_A_BYTE:
                    return Range(0.0, white)
        if -1 - _TOLERANCE <= low and high <= 1 + _TOLERANCE:
            return Range(-1.0, 1.0)
    low = min(low, 0) if low < 0 or low < high / 2 else low
    return Range(low, high if high > low else low + 1)


def outlier(kind: str, extremes: Mapping[str, tuple[float, float]]) -> str:
    """The sentence about one file that alone makes the range of all four times as wide or more; empty if none does.

    Args:
        kind: "float" or "integer".
        extremes: the least and the greatest value of each file, by its name.
    """
    if len(extremes) <= _FEWEST_OTHERS:
        return ""
    chosen = range_of(kind, extremes.values())
    lowest = min(extremes, key=lambda name: extremes[name][0])
    highest = max(extremes, key=lambda name: extremes[name][1])
    for name in (highest, lowest):
        without = range_of(kind, [pair for other, pair in extremes.items() if other != name])
        if chosen.white - chosen.black >= _OUTLIER * (without.white - without.black):
            low, high = extremes[name]
            return (
                f"{name} alone has values from {low:g} to {high:g}; without it {without.black:g} would be black and "
                f"{without.white:g} white, so all other images come out with little contrast"
            )
    return ""


def described(kind: str, count: int, chosen: Range, extremes: list[tuple[float, float]]) -> str:
    """The sentence that tells the user how the values are read."""
    low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
    clipped = "; values beyond that are clipped" if low < chosen.black or high > chosen.white else ""
    return (
        f"{count} images of more than 8 bits hold {'floats' if kind == 'float' else 'integers'} from {low:g} to "
        f"{high:g}: {chosen.black:g} is black and {chosen.white:g} is white{clipped}"
    )
