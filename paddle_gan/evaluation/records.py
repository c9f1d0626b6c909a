"""The record of an evaluation as a file and as a table: what was measured, in what, and how it is compared.

A record is what `evaluation.evaluate` makes: "protocol" (all that the figures depend on), "subject" (whose samples),
"figures" (name -> {"samples", "real"}), "class_counts". Records are compared only where their protocols are equal.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from paddle_gan.errors import UsageError

FORMAT = 1
# Label and direction of each figure, in the order in which they are shown.
FIGURES = {
    "frechet_distance": ("Fréchet distance", "lower"),
    "kernel_distance": ("kernel distance (KID)", "lower"),
    "precision": ("precision, k=3", "higher"),
    "recall": ("recall, k=3", "higher"),
    "density": ("density, k=5", "higher"),
    "coverage": ("coverage, k=5", "higher"),
    "diversity": ("diversity, real = 1", "near 1"),
    "classifier_score": ("classifier score", "higher"),
    "modes": ("classes reached", "higher"),
    "class_kl": ("KL of the classes", "lower"),
    "sliced_wasserstein": ("sliced Wasserstein, pixels", "lower"),
    "near_copies": ("near-copies of training", "lower"),
    "nearest_training": ("distance to nearest training", "like real"),
}


def table(records: list[dict[str, Any]]) -> str:
    """Records side by side as lines of text, with the real images' column last.

    Raises:
        UsageError: they were not measured alike; the message names what differs.
    """
    first = records[0]
    for other in records[1:]:
        names = sorted(first["protocol"].keys() | other["protocol"].keys())
        differences = [
            f"{name} {first['protocol'].get(name)} and {other['protocol'].get(name)}"
            for name in names
            if first["protocol"].get(name) != other["protocol"].get(name)
        ]
        if differences:
            raise UsageError(f"these figures cannot be compared, they differ in: {'; '.join(differences)}")
    rows = [["", *(record["subject"]["name"] for record in records), "real images", ""]]
    for name, values in first["figures"].items():
        label, direction = FIGURES[name]
        own = [_shown(name, record["figures"][name]["samples"]) for record in records]
        rows.append([label, *own, _shown(name, values["real"]), direction])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in (0, len(row) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean of the runs with several seeds and its standard error; the error is NaN for a single value."""
    spread = np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(np.mean(values)), float(spread)


def read_record(path: Path) -> dict[str, Any]:
    """A record that was written as JSON.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] > FORMAT:
            raise UsageError(f"{path}: format {record['format']}; this version reads up to {FORMAT}, update paddle_gan")
        record["subject"]["name"], dict(record["protocol"])
        for name, values in record["figures"].items():
            FIGURES[name], float(values["samples"]), float(values["real"])
        return record
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a record of tools/evaluate.py ({type(error).__name__}: {error})") from error


def _shown(name: str, value: float | int) -> str:
    if name == "near_copies":
        return f"{value:.2%}"
    return str(value) if isinstance(value, int) else f"{value:.4g}"
