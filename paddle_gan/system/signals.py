"""SIGINT (Ctrl-C) and SIGTERM (a scheduler) end a training run at the end of a round, so that it can be saved."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

from paddle_gan.errors import GanError
from paddle_gan.system import parallel


class HasStep(Protocol):
    """Anything with a number of rounds played, such as a task."""

    step: int


# Called after every round with what is trained and, in rounds that are logged, their values; else None.
Callback = Callable[[HasStep, object], None]
# The launcher of several processes sends its signal three times in a row.
_LAUNCHER_REPEATS_SECONDS = 1.0


class Stopped(GanError):
    """The user or the system asked the training run to end. As in a shell, the status is 128 + the signal's number."""

    def __init__(self, number: int, step: int):
        super().__init__(
            f"stopped at step {step} by {signal.Signals(number).name}; the same command goes on from there"
        )
        self.exit_status = 128 + number


@contextmanager
def stop_on_signal() -> Iterator[Callback]:
    """Yield a callback that raises `Stopped` after the round in which a signal came to any process of the training run.

    All processes wait for each other in the callback, so it must be the last one of every round. A second signal does
    at once what it would have done before this block: in a notebook it interrupts the cell, and in a command it ends
    the process. Python delivers signals to the main thread only; in another thread the callback raises nothing.

    Enter this block after Paddle was imported: Paddle's import sets signal handlers of its own.
    """
    received, received_at = 0, 0.0
    previous: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal received, received_at
        if received:
            if parallel.world_size() == 1 or time.monotonic() > received_at + _LAUNCHER_REPEATS_SECONDS:
                _do_at_once(previous[number], number, frame)
            return
        received, received_at = number, time.monotonic()
        # Not `print`: the signal may have interrupted another `print`.
        os.write(2, b"stopping after this step; press again to end at once\n")

    def callback(trained: HasStep, values: object) -> None:
        if parallel.any_process(received > 0):
            raise Stopped(received or signal.SIGTERM, trained.step)

    if threading.current_thread() is not threading.main_thread():
        yield callback
        return
    for number in previous:
        signal.signal(number, handler)
    try:
        yield callback
    finally:
        for number, old_handler in previous.items():
            signal.signal(number, old_handler)


def _do_at_once(handler: Any, number: int, frame: FrameType | None) -> None:
    """What a signal does by its handler, a function or one of Python's constants."""
    if callable(handler):
        handler(number, frame)
        return
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
