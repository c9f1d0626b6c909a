"""Resize grey images to the size that a network takes."""

import numpy as np
from PIL import Image

_MOST_PADDING = 4


def resize_grey(images: np.ndarray, size: int) -> np.ndarray:
    """Grey images with size × size pixels.

    If at most four pixels are missing, the images are padded with black, which leaves every pixel as it is (28 to 32,
    as in LeNet). For any other size they are resampled.

    Args:
        images: uint8 [N, H, W], H = W.
        size: pixels.

    Returns:
        uint8 [N, size, size].
    """
    missing = size - images.shape[1]
    if 0 <= missing <= _MOST_PADDING:
        padding = (missing // 2, missing - missing // 2)
        return np.pad(images, ((0, 0), padding, padding))
    resized = np.empty((len(images), size, size), np.uint8)
    for source, target in zip(images, resized, strict=True):
        target[:] = np.asarray(Image.fromarray(source).resize((size, size), Image.Resampling.BICUBIC))
    return resized
