"""Every tensor that training changes in a task, under names that do not depend on the order in which layers were made.

For a player called NAME they are `NAME/…`, `NAME_average/…`, `NAME_optimizer/…` and, where losses are scaled,
`NAME_scaler/…`; the task's further state is `buffers/…`.
"""

import re
from collections.abc import Mapping
from typing import cast

import numpy as np
import paddle
from paddle import Tensor

from paddle_gan.system import parallel
from paddle_gan.training.task import Player, Task

# What a scaler keeps: its scale, and the updates in sequence without and with an overflow.
_SCALE = ("scale", "incr_count", "decr_count")


def tensors_of(task: Task) -> dict[str, Tensor]:
    """The tensors by name; those of layers, optimisers and buffers are the task's own, not copies."""
    tensors: dict[str, Tensor] = {}
    for name, player in task.players.items():
        tensors |= _prefixed(name, player.network.state_dict())
        if player.average is not None:
            tensors |= _prefixed(f"{name}_average", player.average.state_dict())
        tensors |= _prefixed(f"{name}_optimizer", _accumulators(player))
        if player.scaler.is_enable():
            numbers = player.scaler.state_dict()
            scale = {key: paddle.to_tensor(np.float32(numbers[key]).reshape(1)) for key in _SCALE}
            tensors |= _prefixed(f"{name}_scaler", scale)
    return tensors | _prefixed("buffers", task.buffers)


def arrays_of(task: Task) -> dict[str, np.ndarray]:
    """Copies of these tensors as arrays: all that a checkpoint of `task` holds."""
    return {name: tensor.numpy() for name, tensor in tensors_of(task).items()}


def set_state(task: Task, step: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Bring the task to another state.

    Args:
        task: with accumulators, see `create_accumulators`.
        step: rounds played in that state.
        arrays: by the names of `tensors_of`, of the same shapes.
    """
    for name, tensor in tensors_of(task).items():
        tensor.set_value(arrays[name])
    _set_scales(task, arrays)
    task.step = step


def part(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The arrays of one layer, such as "generator" or "generator_average", by their names in that layer."""
    prefix = f"{name}/"
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


def create_accumulators(task: Task) -> None:
    """Let the optimisers of all players make their accumulators."""
    for player in task.players.values():
        create_accumulators_of(player)


def create_accumulators_of(player: Player) -> None:
    """Let an optimiser make its accumulators, which it does in its first step: here with a gradient of zero."""
    trained = [parameter for parameter in player.network.parameters() if parameter.trainable]
    paddle.add_n([0.0 * parameter.sum() for parameter in trained]).backward()
    player.optimizer.step()
    player.optimizer.clear_grad()


def share(task: Task) -> None:
    """Bring the task in every process to the state of process 0, which alone has read a checkpoint."""
    task.step = int(parallel.broadcast_text(str(task.step)))
    if task.step and parallel.rank():
        create_accumulators(task)
    tensors = tensors_of(task)
    parallel.broadcast(list(tensors.values()))
    _set_scales(task, {name: tensor.numpy() for name, tensor in tensors.items() if "_scaler/" in name})


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{key}": tensor for key, tensor in tensors.items()}


def _set_scales(task: Task, arrays: Mapping[str, np.ndarray]) -> None:
    """Give the scalers, whose numbers are no tensors, what `arrays` says of them."""
    for name, player in task.players.items():
        if player.scaler.is_enable():
            scale, increases, decreases = (arrays[f"{name}_scaler/{key}"] for key in _SCALE)
            state = player.scaler.state_dict()
            state["scale"] = cast(Tensor, scale)  # an array is what Paddle itself gives here
            state["incr_count"], state["decr_count"] = int(increases[0]), int(decreases[0])
            player.scaler.load_state_dict(state)


def _accumulators(player: Player) -> dict[str, Tensor]:
    """The optimiser's tensors as "parameter's place in the network/accumulator".

    Paddle keys them by generated names (`conv2d_0.w_0_moment1_0`), which change with the number and order of layers
    made before.
    """
    state, accumulators = player.optimizer.state_dict(), {}
    for place, parameter in player.network.named_parameters():
        prefix = f"{parameter.name}_"
        for key, tensor in state.items():
            if key.startswith(prefix):
                kind = re.sub(r"_\d+$", "", key.removeprefix(prefix))
                accumulators[f"{place}/{kind}"] = tensor
    return accumulators
