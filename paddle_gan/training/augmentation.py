"""Differentiable augmentation: the discriminator sees real and generated images only after random changes.

With few images the discriminator learns them by heart, and the generator can please it only with copies. If every image
that it sees is changed at random, real and generated ones alike, it has far more images to tell apart. The generator
does not learn to make changed images as long as the change of the whole distribution can be undone (Karras et al. 2020,
"ADA", section 2.2), so the changes are applied with a probability below 1. The gradient reaches the generator through
the changes (Zhao et al. 2020, "DiffAugment"; its ranges are taken here).

Every function is linear in the images, made of matrix products, so it has exact gradients of any order. Images are
[N, C, H, W] with any H and W, and 1 (grey), 3 (colour) or 4 channels (colour and alpha, which no colour changes).

The probability is fixed, or it follows a sign of overfitting, see `adapt`.
"""

from collections.abc import Callable
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Transformation:
    """A random change of images.

    Attributes:
        apply: takes images [N, C, H, W], the numbers that were drawn [N, draws], 1 or 0 for each image that is changed
            or not [N], all of one type, and the value range; returns images of the same shape.
        draws: random numbers for each image, uniform in [0, 1).
    """

    apply: Callable[[Tensor, Tensor, Tensor, ValueRange], Tensor]
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


def augmented(
    images: Tensor, augmentation: Augmentation, value_range: ValueRange, state: Tensor | None = None
) -> Tensor:
    """The images after the changes, each of which is applied to each image with the probability.

    All random numbers are drawn from Paddle's generator as it stands, those of the global batch in one call; this
    process takes its rows.

    Args:
        images: [N, C, H, W].
        augmentation: what is applied.
        value_range: of the images.
        state: of an adaptive probability, see `adapt`; None for the fixed one.
    """
    if not augmentation.transformations:
        return images
    probability = augmentation.probability if state is None else state[0]
    sizes = [1 + transformation.draws for transformation in augmentation.transformations]
    shape = [parallel.global_rows(images.shape[0]), sum(sizes)]
    drawn = parallel.shard(paddle.rand(shape, dtype=images.dtype)).split(sizes, axis=1)
    for transformation, numbers in zip(augmentation.transformations, drawn, strict=True):
        changed = (numbers[:, 0] < probability).astype(images.dtype)
        images = transformation.apply(images, numbers[:, 1:], changed, value_range)
    return images


def mirrored(images: Tensor, drawn: Tensor, changed: Tensor, value_range: ValueRange) -> Tensor:
    """Left and right exchanged, in half of the images. Not for images that have a direction, such as digits or text."""
    width = images.shape[3]
    flipped = (changed * (drawn[:, 0] < 0.5).astype(drawn.dtype)).unsqueeze(1)
    columns = paddle.arange(width, dtype=drawn.dtype).unsqueeze(0)
    return _columns_from(images, columns + flipped * (width - 1 - 2 * columns))


def shifted(images: Tensor, drawn: Tensor, changed: Tensor, value_range: ValueRange) -> Tensor:
    """Moved by whole pixels, up to an eighth of each side in each direction; reflected at the edges."""
    height, width = images.shape[2:]
    rows = _shifted_indices(height, drawn[:, 0], changed)
    columns = _shifted_indices(width, drawn[:, 1], changed)
    return _columns_from(_rows_from(images, rows), columns)


