"""The log of a training run for VisualDL: curves, histograms of classes, diagnoses, sample sheets, hyper-parameters."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from paddle_gan.system.files import disk_errors, make_folder, writable_home
from paddle_gan.training.log import read_metrics
from paddle_gan.training.loop import Callback, Values
from paddle_gan.training.task import Task

_FILE = "vdlrecords.paddle_gan.log"
_SAMPLES_TAG = "samples"
_FLUSH_SECONDS = 10


@contextmanager
def visualdl_log(
    folder: Path, metrics: Path, samples: Path, hyper_parameters: dict[str, Any], losses: list[str]
) -> Iterator[Callback]:
    """Yields a callback that writes the values of logged rounds, and new sample sheets, for VisualDL.

    Its record file is made anew at every start from `metrics` and `samples`, which are the originals: so curves go on
    through a resume, and no step appears twice.

    Args:
        folder: where VisualDL looks.
        metrics: the log of `log.metrics_log`.
        samples: folder of the sheets, `step-*.png`.
        hyper_parameters: shown beside the losses.
        losses: names of the values that hyper-parameters are compared by.
    """
    with writable_home():
        from visualdl import LogWriter

    make_folder(folder)
    (folder / _FILE).unlink(missing_ok=True)
    shown = {name: _shown(value) for name, value in hyper_parameters.items()}
    pictures: set[Path] = set()
    with (
        disk_errors(folder),
        _utf8_path(folder) as path,
        LogWriter(path, file_name=_FILE, flush_secs=_FLUSH_SECONDS) as writer,
    ):
        writer.add_hparams(hparams_dict=shown, metrics_list=losses)
        for line in read_metrics(metrics):
            values = {name: value for name, value in line.items() if name not in ("step", "time", "seconds")}
            _add_values(writer, line["step"], line["time"], values)
        _add_new_pictures(writer, samples, pictures)

        def callback(task: Task, values: Values | None) -> None:
            if values:
                _add_values(writer, task.step, time.time(), values)
                _add_new_pictures(writer, samples, pictures)

        yield callback


@contextmanager
def _utf8_path(folder: Path) -> Iterator[str]:
    """A path of the folder in valid UTF-8, which VisualDL needs: its own, or that of a link to it."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as temporary:
            link = Path(temporary) / "run"
            link.symlink_to(folder.absolute(), target_is_directory=True)
            yield str(link)
    else:
        yield str(folder)


def _shown(value: Any) -> int | float | str:
    """A hyper-parameter in a form that VisualDL takes. Names of files may be no valid UTF-8."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return str(value).encode(errors="backslashreplace").decode()


def _add_values(writer: Any, step: int, seconds: float, values: Values) -> None:
    milliseconds = round(seconds * 1000)
    for name, value in values.items():
        if isinstance(value, str):
            writer.add_text(name, value, step, walltime=milliseconds)
        elif isinstance(value, list):
            classes = np.arange(len(value))
            edges = np.arange(len(value) + 1) - 0.5  # one bar for each class, also where it is empty
            writer.add_histogram(name, np.repeat(classes, value), step, milliseconds, buckets=edges)
        else:
            writer.add_scalar(name, value, step, walltime=milliseconds)


def _add_new_pictures(writer: Any, samples: Path, known: set[Path]) -> None:
    for path in sorted(set(samples.glob("step-*.png")) - known):
        writer.add_image(_SAMPLES_TAG, np.asarray(Image.open(path)), int(path.stem.removeprefix("step-")))
        known.add(path)
