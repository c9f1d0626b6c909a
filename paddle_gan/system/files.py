"""Files that matter are written to a temporary name, synced, and renamed: a reader finds the old or the new."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paddle_gan.errors import DiskError, UsageError

try:
    import fcntl
except ImportError:  # Windows has no such lock
    fcntl = None

ASIDE = ".replaced"
_DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write at `path` into a DiskError that names it."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_ERRNOS or isinstance(error, (FileExistsError, NotADirectoryError)):
            raise DiskError(
                f"cannot write {error.filename or path}: {error.strerror}; free some space or use --out"
            ) from error
        raise


def make_folder(path: Path) -> Path:
    """Create the folder `path` and its parents; a DiskError where that is refused."""
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; put in its place when the block ends well, removed otherwise."""
    temporary = path.with_name(f".{path.name}.partial")
    with disk_errors(path):
        try:
            make_folder(path.parent)
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """As `atomic_path`, for a folder of files; an older `path` is replaced.

    A folder that is not empty cannot be renamed over, so the older one is set aside for the moment
    between two renames. A process that ends in it leaves the older one with a dot before its name and
    ASIDE after it, where readers may find it and from where `remove_leftovers` puts it back.
    """
    temporary, older = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}{ASIDE}")
    with disk_errors(path):
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            yield temporary
            for file in temporary.iterdir():
                sync(file)
            sync(temporary)
            if path.exists():
                shutil.rmtree(older, ignore_errors=True)
                os.replace(path, older)
            os.replace(temporary, path)
            sync(path.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            _put_back(older, path)
            raise
        shutil.rmtree(older, ignore_errors=True)


def _put_back(older: Path, path: Path) -> None:
    """Undo a replacement that was begun and not ended."""
    if older.exists() and not path.exists():
        os.replace(older, path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` against other processes; the lock goes with the process, however it ends.

    Raises:
        UsageError: another process holds it.
    """
    with disk_errors(folder):
        file = open(folder / ".lock", "w")
    with file:
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{folder}: another process is training here; wait for it, or name another folder with --out"
            ) from error
        yield


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left in `folder`; not in those below it.

    What they had only set aside is put back.
    """
    for older in folder.glob(f".*{ASIDE}"):
        _put_back(older, folder / older.name[1 : -len(ASIDE)])
        shutil.rmtree(older, ignore_errors=True)
    for leftover in folder.glob(".*.partial"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Have what was written to the file or folder `path` reach the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder cannot be opened on Windows
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
