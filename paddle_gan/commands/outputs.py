"""The places that a user names for results, checked before the work that fills them is done."""

from pathlib import Path

from paddle_gan.errors import UsageError


def output_file(option: str, path: Path, suffix: str) -> Path:
    """A file to write. Its folder is made.

    Args:
        option: that names it, for messages.
        path: may have no extension.
        suffix: the extension of what is written, such as ".png".

    Raises:
        UsageError: it is a folder, or its name has the extension of another format. DiskError: no folder can be made.
    """
    from paddle_gan.system.files import make_folder

    if path.is_dir():
        raise UsageError(f"{option} {path}: is a folder; name a file")
    if path.suffix.lower() not in ("", suffix):
        raise UsageError(f"{option} {path}: what is written is {suffix}; name a file with this extension, or with none")
    make_folder(path.parent)
    return path


def refuse_in_data(option: str, path: Path, dataset: str) -> None:
    """Raise a UsageError if what is written there would lie among the images that a run was trained on.

    Args:
        option: that names the place, for messages.
        path: the place.
        dataset: of the run: a folder, or something else.
    """
    data = Path(dataset)
    if data.is_dir() and path.resolve().is_relative_to(data.resolve()):
        raise UsageError(f"{option} {path}: lies in {data}, whose images the run was trained on; name another place")


def output_folder(option: str, path: Path) -> Path:
    """A folder to fill, which is a new one or an empty one: files of two origins in it could not be told apart.

    Raises:
        UsageError: it is a file, or it holds files whose names do not begin with a dot.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{option} {path}: is a file; name a folder")
    found = next((one.name for one in path.iterdir() if not one.name.startswith(".")), None) if path.exists() else None
    if found:
        raise UsageError(f"{option} {path}: holds files already ({found}); name a new folder, or empty this one")
    return path
