"""A folder of the user's own images, or a zip file of them, as a data set.

What lies there is found (`found`, `zipped`), every file is opened once (`survey`), the result is kept (`store`), and
images and labels are put together here.
"""

import hashlib
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from paddle_gan.config.sizes import ImageSize, sides
from paddle_gan.datasets import decode
from paddle_gan.datasets.decode import GREY_MODES
from paddle_gan.datasets.fitting import Sides, to_pixels
from paddle_gan.datasets.found import EXTENSIONS, Found, find_in_folder, not_a_folder
from paddle_gan.datasets.image_set import DiskImages, ImageSet, all_failures, in_memory
from paddle_gan.datasets.labels import Labels, as_array, labels_from_file, labels_from_folders, named
from paddle_gan.datasets.report import KEEP_ALPHA, notices_of
from paddle_gan.datasets.store import Form, Stored, known
from paddle_gan.datasets.survey import Facts, ranges_of
from paddle_gan.datasets.unreadable import Unreadable, unreadable
from paddle_gan.datasets.zipped import find_in_zip
from paddle_gan.errors import DataError

# Share of the files that are skipped without a word from the user if they cannot be read.
_SKIPPED = 0.01
# Images that measures need.
LEAST_HELD_OUT = 6


@dataclass(frozen=True)
class FolderOptions:
    """How a folder becomes a data set.

    Attributes:
        fit: a key of `fitting.FITS`, for images of other proportions.
        labels: CSV file of the classes; None for the sub-folders.
        skip_unreadable: most files that may be unreadable; None for 1 % of all.
        val_fraction: share of the images that are held out from training, for the measures.
        seed: of the choice of these images.
        run: folder of the training run, which is left out.
    """

    fit: str = "crop"
    labels: Path | None = None
    skip_unreadable: int | None = None
    val_fraction: float = 0.0
    seed: int = 0
    run: Path | None = None


DEFAULTS = FolderOptions()


@dataclass(frozen=True)
class Opened:
    """A folder whose files were opened, before images are chosen.

    Attributes:
        found: what lies there.
        stored: what is known of the images.
        form: of the pixels, with its channels.
    """

    found: Found
    stored: Stored
    form: Form

    @property
    def readable(self) -> list[Facts]:
        """The facts of the images that can be read."""
        return [one for one in self.stored.facts if not one.problem]


def _sides(size: ImageSize | Sides) -> Sides:
    return sides(size) if isinstance(size, int | str) else size


def survey_folder(
    path: Path,
    size: ImageSize | Sides,
    channels: int | None,
    options: FolderOptions = DEFAULTS,
    *,
    with_pixels: bool = False,
) -> Opened:
    """Open every image file in a folder or a zip file, or take what is known from an earlier start.

    Args:
        path: of the folder or the zip file.
        size: see `open_folder`.
        channels: 1, 3 or 4; None for 1 if all images are grey, else 3.
        options: see FolderOptions.
        with_pixels: whether decoded pixels are kept for training.

    Raises:
        DataError: there is no such folder, or it holds no images.
    """
    return _survey(find(path, options.run), size, channels, options, with_pixels)


def _survey(
    found: Found, size: ImageSize | Sides, channels: int | None, options: FolderOptions, with_pixels: bool
) -> Opened:
    form = Form(_sides(size), channels, options.fit)
    stored = known(found, form, with_pixels)
    return Opened(found, stored, replace(form, channels=stored.channels))


def find(path: Path, run: Path | None = None) -> Found:
    """The images in a folder or a zip file, at least one; arguments and errors are those of `found.find_in_folder`."""
    if os.path.isdir(path):  # Path.is_dir raises an error if a parent folder may not be entered
        found = find_in_folder(path, run)
    elif os.path.isfile(path) and zipfile.is_zipfile(path):
        found = find_in_zip(path)
    else:
        raise not_a_folder(path)
    if not found.entries:
        raise DataError(
            f"{path}: no images in it or below it (known extensions: {' '.join(sorted(EXTENSIONS))})"
            + "".join(f"; {sentence}" for sentence in found.left_out.sentences())
        )
    return found


