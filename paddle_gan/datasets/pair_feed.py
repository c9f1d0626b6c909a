"""Batches for image-to-image tasks: random crops, mirrored or not, of the batches of a `BatchFeed`.

A crop is a function of (seed, number of the batch, row), and all channels of an image share it, so both sides of a pair
stay aligned, and a resume gets the same crops.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import paddle
from paddle import Tensor

from paddle_gan.datasets.feed import Batch, normalised
from paddle_gan.datasets.pairs import CHANNELS
from paddle_gan.system import parallel

# Tells the random numbers of crops from others of the same seed.
_CROPS = int.from_bytes(b"crops", "little")

Source = Callable[[int], Any]
# For each image of a batch, whole numbers that what is random in its making depends on.
Keys = Sequence[tuple[int, ...]]


class Pair(NamedTuple):
    """A batch of inputs and their targets: [N, C, H, W] each, in the value range of the networks."""

    inputs: Tensor
    targets: Tensor


def both_sides(images: Tensor, keys: Keys = ()) -> Pair:
    """The pairs of a set of `pairs`: images [N, 6, H, W] as inputs and targets, [N, 3, H, W] each."""
    return Pair(images[:, :CHANNELS], images[:, CHANNELS:])


def derived_from(derive: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Keys], Pair]:
    """Makes a function of target images to pairs whose inputs `derive` makes of them; nothing is random in it."""
    return lambda targets, keys: Pair(derive(targets), targets)


@contextmanager
def cropped(
    feed: AbstractContextManager[Callable[[int], Batch]],
    size: int,
    seed: int,
    mirror: bool,
    made: Callable[[Tensor, Keys], Any] = lambda images, keys: images,
    value_range: tuple[float, float] | None = None,
) -> Iterator[Source]:
    """Batches of random crops.

    Args:
        feed: gives the whole images.
        size: height and width of a crop.
        seed: of the crops.
        mirror: mirror about half of the images.
        made: makes what the task takes of the crops, [N, C, size, size], and their keys (seed, batch, row).
        value_range: of the crops of a feed that gives images as they are stored, which spares the work for what is cut
            off; None if the feed's images are in their value range already.
    """
    values = partial(normalised, value_range=value_range) if value_range else _as_they_are
    with feed as batches:

        def source(number: int) -> Any:
            crops = random_crops(batches(number).images, size, seed, number, mirror, values)
            rows = parallel.shard(np.arange(parallel.global_rows(len(crops))))
            return made(crops, [(seed, number, row) for row in rows.tolist()])

        yield source


@contextmanager
def independent(*feeds: AbstractContextManager[Source]) -> Iterator[Source]:
    """Batches of several feeds, as a tuple."""
    with ExitStack() as stack:
        sources = [stack.enter_context(feed) for feed in feeds]
        yield lambda number: tuple(source(number) for source in sources)


def _as_they_are(crops: Tensor) -> Tensor:
    return crops


def random_crops(
    images: Tensor,
    size: int,
    seed: int,
    number: int,
    mirror: bool,
    values: Callable[[Tensor], Tensor] = _as_they_are,
) -> Tensor:
    """A random crop of each image, mirrored or not: [N, C, L, L] to [N, C, size, size].

    Args:
        images: uint8 if `values` makes float32 of them.
        size, seed, mirror: see `cropped`.
        number: of the batch.
        values: what is made of the crops.
    """
    count, room = images.shape[0], images.shape[2] - size
    random = np.random.default_rng((seed, number, _CROPS))
    whole = parallel.global_rows(count)  # those of all processes, so that their number makes no difference
    places = parallel.shard(random.integers(0, room + 1, (whole, 2)))
    mirrored = parallel.shard(random.integers(0, 2, whole)) if mirror else np.zeros(count, np.int64)
    if not room and not mirrored.any():
        return values(images)
    cut = _cut_on_cpu if images.place.is_cpu_place() else _cut
    return values(cut(images, size, places.tolist(), mirrored == 1))


def _cut(images: Tensor, size: int, places: list[list[int]], mirrored: np.ndarray) -> Tensor:
    """The crops at `places` (top and left), mirrored where `mirrored` says so."""
    crops = paddle.stack([images[i, :, top : top + size, left : left + size] for i, (top, left) in enumerate(places)])
    if not mirrored.any():
        return crops
    return paddle.where(paddle.to_tensor(mirrored).reshape([-1, 1, 1, 1]), paddle.flip(crops, [3]), crops)


def _cut_on_cpu(images: Tensor, size: int, places: list[list[int]], mirrored: np.ndarray) -> Tensor:
    """`_cut` in a fraction of its time: Paddle's `flip` alone takes longer than all of this."""
    pixels = images.numpy()
    crops = [pixels[i, :, top : top + size, left : left + size] for i, (top, left) in enumerate(places)]
    return paddle.to_tensor(
        np.stack([crop[..., ::-1] if back else crop for crop, back in zip(crops, mirrored, strict=True)])
    )
