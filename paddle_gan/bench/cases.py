"""The benchmark as a whole: which cases there are, and what is measured of each."""

import math
import signal
import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from paddle_gan.bench.machine import machine, physical_cores
from paddle_gan.bench.processes import Ask, worker
from paddle_gan.config.options import IMAGE_SIZES, LOSS_ALIASES, BenchConfig, TrainConfig
from paddle_gan.errors import UsageError

# As many as sampling makes at once.
SAMPLES = 250
# What is timed of each case, by the names that the workers give them.
ACTIONS = ("round", "discriminator step", "generator step", "sampling", "batch", "product")
# Whatever is quicker is repeated for so long, so that the clock and the start do not count.
_SECONDS = 0.2
_NOISE_IMAGES = 2048
_FACTORS = (0.25, 0.5, 1, 2)
_SET_SIZES = (1000, 4000, 16_000, 64_000)
# The worker of each peer, and the names of what it can do in place of our round.
_PEERS = {"torch": ("torch_twin", ("torch", "torch, channels last")), "writeup": ("writeup_step", ("write-up",))}

Say = Callable[[str], None]
Result = dict[str, Any]


def run(config: BenchConfig, environment: Mapping[str, str], say: Say) -> Result:
    """Measure all that `config` asks for.

    Args:
        config: what is measured.
        environment: of the processes that measure: as it was before this package was imported, which sets Paddle's
            threads; ours sets them again, the others take it as it comes.
        say: takes a line of progress at a time.

    Returns:
        An object fit for JSON: "machine", and one of "cases", "ratios" or "growths", each a list over the
        objectives and networks. All seconds are lists, one value for each repetition.

    Raises:
        UsageError: options that do not go together, or PyTorch is needed and not here.
    """
    if config.against and "PADDLE_TRAINER_ID" in environment:
        raise UsageError("--against measures in turn, and paddle.distributed.launch side by side; leave one of them")
    if config.against == "torch" and not find_spec("torch"):
        raise UsageError("--against torch: there is no PyTorch here; pip install torch")
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # see cli.main; no Paddle is imported here
    kind, measure = ("ratios", _ratio) if config.against else ("growths", _growth) if config.grow else ("cases", _case)
    results, here = [], machine()
    cases = _cases(config)
    for number, case in enumerate(cases, 1):
        heading = f"[{number}/{len(cases)}] {case['options']['loss']}, {case['options']['generator']}"
        results.append(measure(config, case, environment, lambda line: say(f"{heading}: {line}")))
    return {"machine": here, kind: results}


def summary(values: list[float]) -> dict[str, float]:
    """Median, least and greatest of some values."""
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}


def exponent(sizes: list[float], costs: list[float]) -> float:
    """The a of cost = c · size^a, fitted by least squares to the logarithms."""
    x, y = ([math.log(value) for value in values] for values in (sizes, costs))
    return statistics.linear_regression(x, y).slope


def _cases(config: BenchConfig) -> list[dict[str, Any]]:
    """What a worker needs to know of each case.

    Raises:
        UsageError: sizes that no training could have.
    """
    writeup = config.against == "writeup"
    shared = {name: getattr(config, name) for name in ("width", "discriminator_width", "batch_size", "image_size")}
    shared |= {"channels": config.channels, "dataset": config.dataset or "mnist", "device": config.device, "steps": 1}
    shared |= {"precision": config.precision, "compile": config.compile}
    cases = []
    for generator in config.generator or ("writeup" if writeup else "pixelshuffle",):
        for loss in config.loss or ("gan" if writeup else "lsgan",):
            options = {"loss": LOSS_ALIASES.get(loss, loss), "generator": generator, **shared}
            TrainConfig(**options)
            cases.append({"options": options, "images": None if config.dataset else _NOISE_IMAGES, "samples": SAMPLES})
    return cases


def _case(config: BenchConfig, case: dict[str, Any], environment: Mapping[str, str], say: Say) -> Result:
    """All that there is to measure of one case."""
    with worker("ours", environment) as ask:
        about = ask(prepare=case)
        return {"about": about, **_measured(ask, ACTIONS, config.repeats, say)}


