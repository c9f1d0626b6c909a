"""Image sizes as small sizes doubled, which is how the convolutional networks are built."""

from paddle import Tensor


def doublings(image_size: int) -> tuple[int, int]:
    """The small size, 4 to 8, that is doubled to `image_size` or just above it, and how often.

    28 = 7·2², 64 = 8·2³; 100 lies below 112 = 7·2⁴.
    """
    size, count = image_size, 0
    while size > 8:
        size, count = -(-size // 2), count + 1
    return size, count


def cropped(images: Tensor, image_size: int) -> Tensor:
    """The middle of images [N, C, H, W] with H = W >= image_size: [N, C, image_size, image_size]."""
    if images.shape[2] == image_size:
        return images
    start = (images.shape[2] - image_size) // 2
    return images[:, :, start : start + image_size, start : start + image_size]


def doubled(x: Tensor) -> Tensor:
    """Nearest-neighbour up-sampling by 2, by repeating pixels: [N, C, H, W] to [N, C, 2H, 2W].

    The operation of Paddle 3.3 has an attribute that its oneDNN instructions do not accept in an exported program.
    """
    _, channels, height, width = x.shape
    repeated = x.reshape([-1, channels, height, 1, width, 1]).expand([-1, -1, -1, 2, -1, 2])
    return repeated.reshape([-1, channels, 2 * height, 2 * width])
