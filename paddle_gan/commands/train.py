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
    first=("dataset", "loss", "conditional", "image_size", "minutes", "out", "resume"),
    examples={
        "--loss lsgan": "digits of MNIST, in about eight minutes on two cores",
        "--loss wgan-gp --conditional": "with labels: sample.py RUN --label 7 then makes a seven",
        "--dataset pictures --image-size 64 --minutes 60": "pictures of a folder, for an hour",
        "--resume RUN": "go on with a run that was stopped",
        "--preset full": "the networks of the tutorial, a hundred epochs, for a GPU",
        "--resume RUN --out OTHER --learning-rate 1e-4": "a branch of a run, with another learning rate",
        "--dataset pictures --start-from RUN": "begin with the weights of another run",
        "--loss hinge --log visualdl tensorboard": "curves for two programs",
    },
)
