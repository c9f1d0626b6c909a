"""Sizes, and the layers that several networks of images from noise have."""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
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


def doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def unit(convolution: nn.Module, norm: bool, activation: nn.Module) -> list[nn.Module]:
    """Convolution, norm if wanted, activation."""
    return [convolution, nn.BatchNorm2d(convolution.out_channels), activation] if norm else [convolution, activation]


def leaky_relu() -> nn.Module:
    return nn.LeakyReLU(0.2, inplace=True)


def relu() -> nn.Module:
    return nn.ReLU(inplace=True)


class Hidden(nn.Module):
    """Linear maps of the given widths, each with its activation, and BatchNorm in the last `norms` of them.

    With classes, the first map takes one-hot labels beside the inputs, as the sum of two maps.
    """

    def __init__(self, widths: list[int], norms: int, activation: Callable[[], nn.Module], classes: int = 0):
        super().__init__()
        self.linear = nn.ModuleList([nn.Linear(before, after) for before, after in pairwise(widths)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width, momentum=0.2) for width in widths[len(widths) - norms :]])
        self.label_weights = nn.Embedding(classes, widths[1]) if classes else None
        self.activation = activation()

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        x = x.flatten(1)
        unnormed = len(self.linear) - len(self.norms)
        for i, linear in enumerate(self.linear):
            x = linear(x)
            if i == 0 and self.label_weights is not None:
                x = x + self.label_weights(labels)
            x = self.activation(self.norms[i - unnormed](x) if i >= unnormed else x)
        return x


def minibatch_deviation(features: Tensor, group: int = 4) -> Tensor:
    """How much the samples of a group differ: the standard deviation of each feature over them, averaged: [N]."""
    count = features.shape[0]
    group = group if count % group == 0 else count
    variance = features.reshape(group, count // group, -1).var(0, correction=0)
    return torch.sqrt(variance + 1e-8).mean(1).tile(group)
