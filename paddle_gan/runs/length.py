"""How long a new run is and what it costs, said before its first step.

The cost comes from a trial: a few rounds of a task that is thrown away. The run itself begins with its own weights.
"""

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import paddle

from paddle_gan.runs.folder import read_json
from paddle_gan.system import parallel
from paddle_gan.system.device import on_gpu, wait_for_device
from paddle_gan.system.memory import peak_memory
from paddle_gan.training import checkpoint
from paddle_gan.training.task import BatchSource, Task

# Rounds of a trial. The first one makes kernels, so it is not timed; penalties that are left out in three of four
# rounds are computed in one of the others, of which the trial has so many once or several times.
_WARM_UP, _TIMED = 1, 4
# Where the trial decides the length of the run, it takes this share of it, at most so many seconds.
_TRIAL_SHARE, _LONGEST_TRIAL = 0.02, 3.0
# In a shorter run the trial would take a part of the time that is worth mentioning.
_LEAST_STEPS = 200

# Makes a task at step 0, and its batches.
Trial = Callable[[], tuple[Task, AbstractContextManager[BatchSource]]]


@dataclass(frozen=True)
class Cost:
    """What a trial took.

    Attributes:
        seconds: of a round.
        memory: the most bytes in use until now, of the process on a CPU and of tensors on a GPU; None if the system
            does not tell.
    """

    seconds: float
    memory: int | None

    def of(self, steps: int) -> str:
        """A sentence on the cost of so many steps."""
        memory = "" if self.memory is None else f"; {self.memory / 1e9:.1f} GB of memory"
        step = f"{self.seconds:.2g} s" if self.seconds >= 1 else f"{1000 * self.seconds:.3g} ms"
        return f"cost: {_time(self.seconds * steps)} for {steps} steps of {step} on this machine{memory}"


@dataclass(frozen=True)
class Length:
    """The length of a run in steps, and a sentence on its cost, if that was measured."""

    steps: int
    cost: str | None = None


def length_of(
    folder: Path, steps: int | None, minutes: float | None, trial: Trial, seed: int, *, new: bool = True
) -> Length:
    """The length of the run in `folder`.

    Args:
        folder: of the run.
        steps: as given; None if `minutes` are.
        minutes: that training shall take on this machine, without measures. They are made into steps once, when a run
            begins: it has the same length wherever it goes on.
        trial: what is trained.
        seed: of the run.
        new: whether the run begins with the weights of `trial`, if there is no checkpoint in its folder.
    """
    if not new or checkpoint.exists(folder / "checkpoints"):
        return Length(steps or int(read_json(folder)["steps"]))
    if minutes is None:
        assert steps is not None, "one of them is given"
        if steps < _LEAST_STEPS or parallel.world_size() > 1:
            return Length(steps)
    least = 0 if minutes is None else min(_TRIAL_SHARE * 60 * minutes, _LONGEST_TRIAL)
    cost = measure_cost(*trial(), seed, least)
    if minutes is not None:
        own = max(1, round(60 * minutes / cost.seconds))
        steps = int(parallel.broadcast_text(str(own)))
    assert steps is not None, "one of them is given"
    return Length(steps, cost.of(steps))


def measure_cost(task: Task, feed: AbstractContextManager[BatchSource], seed: int, least: float = 0.0) -> Cost:
    """What a round of `task`, which is changed, takes with batches of `feed`: the median over `least` seconds."""
    for player in task.players.values():
        player.network.train()
    with feed as batches:
        for _ in range(_WARM_UP):
            task.round(batches, seed)
        wait_for_device()
        seconds = []
        while not seconds or sum(seconds) * _TIMED < least:
            start = time.perf_counter()
            for _ in range(_TIMED):
                task.round(batches, seed)
            wait_for_device()
            seconds.append((time.perf_counter() - start) / _TIMED)
    return Cost(statistics.median(seconds), paddle.device.cuda.max_memory_allocated() if on_gpu() else peak_memory())


def _time(seconds: float) -> str:
    """A rough length of time in words."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} seconds"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
