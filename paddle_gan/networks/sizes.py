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
    start = (images.shape[2] - image_size) // 2
    if start == 0 and images.shape[2] == image_size:
        return images
    return images[:, :, start : start + image_size, start : start + image_size]