def open_folder(
    path: Path,
    size: ImageSize | Sides,
    channels: int | None,
    *,
    labelled: bool = False,
    options: FolderOptions = DEFAULTS,
    held_out: bool = False,
    stored: bool = False,
) -> ImageSet:
    """The images of a folder or a zip file, which stay on the disk.

    The fingerprint is a hash of the names and sizes of the files that are used, so a copy of the folder in another
    place has the same one. It does not change if the content of an image changes and its size in bytes does not.

    Args:
        path: of the folder or the zip file.
        size: in pixels, as in the options or as (height, width).
        channels: 1 (grey), 3 (RGB) or 4 (RGB and alpha); None for 1 if all images are grey, else 3.
        labelled: whether labels are needed.
        options: see FolderOptions.
        held_out: whether the images that training does not see are taken, instead of those that it sees.
        stored: whether the pixels are decoded once and kept, instead of being decoded from the files when they are
            needed.

    Raises:
        DataError: no images, too many unreadable ones, a folder that cannot be read, or images without a class. Later,
            an image that cannot be read any more raises it too.
    """
    found = find(path, options.run)
    labelled = labelled or options.labels is not None
    if labelled:  # images without a class are said before all files are read
        labels_of(found, list(found.entries), options)
    opened = _survey(found, size, channels, options, stored)
    check_unreadable(opened, options)
    names = [one.name for one in opened.readable]
    labels = labels_of(found, names, options) if labelled else None
    rows, held = np.arange(len(names)), []
    if labels:
        rows = rows[[name in labels.of_name for name in names]]
    if options.val_fraction:
        kept_back = np.array([_is_held_out(names[row], options) for row in rows], bool)
        count = int(kept_back.sum())
        if count < LEAST_HELD_OUT or count == len(rows):
            raise DataError(
                f"--val-fraction {options.val_fraction}: holds out {count} of {len(rows)} images; at least "
                f"{LEAST_HELD_OUT} are needed to measure, and one to train on"
            )
        held = [f"{count} of {len(rows)} images are held out from training, and the measures compare with them"]
        held += _on_both_sides([opened.readable[row].digest for row in rows], kept_back)
        if labels and not held_out:
            _refuse_classes_held_out(labels, [names[row] for row in rows[~kept_back]], options)
        rows = rows[kept_back if held_out else ~kept_back]
    chosen = [names[row] for row in rows]
    text = "".join(f"{name}\0{found.entries[name].size}\0" for name in chosen)
    notices = notices_of(found, opened.stored, opened.form, labels)
    if channels is None and any(one.transparent for one in opened.readable):
        notices.append(KEEP_ALPHA)
    return ImageSet(
        name=path.resolve().name,
        images=images_of(opened, chosen, rows),
        labels=as_array(labels, chosen) if labels else None,
        classes=labels.classes if labels else (),
        fingerprint=hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest(),
        notices=(*notices, *held),
        names=tuple(chosen),
    )


def load_folder(path: Path, size: ImageSize | Sides, channels: int | None, *, labelled: bool = False) -> ImageSet:
    """As `open_folder`, with all images read into memory."""
    return in_memory(open_folder(path, size, channels, labelled=labelled))


def read_images(folder: Path) -> np.ndarray:
    """All images below `folder` as they are: uint8 [N, H, W, C], C 1 for files of grey images, 4 with alpha, else 3.

    Raises:
        DataError: no images, unreadable ones, or images of several sizes.
    """
    opened = survey_folder(folder, 1, None, FolderOptions(skip_unreadable=0))
    check_unreadable(opened, FolderOptions(skip_unreadable=0))
    sizes = {(one.width, one.height) for one in opened.readable}
    if len(sizes) != 1:
        shown = ", ".join(f"{width}x{height}" for width, height in sorted(sizes)[:3])
        raise DataError(f"{folder}: images of one size are needed, and these are: {shown}")
    ((width, height),) = sizes
    modes = {one.mode for one in opened.readable}
    channels = 4 if modes == {"RGBA"} else 1 if modes <= GREY_MODES else 3
    data = open_folder(folder, (height, width), channels)
    return data.images[:].transpose(0, 2, 3, 1)


