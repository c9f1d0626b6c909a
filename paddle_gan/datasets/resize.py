"""Bringing images to the size of a network."""

import numpy as np
from PIL import Image


def resize_grey(images: np.ndarray, size: int) -> np.ndarray:
    """Grey images brought to size × size.

    Up to four pixels more are added as a black frame, which leaves every pixel as it is (28 to 32, as
    LeNet does); anything else is resampled.

    Args:
        images: uint8 [N, H, W], H = W.
        size: pixels.

    Returns:
        uint8 [N, size, size].
    """
    more = size - images.shape[1]
    if 0 <= more <= 4:
        frame = (more // 2, more - more // 2)
        return np.pad(images, ((0, 0), frame, frame))
    resized = np.empty((len(images), size, size), np.uint8)
    for source, target in zip(images, resized):
        target[:] = Image.fromarray(source).resize((size, size), Image.Resampling.BICUBIC)
    return resized