def recoloured(images: Tensor, drawn: Tensor, changed: Tensor, value_range: ValueRange) -> Tensor:
    """Another brightness (±a quarter of the value range), saturation (0 to 2 times) and contrast (½ to 1½ times).

    With the mean m of a pixel's colours and the middle M of the value range, a colour x becomes
    M + contrast · (m + saturation · (x − m) − M) + brightness. Nothing is clipped, which could not be undone.
    """
    count, channels = images.shape[:2]
    low, high = value_range
    brightness, saturation, contrast = (
        changed * factor * (2 * drawn[:, i] - 1) for i, factor in enumerate((_BRIGHTNESS, _SATURATION, _CONTRAST))
    )
    contrast = 1 + contrast
    colours = 3 if channels == 4 else channels
    is_colour = paddle.arange(channels) < colours
    colour = is_colour.astype(images.dtype)
    alone, mean = paddle.diag(colour), paddle.outer(colour, colour) / colours
    matrices = (
        paddle.diag(1 - colour)
        + (contrast * (1 + saturation)).reshape([-1, 1, 1]) * alone
        - (contrast * saturation).reshape([-1, 1, 1]) * mean
    )
    constant = (1 - contrast) * (low + high) / 2 + brightness * (high - low) / 2
    pixels = images.reshape([count, channels, -1])
    added = (constant.unsqueeze(1) * colour).unsqueeze(2).expand(pixels.shape)
    return (paddle.matmul(matrices, pixels) + added).reshape(images.shape)


def cut_out(images: Tensor, drawn: Tensor, changed: Tensor, value_range: ValueRange) -> Tensor:
    """A rectangle of half the height and half the width becomes middle grey; its centre is any pixel."""
    inside = [
        _around((drawn[:, i] * size).floor(), size, round(size * _CUT)) for i, size in enumerate(images.shape[2:])
    ]
    cut = paddle.matmul((changed.unsqueeze(1) * inside[0]).unsqueeze(2), inside[1].unsqueeze(1))
    cut = cut.unsqueeze(1).expand(images.shape)
    middle = sum(value_range) / 2
    kept = images * (1 - cut)
    return kept + middle * cut if middle else kept


TRANSFORMATIONS: dict[str, Transformation] = {
    "flip": Transformation(mirrored, draws=1),
    "translation": Transformation(shifted, draws=2),
    "colour": Transformation(recoloured, draws=3),
    "cutout": Transformation(cut_out, draws=2),
}


def _around(centres: Tensor, size: int, length: int) -> Tensor:
    """1 at the places within `length` pixels around each centre, else 0: [N] to [N, size]."""
    places = paddle.arange(size, dtype=centres.dtype).unsqueeze(0)
    first = (centres - length // 2).unsqueeze(1)
    return paddle.logical_and(places >= first, places < first + length).astype(centres.dtype)


def _shifted_indices(size: int, drawn: Tensor, changed: Tensor) -> Tensor:
    """For each image and place, the place that its pixels come from: [N] uniform numbers to [N, size]."""
    most = int(size * _SHIFT)
    shift = changed * ((drawn * (2 * most + 1)).floor() - most)
    source = (paddle.arange(size, dtype=drawn.dtype).unsqueeze(0) - shift.unsqueeze(1)).abs()
    return (size - 1) - (size - 1 - source).abs()


def _rows_from(images: Tensor, source: Tensor) -> Tensor:
    """Row i of each image is its row source[n, i], as a product with a matrix: a gather has no second gradient."""
    matrices = F.one_hot(source.astype("int64"), images.shape[2]).astype(images.dtype)
    return paddle.matmul(matrices.unsqueeze(1), images)


def _columns_from(images: Tensor, source: Tensor) -> Tensor:
    """Column j of each image is its column source[n, j]."""
    matrices = F.one_hot(source.astype("int64"), images.shape[3]).astype(images.dtype)
    return paddle.matmul(images, matrices.unsqueeze(1), transpose_y=True)


def overfitting(real_logits: Tensor, fake_logits: Tensor, boundary: float | None) -> Tensor:
    """E[sign(D(x) − boundary)] of a batch, in [−1, 1]: 0-D (r_t of Karras et al. 2020, eq. 1).

    A discriminator that knows the training images by heart is sure of every one: the value goes to 1. A boundary of
    None stands for a loss of differences, where the logits have no zero: then each real image is compared with a
    generated one, E[sign(D(x) − D(G(z)))].

    Args:
        real_logits, fake_logits: of training images and generated images, of one shape.
        boundary: see `objectives.Objective`.
    """
    return paddle.sign(real_logits - (fake_logits if boundary is None else boundary)).mean().detach()


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
