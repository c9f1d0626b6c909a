"""The curves of each objective in a healthy and in a sick run: the figures of docs/curves.md.

Run it with: python docs/curves_study.py [FOLDER] [OBJECTIVE ...]

Each objective is trained on MNIST twice, with the default networks and batches of 32: once with the tuned recipe, once
with the fault that stands in SICK. Runs and figures go to FOLDER (work/curves); finished runs are not trained again.
A pair takes two to three minutes of one core.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import paddle_gan  # before Paddle

COMMON = {"dataset": "mnist", "device": "cpu", "batch_size": 32, "log_every": 10, "log": ("none",)}
HEALTHY_STEPS, SICK_STEPS = 2000, 1000
_TOO_QUICK = {"r1": 0.0, "discriminator_learning_rate": 4e-3}
SICK: dict[str, dict[str, Any]] = {
    "gan": _TOO_QUICK,
    "gan-minimax": {"recipe": "paper", "discriminator_steps": 5},
    "lsgan": {"learning_rate": 2e-2},
    "lsgan-sigmoid": _TOO_QUICK,
    "lsgan-tanh": _TOO_QUICK,
    "wgan": {"weight_clip": 0.5},
    "wgan-gp": {"penalty_weight": 0.0},
    "wgan-lp": {"penalty_weight": 0.0},
    "dragan": {"penalty_weight": 0.0, "discriminator_learning_rate": 4e-3},
    "hinge": _TOO_QUICK,
    "gan-r1": {"penalty_weight": 100.0},
    "gan-r1-r2": {"penalty_weight": 100.0},
    "rpgan-r1-r2": {"penalty_weight": 0.0},
}
_SHOWN = {"loss": ("discriminator", "generator"), "mean_logit": ("real", "fake")}
_FIRST_STEPS = 30  # would set the scale


def main(folder: Path, objectives: list[str]) -> None:
    for loss in objectives:
        healthy = trained(folder / loss, {"loss": loss, "steps": HEALTHY_STEPS})
        sick = trained(folder / f"{loss}-sick", {"loss": loss, "steps": SICK_STEPS} | SICK[loss])
        draw(folder / f"{loss}.png", {"healthy": healthy, f"sick: {written(SICK[loss])}": sick})


def trained(out: Path, options: dict[str, Any]) -> paddle_gan.Run:
    """A finished run; one that diverges ends earlier."""
    from paddle_gan.errors import NumericalError

    say: Callable[[str], None] = lambda line: print(f"{out.name}: {line}", flush=True)  # noqa: E731
    try:
        paddle_gan.train(paddle_gan.TrainConfig(**COMMON | options, out=str(out)), say=say)
    except NumericalError as error:
        say(str(error))
    return paddle_gan.load(out)


def written(options: dict[str, Any]) -> str:
    """Options as on the command line."""
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in options.items())


def draw(file: Path, runs: dict[str, paddle_gan.Run]) -> None:
    """A row for each run: its losses, its mean logits, its last sheet."""
    from matplotlib.figure import Figure
    from PIL import Image

    from paddle_gan.training.log import read_metrics

    figure = Figure(figsize=(10, 5), dpi=80, layout="constrained")
    rows = figure.subfigures(len(runs), 1)
    for row, (title, run) in zip(rows, runs.items(), strict=True):
        row.suptitle(title, fontsize="medium")
        *plots, picture = row.subplots(1, 3)
        lines = [line for line in read_metrics(run.folder / "metrics.jsonl") if line["step"] > _FIRST_STEPS]
        for axes, (kind, names) in zip(plots, _SHOWN.items(), strict=True):
            for name in names:
                points = [(line["step"], line[f"{kind}/{name}"]) for line in lines if f"{kind}/{name}" in line]
                axes.plot(*zip(*points, strict=True), label=name, linewidth=0.8)
            axes.set_ylabel(kind.replace("_", " "))
            axes.legend(fontsize="small")
        sheet = max((run.folder / "samples").glob("step-*.png"))
        picture.imshow(Image.open(sheet), cmap="gray")
        picture.set_axis_off()
    figure.savefig(file)
    Image.open(file).convert("RGB").quantize(64).save(file, optimize=True)  # a third of the bytes


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "work/curves"), sys.argv[2:] or list(SICK))
