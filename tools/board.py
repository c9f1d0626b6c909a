"""Show the curves of runs in VisualDL: python tools/board.py RUN"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.config.command_line import main, parse
from paddle_gan.config.options import RUNS, BoardConfig


def command() -> None:
    config, positional, _ = parse(
        BoardConfig,
        "Show the curves and samples of runs in VisualDL, in a browser on this machine.",
        {"run": f"folder of a run, or of runs (default: {RUNS})"},
        several="run",
    )
    from paddle_gan.runs import board

    board.serve([Path(run).expanduser() for run in positional["run"]] or [RUNS], config, print)


if __name__ == "__main__":
    main(command)
