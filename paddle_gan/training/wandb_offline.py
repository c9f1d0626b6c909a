"""A run for Weights & Biases, offline: files in the run folder, and no connection to anywhere.

`wandb sync RUN/wandb/offline-run-*` sends them later, if the user wants that.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from paddle_gan.system.files import disk_errors, make_folder, writable_home
from paddle_gan.training.loop import Values
from paddle_gan.training.mirror import SAMPLES_TAG, Writer, bars, text_of

_RUNS = "offline-run-*"
# Read when the package is imported and by the process that it starts: no reports of its own errors, no words.
_ENVIRONMENT = {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}


@contextmanager
def wandb_writer(folder: Path, hyper_parameters: dict[str, Any], losses: list[str]) -> Iterator[Writer]:
    """Yields the writer of a new offline run in `folder`, which is called `wandb`; see `mirror.OpenWriter`.

    A run keeps its identifier through resumes, so a later `wandb sync` goes on with the same run.
    """
    os.environ.update(_ENVIRONMENT)
    with writable_home():
        import wandb  # type: ignore[import-not-found]

    make_folder(folder)
    older = sorted(folder.glob(_RUNS))
    identifier = older[-1].name.rpartition("-")[2] if older else None
    for one in older:
        shutil.rmtree(one)
    settings = wandb.Settings(
        mode="offline",
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
    )
    with (
        disk_errors(folder),
        wandb.init(
            project="paddle_gan",
            name=folder.absolute().parent.name,
            id=identifier,
            dir=folder.parent,
            config={
                name: text_of(value) if isinstance(value, str) else value for name, value in hyper_parameters.items()
            },
            settings=settings,
        ) as run,
    ):

        def add_values(step: int, seconds: float, values: Values) -> None:
            shown: dict[str, Any] = {"_timestamp": seconds}
            for name, value in values.items():
                if isinstance(value, list):
                    value = wandb.Histogram(np_histogram=(np.array(value), bars(value)[1]))
                shown[name] = value
            run.log(shown, step=step)

        def add_sheet(step: int, seconds: float, sheet: np.ndarray) -> None:
            run.log({SAMPLES_TAG: wandb.Image(sheet), "_timestamp": seconds}, step=step)

        yield Writer(add_values, add_sheet)
