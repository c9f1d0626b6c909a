"""The images in a zip file, which is not unpacked to the disk.

A zip file may come from a stranger. So nothing in it names a place on the disk, and the number of files, their sizes
and how far they unpack are limited before anything is read.
"""

import os
import stat
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from paddle_gan.datasets.found import (
    BEGIN_BYTES,
    MOST_BYTES,
    NEIGHBOURS,
    Entry,
    Found,
    LeftOut,
    in_order,
    is_image,
    is_output,
    is_run,
    kind_not_read,
    shown,
)
from paddle_gan.datasets.unreadable import Unreadable, damaged
from paddle_gan.errors import DataError

_MOST_FILES = 5_000_000
# Of a file that is not small, and of the whole. Images hardly shrink; deflate reaches 1,032 with a single colour.
_MOST_RATIO, _SMALL = 200, 64 << 20
_UTF8, _ENCRYPTED = 0x800, 0x1


def find_in_zip(path: Path) -> Found:
    """The images in a zip file. If all lie in one folder, their names begin below it, as in the folder itself.

    Raises:
        DataError: it is damaged, or unpacks to far more than it should.
    """
    try:
        archive = zipfile.ZipFile(path)
        members = archive.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(f"{path}: the zip file cannot be read ({error}); copy or download it again") from error
    if len(members) > _MOST_FILES:
        raise DataError(f"{path}: the zip file holds more than {_MOST_FILES:,} files; unpack it")
    left_out, images = LeftOut(), dict[str, zipfile.ZipInfo]()
    names, searched = [_name(member) for member in members], list[str]()
    paths = [PurePosixPath(name).parts for name in names]
    outputs, left_out.runs = _outputs(paths)
    for member, name, parts in zip(members, names, paths, strict=True):
        if _is_hidden(parts) or name.endswith(NEIGHBOURS) or _lies_in(parts, outputs):
            continue
        searched += [] if _leads_out(parts) else [name]
        if member.is_dir():
            continue
        if not is_image(name):
            if kind := kind_not_read(name, lambda member=member: _begin(archive, member)):
                left_out.not_read[kind] += 1
        elif reason := _refusal(member, parts, name in images):
            left_out.refused[reason] += 1
        else:
            images[name] = member
    whole = sum(member.file_size for member in images.values())
    if whole > _SMALL and whole > _MOST_RATIO * path.stat().st_size:
        raise DataError(f"{path}: unpacks to {whole / 2**30:.1f} GiB, more than {_MOST_RATIO} times its size")
    prefix = _common_folder(list(images))
    below = (name[len(prefix) :].split("/") for name in searched if name.startswith(prefix))
    inner = {name[len(prefix) :]: member for name, member in images.items()}
    entries = {name: Entry(member.file_size, (member.CRC,)) for name, member in inner.items()}
    return Found(
        path=path,
        entries=in_order(entries),
        read=lambda name: _read(archive, inner[name]),
        shown=lambda name: shown(f"{path}/{prefix}{name}"),
        left_out=left_out,
        folders=frozenset(first for first, *rest in below if rest),
    )


def _outputs(paths: Sequence[tuple[str, ...]]) -> tuple[set[tuple[str, ...]], int]:
    """What training runs have written, by the rules of a folder into which the zip file is unpacked.

    Args:
        paths: the parts of the names of all members.

    Returns:
        The folders and files that are left out, and the number of run folders among them.
    """
    inside = defaultdict[tuple[str, ...], set[str]](set)
    for parts in paths:
        for length in range(0 if _leads_out(parts) else len(parts)):
            inside[parts[:length]].add(parts[length])
    top = tuple[str, ...]()
    while len(alone := [(*top, name) for name in inside[top] if not _is_hidden((name,))]) == 1 and alone[0] in inside:
        top = alone[0]  # the data folder itself, as archivers pack it
    runs = {folder for folder, names in inside.items() if is_run(names) and not _is_hidden(folder)}
    left_out = runs - {top}
    count = sum(not _lies_in(folder[:-1], left_out) for folder in left_out)
    return left_out | {(*top, name) for name in inside[top] if top in runs and is_output(name)}, count


def _lies_in(parts: tuple[str, ...], places: set[tuple[str, ...]]) -> bool:
    return bool(places) and any(parts[:length] in places for length in range(1, len(parts) + 1))


def _is_hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") and part != ".." or part == "__MACOSX" for part in parts)


def _leads_out(parts: tuple[str, ...]) -> bool:
    return ".." in parts or parts[:1] == ("/",)


def _name(member: zipfile.ZipInfo) -> str:
    """The name of a member. Bytes that are not UTF-8 stay what they are, as in a folder into which it is unpacked."""
    if member.flag_bits & _UTF8:
        return member.filename
    try:
        return member.orig_filename.split("\0")[0].encode("cp437").decode("utf-8", "surrogateescape").replace("\\", "/")
    except UnicodeEncodeError:
        return member.filename


def _refusal(member: zipfile.ZipInfo, parts: tuple[str, ...], known: bool) -> str | None:
    """Why a member is not opened; None if it is."""
    if _leads_out(parts):
        return "their paths lead out of it"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "they are links"
    return "they have the name of another" if known else None


def _common_folder(names: list[str]) -> str:
    """The folders that all images lie in, such as "pictures/"; empty if there are none."""
    folders = [name.split("/")[:-1] for name in names]
    common = os.path.commonprefix(folders) if folders else []
    return "".join(f"{part}/" for part in common)


def _begin(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(member) as file:
            return file.read(BEGIN_BYTES)
    except (OSError, RuntimeError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return b""


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & _ENCRYPTED:
        raise Unreadable("refused", "the file is encrypted; unpack the zip file with its password")
    if member.file_size > MOST_BYTES:
        raise Unreadable("too large", f"the file is too large, more than {MOST_BYTES >> 30} GiB; make it smaller")
    if member.file_size > _SMALL and member.file_size > _MOST_RATIO * member.compress_size:
        raise Unreadable("refused", f"the file unpacks to more than {_MOST_RATIO} times its size; is it an image?")
    try:
        with archive.open(member) as file:
            content = file.read(member.file_size + 1)
    except (RuntimeError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged("corrupt", f"in the zip file: {error}") from error
    if len(content) != member.file_size:
        raise damaged("truncated", "the zip file states another size")
    return content
