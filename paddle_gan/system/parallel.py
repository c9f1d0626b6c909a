"""Several processes that train one run, each on its share of every batch: start, averages, agreement, end.

They are started by `python -m paddle.distributed.launch`; in a process that was not, there is one process and every
function here returns at once. Each process draws the random numbers of the whole batch and takes its rows of them;
gradients are averaged before every update. So all hold the same state, bit for bit, and the numbers of a run do
not depend on how many they are. Not `paddle.DataParallel`: its hooks refuse a network that is called twice before
one backward pass, as a discriminator is.

Tensors go through Paddle's collective operations. To wait, to agree and to tell of an error the processes meet over
sockets of their own, all with process 0: a collective operation of Gloo gives up after 30 seconds, which process 0 may
spend on a measure or a checkpoint, one of NCCL would have the host wait for the device, and neither says why a
process is missing. (Paddle's key-value store takes 40 milliseconds for each word, too much for every round.)
"""

import contextlib
import json
import os
import secrets
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import numpy as np
import paddle
import paddle.distributed as dist
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.errors import GanError, PeerError

T = TypeVar("T")
Rows = TypeVar("Rows", Tensor, np.ndarray)
# Longer than anything that process 0 does alone.
_PATIENCE_SECONDS = 3600
_SECONDS_TO_CONNECT = 60
# For word of an error, once something is known to be wrong.
_SECONDS_FOR_WORD = 2
_KEY_BYTES = 16
_LENGTH_BYTES = 4

# Process 0: to each of the others, by its number. The others: to process 0. Empty in a process alone.
_lines: dict[int, socket.socket] = {}


def world_size() -> int:
    """Number of processes that train together; 1 outside of `job`."""
    return dist.get_world_size() if _lines else 1


def rank() -> int:
    """Number of this process, from 0; process 0 writes what is written."""
    return dist.get_rank() if _lines else 0


@contextmanager
def job(device: str) -> Iterator[None]:
    """Join the processes that the launcher has started, if it has; an error in one of them ends all.

    Args:
        device: "cpu" or "gpu:N", already selected.

    Raises:
        PeerError: another process has failed; with its message and status where it could tell.
    """
    if not _lines and dist.ParallelEnv().world_size > 1:
        if device == "cpu":
            os.environ["PADDLE_DISTRI_BACKEND"] = "gloo"  # else Paddle takes NCCL wherever it is built with it
        dist.init_parallel_env()
        _connect()
    if not _lines:
        yield
        return
    _on_sigterm(_ended_by_launcher)
    try:
        yield
    except Exception as error:
        if rank() == 0 or not isinstance(error, PeerError):
            _tell(error)
        _on_sigterm(signal.SIG_IGN)  # the launcher is about to end all: not before this one has its own exit status
        raise


def mine(whole: Rows) -> Rows:
    """This process's rows of what is drawn for the whole batch, [N, ...] -> [N / world_size, ...]."""
    if world_size() == 1:
        return whole
    count = len(whole) // world_size()
    return whole[rank() * count : (rank() + 1) * count]


def whole(count: int) -> int:
    """Rows of the whole batch, of which this process has `count`."""
    return count * world_size()


def average_gradients(layer: nn.Layer) -> None:
    """Replace the gradients of `layer`, and the running statistics of its BatchNorms, by their means over the processes."""
    if world_size() > 1:
        average([p.grad if p.trainable else p for p in layer.parameters() if p.grad is not None or not p.trainable])


