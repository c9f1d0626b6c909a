"""The generators of images from noise, as in `paddle_gan.networks.generators`.

`c` are the filled-in options of a training run, and "classes", the number of labels or 0.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Crop, Hidden, doublings, leaky_relu, relu, sides, unit


class Generator(nn.Module):
    """Images from latents and, with classes, one-hot labels beside them."""

    def __init__(self, classes: int, *layers: nn.Module):
        super().__init__()
        self.classes, self.layers = classes, nn.Sequential(*layers)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(with_labels(latents, labels, self.classes))


def with_labels(latents: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    return torch.cat([latents, F.one_hot(labels, classes).float()], 1) if classes else latents


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
    return Generator(
        c["classes"],
        nn.Linear(c["latent_dim"] + c["classes"], widths[0] * height * width, bias=False),
        nn.Unflatten(1, (widths[0], height, width)),
        nn.BatchNorm2d(widths[0]),
        relu(),
        *(layer for before, after in pairwise(widths) for layer in stage(before, after, False)),
        *stage(widths[-1], c["channels"], True),
        *([] if (height << stages, width << stages) == sides(c["image_size"]) else [Crop(c["image_size"])]),
        nn.Tanh(),
    )


class LabelMaps(nn.Module):
    """Latents with one-hot labels behind them, [N, side² + classes], to maps [N, 1 + classes, side, side]."""

    def __init__(self, side: int):
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        side = self.side
        image, labels = x[:, : side * side].reshape(-1, 1, side, side), x[:, side * side :]
        return torch.cat([image, labels[:, :, None, None].expand(-1, -1, side, side)], 1)


def tutorial_generator(c: dict[str, Any]) -> nn.Module:
    width = c["width"]
    return Generator(
        c["classes"],
        LabelMaps(10) if c["classes"] else nn.Unflatten(1, (1, 10, 10)),
        *unit(nn.Conv2d(1 + c["classes"], width, 5, padding="same", bias=False), True, leaky_relu()),
        *unit(nn.Conv2d(width, width * 16, 3, bias=False), True, leaky_relu()),
        nn.PixelShuffle(4),
        *unit(nn.Conv2d(width, width, 5, padding="same", bias=False), True, leaky_relu()),
        nn.Conv2d(width, c["channels"], 5, padding="same"),
        nn.Sigmoid(),
    )


def mlp_generator(
    growth: tuple[int, ...],
    norms: int,
    activation: Callable[[], nn.Module],
    output: Callable[[], nn.Module],
    c: dict[str, Any],
) -> nn.Module:
    shape = (c["channels"], *sides(c["image_size"]))
    widths = [c["latent_dim"] + c["classes"], *(c["width"] * factor for factor in growth)]
    hidden, last = Hidden(widths, norms, activation), nn.Linear(widths[-1], math.prod(shape))
    return Generator(c["classes"], hidden, last, output(), nn.Unflatten(1, shape))
