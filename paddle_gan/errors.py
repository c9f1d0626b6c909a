"""The errors that a user can cause or must know of, each with the exit status that the command line gives it.

The message of each is one line for a user: what happened, where, and what to do.
"""

from collections.abc import Callable


class GanError(Exception):
    """Base class of every error that is meant for the user; never raised itself.

    Attributes:
        in_users_language: makes of a line what a user is shown; `config.language` sets it.
    """

    exit_status = 1
    in_users_language: Callable[[str], str] = str

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows of the error: its message, without a traceback."""
        return [GanError.in_users_language(f"error: {self}")]


class UsageError(GanError):
    """Options that do not exist, do not go together, or are wrong by theory; or an environment without Paddle 3."""

    exit_status = 2


class DataError(GanError):
    """A data set that is missing, damaged or of the wrong kind."""

    exit_status = 2


class CheckpointError(GanError):
    """A checkpoint that is missing, damaged or of another model."""

    exit_status = 3


class NumericalError(GanError):
    """NaN or infinity in a loss, a gradient or a logit."""

    exit_status = 4


class DiskError(GanError):
    """Output that cannot be written: a full disk, a read-only folder."""

    exit_status = 5


class SelfcheckError(GanError):
    """Something does not work on this machine."""


class PeerError(GanError):
    """Another process of the same training run has ended; with the exit status of that process if it is known."""

    def __init__(self, message: str, exit_status: int = 1):
        super().__init__(message)
        self.exit_status = exit_status