def _measured(ask: Ask, actions: tuple[str, ...], repeats: int, say: Say) -> Result:
    """The peak of memory after a first round, and the seconds of each action, taken in turn."""
    ask(time="round", seconds=0)
    peak = ask(peak=True)["bytes"]
    seconds = {action: [] for action in actions}
    for repetition in range(repeats):
        for action in actions:
            seconds[action].append(ask(time=action, seconds=_SECONDS)["seconds"])
        say(f"{repetition + 1} of {repeats}, a round in {seconds['round'][-1] * 1000:.4g} ms")
    return {"peak_bytes": peak, "seconds": seconds}


def _ratio(config: BenchConfig, case: dict[str, Any], environment: Mapping[str, str], say: Say) -> Result:
    """Our round and the same of others, in turn; how many times as long the best of theirs takes."""
    name, theirs = _PEERS[config.against]
    with ExitStack() as stack:
        ours, peer = (stack.enter_context(worker(each, environment)) for each in ("ours", name))
        about = ours(prepare=case)
        ours(rest=True)
        # Ours has filled in all that was open; a peer gets the very same numbers.
        options = about["options"] | {"device": about["device"]}
        about_theirs = peer(prepare=case | {"options": options, "threads": physical_cores()})
        peer(rest=True)
        turns = [("round", ours), *((action, peer) for action in theirs)]
        seconds: dict[str, list[float]] = {action: [] for action, _ in turns}
        for repetition in range(config.repeats):
            for action, ask in turns:
                seconds[action].append(ask(time=action, seconds=_SECONDS)["seconds"])
                if not ask(rest=True)["quiet"]:
                    say(
                        "notice: threads do not go to sleep after their work and disturb the next; is KMP_BLOCKTIME set?"
                    )
            shown = ", ".join(
                f"{'ours' if action == 'round' else action} {values[-1] * 1000:.4g} ms"
                for action, values in seconds.items()
            )
            say(f"{repetition + 1} of {config.repeats}: {shown}")
    best = min(theirs, key=lambda action: statistics.median(seconds[action]))
    ratios = [their / our for their, our in zip(seconds[best], seconds["round"])]
    return {"about": about, "about_theirs": about_theirs, "seconds": seconds, "best": best, "ratios": ratios}


def _growth(config: BenchConfig, case: dict[str, Any], environment: Mapping[str, str], say: Say) -> Result:
    """The same case at several sizes, and the exponents by which time and operations grow."""
    actions = ("round", "batch")
    points = []
    with worker("ours", environment) as ask:
        base = ask(prepare=case)["options"]
        for size, larger in _sizes(config.grow, base):
            about = ask(prepare=case | larger | {"options": case["options"] | larger.get("options", {})})
            measured = _measured(ask, actions, config.repeats, lambda line: say(f"{config.grow} {size}, {line}"))
            points.append({"size": size, "about": about, **measured})
    sizes = [point["size"] ** (2 if config.grow == "image-size" else 1) for point in points]
    exponents = {
        action: exponent(sizes, [statistics.median(point["seconds"][action]) for point in points]) for action in actions
    }
    exponents["operations"] = exponent(sizes, [point["about"]["operations"]["round"] for point in points])
    return {"about": points[0]["about"], "grown": config.grow, "points": points, "exponents": exponents}


def _sizes(grown: str, base: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The sizes to measure, from small to large so that each peak of memory is its own, and what changes for each."""
    if grown == "batch":
        sizes = sorted({max(2, round(base["batch_size"] * factor)) for factor in _FACTORS})
        return [(size, {"options": {"batch_size": size}}) for size in sizes]
    if grown == "width":
        widths = [[max(1, round(base[name] * f)) for f in _FACTORS] for name in ("width", "discriminator_width")]
        return [
            (width, {"options": {"width": width, "discriminator_width": discriminator_width}})
            for width, discriminator_width in zip(*widths)
        ]
    if grown == "image-size":
        return [(size, {"options": {"image_size": size}}) for size in IMAGE_SIZES]
    return [(size, {"images": size}) for size in _SET_SIZES]
