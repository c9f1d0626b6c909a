"""A training run of any task in its folder: what every run does once its data is loaded and its task is built.

The run is brought to its last checkpoint, its options are written to config.json, and it is trained. With several
processes, process 0 does this, and the others train in step with it. Not about options or data of any task: those stand
in the `Plan` that `experiment` and `translation` make.
"""

import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import paddle.nn as nn

from paddle_gan.backend import dnnl, kernels
from paddle_gan.errors import UsageError
from paddle_gan.runs.folder import short_path
from paddle_gan.runs.session import Measures, Session, animate, follow_session, train_session
from paddle_gan.system import parallel, runtime
from paddle_gan.system.files import locked, make_folder, remove_leftovers, write_text
from paddle_gan.training.loop import Callback
from paddle_gan.training.state import share
from paddle_gan.training.task import BatchSource, Task

_EVALUATIONS_IN_RUN = 10
_LEAST_BETWEEN_EVALUATIONS = 100

Say = Callable[[str], None]


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Plan:
    """A training run that is ready to begin or to go on.

    Attributes:
        task: at step 0.
        feed: its batches.
        session: where, how long and how often.
        schedule: makes, when the task is at the step from which it goes on, the callback that gives the task the
            numbers of its step.
        measures: see `session.Measures`.
        refuse_other: raises a UsageError if the folder holds another run.
        restore: called in the locked folder; brings the task to its newest checkpoint there, if there is one, or to
            where else it starts from.
        recorded: the content of config.json, a function of the length in steps.
        description: one line that says what is trained.
        cost: one line that says what a new run costs, if that was measured.
        begin: called in the locked folder before the first step of a new run.
    """

    task: Task
    feed: AbstractContextManager[BatchSource]
    session: Session
    schedule: Callable[[], Callback]
    measures: Measures
    refuse_other: Callable[[], None]
    restore: Callable[[Say], None]
    recorded: Callable[[int], dict[str, Any]]
    description: str
    cost: str | None = None
    begin: Callable[[], None] = _nothing


def execute(plan: Plan, say: Say) -> None:
    """Train until the end of `plan.session`.

    Raises:
        UsageError: the folder holds another run, or another process trains there.
        GanError: one of its kinds, see `session.train_session` and `checkpoint.restore`.
    """
    task, session = plan.task, plan.session
    if parallel.rank():
        share(task)
        if task.step < session.steps:
            follow_session(task, plan.feed, session, plan.schedule())
        return
    folder = session.folder
    make_folder(folder / "checkpoints")
    with locked(folder):
        plan.refuse_other()  # again: one may have come and gone while the data was loaded
        for written in (folder, folder / "best", session.samples):
            remove_leftovers(written)
        plan.restore(say)
        share(task)
        if not task.step:
            plan.begin()
        recorded = plan.recorded(max(session.steps, task.step))
        write_text(folder / "config.json", json.dumps(recorded, indent=2) + "\n")
        _describe(plan, say)
        if task.step < session.steps:
            train_session(task, plan.feed, session, plan.schedule(), plan.measures, say)
        animate(folder)
    say(f"done: {task.step} steps")


def check_batch_size(batch_size: int) -> None:
    """A global batch is divided evenly among the processes, and BatchNorm needs two samples in each."""
    processes = parallel.world_size()
    if processes > 1 and (batch_size % processes or batch_size < 2 * processes):
        raise UsageError(
            f"--batch-size {batch_size}: {processes} processes share it; "
            f"take a multiple of {processes}, at least {2 * processes}"
        )


def check_same_job(*mine: Any) -> None:
    """The processes of a job, maybe on several machines, must have been started alike and see the same data.

    Args:
        mine: what all of them must agree on, of types that JSON has.
    """
    text = json.dumps(mine)
    if parallel.broadcast_text(text) != text:
        raise UsageError(
            f"process {parallel.rank()} was started with other options than process 0, or finds other data; "
            "start every machine with the same command and the same files"
        )


def steps_between_measures(evaluate_every: int | None, log_every: int, total: int) -> int:
    """Steps from one measure of a run to the next, as given or ten in the run; 0 if none falls within it.

    Args:
        evaluate_every: the option; None if it is not given.
        log_every: measures are taken in logged steps.
        total: length of the run in steps.
    """
    if evaluate_every is None:
        least = max(_LEAST_BETWEEN_EVALUATIONS, total / _EVALUATIONS_IN_RUN)
        evaluate_every = log_every * math.ceil(least / log_every)
    return evaluate_every if evaluate_every <= total else 0


def slow_notices(device: str) -> list[str]:
    """Why a CPU is slower than it could be, if it is."""
    notices = []
    if device == "cpu" and runtime.prepare():
        notices.append(
            "paddle was imported before paddle_gan, so its threads could not be set; "
            "that makes a CPU several times slower"
        )
    if device == "cpu" and not kernels.available() and not dnnl.is_platform():
        notices.append("convolutions run on Paddle's own kernels here; tools/selfcheck.py says how fast they are")
    elif device == "cpu" and not kernels.available():
        notices.append(
            "convolutions run on Paddle's own kernels, about half as fast as through oneDNN, which is turned off or "
            "not part of this Paddle"
        )
    return notices


def parameter_count(network: nn.Layer) -> int:
    """Number of values that training changes in a network."""
    return sum(parameter.size for parameter in network.parameters() if parameter.trainable)


def _describe(plan: Plan, say: Say) -> None:
    task, session = plan.task, plan.session
    say(plan.description)
    if plan.cost:
        say(plan.cost)
    say(f"run folder: {short_path(session.folder)}")
    if task.step >= session.steps:
        say(
            f"this run is complete at step {task.step}; a larger --steps or --epochs goes on, --out or --seed starts "
            "another"
        )
    elif task.step:
        say(f"going on from step {task.step} of {session.steps}")
