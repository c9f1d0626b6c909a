"""One update of players from their loss, and what goes with it: freezing the others, clipping, the moving average."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.backend import kernels
from paddle_gan.system import parallel
from paddle_gan.training.task import Player


def update(players: Mapping[str, Player], loss: Tensor, measure: bool = False) -> dict[str, Tensor]:
    """One step of each player's optimiser towards a smaller `loss`, which they have in common.

    See `add_gradients` and `apply_gradients`, which this calls one after the other.
    """
    add_gradients(players, loss)
    return apply_gradients(players, measure)


def add_gradients(players: Mapping[str, Player], loss: Tensor) -> None:
    """Add the gradients of `loss` to those that the players have.

    Args:
        players: by name. With several, the first one's scaler scales the loss.
        loss: 0-D.
    """
    next(iter(players.values())).scaler.scale(loss).backward()


def apply_gradients(players: Mapping[str, Player], measure: bool = False) -> dict[str, Tensor]:
    """One step of each player's optimiser by the gradients that it has.

    The gradients are averaged over the processes first. Afterwards they are zero.

    Args:
        players: by name, changed in place; they have the first one's scaler in common.
        measure: also return the norm of each player's gradient.

    Returns:
        0-D tensors by name, still on the device.
    """
    scaler = next(iter(players.values())).scaler
    scalars = {}
    for name, player in players.items():
        parallel.average_gradients(player.network)
        scaler.unscale_(player.optimizer)
        if measure:
            scalars[f"optimizer/gradient_norm_{name}"] = gradient_norm(player.network)
        scaler.step(player.optimizer)
    scaler.update()
    for player in players.values():
        player.optimizer.clear_grad(set_to_zero=False)
    return scalars


@contextmanager
def frozen(*networks: nn.Layer) -> Iterator[None]:
    """Let the networks take part in another network's step without a trace in them.

    Their parameters get no gradient, and their BatchNorms, still on the statistics of the batch, leave their running
    statistics alone: with momentum 1 those become 1 · old + 0 · new.
    """
    # A list, since a parameter that is frozen looks like one that is not trained.
    parameters = [
        parameter for network in networks for parameter in network.parameters() if not parameter.stop_gradient
    ]
    norms = batch_norms(*networks)
    momenta = [norm._momentum for norm in norms]
    try:
        for parameter in parameters:
            parameter.stop_gradient = True
        for norm in norms:
            norm._momentum = 1.0
        yield
    finally:
        for parameter in parameters:
            parameter.stop_gradient = False
        for norm, momentum in zip(norms, momenta, strict=True):
            norm._momentum = momentum


def batch_norms(*networks: nn.Layer) -> list[nn.Layer]:
    """The BatchNorm layers of the networks, of any kind."""
    layers = [layer for network in networks for layer in network.sublayers(include_self=True)]
    return [layer for layer in layers if isinstance(layer, parallel.BATCH_NORMS)]


def gradient_norm(network: nn.Layer) -> Tensor:
    """L2 norm of all gradients of `network` together, before any clipping: 0-D."""
    squares = [parameter.grad.square().sum() for parameter in network.parameters() if parameter.grad is not None]
    return paddle.sqrt(paddle.add_n(squares))


@paddle.no_grad()
def clip_weights(network: nn.Layer, bound: float) -> None:
    """Clip every trained parameter to [-bound, bound]; the statistics of BatchNorm are left alone."""
    for parameter in network.parameters():
        if parameter.trainable:
            parameter.clip_(-bound, bound)


@paddle.no_grad()
def share_at_bound(network: nn.Layer, bound: float) -> Tensor:
    """Share of the trained parameters' values that clipping to [-bound, bound] holds at the bound, in [0, 1]: 0-D."""
    trained = [parameter for parameter in network.parameters() if parameter.trainable]
    held = paddle.add_n([(parameter.abs() >= bound).sum().astype("float32") for parameter in trained])
    return held / sum(parameter.size for parameter in trained)


@paddle.no_grad()
def update_average(player: Player, step: int) -> None:
    """Move the player's average towards its network; quicker in early rounds, so that the start is soon forgotten.

    Args:
        player: with an average.
        step: rounds played before this one.
    """
    assert player.average is not None, "this player has no average"
    averages = player.average.state_dict()
    decay = min(player.average_decay, (1 + step) / (10 + step))
    for average, current in zip(averages.values(), player.network.state_dict().values(), strict=True):
        kernels.move_towards(average, current, 1 - decay)
