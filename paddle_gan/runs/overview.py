"""All runs in some folders at a glance: what they are, how far they came, how good, how large; and their removal."""

import csv
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from paddle_gan.config.options import ORIGIN
from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.runs.folder import read_json, short_path
from paddle_gan.system.files import atomic_path, locked, write_text
from paddle_gan.training.callbacks import EVALUATED, FEATURES, L1
from paddle_gan.training.log import read_metrics

# Options that say where and how often something is written, which no one compares.
_NOT_COMPARED = {"out", "device", "resume", "workers", "log", "log_every", "sample_every", "checkpoint_every"}
# Where a run has its images: the options that may say it.
_DATA = ("dataset", "images", "pairs", "unpaired")
# What columns of their own say.
_SAID = {*_DATA, "task", "loss", "steps", ORIGIN, "resume_step"}
# Of a run, in the table.
_MOST_OPTIONS = 5
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Summary:
    """A run at a glance.

    Attributes:
        folder: of the run.
        options: as its config.json has them.
        step: the last that was logged; 0 if none.
        seconds: of training so far.
        measure: the name of the value by which its best checkpoint is chosen, a distance.
        best: the least that was measured; None if nothing was.
        size: bytes on the disk.
    """

    folder: Path
    options: dict[str, Any]
    step: int
    seconds: float
    measure: str
    best: float | None
    size: int


def find_runs(folders: Iterable[Path], say: Callable[[str], None]) -> list[Summary]:
    """The runs in and below some folders, in the order of their paths. One that cannot be read is named and left out.

    Raises:
        UsageError: a folder does not exist.
    """
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder")
        found += [path.parent for path in folder.rglob("config.json") if (path.parent / "checkpoints").is_dir()]
    runs = []
    for folder in sorted(set(found)):
        try:
            runs.append(_summary(folder))
        except CheckpointError as error:
            say(f"notice: {error}")
    return runs


def _summary(folder: Path) -> Summary:
    lines = read_metrics(folder / "metrics.jsonl")
    measure = L1 if any(L1 in line for line in lines) else EVALUATED
    return Summary(
        folder=folder,
        options=read_json(folder),
        step=lines[-1]["step"] if lines else 0,
        seconds=lines[-1]["seconds"] if lines else 0.0,
        measure=measure,
        best=_least([line for line in lines if measure in line], measure),
        size=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    )


def _least(lines: list[dict[str, Any]], measure: str) -> float | None:
    """The least value among those that were measured in the same features as the last one."""
    return min((line[measure] for line in lines if line.get(FEATURES) == lines[-1].get(FEATURES)), default=None)


def differing(runs: list[Summary]) -> dict[str, list[Any]]:
    """The options that are not the same in all runs: name -> the value of each run, None where a run has none."""
    names = sorted({name for run in runs for name in run.options} - _NOT_COMPARED)
    values = {name: [run.options.get(name) for run in runs] for name in names}
    return {name: own for name, own in values.items() if any(value != own[0] for value in own)}


def table(runs: list[Summary]) -> str:
    """A line for each run. Its last column names options in which it differs from most runs of its task and data."""
    rows = [("run", "data", "objective", "steps", "best", "minutes", "MiB", "options")]
    for run, own in zip(runs, _unusual(runs), strict=True):
        options = run.options
        rows.append(
            (
                str(short_path(run.folder)),
                _data_of(options),
                " ".join(str(options[name]) for name in ("task", "loss") if name in options),
                f"{run.step}/{options.get('steps')}",
                _best(run),
                f"{run.seconds / 60:.1f}",
                f"{run.size / _MEBIBYTE:.0f}",
                " ".join(own[:_MOST_OPTIONS]) + (f" +{len(own) - _MOST_OPTIONS}" if len(own) > _MOST_OPTIONS else ""),
            )
        )
    return _aligned(rows)


