"""The report of a comparison: a table, what is significant, curves, a sheet of samples; Markdown, HTML, PNG, VisualDL.

report.md, report.html   the table and the pictures
curves.png               the distance over steps and over seconds
samples.png              a row for each objective, from the same noise
visualdl/                the same for VisualDL, beside the runs' own
"""

import html
import math
from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from scipy import stats

from paddle_gan.evaluation.records import FIGURES, mean_and_error
from paddle_gan.inference.images import grid
from paddle_gan.inference.sampling import generate
from paddle_gan.runs import experiment
from paddle_gan.studies.comparison import Result
from paddle_gan.system.files import atomic_path, make_folder, write_text
from paddle_gan.training.callbacks import EVALUATED

_SHOWN = ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage", "modes", "near_copies")
_SAMPLES_IN_ROW = 16
_LEVEL = 0.05


def write(folder: Path, results: list[Result], command: str) -> None:
    """Write the whole report into the comparison's folder; `command` is what made it."""
    groups = _grouped(results)
    header, rows = table(groups)
    lines = [*verdicts(groups), protocol(results), f"Made by: {command}"]
    _draw_curves(folder / "curves.png", groups)
    _draw_samples(folder / "samples.png", groups)
    write_text(folder / "report.md", _markdown(header, rows, lines))
    write_text(folder / "report.html", _html(header, rows, lines))
    _write_visualdl(folder / "visualdl", groups, header, rows)


