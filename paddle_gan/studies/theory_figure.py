"""The numbers of `theory` as one figure and one table, which `tools/theory.py` measures, draws and prints."""

import math
from dataclasses import asdict
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paddle_gan.objectives import OBJECTIVES
from paddle_gan.studies import theory
from paddle_gan.system.files import atomic_path

THETAS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)
CLIPS = (0.01, 0.1, 0.5)
LOSSES = ("gan-minimax", "gan", "wgan-gp")
ROUNDS = 100
SIGMA = 0.25


def measure(steps: int, seed: int) -> dict:
    """All numbers of the figure, in the form of theory.json. The last values of a trace are those after all `steps`."""

    def trace(theta: float) -> dict:
        values = asdict(theory.trace_discriminator(theta, _milestones(steps), seed))
        return {name: array.tolist() for name, array in values.items()}

    def expected(theta: float) -> float:
        return theory.penalised_distance(theta, OBJECTIVES["wgan-gp"].penalties[0].weight)

    def segment(theta: float) -> dict:
        return {
            "theta": theta,
            "exact": asdict(theory.segment_divergences(theta)),
            "discriminator": trace(theta),
            "wgan_gp": asdict(theory.critic_estimate(theta, steps, seed)),
            "wgan_gp_expected": expected(theta),
        }

    def curve(theta: float) -> dict:
        gaussians = asdict(theory.gaussian_divergences(theta, SIGMA))
        return {"theta": theta, "wgan_gp_expected": expected(theta), "gaussians": gaussians}

    def clipped(theta: float, clip: float) -> dict:
        estimate = asdict(theory.critic_estimate(theta, steps, seed, clip))
        return {"theta": theta, "clip": clip, **estimate, "upper_bound": theory.clipped_distance(theta, clip)}

    return {
        "steps": steps,
        "seed": seed,
        "segments": [segment(theta) for theta in THETAS],
        "clipped": [clipped(theta, clip) for clip in CLIPS for theta in THETAS if theta > 0],
        "paths": {name: theory.theta_path(name, 1.0, ROUNDS, steps, seed).tolist() for name in LOSSES},
        "sigma": SIGMA,
        "curves": [curve(i / 20) for i in range(-50, 51)],
    }


def _milestones(steps: int) -> list[int]:
    """The steps at which a discriminator is measured: 0, then about evenly spaced in the logarithm, up to `steps`."""
    return sorted({0, *(round(steps ** (i / 20)) for i in range(21))})


def finite(value: object) -> object:
    """`value` for JSON, which has no infinity: the string "inf" takes its place."""
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [finite(part) for part in value]
    return "inf" if value == math.inf else value


def draw(numbers: dict, path: Path) -> None:
    """Write the figure, which has four panels."""
    figure = Figure(figsize=(12, 9), layout="constrained")
    panels = (_draw_divergences, _draw_gradients, _draw_clipped, _draw_paths)
    for axis, panel in zip(figure.subplots(2, 2).flat, panels, strict=True):
        panel(axis, numbers)
        axis.grid(alpha=0.3)
        axis.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _draw_divergences(axis: Axes, numbers: dict) -> None:
    curves, segments = numbers["curves"], numbers["segments"]
    shifts = [point["theta"] for point in curves]
    thetas = [point["theta"] for point in segments]
    axis.plot(shifts, [abs(x) for x in shifts], "C0", label="Wasserstein distance $|θ|$")
    axis.plot(thetas, [point["wgan_gp"]["distance"] for point in segments], "C0o", label="WGAN-GP's critic, trained")
    expected = [point["wgan_gp_expected"] for point in curves]
    axis.plot(shifts, expected, "C0:", label="its expected value, $|θ| + θ²/2λ$")
    axis.plot(shifts, [math.log(2)] * len(shifts), "C3", label="JS divergence of segments: log 2; 0 at θ = 0")
    axis.plot(0, math.log(2), "o", color="C3", markerfacecolor="white")
    axis.plot(0, 0, "o", color="C3")
    trained = [point["discriminator"]["js"][-1] for point in segments]
    axis.plot(thetas, trained, "C3x", label="GAN's discriminator, trained")
    gaussians = [point["gaussians"]["js"] for point in curves]
    axis.plot(shifts, gaussians, "C3:", label=f"JS divergence of Gaussians, σ = {SIGMA}")
    axis.set(title="Two distributions move apart", xlabel="shift θ", ylabel="nats; distance", ylim=(-0.1, 4.2))


