"""Checkpoints: everything that a resume needs, in a form that executes nothing when it is read.

A checkpoint is a folder `step-NNNNNNNN` with `state.safetensors` (the tensors of `state.tensors_of`) and
`manifest.json` (format version, SHA-256, step, where and with what it was written). There is no random state in it:
everything random is a function of the seed and the step, and both are known (see `task`).
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from paddle_gan.backend.environment import environment
from paddle_gan.errors import CheckpointError, NumericalError, UsageError
from paddle_gan.system.files import ASIDE, FILESYSTEM, atomic_folder, remove_leftovers
from paddle_gan.training.state import arrays_of, create_accumulators, set_state, tensors_of
from paddle_gan.training.task import Task
from paddle_gan.training.weights import check_same_shapes

FORMAT = 3  # 1 had no hash of the manifest; 1 and 2 called the generator's average "average"
_STATE = "state.safetensors"
_MANIFEST = "manifest.json"
_NAME = re.compile(rf"step-(\d{{8,}})|\.step-(\d{{8,}}){re.escape(ASIDE)}")


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
        manifest: as `save` writes it.
        arrays: by the names of `state.tensors_of`.
    """

    manifest: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def step(self) -> int:
        """Rounds played."""
        return self.manifest["step"]

    @property
    def sha256(self) -> str:
        """Hash of the tensors."""
        return self.manifest["sha256"][_STATE]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels of the data."""
        return tuple(self.manifest["classes"])


def save(task: Task, folder: Path, data: str, classes: tuple[str, ...] = (), keep: int = 2) -> Path:
    """Write a checkpoint of `task` and remove all but the newest `keep`.

    Args:
        task: not changed.
        folder: of the checkpoints.
        data: fingerprint of the data set, compared at a resume.
        classes: names of the labels, for those who sample.
        keep: how many stay in the folder.

    Returns:
        The folder of this checkpoint.

    Raises:
        NumericalError: a value is NaN or infinite; nothing is written.
        DiskError: it cannot be written; the older checkpoints stay.
    """
    arrays = arrays_of(task)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise NumericalError(
                f"step {task.step}: {name} holds NaN or infinity, so this state is not saved; try a smaller "
                "--learning-rate, --gradient-clip 1, or --loss wgan-gp"
            )
    payload = safetensors.numpy.save(arrays)
    manifest = {
        "format": FORMAT,
        "step": task.step,
        "data": data,
        "classes": list(classes),
        "sha256": {_STATE: hashlib.sha256(payload).hexdigest()},
        "written_with": environment(),
    }
    manifest["manifest_sha256"] = _manifest_hash(manifest)
    target = folder / folder_name(task.step)
    # The folder is renamed into place only when its files are whole and on the disk.
    with atomic_folder(target) as temporary:
        FILESYSTEM.write(temporary / _STATE, payload)
        FILESYSTEM.write(temporary / _MANIFEST, json.dumps(manifest, indent=2).encode())
    for old in [path for path in _newest_first(folder) if path != target][keep - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def folder_name(step: int) -> str:
    """The name of the checkpoint of a step."""
    return f"step-{step:08d}"


def exists(folder: Path) -> bool:
    """Whether `folder` holds a checkpoint, intact or not."""
    return bool(_newest_first(folder))


def restore(task: Task, folder: Path, data: str, say: Callable[[str], None], same_data: bool = False) -> None:
    """Bring `task` to the newest intact checkpoint in `folder`; leave it as it is where there is none.

    A damaged checkpoint is skipped with a notice.

    Args:
        task: changed in place.
        folder: of the checkpoints.
        data: fingerprint of the data set.
        say: for notices.
        same_data: refuse other data than the checkpoint's; otherwise a notice says so.

    Raises:
        UsageError: it is other data.
        CheckpointError: there are checkpoints but all are damaged, or the newest intact one is of other networks; no
            weight has been changed then.
    """
    remove_leftovers(folder)
    if not _newest_first(folder):
        return
    found = read_newest(folder, say)
    if same_data and found.manifest["data"] != data:
        raise UsageError(
            f"{folder.parent}: this data is not what the run was trained on; name the present place of that data with "
            "--dataset, or begin a new run on this data with --start-from"
        )
    create_accumulators(task)
    check_same_shapes(tensors_of(task), found.arrays, folder / folder_name(found.step))
    set_state(task, found.step, found.arrays)
    if found.manifest["data"] != data:
        say("notice: the data is not what this run was trained on so far; it goes on with the data as it is now")
    written, here = {"processes": 1} | found.manifest["written_with"], environment()
    changed = [f"{key} {written.get(key)} -> {here[key]}" for key in here if written.get(key) != here[key]]
    if changed:
        say(f"notice: resumed under other conditions ({', '.join(changed)}): the last bits of the results may differ")


def read_newest(folder: Path, say: Callable[[str], None]) -> Checkpoint:
    """The newest intact checkpoint in `folder`.

    Raises:
        CheckpointError: there is none.
    """
    failures = []
    for checkpoint in _newest_first(folder):
        try:
            content = read(checkpoint)
        except CheckpointError as error:
            failures.append(str(error))
            continue
        for failure in failures:
            say(f"notice: skipped a damaged checkpoint: {failure}")
        return content
    raise CheckpointError(f"no usable checkpoint in {folder}: {'; '.join(failures) or 'it holds none'}")


def read(checkpoint: Path) -> Checkpoint:
    """The content of one checkpoint, whose hashes are compared.

    Raises:
        CheckpointError: it is damaged, or of another format.
    """
    try:
        manifest = json.loads((checkpoint / _MANIFEST).read_text(encoding="utf-8"))
        written_format, expected = manifest["format"], manifest["sha256"][_STATE]
        if written_format > FORMAT:
            raise CheckpointError(
                f"{checkpoint}: format {written_format}; this version reads up to {FORMAT}, update paddle_gan"
            )
        payload = (checkpoint / _STATE).read_bytes()
        if hashlib.sha256(payload).hexdigest() != expected:
            raise CheckpointError(f"{checkpoint / _STATE}: SHA-256 is not the one in its manifest")
        _check_fields(manifest)
        if checkpoint.name.removeprefix(".").removesuffix(ASIDE) != folder_name(manifest["step"]):
            raise CheckpointError(f"{checkpoint}: its manifest is of step {manifest['step']}")
        stated = manifest.get("manifest_sha256")
        if (stated or written_format > 1) and stated != _manifest_hash(manifest):
            raise CheckpointError(f"{checkpoint / _MANIFEST}: SHA-256 is not the one that it states")
        arrays = safetensors.numpy.load(payload)
        if written_format < 3:
            arrays = {re.sub("^average/", "generator_average/", name): array for name, array in arrays.items()}
        return Checkpoint(manifest, arrays)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{checkpoint}: cannot be read ({type(error).__name__}: {error})") from error


def _check_fields(manifest: dict) -> None:
    """Raise KeyError or TypeError unless the fields that are used later are there and of their kinds."""
    for name, kind in (("data", str), ("classes", list), ("written_with", dict)):
        if not isinstance(manifest[name], kind):
            raise TypeError(f"its {name} is no {kind.__name__}")


def _manifest_hash(manifest: dict) -> str:
    """SHA-256 of a manifest without this hash itself."""
    said = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _newest_first(folder: Path) -> list[Path]:
    """The checkpoints, latest step first; one that was set aside for another of its step comes after that."""
    matches = [(_NAME.fullmatch(path.name), path) for path in folder.glob("*step-*")]
    found = [(int(match[1] or match[2]), bool(match[1]), path) for match, path in matches if match]
    return [path for _, _, path in sorted(found, reverse=True)]
