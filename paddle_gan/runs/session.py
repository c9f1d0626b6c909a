"""One session of training in a run folder: the loop with its logs, sheets, checkpoints and measures, for any task."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paddle

from paddle_gan.errors import DataError
from paddle_gan.inference.images import save_gif, save_png
from paddle_gan.system import parallel
from paddle_gan.system.files import atomic_path, make_folder
from paddle_gan.system.signals import Stopped, stop_on_signal
from paddle_gan.training import callbacks, checkpoint
from paddle_gan.training.further_logs import FurtherLog
from paddle_gan.training.log import metrics_log, read_metrics
from paddle_gan.training.loop import Callback, train
from paddle_gan.training.mirror import mirrored
from paddle_gan.training.progress import progress
from paddle_gan.training.task import BatchSource, Task

_SHEETS_IN_RUN = 20
CHECKPOINT_SECONDS = 60


@dataclass(frozen=True)
class Session:
    """Where, how long and how often.

    Attributes:
        folder: of the run.
        steps: rounds at which training ends.
        seed: of the run.
        log_every: rounds between logged values.
        sample_every: rounds between sheets; None for 20 in the run.
        checkpoint_every: rounds between checkpoints; None for one a minute.
        images_per_round: real images that a round takes.
        fingerprint: of the data, see `checkpoint.save`.
        classes: names of the labels of the data.
        hyper_parameters: shown beside the curves.
        further_logs: programs that the run is logged for beside its own log.
        measure: name of the value by which the best checkpoint is chosen, where samples are measured.
    """

    folder: Path
    steps: int
    seed: int
    log_every: int
    sample_every: int | None
    checkpoint_every: int | None
    images_per_round: int
    fingerprint: str
    classes: tuple[str, ...]
    hyper_parameters: dict[str, Any]
    further_logs: Sequence[FurtherLog] = ()
    measure: str = callbacks.EVALUATED

    @property
    def metrics(self) -> Path:
        """The log of values."""
        return self.folder / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        """Folder of the sheets."""
        return self.folder / "samples"


# (lines of the log so far, saves the best checkpoint) -> callbacks that add measures and diagnoses to the values
Measures = Callable[[list[dict[str, Any]], Callable[[Task], None]], list[Callback]]


def train_session(
    task: Task,
    feed: AbstractContextManager[BatchSource],
    session: Session,
    schedule: Callback,
    measures: Measures,
    say: Callable[[str], None],
) -> None:
    """Train until `session.steps`, as the process that writes.

    Args:
        task: at the step from which it goes on.
        feed: its batches.
        session: where, how long and how often.
        schedule: gives the task the numbers of its step, see `training.schedule`.
        measures: see `Measures`.
        say: takes one line for the user at a time.

    Raises:
        Stopped: SIGINT or SIGTERM came; a checkpoint is saved.
        DataError: a batch cannot be had; a checkpoint is saved.
        NumericalError: NaN or infinity; the last good checkpoint stays.
        DiskError: the folder cannot be written.
    """
    make_folder(session.samples)
    earlier = read_metrics(session.metrics, task.step)
    _remove_later_sheets(session, task.step)
    if task.step == 0:
        _save_sheet(session, task)
    losses = [f"loss/{name}" for name in task.players]
    with ExitStack() as stack:
        log = stack.enter_context(metrics_log(session.metrics, task.step))
        further = [
            stack.enter_context(
                mirrored(
                    one.open(session.folder / one.folder, session.hyper_parameters, losses),
                    session.metrics,
                    session.samples,
                )
            )
            for one in session.further_logs
        ]
        stop = stack.enter_context(stop_on_signal())
        batches = stack.enter_context(feed)
        shown = stack.enter_context(progress(session.steps, task.step, say, session.measure))
        # In this order: values are completed, then written and shown. In `stop` the processes wait for each other.
        chain = [
            callbacks.rates(session.images_per_round),
            schedule,
            *measures(earlier, lambda task: _save_best(session, task)),
            log,
            _sheets(session),
            *further,
            shown,
            _checkpoints(session),
            stop,
        ]
        try:
            parallel.barrier()
            train(task, _or_checkpoint(batches, session, task), session.steps, session.seed, session.log_every, chain)
        except Stopped:
            save_checkpoint(session, task)
            parallel.barrier()
            raise


def follow_session(task: Task, feed: AbstractContextManager[BatchSource], session: Session, schedule: Callback) -> None:
    """Train until `session.steps` in step with the process that writes; arguments as for `train_session`."""
    with stop_on_signal() as stop, feed as batches:
        try:
            parallel.barrier()
            train(task, batches, session.steps, session.seed, session.log_every, [schedule, stop])
        except Stopped:
            # Process 0 saves now; once this process has ended, the launcher would give it three seconds.
            parallel.barrier()
            raise


def save_checkpoint(session: Session, task: Task) -> None:
    """Write a checkpoint, and the weights of every average for use elsewhere."""
    checkpoint.save(task, session.folder / "checkpoints", session.fingerprint, session.classes)
    for name, player in task.players.items():
        if player.average is not None:
            with atomic_path(session.folder / f"{name}.pdparams") as temporary:
                paddle.save(player.average.state_dict(), str(temporary))


def animate(folder: Path) -> None:
    """Write the sheets of a run as samples.gif, if there are any."""
    frames = sorted((folder / "samples").glob("step-*.png"))
    if frames:
        save_gif(folder / "samples.gif", frames)


def _save_best(session: Session, task: Task) -> None:
    checkpoint.save(task, make_folder(session.folder / "best"), session.fingerprint, session.classes, keep=1)


def _save_sheet(session: Session, task: Task) -> None:
    save_png(session.samples / f"step-{task.step:08d}.png", task.sheet(session.seed))


def _remove_later_sheets(session: Session, step: int) -> None:
    """Remove the sheets that an interrupted session drew after its last checkpoint."""
    for path in session.samples.glob("step-*.png"):
        if int(path.stem.removeprefix("step-")) > step:
            path.unlink()


def _sheets(session: Session) -> Callback:
    every = session.sample_every or max(1, session.steps // _SHEETS_IN_RUN)
    return callbacks.every(every, lambda task: _save_sheet(session, task), session.steps)


def _checkpoints(session: Session) -> Callback:
    def save(task: Task) -> None:
        save_checkpoint(session, task)

    if session.checkpoint_every:
        return callbacks.every(session.checkpoint_every, save, session.steps)
    return callbacks.every_seconds(CHECKPOINT_SECONDS, save, session.steps)


def _or_checkpoint(batches: BatchSource, session: Session, task: Task) -> BatchSource:
    """`batches`, but where a batch cannot be had, a checkpoint is saved first: nothing of its round has been done."""

    def batch(number: int) -> Any:
        try:
            return batches(number)
        except DataError:
            if task.step:
                save_checkpoint(session, task)
            raise

    return batch
