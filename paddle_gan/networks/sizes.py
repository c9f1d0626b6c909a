"""Image sizes as small sizes doubled, which is how the convolutional networks are built."""

from paddle import Tensor

from paddle_gan.config.sizes import ImageSize, Sides, sides


def doublings(image_size: ImageSize) -> tuple[Sides, int]:
    """The small sides that are doubled to `image_size` or just above it, and how often; the longer one is 5 to 8, or 4.

    28 = 7·2², 64 = 8·2³; 100 lies below 112 = 7·2⁴. For "64x48" they are 6 and 8, doubled three times.
    """
    small, count = sides(image_size), 0
    while max(small) > 8:
        small, count = Sides(*(-(-side // 2) for side in small)), count + 1
    return small, count


def cropped(images: Tensor, image_size: ImageSize) -> Tensor:
    """The middle of images [N, C, H, W] that are as large as `image_size` or larger."""
    height, width = sides(image_size)
    if images.shape[2:] == [height, width]:
        return images
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]


def doubled(x: Tensor) -> Tensor:
    """Nearest-neighbour up-sampling by 2, by repeating pixels: [N, C, H, W] to [N, C, 2H, 2W].

    The operation of Paddle 3.3 has an attribute that its oneDNN instructions do not accept in an exported program.
    """
    _, channels, height, width = x.shape
    repeated = x.reshape([-1, channels, height, 1, width, 1]).expand([-1, -1, -1, 2, -1, 2])
    return repeated.reshape([-1, channels, 2 * height, 2 * width])
