"""The programs that a run can be logged for, beside its own log: what writes for each, and what that needs."""

from importlib.util import find_spec
from typing import NamedTuple

from paddle_gan.config.names import NO_LOG
from paddle_gan.errors import UsageError
from paddle_gan.training.mirror import OpenWriter
from paddle_gan.training.tensorboard import tensorboard_writer
from paddle_gan.training.visualdl import visualdl_writer
from paddle_gan.training.wandb_offline import wandb_writer


class FurtherLog(NamedTuple):
    """A program that shows runs.

    Attributes:
        open: gives the writer for it.
        folder: its name in a run folder.
        package: that the writer imports, which is installed by the same name.
    """

    open: OpenWriter
    folder: str
    package: str


FURTHER_LOGS = {
    "visualdl": FurtherLog(visualdl_writer, "visualdl", "visualdl"),
    "tensorboard": FurtherLog(tensorboard_writer, "tensorboard", "tensorboardX"),
    "wandb-offline": FurtherLog(wandb_writer, "wandb", "wandb"),
}


def chosen_logs(names: tuple[str, ...]) -> list[FurtherLog]:
    """The logs that --log names.

    Raises:
        UsageError: a package is missing, or "none" stands beside others.
    """
    if NO_LOG in names:
        if len(names) > 1:
            raise UsageError(f"--log {' '.join(names)}: {NO_LOG} stands alone")
        return []
    logs = [FURTHER_LOGS[name] for name in names]
    for name, log in zip(names, logs, strict=True):
        if find_spec(log.package) is None:
            raise UsageError(f"--log {name} needs a package that is not here: pip install {log.package}")
    return logs
