"""Gradient penalties as data: where the gradient is taken, what its norm is drawn to, of which network, how often.

`penalty_value` computes any of them. It takes second gradients of the network, so the layers in it must have them: see
`networks.discriminators`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, cast

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.networks.layers import images_only
from paddle_gan.system import parallel


class Role(Enum):
    """The two players of an objective."""

    GENERATOR = "generator"
    DISCRIMINATOR = "discriminator"


class StepBatch(NamedTuple):
    """The tensors of one step.

    Attributes:
        real: real images [N, C, H, W]; None in a step of the generator, which sees none.
        fake: generated images [N, C, H, W].
        latents: [N, latent_dim], that `fake` was made from; None for a task without noise.
        labels: int64 [N] of all three, or None.
    """

    real: Tensor | None
    fake: Tensor
    latents: Tensor | None
    labels: Tensor | None = None


Points = Callable[[StepBatch], Tensor]


def real(batch: StepBatch) -> Tensor:
    """The real images."""
    assert batch.real is not None, "a step of the generator has no real images"
    return batch.real


def fake(batch: StepBatch) -> Tensor:
    """The generated images."""
    return batch.fake


def latents(batch: StepBatch) -> Tensor:
    """The latents, for a penalty on the generator."""
    assert batch.latents is not None, "this task has no latents"
    return batch.latents


def between(batch: StepBatch) -> Tensor:
    """x̂ = t·real + (1 − t)·fake with one t for each sample, uniform in [0, 1] (Gulrajani et al. 2017, algorithm 1)."""
    images = real(batch)
    shape = [parallel.global_rows(images.shape[0])] + [1] * (images.ndim - 1)
    t = _uniform(shape, images)
    return t * images + (1 - t) * batch.fake


def around(batch: StepBatch) -> Tensor:
    """x + ½σu with u uniform in [0, 1] for each value, and σ the standard deviation of all real values of the
    batch.

    Points around the data, where DRAGAN takes its gradient (Kodali et al. 2017, section 2.4, as in the authors' code).
    """
    images = real(batch)
    shape = [parallel.global_rows(images.shape[0]), *images.shape[1:]]
    deviation = (images - images.mean()).square().mean().sqrt()  # Tensor.std waits for the device
    return images + 0.5 * deviation * _uniform(shape, images)


def _uniform(shape: list[int], images: Tensor) -> Tensor:
    """This process's rows of draws from [0, 1), in the type of `images`; the same ones for every type."""
    return parallel.shard(paddle.rand(shape, "float32")).astype(images.dtype)


@dataclass(frozen=True)
class Penalty:
    """weight · Σ E[(‖∇ₓ f(x)‖₂ − centre)²] over the kinds of points x in `at`, added to the loss of one network.

    The norm is over all axes of a sample. For the discriminator, f(x) is its logit (of a map of patches: their sum).
    For the generator, f(z) = ⟨G(z), y⟩ / √P with y ~ N(0, I) and P values in an image: the length of the path that the
    image takes when its latent moves (Karras et al. 2020, StyleGAN2, eq. 4, whose centre is a moving average instead).

    If `one_sided`, only a norm above the centre costs anything: max(0, ‖∇ₓ f(x)‖₂ − centre)².

    Attributes:
        at: functions of the step's tensors to points, such as `real`, `fake`, `between`, `around`, `latents`.
        weight: λ.
        centre: value that the norm is drawn to; 0 or 1 in the papers.
        network: whose gradient, and to whose loss it is added.
        every: computed at every `every`-th step of the network, with the weight times `every`: a lazy penalty (Karras
            et al. 2020, section 3.3).
        against_batch_norm: why BatchNorm must not stand in the network; empty where it may.
        one_sided: whether a norm below the centre is allowed.
    """

    at: tuple[Points, ...]
    weight: float
    centre: float = 0.0
    network: Role = Role.DISCRIMINATOR
    every: int = 1
    against_batch_norm: str = ""
    one_sided: bool = False


def penalty_value(penalty: Penalty, network: nn.Layer, batch: StepBatch) -> Tensor:
    """Σ E[(‖∇ₓ f(x)‖₂ − centre)²], without the weight, as a 0-D tensor that depends on the network's weights only.

    Args:
        penalty: which.
        network: called as network(points, labels).
        batch: the step's tensors; no gradient flows into them.
    """
    values = [_at(penalty, network, points(batch), batch.labels) for points in penalty.at]
    return values[0] if len(values) == 1 else cast(Tensor, sum(values))


def _at(penalty: Penalty, network: nn.Layer, points: Tensor, labels: Tensor | None) -> Tensor:
    squares = squared_gradient(network, points, labels, _SCALARS[penalty.network])
    if penalty.centre == 0:
        return squares.mean()
    # The square root's own gradient is infinite at 0, where a saturated discriminator can be.
    excess = paddle.sqrt(squares + 1e-12) - penalty.centre
    return (F.relu(excess) if penalty.one_sided else excess).square().mean()


def squared_gradient(
    network: nn.Layer, points: Tensor, labels: Tensor | None, scalar: Callable[[Tensor], Tensor] = paddle.sum
) -> Tensor:
    """‖∇ₓ scalar(network(x))‖² of each sample x of `points`, over all axes: [N]; a function of the weights only.

    Args:
        network: must treat the samples one by one.
        points: [N, ...], detached here.
        labels: int64 [N], or None.
        scalar: the network's output, of all samples, to a 0-D tensor; by default its sum.
    """
    points = points.detach()
    points.stop_gradient = False
    with images_only(network):
        gradient = paddle.grad(scalar(network(points, labels)), points, create_graph=True)[0]
    squares = gradient.square().sum(list(range(1, gradient.ndim)))
    pack = getattr(network, "pack", 1)  # a pack of images is one sample
    return squares if pack == 1 else squares.reshape([-1, pack]).sum(1)


def along_random_directions(images: Tensor) -> Tensor:
    """Σ ⟨image, y⟩ / √P over the images, with y ~ N(0, I) and P values in an image: 0-D."""
    directions = paddle.randn(images.shape, dtype=images.dtype) / (images.size // images.shape[0]) ** 0.5
    return (images * directions).sum()


_SCALARS: dict[Role, Callable[[Tensor], Tensor]] = {
    Role.DISCRIMINATOR: paddle.sum,
    Role.GENERATOR: along_random_directions,
}
