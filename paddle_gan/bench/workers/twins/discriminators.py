"""The discriminators of images, as in `paddle_gan.networks.discriminators`; `c` as in `generators`."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from .layers import Hidden, doublings, leaky_relu, sides, unit


class Projected(nn.Module):
    """Logits of features; with classes, plus the inner product of the features with the embedding of the class."""

    def __init__(self, classes: int, count: int, head: nn.Module, *layers: nn.Module):
        super().__init__()
        self.layers, self.head = nn.Sequential(*layers), head
        self.class_weights = nn.Embedding(classes, count) if classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.layers(images)
        return project(self.head(features), features, self.class_weights, labels)


def project(logits: Tensor, features: Tensor, class_weights: nn.Module | None, labels: Tensor | None) -> Tensor:
    if class_weights is None:
        return logits.flatten()
    return logits.flatten() + (class_weights(labels) * features.flatten(1)).sum(1)


def strided_discriminator(c: dict[str, Any]) -> nn.Module:
    (height, width), halvings = doublings(c["image_size"])
    widths = [c["discriminator_width"] * 2 ** min(i, 3) for i in range(halvings + 1)]
    norm = c["discriminator_norm"] == "batch"
    count = widths[-1] * ((height + 1) // 2) * ((width + 1) // 2)
    return Projected(
        c["classes"],
        count,
        nn.Linear(count, 1),
        *unit(nn.Conv2d(c["channels"], widths[0], 3, 2, padding=1, bias=False), False, leaky_relu()),
        *(
            layer
            for before, after in pairwise(widths)
            for layer in unit(nn.Conv2d(before, after, 3, 2, padding=1, bias=not norm), norm, leaky_relu())
        ),
        nn.Flatten(),
    )


def tutorial_discriminator(c: dict[str, Any]) -> nn.Module:
    width, norm = c["discriminator_width"], c["discriminator_norm"] == "batch"
    widths = [c["channels"], width, width * 2, width * 2]
    return Projected(
        c["classes"],
        widths[-1],
        nn.Conv2d(widths[-1], 1, 1),
        *(
            layer
            for before, after in pairwise(widths)
            for layer in unit(nn.Conv2d(before, after, 5, 2, bias=not norm), norm, leaky_relu())
        ),
    )


class MLPDiscriminator(nn.Module):
    def __init__(self, hidden: Hidden, width: int):
        super().__init__()
        self.hidden, self.last = hidden, nn.Linear(width, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.last(self.hidden(images, labels)).flatten()


def mlp_discriminator(shrink: tuple[int, ...], activation: Callable[[], nn.Module], c: dict[str, Any]) -> nn.Module:
    pixels = c["channels"] * math.prod(sides(c["image_size"]))
    widths = [pixels, *(max(1, c["discriminator_width"] // factor) for factor in shrink)]
    norms = len(shrink) if c["discriminator_norm"] == "batch" else 0
    return MLPDiscriminator(Hidden(widths, norms, activation, c["classes"]), widths[-1])
