"""Presets: what the network, its sizes and the length of a run become where no option gives them."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import DATASETS
from paddle_gan.runs.recipes import PAPER, Recipe

BATCH_SIZE = 64


@dataclass(frozen=True)
class Preset:
    """What options that are left open become.

    Attributes:
        generator: its name.
        images: length of the run in real images that the discriminator sees. Not in epochs, of which
            a small folder of images needs many more than MNIST.
        batch_size: with a tuned recipe.
        discriminator_width: with a tuned recipe; None for the network's own.
        r1: weight of R1 where a tuned recipe has it; None for the recipe's own.
    """

    generator: str
    images: int
    batch_size: int = BATCH_SIZE
    discriminator_width: int | None = None
    r1: float | None = None


PRESETS: dict[str, Preset] = {
    # Good digits within ten minutes on two cores: eight and a half epochs of MNIST.
    "small": Preset("pixelshuffle", 512_000),
    # In the same time many small batches teach more than a few large ones. Small batches and large images need a
    # stronger R1 (Karras et al. 2020, ADA: in proportion to pixels and to 1 / batch size). See docs/own-images.md.
    "folder": Preset("pixelshuffle", 320_000, batch_size=16, discriminator_width=48, r1=0.5),
    # The tutorial's networks and length: a hundred epochs of MNIST.
    "full": Preset("tutorial", 6_000_000),
}


def automatic_preset(given: TrainConfig, device: str) -> str:
    """The name of the preset for the data, on "cpu" or "gpu:N"."""
    if device != "cpu":
        return "full"
    return "small" if given.dataset in DATASETS else "folder"


class Sizes(NamedTuple):
    """The batch size, and the width of the discriminator; None for the network's own width."""

    batch_size: int
    discriminator_width: int | None


def sizes_of(given: TrainConfig, preset: Preset, discriminator: str, recipe: Recipe) -> Sizes:
    """The sizes as given, else the preset's where the recipe is a tuned one, else the usual ones."""
    tuned = recipe is not PAPER
    width = preset.discriminator_width if tuned and discriminator == "strided" else None
    return Sizes(given.batch_size or (preset.batch_size if tuned else BATCH_SIZE), given.discriminator_width or width)


def with_r1_of(preset: Preset, recipe: Recipe) -> Recipe:
    """A recipe with the weight that the preset gives R1, where the recipe has R1."""
    if preset.r1 is None:
        return recipe
    return replace(recipe, r1=recipe.r1 and preset.r1, penalty_weight=recipe.penalty_weight and preset.r1)
