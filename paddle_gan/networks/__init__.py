"""The networks by name. A new one is a class or function of the same arguments, an entry here, and its name in
`config.names`.

Generators are made from (image_size, channels, latent_dim, width, classes), discriminators from
(image_size, channels, width, classes, norm); one that is made for a single image size or latent
takes no such argument and has it as an attribute.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import paddle.nn as nn
import paddle.nn.functional as F

from paddle_gan.networks.discriminators import MLPDiscriminator, StridedDiscriminator, TutorialDiscriminator
from paddle_gan.networks.generators import (
    SIGMOID_RANGE,
    MLPGenerator,
    TutorialGenerator,
    UpsamplingGenerator,
    pixel_shuffle_stage,
    transposed_stage,
    upsample_stage,
)
from paddle_gan.networks.norms import BatchNorm
from paddle_gan.networks.residual import ResidualDiscriminator, ResidualGenerator
from paddle_gan.networks.style import StyleGenerator

GENERATORS: dict[str, Callable[..., nn.Layer]] = {
    "pixelshuffle": partial(UpsamplingGenerator, pixel_shuffle_stage),
    "upsample": partial(UpsamplingGenerator, upsample_stage),
    "dcgan": partial(UpsamplingGenerator, transposed_stage, latent_dim=100),
    "residual": ResidualGenerator,
    "style": StyleGenerator,
    "tutorial": TutorialGenerator,
    # The widths of the WGAN script that most tutorials share. It writes BatchNorm1d(n, 0.8), which sets
    # epsilon; what is meant is the momentum.
    "mlp": partial(MLPGenerator, growth=(1, 2, 4, 8), norm=partial(BatchNorm, momentum=0.8)),
    # The usual first GAN in Keras: no norm.
    "mlp-plain": partial(MLPGenerator, width=256, growth=(1, 2, 4)),
    # The usual first GAN in TensorFlow: one hidden layer of 128, ReLU, images in [0, 1].
    "mlp-shallow": partial(MLPGenerator, activation=F.relu, output=F.sigmoid, value_range=SIGMOID_RANGE),
}

DISCRIMINATORS: dict[str, Callable[..., nn.Layer]] = {
    "strided": StridedDiscriminator,
    "residual": ResidualDiscriminator,
    "tutorial": TutorialDiscriminator,
    # Both of the deeper generators above come with this one.
    "mlp": partial(MLPDiscriminator, shrink=(1, 2)),
    "mlp-shallow": partial(MLPDiscriminator, width=128, activation=F.relu),
}


class Partner(NamedTuple):
    """What goes with a generator unless something else is asked for.

    Attributes:
        discriminator: name of its discriminator.
        init: name of the initialisation that both do best with (measured on MNIST).
    """

    discriminator: str
    init: str


PARTNERS: dict[str, Partner] = {
    "pixelshuffle": Partner("strided", init="dcgan"),
    "upsample": Partner("strided", init="dcgan"),
    "dcgan": Partner("strided", init="dcgan"),
    "residual": Partner("residual", init="paddle"),
    "style": Partner("residual", init="paddle"),
    "tutorial": Partner("tutorial", init="paddle"),
    "mlp": Partner("mlp", init="paddle"),
    "mlp-plain": Partner("mlp", init="paddle"),
    "mlp-shallow": Partner("mlp-shallow", init="paddle"),
}

__all__ = ["DISCRIMINATORS", "GENERATORS", "PARTNERS"]
