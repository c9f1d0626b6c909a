"""Ending a run on SIGINT (Ctrl-C) and SIGTERM (a scheduler) at the end of a round, so that it can be saved."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from paddle_gan.errors import GanError
from paddle_gan.system import parallel


class Steps(Protocol):
    """What counts its steps."""

    step: int


# (what is trained, the values of a logged round or None), called after every round
Callback = Callable[[Steps, object], None]
# The launcher of several processes sends its signal three times in a row.
_LAUNCHER_REPEATS_SECONDS = 1.0


class Stopped(GanError):
    """The user or the system asked the run to end; its status is the shell's, 128 + the signal's number."""

    def __init__(self, number: int, step: int):
        super().__init__(
            f"stopped at step {step} by {signal.Signals(number).name}; the same command goes on from there"
        )
        self.exit_status = 128 + number


@contextmanager
def stop_on_signal() -> Iterator[Callback]:
    """Yields a callback that raises `Stopped` after the round in which a signal came, to this process or another of its job.

    It is the place where those wait for each other, so it is to be called last in every round. A second signal ends the process at once. Outside the main thread, where Python has no signals,
    the callback never raises. Must be entered after Paddle was imported, which sets handlers of its own.
    """
    received, since = 0, 0.0

    def handler(number: int, frame: object) -> None:
        nonlocal received, since
        if received:
            if parallel.world_size() == 1 or time.monotonic() > since + _LAUNCHER_REPEATS_SECONDS:
                os._exit(128 + number)
            return
        received, since = number, time.monotonic()
        # Not print: the signal may have come in the middle of one.
        os.write(2, b"stopping after this step; press again to end at once\n")

    def callback(state: Steps, values: object) -> None:
        if parallel.meet(stop=received > 0):
            raise Stopped(received or signal.SIGTERM, state.step)

    if threading.current_thread() is not threading.main_thread():
        yield callback
        return
    previous = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield callback
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
