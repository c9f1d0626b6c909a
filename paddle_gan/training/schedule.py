"""Numbers that change over a training run: learning rates, weights of penalties, β₂ of Adam, decays of averages.

A schedule is a function of the step alone, so a checkpoint holds nothing of it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import paddle

from paddle_gan.objectives.objective import with_penalty_weight
from paddle_gan.training.loop import Callback
from paddle_gan.training.noise_to_image import NoiseToImage
from paddle_gan.training.task import Task

# Progress in [0, 1] -> share of the way from the first value to the last one.
Shape = Callable[[float], float]
SHAPES: dict[str, Shape] = {
    "constant": lambda progress: 0.0,
    "linear": lambda progress: progress,
    "cosine": lambda progress: (1 - math.cos(math.pi * progress)) / 2,
    # Constant for half of the run, then linear.
    "late": lambda progress: max(0.0, 2 * progress - 1),
}


@dataclass(frozen=True)
class Schedule:
    """A number over the steps of a run; called as `schedule(step)`.

    Attributes:
        first: the value at step 0, or after the warm-up.
        last: the value at step `steps` and after it.
        steps: of the run.
        shape: how the number goes from the one to the other.
        warm_up: steps in which the number rises in equal parts to the value that it would have anyway.
    """

    first: float
    last: float
    steps: int = 1
    shape: Shape = SHAPES["constant"]
    warm_up: int = 0

    def __call__(self, step: int) -> float:
        value = self.first + (self.last - self.first) * self.shape(min(1.0, step / self.steps))
        return value * min(1.0, (step + 1) / (self.warm_up + 1))


@dataclass(frozen=True)
class Schedules:
    """What changes in a noise-to-image task; None for what stays as the task has it.

    Attributes:
        rate: factor of both learning rates.
        penalty_weight: of the first penalty; the others keep their ratios to it.
        beta2: of Adam, for both networks.
        average_decay: of the generator's average.
        best_share: of the generated images, that the generator learns from.
    """

    rate: Schedule | None = None
    penalty_weight: Schedule | None = None
    beta2: Schedule | None = None
    average_decay: Schedule | None = None
    best_share: Schedule | None = None


def scheduled_rates(task: Task, rate: Schedule) -> Callback:
    """Gives each player of a task its learning rate, which `rate` is the factor of, now and after every round."""
    rates = {name: player.optimizer.get_lr() for name, player in task.players.items()}

    def apply() -> None:
        for name, player in task.players.items():
            player.optimizer.set_lr(rates[name] * rate(task.step))

    apply()
    return lambda task, values: apply()


def scheduled(task: NoiseToImage, schedules: Schedules) -> Callback:
    """Gives the task the numbers of its step, now and after every round.

    Args:
        task: with the learning rates of step 0; changed in place.
        schedules: what changes.
    """
    objective = task.objective
    change_rates = scheduled_rates(task, schedules.rate) if schedules.rate else None

    def apply() -> None:
        if change_rates:
            change_rates(task, None)
        for player in task.players.values():
            if schedules.beta2:
                assert isinstance(player.optimizer, paddle.optimizer.Adam), "beta2 is a number of Adam"
                player.optimizer._beta2 = schedules.beta2(task.step)  # read by Adam in each step
        if schedules.penalty_weight:
            task.objective = with_penalty_weight(objective, schedules.penalty_weight(task.step))
        if schedules.average_decay:
            task.generator.average_decay = schedules.average_decay(task.step)
        if schedules.best_share:
            task.best_share = schedules.best_share(task.step)

    apply()
    return lambda task, values: apply()
