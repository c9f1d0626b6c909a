"""Generators that restore images: larger ones from reduced ones, and holes filled. They begin at an interpolation.

They are called as those of `translation`, and work on any size as these.
"""

import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.backend.kernels import reflected
from paddle_gan.datasets.bicubic import enlarged
from paddle_gan.networks.blocks import he
from paddle_gan.networks.filling import smooth_fill
from paddle_gan.networks.layers import Conv2D, PixelShuffle
from paddle_gan.networks.translation import ResidualBlock, ResidualGenerator, UNetGenerator

# Iterations of the smooth fill at each size.
_SWEEPS = 2


class SubpixelGenerator(nn.Layer):
    """Enlarges images: residual blocks at the small size, whose channels become pixels at the end (Shi et al. 2016).

    What it makes is added to the bicubic enlargement. The last convolution begins at zero, so at the start the output
    is that enlargement. There is no norm: it would remove the contrast that has to be kept (Lim et al. 2017, EDSR).

    Args:
        scale: how many times larger the outputs are.
        channels: of the images.
        width: channels of all maps.
        blocks: residual blocks.

    Attributes:
        enlarged: bicubic enlargement: `bicubic.enlarged`, or a function that does the same.
    """

    value_range = (-1.0, 1.0)
    multiple = 1

    def __init__(self, scale: int, channels: int = 3, width: int = 64, blocks: int = 6):
        super().__init__()
        self.scale, self.enlarged = scale, enlarged
        self.first = Conv2D(channels, width, 3)
        self.blocks = nn.LayerList([ResidualBlock(width, None) for _ in range(blocks)])
        self.last = Conv2D(width, channels * scale**2, 3)
        self.shuffle = PixelShuffle(scale)
        he(self)
        for block in self.blocks:  # so that the values do not grow from block to block
            block.second.conv.weight.set_value(block.second.conv.weight / blocks**0.5)
        self.last.weight.set_value(paddle.zeros_like(self.last.weight))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, channels, H, W] to [N, channels, scale · H, scale · W], H and W at least 2; not clipped."""
        x = self.first(reflected(images, 1))
        for block in self.blocks:
            x = block(x)
        return self.shuffle(self.last(reflected(x, 1))) + self.enlarged(images, self.scale)


class FillingGenerator(nn.Layer):
    """Fills holes: known pixels stay, and what a generator makes in the hole is moved so that it meets them.

    The difference of the known pixels to what the generator makes is continued smoothly into the hole and added there
    (the membrane of Pérez et al. 2003, Poisson image editing), so no border is seen. The last convolution of the
    generator begins at zero, so at the start the output is the smooth fill of the known pixels.

    Args:
        fill: makes colours [N, 3, H, W] of images with a hole and the hole, [N, 4, H, W], see `holes.with_holes`.

    Attributes:
        smooth: continues values smoothly into the hole: `smooth_fill`, or a function that does the same.
    """

    def __init__(self, fill: UNetGenerator | ResidualGenerator):
        super().__init__()
        self.fill = fill
        last = fill.last.conv if isinstance(fill, UNetGenerator) else fill.last
        last.weight.set_value(paddle.zeros_like(last.weight))
        self.value_range, self.multiple = fill.value_range, fill.multiple
        self.smooth = smooth_fill

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, 4, H, W] to [N, 3, H, W], not clipped."""
        made, colours, known = self.fill(images), images[:, :3], (1 - images[:, 3:]) / 2
        return made + self.smooth(colours - made, known, _SWEEPS)
