"""The networks of images from noise by name, as in `paddle_gan.networks`."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from .discriminators import mlp_discriminator, strided_discriminator, tutorial_discriminator
from .generators import (
    mlp_generator,
    pixel_shuffle_stage,
    transposed_stage,
    tutorial_generator,
    upsample_stage,
    upsampling_generator,
)
from .layers import leaky_relu, relu
from .residual import ResidualDiscriminator, ResidualGenerator
from .style import StyleGenerator

GENERATORS: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "pixelshuffle": partial(upsampling_generator, pixel_shuffle_stage),
    "upsample": partial(upsampling_generator, upsample_stage),
    "dcgan": partial(upsampling_generator, transposed_stage),
    "residual": ResidualGenerator,
    "style": StyleGenerator,
    "tutorial": tutorial_generator,
    "mlp": partial(mlp_generator, (1, 2, 4, 8), 3, leaky_relu, nn.Tanh),
    "mlp-plain": partial(mlp_generator, (1, 2, 4), 0, leaky_relu, nn.Tanh),
    "mlp-shallow": partial(mlp_generator, (1,), 0, relu, nn.Sigmoid),
}
DISCRIMINATORS: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "strided": strided_discriminator,
    "residual": ResidualDiscriminator,
    "tutorial": tutorial_discriminator,
    "mlp": partial(mlp_discriminator, (1, 2), leaky_relu),
    "mlp-shallow": partial(mlp_discriminator, (1,), relu),
}
SIGMOID = ("tutorial", "mlp-shallow")  # generators of images in [0, 1]; the others' are in [-1, 1]
