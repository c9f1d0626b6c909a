"""Samples nearer to the average: less diverse, and with fewer failures (Karras et al. 2019, appendix B)."""

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.networks.mixture import Mixture
from paddle_gan.networks.style import StyleGenerator
from paddle_gan.system.randomness import seeded

# Latents for the average style of a label.
_LATENTS = 256


class Truncated(nn.Layer):
    """A generator with truncation ψ as a further input, which is called as `truncated(latents, truncation, labels)`.

    With ψ = 1 it is the generator itself; with ψ = 0 it makes one image for each class and cluster. A style generator
    draws its styles to their average, w̄ + ψ(w − w̄), where w̄ is that of the label, if there are labels. For any other
    generator, the latents are multiplied by ψ; so they are nearer to their mean, which is 0. The latent that chooses a
    cluster stays as it is.

    Args:
        generator: in evaluation mode.
    """

    def __init__(self, generator: nn.Layer):
        super().__init__()
        self.generator = generator
        parts = generator.parts if isinstance(generator, Mixture) else generator
        if isinstance(parts, StyleGenerator):
            self.register_buffer("averages", average_styles(parts), persistable=False)

    def forward(self, latents: Tensor, truncation: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [N, latent_dim], truncation [1], labels int64 [N], to images."""
        generator = self.generator
        if isinstance(generator, Mixture):
            latents, labels = latents[:, :-1], generator.part_of(latents[:, -1:], labels)
            generator = generator.parts
        if isinstance(generator, StyleGenerator):
            average = self.averages if labels is None else F.embedding(labels, self.averages)
            style = average + truncation * (generator.mapping(latents, labels) - average)
            return generator.draw([style] * generator.layers)
        return generator(latents * truncation, labels)


def average_styles(generator: StyleGenerator) -> Tensor:
    """The average style of each label, [classes, latent_dim]; [1, latent_dim] without labels."""
    if not generator.classes:
        return generator.average_style.unsqueeze(0)
    with seeded("truncation", 0), paddle.no_grad():
        latents = paddle.randn([_LATENTS, generator.latent_dim])
        labels = range(generator.classes)
        return paddle.stack([generator.mapping(latents, paddle.full([_LATENTS], n, "int64")).mean(0) for n in labels])
