"""The check of a folder before training: its report, and the images to look at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddle_gan.config.sizes import ImageSize
from paddle_gan.datasets.fitting import Sides
from paddle_gan.datasets.folder import (
    DEFAULTS,
    FolderOptions,
    Opened,
    check_unreadable,
    images_of,
    labels_of,
    survey_folder,
)
from paddle_gan.datasets.image_set import DiskImages
from paddle_gan.datasets.labels import Labels
from paddle_gan.datasets.report import ODDITIES, lines, report
from paddle_gan.errors import DataError

# Images of each section of the contact sheet.
_SAMPLES, _ODD = 32, 8
_GROUPS = ("duplicates", "near_duplicates")


@dataclass(frozen=True)
class Checked:
    """What was found out about a folder.

    Attributes:
        said: the report, see `report.report`.
        lines: the same in words.
        refusal: why training would end before it begins; None if it would not.
        sections: of the contact sheet: a title, and images as the network sees them, uint8 [n, H, W, C].
    """

    said: dict[str, Any]
    lines: list[str]
    refusal: DataError | None
    sections: list[tuple[str, np.ndarray]]


def check_folder(
    path: Path,
    size: ImageSize | Sides,
    channels: int | None = None,
    options: FolderOptions = DEFAULTS,
    *,
    with_images: bool = True,
) -> Checked:
    """Open every image file in a folder or a zip file and say what training would do with it.

    Args:
        path: of the folder or the zip file.
        size, channels, options: as of a training run, see `folder.open_folder`.
        with_images: whether images are read for the contact sheet.

    Raises:
        DataError: there is no such folder, it holds no images, or its CSV file cannot be used.
    """
    opened = survey_folder(path, size, channels, options, with_pixels=True)
    labels, remark = _labels(opened, options)
    refusal = None
    try:
        check_unreadable(opened, options)
    except DataError as error:
        refusal = error
    said = report(opened.found, opened.stored, opened.form, labels, skipped=refusal is None)
    said["notices"] += remark
    sections = _sections(opened, said) if with_images and opened.readable else []
    return Checked(said, lines(said, opened.form, opened.found, opened.stored), refusal, sections)


def _labels(opened: Opened, options: FolderOptions) -> tuple[Labels | None, list[str]]:
    """The classes that --conditional would take, if there are any, and what is to be said about them."""
    names = [one.name for one in opened.readable]
    outside = sum("/" not in name for name in names)
    if options.labels or (names and not outside):
        return labels_of(opened.found, names, options), []
    if outside < len(names):
        return None, [f"{outside} images lie in no sub-folder, so --conditional cannot take classes from the folders"]
    return None, []


def _sections(opened: Opened, said: dict[str, Any]) -> list[tuple[str, np.ndarray]]:
    names = [one.name for one in opened.readable]
    chosen = np.unique(np.linspace(0, len(names) - 1, min(_SAMPLES, len(names))).round().astype(int))
    shown = {"samples": [names[place] for place in chosen]}
    shown |= {name: said[name][:_ODD] for name in ODDITIES if said[name]}
    shown |= {name: [one for group in said[name] for one in group][:_ODD] for name in _GROUPS if said[name]}
    count = {name: sum(map(len, said[name])) if name in _GROUPS else len(said[name]) for name in shown if name in said}
    return [
        (f"{name.replace('_', ' ')}: {count.get(name, len(names))}", _pixels(images_of(opened, shown[name])))
        for name in shown
    ]


def _pixels(images: DiskImages) -> np.ndarray:
    return images[:].transpose(0, 2, 3, 1)