@paddle.no_grad()
def average(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over the processes, all in one collective operation."""
    if world_size() == 1:
        return
    together = paddle.concat([tensor.flatten() for tensor in tensors])
    with _others_needed():
        dist.all_reduce(together)
    together.scale_(1 / world_size())
    for tensor, mean in zip(tensors, paddle.split(together, [tensor.size for tensor in tensors])):
        paddle.assign(mean.reshape(tensor.shape), tensor)


def broadcast(tensors: Sequence[Tensor]) -> None:
    """Give every process the values that process 0 has."""
    if world_size() == 1:
        return
    arrays = [tensor.numpy() for tensor in tensors]
    together = paddle.to_tensor(np.concatenate([array.ravel() for array in arrays]))
    with _others_needed():
        dist.broadcast(together, src=0)
    ends = np.cumsum([array.size for array in arrays])
    for tensor, array, values in zip(tensors, arrays, np.split(together.numpy(), ends[:-1])):
        tensor.set_value(values.reshape(array.shape))


def meet(stop: bool = False) -> bool:
    """Wait until all processes are here.

    Args:
        stop: this process was asked to end.

    Returns:
        Whether one of them was asked to end, the same in all.

    Raises:
        PeerError: one has failed, or does not come.
    """
    return _exchange(stop, "")["stop"]


def from_first(text: str) -> str:
    """The text that process 0 has given, in every process; they meet for it."""
    return _exchange(False, text)["text"]


def one_first(load: Callable[[], T]) -> T:
    """What `load` returns; one process of each machine calls it before the others of that machine do."""
    if world_size() == 1:
        return load()
    leads = os.environ.get("PADDLE_LOCAL_RANK", "0") == "0"
    loaded = load() if leads else None
    meet()
    return loaded if leads else load()


def _connect() -> None:
    """Open the lines to process 0, on a port and with a key that it tells the others by a broadcast."""
    host = dist.ParallelEnv().trainer_endpoints[0].rpartition(":")[0]
    key, port = secrets.token_bytes(_KEY_BYTES), 0
    with contextlib.ExitStack() as stack:
        if dist.get_rank() == 0:
            listener = stack.enter_context(socket.create_server((host, 0), backlog=dist.get_world_size()))
            listener.settimeout(_SECONDS_TO_CONNECT)
            port = listener.getsockname()[1]
        told = paddle.to_tensor([port, *key], "int32")
        dist.broadcast(told, src=0)
        port, *key = told.tolist()
        if dist.get_rank():
            line = socket.create_connection((host, port), _SECONDS_TO_CONNECT)
            line.sendall(bytes(key) + dist.get_rank().to_bytes(_LENGTH_BYTES))
            _lines[0] = _patient(line)
            return
        others: dict[int, socket.socket] = {}
        while len(others) < dist.get_world_size() - 1:
            line = _patient(listener.accept()[0])
            if secrets.compare_digest(_exactly(line, _KEY_BYTES), bytes(key)):
                others[int.from_bytes(_exactly(line, _LENGTH_BYTES))] = line
        _lines.update(others)


def _patient(line: socket.socket) -> socket.socket:
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.settimeout(_PATIENCE_SECONDS)
    return line


def _exchange(stop: bool, text: str) -> dict[str, Any]:
    """The others send their wishes to process 0, which answers all alike when it has heard from each."""
    answer: dict[str, Any] = {"stop": stop, "text": text}
    if rank():
        _send(_lines[0], answer)
        return _receive(0)
    silent = set(_lines)
    while silent:
        ready = _with_word(silent, _PATIENCE_SECONDS)
        if not ready:
            raise PeerError(f"nothing has come from process {min(silent)} for {_PATIENCE_SECONDS} seconds")
        for process in ready:
            answer["stop"] |= _receive(process)["stop"]
            silent.remove(process)
    for line in _lines.values():
        _send(line, answer)
    return answer


def _with_word(processes: set[int], seconds: float) -> list[int]:
    """Those of `processes` from which something has come, or comes within `seconds`, be it the end of the line."""
    ready = select.select([_lines[process] for process in processes], [], [], seconds)[0]
    return [process for process in processes if _lines[process] in ready]


def _send(line: socket.socket, word: dict[str, Any]) -> None:
    content = json.dumps(word).encode()
    with contextlib.suppress(OSError):  # that a line is broken shows when the answer does not come
        line.sendall(len(content).to_bytes(_LENGTH_BYTES) + content)


def _receive(process: int) -> dict[str, Any]:
    try:
        line = _lines[process]
        word = json.loads(_exactly(line, int.from_bytes(_exactly(line, _LENGTH_BYTES))))
    except OSError as error:
        logs = os.environ.get("PADDLE_LOG_DIR", "the launcher's folder of logs")
        raise PeerError(
            f"process {process} has ended without a word, its log in {logs} may say why ({error})"
        ) from error
    if "failed" in word:
        raise PeerError(word["failed"], word["status"])
    return word


def _exactly(line: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        piece = line.recv(count - len(content))
        if not piece:
            raise ConnectionResetError("the connection is closed")
        content += piece
    return content


def _tell(error: Exception) -> None:
    """Send what ends this process to those that it has a line to."""
    message = str(error) if isinstance(error, GanError) else f"{type(error).__name__}: {error}"
    if not isinstance(error, PeerError):
        message = f"process {rank()} has failed: {message}"
    for line in _lines.values():
        _send(line, {"failed": message, "status": getattr(error, "exit_status", 1)})


def _raise_if_told() -> None:
    """Raise the PeerError of a process that has failed, if word of it comes soon."""
    end = time.monotonic() + _SECONDS_FOR_WORD
    while (left := end - time.monotonic()) > 0:
        for process in _with_word(set(_lines), left):
            _receive(process)


@contextmanager
def _others_needed() -> Iterator[None]:
    """Turn the loss of another process in a collective operation into a PeerError that says which, and why."""
    try:
        yield
    except RuntimeError as error:
        _raise_if_told()
        raise PeerError(f"a collective operation of the processes has failed: {error}") from error


def _on_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _ended_by_launcher(number: int, frame: FrameType | None) -> None:
    """When one process has failed the launcher ends the others: with that one's error if there is word of it."""
    _raise_if_told()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
