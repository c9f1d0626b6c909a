"""A place for files that can be made again: where it is, how large it may become, and one writer at a time.

It may be deleted at any time between two runs; nothing is lost but time.
"""

import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paddle_gan.errors import DiskError
from paddle_gan.system.files import atomic_path

try:
    import fcntl
except ImportError:  # Windows has no such lock
    fcntl = None

PLACE, LIMIT = "PADDLE_GAN_CACHE", "PADDLE_GAN_CACHE_GIB"
_DEFAULT_GIB = 20.0
# The disk is never filled up to the last.
_SPARE_BYTES = 1 << 30
_LEFTOVER_SECONDS = 24 * 3600


def cache_folder() -> Path | None:
    """The folder of the cache, which exists then: that of PADDLE_GAN_CACHE, else the user's, else a temporary one.

    Returns:
        None if none of them can be written. A folder that the user has named is not replaced by another.
    """
    named = os.environ.get(PLACE)
    for candidate in [Path(named).expanduser()] if named else _candidates():
        try:
            candidate.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = candidate.stat()
            foreign = hasattr(os, "getuid") and status.st_uid != os.getuid() and not named
            if stat.S_ISDIR(status.st_mode) and not foreign and os.access(candidate, os.W_OK | os.X_OK):
                return candidate
        except (OSError, RuntimeError):
            continue
    return None


def has_room(folder: Path, size: int) -> bool:
    """Whether so many bytes may be added, after older files are removed where the limit asks for it.

    The limit is 20 GiB, or PADDLE_GAN_CACHE_GIB. Files that were not used for longest go first.
    """
    limit = _limit()
    if size > limit:
        return False
    files = []
    for path in folder.glob("*"):
        try:
            status = path.stat()
        except OSError:  # another process has removed it
            continue
        if path.name.endswith(".partial") and time.time() - status.st_mtime > _LEFTOVER_SECONDS:
            _remove(path)
        elif path.is_file() and not path.name.startswith("."):
            files.append((status.st_mtime, status.st_size, path))
    total = sum(length for _, length, _ in files)
    for _, length, path in sorted(files):
        if total + size <= limit:
            break
        _remove(path)
        total -= length
    return shutil.disk_usage(folder).free >= size + _SPARE_BYTES


def read_kept(name: str) -> bytes | None:
    """The content of a file in the cache; None if it is not there."""
    folder = cache_folder()
    try:
        content = (folder / name).read_bytes() if folder else None
    except OSError:
        return None
    if folder:
        touch(folder / name)
    return content


def keep(name: str, content: bytes) -> None:
    """Write a file to the cache, where there is a place for it: without one, it is made again next time."""
    folder = cache_folder()
    try:
        if folder and has_room(folder, len(content)):
            with one_writer(folder / name), atomic_path(folder / name) as temporary:
                temporary.write_bytes(content)
    except (DiskError, OSError):
        pass


def _remove(path: Path) -> None:
    """Remove a file. Windows refuses this while a process has it open; then it stays for now."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        pass


@contextmanager
def one_writer(path: Path) -> Iterator[None]:
    """Wait until no other process is within this for the same path. Without effect where files cannot be locked."""
    with open(path.with_name(f".{path.name}.lock"), "w", encoding="utf-8") as file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:  # some network disks
                pass
        yield


def touch(path: Path) -> None:
    """Note that a file was used just now."""
    try:
        os.utime(path)
    except OSError:
        pass


def _limit() -> float:
    try:
        given = float(os.environ[LIMIT])
    except (KeyError, ValueError):
        given = _DEFAULT_GIB
    return (given if given >= 0 else _DEFAULT_GIB) * 2**30


def _candidates() -> Iterator[Path]:
    user = os.getuid() if hasattr(os, "getuid") else "user"
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.path.expanduser(base)
    if os.path.isabs(home):
        yield Path(home) / "paddle_gan" / "images"
    yield Path(tempfile.gettempdir()) / f"paddle_gan-{user}"
