"""The training loop, and nothing else: no files, no pictures, no progress bar, and no knowledge of any network."""

import math
from collections.abc import Callable, Iterable, Mapping

from paddle import Tensor

from paddle_gan.backend.values import number
from paddle_gan.errors import NumericalError
from paddle_gan.system import parallel
from paddle_gan.training.task import BatchSource, Task

# The values of a logged round: numbers, counts (a list) and sentences (a str).
Values = dict[str, float | list[int] | str]
# Called after every round with the task and, in rounds that are logged, the values to log, which a callback may add to
# for those after it; else None.
Callback = Callable[[Task, Values | None], None]


def train(
    task: Task, batches: BatchSource, steps: int, seed: int, log_every: int, callbacks: Iterable[Callback] = ()
) -> None:
    """Play rounds until `task.step` is `steps`.

    The host waits for the device only in rounds that are logged: the first, every `log_every`-th and the last.

    Raises:
        NumericalError: a scalar of a logged round is NaN or infinite; no callback has seen that round.
    """
    for player in task.players.values():
        player.network.train()
    while task.step < steps:
        logged = (task.step + 1) % log_every == 0 or task.step + 1 in (1, steps)
        tensors = task.round(batches, seed, measure=logged)
        values: Values | None = None
        if logged:
            parallel.average([tensor.detach() for tensor in tensors.values()])
            values = numbers_of(task, tensors)
        for callback in callbacks:
            callback(task, values)


def numbers_of(task: Task, tensors: Mapping[str, Tensor]) -> Values:
    """The values of a logged round, read from the device.

    Raises:
        NumericalError: one of them is NaN or infinite.
    """
    scalars = {name: number(tensor) for name, tensor in tensors.items()}
    add_loss_scales(task, scalars)
    check_finite(scalars, task.step)
    return dict(scalars)


def add_loss_scales(task: Task, scalars: dict[str, float]) -> None:
    """Add the scales of the losses to the values of a logged round, where losses are scaled (see `backend.precision`).

    A gradient that overflows costs its update, not the training run, as long as the scale can be halved: its norm,
    which is infinite or NaN then, is taken out.
    """
    for name, player in task.players.items():
        if not player.scaler.is_enable():
            continue
        scale = scalars[f"optimizer/loss_scale_{name}"] = float(player.scaler.state_dict()["scale"][0])
        norm = f"optimizer/gradient_norm_{name}"
        if scale >= 1 and not math.isfinite(scalars[norm]):
            del scalars[norm]


def check_finite(scalars: dict[str, float], step: int) -> None:
    """Raise NumericalError if a scalar is NaN or infinite."""
    bad = [f"{name} = {value}" for name, value in scalars.items() if not math.isfinite(value)]
    if bad:
        raise NumericalError(
            f"step {step}: {', '.join(bad)}; the same command would come to it again: try a smaller "
            "--learning-rate, --gradient-clip 1, or --loss wgan-gp"
        )
