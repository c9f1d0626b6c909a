"""The log of a training run as a file: one line of JSON for each logged round."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paddle_gan.system.files import disk_errors, write_text
from paddle_gan.training.loop import Callback, Values
from paddle_gan.training.task import Task


@contextmanager
def metrics_log(path: Path, step: int) -> Iterator[Callback]:
    """Yields a callback that appends a line of JSON with the values of each logged round to `path`.

    Lines that an interrupted session wrote after the checkpoint at `step` are removed first, so that every step stands
    there once. `seconds` counts the time of all sessions of the training run.
    """
    earlier = read_metrics(path, step)
    write_text(path, "".join(json.dumps(line) + "\n" for line in earlier))
    start = time.time() - (earlier[-1]["seconds"] if earlier else 0.0)
    with disk_errors(path), open(path, "a", encoding="utf-8", newline="\n") as file:

        def callback(task: Task, values: Values | None) -> None:
            if values:
                now = time.time()
                line = {"step": task.step, "time": round(now, 3), "seconds": round(now - start, 3), **values}
                file.write(json.dumps(line) + "\n")
                file.flush()

        yield callback


def read_metrics(path: Path, last_step: int | None = None) -> list[dict[str, Any]]:
    """The lines of a metrics log up to `last_step`; a last line that was cut off is left out."""
    lines = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if last_step is None or line["step"] <= last_step:
                lines.append(line)
    return lines
