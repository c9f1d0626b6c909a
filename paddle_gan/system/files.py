"""Safe writing: a file is written under a temporary name, synced to the disk, and renamed into place.

So a reader finds the old content or the new one, never a part, also after the process was killed or the power failed.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from paddle_gan.errors import DiskError, UsageError

try:
    import fcntl
except ImportError:  # Windows has no such lock
    fcntl = None

# Ends the name of an older folder while a new one takes its place, see `atomic_folder`.
ASIDE = ".replaced"
_DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}

# A file where a folder is needed, or the reverse.
_WRONG_PLACES = (FileExistsError, NotADirectoryError, IsADirectoryError)


def sync(path: Path, on_windows: bool = os.name == "nt") -> None:
    """Wait until everything that was written to the file or folder `path` is on the disk."""
    if on_windows and path.is_dir():  # a folder cannot be opened on Windows, and a file must be open for writing
        return
    descriptor = os.open(path, os.O_RDWR if on_windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass
class FileSystem:
    """The operations by which content comes onto the disk. Tests replace them, to interrupt a save at each of them.

    Attributes:
        write: writes a whole file.
        sync: waits until a file or folder is on the disk.
        replace: renames a file or folder, over an existing file too.
    """

    write: Callable[[Path, bytes], object] = Path.write_bytes
    sync: Callable[[Path], None] = sync
    replace: Callable[[Path, Path], None] = os.replace


FILESYSTEM = FileSystem()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write at `path` into a DiskError that names the path."""
    try:
        yield
    except OSError as error:
        place = error.filename2 or error.filename or path
        if isinstance(error, _WRONG_PLACES):
            raise DiskError(f"cannot write {place}: {error.strerror}; name another place") from error
        if error.errno in _DISK_ERRNOS:
            raise DiskError(
                f"cannot write {place}: {error.strerror}; free some space, or name another place"
            ) from error
        raise


@contextmanager
def writable_home() -> Iterator[None]:
    """Within this, HOME is a folder that can be written, for imports that write there; a temporary one if need be."""
    home = os.environ.get("HOME")
    try:
        tempfile.TemporaryFile(dir=os.path.expanduser("~")).close()  # os.access does not see every obstacle
        writable = True
    except OSError:
        writable = False
    if writable:
        yield
        return
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["HOME"] = temporary
        try:
            yield
        finally:
            if home is None:
                del os.environ["HOME"]
            else:
                os.environ["HOME"] = home


def make_folder(path: Path) -> Path:
    """Create the folder `path` and its parents.

    Raises:
        DiskError: the operating system refuses it.
    """
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def atomic_path(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`. It is renamed to `path` when the block ends, or removed after an error.

    Args:
        path: the file to be written.
        durable: wait until it is on the disk. Without this many small files are written much faster; after a power
            failure the last ones may be empty.
    """
    temporary = path.with_name(f".{path.name}.partial")
    with disk_errors(path):
        try:
            make_folder(path.parent)
            yield temporary
            if durable:
                FILESYSTEM.sync(temporary)
            FILESYSTEM.replace(temporary, path)
            if durable:
                FILESYSTEM.sync(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """As `atomic_path`, for a folder of files; an older folder `path` is replaced.

    A folder cannot be renamed over another one that is not empty. So the older folder is set aside for the moment
    between two renames. If the process ends in this moment, the older folder stays there with a dot before its name and
    ASIDE after it. Readers may find it there, and `remove_leftovers` puts it back.
    """
    temporary, older = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}{ASIDE}")
    with disk_errors(path):
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            yield temporary
            for file in temporary.iterdir():
                FILESYSTEM.sync(file)
            FILESYSTEM.sync(temporary)
            if path.exists():
                shutil.rmtree(older, ignore_errors=True)
                FILESYSTEM.replace(path, older)
            FILESYSTEM.replace(temporary, path)
            FILESYSTEM.sync(path.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            _put_back(older, path)
            raise
        shutil.rmtree(older, ignore_errors=True)


def _put_back(older: Path, path: Path) -> None:
    """Undo a replacement that did not come to its end."""
    if older.exists() and not path.exists():
        FILESYSTEM.replace(older, path)


def can_lock() -> bool:
    """Whether this system has locks; Windows has none that this module uses, so there `locked` refuses nobody."""
    return fcntl is not None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock `folder` against other processes. The lock ends with the process, however that ends.

    Without effect where there are no locks; on Windows a file that is open could not be removed with its folder.

    Raises:
        UsageError: another process holds the lock.
    """
    if fcntl is None:
        yield
        return
    with disk_errors(folder):
        file = open(folder / ".lock", "w", encoding="utf-8")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{folder}: another process is training here; wait for it, or name another folder with --out"
            ) from error
        yield


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files in `folder` that a process left when it was killed; folders below are not searched.

    A folder that was set aside is put back.
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
    """Write `text` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        FILESYSTEM.write(temporary, text.encode("utf-8"))
