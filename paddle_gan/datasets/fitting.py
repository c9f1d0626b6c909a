"""A picture in the form of the networks: the range of its values, the colours, the size.

Resampling is bicubic. For a smaller size its kernel is as wide as a pixel of the result, so fine patterns do not alias.
"""

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageOps

from paddle_gan.datasets.decode import Picture, over_white
from paddle_gan.datasets.depth import Range, kind_of
from paddle_gan.datasets.unreadable import unreadable

# Height and width in pixels.
Sides = tuple[int, int]
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_BICUBIC = Image.Resampling.BICUBIC
# Transparent in images with alpha, so that both look the same on a white page.
_BORDER = {1: 255, 3: (255, 255, 255), 4: (255, 255, 255, 0)}


def _crop(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return ImageOps.fit(image, size, _BICUBIC)


def _pad(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    inner = ImageOps.contain(image, size, _BICUBIC)
    whole = Image.new(image.mode, size, _BORDER[len(image.getbands())])
    whole.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
    return whole


def _stretch(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, _BICUBIC)


# How an image of other proportions comes to (width, height): cut at its edges, with white edges, or distorted.
FITS: dict[str, Callable[[Image.Image, tuple[int, int]], Image.Image]] = {
    "crop": _crop,
    "pad": _pad,
    "stretch": _stretch,
}


def to_pixels(picture: Picture, size: Sides, channels: int, fit: str, ranges: Mapping[str, Range]) -> np.ndarray:
    """A picture as a network sees it.

    Args:
        picture: as it was read.
        size: height and width.
        channels: 1 (grey), 3 (RGB) or 4 (RGB and alpha, not premultiplied). Without alpha, transparent pixels are
            blended with white. With alpha, pixels that are fully transparent are white below it.
        fit: a key of FITS.
        ranges: of the values of deep pictures, by `depth.kind_of`.

    Returns:
        uint8 [C, H, W].

    Raises:
        Unreadable: Pillow cannot convert it.
    """
    height, width = size
    with unreadable():
        image = picture.image if picture.image is not None else eight_bits(picture, ranges)
        image = (image if channels == 4 else over_white(image)).convert(_MODES[channels])
        image = FITS[fit](image, (width, height))
    pixels = np.asarray(image).reshape(height, width, channels)
    if channels == 4:
        pixels = np.where(pixels[..., 3:] == 0, np.array(_BORDER[4], np.uint8), pixels)
    return pixels.transpose(2, 0, 1)


def eight_bits(picture: Picture, ranges: Mapping[str, Range]) -> Image.Image:
    """A deep picture with 8 bits a channel: black and white of the set become 0 and 255, other values are clipped."""
    assert picture.deep is not None, "only a deep picture comes here"
    black, white = ranges[kind_of(picture.deep)]
    # Differences of integers of 32 bits need more digits than float32 has.
    values = picture.deep.astype(np.float32 if picture.deep.itemsize <= 2 else np.float64)
    image = Image.fromarray(((values - black) * (255 / (white - black))).clip(0, 255).round().astype(np.uint8))
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    return image
