"""The benchmark as a whole: its cases, and what is measured for each of them."""

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NamedTuple

from paddle_gan.bench.descriptions import descriptions, heading
from paddle_gan.bench.machine import machine, physical_cores
from paddle_gan.bench.memory import memory
from paddle_gan.bench.processes import Ask, worker
from paddle_gan.config import names
from paddle_gan.config.bench import BenchConfig
from paddle_gan.errors import UsageError
from paddle_gan.system.runtime import accept_sigterm

# The actions that are timed for each case, by the names that the workers give them; and from images to images.
ACTIONS = ("round", "discriminator step", "generator step", "sampling", "batch", "product")
TRANSLATION_ACTIONS = ("round", "translation", "batch", "product")
# A faster action is repeated for this time, so that the resolution of the clock does not matter.
_SECONDS = 0.2
# Rounds are divided into their parts for this time.
_PROFILE_SECONDS = 1.0
_IMAGE_SIZES = (28, 32, 64, 128)
_MEMORY_SIZES = (64, 128)
# Sizes of --grow: in multiples of the given size, and in images of the set.
_FACTORS = (0.25, 0.5, 1, 2)
_SET_SIZES = (1000, 4000, 16_000, 64_000)


class Peer(NamedTuple):
    """What our round is compared with.

    Attributes:
        worker: name of its script in `workers/`.
        actions: those of its actions that correspond to our round.
    """

    worker: str
    actions: tuple[str, ...]


_PEERS = {
    "torch": Peer(worker="torch_twin", actions=("torch", "torch, channels last")),
    "tutorial": Peer(worker="tutorial_step", actions=("tutorial",)),
}

Say = Callable[[str], None]
Result = dict[str, Any]


def run(config: BenchConfig, environment: Mapping[str, str], say: Say) -> Result:
    """Measure all that `config` asks for.

    Args:
        config: what is measured.
        environment: of the worker processes: the environment as it was before this package was imported, because the
            import sets Paddle's threads. Our worker sets them again; the others use it as it is.
        say: takes a line of progress at a time.

    Returns:
        An object for JSON: "machine", and one of "cases", "ratios", "growths", "profiles" or "memories", each of
        them a list over the objectives and networks. All "seconds" are lists with one value for each repetition.

    Raises:
        UsageError: options that cannot be combined, or PyTorch is needed and is not installed.
    """
    if config.against and "PADDLE_TRAINER_ID" in environment:
        raise UsageError(
            "--against measures one process after another, and paddle.distributed.launch starts several at once; "
            "leave one of them out"
        )
    if config.against == "torch" and not find_spec("torch"):
        raise UsageError("--against torch: there is no PyTorch here; pip install torch")
    accept_sigterm()  # `commands` holds it back until Paddle is imported, which does not happen here
    at_start, results = machine(), []
    cases = descriptions(config)
    for number, case in enumerate(cases, 1):
        before = f"[{number}/{len(cases)}] {heading(case)}: "
        results.append(_measure(config, case, environment, _with_heading(before, say)))
    return {"machine": at_start, _kind(config): results}


def _kind(config: BenchConfig) -> str:
    if config.memory:
        return "memories"
    if config.against:
        return "ratios"
    if config.grow:
        return "growths"
    return "profiles" if config.profile else "cases"


def _measure(config: BenchConfig, case: Result, environment: Mapping[str, str], say: Say) -> Result:
    if config.memory:
        return _memory(config, case, environment, say)
    if config.against:
        return _ratio(config, _PEERS[config.against], case, environment, say)
    if config.grow:
        return _growth(config, config.grow, case, environment, say)
    if config.profile:
        return _profile(config, case, environment, say)
    return _case(config, case, environment, say)


def _with_heading(before: str, say: Say) -> Say:
    return lambda line: say(before + line)


def summary(values: list[float]) -> dict[str, float]:
    """Median, least and greatest of some values, by these names."""
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}


def exponent(sizes: list[float], costs: list[float]) -> float:
    """The exponent a of cost = c · size^a, by a least-squares fit of the logarithms."""
    x, y = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    return statistics.linear_regression(x, y).slope


def _case(config: BenchConfig, case: Result, environment: Mapping[str, str], say: Say) -> Result:
    """All measurements of one case."""
    with worker("ours", environment) as ask:
        about = ask(prepare=case)
        actions = ACTIONS if case["task"] == names.FROM_NOISE else TRANSLATION_ACTIONS
        return {"about": about, **_measured(ask, actions, config.repeats, say)}


def _memory(config: BenchConfig, case: Result, environment: Mapping[str, str], say: Say) -> Result:
    """The memory of a step in colour, at the image size that is given or at two, beside the peer's if there is one."""
    if case["task"] == names.FROM_NOISE:
        case = case | {"options": case["options"] | {"channels": config.channels or 3}}
    sizes = [config.image_size] if config.image_size else list(_MEMORY_SIZES)
    peer = _PEERS[config.against] if config.against else Peer("", ())
    return memory(case, sizes, peer.worker, peer.actions, environment, say)


