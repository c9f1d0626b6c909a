"""Connections between the processes of one training run: process 0 has one to each other process.

The processes use them for barriers, for short texts and for errors. Not about tensors: see `parallel`.

Why not Paddle's own operations: a collective operation of Gloo gives up after 30 seconds, but process 0 may need longer
for a measure or a checkpoint; one of NCCL would make the host wait for the device; and neither says why a process is
missing. Paddle's key-value store takes 40 milliseconds for each message, which is too slow for every round.
"""

import contextlib
import json
import os
import secrets
import select
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from paddle_gan.errors import GanError, PeerError

# Longer than anything that process 0 does alone.
_TIMEOUT_SECONDS = 3600
_CONNECT_SECONDS = 60
# How long to wait for another process's error message once something has failed.
_ERROR_SECONDS = 2
_KEY_BYTES = 16
# Size of the length that stands before each message, and of a rank.
_LENGTH_BYTES = 4


class Exchanged(NamedTuple):
    """The result of an exchange, the same in every process.

    Attributes:
        any_flag: whether the flag was set in any process.
        text: of process 0.
    """

    any_flag: bool
    text: str


class Connections:
    """This process's connections: those of process 0 go to every other process, that of another one to process 0."""

    def __init__(self, rank: int, sockets: dict[int, socket.socket]) -> None:
        """Take over open sockets.

        Args:
            rank: of this process.
            sockets: by the rank of the process at the other end.
        """
        self._rank = rank
        self._sockets = sockets
        for connection in sockets.values():
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(_TIMEOUT_SECONDS)

    def exchange(self, flag: bool, text: str) -> Exchanged:
        """A barrier: every process sends to process 0, which answers all of them once it has heard from each.

        Raises:
            PeerError: a process has failed, has ended, or has not come within an hour.
        """
        if self._rank:
            self._send(0, {"flag": flag, "text": text})
            answer = self._receive(0)
            return Exchanged(answer["flag"], answer["text"])
        missing = set(self._sockets)
        while missing:
            readable = self._readable(missing, _TIMEOUT_SECONDS)
            if not readable:
                raise PeerError(f"nothing has come from process {min(missing)} for {_TIMEOUT_SECONDS} seconds")
            for rank in readable:
                flag |= self._receive(rank)["flag"]
                missing.remove(rank)
        for rank in self._sockets:
            self._send(rank, {"flag": flag, "text": text})
        return Exchanged(flag, text)

    def send_error(self, error: Exception) -> None:
        """Send the error that ends this process to every process that it is connected to."""
        message = str(error) if isinstance(error, GanError) else f"{type(error).__name__}: {error}"
        if not isinstance(error, PeerError):
            message = f"process {self._rank} has failed: {message}"
        for rank in self._sockets:
            self._send(rank, {"failed": message, "status": getattr(error, "exit_status", 1)})

    def raise_received_error(self) -> None:
        """Wait a moment for the error of another process, and raise it.

        Raises:
            PeerError: with the message and the exit status of the process that has failed. Nothing is raised if no
                error comes.
        """
        end = time.monotonic() + _ERROR_SECONDS
        while (left := end - time.monotonic()) > 0:
            for rank in self._readable(set(self._sockets), left):
                self._receive(rank)

    def _readable(self, ranks: set[int], seconds: float) -> list[int]:
        """Those of `ranks` from which a message, or the end of the connection, comes within `seconds`."""
        ready = select.select([self._sockets[rank] for rank in ranks], [], [], seconds)[0]
        return [rank for rank in ranks if self._sockets[rank] in ready]

    def _send(self, rank: int, message: dict[str, Any]) -> None:
        content = json.dumps(message).encode()
        with contextlib.suppress(OSError):  # a broken connection is reported when its answer does not come
            self._sockets[rank].sendall(len(content).to_bytes(_LENGTH_BYTES, "big") + content)

    def _receive(self, rank: int) -> dict[str, Any]:
        """The next message of a process.

        Raises:
            PeerError: it has ended, or the message is its error.
        """
        connection = self._sockets[rank]
        try:
            length = int.from_bytes(_receive_bytes(connection, _LENGTH_BYTES), "big")
            message = json.loads(_receive_bytes(connection, length))
        except OSError as error:
            logs = os.environ.get("PADDLE_LOG_DIR", "the launcher's log folder")
            raise PeerError(
                f"process {rank} has ended without an error message; its log in {logs} may say why ({error})"
            ) from error
        if "failed" in message:
            raise PeerError(message["failed"], message["status"])
        return message


def connect(host: str, rank: int, world_size: int, broadcast: Callable[[list[int]], list[int]]) -> Connections:
    """Connect every process with process 0.

    Process 0 listens on a free port. It gives the others the port and a random key, so that no other program can take
    part.

    Args:
        host: address of process 0.
        rank: of this process.
        world_size: number of processes.
        broadcast: returns the numbers that process 0 has given, in every process; they are of 32 bits.
    """
    if rank:
        port, *key = broadcast([0] * (1 + _KEY_BYTES))
        connection = socket.create_connection((host, port), _CONNECT_SECONDS)
        connection.sendall(bytes(key) + rank.to_bytes(_LENGTH_BYTES, "big"))
        return Connections(rank, {0: connection})
    key = secrets.token_bytes(_KEY_BYTES)
    with socket.create_server((host, 0), backlog=world_size) as listener:
        listener.settimeout(_CONNECT_SECONDS)
        broadcast([listener.getsockname()[1], *key])
        sockets: dict[int, socket.socket] = {}
        while len(sockets) < world_size - 1:
            connection = listener.accept()[0]
            connection.settimeout(_TIMEOUT_SECONDS)
            if secrets.compare_digest(_receive_bytes(connection, _KEY_BYTES), key):
                sockets[int.from_bytes(_receive_bytes(connection, _LENGTH_BYTES), "big")] = connection
    return Connections(rank, sockets)


def _receive_bytes(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        piece = connection.recv(count - len(content))
        if not piece:
            raise ConnectionResetError("the connection is closed")
        content += piece
    return content
