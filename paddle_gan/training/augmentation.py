"""Differentiable augmentation: the discriminator sees real and generated images only after random changes.

With few images the discriminator learns them by heart, and the generator can please it only with copies. If every image
that it sees is changed at random, real and generated ones alike, it has far more images to tell apart. The generator
does not learn to make changed images as long as the change of the whole distribution can be undone (Karras et al. 2020,
"ADA", section 2.2), so the changes are applied with a probability below 1. The gradient reaches the generator through
the changes (Zhao et al. 2020, "DiffAugment"; its ranges are taken here).

Every change is affine, made of matrix products, so it has exact gradients of any order. The real and the generated
images of a step get the same changes, row by row: a point between two changed images is then a changed point between
these images. Images are [N, C, H, W] with any H and W, and 1 (grey), 3 (colour) or 4 channels (colour and alpha, which
stays as it is when colours change).

The probability is fixed, or it follows a sign of overfitting, see `adapt`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.system import parallel

# An adaptive probability stays below this: up to there changes do not leak into generated images (Karras et al. 2020,
# section 2.2).
MOST_ADAPTIVE = 0.8
# Real images in which an adaptive probability can rise from 0 to 1. The paper has 500,000 of the 25 million images of
# its runs; the runs here are far shorter.
_IMAGES_TO_FULL = 50_000
# Decay of the moving average of the sign of overfitting; the paper takes the mean of four batches.
_SIGN_DECAY = 0.75
# The greatest shift, as a share of the side; the side of what is cut out; the greatest changes of brightness, in halves
# of the value range, of contrast and of saturation: those of DiffAugment.
_SHIFT = 1 / 8
_CUT = 1 / 2
_BRIGHTNESS, _CONTRAST, _SATURATION = 0.5, 0.5, 1.0

# The sign of overfitting among the scalars of a step.
OVERFITTING = "augmentation/overfitting"

ValueRange = tuple[float, float]
# Of images, [N, C, H, W], to images of the same shape.
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Transformation:
    """A kind of random change.

    Attributes:
        change: makes a change of numbers that were drawn. It takes the shape of images, [N, C, H, W]; the numbers
            [N, draws]; 1 or 0 for each image that is changed or not, [N], of the type of the images; their value range.
        draws: random numbers for each image, uniform in [0, 1).
    """

    change: Callable[[Sequence[int], Tensor, Tensor, ValueRange], Change]
    draws: int


@dataclass(frozen=True)
class Augmentation:
    """Which changes are applied, and how often.

    Attributes:
        transformations: applied in this order; with none, images stay as they are.
        probability: with which each of them is applied to an image, in [0, 1], if it is fixed.
        target: the sign of overfitting that an adaptive probability is controlled to; None if it is fixed. A task keeps
            [2] numbers for it, see `adapt`.
    """

    transformations: tuple[Transformation, ...] = ()
    probability: float = 0.0
    target: float | None = None

    @property
    def adaptive(self) -> bool:
        """Whether there are changes whose probability follows the sign of overfitting."""
        return bool(self.transformations) and self.target is not None


NO_AUGMENTATION = Augmentation()


def draw_change(
    augmentation: Augmentation, images: Tensor, value_range: ValueRange, state: Tensor | None = None
) -> Change:
    """Draw the changes of a batch, each of which is applied to each image with the probability.

    All random numbers are drawn from Paddle's generator as it stands, those of the global batch in one call; this
    process takes its rows.

    Args:
        augmentation: what is applied; it has transformations.
        images: [N, C, H, W], of whose shape and type are all images that will be changed.
        value_range: of the images.
        state: of an adaptive probability, see `adapt`; None for the fixed one.
    """
    probability = augmentation.probability if state is None else state[0]
    sizes = [1 + transformation.draws for transformation in augmentation.transformations]
    shape = [parallel.global_rows(images.shape[0]), sum(sizes)]
    drawn = parallel.shard(paddle.rand(shape, dtype=images.dtype)).split(sizes, axis=1)
    changes = [
        transformation.change(
            images.shape, numbers[:, 1:], (numbers[:, 0] < probability).astype(images.dtype), value_range
        )
        for transformation, numbers in zip(augmentation.transformations, drawn, strict=True)
    ]
    return lambda images: reduce(lambda changed, change: change(changed), changes, images)


def mirroring(shape: Sequence[int], drawn: Tensor, changed: Tensor, value_range: ValueRange) -> Change:
    """Left and right exchanged, in half of the images. Not for images that have a direction, such as digits or text."""
    width = shape[3]
    columns = np.stack([np.arange(width), np.arange(width)[::-1]])
    flipped = changed * (drawn[:, 0] < 0.5).astype(changed.dtype)
    columns = _places(columns, flipped, changed.dtype)
    return lambda images: paddle.matmul(images, columns, transpose_y=True)


def shifting(shape: Sequence[int], drawn: Tensor, changed: Tensor, value_range: ValueRange) -> Change:
    """Moved by whole pixels, up to an eighth of each side in each direction; reflected at the edges."""
    rows, columns = (_shifted_places(size, drawn[:, axis], changed) for axis, size in enumerate(shape[2:]))
    return lambda images: paddle.matmul(paddle.matmul(rows, images), columns, transpose_y=True)


def recolouring(shape: Sequence[int], drawn: Tensor, changed: Tensor, value_range: ValueRange) -> Change:
    """Another brightness (±a quarter of the value range), saturation (0 to 2 times) and contrast (½ to 1½ times).

    With the mean m of a pixel's colours and the middle M of the value range, a colour x becomes
    M + contrast · (m + saturation · (x − m) − M) + brightness. Nothing is clipped, which could not be undone.
    """
    channels, (low, high) = shape[1], value_range
    is_colour = np.arange(channels) < (3 if channels == 4 else channels)
    mean = np.outer(is_colour, is_colour) / is_colour.sum()
    colours, beside_mean, others, flags = (
        paddle.to_tensor(array, changed.dtype)
        for array in (np.diag(is_colour), np.diag(is_colour) - mean, np.diag(~is_colour), is_colour[:, None])
    )
    signed = ((2 * drawn - 1) * changed.unsqueeze(1)).reshape([-1, 3, 1, 1])
    brightness, saturation, contrast = (
        _BRIGHTNESS * signed[:, 0],
        _SATURATION * signed[:, 1],
        1 + _CONTRAST * signed[:, 2],
    )
    matrices = contrast * (colours + saturation * beside_mean) + others
    added = ((1 - contrast) * ((low + high) / 2) + brightness * ((high - low) / 2)) * flags

    def change(images: Tensor) -> Tensor:
        pixels = images.reshape([shape[0], channels, -1])
        # Two summands of equal shapes: Paddle adds a smaller one slowly.
        return (paddle.matmul(matrices, pixels) + added.expand(pixels.shape)).reshape(shape)

    return change


def cutting(shape: Sequence[int], drawn: Tensor, changed: Tensor, value_range: ValueRange) -> Change:
    """A rectangle of half the height and half the width becomes middle grey; its centre is any pixel."""
    inside = [_around(size, round(size * _CUT), drawn[:, axis]) for axis, size in enumerate(shape[2:])]
    cut = paddle.matmul((changed.unsqueeze(1) * inside[0]).unsqueeze(2), inside[1].unsqueeze(1)).unsqueeze(1)
    kept, middle = 1 - cut, sum(value_range) / 2

    def change(images: Tensor) -> Tensor:
        changed = images * kept.expand(shape)
        return changed + middle * cut if middle else changed

    return change


TRANSFORMATIONS: dict[str, Transformation] = {
    "flip": Transformation(mirroring, draws=1),
    "translation": Transformation(shifting, draws=2),
    "colour": Transformation(recolouring, draws=3),
    "cutout": Transformation(cutting, draws=2),
}


def _whole(drawn: Tensor, count: int) -> Tensor:
    """Numbers 0 ... count − 1 from uniform ones; float32 may round the greatest up to `count`."""
    return (drawn * count).floor().clip(max=count - 1)


def _around(size: int, length: int, drawn: Tensor) -> Tensor:
    """1 at the places within `length` pixels around a random one, else 0: [N] to [N, size]."""
    from_centre = np.arange(size) - np.arange(size)[:, None] + length // 2
    table = paddle.to_tensor((from_centre >= 0) & (from_centre < length), drawn.dtype)
    return paddle.gather(table, _whole(drawn, size).astype("int64"))


def _shifted_places(size: int, drawn: Tensor, changed: Tensor) -> Tensor:
    """The matrices of random shifts, see `_places`: [N] to [N, 1, size, size]."""
    most = int(size * _SHIFT)
    places = np.abs(np.arange(size) - np.arange(-most, most + 1)[:, None])
    places = np.minimum(places, 2 * (size - 1) - places)
    return _places(places, most + changed * (_whole(drawn, 2 * most + 1) - most), changed.dtype)


def _places(table: np.ndarray, chosen: Tensor, dtype: Any) -> Tensor:
    """Matrices that bring to each place i of a side the pixels of the place table[chosen[n], i].

    A product with them has gradients of any order, which Paddle's gather has not.

    Args:
        table: whole numbers [K, size].
        chosen: numbers 0 ... K − 1: [N].
        dtype: of the matrices.

    Returns:
        [N, 1, size, size].
    """
    places = paddle.gather(paddle.to_tensor(table), chosen.astype("int64"))
    return F.one_hot(places, table.shape[1]).astype(dtype).unsqueeze(1)


def overfitting(real_logits: Tensor, fake_logits: Tensor, boundary: float | None) -> dict[str, Tensor]:
    """E[sign(D(x) − boundary)] of a batch, in [−1, 1], as the scalar OVERFITTING (r_t of Karras et al. 2020, eq. 1).

    A discriminator that knows the training images by heart is sure of every one: the value goes to 1. A boundary of
    None stands for a loss of differences, where the logits have no zero: then each real image is compared with a
    generated one, E[sign(D(x) − D(G(z)))].

    Args:
        real_logits, fake_logits: of training images and generated images, of one shape.
        boundary: see `objectives.Objective`.
    """
    sign = paddle.sign(real_logits - (fake_logits if boundary is None else boundary))
    return {OVERFITTING: sign.mean().detach()}


@paddle.no_grad()
def adapt(augmentation: Augmentation, state: Tensor, scalars: dict[str, Tensor], count: int) -> None:
    """Raise the probability of augmentation if the discriminator overfits, else lower it (Karras et al. 2020, §3).

    r ← 0.75 r + 0.25 now, then p ← clip(p + sign(r − target) · count / 50,000, 0, 0.8). All processes come to the
    same state.

    Args:
        augmentation: an adaptive one.
        state: probability p and moving average r of the sign of overfitting: [2], changed in place.
        scalars: of a step of the discriminator; OVERFITTING among them is its sign `now`, which r takes the place of,
            and "augmentation/probability" is added.
        count: real images in this step.
    """
    assert augmentation.target is not None, "a fixed probability is not adapted"
    now = scalars[OVERFITTING].clone()
    parallel.average([now])
    mean = _SIGN_DECAY * state[1] + (1 - _SIGN_DECAY) * now
    change = parallel.global_rows(count) / _IMAGES_TO_FULL
    probability = (state[0] + change * paddle.sign(mean - augmentation.target)).clip(0, MOST_ADAPTIVE)
    paddle.assign(paddle.stack([probability, mean]), state)
    scalars["augmentation/probability"], scalars[OVERFITTING] = probability, mean