def _best(run: Summary) -> str:
    """The least distance, with its name if it is not the Fréchet distance."""
    return "" if run.best is None else f"{'L1 ' if run.measure == L1 else ''}{run.best:.4g}"


def _unusual(runs: list[Summary]) -> list[list[str]]:
    """For each run, `name=value` of the options that it does not share with more than half of its task and data."""
    jobs = [_job(run) for run in runs]
    shown: list[list[str]] = [[] for _ in runs]
    for job in set(jobs):
        places = [place for place, own in enumerate(jobs) if own == job]
        for name, values in differing([runs[place] for place in places]).items():
            usual, count = Counter(map(repr, values)).most_common(1)[0]
            for place, value in zip(places, values, strict=True):
                if name not in _SAID and not (repr(value) == usual and 2 * count > len(places)):
                    shown[place].append(f"{name}={_short(value)}")
    return shown


def _job(run: Summary) -> tuple[Any, str]:
    return run.options.get("task"), _data_of(run.options)


def _short(value: Any) -> str:
    """A value of an option; of a path its name."""
    if isinstance(value, list):
        return ",".join(map(_short, value))
    return Path(value).name if isinstance(value, str) and "/" in value else str(value)


def _data_of(options: dict[str, Any]) -> str:
    """The names of the folders or of the data set."""
    given = next((options[name] for name in _DATA if options.get(name)), "")
    return "-".join(Path(one).name for one in ([given] if isinstance(given, str) else given))


def difference(runs: list[Summary]) -> str:
    """A line for each option that differs, with a column for each run, and the least distance of each."""
    rows = [("", *(run.folder.name for run in runs))]
    said_below = {ORIGIN, "resume_step"}
    rows += [(name, *map(_short, values)) for name, values in differing(runs).items() if name not in said_below]
    if any(ORIGIN in run.options for run in runs):
        rows.append(("begun from", *(_begun_from(run.options.get(ORIGIN) or {}) for run in runs)))
    rows.append(("step", *(str(run.step) for run in runs)))
    rows.append(("least distance", *map(_best, runs)))
    return _aligned(rows)


def _begun_from(origin: dict[str, Any]) -> str:
    """Where a run comes from, as `folder.recorded` wrote it; nothing for new weights."""
    if "branch" in origin:
        return f"{Path(origin['branch']['run']).name} at step {origin['branch']['step']}"
    return Path(origin["start"]["source"]).name if "start" in origin else ""


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def write_metrics_csv(run: Path, path: Path) -> None:
    """The log of a run as a table: a row for each logged step, a column for each value; empty where there is none.

    A value that is a list, such as the counts of the classes, is written as JSON.

    Raises:
        UsageError: the folder has no log.
    """
    lines, names = _logged(run)
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: json.dumps(value) if isinstance(value, list) else value for name, value in line.items()})
    write_text(path, text.getvalue())


def write_metrics_parquet(run: Path, path: Path) -> None:
    """The same table as a Parquet file: numbers as they are logged, lists as lists, null where there is no value.

    Raises:
        UsageError: the folder has no log, or pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise UsageError("--parquet needs pyarrow: pip install pyarrow, or take --csv")
    import pyarrow  # type: ignore[import-not-found]
    import pyarrow.parquet  # type: ignore[import-not-found]

    lines, names = _logged(run)
    columns = pyarrow.table({name: [line.get(name) for line in lines] for name in names})
    with atomic_path(path) as temporary:
        pyarrow.parquet.write_table(columns, temporary)


def _logged(run: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The lines of the log of a run, and the names of all values in them."""
    lines = read_metrics(run / "metrics.jsonl")
    if not lines:
        raise UsageError(f"{run}: no metrics.jsonl with values in it")
    return lines, list(dict.fromkeys(name for line in lines for name in line))


def remove(runs: list[Summary]) -> None:
    """Remove the folders of some runs.

    Raises:
        UsageError: a process trains in one of them; that one and those after it stay.
    """
    for run in runs:
        with locked(run.folder):
            shutil.rmtree(run.folder)
