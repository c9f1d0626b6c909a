"""The augmentation of a run: its options, what they mean for so many images, and a sheet that shows it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import paddle

from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import ImageSet
from paddle_gan.errors import UsageError
from paddle_gan.inference.images import grid, save_png, to_uint8
from paddle_gan.system.randomness import seeded
from paddle_gan.training.augmentation import MOST_ADAPTIVE, TRANSFORMATIONS, Augmentation, ValueRange, draw_change

# With many more images a discriminator does not learn them by heart, and augmentation gains nothing (Karras et al.
# 2020, section 4.1).
FEW_IMAGES = 10_000
# No flips: digits, text and many other things have a direction.
_AUTOMATIC = ("translation", "colour", "cutout")
_TARGET = 0.6
_SHEET_COLUMNS, _SHEET_ROWS = 10, 5


class AugmentOptions(NamedTuple):
    """The options --augment and --augment-target, filled in."""

    augment: tuple[str, ...]
    target: float | None


def augment_options(given: TrainConfig, automatic: bool) -> AugmentOptions:
    """Fill in the options of augmentation.

    Args:
        given: as the user wrote it.
        automatic: whether few images are augmented if nothing is said.

    Raises:
        UsageError: options that do not go together.
    """
    augment = given.augment or (("auto",) if automatic else ("none",))
    alone = next((name for name in ("auto", "none") if name in augment and len(augment) > 1), None)
    if alone:
        raise UsageError(f"--augment {' '.join(augment)}: {alone} stands alone")
    numbers = {"--augment-strength": given.augment_strength, "--augment-target": given.augment_target}
    named = [flag for flag, value in numbers.items() if value is not None]
    if named and augment == ("none",):
        raise UsageError(f"{named[0]} without augmentation; add --augment auto, or leave it out")
    if len(named) == 2:
        raise UsageError("--augment-strength is fixed, and --augment-target adapts it; give one of them")
    adaptive = augment != ("none",) and given.augment_strength is None
    return AugmentOptions(
        augment, (_TARGET if given.augment_target is None else given.augment_target) if adaptive else None
    )


def augmentation_of(config: TrainConfig, images: int | None) -> Augmentation:
    """The augmentation of a resolved configuration.

    Args:
        config: resolved.
        images: number of images of the data; None for many.
    """
    assert config.augment is not None, "resolve fills it in"
    names = config.augment
    if names == ("auto",):
        names = _AUTOMATIC if images is not None and images < FEW_IMAGES else ()
    return Augmentation(
        transformations=tuple(TRANSFORMATIONS[name] for name in TRANSFORMATIONS if name in names),
        probability=config.augment_strength or 0.0,
        target=config.augment_target,
    )


def automatic_notice(config: TrainConfig, images: int) -> list[str]:
    """What the user should know if the number of images has turned augmentation on."""
    if config.augment != ("auto",) or not augmentation_of(config, images).transformations:
        return []
    return [
        f"{images} images are few, so the discriminator sees them with random changes: "
        f"--augment {' '.join(_AUTOMATIC)}; --augment none turns this off"
    ]


def save_sheet(path: Path, data: ImageSet, augmentation: Augmentation, value_range: ValueRange, seed: int) -> None:
    """Write ten images as they are, and below each what the discriminator may see of it.

    An adaptive probability is shown at the most that it can become.

    Args:
        path: a PNG file.
        data: the first images are taken.
        augmentation: with transformations.
        value_range: of the generator.
        seed: of the changes.
    """
    pixels = data.images[:_SHEET_COLUMNS]
    low, high = value_range
    images = paddle.to_tensor(np.tile(pixels, (_SHEET_ROWS, 1, 1, 1))).astype("float32") * ((high - low) / 255) + low
    most = paddle.to_tensor([MOST_ADAPTIVE, 0.0]) if augmentation.adaptive else None
    with seeded("augmented", seed):
        changed = draw_change(augmentation, images, value_range, most)(images)
    sheet = np.concatenate([pixels.transpose(0, 2, 3, 1), to_uint8(changed.numpy(), value_range)])
    save_png(path, grid(sheet, len(pixels)))
