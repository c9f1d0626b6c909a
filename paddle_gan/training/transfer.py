"""Weights of one network as the first weights of another one: of another image size, with other channels or labels.

A tensor is taken if its name and its shape are the same. The exceptions are data below:

- The blocks of a generator are numbered from the smallest map on, those of a discriminator from the image on. So the
  blocks of a discriminator are counted from their end, where the maps have the same size in both networks.
- Tensors with an axis of labels: if the numbers of labels differ, the new label j begins as the label j mod K of the K
  old ones, in both networks. If there were no labels, all new labels begin with zeros, so at the start the networks do
  what they did without. Only where their weight is divided by its largest singular value, which must not be 0, they
  keep their first values.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

Shapes = Mapping[str, tuple[int, ...]]

# Blocks of a discriminator that halve the size; a packed one has the prefix.
_BLOCK = re.compile(r"(?P<before>(?:stages|blocks)\.)(?P<number>\d+)(?P<after>\..*)")
_PACKED = "discriminator."


class _Labels(NamedTuple):
    """Where labels stand in a tensor: on this axis, after so many other entries."""

    axis: int
    before: int = 0


_OF_DISCRIMINATOR = {"class_weights.weight": _Labels(0), "label_weights.weight": _Labels(0)}


def _of_generator(latent_dim: int) -> dict[str, _Labels]:
    """By the names of the tensors in `networks.generators` and `networks.style`."""
    beside_latents = ("project.linear.weight", "hidden.0.weight", "mapping.layers.0.weight")
    return {
        **dict.fromkeys(beside_latents, _Labels(0, latent_dim)),
        "mapping.embedding.weight": _Labels(0),
        "model.0.conv.weight": _Labels(1, 1),
    }


class Transfer(NamedTuple):
    """What one network gets from another.

    Attributes:
        taken: arrays by the names of the new network's tensors, of their shapes.
        relabelled: names of those among them that are for another number of labels.
        new: names of the other tensors, which keep their first values.
        share: of the values of the new network that are taken, in [0, 1].
    """

    taken: dict[str, np.ndarray]
    relabelled: list[str]
    new: list[str]
    share: float


def transfer(shapes: Shapes, arrays: Mapping[str, np.ndarray], latent_dim: int | None) -> Transfer:
    """Choose what fits.

    Args:
        shapes: of the new network's tensors, by name.
        arrays: of the old network, by name.
        latent_dim: of the new generator; None for a discriminator, whose blocks are counted from their end.
    """
    arrays = {name.removeprefix(_PACKED): array for name, array in arrays.items()}
    own = {name: name.removeprefix(_PACKED) for name in shapes}
    labels = _OF_DISCRIMINATOR if latent_dim is None else _of_generator(latent_dim)
    later = _block_count(own.values()) - _block_count(arrays) if latent_dim is None else 0
    taken: dict[str, np.ndarray] = {}
    relabelled = []
    for name, shape in shapes.items():
        old = arrays.get(_earlier(own[name], later))
        if old is None and own[name] in _OF_DISCRIMINATOR and _spectral(name) not in shapes:
            old = np.zeros([0, *shape[1:]], np.float32)  # it had no labels
        if old is not None and old.shape != shape:
            old = _relabelled(old, shape, labels[own[name]]) if own[name] in labels else None
            relabelled += [name] if old is not None else []
        if old is not None:
            taken[name] = old
    total = sum(math.prod(shape) for shape in shapes.values())
    share = sum(array.size for array in taken.values()) / total
    return Transfer(taken, relabelled, [name for name in shapes if name not in taken], share)


def _spectral(name: str) -> str:
    """The name of the singular vector of a weight, see `networks.spectral`."""
    return f"{name.removesuffix('weight')}spectral.u"


def _block_count(names: Iterable[str]) -> int:
    matches = (_BLOCK.fullmatch(name) for name in names)
    return 1 + max((int(match["number"]) for match in matches if match), default=-1)


def _earlier(name: str, by: int) -> str:
    """The name of the same tensor in a block that comes so many blocks earlier."""
    match = _BLOCK.fullmatch(name)
    return f"{match['before']}{int(match['number']) - by}{match['after']}" if match else name


def _relabelled(old: np.ndarray, shape: tuple[int, ...], labels: _Labels) -> np.ndarray | None:
    """A tensor for another number of labels; None if that is not the only difference."""
    axis, before = labels
    others = [size for i, size in enumerate(shape) if i != axis]
    if old.ndim != len(shape) or others != [size for i, size in enumerate(old.shape) if i != axis]:
        return None
    known, needed = old.shape[axis] - before, shape[axis] - before
    if known < 0:
        return None
    if known:
        return old.take([*range(before), *(before + j % known for j in range(needed))], axis)
    zeros = np.zeros([needed if i == axis else size for i, size in enumerate(shape)], old.dtype)
    return np.concatenate([old, zeros], axis)
