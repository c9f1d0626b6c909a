"""Tasks with the smallest real networks, for the tests of checkpoints and faults."""

import paddle

from paddle_gan.config.train import TrainConfig
from paddle_gan.runs.building import build
from paddle_gan.runs.resolve import resolve
from paddle_gan.training.loop import train
from paddle_gan.training.noise_to_image import NoiseToImage


def tiny_task(**options) -> NoiseToImage:
    """A task at step 0."""
    given = {"recipe": "paper", "width": 4, "discriminator_width": 4} | options
    config = resolve(TrainConfig(**given), "cpu").config
    return build(config, classes=10)


def trained(task: NoiseToImage, steps: int = 2) -> NoiseToImage:
    """`task` itself, trained until it is at `steps`."""
    train(task, lambda number: (paddle.ones([4, 1, 28, 28]) * 0.1 * number, None), steps, seed=0, log_every=1)
    return task
