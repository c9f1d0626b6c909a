"""Files that are there twice, and pictures that look nearly the same."""

import base64
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from paddle_gan.datasets.survey import Facts

# `Facts.look` begins with 8 bytes of shapes; of pictures that look the same at most so many of these bits differ.
_SHAPES, _MOST_BITS = 8, 3
# The other bytes are colours, which differ by at most so much.
_MOST_COLOUR = 8
# Pictures are compared if one of four parts of the shapes is equal, as in all that differ in three bits.
_PARTS = (slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 8))
# Where very many have a part in common, each is compared with so many of them.
_MOST_COMPARED = 200


def copies(facts: Sequence[Facts]) -> list[list[str]]:
    """Names of files with the same content, in groups."""
    return _groups([one.digest for one in facts], [one.name for one in facts])


def near_duplicates(facts: Sequence[Facts]) -> list[list[str]]:
    """Names of pictures that look the same without being the same file, in groups."""
    first = list({one.digest: one for one in reversed(facts)}.values())  # of the same files one is enough
    if len(first) < 2:
        return []
    looks = np.array([list(base64.b64decode(one.look)) for one in first], np.uint8)
    shapes, colours = np.unpackbits(looks[:, :_SHAPES], axis=1), looks[:, _SHAPES:].astype(np.int16)
    leader = list(range(len(first)))

    def root(place: int) -> int:
        while leader[place] != place:
            leader[place] = place = leader[leader[place]]
        return place

    for part in _PARTS:
        keys = looks[:, part].astype(np.uint16) @ np.array([256, 1], np.uint16)
        order = np.argsort(keys, kind="stable")
        ends = np.searchsorted(keys[order], keys[order], side="right")
        for start, place in enumerate(order):
            others = order[start + 1 : min(ends[start], start + 1 + _MOST_COMPARED)]
            if len(others):
                near = (shapes[others] != shapes[place]).sum(axis=1) <= _MOST_BITS
                near &= abs(colours[others] - colours[place]).max(axis=1) <= _MOST_COLOUR
                for other in others[near]:
                    leader[root(int(other))] = root(int(place))
    return _groups([root(place) for place in range(len(first))], [one.name for one in first])


def _groups(keys: Sequence[Hashable], names: Sequence[str]) -> list[list[str]]:
    """Names that have the same key, where several have it, in order."""
    groups = {key: [] for key, count in Counter(keys).items() if count > 1}
    for key, name in zip(keys, names, strict=True):
        if key in groups:
            groups[key].append(name)
    return sorted(map(sorted, groups.values()))
