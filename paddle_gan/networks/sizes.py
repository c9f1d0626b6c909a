"""Image sizes as small sizes doubled, which is how the convolutional networks are built."""

from paddle_gan.config.names import IMAGE_SIZES


def doublings(image_size: int) -> tuple[int, int]:
    """The small size that `image_size` is doubled from, and how often: 28 = 7·2², 64 = 8·2³."""
    size, count = image_size, 0
    while size > 8:
        size, count = size // 2, count + 1
    if size << count != image_size or size < 4:
        raise ValueError(f"image size {image_size} is not a small size doubled; use one of {IMAGE_SIZES}")
    return size, count
