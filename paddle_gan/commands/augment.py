"""Study whether samples of a GAN help a classifier that has few images."""

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.studies import AugmentConfig


def run(parsed: Parsed[AugmentConfig]) -> None:
    from paddle_gan.studies.more_data import study

    study(parsed.options, tell)


AUGMENT = Command(
    name="augment",
    description="Few labelled images: does a classifier gain by samples of a GAN that was trained on them?",
    options=AugmentConfig,
    run=run,
    first=("dataset", "per_class", "seeds", "steps", "out"),
    examples={
        "--dataset mnist --per-class 20": "one row of the table in docs/more-data.md",
        "--dataset leaves --per-class 30 --seeds 3 --mirror": "your own folder, a sub-folder for each class",
    },
)
