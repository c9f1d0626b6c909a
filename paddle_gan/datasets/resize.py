"""Images of another size: grey ones for the networks, and means of blocks for comparisons of coarse shapes."""

import numpy as np
from PIL import Image

from paddle_gan.config.sizes import ImageSize, sides

_MOST_PADDING = 4


def resize_grey(images: np.ndarray, size: ImageSize) -> np.ndarray:
    """Grey square images in another size.

    If at most four pixels are missing, the images are padded with black, which leaves every pixel as it is (28 to 32,
    as in LeNet). For any other size they are resampled. In a rectangle they stay squares, as large as the shorter side,
    with black beside them.

    Args:
        images: uint8 [N, H, W], H = W.
        size: in pixels.

    Returns:
        uint8 [N, *sides(size)].
    """
    height, width = sides(size)
    square = min(height, width)
    if not 0 <= square - images.shape[1] <= _MOST_PADDING:
        resized = np.empty((len(images), square, square), np.uint8)
        for source, target in zip(images, resized, strict=True):
            target[:] = np.asarray(Image.fromarray(source).resize((square, square), Image.Resampling.BICUBIC))
        images = resized
    missing = (height - images.shape[1], width - images.shape[2])
    return np.pad(images, ((0, 0), *((pixels // 2, pixels - pixels // 2) for pixels in missing)))


def block_means(images: np.ndarray, most: int) -> np.ndarray:
    """Images as the means of square blocks of pixels, so few that at most `most` lie side by side.

    Args:
        images: uint8 [N, H, W, C].
        most: blocks in a row of the longer side. At the right and at the bottom, blocks that are not full are filled
            up with black.

    Returns:
        float32 [N, F], one value for each block and channel, in [0, 1].
    """
    count, height, width, channels = images.shape
    block = -(-max(height, width) // most)
    bottom, right = -height % block, -width % block
    padded = np.pad(images, ((0, 0), (0, bottom), (0, right), (0, 0))) if bottom or right else images
    blocks = padded.reshape(count, (height + bottom) // block, block, (width + right) // block, block, channels)
    return (blocks.mean(axis=(2, 4), dtype=np.float32) / 255).reshape(count, -1)
