"""Generators: latents to images. Sizes, channels and widths are arguments, never part of a class name.

Every generator is called as `generator(latents, labels=None)` with latents float32 [N, latent_dim] and
labels where it was made with `classes > 0`: int64 [N], or shares of the classes, float32 [N, classes].
It returns [N, channels, *sides(image_size)] in `value_range`. Labels enter as one-hot values beside
the latents (Mirza and Osindero 2014).
"""

import math
from functools import partial
from itertools import pairwise

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.config.sizes import ImageSize, Sides, sides
from paddle_gan.networks.activations import leaky_relu, relu
from paddle_gan.networks.blocks import ConvBN
from paddle_gan.networks.layers import Conv2D, Conv2DTranspose, PixelShuffle
from paddle_gan.networks.norms import BatchNorm
from paddle_gan.networks.sizes import cropped, doublings

TANH_RANGE = (-1.0, 1.0)
SIGMOID_RANGE = (0.0, 1.0)


def with_labels(latents: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    """Latents [N, L], with one-hot labels beside them [N, L + classes] where `classes` > 0."""
    return paddle.concat([latents, one_hot(labels, classes)], axis=1) if classes else latents


def one_hot(labels: Tensor | None, classes: int) -> Tensor:
    """Labels int64 [N] as float32 [N, classes]; shares of the classes, [N, classes] already, stay as they are."""
    assert labels is not None, "a generator that was made with classes needs labels"
    return labels if labels.ndim == 2 else F.one_hot(labels, classes)


class Projection(nn.Layer):
    """Latents [N, latents] to the first feature map [N, channels, height, width]: a linear map, norm, ReLU.

    This is the only layer of a convolutional generator in which every noise value reaches every pixel.
    """

    def __init__(self, latents: int, channels: int, map_sides: Sides):
        super().__init__()
        self.shape = [-1, channels, *map_sides]
        self.linear = nn.Linear(latents, channels * math.prod(map_sides), bias_attr=False)
        self.norm = BatchNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.linear(x).reshape(self.shape), relu)


