"""A residual discriminator without norms, as StyleGAN2 has it (Karras et al. 2020, section 4.1), in a small form."""

import math
from itertools import pairwise

import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.backend.kernels import flatten
from paddle_gan.config.sizes import ImageSize
from paddle_gan.networks.blocks import ConvBN, he
from paddle_gan.networks.discriminators import project
from paddle_gan.networks.layers import Conv2D, Linear, Norm, minibatch_deviation
from paddle_gan.networks.sizes import doublings

_ROOT_HALF = 0.5**0.5


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
        self.class_weights = nn.Embedding(classes, widths[-1]) if classes else None
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
