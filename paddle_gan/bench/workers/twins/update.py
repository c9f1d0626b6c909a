"""One update of networks from their loss, and what goes with it, as in `paddle_gan.training.update`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
Value = TypeVar("Value")


class UsageError(Exception):
    """The asking process knows it by its name."""


def twin_of(option: str, name: str, table: Mapping[str, Value]) -> Value:
    """What a table of twins has for a name that an option gives. Raises UsageError if it has nothing."""
    if name not in table:
        raise UsageError(f"--against torch with {option} {name}: there is no twin of it; {', '.join(table)} have one")
    return table[name]


def update(optimizers: Sequence[torch.optim.Optimizer], loss: Tensor) -> None:
    """One step of each optimiser towards a smaller `loss`, which they have in common."""
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


def move_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the average towards the network; quicker in early rounds, of which `step` were played before this one."""
    decay = min(decay, (1 + step) / (10 + step))
    get_ema_multi_avg_fn(decay)(floats(average), floats(network), None)


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """No gradients of the parameters. BatchNorm uses the batch's statistics and does not change the running ones."""
    norms = [part for network in networks for part in network.modules() if isinstance(part, _BATCH_NORMS)]
    momenta = [norm.momentum for norm in norms]
    for network in networks:
        network.requires_grad_(False)
    for norm in norms:
        norm.momentum = 0.0
    yield
    for network in networks:
        network.requires_grad_(True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def floats(network: nn.Module) -> list[Tensor]:
    """Parameters and running statistics, without the number of batches that BatchNorm counts."""
    return [value.detach() for value in network.state_dict().values() if value.is_floating_point()]
