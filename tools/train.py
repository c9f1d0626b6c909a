"""Train a GAN: python tools/train.py --loss lsgan"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.config.command_line import main, parse
from paddle_gan.config.options import TrainConfig


def command() -> None:
    config, _, named = parse(TrainConfig, "Train a GAN on MNIST, Fashion-MNIST or a folder of images.")
    from paddle_gan.runs import experiment
    from paddle_gan.system import parallel

    if config.resume:
        config = experiment.resumed(Path(config.resume).expanduser(), config, named)
    folder = experiment.run(config)
    if parallel.rank() == 0:
        print("\n".join(experiment.summary(folder)))


if __name__ == "__main__":
    main(command)
