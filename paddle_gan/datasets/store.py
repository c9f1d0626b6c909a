"""What was found out about a folder's images, kept for later starts: the facts of each file, and its decoded pixels.

Both are found again by a hash of the names, sizes and times of the files. So an image that is changed, added or removed
is noticed, and a folder that is moved is not decoded again. A file is written under a temporary name and renamed, so a
process that is killed leaves nothing that a later one would take for whole.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL

from paddle_gan.datasets.decode import reads_heif
from paddle_gan.datasets.fitting import Sides, to_pixels
from paddle_gan.datasets.found import Found
from paddle_gan.datasets.survey import Facts, ranges_of, read_facts, write_pixels
from paddle_gan.datasets.unreadable import PASSING, Unreadable
from paddle_gan.errors import DiskError
from paddle_gan.system.cache import cache_folder, has_room, one_writer, touch
from paddle_gan.system.files import atomic_path
from paddle_gan.system.memory import no_collection

# Rises when facts or pixels come out another way.
_VERSION = 2
_FIELDS = len(Facts._fields)


@dataclass(frozen=True)
class Form:
    """How pixels are stored.

    Attributes:
        size: height and width.
        channels: 1, 3 or 4; None for what the images have, 1 if all are grey, else 3.
        fit: a key of `fitting.FITS`.
    """

    size: Sides
    channels: int | None
    fit: str


@dataclass(frozen=True)
class Stored:
    """What is known of the images of a folder.

    Attributes:
        facts: of all files, in their order.
        channels: of the pixels.
        pixels: of all readable files, uint8 [n, C, H, W], mapped into memory; None if they are not stored.
        refusal: why they are not, if they should be.
    """

    facts: list[Facts]
    channels: int
    pixels: np.ndarray | None = None
    refusal: str = ""


def known(found: Found, form: Form, with_pixels: bool) -> Stored:
    """The facts of the images, and their pixels, from the cache or from the files.

    The files are decoded once for both. Deep images, whose range all of them decide, are decoded a second time; so is
    everything if `form.channels` is None and the first image is grey but another is not.

    Args:
        found: the files.
        form: of the pixels.
        with_pixels: whether pixels are stored too.
    """
    folder = cache_folder()
    if folder is None:
        facts = read_facts(found)
        return Stored(facts, _channels(form, facts), refusal="no folder for it can be written")
    key = _key(found)
    facts_path = folder / f"{key}.facts"
    try:
        with one_writer(facts_path):
            return _known(found, form, with_pixels, folder, key)
    except (DiskError, OSError) as error:
        facts = _read_facts(facts_path, found) or read_facts(found)
        return Stored(facts, _channels(form, facts), refusal=str(error))


def _known(found: Found, form: Form, with_pixels: bool, folder: Path, key: str) -> Stored:
    facts_path = folder / f"{key}.facts"
    facts = _read_facts(facts_path, found)
    refusal = ""
    if facts is None:
        facts = _first_time(found, form, with_pixels, folder, key)
        if _passing(facts):
            return Stored(facts, _channels(form, facts), refusal="some files could not be opened")
        lines = json.dumps(facts, separators=(",", ":"))
        with atomic_path(facts_path) as temporary:
            temporary.write_bytes(lines.encode())
    channels = _channels(form, facts)
    if not with_pixels:
        return Stored(facts, channels)
    names = [one.name for one in facts if not one.problem]
    shape = (len(names), channels, *form.size)
    path = folder / f"{key}-{_form_key(form, channels)}.pixels"
    size = int(np.prod(shape, dtype=np.int64))
    if not (path.exists() and path.stat().st_size == size):
        if not has_room(folder, size):
            return Stored(facts, channels, refusal=f"they would take {size / 2**30:.1f} GiB in {folder}")
        ranges = ranges_of(facts)
        with _writing(path) as write:
            try:
                write_pixels(found, names, lambda one: to_pixels(one, form.size, channels, form.fit, ranges), write)
            except Unreadable as error:
                raise OSError(f"an image has changed while it was read ({error})") from error
    touch(path)
    pixels = np.asarray(np.memmap(path, np.uint8, "r", shape=shape)) if size else np.empty(shape, np.uint8)
    return Stored(facts, channels, pixels, refusal)


def _first_time(found: Found, form: Form, with_pixels: bool, folder: Path, key: str) -> list[Facts]:
    """The facts of all files; their pixels are stored on the way if they turn out to have the form that was assumed."""
    names = list(found.entries)
    channels = form.channels or (_channels(form, read_facts(_first(found))) if names else 3)
    path = folder / f"{key}-{_form_key(form, channels)}.pixels"
    size = len(names) * channels * form.size[0] * form.size[1]
    if not (with_pixels and has_room(folder, size)):
        return read_facts(found)
    try:
        with _writing(path) as write:
            facts = read_facts(found, lambda one: to_pixels(one, form.size, channels, form.fit, {}), write)
            if any(one.kind for one in facts) or _channels(form, facts) != channels or _passing(facts):
                raise _OtherForm
    except _OtherForm:
        pass
    return facts


class _OtherForm(Exception):
    """The pixels that were written are not those that are needed."""


def _passing(facts: Sequence[Facts]) -> bool:
    return any(one.problem in PASSING for one in facts)


def _first(found: Found) -> Found:
    """The same place with its first image alone."""
    name = next(iter(found.entries))
    return Found(found.path, {name: found.entries[name]}, found.read, found.shown, found.left_out)


def _channels(form: Form, facts: Sequence[Facts]) -> int:
    return form.channels or (1 if all(one.grey for one in facts if not one.problem) else 3)


@contextmanager
def _writing(path: Path) -> Iterator[Callable[[np.ndarray], object]]:
    """Yields a function that appends arrays to a file, which gets its name when the block ends."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        yield lambda array: file.write(np.ascontiguousarray(array).data)


@no_collection()
def _read_facts(path: Path, found: Found) -> list[Facts] | None:
    """The facts in a file; None if there is none, or one that cannot be used."""
    try:
        rows = json.loads(path.read_bytes())
        facts = [Facts(*row) for row in rows if len(row) == _FIELDS]
    except (OSError, ValueError, TypeError):
        return None
    if [one.name for one in facts] != list(found.entries):
        return None
    touch(path)
    return facts


def _key(found: Found) -> str:
    """A hash of the files: names, sizes, times, and what decodes them."""
    digest = hashlib.sha256(f"{_VERSION} {PIL.__version__} {reads_heif()}\n".encode())
    for name, entry in found.entries.items():
        digest.update(f"{name}\0{entry.size}\0{entry.stamp}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _form_key(form: Form, channels: int) -> str:
    return f"{form.size[1]}x{form.size[0]}x{channels}-{form.fit}"