def check_unreadable(opened: Opened, options: FolderOptions = DEFAULTS) -> None:
    """Raise a DataError that names the unreadable files if there are more than may be skipped."""
    facts = opened.stored.facts
    failures = [f"{opened.found.shown(one.name)}: {one.reason}" for one in facts if one.problem]
    most = options.skip_unreadable
    allowed = int(len(facts) * _SKIPPED) if most is None else most
    if len(failures) > allowed or len(failures) == len(facts):
        said = all_failures(failures)
        if len(failures) < len(facts):
            said = f"{said} (--skip-unreadable {len(failures)} goes on without them)"
        raise DataError(said)


def labels_of(found: Found, names: Sequence[str], options: FolderOptions) -> Labels:
    """The classes of these images, from the CSV file of the options or from the folders.

    Raises:
        DataError: see `labels`.
    """
    if options.labels:
        return labels_from_file(options.labels, found, names)
    return labels_from_folders(found, names)


def _is_held_out(name: str, options: FolderOptions) -> bool:
    """By the seed and the name alone, so that an image stays on its side when others come and go."""
    digest = hashlib.sha256(f"{options.seed}\0{name}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < options.val_fraction * 2**64


def _on_both_sides(digests: Sequence[str], kept_back: np.ndarray) -> list[str]:
    """What is to be said of held-out images that are copies of training images. They stay there, for older runs."""
    trained = {digest for digest, is_held in zip(digests, kept_back, strict=True) if not is_held}
    count = sum(digest in trained for digest, is_held in zip(digests, kept_back, strict=True) if is_held)
    if not count:
        return []
    return [
        f"{count} of the held-out images are copies of training images, byte by byte, so the measures do not see what "
        "the generator has learnt by heart; remove the copies"
    ]


def _refuse_classes_held_out(labels: Labels, names: Sequence[str], options: FolderOptions) -> None:
    """Raise a DataError if a class has no image among these, which are trained on."""
    seen = {labels.of_name[name] for name in names}
    lost = [name for number, name in enumerate(labels.classes) if number not in seen]
    if lost:
        raise DataError(
            f"--val-fraction {options.val_fraction}: holds out all images of {named(lost)}; "
            "add images of these classes, or try a smaller share or another --seed"
        )


def images_of(opened: Opened, names: Sequence[str], rows: np.ndarray | None = None) -> DiskImages:
    """Readable images by their names: from the stored pixels, of which they are `rows`, or else from their files."""
    shape = (len(names), opened.stored.channels, *opened.form.size)
    pixels = opened.stored.pixels
    if pixels is not None and rows is not None:
        mapped = pixels if np.array_equal(rows, np.arange(len(pixels))) else None
        return DiskImages(shape, lambda index: pixels[rows[index]], lambda indices: pixels[rows[indices]], mapped)
    form, ranges = opened.form, ranges_of(opened.stored.facts)
    change = partial(to_pixels, size=form.size, channels=opened.stored.channels, fit=form.fit, ranges=ranges)
    return DiskImages(shape, partial(_read, opened.found, names, change))


def _read(found: Found, names: Sequence[str], change: Callable[[decode.Picture], np.ndarray], index: int) -> np.ndarray:
    """The image at an index, uint8 [C, H, W]."""
    name = names[index]
    try:
        with unreadable():
            content = found.read(name)
        return change(decode.read_picture(content))
    except Unreadable as error:
        raise DataError(f"{found.shown(name)}: {error.reason}") from error
    except KeyError as error:  # a file of 8 bits has become one of more
        raise DataError(f"{found.shown(name)}: the image has changed; start a new training run with it") from error
