"""Weights of a network from a file that may come from anyone: read without executing anything, checked, and set."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import paddle.nn as nn
import safetensors
import safetensors.numpy
from paddle import Tensor

from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.training.pdparams import read_pdparams

_LONGEST_NAME = 200


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
        try:
            arrays = safetensors.numpy.load_file(path)
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise CheckpointError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error
    for name in arrays:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise CheckpointError(f"{path}: {ascii(name)[:_LONGEST_NAME]} is not a name of a weight")
    return arrays


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
