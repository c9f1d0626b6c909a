"""Actions beside training that happen every so often: measures, checkpoints, sample sheets, throughput.

A callback is a function of (task, values), called after every round; `values` is None in rounds that are not logged.
None of them changes what is trained. The log files are in `log` and `visualdl`, the progress bar in `progress`.
"""

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from paddle_gan.training.loop import Callback, Values
from paddle_gan.training.task import Task

# The figure by which the best checkpoint of generated images is chosen; less is better.
EVALUATED = "evaluation/frechet_distance"
# Name of the features that it is measured in.
FEATURES = "evaluation/features"
# Of translations whose targets are known.
L1 = "evaluation/l1"


def rates(images_per_round: int) -> Callback:
    """Adds learning rates and throughput to the values; to be called before those that use them.

    Images a second counts real images that the discriminator has seen, pauses for samples and
    checkpoints included.
    """
    last_time, last_step = time.perf_counter(), None

    def callback(task: Task, values: Values | None) -> None:
        nonlocal last_time, last_step
        if last_step is None:
            last_step = task.step - 1
        if values is None:
            return
        now = time.perf_counter()
        values["speed/images_per_second"] = (task.step - last_step) * images_per_round / (now - last_time)
        for name, player in task.players.items():
            values[f"optimizer/learning_rate_{name}"] = float(player.optimizer.get_lr())
        last_time, last_step = now, task.step

    return callback


def evaluation(steps: int, measure: Callable[[Task], Values], last: int) -> Callback:
    """Adds the measures of the task to the values of every `steps`-th round, a logged one, and of the last round."""

    def callback(task: Task, values: Values | None) -> None:
        if values is not None and (task.step % steps == 0 or task.step == last):
            values |= measure(task)

    return callback


def keep_best(earlier: Iterable[Values], save: Callable[[Task], None], measure: str = EVALUATED) -> Callback:
    """Calls `save` whenever the value `measure` is less than any before, those in `earlier` values included.

    Values that were measured in other features are not compared with.
    """
    best: dict[Any, float] = {}

    def is_best(values: Values) -> bool:
        distance, features = values.get(measure), values.get(FEATURES)
        if not isinstance(distance, float) or distance >= best.get(features, math.inf):
            return False
        best[features] = distance
        return True

    for line in earlier:
        is_best(line)

    def callback(task: Task, values: Values | None) -> None:
        if values and is_best(values):
            save(task)

    return callback


def every(steps: int, action: Callable[[Task], None], last: int) -> Callback:
    """Calls `action` after every `steps`-th round and after round `last`."""

    def callback(task: Task, values: Values | None) -> None:
        if task.step % steps == 0 or task.step == last:
            action(task)

    return callback


def every_seconds(seconds: float, action: Callable[[Task], None], last: int) -> Callback:
    """Calls `action` after the first round that ends `seconds` after the last call, and after round `last`."""
    due = time.monotonic() + seconds

    def callback(task: Task, values: Values | None) -> None:
        nonlocal due
        if time.monotonic() >= due or task.step == last:
            action(task)
            due = time.monotonic() + seconds

    return callback
