"""The record of an evaluation, as a file and as a table.

`score.evaluate` and `translations.evaluate_translations` make records. A record holds "protocol" (everything that the
figures depend on), "subject" (whose samples they are), "figures" (name -> {"samples", and a value of each of `FLOORS`
that was measured}) and "class_counts". Records are compared only if their protocols are equal.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paddle_gan.errors import UsageError

FORMAT = 1


class Figure(NamedTuple):
    """How a figure is shown.

    Attributes:
        label: its name for people.
        better: which values are better, in words.
    """

    label: str
    better: str


class MeanAndError(NamedTuple):
    """Mean of the runs with several seeds, and its standard error; the error is NaN for a single value."""

    mean: float
    error: float


# What stands beside the samples, and its heading.
FLOORS: dict[str, str] = {
    "identity": "inputs as they are",
    "matched": "inputs, colours matched",
    "bicubic": "bicubic",
    "harmonic": "harmonic fill",
    "biharmonic": "biharmonic fill",
    "real": "real images",
}
# The figures of samples by their names in a record, in the order in which they are shown.
FIGURES: dict[str, Figure] = {
    "frechet_distance": Figure("Fréchet distance", "lower"),
    "kernel_distance": Figure("kernel distance (KID)", "lower"),
    "precision": Figure("precision, k=3", "higher"),
    "recall": Figure("recall, k=3", "higher"),
    "density": Figure("density, k=5", "higher"),
    "coverage": Figure("coverage, k=5", "higher"),
    "diversity": Figure("diversity, real = 1", "near 1"),
    "classifier_score": Figure("classifier score", "higher"),
    "modes": Figure("classes reached", "higher"),
    "class_kl": Figure("KL of the classes", "lower"),
    "sliced_wasserstein": Figure("sliced Wasserstein, pixels", "lower"),
    "near_copies": Figure("near-copies of training", "lower"),
    "nearest_training": Figure("distance to nearest training", "like real"),
}
# Those of translations that have a target.
PAIR_FIGURES: dict[str, Figure] = {
    "l1": Figure("L1 to the target", "lower"),
    "psnr": Figure("PSNR, dB", "higher"),
    "ssim": Figure("SSIM", "higher"),
    "psnr_y": Figure("PSNR of Y, dB", "higher"),
    "ssim_y": Figure("SSIM of Y", "higher"),
    "psnr_hole": Figure("PSNR in the hole, dB", "higher"),
    "ssim_hole": Figure("SSIM in the hole", "higher"),
    "perceptual": Figure("distance in random features", "lower"),
}
_KNOWN = FIGURES | PAIR_FIGURES


def table(records: list[dict[str, Any]]) -> str:
    """Records side by side as lines of text, with the columns of the floors last.

    Raises:
        UsageError: they were not measured in the same way; the message names the differences.
    """
    first = records[0]
    for other in records[1:]:
        _check_same_protocol(first["protocol"], other["protocol"])
    floors = [floor for floor in FLOORS if any(floor in values for values in first["figures"].values())]
    headings = [FLOORS[floor] for floor in floors]
    rows = [["", *(record["subject"]["name"] for record in records), *headings, ""]]
    for name, values in first["figures"].items():
        known = [record["figures"].get(name) for record in records]  # an older record may lack a figure
        own = ["" if figure is None else _shown(name, figure["samples"]) for figure in known]
        beside = [_shown(name, values[floor]) if floor in values else "" for floor in floors]
        rows.append([_KNOWN[name].label, *own, *beside, _KNOWN[name].better])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(_aligned(row, widths) for row in rows)


def _check_same_protocol(first: dict[str, Any], other: dict[str, Any]) -> None:
    names = sorted(first.keys() | other.keys())
    differences = [
        f"{name} {first.get(name)} and {other.get(name)}" for name in names if first.get(name) != other.get(name)
    ]
    if differences:
        raise UsageError(f"these figures cannot be compared, they differ in: {'; '.join(differences)}")


def _aligned(row: list[str], widths: list[int]) -> str:
    """A line of a table; the first and the last column are aligned to the left."""
    last = len(row) - 1
    cells = [
        cell.ljust(width) if i in (0, last) else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def mean_and_error(values: list[float]) -> MeanAndError:
    """Mean and standard error of the values of runs that differ in their seeds only."""
    error = np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return MeanAndError(float(np.mean(values)), float(error))


def read_record(path: Path) -> dict[str, Any]:
    """A record that was written as JSON.

    Raises:
        UsageError: the file cannot be read, or holds no record.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] > FORMAT:
            raise UsageError(f"{path}: format {record['format']}; this version reads up to {FORMAT}, update paddle_gan")
        # Everything that `table` uses must be there.
        _ = record["subject"]["name"], dict(record["protocol"])
        for name, values in record["figures"].items():
            _ = _KNOWN[name], [(FLOORS | {"samples": ""})[column] for column in values]
            _ = float(values["samples"]), [float(value) for value in values.values()]
        return record
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: not a record of tools/evaluate.py ({type(error).__name__}: {error})") from error


def _shown(name: str, value: float | int) -> str:
    if name == "near_copies":
        return f"{value:.2%}"
    return str(value) if isinstance(value, int) else f"{value:.4g}"
