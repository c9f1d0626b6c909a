"""Show the curves and samples of runs in VisualDL."""

from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.paths import RUNS
from paddle_gan.config.results import BoardConfig


def run(parsed: Parsed[BoardConfig]) -> None:
    from paddle_gan.runs import board

    board.serve([Path(run) for run in parsed.positional["run"]] or [RUNS], parsed.options, tell)


BOARD = Command(
    name="board",
    description="Show the curves and samples of runs in VisualDL, in a browser on this machine.",
    options=BoardConfig,
    run=run,
    positional={"run": f"folder of a run, or of several runs (default: {RUNS})"},
    several="run",
    needs_paddle=False,
    examples={
        "": "all runs in work/runs",
        "RUN OTHER": "two runs in the same figures",
    },
)
