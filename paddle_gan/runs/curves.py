"""The curves of a run as one picture: losses, mean logits and the measured distance over the steps."""

import io
from collections.abc import Iterable
from typing import Any

from PIL import Image

from paddle_gan.system.files import writable_home
from paddle_gan.training.callbacks import EVALUATED

# The panels: title, and the beginning of the names of the values that it shows.
_PANELS = {"loss": "loss/", "mean logit": "mean_logit/", "Fréchet distance": EVALUATED}
_WIDTH, _HEIGHT = 5, 3.5  # inches
_DOTS = 80  # per inch


def draw_curves(lines: Iterable[dict[str, Any]]) -> Image.Image:
    """The panels of which the log has values, side by side.

    Args:
        lines: of the log, each with its "step", see `training.log.read_metrics`.
    """
    lines = list(lines)
    names = {
        title: sorted({name for line in lines for name in line if name.startswith(start)})
        for title, start in _PANELS.items()
    }
    shown = {title: found for title, found in names.items() if found}
    with writable_home():  # Matplotlib keeps a cache there
        from matplotlib.figure import Figure
    figure = Figure(figsize=(_WIDTH * max(1, len(shown)), _HEIGHT), dpi=_DOTS, layout="constrained")
    for place, (title, found) in enumerate(shown.items(), 1):
        axes = figure.add_subplot(1, len(shown), place, title=title, xlabel="step")
        for name in found:
            points = [(line["step"], line[name]) for line in lines if name in line]
            axes.plot(*zip(*points, strict=True), label=name.rpartition("/")[2], marker="." if len(points) < 20 else "")
        if found == [EVALUATED]:
            axes.set_yscale("log")
        else:
            axes.legend()
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file)
