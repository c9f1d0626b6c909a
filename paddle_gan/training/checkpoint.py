"""Checkpoints: everything that a resume needs, in a form that executes nothing when it is read.

A checkpoint is a folder `step-NNNNNNNN` with `state.safetensors` (both networks, the average, the
accumulators of both optimisers, for float16 the scales of the losses) and `manifest.json` (format version, SHA-256, step, where and with
what it was written). There is no random state in it: everything random is a function of the seed
and the step, and both are known (see `training`).
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import paddle.nn as nn
import safetensors
import safetensors.numpy
from paddle import Tensor

from paddle_gan.backend.environment import environment
from paddle_gan.errors import CheckpointError, NumericalError, UsageError
from paddle_gan.system import parallel
from paddle_gan.system.files import ASIDE, atomic_folder, remove_leftovers
from paddle_gan.training.loop import TrainState
from paddle_gan.training.pdparams import read_pdparams

FORMAT = 2  # 1 had no hash of the manifest
_STATE = "state.safetensors"
_MANIFEST = "manifest.json"
_LONGEST_NAME = 200
# Of a scaler of losses: its scale, and the updates in a row without and with an overflow.
_SCALE = ("scale", "incr_count", "decr_count")
_NAME = re.compile(rf"step-(\d{{8,}})|\.step-(\d{{8,}}){re.escape(ASIDE)}")


def save(state: TrainState, folder: Path, data: str, classes: tuple[str, ...] = (), keep: int = 2) -> Path:
    """Write a checkpoint of `state` and remove all but the newest `keep`.

    Args:
        state: not changed.
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
    arrays = {name: tensor.numpy() for name, tensor in _tensors(state).items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise NumericalError(
                f"step {state.step}: {name} holds NaN or infinity, so this state is not saved; try a smaller "
                "--learning-rate, --gradient-clip 1, or --loss wgan-gp"
            )
    payload = safetensors.numpy.save(arrays)
    manifest = {
        "format": FORMAT,
        "step": state.step,
        "data": data,
        "classes": list(classes),
        "sha256": {_STATE: hashlib.sha256(payload).hexdigest()},
        "written_with": environment(),
    }
    manifest["manifest_sha256"] = _manifest_hash(manifest)
    target = folder / f"step-{state.step:08d}"
    with atomic_folder(target) as temporary:
        (temporary / _STATE).write_bytes(payload)
        (temporary / _MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    for old in [path for path in _newest_first(folder) if path != target][keep - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def restore(state: TrainState, folder: Path, data: str, say: Callable[[str], None]) -> None:
    """Bring `state` to the newest checkpoint in `folder` that is whole; leave it as it is where there is none.

    A damaged checkpoint is passed over with a notice.

    Raises:
        CheckpointError: there are checkpoints but all are damaged, or the newest whole one is of other
            networks; no weight has been changed then.
    """
    remove_leftovers(folder)
    if not _newest_first(folder):
        return
    manifest, arrays = read_newest(folder, say)
    _create_accumulators(state)
    tensors = _tensors(state)
    _check_same_shapes(tensors, arrays, folder / f"step-{manifest['step']:08d}")
    for name, tensor in tensors.items():
        tensor.set_value(arrays[name])
    _set_scales(state, tensors)
    state.step = manifest["step"]
    if manifest["data"] != data:
        say("notice: the data is not what this run was trained on so far; it goes on with the data as it is now")
    written, here = {"processes": 1} | manifest["written_with"], environment()
    changed = [f"{key} {written.get(key)} -> {here[key]}" for key in here if written.get(key) != here[key]]
    if changed:
        say(f"notice: resumed under other conditions ({', '.join(changed)}): equal in kind, not bit for bit")


def share(state: TrainState) -> None:
    """Bring `state` in every process of a job to that of process 0, which alone has read a checkpoint."""
    state.step = int(parallel.from_first(str(state.step)))
    if state.step and parallel.rank():
        _create_accumulators(state)
    tensors = _tensors(state)
    parallel.broadcast(list(tensors.values()))
    _set_scales(state, tensors)


def read_newest(folder: Path, say: Callable[[str], None]) -> tuple[dict, dict[str, np.ndarray]]:
    """Manifest and arrays of the newest checkpoint in `folder` that is whole.

    Raises:
        CheckpointError: there is none.
    """
    failures = []
    for checkpoint in _newest_first(folder):
        try:
            content = _read(checkpoint)
        except CheckpointError as error:
            failures.append(str(error))
            continue
        for failure in failures:
            say(f"notice: passed over a damaged checkpoint: {failure}")
        return content
    raise CheckpointError(f"no usable checkpoint in {folder}: {'; '.join(failures) or 'it holds none'}")


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .pdparams or .safetensors file, of whoever wrote it; nothing in it is executed.

    Raises:
        UsageError: no such file, or of another kind. CheckpointError: damaged, or more than arrays.
    """
    if path.suffix == ".pdparams":
        arrays = read_pdparams(path)
    elif path.suffix != ".safetensors" or not path.is_file():
        raise UsageError(f"{path}: no file of weights, .pdparams or .safetensors")
    else:
        try:
            arrays = safetensors.numpy.load_file(path)
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise CheckpointError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error
    for name in arrays:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise CheckpointError(f"{path}: {ascii(name)[:_LONGEST_NAME]} is no name of a weight")
    return arrays


def part(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Of a checkpoint's arrays those of its "average", "generator" or "discriminator", by their names in the layer."""
    prefix = f"{name}/"
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


def load_weights(layer: nn.Layer, arrays: dict[str, np.ndarray], source: Path) -> None:
    """Give `layer`, float32, the weights in `arrays`, of any float type; uint16 is bfloat16, as Paddle writes it.

    Raises:
        CheckpointError: other names, shapes or types, NaN or infinity; no weight has been changed then.
    """
    tensors = layer.state_dict()
    _check_same_shapes(tensors, arrays, source)
    values = {}
    for name in tensors:
        value = values[name] = _float32(arrays[name])
        if value is None:
            raise CheckpointError(f"{source}: {name} is of {arrays[name].dtype}, not of a float type")
        if not np.isfinite(value).all():
            raise CheckpointError(f"{source}: {name} holds NaN or infinity")
    for name, tensor in tensors.items():
        tensor.set_value(values[name])


def _float32(array: np.ndarray) -> np.ndarray | None:
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    if array.dtype.kind != "f":
        return None
    with np.errstate(over="ignore"):  # of float64: infinity is refused
        return array.astype(np.float32)


def _read(checkpoint: Path) -> tuple[dict, dict[str, np.ndarray]]:
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
        manifest["data"], list(manifest["classes"]), dict(manifest["written_with"])
        if checkpoint.name.removeprefix(".").removesuffix(ASIDE) != f"step-{manifest['step']:08d}":
            raise CheckpointError(f"{checkpoint}: its manifest is of step {manifest['step']}")
        stated = manifest.get("manifest_sha256")
        if (stated or written_format > 1) and stated != _manifest_hash(manifest):
            raise CheckpointError(f"{checkpoint / _MANIFEST}: SHA-256 is not the one that it states")
        return manifest, safetensors.numpy.load(payload)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{checkpoint}: cannot be read ({type(error).__name__}: {error})") from error


def _manifest_hash(manifest: dict) -> str:
    """SHA-256 of all that a manifest says, but for this hash itself."""
    said = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _newest_first(folder: Path) -> list[Path]:
    """The checkpoints, latest step first; one that was set aside for another of its step comes after that."""
    matches = [(_NAME.fullmatch(path.name), path) for path in folder.glob("*step-*")]
    found = [(int(match[1] or match[2]), bool(match[1]), path) for match, path in matches if match]
    return [path for _, _, path in sorted(found, reverse=True)]


def _tensors(state: TrainState) -> dict[str, Tensor]:
    """Every tensor of the state under a name that does not depend on the order in which layers were made."""
    tensors = {}
    for name in ("generator", "discriminator", "average"):
        tensors |= {f"{name}/{key}": tensor for key, tensor in getattr(state, name).state_dict().items()}
    for name in ("generator", "discriminator"):
        optimizer, layer = getattr(state, f"{name}_optimizer"), getattr(state, name)
        tensors |= {f"{name}_optimizer/{key}": tensor for key, tensor in _accumulators(optimizer, layer).items()}
    for name, scaler in state.precision.scalers.items():
        numbers = scaler.state_dict()
        tensors |= {f"{name}_scaler/{key}": paddle.to_tensor(np.float32(numbers[key]).reshape(1)) for key in _SCALE}
    return tensors


def _set_scales(state: TrainState, tensors: dict[str, Tensor]) -> None:
    """Give the scalers, whose numbers are no tensors, what `tensors` says of them."""
    for name, scaler in state.precision.scalers.items():
        scale, *counts = (tensors[f"{name}_scaler/{key}"].numpy() for key in _SCALE)
        scaler.load_state_dict(scaler.state_dict() | dict(zip(_SCALE, (scale, *(int(count[0]) for count in counts)))))


def _accumulators(optimizer: paddle.optimizer.Optimizer, layer: nn.Layer) -> dict[str, Tensor]:
    """The optimiser's tensors as "parameter's place in the layer/accumulator".

    Paddle keys them by generated names (`conv2d_0.w_0_moment1_0`), which change with the number and
    order of layers made before.
    """
    state, accumulators = optimizer.state_dict(), {}
    for place, parameter in layer.named_parameters():
        prefix = f"{parameter.name}_"
        for key, tensor in state.items():
            if key.startswith(prefix):
                kind = re.sub(r"_\d+$", "", key.removeprefix(prefix))
                accumulators[f"{place}/{kind}"] = tensor
    return accumulators


def _create_accumulators(state: TrainState) -> None:
    """An optimiser makes its accumulators in its first step: take one of gradient zero, to be overwritten."""
    for name in ("generator", "discriminator"):
        optimizer, layer = getattr(state, f"{name}_optimizer"), getattr(state, name)
        paddle.add_n([0.0 * parameter.sum() for parameter in layer.parameters() if parameter.trainable]).backward()
        optimizer.step()
        optimizer.clear_grad()


def _check_same_shapes(tensors: dict[str, Tensor], arrays: dict[str, np.ndarray], source: Path) -> None:
    mine = {name: list(tensor.shape) for name, tensor in tensors.items()}
    theirs = {name: list(array.shape) for name, array in arrays.items()}
    if mine == theirs:
        return
    different = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
    shown = ", ".join(
        f"{name} {theirs.get(name, 'missing')} (expected {mine.get(name, 'none')})" for name in different[:3]
    )
    raise CheckpointError(f"{source} is of another network, {len(different)} differences: {shown}")