def _profile(config: BenchConfig, case: Result, environment: Mapping[str, str], say: Say) -> Result:
    """The parts of a round, and the seconds of a matrix product, by single calls."""
    with worker("ours", environment) as ask:
        about = ask(prepare=case)
        say(f"rounds for {config.repeats * _PROFILE_SECONDS:.0f} seconds")
        profile = ask(report="profile", seconds=config.repeats * _PROFILE_SECONDS)
        product = [ask(time="product", seconds=0)["seconds"] for _ in range(config.repeats)]
    return {"about": about, "seconds": {"round": profile["rounds"], "product": product}, "parts": profile["parts"]}


def _measured(ask: Ask, actions: tuple[str, ...], repeats: int, say: Say) -> Result:
    """The peak of memory after a first round, and the seconds of each action; a repetition times every action once."""
    ask(time="round", seconds=0)
    peak = ask(peak=True)["bytes"]
    seconds = {action: [] for action in actions}
    for repetition in range(repeats):
        for action in actions:
            seconds[action].append(ask(time=action, seconds=_SECONDS)["seconds"])
        say(f"{repetition + 1} of {repeats}, a round in {seconds['round'][-1] * 1000:.4g} ms")
    return {"peak_bytes": peak, "seconds": seconds}


def _ratio(config: BenchConfig, peer: Peer, case: Result, environment: Mapping[str, str], say: Say) -> Result:
    """The times of our round and of the peer's rounds, measured in turn, and the ratio of their best to ours."""
    with worker("ours", environment) as ask_ours, worker(peer.worker, environment) as ask_peer:
        about = ask_ours(prepare=case)
        ask_ours(rest=True)
        # Our worker has filled in the open options; the peer gets the same numbers.
        options = about["options"] | {"device": about["device"]}
        about_theirs = ask_peer(prepare=case | {"options": options, "threads": physical_cores()})
        ask_peer(rest=True)
        turns = {"round": ask_ours} | dict.fromkeys(peer.actions, ask_peer)
        seconds: dict[str, list[float]] = {action: [] for action in turns}
        for repetition in range(config.repeats):
            for action, ask in turns.items():
                seconds[action].append(ask(time=action, seconds=_SECONDS)["seconds"])
                if not ask(rest=True)["quiet"]:
                    say(
                        "notice: after their work, threads keep running and disturb the next measurement; "
                        "is KMP_BLOCKTIME set?"
                    )
            say(f"{repetition + 1} of {config.repeats}: {_latest(seconds)}")
    best = min(peer.actions, key=lambda action: statistics.median(seconds[action]))
    ratios = [their / our for their, our in zip(seconds[best], seconds["round"], strict=True)]
    return {"about": about, "about_theirs": about_theirs, "seconds": seconds, "best": best, "ratios": ratios}


def _latest(seconds: dict[str, list[float]]) -> str:
    names = {"round": "ours"}
    return ", ".join(f"{names.get(action, action)} {values[-1] * 1000:.4g} ms" for action, values in seconds.items())


def _growth(config: BenchConfig, grown: str, case: Result, environment: Mapping[str, str], say: Say) -> Result:
    """The same case at several sizes, and the exponents with which time and operations grow."""
    actions = ("round", "batch")
    points = []
    with worker("ours", environment) as ask:
        base = ask(prepare=case)["options"]
        for size in _sizes(grown, base):
            images = case["images"] if size.images is None else size.images
            about = ask(prepare=case | {"options": case["options"] | size.options, "images": images})
            measured = _measured(ask, actions, config.repeats, _with_heading(f"{grown} {size.size}, ", say))
            points.append({"size": size.size, "about": about, **measured})
    sizes = [point["size"] ** (2 if grown == "image-size" else 1) for point in points]
    exponents = {
        action: exponent(sizes, [statistics.median(point["seconds"][action]) for point in points]) for action in actions
    }
    exponents["operations"] = exponent(sizes, [point["about"]["operations"]["round"] for point in points])
    return {"about": points[0]["about"], "grown": grown, "points": points, "exponents": exponents}


@dataclass(frozen=True)
class _Size:
    """One of several sizes of a case.

    Attributes:
        size: as the tables show it.
        options: of training that differ from the case.
        images: in the set; None for as many as the case has.
    """

    size: int
    options: dict[str, int] = field(default_factory=dict)
    images: int | None = None


def _sizes(grown: str, base: dict[str, Any]) -> list[_Size]:
    """The sizes to measure, from small to large, so that each has its own peak of memory."""
    if grown == "batch":
        sizes = sorted({max(2, round(base["batch_size"] * factor)) for factor in _FACTORS})
        return [_Size(size, {"batch_size": size}) for size in sizes]
    if grown == "width":
        names = ("width", "discriminator_width")
        widths = [{name: max(1, round(base[name] * factor)) for name in names} for factor in _FACTORS]
        return [_Size(options["width"], options) for options in widths]
    if grown == "image-size":
        return [_Size(size, {"image_size": size}) for size in _IMAGE_SIZES]
    return [_Size(size, images=size) for size in _SET_SIZES]