def _draw_gradients(axis: Axes, numbers: dict) -> None:
    trace = next(point["discriminator"] for point in numbers["segments"] if point["theta"] == 1)
    for name, style in (("non_saturating", "C1"), ("minimax", "C3"), ("bound", "k:")):
        label = {"bound": "bound of the minimax loss (theorem 2.4)"}.get(name, name.replace("_", "-") + " loss")
        axis.loglog(trace["steps"], [abs(value) for value in trace[name]], style, label=label)
    axis.axhline(1, color="C0", label="exact Wasserstein distance")
    axis.set(title="Generator's gradient while the discriminator learns, θ = 1", xlabel="discriminator steps")
    axis.set(ylabel="|d loss / dθ|")


def _draw_clipped(axis: Axes, numbers: dict) -> None:
    thetas = [theta for theta in THETAS if theta > 0]
    axis.loglog(thetas, thetas, "C0", label="$|θ|$")
    points = [point["wgan_gp"]["distance"] for point in numbers["segments"] if point["theta"] > 0]
    axis.loglog(thetas, points, "C0o", label="WGAN-GP")
    for i, clip in enumerate(CLIPS):
        points = [point for point in numbers["clipped"] if point["clip"] == clip]
        axis.loglog(thetas, [point["upper_bound"] for point in points], f"C{i + 4}--")
        label = f"WGAN, weights in ±{clip}, and their upper bound"
        axis.loglog(thetas, [point["distance"] for point in points], f"C{i + 4}s", label=label)
    axis.set_xticks(thetas, map(str, thetas))
    axis.minorticks_off()
    axis.set(title="The critics' estimates of the distance", xlabel="true distance |θ|", ylabel="E[f(x)] − E[f(G(z))]")
    axis.set_ylim(bottom=1e-5)  # room for the legend


def _draw_paths(axis: Axes, numbers: dict) -> None:
    for name, color in zip(LOSSES, ("C3", "C1", "C0"), strict=True):
        axis.plot(numbers["paths"][name], color, label=name)
    axis.axhline(0, color="k", linewidth=0.8)
    axis.set(title="The generator follows its gradient (real data at 0)", xlabel="generator steps", ylabel="θ")
    axis.set_ylim(top=1.5)  # room for the legend


def table(numbers: dict) -> str:
    """The numbers as lines of text."""
    lines = ["theta   W1      wgan-gp (expected)  gradient   JS      discriminator  minimax gradient  non-saturating"]
    for point in numbers["segments"]:
        exact, critic, trace = point["exact"], point["wgan_gp"], point["discriminator"]
        lines.append(
            f"{point['theta']:5.2f}  {exact['wasserstein']:5.3f}   "
            f"{critic['distance']:5.3f}   ({point['wgan_gp_expected']:5.3f})   "
            f"{critic['gradient']:9.3f}   {exact['js']:5.4f}  {trace['js'][-1]:6.4f}         "
            f"{trace['minimax'][-1]:8.1e}          {trace['non_saturating'][-1]:8.1f}"
        )
    lines.append("theta   clip    wgan     (at most)  gradient")
    for point in numbers["clipped"]:
        lines.append(
            f"{point['theta']:5.2f}   {point['clip']:<5}  {point['distance']:7.4f}  ({point['upper_bound']:7.4f})  "
            f"{point['gradient']:7.4f}"
        )
    return "\n".join(lines)
