"""Train a GAN."""

from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.train import TrainConfig


def run(parsed: Parsed[TrainConfig]) -> None:
    from paddle_gan.runs import branch, experiment, folder
    from paddle_gan.system import parallel

    config = parsed.options
    if config.resume:
        config = branch.continued(Path(config.resume), config, parsed.named, tell)
    trained = experiment.run(config, tell)
    if parallel.rank() == 0:
        for line in folder.summary(trained):
            tell(line)


TRAIN = Command(
    name="train",
    description="Train a GAN on MNIST, Fashion-MNIST or a folder of images.",
    options=TrainConfig,
    run=run,
)
