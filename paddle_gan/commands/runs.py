"""List, compare and remove runs; write the log of a run as a table."""

import sys
from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.commands.outputs import output_file
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import in_users_language, tell
from paddle_gan.config.paths import RUNS
from paddle_gan.config.results import RunsConfig
from paddle_gan.errors import UsageError


def run(parsed: Parsed[RunsConfig]) -> None:
    from paddle_gan.runs import overview

    config = parsed.options
    folders = [Path(folder) for folder in parsed.positional["run"]]
    for option, file, write in (
        ("csv", config.csv, overview.write_metrics_csv),
        ("parquet", config.parquet, overview.write_metrics_parquet),
    ):
        if file:
            if len(folders) != 1:
                raise UsageError(f"--{option} writes the log of one run; name one folder")
            write(folders[0], output_file(f"--{option}", Path(file), f".{option}"))
    if config.csv or config.parquet:
        return
    if config.remove and not folders:
        raise UsageError("--remove: name the folders of the runs to remove")
    runs = overview.find_runs(folders or [RUNS], tell)
    if not runs:
        raise UsageError(f"{', '.join(map(str, folders or [RUNS]))}: no runs there")
    print(overview.difference(runs) if config.diff else overview.table(runs))
    if config.remove and (config.yes or _agreed(len(runs))):
        overview.remove(runs)
        tell(f"removed {len(runs)} run(s)")


def _agreed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("--remove asks before it removes anything, and there is no terminal to ask at; add --yes")
    return input(in_users_language(f"Remove {count} run(s) for good? [y/N] ")).strip().lower() in ("y", "yes")


RUN_LIST = Command(
    name="runs",
    description="List runs with their results and sizes, compare their options, or remove them.",
    options=RunsConfig,
    run=run,
    positional={"run": f"folder of a run, or of several runs (default: {RUNS})"},
    several="run",
    examples={
        "": "a line for each run in work/runs",
        "--diff RUN OTHER": "in what their options differ",
        "RUN --csv curves.csv": "the curves of a run as a table",
        "RUN --parquet curves.parquet": "the same for pandas and others",
        "RUN OTHER --remove": "remove two runs, after a question",
    },
)
