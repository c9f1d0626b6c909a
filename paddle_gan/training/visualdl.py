"""A run for VisualDL: curves, histograms of classes, diagnoses, sample sheets, hyper-parameters."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from paddle_gan.system.files import disk_errors, make_folder, writable_home
from paddle_gan.training.loop import Values
from paddle_gan.training.mirror import SAMPLES_TAG, Writer, bars, text_of

_FILE = "vdlrecords.paddle_gan.log"
_FLUSH_SECONDS = 10


@contextmanager
def visualdl_writer(folder: Path, hyper_parameters: dict[str, Any], losses: list[str]) -> Iterator[Writer]:
    """Yields the writer of a new record file in `folder`; see `mirror.OpenWriter`."""
    with writable_home():
        from visualdl import LogWriter

    make_folder(folder)
    (folder / _FILE).unlink(missing_ok=True)
    shown = {name: _shown(value) for name, value in hyper_parameters.items()}
    with (
        disk_errors(folder),
        _utf8_path(folder) as path,
        LogWriter(path, file_name=_FILE, flush_secs=_FLUSH_SECONDS) as writer,
    ):
        writer.add_hparams(hparams_dict=shown, metrics_list=losses)

        def add_values(step: int, seconds: float, values: Values) -> None:
            milliseconds = round(seconds * 1000)
            for name, value in values.items():
                if isinstance(value, str):
                    writer.add_text(name, value, step, walltime=milliseconds)
                elif isinstance(value, list):
                    classes, edges = bars(value)
                    writer.add_histogram(name, classes, step, milliseconds, buckets=edges)  # type: ignore[arg-type]
                else:
                    writer.add_scalar(name, value, step, walltime=milliseconds)

        def add_sheet(step: int, seconds: float, sheet: np.ndarray) -> None:
            writer.add_image(SAMPLES_TAG, sheet, step, walltime=round(seconds * 1000))

        yield Writer(add_values, add_sheet)


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
    """A hyper-parameter in a form that VisualDL takes."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return text_of(value)
