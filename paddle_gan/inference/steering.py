"""Samples that are steered: drawn towards the mean, with the styles of another sample, or of a mixture of labels.

Labels may be shares here, float32 [N, K], each row summing to 1, instead of numbers, int64 [N]: a sample between two
classes has a half of each. A generator with clusters (`networks.mixture`) is taken apart into its parts and their
labels, so that a cluster can be held or changed gradually, where the latent that chooses it would switch abruptly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.inference.truncation import average_styles
from paddle_gan.networks.generators import one_hot
from paddle_gan.networks.mixture import Mixture
from paddle_gan.networks.style import StyleGenerator


class Inputs(NamedTuple):
    """What a network that is no mixture takes.

    Attributes:
        network: a generator.
        latents: [N, network.latent_dim].
        labels: shares of its labels, float32 [N, K]; None without labels.
    """

    network: nn.Layer
    latents: Tensor
    labels: Tensor | None


def taken_apart(generator: nn.Layer, latents: Tensor, labels: Tensor | None) -> Inputs:
    """The inputs of a generator as those of the network in it, with which it makes the same images.

    Args:
        generator: any one that is no exported program.
        latents: [N, generator.latent_dim].
        labels: int64 [N]; None without classes.
    """
    if isinstance(generator, Mixture):
        part = generator.part_of(latents[:, -1:], labels)
        return Inputs(generator.parts, latents[:, :-1], one_hot(part, generator.bounds.shape[1]))
    if labels is None or labels.ndim == 2:
        return Inputs(generator, latents, labels)
    return Inputs(generator, latents, one_hot(labels, generator.classes))


def style_layers(generator: nn.Layer) -> int:
    """Number of layers that take a style; 0 for a generator that has no styles."""
    network = generator.parts if isinstance(generator, Mixture) else generator
    return network.layers if isinstance(network, StyleGenerator) else 0


@dataclass(frozen=True)
class StyleMix:
    """Styles of one latent at some layers of every sample (Karras et al. 2019, section 3.1).

    Attributes:
        latents: [1, latent_dim] of the generator.
        layers: numbers of the layers, from 0 at the smallest size.
    """

    latents: Tensor
    layers: Sequence[int]


class Steered(nn.Layer):
    """A generator that is called as any other, with truncated inputs or mixed styles.

    Truncation draws samples towards the mean: fewer of them are odd, and they are less diverse. In a style generator
    the style becomes w̄ + ψ(w − w̄), where w̄ is the average style, of its label if there are labels (Karras et al. 2019,
    appendix B). In any other one the latent becomes ψz; the latent that chooses a cluster stays, so the clusters keep
    their frequencies.

    Args:
        generator: any one that is no exported program.
        truncation: ψ; 1 changes nothing, and with 0 all samples of a label are the same.
        mix: of styles; for a style generator only.
    """

    def __init__(self, generator: nn.Layer, truncation: float = 1.0, mix: StyleMix | None = None):
        super().__init__()
        self.generator, self.truncation, self.mix = generator, truncation, mix
        self.latent_dim, self.value_range = generator.latent_dim, generator.value_range
        network = generator.parts if isinstance(generator, Mixture) else generator
        self.averages = average_styles(network) if isinstance(network, StyleGenerator) and truncation != 1 else None

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        network, latents, shares = taken_apart(self.generator, latents, labels)
        if not isinstance(network, StyleGenerator):
            return network(latents * self.truncation, shares)
        styles = [self.style(network, latents, shares)] * network.layers
        if self.mix:
            others = taken_apart(self.generator, self.mix.latents.expand([len(latents), -1]), labels)
            other = self.style(network, others.latents, others.labels)
            styles = [other if layer in self.mix.layers else style for layer, style in enumerate(styles)]
        return network.draw(styles)

    def style(self, network: StyleGenerator, latents: Tensor, shares: Tensor | None) -> Tensor:
        """The truncated styles w [N, latent_dim] of latents of the network in this generator."""
        style = network.mapping(latents, shares)
        if self.averages is None:
            return style
        mean = self.averages if shares is None else paddle.matmul(shares, self.averages)
        return mean + self.truncation * (style - mean)


class FromStyles(nn.Layer):
    """The synthesis of a style generator as a network of its own, whose latents are styles w, the same at all layers.

    Args:
        generator: without its mapping.
    """

    def __init__(self, generator: StyleGenerator):
        super().__init__()
        self.generator = generator
        self.latent_dim, self.value_range = generator.latent_dim, generator.value_range

    def forward(self, styles: Tensor, labels: Tensor | None = None) -> Tensor:
        """Styles [N, latent_dim] to images; a style holds its label already."""
        return self.generator.draw([styles] * self.generator.layers)
