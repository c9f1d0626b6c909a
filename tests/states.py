"""Training states of the smallest real networks, for the tests of checkpoints and faults."""

import numpy as np
import paddle

from paddle_gan.config.options import TrainConfig
from paddle_gan.runs.experiment import build
from paddle_gan.runs.resolve import resolve
from paddle_gan.training import checkpoint
from paddle_gan.training import loop as training
from paddle_gan.training.loop import TrainState


def tiny_state(**options) -> TrainState:
    """A state at step 0."""
    config, _ = resolve(TrainConfig(width=4, discriminator_width=4, **options), "cpu")
    return build(config, classes=10)


def trained(state: TrainState, steps: int = 2) -> TrainState:
    """`state` itself, trained until it is at `steps`."""
    training.train(state, lambda number: (paddle.ones([4, 1, 28, 28]) * 0.1 * number, None), steps, seed=0, log_every=1)
    return state


def arrays_of(state: TrainState) -> dict[str, np.ndarray]:
    """All that a checkpoint of `state` holds."""
    return {name: tensor.numpy().copy() for name, tensor in checkpoint._tensors(state).items()}
