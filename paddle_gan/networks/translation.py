"""Generators from images to images, called as `generator(images)`; fully convolutional, so any size can be translated.

`multiple` is what height and width must be multiples of. Values are in `value_range`. The generators take a second
argument, the labels of other networks here, and do not use it.
"""

from operator import add

import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.backend.kernels import concat, elementwise, forked, reflected
from paddle_gan.networks.activations import leaky_relu, relu
from paddle_gan.networks.blocks import ConvBN, GatedConv, dcgan
from paddle_gan.networks.layers import Conv2D, Conv2DTranspose, Linear
from paddle_gan.networks.norms import InstanceNorm, Norm

_MOST_GROWTH = 8
# Stages of the U-Net with dropout, from the bottom (Isola et al. 2017, section 6.1.1).
_WITH_DROPOUT = 3
# Keeps a norm of 0 from being divided by.
_TINY = 1e-12


class UNetGenerator(nn.Layer):
    """The generator of pix2pix (Isola et al. 2017, section 6.1.1): halved `depth` times, doubled as often, with skips.

    A skip hands the map of each size to the stage that comes back to that size, so fine structure of the input need not
    pass through the bottom. Dropout in the lowest stages is on in training only.

    Args:
        channels: of the inputs.
        out_channels: of the outputs.
        width: channels after the first halving; each next one doubles them, up to eight times as many.
        depth: number of halvings; eight in the paper, for 256 pixels.
        norm: of all stages but the first and the lowest.
        dropout: probability.
        gated: whether the halvings are `GatedConv`, for inputs with holes.
    """

    value_range = (-1.0, 1.0)

    def __init__(
        self,
        channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        depth: int = 8,
        norm: Norm | None = InstanceNorm,
        dropout: float = 0.5,
        gated: bool = False,
    ):
        super().__init__()
        self.multiple = 2**depth
        widths = [width * min(2**i, _MOST_GROWTH) for i in range(depth)]
        halving = GatedConv if gated else ConvBN
        down = [halving(channels, widths[0], 4, 2, padding=1, norm=None)]
        for i in range(1, depth):
            # A map of one pixel would be normalised to nothing.
            own = norm if i < depth - 1 else None
            down.append(halving(widths[i - 1], widths[i], 4, 2, padding=1, norm=own))
        self.down = nn.LayerList(down)
        up = []
        for i in range(depth - 1, 0, -1):
            inputs = widths[i] if i == depth - 1 else 2 * widths[i]
            up.append(ConvBN(inputs, widths[i - 1], 4, 2, 1, norm, relu, convolution=Conv2DTranspose))
        self.up = nn.LayerList(up)
        self.dropout = nn.Dropout(dropout)
        last = widths[0] if depth == 1 else 2 * widths[0]
        self.last = ConvBN(last, out_channels, 4, 2, 1, None, paddle.tanh, convolution=Conv2DTranspose)
        dcgan(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, channels, H, W] to [N, out_channels, H, W], H and W multiples of `multiple`."""
        x, skips = self.down[0](images), []
        for stage in list(self.down)[1:]:
            x, skip = forked(x)
            skips.append(skip)
            x = stage(x)
        for i, stage in enumerate(self.up):
            x = stage(x)
            if i < _WITH_DROPOUT:
                x = elementwise(self.dropout, x)
            x = concat([x, skips.pop()])
        return self.last(x)


class ResidualBlock(nn.Layer):
    """Two 3×3 convolutions beside the identity, with reflected borders (Johnson et al. 2016)."""

    def __init__(self, width: int, norm: Norm | None):
        super().__init__()
        self.first = ConvBN(width, width, 3, norm=norm, activation=relu)
        self.second = ConvBN(width, width, 3, norm=norm, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        x, kept = forked(x)
        return elementwise(add, kept, self.second(reflected(self.first(reflected(x, 1)), 1)))


class ResidualGenerator(nn.Layer):
    """The generator of CycleGAN (Zhu et al. 2017, section 7.1, after Johnson et al. 2016).

    Two halvings, residual blocks at a quarter of the size, two doublings. A doubling is a transposed convolution of 4×4
    instead of 3×3: each pixel is then covered equally often.

    Args:
        channels: of the inputs.
        out_channels: of the outputs.
        width: channels at full size; half the size has twice as many, and a quarter four times as many.
        blocks: residual blocks; the paper has 6 for 128 pixels and 9 from 256 pixels on.
        norm: of all convolutions but the last.
    """

    value_range = (-1.0, 1.0)
    multiple = 4

    def __init__(
        self,
        channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        blocks: int = 9,
        norm: Norm | None = InstanceNorm,
    ):
        super().__init__()
        self.first = ConvBN(channels, width, 7, norm=norm, activation=relu)
        self.down = nn.LayerList([ConvBN(width * 2**i, width * 2 ** (i + 1), 3, 2, 1, norm, relu) for i in range(2)])
        self.blocks = nn.LayerList([ResidualBlock(4 * width, norm) for _ in range(blocks)])
        self.up = nn.LayerList(
            [ConvBN(4 * width // 2**i, 2 * width // 2**i, 4, 2, 1, norm, relu, Conv2DTranspose) for i in range(2)]
        )
        self.last = Conv2D(width, out_channels, 7)
        dcgan(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, channels, H, W] to [N, out_channels, H, W], H and W multiples of 4 and at least 16."""
        x = self._encoded(images)[-1]
        for stage in self.up:
            x = stage(x)
        return paddle.tanh(self.last(reflected(x, 3)))

    def features(self, images: Tensor) -> list[Tensor]:
        """Maps of the first half, by which CUT compares patches (Park et al. 2020, section 4): the image itself, after
        each halving, and after the first and the middle residual block.
        """
        maps = self._encoded(images, blocks=len(self.blocks) // 2 + 1)
        return [images, maps[1], maps[2], maps[3], maps[-1]]

    def _encoded(self, images: Tensor, blocks: int | None = None) -> list[Tensor]:
        """The maps after the first convolution, after each halving, and after each of so many blocks."""
        maps = [self.first(reflected(images, 3))]
        for stage in [*self.down, *list(self.blocks)[:blocks]]:
            maps.append(stage(maps[-1]))
        return maps


class ColourGenerator(nn.Layer):
    """Colours for grey values, which stay as they are: a generator of the two chroma channels of YCbCr (ITU-R BT.601).

    Outputs may lie a little outside of the value range, where a luma and a chroma do not go together.

    Args:
        chroma: a generator from one channel to two.
    """

    def __init__(self, chroma: nn.Layer):
        super().__init__()
        self.chroma = chroma
        self.value_range, self.multiple = chroma.value_range, chroma.multiple

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Luma [N, 1, H, W] to colours [N, 3, H, W] of this luma."""
        chroma = self.chroma(images)
        blue_difference, red_difference = chroma[:, :1], chroma[:, 1:]
        red, blue = images + 1.402 * red_difference, images + 1.772 * blue_difference
        green = images - (0.299 * 1.402 * red_difference + 0.114 * 1.772 * blue_difference) / 0.587
        return paddle.concat([red, green, blue], 1)


def feature_channels(channels: int, width: int) -> tuple[int, ...]:
    """Channels of each map of `ResidualGenerator.features`; arguments as for the generator."""
    return channels, 2 * width, 4 * width, 4 * width, 4 * width


class PatchDiscriminator(nn.Layer):
    """Judges each patch of an image by itself (Isola et al. 2017, section 6.1.2): logits [N, 1, h, w].

    With `depth` 3 a logit sees 70×70 pixels, with 2 it sees 34×34, with 1 it sees 16×16. For pairs the input is stacked
    on the image, channel by channel, which makes it conditional.

    Args:
        channels: of all images that it sees together.
        width: channels of the first map; each halving doubles them, up to eight times as many.
        depth: number of halvings.
        norm: of all convolutions but the first and the last.
    """

    samples_apart = True

    def __init__(self, channels: int, width: int = 64, depth: int = 3, norm: Norm | None = InstanceNorm):
        super().__init__()
        widths = [width * min(2**i, _MOST_GROWTH) for i in range(depth + 1)]
        self.stages = nn.Sequential(
            ConvBN(channels, widths[0], 4, 2, padding=1, norm=None, activation=leaky_relu),
            *(ConvBN(widths[i - 1], widths[i], 4, 2, padding=1, norm=norm) for i in range(1, depth)),
            ConvBN(widths[-2], widths[-1], 4, 1, padding=1, norm=norm),
        )
        self.last = Conv2D(widths[-1], 1, 4, padding=1)
        dcgan(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.last(self.stages(images))


class PatchHeads(nn.Layer):
    """Features of patches, for a contrastive loss: two linear maps for each feature map (Park et al. 2020, section 4).

    Args:
        channels: of each feature map.
        width: of the features.
    """

    def __init__(self, channels: tuple[int, ...], width: int = 256):
        super().__init__()
        self.first = nn.LayerList([Linear(count, width) for count in channels])
        self.second = nn.LayerList([Linear(width, width) for _ in channels])
        dcgan(self)

    def forward(self, maps: list[Tensor], places: list[Tensor]) -> list[Tensor]:
        """Features of norm 1 of the pixels of each map at some places.

        Args:
            maps: each [N, C, h, w].
            places: int64 [P] for each map, from 0 to h · w - 1.

        Returns:
            [N, P, width] for each map.
        """
        features = []
        for first, second, values, chosen in zip(self.first, self.second, maps, places, strict=True):
            pixels = values.transpose([0, 2, 3, 1]).flatten(1, 2)  # without a copy, as the channels are last in memory
            x = second(relu(first(paddle.index_select(pixels, chosen, 1))))
            features.append(x * paddle.rsqrt(x.square().sum(-1, keepdim=True) + _TINY))  # quicker than F.normalize
        return features
