"""What lies in a folder or a zip file: the images by their names, and what is left out, counted by kind.

Nothing is decoded here. A zip file is never unpacked to the disk: each file in it is read when it is needed.
"""

import errno
import os
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from paddle_gan.datasets.decode import reads_heif
from paddle_gan.datasets.unreadable import Unreadable
from paddle_gan.errors import DataError
from paddle_gan.system.memory import no_collection

# Pillow opens more, such as .h5, .mpg or .eps, but such a file is rarely meant as a training image.
EXTENSIONS = set(
    ".avif .bmp .gif .ico .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff .webp".split()
)
_HEIF = {".heic", ".heif", ".hif"}
# Pictures, videos, arrays and archives that are not read, though a user may expect it: they are counted in a notice.
_NOT_READ = set(
    ".3fr .3gp .7z .ai .apng .arw .avi .cr2 .cr3 .dcm .dcr .dds .dib .dng .eps .erf .exr .fit .fits .flv .fts .gpr .h5 "
    ".hdf5 .hdr .icns .iiq .j2c .j2k .jpc .jpf .jpx .jxl .kdc .m2ts .m4v .mat .mef .mkv .mov .mp4 .mpeg .mpg .mrw .mts "
    ".nef .nii .npy .npz .nrw .ogv .orf .parquet .pcx .pdf .pef .psd .qoi .raf .rar .ras .raw .rw2 .rwl .sgi .sr2 .srf "
    ".srw .svg .svgz .tar .tfrecord .vob .webm .wmv .x3f .xbm .xcf .xpm .zip".split()
)
# What lies beside images by the thousand, and is not opened to look for an image in it.
_TEXTS = set(".cfg .csv .html .ini .json .jsonl .log .md .py .toml .tsv .txt .xml .yaml .yml".split())
_ARCHIVES = {".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz"}
# How image files begin, to tell those that have no extension, or another one.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", *_TIFF)
_SIGNATURES += (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")  # JPEG 2000
# At other places: WebP after RIFF and a size, brands of HEIC and AVIF after ftyp, the size of a header in BMP.
_BRANDS = {b"avif", b"avis", b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevx", b"mif1", b"msf1"}
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
BEGIN_BYTES = 32
# Kinds of such files.
_NO_EXTENSION, _OTHER_EXTENSION = "without an extension", "with another extension"
# A file is read into memory before it is decoded.
MOST_BYTES = 1 << 30
# What a training run writes into its folder.
_RUN_FOLDERS = {"best", "checkpoints", "exported", "samples", "tensorboard", "visualdl", "wandb"}
_RUN_SHEETS = {"augmented.png", "samples.gif"}
# What an evaluation writes beside the samples that it measures.
NEIGHBOURS = ".neighbours.png"
# What tells the folder of a study with pictures.
_OF_A_STUDY = ({"comparison.json", "samples.png"}, {"results.json", "samples.png"})


class Entry(NamedTuple):
    """Size of a file in bytes, and numbers that differ after the file was changed."""

    size: int
    stamp: tuple[int, ...]


@dataclass
class LeftOut:
    """What is not taken.

    Attributes:
        not_read: number of files by kind.
        runs: folders of training runs.
        refused: members of a zip file that are not opened, by the reason.
    """

    not_read: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def sentences(self) -> list[str]:
        """One for each kind of thing."""
        found = []
        by_name = {_NO_EXTENSION, _OTHER_EXTENSION} & self.not_read.keys()
        archives = (_ARCHIVES | {".zip"}) & self.not_read.keys()
        if counts := self._counts(self.not_read.keys() - by_name - archives):
            heif = "" if reads_heif() or not _HEIF & set(self.not_read) else " (pip install pillow-heif reads HEIC)"
            found.append(
                f"left out, since these formats are not read: {counts}; convert them to PNG or JPEG to train on "
                f"them{heif}"
            )
        if counts := self._counts(archives):
            found.append(f"left out, since archives inside are not opened: {counts}; unpack them, or give a zip itself")
        if counts := self._counts(by_name):
            found.append(
                f"left out, since their names do not say that they are images: {counts}; rename them, such as to .png "
                "or .jpg, to train on them"
            )
        if self.runs:
            found.append(f"left out: the pictures in {self.runs} folder(s) of training runs")
        found += [f"left out: {count} file(s) in the zip, {reason}" for reason, count in self.refused.items()]
        return found

    def _counts(self, kinds: Collection[str]) -> str:
        return ", ".join(f"{self.not_read[kind]} {kind}" for kind in sorted(kinds))


@dataclass(frozen=True)
class Found:
    """The images in a folder or a zip file.

    Attributes:
        path: of the folder or the zip file.
        entries: by the paths of the images with / between the parts, in the order of these parts.
        read: gives the content of an image by its name; several threads may call it. Raises OSError or Unreadable.
        shown: how a message names an image.
        left_out: what is not taken.
        folders: names of the folders directly below it that were searched.
    """

    path: Path
    entries: dict[str, Entry]
    read: Callable[[str], bytes]
    shown: Callable[[str], str]
    left_out: LeftOut
    folders: frozenset[str] = frozenset()


def shown(name: str) -> str:
    """A name in one line, also one with a line break, or of bytes that are no text."""
    return name if name.isprintable() else ascii(name)


def in_order(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Entries in the order of the parts of their names, on which the batches of a run depend."""
    # NUL stands in no name and before all other characters, so this is the order of the lists of parts.
    return {name: entries[name] for name in sorted(entries, key=lambda name: name.replace("/", "\0"))}


def is_image(name: str) -> bool:
    """Whether a file of this name is read as an image."""
    _, dot, last = name.rpartition(".")
    extension = dot + last.lower()
    return extension in EXTENSIONS or (extension in _HEIF and reads_heif())


def kind_not_read(name: str, begin: Callable[[], bytes]) -> str | None:
    """The kind of a file that a user may take for an image, but that is not read; None for any other file.

    Args:
        name: of the file.
        begin: gives its first BEGIN_BYTES; asked only where the name tells nothing.
    """
    extension = os.path.splitext(name)[1].lower()
    if extension in _NOT_READ | _HEIF | _ARCHIVES:
        return extension
    first = b"" if extension in _TEXTS else begin()
    if not _begins_like_an_image(first):
        return None
    if not extension:
        return _NO_EXTENSION
    # What cameras write begins like a TIFF too, and another name would not make one of it.
    return extension if first.startswith(_TIFF) else _OTHER_EXTENSION


def _begins_like_an_image(begin: bytes) -> bool:
    if begin[:2] == b"BM":
        return begin[6:10] == bytes(4) and int.from_bytes(begin[14:18], "little") in _BMP_HEADERS
    is_webp = begin[:4] == b"RIFF" and begin[8:12] == b"WEBP"
    return is_webp or (begin[4:8] == b"ftyp" and begin[8:12] in _BRANDS) or begin.startswith(_SIGNATURES)


def is_run(names: set[str]) -> bool:
    """Whether a folder with these names is that of a run, also of one that is just being made, or of a study."""
    begun = "checkpoints" in names and bool({"config.json", ".lock"} & names)
    return begun or any(marks <= names for marks in _OF_A_STUDY)


def is_output(name: str) -> bool:
    """Whether a run writes what has this name into its folder."""
    return name in _RUN_FOLDERS or name in _RUN_SHEETS


@no_collection()
def find_in_folder(folder: Path, run: Path | None = None) -> Found:
    """The images below a folder.

    Symbolic links are followed, and every folder is searched once, so links that form a circle do no harm. Links are
    followed last, so that a folder below `folder` keeps its own path and does not get the path of a link to it. Names
    that begin with a dot are ignored. What training runs write is left out.

    Args:
        folder: searched with all folders below it.
        run: folder of a run that may not have begun, and that is left out too.

    Raises:
        DataError: there is no such folder, it cannot be read, or it holds the outputs of a run.
    """
    _refuse_outputs(folder)
    entries: dict[str, Entry] = {}
    left_out = LeftOut()
    seen: set[tuple[int, int]] = set()
    direct: set[str] = set()
    own = _identity(run) if run else None
    folders, links = [""], list[str]()
    while folders or links:
        prefix = folders.pop() if folders else links.pop(0)
        try:
            place = _identity(folder / prefix)
            if place is None or place in seen:
                continue
            seen.add(place)
            with os.scandir(folder / prefix) as scanned:
                here = sorted(scanned, key=lambda entry: entry.name)
            of_a_run = is_run({entry.name for entry in here}) or place == own
            if of_a_run and prefix:
                left_out.runs += 1
                continue
            if prefix.count("/") == 1:
                direct.add(prefix[:-1])
            for entry in here:
                hidden = entry.name.startswith(".") or entry.name == "__MACOSX"
                if hidden or entry.name.endswith(NEIGHBOURS) or (of_a_run and is_output(entry.name)):
                    continue
                name, what = prefix + entry.name, _what(entry)
                if what == "folder":
                    (links if entry.is_symlink() else folders).append(f"{name}/")
                elif what == "file" and is_image(name):
                    status = entry.stat()
                    stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
                    entries[name] = Entry(status.st_size, stamp)
                elif what == "file" and (kind := kind_not_read(name, lambda path=entry.path: _begin(path))):
                    left_out.not_read[kind] += 1
        except OSError as error:
            raise DataError(f"{error.filename or folder / prefix}: cannot be read ({error.strerror})") from error
    return Found(
        path=folder,
        entries=in_order(entries),
        read=lambda name: _read(folder / name),
        shown=lambda name: shown(str(folder / name)),
        left_out=left_out,
        folders=frozenset(direct),
    )


def not_a_folder(path: Path) -> DataError:
    """The error that says what `path` is, which is neither a folder nor a zip file."""
    if not os.path.exists(path):
        return DataError(f"{path}: there is no such folder, or it cannot be entered")
    if path.suffix.lower() == ".zip":
        return DataError(f"{path}: is no whole zip file; copy or download it again")
    if path.suffix.lower() in (".npy", ".npz"):
        return DataError(f"{path}: arrays are not trained on; write the images as files, such as PNG, into a folder")
    if path.suffix.lower() in _ARCHIVES:
        return DataError(f"{path}: an archive of this kind is not read; unpack it, or make a zip file of it")
    return DataError(f"{path}: is a file; give the folder that the images lie in, or a zip file of it")


def _read(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise Unreadable("too large", f"the file is too large, more than {MOST_BYTES >> 30} GiB; make it smaller")
    return path.read_bytes()


def _begin(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(BEGIN_BYTES)
    except OSError:  # its name is not that of an image, so it is of no use anyway
        return b""


def _what(entry: os.DirEntry[str]) -> str:
    """Whether an entry is a "folder" or a "file", also by a link; empty for anything else, as a link to nothing."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else ""
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself
            return ""
        raise


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _refuse_outputs(folder: Path) -> None:
    """Raise a DataError for the outputs of a run, or a folder among them."""
    inner = folder.resolve()
    for outer in inner.parents:
        below = inner.relative_to(outer).parts[0]
        if below in _RUN_FOLDERS and (outer / "config.json").is_file() and (outer / "checkpoints").is_dir():
            raise DataError(
                f"{folder}: these are outputs of the training run in {outer}, which are no training images; copy them "
                "to a folder of their own if you want to train on them"
            )
