"""Residual networks without norms: a generator after R3GAN (Huang et al. 2024, section 3), and a discriminator as
StyleGAN2 has it (Karras et al. 2020, section 4.1), both in a small form.

The generator differs from R3GAN's in this: the 3×3 convolutions are dense, not grouped, and as wide as the sum that
they add to; there is one block at each size instead of two; up-sampling takes the nearest neighbour instead of a
bilinear filter; the first map is a linear function of the latents, not a learned map whose channels they scale; tanh
bounds the image.
"""

import math
from itertools import pairwise

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.backend.kernels import flatten
from paddle_gan.config.sizes import ImageSize
from paddle_gan.networks.blocks import ConvBN, he
from paddle_gan.networks.discriminators import project
from paddle_gan.networks.generators import TANH_RANGE, with_labels
from paddle_gan.networks.layers import Conv2D, Embedding, Linear, minibatch_deviation
from paddle_gan.networks.norms import Norm
from paddle_gan.networks.sizes import cropped, doubled, doublings

_ROOT_HALF = 0.5**0.5


# Standard deviation of the image before tanh at the start, in proportion to that of the last map.
_IMAGE_GAIN = 0.3


class BottleneckBlock(nn.Layer):
    """x plus convolutions of 1×1, 3×3 and 1×1, with leaky ReLUs between them: [N, C, H, W] to the same shape.

    It is initialised so that it starts as the identity and that a stack of blocks changes at the same rate whatever its
    length (fix-up, Zhang et al. 2019): the last weights are 0, the others are scaled by blocks^(−1/4).

    Args:
        channels: C.
        blocks: number of blocks in the network.
    """

    def __init__(self, channels: int, blocks: int):
        super().__init__()
        self.first = ConvBN(channels, channels, 1, norm=None)
        self.second = ConvBN(channels, channels, 3, padding=1, norm=None)
        self.last = Conv2D(channels, channels, 1, bias_attr=False)
        self.blocks = blocks

    def initialise(self) -> None:
        he(self)
        nn.initializer.Constant(0.0)(self.last.weight)
        with paddle.no_grad():
            for unit in (self.first, self.second):
                unit.conv.weight.scale_(self.blocks**-0.25)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(self.second(self.first(x)))


class ResidualGenerator(nn.Layer):
    """A linear map to a small map, then at each size a block, with a 1×1 convolution and up-sampling between sizes.

    It is called as any generator, see `generators`.

    Args:
        image_size, channels, latent_dim, classes: as of any generator.
        width: channels at the full size; half the size has twice as many, up to eight times as many.
    """

    value_range = TANH_RANGE

    def __init__(self, image_size: ImageSize, channels: int, latent_dim: int = 64, width: int = 16, classes: int = 0):
        super().__init__()
        self.latent_dim, self.classes, self.image_size = latent_dim, classes, image_size
        small, stages = doublings(image_size)
        widths = [width * 2 ** min(stages - i, 3) for i in range(stages + 1)]
        self.shape = [-1, widths[0], *small]
        self.project = nn.Linear(latent_dim + classes, widths[0] * math.prod(small))
        self.blocks = nn.LayerList([BottleneckBlock(count, len(widths)) for count in widths])
        self.transitions = nn.LayerList(
            [Conv2D(before, after, 1, bias_attr=False) for before, after in pairwise(widths)]
        )
        self.to_image = Conv2D(widths[-1], channels, 1)
        self._initialise()

    def _initialise(self) -> None:
        """Every map starts with the variance of the latents."""
        for block in self.blocks:
            block.initialise()
        linear = [(self.project.weight, self.project.weight.shape[0], 1.0)]
        linear += [(layer.weight, layer.weight.shape[1], 1.0) for layer in self.transitions]
        linear.append((self.to_image.weight, self.to_image.weight.shape[1], _IMAGE_GAIN))
        for weight, inputs, gain in linear:
            nn.initializer.Normal(0.0, gain * inputs**-0.5)(weight)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.blocks[0](self.project(with_labels(latents, labels, self.classes)).reshape(self.shape))
        for i, transition in enumerate(self.transitions, 1):  # an export cannot follow zip(..., strict=True)
            x = self.blocks[i](doubled(transition(x)))  # up-sampling after the 1x1 convolution is the same for less
        return F.tanh(cropped(self.to_image(x), self.image_size))


class ResidualBlock(nn.Layer):
    """Two convolutions, the second of stride 2, beside an average of 2×2 pixels and a map of its channels."""

    def __init__(self, inputs: int, outputs: int, norm: Norm | None):
        super().__init__()
        self.first = ConvBN(inputs, inputs, 3, padding=1, norm=norm)
        self.second = ConvBN(inputs, outputs, 3, 2, padding=1, norm=norm)
        self.skip = Conv2D(inputs, outputs, 1, bias_attr=False)

    def forward(self, x: Tensor) -> Tensor:
        # In ceil mode also maps of odd size become as large as those of the convolution of stride 2.
        skipped = self.skip(F.avg_pool2d(x, 2, stride=2, ceil_mode=True))
        return (self.second(self.first(x)) + skipped) * _ROOT_HALF


class ResidualDiscriminator(nn.Layer):
    """Residual blocks down to a map of 4×4 to 8×8, a convolution, two linear maps.

    Labels enter by projection, as in `discriminators.StridedDiscriminator`, of the last hidden layer.

    Args:
        image_size, channels: of the images.
        width: channels at the full size; half the size has twice as many, up to eight times as many.
        classes: number of labels; 0 for an unconditional discriminator.
        norm: of the convolutions; none by default.
        minibatch_deviation: whether it sees how much samples differ, see `layers.minibatch_deviation`.
    """

    def __init__(
        self,
        image_size: ImageSize,
        channels: int,
        width: int = 16,
        classes: int = 0,
        norm: Norm | None = None,
        minibatch_deviation: bool = True,
    ):
        super().__init__()
        self.samples_apart = not minibatch_deviation
        small, halvings = doublings(image_size)
        widths = [width * 2 ** min(i, 3) for i in range(halvings + 1)]
        self.from_image = ConvBN(channels, widths[0], 1, norm=None)
        self.blocks = nn.Sequential(*(ResidualBlock(before, after, norm) for before, after in pairwise(widths)))
        self.last = ConvBN(widths[-1], widths[-1], 3, padding=1, norm=norm)
        self.hidden = Linear(widths[-1] * math.prod(small), widths[-1])
        self.head = Linear(widths[-1], 1)
        self.class_weights = Embedding(classes, widths[-1]) if classes else None
        self.deviation_weight = (
            self.create_parameter([widths[-1]], default_initializer=nn.initializer.Constant(0.0))
            if minibatch_deviation
            else None
        )
        he(self)

    @property
    def first_blocks(self) -> list[list[nn.Layer]]:
        first, *others = self.blocks
        return [[self.from_image, first], *([block] for block in others)]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = flatten(self.last(self.blocks(self.from_image(images))))
        hidden = self.hidden(features)
        if self.deviation_weight is not None:
            hidden = hidden + minibatch_deviation(features).unsqueeze(1) * self.deviation_weight
        hidden = F.leaky_relu(hidden, 0.2)
        return project(self.head(hidden), hidden, self.class_weights, labels)
