"""Data parallelism: several processes train one run, each on its shard of every global batch.

`python -m paddle.distributed.launch` starts them. In a process that was started in another way there is one process,
and every function here returns at once.

Each process draws the random numbers of the global batch and takes its shard of them, and gradients are averaged before
every update. So all processes hold the same state, bit for bit, and the numbers of a training run do not depend on the
number of processes. This is not `paddle.DataParallel`, whose hooks refuse a network that is called twice before one
backward pass, as a discriminator is.

Tensors are exchanged by Paddle's collective operations; barriers, short texts and errors by `connections`.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import numpy as np
import paddle
import paddle.distributed as dist
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.errors import PeerError
from paddle_gan.system.connections import Connections, connect

BATCH_NORMS = (nn.BatchNorm, nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D, nn.SyncBatchNorm)
T = TypeVar("T")
Rows = TypeVar("Rows", Tensor, np.ndarray)

# As the rank, a fact of the whole process: `job` sets it once. None in a process that trains alone.
_connections: Connections | None = None


def world_size() -> int:
    """Number of processes that train together; 1 outside of `job`."""
    return dist.get_world_size() if _connections else 1


def rank() -> int:
    """Number of this process, from 0. Process 0 writes the files."""
    return dist.get_rank() if _connections else 0


@contextmanager
def job(device: str) -> Iterator[None]:
    """Join the other processes if the launcher has started several; an error in one process ends all of them.

    Args:
        device: "cpu" or "gpu:N", already selected.

    Raises:
        PeerError: another process has failed. If that process could send its error, this one has the same message and
            exit status.
    """
    _join(device)
    if _connections is None:
        yield
        return
    _handle_sigterm(_ended_by_launcher)
    try:
        yield
    except Exception as error:
        if rank() == 0 or not isinstance(error, PeerError):
            _connections.send_error(error)
        # The launcher is about to end all processes. This one must end with its own exit status first.
        _handle_sigterm(signal.SIG_IGN)
        raise


def _join(device: str) -> None:
    global _connections
    if _connections is not None or dist.ParallelEnv().world_size == 1:
        return
    if device == "cpu":
        os.environ["PADDLE_DISTRI_BACKEND"] = "gloo"  # otherwise Paddle takes NCCL wherever it is built with it
    dist.init_parallel_env()
    host = dist.ParallelEnv().trainer_endpoints[0].rpartition(":")[0]
    _connections = connect(host, dist.get_rank(), dist.get_world_size(), _broadcast_numbers)


def _broadcast_numbers(numbers: list[int]) -> list[int]:
    tensor = paddle.to_tensor(numbers, "int32")
    dist.broadcast(tensor, src=0)
    return [int(value) for value in tensor.numpy()]


def shard(rows: Rows) -> Rows:
    """This process's rows of a global batch, [N, ...] -> [N / world_size, ...]."""
    if world_size() == 1:
        return rows
    count = len(rows) // world_size()
    return rows[rank() * count : (rank() + 1) * count]


def global_rows(count: int) -> int:
    """Number of rows of the global batch, if each process has `count` of them."""
    return count * world_size()


def average_gradients(layer: nn.Layer) -> None:
    """Replace gradients of `layer`, and running statistics of its BatchNorms, by their means over the processes.

    What is frozen is left alone: the mean of equal numbers may be another one, after rounding.
    """
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in layer.parameters() if parameter.trainable]
    norms = [part for part in layer.sublayers(include_self=True) if isinstance(part, BATCH_NORMS)]
    statistics = [tensor for norm in norms if norm._momentum < 1 for tensor in (norm._mean, norm._variance)]
    average([tensor for tensor in gradients if tensor is not None] + statistics)


@paddle.no_grad()
def average(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over the processes, with one collective operation for all tensors."""
    if world_size() == 1:
        return
    flat = paddle.concat([tensor.flatten() for tensor in tensors])
    with _peer_errors():
        dist.all_reduce(flat)
    flat.scale_(1 / world_size())
    for tensor, mean in zip(tensors, paddle.split(flat, [tensor.size for tensor in tensors]), strict=True):
        paddle.assign(mean.reshape(tensor.shape), tensor)


@paddle.no_grad()
def broadcast(tensors: Sequence[Tensor]) -> None:
    """Give the tensors of every process the values that they have in process 0."""
    if world_size() == 1:
        return
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):  # in the same order in every process
        same_type = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = paddle.concat([tensor.flatten() for tensor in same_type])
        with _peer_errors():
            dist.broadcast(flat, src=0)
        for tensor, values in zip(same_type, paddle.split(flat, [tensor.size for tensor in same_type]), strict=True):
            tensor.set_value(values.reshape(tensor.shape))


def barrier() -> None:
    """Wait until all processes are here.

    Raises:
        PeerError: a process has failed, or does not come.
    """
    any_process(False)


def any_process(flag: bool) -> bool:
    """Whether `flag` is true in any process, with the same answer in all of them. This is a barrier too.

    Raises:
        PeerError: a process has failed, or does not come.
    """
    return _connections.exchange(flag, "").any_flag if _connections else flag


def broadcast_text(text: str) -> str:
    """The text that process 0 has given, in every process. This is a barrier too.

    Raises:
        PeerError: a process has failed, or does not come.
    """
    return _connections.exchange(False, text).text if _connections else text


def local_process_0_first(load: Callable[[], T]) -> T:
    """The result of `load`; on each machine, its first process calls `load` before the other processes do."""
    if world_size() == 1:
        return load()
    is_first = os.environ.get("PADDLE_LOCAL_RANK", "0") == "0"
    loaded = load() if is_first else None
    barrier()
    return loaded if is_first else load()  # type: ignore[return-value]


@contextmanager
def _peer_errors() -> Iterator[None]:
    """If a collective operation fails because another process has ended, raise a PeerError that says which and why."""
    try:
        yield
    except RuntimeError as error:
        assert _connections is not None
        _connections.raise_received_error()
        raise PeerError(f"a collective operation of the processes has failed: {error}") from error


def _handle_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _ended_by_launcher(number: int, frame: FrameType | None) -> None:
    """When a process has failed, the launcher sends SIGTERM to the others: end with its error if that has come."""
    assert _connections is not None
    _connections.raise_received_error()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
