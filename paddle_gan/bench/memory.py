"""The memory that a training step takes: the peak of a process, without what it had when everything was built."""

from collections.abc import Mapping
from typing import Any

from paddle_gan.bench.machine import physical_cores
from paddle_gan.bench.processes import Ask, worker
from paddle_gan.config.sizes import shown, sides

Result = dict[str, Any]
_MEBI = 2**20
# Batches of noise: few, so that the images do not count.
_BATCHES = 2


def memory(
    case: Result, sizes: list[Any], peer: str, layouts: tuple[str, ...], environment: Mapping[str, str], say: Any
) -> Result:
    """The memory of rounds at several image sizes, each in a process of its own.

    Args:
        case: see `workers.ours.prepare`.
        sizes: of the images.
        peer: worker whose rounds are measured too.
        layouts: its actions, each measured in a process of its own; none for our rounds alone.
        environment: of the processes.
        say: takes a line of progress.

    Returns:
        "about" and "points": for each size "size", "operations" and "bytes", by the name of the action: "built", "peak"
        and "step", their difference, which is None if the system does not say.
    """
    points, abouts = [], []
    for size in sizes:
        options = case["options"] | {"image_size": size}
        own = case | {"options": options, "images": _BATCHES * options["batch_size"]}
        with worker("ours", environment) as ask:
            about = ask(prepare=own)
            found = {"ours": _bytes(about, ask, "round")}
        theirs = own | {"options": about["options"] | {"device": about["device"]}, "threads": physical_cores()}
        for layout in layouts:
            with worker(peer, environment) as ask:
                found[layout] = _bytes(ask(prepare=theirs | {"only": layout}), ask, layout)
        say(f"{size}: " + ", ".join(f"{name} {_shown(values['step'])}" for name, values in found.items()))
        points.append({"size": size, "operations": about["operations"], "bytes": found})
        abouts.append(about)
    return {"about": abouts[0], "points": points}


def _bytes(about: Result, ask: Ask, action: str) -> dict[str, int | None]:
    ask(time=action, seconds=0)  # two rounds, after those that warm up
    built, peak = about["built_bytes"], ask(peak=True)["bytes"]
    return {"built": built, "peak": peak, "step": None if built is None or peak is None else peak - built}


def memory_lines(one: Result) -> list[str]:
    """Lines for a result of `memory`, in MiB, and the ratio of the better layout of the others to ours."""
    names = list(one["points"][0]["bytes"])
    header = "".join(f"{text:>22}" for text in names) + (f"{'ratio':>8}" if len(names) > 1 else "")
    lines = [f"{'MiB of a step (built)':24}{header}"]
    channels = one["about"]["options"]["channels"]
    for point in one["points"]:
        cells = [f"{_shown(values['step'])} ({_shown(values['built'])})" for values in point["bytes"].values()]
        row = "".join(f"{cell:>22}" for cell in cells)
        lines.append(f"{shown(*sides(point['size']), channels):24}{row}{_ratio(point)}")
    return lines


def ratio(point: Result) -> float | None:
    """The step's memory of the better of the others, divided by ours; None where one is not known."""
    ours, *others = (values["step"] for values in point["bytes"].values())
    return min(others) / ours if others and ours and None not in others else None


def _ratio(point: Result) -> str:
    found = ratio(point)
    return "" if found is None else f"{found:>8.2f}"


def _shown(count: int | None) -> str:
    return "unknown" if count is None else f"{count / _MEBI:.0f}"
