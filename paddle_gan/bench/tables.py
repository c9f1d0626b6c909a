"""The measurements as tables for a terminal."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from paddle_gan.bench.cases import summary
from paddle_gan.bench.descriptions import SAMPLES
from paddle_gan.bench.memory import memory_lines
from paddle_gan.bench.profile_table import profile_lines
from paddle_gan.config import names
from paddle_gan.config.sizes import shown, sides

Result = dict[str, Any]
_GIGA = 1e9


class _Counted(NamedTuple):
    """The operations of an action.

    Attributes:
        key: of the counted operations.
        times: how often the action does them.
    """

    key: str
    times: int = 1


# Actions that are not here have no counted operations.
_OPERATIONS = {
    "round": _Counted("round"),
    "discriminator step": _Counted("discriminator step"),
    "generator step": _Counted("generator step"),
    "sampling": _Counted("sampled image", times=SAMPLES),
    "product": _Counted("product"),
}
# Names of actions and of sizes where the tables use longer ones.
_SHOWN_ACTIONS = {
    "sampling": f"sampling {SAMPLES} images",
    "translation": "translating a batch",
    "batch": "a batch of the data",
    "product": "matrix product",
}
_SHOWN_SIZES = {"image-size": "the number of pixels", "data": "the number of images in the set"}


def tables(result: Result) -> list[str]:
    """The result of `cases.run` as lines of text."""
    machine = result["machine"]
    cores = f"{machine['cores']} cores"
    if machine["physical_cores"] != machine["cores"]:
        cores += f" ({machine['physical_cores']} physical)"
    load = f", load before {machine['load']:.1f}" if machine["load"] is not None else ""
    lines = [f"{machine['processor']}, {cores}, {machine['system']}{load}"]
    for kind, table in _TABLES.items():
        for one in result.get(kind, ()):
            lines += ["", *_title(one["about"]), *table(one)]
    return lines


def images_per_second(one: Result) -> float:
    """Real images that the discriminator sees per second of rounds, in the way in which training logs it."""
    return _images_per_round(one["about"]) / summary(one["seconds"]["round"])["median"]


def share(one: Result, action: str) -> float:
    """Operations per second of an action, divided by those of the matrix product."""
    return _rate(one, action) / _rate(one, "product")


def _rate(one: Result, action: str) -> float:
    return _operations(one, action) / summary(one["seconds"][action])["median"]


def _operations(one: Result, action: str) -> int:
    counted = _OPERATIONS[action]
    return one["about"]["operations"][counted.key] * counted.times


def _images_per_round(about: Result) -> int:
    return about["options"]["batch_size"] * about["options"].get("discriminator_steps", 1)


def _title(about: Result) -> list[str]:
    options, versions = about["options"], about["versions"]
    from_noise = about["task"] == names.FROM_NOISE
    judge = options["discriminator"] if from_noise else "patches"
    parts = [
        options["loss"],
        f"{options['generator']} (width {options['width']}) and {judge} ({options['discriminator_width']})",
        shown(*sides(options["image_size"]), options["channels"]),
        f"batch {options['batch_size']}",
        f"{options['discriminator_steps']} + 1 steps a round" if from_noise else about["task"],
    ]
    if about["classes"]:
        parts.append(f"{about['classes']} labels")
    if options["precision"] != "float32":
        parts.append(options["precision"])
    if options.get("compile"):
        parts.append("compiled")
    device = about["device_name"] or about["device"]
    environment = " ".join(f"{name}={value}" for name, value in about["environment"].items())
    return [", ".join(parts), f"Paddle {versions['paddle']} on {device}, {environment or 'environment not changed'}"]


def _case(one: Result) -> list[str]:
    header = ("median", "least", "greatest", "GFLOP", "GFLOP/s")
    lines = [f"{'milliseconds':24}{_cells(header)}{'of product':>12}"]
    for action, seconds in one["seconds"].items():
        row = f"{_SHOWN_ACTIONS.get(action, action):24}{_spread(seconds)}"
        if action in _OPERATIONS and _OPERATIONS[action].key in one["about"]["operations"]:
            operations, rate = _operations(one, action) / _GIGA, _rate(one, action) / _GIGA
            row += f"{operations:>10.4g}{rate:>10.4g}{share(one, action):>11.1%}"
        lines.append(row)
    action, images = ("sampling", SAMPLES)
    if action not in one["seconds"]:
        action, images = ("translation", one["about"]["options"]["batch_size"])
    made = images / summary(one["seconds"][action])["median"]
    lines.append(
        f"{images_per_second(one):.0f} images/s in training, {made:.0f} images/s in {action}, "
        f"at most {_memory(one)} of memory"
    )
    return lines


def _ratio(one: Result) -> list[str]:
    lines = [f"{'milliseconds a round':24}{_cells(('median', 'least', 'greatest'))}"]
    lines += [f"{'ours' if name == 'round' else name:24}{_spread(values)}" for name, values in one["seconds"].items()]
    ratio, versions = summary(one["ratios"]), one["about_theirs"]["versions"]
    theirs = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines.append(
        f"{one['best']} takes {ratio['median']:.2f} times as long as ours "
        f"({ratio['least']:.2f} to {ratio['greatest']:.2f}, {len(one['ratios'])} pairs; {theirs})"
    )
    return lines


def _growth(one: Result) -> list[str]:
    header = ("round, ms", "least", "greatest", "ms/image", "GFLOP", "GFLOP/s", "batch, ms", "MiB")
    lines = [f"{one['grown']:>10}{_cells(header)}"]
    for point in one["points"]:
        seconds = summary(point["seconds"]["round"])["median"]
        operations = point["about"]["operations"]["round"] / _GIGA
        values = (
            1000 * seconds / _images_per_round(point["about"]),
            operations,
            operations / seconds,
            1000 * summary(point["seconds"]["batch"])["median"],
        )
        memory = _memory(point).removesuffix(" MiB")
        numbers = _cells(f"{value:.4g}" for value in values)
        lines.append(f"{point['size']:>10}{_spread(point['seconds']['round'])}{numbers}{memory:>10}")
    exponents = one["exponents"]
    lines.append(
        f"fitted powers of {_SHOWN_SIZES.get(one['grown'], one['grown'])}: "
        f"time of a round {exponents['round']:.2f}, its operations {exponents['operations']:.2f}, "
        f"time of a batch of the data {exponents['batch']:.2f}"
    )
    return lines


def _cells(texts: Iterable[str]) -> str:
    return "".join(f"{text:>10}" for text in texts)


def _spread(seconds: list[float]) -> str:
    return _cells(f"{value * 1000:.4g}" for value in summary(seconds).values())


def _memory(one: Result) -> str:
    return f"{one['peak_bytes'] / 2**20:.0f} MiB" if one["peak_bytes"] else "unknown"


_TABLES = {"cases": _case, "ratios": _ratio, "growths": _growth, "profiles": profile_lines, "memories": memory_lines}
