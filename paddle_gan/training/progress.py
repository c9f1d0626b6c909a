"""The progress of a training run for its user: a bar on a terminal or in a notebook, else a plain line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from paddle_gan.system.notebook import changing_line, in_notebook
from paddle_gan.training.callbacks import EVALUATED
from paddle_gan.training.loop import Callback, Values
from paddle_gan.training.task import Task

_PLAIN_LINE_SECONDS = 10
_NOTEBOOK_LINE_SECONDS = 0.5
# Width in a notebook, in characters.
_NOTEBOOK_COLUMNS = 110


@contextmanager
def progress(total: int, done: int, say: Callable[[str], None], measure: str = EVALUATED) -> Iterator[Callback]:
    """Yields a callback that shows the step, the losses, the last measured distance, and every diagnosis in full.

    Args:
        total: step at which training ends.
        done: step at which it starts.
        say: takes a line: a diagnosis, or, where stderr is not a terminal, the state of the run.
        measure: the value that counts as the distance.
    """
    if in_notebook():
        yield _changing_line(total, done, say, measure)
        return
    if not sys.stderr.isatty():
        yield _lines(total, done, say, measure)
        return
    from tqdm import tqdm

    describe = _description(measure)
    with tqdm(total=total, initial=done, unit="step", dynamic_ncols=True, smoothing=0.05) as bar:

        def callback(task: Task, values: Values | None) -> None:
            bar.update()
            if values:
                bar.set_postfix_str(describe(task, values))
                with tqdm.external_write_mode():  # the lines stand above the bar
                    for line in _diagnoses(values, task.step):
                        say(line)

        yield callback


def _changing_line(total: int, done: int, say: Callable[[str], None], measure: str) -> Callback:
    """Shows one line in a notebook, which changes twice a second at most; says every diagnosis."""
    from tqdm import tqdm

    describe, show, start, due, text = _description(measure), changing_line(), time.monotonic(), 0.0, ""

    def callback(task: Task, values: Values | None) -> None:
        nonlocal due, text
        if values:
            text = describe(task, values)
            for line in _diagnoses(values, task.step):
                say(line)
        now = time.monotonic()
        if now >= due or task.step == total:
            due = now + _NOTEBOOK_LINE_SECONDS
            bar = tqdm.format_meter(
                task.step, total, now - start, _NOTEBOOK_COLUMNS, unit="step", postfix=text, initial=done
            )
            show(bar)

    return callback


def _lines(total: int, done: int, say: Callable[[str], None], measure: str) -> Callback:
    """Says a line for a logged round, one every ten seconds at most, and for the last."""
    describe, start, due = _description(measure), time.monotonic(), 0.0

    def callback(task: Task, values: Values | None) -> None:
        nonlocal due
        if not values:
            return
        for line in _diagnoses(values, task.step):
            say(line)
        now, text = time.monotonic(), describe(task, values)
        if now >= due or task.step == total:
            due = now + _PLAIN_LINE_SECONDS
            left = _duration((now - start) / (task.step - done) * (total - task.step))
            speed = values["speed/images_per_second"]
            say(f"step {task.step}/{total}  {text}  {speed:.0f} images/s  {left} left")

    return callback


def _description(measure: str) -> Callable[[Task, Values], str]:
    """Makes a function of the values to their losses, and to the distance that was measured last."""
    distance = None

    def describe(task: Task, values: Values) -> str:
        nonlocal distance
        if measure in values:
            distance = values[measure]
        names = [name for name in task.players if f"loss/{name}" in values]
        short = {name: name[0].upper() for name in names}
        if len(set(short.values())) < len(names):
            short = {name: name for name in names}
        losses = "  ".join(f"{short[name]} {values[f'loss/{name}']:.3f}" for name in names)
        return losses if distance is None else f"{losses}  distance {distance:.4g}"

    return describe


def _diagnoses(values: Values, step: int) -> list[str]:
    return [f"notice: step {step}: {value}" for name, value in values.items() if name.startswith("diagnosis/")]


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
