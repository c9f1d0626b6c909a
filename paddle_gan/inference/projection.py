"""Projection: the latent from which a generator makes an image that is as near as possible to a given one.

For a style generator the style w is sought, from the mean of w on (Karras et al. 2020, appendix D); for any other one
the latent z, from the nearest of many samples on. Several starts go on side by side, and the best one is taken. The
distance compares pixels and features, see `distance_to`. Not about its use: see `latents`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, pi
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.features.maps import Maps
from paddle_gan.inference.images import to_uint8
from paddle_gan.inference.latents import Latent, parts_of, tensors_of
from paddle_gan.inference.sampling import CHUNK, labels_of
from paddle_gan.inference.steering import FromStyles, taken_apart
from paddle_gan.inference.walks import Keyframe
from paddle_gan.networks.generators import one_hot
from paddle_gan.networks.style import StyleGenerator
from paddle_gan.system.randomness import seeded

# Appendix D: the learning rate and the shares of the run in which it rises, and falls as a cosine; the first noise on w
# as a share of its deviation, and the share of the run in which it goes to zero; the latents that give mean and
# deviation.
_RATE, _RISE, _FALL = 0.1, 0.05, 0.25
_NOISE, _NOISY = 0.05, 0.75
_LATENTS = 10_000
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Projection:
    """The result.

    Attributes:
        latent: that was found, of one image.
        image: what the generator makes of it, uint8 [H, W, C].
        start: the distance at the best start.
        end: the distance that is left.
    """

    latent: Latent
    image: np.ndarray
    start: float
    end: float


class _Space(NamedTuple):
    """Where a latent is sought.

    Attributes:
        network: latents [N, D] and shares [N, K] or None, to images [N, C, H, W].
        candidates: possible starts.
        deviation: σ of the noise on the latents; 0 for none.
    """

    network: nn.Layer
    candidates: Keyframe
    deviation: float


def distance_to(target: Tensor, maps: Maps) -> Callable[[Tensor], Tensor]:
    """The distance of images x to a target y: ‖x − y‖² / CHW + mean over some maps φ of ‖φ(x) − φ(y)‖² / ‖φ(y)‖².

    Args:
        target: [1, C, H, W] in [−1, 1].
        maps: of a fixed network, which are compared by their size in the target, so that each of them counts the same.

    Returns:
        A function from images [N, C, H, W] in [−1, 1] to their distances [N], with gradients.
    """
    with paddle.no_grad():
        wanted = maps(target)
        sizes = [(one * one).sum().clip(min=1e-8) for one in wanted]

    def distance(images: Tensor) -> Tensor:
        pixels = _squares(images - target) / target.size
        features = [_squares(made - one) / size for made, one, size in zip(maps(images), wanted, sizes, strict=True)]
        return pixels + paddle.add_n(features) / len(features)

    return distance


def _squares(x: Tensor) -> Tensor:
    return (x * x).reshape([x.shape[0], -1]).sum(1)


def project(generator: nn.Layer, image: np.ndarray, maps: Maps, seed: int, starts: int, steps: int) -> Projection:
    """The projection of an image.

    Args:
        generator: of a run; put into evaluation mode.
        image: uint8 [H, W, C], of the size and with the channels of the generator.
        maps: see `distance_to`.
        seed: of starts and noise; the result depends on it and on the other arguments only.
        starts: that go on side by side, at most `sampling.CHUNK`.
        steps: of the optimiser, Adam.
    """
    generator.eval()
    target = paddle.to_tensor(image.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)
    distance = distance_to(target, maps)
    parts = parts_of(generator)
    space = _styles(parts, seed) if isinstance(parts, StyleGenerator) else _latents(generator, seed)
    low, high = generator.value_range

    def distances(latents: Tensor, shares: Tensor | None) -> Tensor:
        return distance((space.network(latents, shares) - low) * (2 / (high - low)) - 1)

    count = len(space.candidates.latents)
    with paddle.no_grad():
        first = np.concatenate(
            [
                distances(*tensors_of(space.candidates, np.arange(i, min(i + CHUNK, count)))).numpy()
                for i in range(0, count, CHUNK)
            ]
        )
    chosen = np.argsort(first, kind="stable")[np.arange(starts) % count]
    latents, shares = tensors_of(space.candidates, chosen)
    with _frozen(generator):
        latents = _minimised(distances, latents, shares, space.deviation, seed, steps)
    with paddle.no_grad():
        last = distances(latents, shares).numpy()
        best = int(last.argmin())
        place = Keyframe(latents.numpy()[best : best + 1], None if shares is None else shares.numpy()[best : best + 1])
        made = to_uint8(space.network(*tensors_of(place, np.arange(1))).numpy(), generator.value_range)[0]
    latent = Latent(place, isinstance(space.network, FromStyles))
    return Projection(latent, made, float(first[chosen[0]]), float(last[best]))


@contextmanager
def _frozen(generator: nn.Layer) -> Iterator[None]:
    """Within this no gradients of the weights are computed."""
    trained = [parameter for parameter in generator.parameters() if not parameter.stop_gradient]
    for parameter in trained:
        parameter.stop_gradient = True
    try:
        yield
    finally:
        for parameter in trained:
            parameter.stop_gradient = False


def _latents(generator: nn.Layer, seed: int) -> _Space:
    """z, from samples on, of every class in turn."""
    with seeded("projection", seed):
        latents = paddle.randn([CHUNK, generator.latent_dim])
    classes = generator.classes
    labels = paddle.to_tensor(labels_of(np.arange(CHUNK), classes)) if classes else None
    network, latents, shares = taken_apart(generator, latents, labels)
    return _Space(network, Keyframe(latents.numpy(), None if shares is None else shares.numpy()), 0.0)


def _styles(parts: StyleGenerator, seed: int) -> _Space:
    """w, from its mean on; from that of each label, if there are labels."""
    with seeded("projection", seed), paddle.no_grad():
        latents = paddle.randn([_LATENTS, parts.latent_dim])
        if parts.classes:
            shares = one_hot(paddle.to_tensor(np.arange(_LATENTS) % parts.classes), parts.classes)
            styles = parts.mapping(latents, shares)
            means = paddle.matmul(shares, styles, transpose_x=True) / shares.sum(0).unsqueeze(1)
            around = styles - paddle.matmul(shares, means)
        else:
            styles = parts.mapping(latents)
            means = styles.mean(0, keepdim=True)
            around = styles - means
        deviation = float(_squares(around).mean().sqrt().numpy())
    return _Space(FromStyles(parts), Keyframe(means.numpy(), None), deviation)


def _minimised(
    distances: Callable[[Tensor, Tensor | None], Tensor],
    latents: Tensor,
    shares: Tensor | None,
    deviation: float,
    seed: int,
    steps: int,
) -> Tensor:
    """Latents [N, D] after some steps of Adam, each for itself: the gradient of a sum is that of its own term."""
    mean, square = paddle.zeros_like(latents), paddle.zeros_like(latents)
    for step, (rate, noise) in enumerate(schedule(steps), 1):
        moved = latents
        if deviation:
            with seeded("projection noise", seed, step):
                moved = latents + paddle.randn(latents.shape) * (noise * deviation)
        moved.stop_gradient = False
        (gradient,) = paddle.grad(distances(moved, shares).sum(), [moved])
        with paddle.no_grad():
            mean = _BETA1 * mean + (1 - _BETA1) * gradient
            square = _BETA2 * square + (1 - _BETA2) * gradient * gradient
            root = (square / (1 - _BETA2**step)).sqrt() + _EPSILON
            latents = latents - (rate / (1 - _BETA1**step)) * mean / root
    return latents


def schedule(steps: int) -> Iterator[tuple[float, float]]:
    """The learning rate, and the noise as a share of σ, of each step (Karras et al. 2020, appendix D)."""
    for step in range(steps):
        done = step / steps
        fall = 0.5 - 0.5 * cos(pi * min(1.0, (1 - done) / _FALL))
        yield _RATE * fall * min(1.0, done / _RISE), _NOISE * max(0.0, 1 - done / _NOISY) ** 2
