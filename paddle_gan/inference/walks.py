"""Walks through the latents of a generator: keyframes, which are ordinary samples, and the frames between them.

Latents are interpolated on the sphere and labels linearly. A cluster belongs to its keyframe, as a label does: see
`steering`. Not about files: see `images.save_animation`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn as nn

from paddle_gan.inference.images import to_uint8
from paddle_gan.inference.sampling import labels_of, latents_of
from paddle_gan.inference.steering import Steered, taken_apart
from paddle_gan.networks.mixture import Mixture

# From (a, b, t) to what lies between, as `slerp` and `lerp`.
Path = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
# Two directions with a smaller sine are taken as one.
_LEAST_SINE = 1e-4


def slerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Spherical interpolation: (sin((1−t)θ) a + sin(tθ) b) / sin θ, with the angle θ between a and b.

    Normal latents of many dimensions lie near a sphere, and a straight line between two of them leaves it (White 2016).

    Args:
        a, b: float [..., D]; directions that are the same, or opposite, are interpolated linearly.
        t: 0 for a, 1 for b.
    """
    lengths = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    cosine = (a * b).sum(axis=-1, keepdims=True) / np.maximum(lengths, np.finfo(a.dtype).tiny)
    angle = np.arccos(cosine.clip(-1, 1))
    sine = np.sin(angle)
    straight = sine < _LEAST_SINE
    safe = np.where(straight, 1, sine)
    return np.where(straight, (1 - t) * a + t * b, (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / safe).astype(
        a.dtype
    )


def lerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """(1−t) a + t b."""
    return ((1 - t) * a + t * b).astype(a.dtype)


def places(keyframes: int, between: int, closed: bool) -> list[tuple[int, int, float]]:
    """Where each frame lies: the keyframes before and after it, and its share of the way, in [0, 1).

    Args:
        keyframes: number of them.
        between: frames from one keyframe to the next, the first of which is the keyframe itself.
        closed: whether the last keyframe leads back to the first; otherwise the walk ends with it.

    Returns:
        keyframes · between places if closed, else (keyframes − 1) · between + 1.
    """
    legs = keyframes if closed else keyframes - 1
    found = [(leg, (leg + 1) % keyframes, i / between) for leg in range(legs) for i in range(between)]
    return found if closed else [*found, (keyframes - 1, keyframes - 1, 0.0)]


def keyframe_labels(labels: Sequence[int], keyframes: int, count: int, classes: int) -> list[np.ndarray] | None:
    """The labels of `count` walks at each keyframe, int64 [count] each; None without classes.

    Args:
        labels: of the keyframes, in turn, for all walks; empty for those that the samples have.
        keyframes, count: numbers of keyframes and of walks.
        classes: number of labels, or 0.
    """
    if not classes:
        return None
    numbers = np.arange(count)
    chosen = labels or [None]
    return [labels_of(numbers, classes, chosen[k % len(chosen)]) for k in range(keyframes)]


class Keyframe(NamedTuple):
    """Where several walks are at once: the inputs of the network in a generator, see `steering.Inputs`.

    Attributes:
        latents: float32 [count, network.latent_dim].
        shares: of its labels, float32 [count, K]; None without labels.
    """

    latents: np.ndarray
    shares: np.ndarray | None


def keyframe(generator: nn.Layer, seed: int, labels: np.ndarray | None, count: int) -> Keyframe:
    """The first samples of a seed, as `sampling.generate` makes them.

    Args:
        generator: of a run.
        seed: of the latents.
        labels: of the samples, int64 [count]; None without classes.
        count: at most `sampling.CHUNK`.
    """
    numbers = None if labels is None else paddle.to_tensor(labels)
    _, latents, shares = taken_apart(generator, latents_of(generator.latent_dim, seed)[:count], numbers)
    return Keyframe(latents.numpy(), None if shares is None else shares.numpy())


def steered_network(generator: nn.Layer, truncation: float = 1.0) -> Steered:
    """The network that takes the inputs of a `Keyframe`, in evaluation mode; truncation as for `steering.Steered`."""
    generator.eval()
    return Steered(generator.parts if isinstance(generator, Mixture) else generator, truncation)


def frame(network: nn.Layer, before: Keyframe, after: Keyframe, t: float, path: Path = slerp) -> np.ndarray:
    """The images at the share `t` of the way between two keyframes, uint8 [count, H, W, C].

    Args:
        network: whose inputs the keyframes are.
        before, after: the ends.
        t: 0 for `before`, 1 for `after`.
        path: of the latents.
    """
    latents = paddle.to_tensor(path(before.latents, after.latents, t))
    shares = None
    if before.shares is not None and after.shares is not None:
        shares = paddle.to_tensor(lerp(before.shares, after.shares, t))
    with paddle.no_grad():
        return to_uint8(network(latents, shares).numpy(), network.value_range)


def walk_between(
    network: nn.Layer, keyframes: Sequence[Keyframe], between: int, closed: bool, path: Path = slerp
) -> Iterator[np.ndarray]:
    """The frames of a walk through keyframes, see `frame` and `places`."""
    for before, after, t in places(len(keyframes), between, closed):
        yield frame(network, keyframes[before], keyframes[after], t, path)
