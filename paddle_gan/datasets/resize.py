"""Images of another size: grey ones for the networks, and means of blocks for comparisons of coarse shapes."""

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


def block_means(images: np.ndarray, most: int) -> np.ndarray:
    """Images as the means of square blocks of pixels, so few that at most `most` lie side by side.

    Args:
        images: uint8 [N, H, W, C] with H = W.
        most: blocks in a row. At the right and at the bottom, blocks that are not full are filled up with black.

    Returns:
        float32 [N, F], one value for each block and channel, in [0, 1].
    """
    count, size, _, channels = images.shape
    block = -(-size // most)
    edge = -size % block
    padded = np.pad(images, ((0, 0), (0, edge), (0, edge), (0, 0))) if edge else images
    blocks = padded.reshape(count, (size + edge) // block, block, (size + edge) // block, block, channels)
    return (blocks.mean(axis=(2, 4), dtype=np.float32) / 255).reshape(count, -1)
