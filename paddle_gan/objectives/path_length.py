"""Path length regularisation of a style generator (Karras et al. 2020, StyleGAN2, section 3.2, eq. 4).

A step of fixed length in the space of styles shall change the image by the same amount everywhere and in every
direction. The penalty is E[(‖J_wᵀ y‖₂ − a)²] with y ~ N(0, I), where J_w is the Jacobian of the image in its style w
and a the moving average of these lengths. Here all layers share one w; the authors' code takes a copy of w for each
layer and averages over the layers.
"""

from dataclasses import dataclass

import paddle
from paddle import Tensor

from paddle_gan.networks.layers import images_only
from paddle_gan.networks.style import StyleGenerator
from paddle_gan.objectives.penalties import along_random_directions
from paddle_gan.system import parallel

_MEAN_DECAY = 0.99


@dataclass(frozen=True)
class PathLength:
    """The regularisation as data.

    Attributes:
        weight: of the penalty in the generator's loss.
        every: computed at every `every`-th step of the generator, with `every` times the weight.
    """

    weight: float
    every: int = 4


def path_lengths(generator: StyleGenerator, latents: Tensor, labels: Tensor | None) -> Tensor:
    """‖J_wᵀ y‖₂ / √P of each sample, with P values in an image: [N]; a function of all weights of the generator.

    Args:
        generator: called with one style for all layers.
        latents: [N, latent_dim].
        labels: int64 [N], or None.
    """
    style = generator.mapping(latents, labels)
    with images_only(generator):
        images = generator.draw([style] * generator.layers)
        gradient = paddle.grad(along_random_directions(images), style, create_graph=True)[0]
    return paddle.sqrt(gradient.square().sum(1) + 1e-12)  # the root's own gradient is infinite at 0


@paddle.no_grad()
def update_mean_length(mean: Tensor, lengths: Tensor) -> None:
    """Move the average a, [1], towards the mean length of a step, 0-D, averaged over the processes."""
    now = lengths.reshape([1])
    parallel.average([now])
    mean.add_((now - mean).scale_(1 - _MEAN_DECAY))