def table(groups: dict[str, list[Result]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: for each objective the mean ± standard error of each figure, best distance first; real images last."""
    first = next(iter(groups.values()))[0]
    names = [name for name in _SHOWN if name in first.record["figures"]]
    header = ["", *(FIGURES[name][0] for name in names), "generator steps", "minutes"]
    rows = []
    for loss, results in sorted(groups.items(), key=lambda item: np.mean(_values(item[1]))):
        figures = [_with_error([result.figure(name) for result in results]) for name in names]
        minutes = _with_error([result.seconds / 60 for result in results])
        rows.append([loss, *figures, str(results[0].steps), minutes])
    real = [f"{first.record['figures'][name]['real']:.4g}" for name in names]
    return header, [*rows, ["real images", *real, "", ""]]


def verdicts(groups: dict[str, list[Result]]) -> list[str]:
    """For each objective, how far its distance is behind the best one's, and whether that is more than chance.

    Welch's t-test on the seeds, the level divided by the number of tests (Bonferroni).
    """
    best, *others = sorted(groups, key=lambda loss: np.mean(_values(groups[loss])))
    lines = []
    for other in others:
        mine, theirs = _values(groups[best]), _values(groups[other])
        difference = np.mean(theirs) - np.mean(mine)
        if min(len(mine), len(theirs)) < 2:
            lines.append(f"{best} is ahead of {other} by {difference:.3g}; one seed says nothing of chance.")
            continue
        test = stats.ttest_ind(theirs, mine, equal_var=False)
        interval = test.confidence_interval(1 - _LEVEL)
        significant = "significant" if test.pvalue < _LEVEL / len(others) else "not significant"
        lines.append(
            f"{best} is ahead of {other} by {difference:.3g} (95 % interval {interval.low:.3g} to {interval.high:.3g}, "
            f"Welch's p = {test.pvalue:.2g}): {significant} at {_LEVEL} over {len(others)} tests."
        )
    return lines


def protocol(results: list[Result]) -> str:
    """What all the figures depend on, in a sentence."""
    it = results[0].record["protocol"]
    return (
        f"{it['samples']:,} samples of each run against {it['reference']:,} images of {it['dataset']} "
        f"({it['split']}), features of {it['extractor']} ({it['extractor_sha256'][:12]}), weights: {it['weights']}, "
        f"seed {it['seed']}; ± is the standard error over {len(results) // len(_grouped(results))} seeds; "
        "minutes are wall-clock, measures included."
    )


def _grouped(results: list[Result]) -> dict[str, list[Result]]:
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.loss, []).append(result)
    return groups


def _values(results: list[Result]) -> list[float]:
    return [result.figure("frechet_distance") for result in results]


def _with_error(values: list[float]) -> str:
    mean, error = mean_and_error(values)
    if not math.isfinite(error) or error == 0:
        return f"{mean:.4g}"
    # Two digits of the error, and the mean to the same place.
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{mean:.{places}f} ± {error:.{places}f}"


def _curves(results: list[Result], axis: str) -> Iterator[tuple[list[float], list[float]]]:
    """(axis, distance) of each run's measures while it trained."""
    for result in results:
        lines = [line for line in result.metrics if EVALUATED in line]
        yield [line[axis] for line in lines], [line[EVALUATED] for line in lines]


def _draw_curves(path: Path, groups: dict[str, list[Result]]) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    for panel, axis, label in zip(axes, ("step", "seconds"), ("generator steps", "seconds of training")):
        for i, (loss, results) in enumerate(groups.items()):
            for j, (x, y) in enumerate(_curves(results, axis)):
                panel.plot(x, y, color=f"C{i}", marker=".", alpha=0.75, label=loss if j == 0 else None)
        panel.set(xlabel=label, yscale="log")
        panel.grid(alpha=0.3, which="both")
    axes[0].set_ylabel("Fréchet distance, while training")
    axes[0].legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    plt.close(figure)


def _draw_samples(path: Path, groups: dict[str, list[Result]]) -> None:
    """A row of samples for each objective, of its first seed, with its name."""
    sheets = []
    for results in groups.values():
        generator, classes, _ = experiment.load_generator(results[0].folder, False, lambda line: None)
        sheets.append(grid(next(generate(generator, _SAMPLES_IN_ROW, 0, len(classes)))[0], _SAMPLES_IN_ROW))
    height, width, _ = sheets[0].shape
    figure, axes = plt.subplots(
        len(sheets),
        1,
        figsize=(width / 100 + 1, (height / 100 + 0.1) * len(sheets)),
        squeeze=False,
        layout="constrained",
    )
    for panel, loss, sheet in zip(axes[:, 0], groups, sheets):
        panel.imshow(sheet)
        panel.set(xticks=[], yticks=[])
        panel.set_ylabel(loss)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    plt.close(figure)


def _markdown(header: list[str], rows: list[list[str]], lines: list[str]) -> str:
    cells = [header, ["---"] * len(header), *rows]
    text = "\n".join(f"| {' | '.join(row)} |" for row in cells)
    notes = "\n".join(f"- {line}" for line in lines)
    pictures = "![Distance over steps and seconds](curves.png)\n\n![Samples from the same noise](samples.png)"
    return f"# Comparison\n\n{text}\n\n{notes}\n\n{pictures}\n"


def _html(header: list[str], rows: list[list[str]], lines: list[str]) -> str:
    def row(cells: list[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    notes = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    style = "body{font-family:sans-serif;margin:2em}td,th{padding:.3em .8em;text-align:right}img{max-width:100%}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Comparison</title><style>{style}</style>'
        f"<h1>Comparison</h1><table>{row(header, 'th')}{body}</table><ul>{notes}</ul>"
        '<img src="curves.png" alt="Distance over steps and seconds"><img src="samples.png" alt="Samples from the same noise"></html>\n'
    )


def _write_visualdl(folder: Path, groups: dict[str, list[Result]], header: list[str], rows: list[list[str]]) -> None:
    from visualdl import LogWriter

    for old in make_folder(folder).glob("**/vdlrecords.*"):
        old.unlink()
    with LogWriter(str(folder / "report"), file_name="vdlrecords.report.log") as writer:
        for name in ("curves", "samples"):
            writer.add_image(
                f"comparison/{name}", np.asarray(Image.open(folder.parent / f"{name}.png").convert("RGB")), 0
            )
        for place, row in enumerate(rows):  # a text each: VisualDL shows no line breaks
            cells = [f"{label} {cell}".strip() for label, cell in zip(header, row) if cell]
            writer.add_text("comparison/table", ", ".join(cells), place)
    for loss, results in groups.items():
        curves = list(_curves(results, "step"))
        with LogWriter(str(folder / loss), file_name="vdlrecords.mean.log") as writer:
            for step, distances in zip(curves[0][0], zip(*(y for _, y in curves))):
                writer.add_scalar("comparison/mean_frechet_distance", float(np.mean(distances)), step)
