"""Latents that were found or drawn: in a file, and as the places that a walk goes through.

Not about how the latent of an image is found: see `projection`. Nor about walks through samples only: see `walks`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.errors import UsageError
from paddle_gan.inference.npz_files import read_floats, write_arrays
from paddle_gan.inference.steering import FromStyles, Steered
from paddle_gan.inference.walks import Keyframe, keyframe, lerp, slerp, steered_network, walk_between
from paddle_gan.networks.mixture import Mixture
from paddle_gan.networks.style import StyleGenerator


class Latent(NamedTuple):
    """Where images lie.

    Attributes:
        keyframe: inputs of the network in a generator, see `walks.Keyframe`.
        styles: whether its latents are styles w of a style generator instead of z.
    """

    keyframe: Keyframe
    styles: bool


def parts_of(generator: nn.Layer) -> nn.Layer:
    """The network in a generator whose inputs a keyframe has."""
    return generator.parts if isinstance(generator, Mixture) else generator


def tensors_of(place: Keyframe, rows: np.ndarray) -> tuple[Tensor, Tensor | None]:
    """Some rows of a keyframe as inputs of the network."""
    shares = None if place.shares is None else paddle.to_tensor(place.shares[rows])
    return paddle.to_tensor(place.latents[rows]), shares


def write_latent(path: Path, latent: Latent, images: np.ndarray) -> None:
    """Write an .npz file that `read_latent` reads.

    It holds `latents` or `styles`, float32 [1, D]; `shares` of the labels, float32 [1, K], if there are any; and
    `images`, uint8 [1, H, W, C].
    """
    place, styles = latent
    arrays = {"styles" if styles else "latents": place.latents, "images": images}
    write_arrays(path, arrays if place.shares is None else {**arrays, "shares": place.shares})


def read_latent(path: Path, generator: nn.Layer) -> Latent:
    """The latent in a file, whoever wrote it, for this generator.

    Raises:
        UsageError: no such file, or one for another generator. DataError: it is damaged.
    """
    found = read_floats(path, ("latents", "styles", "shares"))
    network, shares = parts_of(generator), found.get("shares")
    styles = isinstance(network, StyleGenerator)
    latents = found.get("styles" if styles else "latents")
    labels = 0 if styles else _labels(generator)
    if (
        latents is None
        or latents.shape != (1, network.latent_dim)
        or (shares.shape if shares is not None else None) != ((1, labels) if labels else None)
    ):
        raise UsageError(f"{path}: holds no latent of this generator; tools/project.py writes such files")
    return Latent(Keyframe(latents, shares), styles)


def _labels(generator: nn.Layer) -> int:
    """Number of labels of the network in a generator."""
    return generator.bounds.shape[1] if isinstance(generator, Mixture) else generator.classes


def samples(generator: nn.Layer, seeds: Sequence[int], labels: Sequence[np.ndarray] | None, count: int) -> list[Latent]:
    """The latents of the first samples of some seeds, as `sampling.generate` makes them.

    Args:
        generator: of a run.
        seeds: of the keyframes of walks.
        labels: of the keyframes, int64 [count] each; None without classes.
        count: number of walks, at most `sampling.CHUNK`.
    """
    return [
        Latent(keyframe(generator, seed, labels[k] if labels else None, count), False) for k, seed in enumerate(seeds)
    ]


def walk_through(
    generator: nn.Layer, latents: Sequence[Latent], between: int, closed: bool, truncation: float = 1.0
) -> Iterator[np.ndarray]:
    """The frames of walks through some latents, uint8 [count, H, W, C] each.

    If there are styles among them, all become styles, and the way between two of them is straight.

    Args:
        generator: of a run; put into evaluation mode.
        latents: of as many images as there are walks, or of one, which every walk goes through.
        between, closed: see `walks.places`.
        truncation: of samples, see `steering.Steered`; 1 with styles among the latents.
    """
    network, path = steered_network(generator, truncation), slerp
    keyframes = [one.keyframe for one in latents]
    if any(one.styles for one in latents):
        parts = parts_of(generator)
        assert isinstance(parts, StyleGenerator), "only a style generator has styles"
        keyframes = [one.keyframe if one.styles else _as_styles(network, parts, one.keyframe) for one in latents]
        network, path = FromStyles(parts), lerp
    count = max(len(one.latents) for one in keyframes)
    yield from walk_between(network, [_repeated(one, count) for one in keyframes], between, closed, path)


def _as_styles(network: Steered, parts: StyleGenerator, place: Keyframe) -> Keyframe:
    with paddle.no_grad():
        styles = network.style(parts, *tensors_of(place, np.arange(len(place.latents))))
    return Keyframe(styles.numpy(), None)


def _repeated(place: Keyframe, count: int) -> Keyframe:
    rows = np.arange(count) % len(place.latents)
    return Keyframe(place.latents[rows], None if place.shares is None else place.shares[rows])
