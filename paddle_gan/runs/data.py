"""The data of a run: what its options mean for a folder of images, and what a folder means for its options."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from paddle_gan.config.shared import most_unreadable
from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import DATASETS, ImageSet
from paddle_gan.datasets.folder import FolderOptions
from paddle_gan.datasets.found import shown
from paddle_gan.datasets.image_set import all_alike, brightest, in_class_order
from paddle_gan.errors import CheckpointError
from paddle_gan.runs.folder import read_config, run_folder
from paddle_gan.runs.resolve import RunOptions
from paddle_gan.system import parallel
from paddle_gan.training import checkpoint

# Images whose values are all below this show next to nothing.
_LEAST_WHITE = 16


def folder_options(config: TrainConfig) -> FolderOptions:
    """How the folder of a run becomes its data."""
    return FolderOptions(
        fit=config.fit,
        labels=Path(config.labels) if config.labels else None,
        skip_unreadable=most_unreadable(config.skip_unreadable),
        val_fraction=config.val_fraction,
        seed=config.seed,
        run=Path(config.out) if config.out else None,
    )


def with_channels_of_run(given: TrainConfig, config: RunOptions) -> TrainConfig:
    """The options with the channels of the run that exists already, if they are not given.

    Otherwise they follow from the images, see `open_folder`; in older versions colour was the default.

    Args:
        given: as the user wrote them.
        config: the same, filled in.
    """
    folder = run_folder(config)
    if given.channels or given.dataset in DATASETS or not (folder / "config.json").exists():
        return given
    return replace(given, channels=read_config(folder).channels)


def with_classes_of_run(data: ImageSet, folder: Path, say: Callable[[str], None]) -> ImageSet:
    """The data with its classes numbered as in the run's checkpoints, which an older version wrote in another order."""
    if data.labels is None:
        return data
    try:
        classes = list(checkpoint.read_newest(folder / "checkpoints", lambda line: None).classes)
    except CheckpointError:  # the run has none yet, or it says so when it is restored
        classes = []
    classes = tuple(json.loads(parallel.broadcast_text(json.dumps(classes))))
    ordered = in_class_order(data, classes)
    if ordered is not data:
        numbers = ", ".join(shown(f"{number} {name}") for number, name in enumerate(ordered.classes))
        say(f"notice: this run goes on with its own numbers of the classes: {numbers}")
    return ordered


def data_notices(data: ImageSet) -> list[str]:
    """What is to be said about the images before training."""
    notices = [*data.notices]
    if all_alike(data):
        notices.append(f"all {len(data)} images of {data.name} are the same")
    white = brightest(data)
    if white is not None and white < _LEAST_WHITE:
        notices.append(
            f"the images of {data.name} are nearly black, with values up to {white} of 255; spread numbers of classes, "
            "as in masks, over this range"
        )
    return notices
