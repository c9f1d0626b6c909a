"""The classes of a folder's images: from the folders they lie in, or from a CSV file."""

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paddle_gan.datasets.found import Found, is_image
from paddle_gan.errors import DataError

_SHOWN = 5
_MOST_BYTES = 1 << 30


class Labels(NamedTuple):
    """The class of each image that has one.

    Attributes:
        classes: names of the classes in natural order.
        of_name: the number of the class by the name of the image.
        notices: what the user should know.
    """

    classes: tuple[str, ...]
    of_name: dict[str, int]
    notices: tuple[str, ...] = ()


def natural(name: str) -> tuple:
    """A key that sorts 2 before 10, and class-2 before class-10."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts), name


def labels_from_folders(found: Found, names: Sequence[str]) -> Labels:
    """The folders directly below the data are the classes.

    Raises:
        DataError: an image lies in none.
    """
    for name in names:
        if "/" not in name:
            raise DataError(
                f"{found.shown(name)}: --conditional takes the class of an image from its sub-folder, "
                "but this image is in no sub-folder; --labels FILE takes the classes from a CSV file"
            )
    return _numbered({name: name.split("/")[0] for name in names})


def labels_from_file(path: Path, found: Found, names: Sequence[str]) -> Labels:
    """The classes in a CSV file: a line `file,label` for each image, with or without a header.

    The names of files are relative to the data. Semicolons and tabs separate too.

    Raises:
        DataError: the file cannot be read, a line has another form, an image has several labels, or none of the images
            is listed.
    """
    known, there, listed = set(names), set(found.entries), dict[str, str]()
    missing = []
    for number, (file, label) in enumerate(_rows(path)):
        name = os.path.normpath(file.strip().replace("\\", "/")).removeprefix("/")
        label = label.strip()
        if number == 0 and name not in there and not is_image(name):
            continue  # the header
        if not label:
            raise DataError(f"--labels {path}: {name} has an empty label")
        if listed.setdefault(name, label) != label:
            raise DataError(
                f"--labels {path}: {name} has the labels {listed[name]} and {label}; an image has one class here"
            )
        if name not in there:
            missing.append(name)
    labels = _numbered({name: listed[name] for name in names if name in listed})
    if not labels.of_name:
        example = f"it lists {_named(missing)}; " if missing else ""
        raise DataError(
            f"--labels {path}: lists none of the images in {found.path}; {example}there are {_named(sorted(known))}"
        )
    unlisted = [name for name in names if name not in listed]
    notices = []
    if unlisted:
        notices.append(f"left out, since {path.name} gives them no label: {_named(unlisted)}")
    if missing:
        notices.append(f"{path.name} lists files that are not among the images: {_named(missing)}")
    return labels._replace(notices=tuple(notices))


def _rows(path: Path) -> list[list[str]]:
    """The lines of a CSV file as two cells each."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"--labels {path}: the file is larger than {_MOST_BYTES >> 30} GiB")
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"--labels {path}: cannot be read ({error.strerror})") from error
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter, strict=True) if any(map(str.strip, row))]
    except csv.Error as error:
        raise DataError(f"--labels {path}: is no CSV file ({error})") from error
    for number, row in enumerate(rows, 1):
        if len(row) != 2:
            raise DataError(f"--labels {path}: row {number} has {len(row)} cells and not two, a file and its label")
    return rows


def _numbered(labels: dict[str, str]) -> Labels:
    classes = tuple(sorted(set(labels.values()), key=natural))
    numbers = {name: number for number, name in enumerate(classes)}
    return Labels(classes, {name: numbers[label] for name, label in labels.items()})


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(name if name.isprintable() else ascii(name) for name in names[:_SHOWN])}{more}"


def as_array(labels: Labels, names: Sequence[str]) -> np.ndarray:
    """The labels of these images, int64 [N]."""
    return np.array([labels.of_name[name] for name in names], np.int64)
