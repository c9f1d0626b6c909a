"""A further form of a run's log: the values of logged rounds and the sample sheets, for a program that shows them.

Its files are made anew at every start from the log and the sheets, which are the originals: so curves go on through a
resume, and no step appears twice. Not about any of these programs: each has a module of its own, with a `Writer`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from paddle_gan.training.log import read_metrics
from paddle_gan.training.loop import Callback, Values
from paddle_gan.training.task import Task

# In a line of the log, but no values.
_NOT_VALUES = ("step", "time", "seconds")
SAMPLES_TAG = "samples"


@dataclass(frozen=True)
class Writer:
    """Writes what is to be shown; steps never become smaller.

    Attributes:
        values: takes step, time in seconds since 1970, and the values of a round.
        sheet: takes step, time, and a sample sheet, uint8 [H, W, 3].
    """

    values: Callable[[int, float, Values], None]
    sheet: Callable[[int, float, np.ndarray], None]


# (folder for the files, hyper-parameters, names of the losses to compare them by) -> the writer, within the block
OpenWriter = Callable[[Path, dict[str, Any], list[str]], AbstractContextManager[Writer]]


@contextmanager
def mirrored(writer: AbstractContextManager[Writer], metrics: Path, samples: Path) -> Iterator[Callback]:
    """Yields a callback that writes the values of logged rounds, and new sample sheets.

    Args:
        writer: of a program; what it wrote before is gone.
        metrics: the log of `log.metrics_log`.
        samples: folder of the sheets, `step-*.png`.
    """
    known: set[int] = set()

    def write(opened: Writer, step: int, seconds: float, values: Values) -> None:
        # A sheet that was drawn between two logged rounds comes before the values of the second one.
        for path in sorted(samples.glob("step-*.png")):
            drawn = int(path.stem.removeprefix("step-"))
            if drawn <= step and drawn not in known:
                opened.sheet(drawn, seconds, np.asarray(Image.open(path)))
                known.add(drawn)
        opened.values(step, seconds, values)

    with writer as opened:
        for line in read_metrics(metrics):
            values = {name: value for name, value in line.items() if name not in _NOT_VALUES}
            write(opened, line["step"], line["time"], values)

        def callback(task: Task, values: Values | None) -> None:
            if values:
                write(opened, task.step, time.time(), values)

        yield callback


def text_of(value: Any) -> str:
    """A hyper-parameter as text that is valid UTF-8, which names of files may not be."""
    return str(value).encode(errors="backslashreplace").decode()


def bars(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Counts of classes as a histogram: classes, each so many times, and edges with a bar for each class."""
    return np.repeat(np.arange(len(counts)), counts), np.arange(len(counts) + 1) - 0.5
