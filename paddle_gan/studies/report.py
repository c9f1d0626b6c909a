"""The report of a comparison: a table, tests of significance, curves and a sheet of samples.

report.md, report.html   the table and the pictures
curves.png               the distance over steps and over seconds
samples.png              a row for each objective, all from the same latents
visualdl/                the same for VisualDL, beside the logs of the runs
"""

import html
import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from scipy import stats

from paddle_gan.config.language import tell
from paddle_gan.config.studies import CompareConfig
from paddle_gan.evaluation.records import FIGURES, mean_and_error
from paddle_gan.inference.images import grid
from paddle_gan.inference.sampling import generate
from paddle_gan.runs.generators import load_generator
from paddle_gan.studies import comparison
from paddle_gan.studies.comparison import Result, Say
from paddle_gan.system.files import atomic_path, make_folder, writable_home, write_text
from paddle_gan.training.callbacks import EVALUATED

_SHOWN = ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage", "modes", "near_copies")
_SAMPLES_IN_ROW = 16
# Level of significance.
_LEVEL = 0.05

# The results of each objective, by its name.
Groups = dict[str, list[Result]]


class Table(NamedTuple):
    """A table of text."""

    header: list[str]
    rows: list[list[str]]


class Report(NamedTuple):
    """A finished comparison and its report. A notebook shows the table and the verdicts.

    Attributes:
        folder: of the comparison, which holds the files of the report.
        results: of all runs, in the order of the objectives in the options, and of the seeds.
    """

    folder: Path
    results: list[Result]

    def text(self) -> str:
        """The table, the verdicts and the protocol, as Markdown without the pictures."""
        return (self.folder / "report.md").read_text(encoding="utf-8").partition("\n![")[0]

    def __repr__(self) -> str:
        return self.text()

    _repr_markdown_ = text

    def curves(self) -> Image.Image:
        """The distance over steps and over seconds."""
        return Image.open(self.folder / "curves.png")

    def samples(self) -> Image.Image:
        """A row for each objective, all from the same latents."""
        return Image.open(self.folder / "samples.png")


class Curve(NamedTuple):
    """The measures of one run while it trained."""

    x: list[float]
    distances: list[float]


def compare(config: CompareConfig, say: Say = tell) -> Report:
    """Train and measure every objective with every seed, and write the report.

    Args:
        config: the options.
        say: takes one line for the user at a time.

    Raises:
        UsageError: the folder holds another comparison.
        GanError: a training run has failed.
    """
    folder, results = comparison.compare(config, say)
    given = {field.name: getattr(config, field.name) for field in fields(config)}
    named = (f"{field.name}={given[field.name]!r}" for field in fields(config) if given[field.name] != field.default)
    return write(folder, results, f"compare(CompareConfig({', '.join(named)}))")


def write(folder: Path, results: list[Result], command: str) -> Report:
    """Write the whole report into the folder of the comparison.

    Args:
        folder: of the comparison.
        results: of all runs.
        command: the command that made the comparison, for the report.
    """
    groups = _grouped(results)
    shown = table(groups)
    lines = [*verdicts(groups), protocol(results), f"Made by: {command}"]
    _draw_curves(folder / "curves.png", groups)
    _draw_samples(folder / "samples.png", groups)
    write_text(folder / "report.md", _markdown(shown, lines))
    write_text(folder / "report.html", _html(shown, lines))
    _write_visualdl(folder / "visualdl", groups, shown)
    return Report(folder, results)


def table(groups: Groups) -> Table:
    """The mean ± standard error of each figure.

    There is a row for each objective, the one with the best distance first. The last row is that of the real images.
    """
    first = next(iter(groups.values()))[0]
    names = [name for name in _SHOWN if name in first.record["figures"]]
    header = ["", *(FIGURES[name].label for name in names), "generator steps", "minutes"]
    rows = []
    for loss, results in sorted(groups.items(), key=lambda item: np.mean(_distances(item[1]))):
        figures = [_with_error([result.figure(name) for result in results]) for name in names]
        minutes = _with_error([result.seconds / 60 for result in results])
        rows.append([loss, *figures, str(results[0].steps), minutes])
    real = [f"{first.record['figures'][name]['real']:.4g}" for name in names]
    return Table(header, [*rows, ["real images", *real, "", ""]])


def verdicts(groups: Groups) -> list[str]:
    """For each objective but the best one: how much larger its distance is, and whether this is more than chance.

    This is Welch's t-test on the seeds, with the level divided by the number of tests (Bonferroni).
    """
    best, *others = sorted(groups, key=lambda loss: np.mean(_distances(groups[loss])))
    lines = []
    for other in others:
        smaller, larger = _distances(groups[best]), _distances(groups[other])
        difference = np.mean(larger) - np.mean(smaller)
        if min(len(smaller), len(larger)) < 2:
            lines.append(f"{best} is ahead of {other} by {difference:.3g}; one seed says nothing about chance.")
            continue
        test: Any = stats.ttest_ind(larger, smaller, equal_var=False)
        interval = test.confidence_interval(1 - _LEVEL)
        significant = "significant" if test.pvalue < _LEVEL / len(others) else "not significant"
        lines.append(
            f"{best} is ahead of {other} by {difference:.3g} (95 % interval {interval.low:.3g} to {interval.high:.3g}, "
            f"Welch's p = {test.pvalue:.2g}): {significant} at {_LEVEL} over {len(others)} tests."
        )
    return lines


