"""Weights of a network from a file that may come from anyone: read without executing anything, checked, and set."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import paddle.nn as nn
import safetensors
import safetensors.numpy
from paddle import Tensor

from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.training.pdparams import read_pdparams

_LONGEST_NAME = 200


def write_weights(path: Path, layer: nn.Layer, notes: Mapping[str, Any]) -> None:
    """Write the weights of a layer as a .safetensors file, with notes that `read_notes` gives back.

    Args:
        path: of the file.
        layer: its weights are written under their names in it.
        notes: JSON values.
    """
    arrays = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in layer.state_dict().items()}
    texts = {name: json.dumps(value) for name, value in notes.items()}
    path.write_bytes(safetensors.numpy.save(arrays, texts))  # save_file makes it unreadable for others


def read_notes(path: Path) -> dict[str, Any]:
    """The notes in a .safetensors file, whoever wrote them; none in other files, and in files with no notes.

    Raises:
        CheckpointError: the file cannot be read.
    """
    if path.suffix != ".safetensors":
        return {}
    with _damage(path), safetensors.safe_open(path, "numpy") as file:
        texts = file.metadata() or {}
    notes = {}
    for name, text in texts.items():
        with contextlib.suppress(ValueError, RecursionError):  # of another program
            notes[name] = json.loads(text)
    return notes


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .pdparams or .safetensors file. Anyone may have written it: nothing in it is executed.

    Raises:
        UsageError: there is no such file, or it is of another kind.
        CheckpointError: it is damaged, or holds more than arrays.
    """
    if path.suffix == ".pdparams":
        arrays = read_pdparams(path)
    elif path.suffix != ".safetensors" or not path.is_file():
        raise UsageError(f"{path}: not a file of weights, .pdparams or .safetensors")
    else:
        with _damage(path):
            arrays = safetensors.numpy.load_file(path)
    for name in arrays:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise CheckpointError(f"{path}: {ascii(name)[:_LONGEST_NAME]} is not a name of a weight")
    return arrays


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn the errors of a file that is not in the form of safetensors into a CheckpointError."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error


def load_weights(layer: nn.Layer, arrays: dict[str, np.ndarray], source: Path) -> None:
    """Set the weights of a layer.

    Args:
        layer: of float32.
        arrays: by the names of the layer's weights, of any float type. uint16 is bfloat16, as Paddle writes it.
        source: the file, for messages.

    Raises:
        CheckpointError: names, shapes or types do not fit, or a value is NaN or infinite. Then no weight was changed.
    """
    tensors = layer.state_dict()
    check_same_shapes(tensors, arrays, source)
    values = {name: finite_float32(arrays[name], name, source) for name in tensors}
    for name, tensor in tensors.items():
        tensor.set_value(values[name])


def finite_float32(array: np.ndarray, name: str, source: Path) -> np.ndarray:
    """A weight of any float type as float32; uint16 is bfloat16, as Paddle writes it.

    Args:
        array: of any shape.
        name: of the weight, for messages, as is `source`.
        source: the file.

    Raises:
        CheckpointError: it is of another type, or a value is NaN or infinite.
    """
    value = _float32(array)
    if value is None:
        raise CheckpointError(f"{source}: {name} is of {array.dtype}, not of a float type")
    if not np.isfinite(value).all():
        raise CheckpointError(f"{source}: {name} holds NaN or infinity")
    return value


def _float32(array: np.ndarray) -> np.ndarray | None:
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    if array.dtype.kind != "f":
        return None
    with np.errstate(over="ignore"):  # float64 may become infinity, which is refused later
        return array.astype(np.float32)


def check_same_shapes(tensors: Mapping[str, Tensor], arrays: Mapping[str, np.ndarray], source: Path) -> None:
    """Check that both have the same names and shapes.

    Raises:
        CheckpointError: they differ; the message names the first differences.
    """
    expected = {name: list(tensor.shape) for name, tensor in tensors.items()}
    found = {name: list(array.shape) for name, array in arrays.items()}
    if expected == found:
        return
    different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    shown = ", ".join(
        f"{name} {found.get(name, 'missing')} (expected {expected.get(name, 'none')})" for name in different[:3]
    )
    raise CheckpointError(f"{source} is of another network, {len(different)} differences: {shown}")
