"""Presets: what the network, its sizes and the length of a run become where no option gives them."""

from dataclasses import dataclass
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
    """

    generator: str
    images: int
    batch_size: int = BATCH_SIZE
    discriminator_width: int | None = None


PRESETS: dict[str, Preset] = {
    # Good digits within ten minutes on two cores: eight and a half epochs of MNIST.
    "small": Preset("pixelshuffle", 512_000),
    # In the same time many small batches teach more than a few large ones, see docs/own-images.md.
    "folder": Preset("pixelshuffle", 320_000, batch_size=16, discriminator_width=48),
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