def protocol(results: list[Result]) -> str:
    """A sentence with everything that the figures depend on."""
    values = results[0].record["protocol"]
    return (
        f"{values['samples']:,} samples of each run against {values['reference']:,} images of {values['dataset']} "
        f"({values['split']}), features of {values['extractor']} ({values['extractor_sha256'][:12]}), "
        f"weights: {values['weights']}, seed {values['seed']}; "
        f"± is the standard error over {len(results) // len(_grouped(results))} seeds; "
        "minutes are wall-clock time, including measures."
    )


def _grouped(results: list[Result]) -> Groups:
    groups: Groups = {}
    for result in results:
        groups.setdefault(result.loss, []).append(result)
    return groups


def _distances(results: list[Result]) -> list[float]:
    return [result.figure("frechet_distance") for result in results]


def _with_error(values: list[float]) -> str:
    mean, error = mean_and_error(values)
    if not math.isfinite(error) or error == 0:
        return f"{mean:.4g}"
    # Two digits of the error, and the mean to the same place.
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{mean:.{places}f} ± {error:.{places}f}"


def _curves(results: list[Result], axis: str) -> Iterator[Curve]:
    """A curve for each run; `axis` is "step" or "seconds"."""
    for result in results:
        lines = [line for line in result.metrics if EVALUATED in line]
        yield Curve(x=[line[axis] for line in lines], distances=[line[EVALUATED] for line in lines])


def _draw_curves(path: Path, groups: Groups) -> None:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    labels = {"step": "generator steps", "seconds": "seconds of training"}
    for panel, (axis, label) in zip(axes, labels.items(), strict=True):
        for i, (loss, results) in enumerate(groups.items()):
            for j, curve in enumerate(_curves(results, axis)):
                label_once = loss if j == 0 else None
                panel.plot(curve.x, curve.distances, color=f"C{i}", marker=".", alpha=0.75, label=label_once)
        panel.set(xlabel=label, yscale="log")
        panel.grid(alpha=0.3, which="both")
    axes[0].set_ylabel("Fréchet distance, while training")
    axes[0].legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _draw_samples(path: Path, groups: Groups) -> None:
    """A row of samples of each objective, from the run of its first seed, with the name of the objective."""
    sheets = []
    for results in groups.values():
        generator = load_generator(results[0].folder, lambda line: None)
        batches = generate(generator.network, _SAMPLES_IN_ROW, seed=0, classes=len(generator.classes))
        sheets.append(grid(next(batches).images, _SAMPLES_IN_ROW))
    height, width, _ = sheets[0].shape
    figure = Figure(figsize=(width / 100 + 1, (height / 100 + 0.1) * len(sheets)), layout="constrained")
    axes = figure.subplots(len(sheets), 1, squeeze=False)
    for panel, loss, sheet in zip(axes[:, 0], groups, sheets, strict=True):
        panel.imshow(sheet)
        panel.set(xticks=[], yticks=[])
        panel.set_ylabel(loss)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _markdown(shown: Table, lines: list[str]) -> str:
    cells = [shown.header, ["---"] * len(shown.header), *shown.rows]
    text = "\n".join(f"| {' | '.join(row)} |" for row in cells)
    notes = "\n".join(f"- {line}" for line in lines)
    pictures = "![Distance over steps and seconds](curves.png)\n\n![Samples from the same latents](samples.png)"
    return f"# Comparison\n\n{text}\n\n{notes}\n\n{pictures}\n"


def _html(shown: Table, lines: list[str]) -> str:
    def row(cells: list[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"

    body = "".join(row(cells, "td") for cells in shown.rows)
    notes = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    style = "body{font-family:sans-serif;margin:2em}td,th{padding:.3em .8em;text-align:right}img{max-width:100%}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Comparison</title><style>{style}</style>'
        f"<h1>Comparison</h1><table>{row(shown.header, 'th')}{body}</table><ul>{notes}</ul>"
        '<img src="curves.png" alt="Distance over steps and seconds">'
        '<img src="samples.png" alt="Samples from the same latents"></html>\n'
    )


def _write_visualdl(folder: Path, groups: Groups, shown: Table) -> None:
    with writable_home():
        from visualdl import LogWriter

    for old in make_folder(folder).glob("**/vdlrecords.*"):
        old.unlink()
    with LogWriter(str(folder / "report"), file_name="vdlrecords.report.log") as writer:
        for name in ("curves", "samples"):
            picture = Image.open(folder.parent / f"{name}.png").convert("RGB")
            writer.add_image(f"comparison/{name}", np.asarray(picture), 0)
        for number, row in enumerate(shown.rows):  # a text for each row: VisualDL shows no line breaks
            cells = [f"{label} {cell}".strip() for label, cell in zip(shown.header, row, strict=True) if cell]
            writer.add_text("comparison/table", ", ".join(cells), number)
    for loss, results in groups.items():
        curves = list(_curves(results, "step"))
        with LogWriter(str(folder / loss), file_name="vdlrecords.mean.log") as writer:
            distances = (curve.distances for curve in curves)
            for step, *values in zip(curves[0].x, *distances, strict=False):  # as far as all runs were measured
                writer.add_scalar("comparison/mean_frechet_distance", float(np.mean(values)), step)
