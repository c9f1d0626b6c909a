"""What is written on this machine and read again: a checkpoint, from which a run goes on bit for bit, and files."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from paddle_gan.bench.rounds import FromNoise, rounds_of
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import UsageError
from paddle_gan.inference.images import save_png
from paddle_gan.system.files import can_lock, disk_errors, locked, make_folder, write_text
from paddle_gan.training import checkpoint
from paddle_gan.training.state import arrays_of

_TEXT = "训练 training\n"


def changed_by_resume(given: TrainConfig, device: str, folder: Path) -> list[str]:
    """The tensors of a run that differ if it is interrupted after two of its four steps, by their names.

    Args:
        given: options of the run.
        device: the chosen one.
        folder: where the checkpoint is written.
    """
    with rounds_of(given, device, noise_images=64) as whole:
        _play(whole, 2)
        checkpoint.save(whole.task, folder, data="noise")
        _play(whole, 2)
        expected = arrays_of(whole.task)
    with rounds_of(given, device, noise_images=64) as resumed:
        checkpoint.restore(resumed.task, folder, "noise", _nothing)
        _play(resumed, 2)
        found = arrays_of(resumed.task)
    common = expected.keys() & found.keys()
    changed = {name for name in common if not np.array_equal(expected[name], found[name])}
    return sorted(changed | (expected.keys() ^ found.keys()))


def _play(rounds: FromNoise, count: int) -> None:
    for _ in range(count):
        rounds.play()


def _nothing(line: str) -> None:
    pass


def unkept(folder: Path) -> list[str]:
    """What does not come back from `folder` as it was written, in words."""
    wrong = []
    for text in ("", _TEXT):  # the second one replaces the first
        write_text(folder / "a text.txt", text)
    if (folder / "a text.txt").read_bytes() != _TEXT.encode():
        wrong.append("a text")
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    save_png(folder / "picture.png", picture)
    with Image.open(folder / "picture.png") as file:
        if not np.array_equal(np.asarray(file), picture):
            wrong.append("a picture")
    if can_lock() and not _is_refused(lambda: locked(folder)):
        wrong.append("a lock")
    return wrong


def _is_refused(lock: Callable) -> bool:
    """Whether a lock is refused while it is held."""
    with lock():
        try:
            with lock():
                return False
        except UsageError:
            return True


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """A new folder below `place`, removed at the end.

    Raises:
        DiskError: it cannot be made.
    """
    make_folder(place)
    with disk_errors(place), tempfile.TemporaryDirectory(prefix=".selfcheck-", dir=place) as folder:
        yield Path(folder)
