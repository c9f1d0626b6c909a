"""What the training loop, checkpoints, callbacks and processes know of what is trained: a task and its players.

A task owns its networks, averages, optimisers and any other state by name, plays one round, and says what to sample.
`noise_to_image` is one; a translation with two generators, two discriminators and a buffer of old images is another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import paddle.nn as nn
from paddle import Tensor
from paddle.amp import GradScaler
from paddle.optimizer import Optimizer

from paddle_gan.backend.precision import Precision, unscaled
from paddle_gan.networks.layers import round_factors
from paddle_gan.networks.norms import synchronise_norms
from paddle_gan.system import parallel
from paddle_gan.system.device import on_gpu

# Number of a batch -> the batch, in whatever form the task takes.
BatchSource = Callable[[int], Any]


@dataclass
class Player:
    """A network in training, with all that training keeps of it.

    Attributes:
        network: that is trained.
        optimizer: of its parameters.
        average: same architecture; the exponential moving average of weights and statistics. Samples are taken from
            it. None for a network that nothing is sampled from.
        average_decay: of the average, in [0, 1).
        scaler: of its loss, see `backend.precision`.
    """

    network: nn.Layer
    optimizer: Optimizer
    average: nn.Layer | None = None
    average_decay: float = 0.999
    scaler: GradScaler = field(default_factory=unscaled)


class Task(Protocol):
    """What is trained.

    Attributes:
        step: rounds played so far.
    """

    step: int

    @property
    def players(self) -> Mapping[str, Player]:
        """Every network in training, by a name that logs and checkpoints use."""
        ...

    @property
    def buffers(self) -> Mapping[str, Tensor]:
        """Further state that a resume needs, by name, such as images kept for later rounds; of constant shapes."""
        ...

    def round(self, batches: BatchSource, seed: int, measure: bool = False) -> dict[str, Tensor]:
        """Play one round and count it in `step`.

        All that is random in it depends on (seed, step) only, so a checkpoint holds no random state. Batches are
        taken before anything is changed: where one cannot be had, the round has not begun.

        Args:
            batches: gives the batches by their numbers, which depend on `step` only.
            seed: of the training run.
            measure: also return norms of gradients and the like, which cost time.

        Returns:
            0-D tensors by name, still on the device: `loss/PLAYER` for each player, and more.
        """
        ...

    def sheet(self, seed: int) -> np.ndarray:
        """A picture of samples, always of the same latents or inputs for a seed: uint8 [height, width, 3]."""
        ...


def new_player(
    network: nn.Layer,
    optimizer: Callable[[list[Tensor]], Optimizer],
    average: nn.Layer | None = None,
    average_decay: float = 0.999,
    precision: Precision | None = None,
) -> Player:
    """A player at its start.

    Args:
        network: prepared here for the precision and, on several GPUs, with synchronised BatchNorms.
        optimizer: makes the optimiser of a list of parameters.
        average: a network of the same architecture, which gets the weights of `network`; None for no average.
        average_decay: of the average, in [0, 1).
        precision: float32 if None.
    """
    precision = precision or Precision()
    if average is not None:
        average.set_state_dict(network.state_dict())
        average.eval()
    if parallel.world_size() > 1 and on_gpu():
        synchronise_norms(network)
    round_factors(network, precision.factors)
    # A BatchNorm's running statistics are parameters too, which are not trained.
    trained = [parameter for parameter in network.parameters() if parameter.trainable]
    return Player(network, optimizer(trained), average, average_decay, precision.new_scaler())