class UpsamplingGenerator(nn.Layer):
    """A projection of the latents, then stages that each double the size; the last stage makes the image.

    An image whose size is no small size doubled is the middle of a larger one.

    Args:
        stage: (in_channels, out_channels, last) -> the layer that doubles the size.
        image_size, channels, latent_dim, classes: see the module.
        width: channels of the last feature map before the image. A map of half the size has twice as many, up to
            eight times as many.
    """

    value_range = TANH_RANGE

    def __init__(
        self,
        stage,
        image_size: ImageSize,
        channels: int,
        latent_dim: int = 64,
        width: int = 32,
        classes: int = 0,
    ):
        super().__init__()
        self.latent_dim, self.classes, self.image_size = latent_dim, classes, image_size
        small, stages = doublings(image_size)
        widths = [width * 2 ** min(stages - 1 - i, 3) for i in range(stages)]
        self.project = Projection(latent_dim + classes, widths[0], small)
        self.stages = nn.Sequential(
            *(stage(before, after, False) for before, after in pairwise(widths)),
            stage(widths[-1], channels, True),
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images = self.stages(self.project(with_labels(latents, labels, self.classes)))
        return F.tanh(cropped(images, self.image_size))


def pixel_shuffle_stage(in_channels: int, out_channels: int, last: bool) -> nn.Layer:
    """Sub-pixel convolution: 3×3 to four times the channels at the small size, then PixelShuffle (Shi et al. 2016).

    The last stage is written as a transposed convolution of 6×6, stride 2 and padding 2, which computes the same, tap
    for tap. For one or three output channels this is several times faster on a CPU.
    """
    if last:
        return _unit(last)(in_channels, out_channels, 6, 2, padding=2, convolution=Conv2DTranspose)
    return nn.Sequential(_unit(last)(in_channels, 4 * out_channels, 3, padding=1), PixelShuffle(2))


def upsample_stage(in_channels: int, out_channels: int, last: bool) -> nn.Layer:
    """Nearest-neighbour upsampling by 2, then a convolution: it draws no checkerboard (Odena et al. 2016)."""
    return nn.Sequential(nn.Upsample(scale_factor=2), _unit(last)(in_channels, out_channels, 3, padding=1))


def transposed_stage(in_channels: int, out_channels: int, last: bool) -> nn.Layer:
    """DCGAN's transposed convolution, 5×5 of stride 2.

    Neighbouring outputs depend on unequal numbers of inputs. This causes the checkerboard (Odena et al. 2016).
    """
    convolution = partial(Conv2DTranspose, output_padding=1)
    return _unit(last)(in_channels, out_channels, 5, 2, padding=2, convolution=convolution)


def _unit(last: bool) -> partial:
    """ConvBN with ReLU, or the bare convolution for the image itself (Radford et al. 2016, section 3)."""
    return partial(ConvBN, norm=None, activation=None) if last else partial(ConvBN, activation=relu)


class TutorialGenerator(nn.Layer):
    """The tutorial's generator: 100 noise values as a 10×10 image, four convolutions, one PixelShuffle of 4.

    Its parameters have the tutorial's names and, at width 128 and one channel, the tutorial's shapes. It makes 32×32
    images in [0, 1]. All its convolutions are local, so distant parts of an image are drawn independently of each
    other. Labels enter as constant one-hot maps beside the noise image.
    """

    value_range = SIGMOID_RANGE
    latent_dim = 100
    image_size = 32

    def __init__(self, channels: int, width: int = 128, classes: int = 0):
        super().__init__()
        self.classes = classes
        self.model = nn.Sequential(
            ConvBN(1 + classes, width, 5, 1, padding="same"),
            ConvBN(width, width * 16, 3, 1),
            PixelShuffle(4),
            ConvBN(width, width, 5, 1, padding="same"),
            Conv2D(width, channels, 5, 1, padding="same"),
            nn.Sigmoid(),
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = latents.reshape([-1, 1, 10, 10])
        if self.classes:
            maps = one_hot(labels, self.classes).reshape([-1, self.classes, 1, 1]).expand([-1, -1, 10, 10])
            x = paddle.concat([x, maps], axis=1)
        return self.model(x)


class MLPGenerator(nn.Layer):
    """Linear maps only.

    Args:
        image_size, channels, latent_dim, classes: see the module.
        width: of the first hidden layer.
        growth: widths of the hidden layers, in multiples of `width`.
        norm: makes the norm of every hidden layer but the first, or None.
        activation: of the hidden layers.
        output: applied last.
        value_range: of what `output` gives.
    """

    def __init__(
        self,
        image_size: ImageSize,
        channels: int,
        latent_dim: int = 100,
        width: int = 128,
        classes: int = 0,
        growth: tuple[int, ...] = (1,),
        norm=None,
        activation=leaky_relu,
        output=F.tanh,
        value_range: tuple[float, float] = TANH_RANGE,
    ):
        super().__init__()
        self.latent_dim, self.classes = latent_dim, classes
        self.shape = [-1, channels, *sides(image_size)]
        self.value_range = value_range
        self.activation, self.output = activation, output
        widths = [latent_dim + classes, *(width * factor for factor in growth)]
        self.hidden = nn.LayerList([nn.Linear(before, after) for before, after in pairwise(widths)])
        self.norms = nn.LayerList([norm(after) for after in widths[2:]] if norm else [])
        self.last = nn.Linear(widths[-1], channels * math.prod(sides(image_size)))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = with_labels(latents, labels, self.classes)
        for i, linear in enumerate(self.hidden):
            x = linear(x)
            if i and self.norms:
                x = self.norms[i - 1](x)
            x = self.activation(x)
        return self.output(self.last(x)).reshape(self.shape)
