"""The classes of a folder's images: from the folders they lie in, or from a CSV file."""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paddle_gan.datasets.found import Found, is_image, shown
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
    labels = _numbered({name: name.split("/")[0] for name in names})
    lost = sorted((found.folders | {name.split("/")[0] for name in found.entries}) - set(labels.classes), key=natural)
    notices = (f"no classes, since they hold no image that can be used: {named(lost)}",) if lost else ()
    return labels._replace(notices=notices)


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
            raise DataError(f"--labels {path}: {shown(name)} has an empty label")
        if listed.setdefault(name, label) != label:
            raise _several(path, name, [listed[name], label])
        if name not in there:
            missing.append(name)
    _refuse_lists(path, listed)
    labels = _numbered({name: listed[name] for name in names if name in listed})
    if not labels.of_name:
        example = f"it lists {named(missing)}; " if missing else ""
        raise DataError(
            f"--labels {path}: lists none of the images in {found.path}, relative to which it names files; "
            f"{example}there are {named(sorted(known))}"
        )
    unlisted = [name for name in names if name not in listed]
    notices = []
    if unlisted:
        notices.append(f"left out, since {path.name} gives them no label: {named(unlisted)}")
    if missing:
        notices.append(f"{path.name} lists files that are not among the images: {named(missing)}")
    lost = sorted(set(listed.values()) - set(labels.classes), key=natural)
    if lost:
        notices.append(f"no classes, since none of their images in {path.name} can be used: {named(lost)}")
    return labels._replace(notices=tuple(notices))


def _refuse_lists(path: Path, listed: dict[str, str]) -> None:
    """Raise a DataError for a label such as cat|dog whose parts are classes too, or stand in other such labels."""
    parts = {label: [part.strip() for part in re.split(r"[,;|]", label)] for label in listed.values()}
    uses = Counter(part for each in parts.values() for part in set(each))
    for name, label in listed.items():
        if len(parts[label]) > 1 and all(part in parts or uses[part] > 1 for part in parts[label]):
            raise _several(path, name, parts[label])


def _several(path: Path, name: str, labels: Sequence[str]) -> DataError:
    both = " and ".join(map(shown, labels))
    return DataError(f"--labels {path}: {shown(name)} has the labels {both}; an image has one class here")


def _rows(path: Path) -> list[list[str]]:
    """The lines of a CSV file as two cells each."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"--labels {path}: the file is larger than {_MOST_BYTES >> 30} GiB")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"--labels {path}: cannot be read ({error.strerror})") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:1000]:
        raise DataError(f"--labels {path}: is in UTF-16 or another encoding with zero bytes; save it in UTF-8")
    text = content.decode("utf-8-sig", "surrogateescape")
    first = next((line for line in re.split("[\r\n]+", text) if line.strip()), "")
    delimiter = max(",;\t", key=re.sub('"[^"]*"', "", first).count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = [row for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise DataError(f"--labels {path}: is no CSV file ({error})") from error
    for number, row in enumerate(rows, 1):
        if len(row) != 2:
            raise DataError(f"--labels {path}: row {number} has {len(row)} cells and not two: a file and its one class")
    return rows


def _numbered(labels: dict[str, str]) -> Labels:
    classes = tuple(sorted(set(labels.values()), key=natural))
    numbers = {name: number for number, name in enumerate(classes)}
    return Labels(classes, {name: numbers[label] for name, label in labels.items()})


def named(names: Sequence[str]) -> str:
    """The first of these names, and the number of the others."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(map(shown, names[:_SHOWN]))}{more}"


def as_array(labels: Labels, names: Sequence[str]) -> np.ndarray:
    """The labels of these images, int64 [N]."""
    return np.array([labels.of_name[name] for name in names], np.int64)
