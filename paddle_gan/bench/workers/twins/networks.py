"""The generators of images from noise and their discriminators, as in `paddle_gan.networks`.

`c` are the filled-in options of a training run.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn


def sides(image_size: int | str) -> tuple[int, int]:
    """Height and width of 64 or of "WIDTHxHEIGHT"."""
    width, _, height = str(image_size).partition("x")
    return int(height or width), int(width)


def doublings(image_size: int | str) -> tuple[tuple[int, int], int]:
    """The small sides from which those of `image_size`, or ones above, are reached by doubling, and how often."""
    (height, width), count = sides(image_size), 0
    while max(height, width) > 8:
        height, width, count = -(-height // 2), -(-width // 2), count + 1
    return (height, width), count


class Crop(nn.Module):
    """The middle of an image."""

    def __init__(self, image_size: int | str):
        super().__init__()
        self.height, self.width = sides(image_size)

    def forward(self, x: Tensor) -> Tensor:
        top, left = (x.shape[2] - self.height) // 2, (x.shape[3] - self.width) // 2
        return x[:, :, top : top + self.height, left : left + self.width]


def unit(convolution: nn.Module, norm: bool, activation: nn.Module) -> list[nn.Module]:
    """Convolution, norm if wanted, activation."""
    return [convolution, nn.BatchNorm2d(convolution.out_channels), activation] if norm else [convolution, activation]


def leaky_relu() -> nn.Module:
    return nn.LeakyReLU(0.2, inplace=True)


def relu() -> nn.Module:
    return nn.ReLU(inplace=True)


def pixel_shuffle_stage(before: int, after: int, last: bool) -> list[nn.Module]:
    if last:
        return [nn.ConvTranspose2d(before, after, 6, 2, padding=2)]
    return [*unit(nn.Conv2d(before, 4 * after, 3, padding=1, bias=False), True, relu()), nn.PixelShuffle(2)]


def upsample_stage(before: int, after: int, last: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=last)
    return [nn.Upsample(scale_factor=2)] + ([convolution] if last else unit(convolution, True, relu()))


def transposed_stage(before: int, after: int, last: bool) -> list[nn.Module]:
    convolution = nn.ConvTranspose2d(before, after, 5, 2, padding=2, output_padding=1, bias=last)
    return [convolution] if last else unit(convolution, True, relu())


def upsampling_generator(stage: Callable[[int, int, bool], list[nn.Module]], c: dict[str, Any]) -> nn.Module:
    (height, width), stages = doublings(c["image_size"])
    widths = [c["width"] * 2 ** min(stages - 1 - i, 3) for i in range(stages)]
    return nn.Sequential(
        nn.Linear(c["latent_dim"], widths[0] * height * width, bias=False),
        nn.Unflatten(1, (widths[0], height, width)),
        nn.BatchNorm2d(widths[0]),
        relu(),
        *(layer for before, after in pairwise(widths) for layer in stage(before, after, False)),
        *stage(widths[-1], c["channels"], True),
        *([] if (height << stages, width << stages) == sides(c["image_size"]) else [Crop(c["image_size"])]),
        nn.Tanh(),
    )


def tutorial_generator(c: dict[str, Any]) -> nn.Module:
    width = c["width"]
    return nn.Sequential(
        nn.Unflatten(1, (1, 10, 10)),
        *unit(nn.Conv2d(1, width, 5, padding="same", bias=False), True, leaky_relu()),
        *unit(nn.Conv2d(width, width * 16, 3, bias=False), True, leaky_relu()),
        nn.PixelShuffle(4),
        *unit(nn.Conv2d(width, width, 5, padding="same", bias=False), True, leaky_relu()),
        nn.Conv2d(width, c["channels"], 5, padding="same"),
        nn.Sigmoid(),
    )


class MLP(nn.Module):
    """Linear maps of the given widths, with the activation after the hidden ones and BatchNorm in the last `norms`."""

    def __init__(
        self, widths: list[int], norms: int, activation: Callable[[], nn.Module], output: Callable, shape: tuple
    ):
        super().__init__()
        self.hidden = nn.ModuleList([nn.Linear(before, after) for before, after in pairwise(widths[:-1])])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width, momentum=0.2) for width in widths[-1 - norms : -1]])
        self.last = nn.Linear(widths[-2], widths[-1])
        self.activation, self.output, self.shape = activation(), output, shape

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        unnormed = len(self.hidden) - len(self.norms)
        for i, linear in enumerate(self.hidden):
            x = linear(x)
            x = self.activation(self.norms[i - unnormed](x) if i >= unnormed else x)
        return self.output(self.last(x)).reshape(self.shape)


def mlp_generator(growth: tuple[int, ...], norms: int, activation: Callable, output: Callable, c: dict) -> nn.Module:
    shape = (-1, c["channels"], *sides(c["image_size"]))
    pixels = c["channels"] * math.prod(sides(c["image_size"]))
    widths = [c["latent_dim"], *(c["width"] * factor for factor in growth), pixels]
    return MLP(widths, norms, activation, output, shape)


def mlp_discriminator(shrink: tuple[int, ...], activation: Callable, c: dict[str, Any]) -> nn.Module:
    hidden = [max(1, c["discriminator_width"] // factor) for factor in shrink]
    widths = [c["channels"] * math.prod(sides(c["image_size"])), *hidden, 1]
    return MLP(widths, len(hidden) if c["discriminator_norm"] == "batch" else 0, activation, nn.Identity(), (-1,))


def strided_discriminator(c: dict[str, Any]) -> nn.Module:
    (height, width), halvings = doublings(c["image_size"])
    widths = [c["discriminator_width"] * 2 ** min(i, 3) for i in range(halvings + 1)]
    norm = c["discriminator_norm"] == "batch"
    return nn.Sequential(
        *unit(nn.Conv2d(c["channels"], widths[0], 3, 2, padding=1, bias=False), False, leaky_relu()),
        *(
            layer
            for before, after in pairwise(widths)
            for layer in unit(nn.Conv2d(before, after, 3, 2, padding=1, bias=not norm), norm, leaky_relu())
        ),
        nn.Flatten(),
        nn.Linear(widths[-1] * ((height + 1) // 2) * ((width + 1) // 2), 1),
        nn.Flatten(0),
    )


def tutorial_discriminator(c: dict[str, Any]) -> nn.Module:
    width, norm = c["discriminator_width"], c["discriminator_norm"] == "batch"
    widths = [c["channels"], width, width * 2, width * 2]
    return nn.Sequential(
        *(
            layer
            for before, after in pairwise(widths)
            for layer in unit(nn.Conv2d(before, after, 5, 2, bias=not norm), norm, leaky_relu())
        ),
        nn.Conv2d(widths[-1], 1, 1),
        nn.Flatten(0),
    )


GENERATORS: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "pixelshuffle": partial(upsampling_generator, pixel_shuffle_stage),
    "upsample": partial(upsampling_generator, upsample_stage),
    "dcgan": partial(upsampling_generator, transposed_stage),
    "tutorial": tutorial_generator,
    "mlp": partial(mlp_generator, (1, 2, 4, 8), 3, leaky_relu, torch.tanh),
    "mlp-plain": partial(mlp_generator, (1, 2, 4), 0, leaky_relu, torch.tanh),
    "mlp-shallow": partial(mlp_generator, (1,), 0, relu, torch.sigmoid),
}
DISCRIMINATORS: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "strided": strided_discriminator,
    "tutorial": tutorial_discriminator,
    "mlp": partial(mlp_discriminator, (1, 2), leaky_relu),
    "mlp-shallow": partial(mlp_discriminator, (1,), relu),
}
SIGMOID = ("tutorial", "mlp-shallow")  # generators of images in [0, 1]; the others' are in [-1, 1]
