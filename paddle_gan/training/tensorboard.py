"""A run for TensorBoard: curves, histograms of classes, diagnoses, sample sheets, options.

Written by tensorboardX, a small package that needs neither TensorFlow nor PyTorch nor TensorBoard itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from paddle_gan.system.files import disk_errors, make_folder
from paddle_gan.training.loop import Values
from paddle_gan.training.mirror import SAMPLES_TAG, Writer, bars, text_of

_FILES = "events.out.tfevents.*"
_FLUSH_SECONDS = 10


@contextmanager
def tensorboard_writer(folder: Path, hyper_parameters: dict[str, Any], losses: list[str]) -> Iterator[Writer]:
    """Yields the writer of a new event file in `folder`; see `mirror.OpenWriter`. TensorBoard compares all curves."""
    from tensorboardX import SummaryWriter  # type: ignore[import-not-found]

    make_folder(folder)
    for older in folder.glob(_FILES):
        older.unlink()
    with disk_errors(folder), SummaryWriter(str(folder), flush_secs=_FLUSH_SECONDS) as writer:
        rows = [f"| {name} | {_cell(value)} |" for name, value in hyper_parameters.items()]
        writer.add_text("options", "\n".join(["| option | value |", "|---|---|", *rows]), 0)

        def add_values(step: int, seconds: float, values: Values) -> None:
            for name, value in values.items():
                if isinstance(value, str):
                    writer.add_text(name, value, step, walltime=seconds)
                elif isinstance(value, list):
                    classes, edges = bars(value)
                    writer.add_histogram(name, classes, step, bins=edges, walltime=seconds)  # type: ignore[arg-type]
                else:
                    writer.add_scalar(name, value, step, walltime=seconds)

        def add_sheet(step: int, seconds: float, sheet: np.ndarray) -> None:
            writer.add_image(SAMPLES_TAG, sheet, step, walltime=seconds, dataformats="HWC")

        yield Writer(add_values, add_sheet)


def _cell(value: Any) -> str:
    return text_of(value).replace("|", "\\|")
