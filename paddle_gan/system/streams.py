"""Standard output and standard error that do not end a command before its work is done.

A closed stream (`>&-`) leads nowhere. The reader of a pipe may go (`| head -1`), and a disk that a stream is written to
may become full: then the rest of the text leads nowhere too, and the training goes on.
"""

import io
import os
import sys
from collections.abc import Callable
from typing import Any


class _Lasting(io.RawIOBase):
    """Writes to a file descriptor, and to nowhere after the first error.

    Attributes:
        failure: the first error that is not the reader's leave.
    """

    def __init__(self, descriptor: int):
        super().__init__()
        self._descriptor = descriptor
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, content) -> int:
        try:
            return os.write(self._descriptor, content)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.failure = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
            return len(content)


def lasting_streams() -> Callable[[], OSError | None]:
    """Replace `sys.stdout` and `sys.stderr`. Each line appears at once, also in a pipe or a log file.

    A path may hold what the encoding of the terminal cannot show: it is written with backslashes.

    Returns:
        A function that writes out what is left, and returns the error by which text for standard output was lost; None
        if nothing was lost, or if only its reader has gone.
    """
    _open_closed_descriptors()
    output = _Lasting(1)
    stdout, sys.stderr = _text(output, sys.stdout), _text(_Lasting(2), sys.stderr)
    sys.stdout = stdout

    def finish() -> OSError | None:
        stdout.flush()
        return output.failure

    return finish


def _open_closed_descriptors() -> None:
    """Otherwise the next file would be opened as standard output, and what Paddle prints would be written into it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _text(raw: _Lasting, present: Any) -> io.TextIOWrapper:
    encoding = getattr(present, "encoding", None) or "utf-8"
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="backslashreplace", line_buffering=True)
