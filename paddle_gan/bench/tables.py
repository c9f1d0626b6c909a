"""The measurements as tables for a terminal."""

from typing import Any

from paddle_gan.bench.cases import SAMPLES, summary

Result = dict[str, Any]
_GIGA = 1e9
# The key of each action's operations, where it has any, and how often an action does what is counted there.
_OPERATIONS = {
    "round": ("round", 1),
    "discriminator step": ("discriminator step", 1),
    "generator step": ("generator step", 1),
    "sampling": ("sampled image", SAMPLES),
    "product": ("product", 1),
}


def tables(result: Result) -> list[str]:
    """Lines that show a result of `cases.run`."""
    machine = result["machine"]
    cores = f"{machine['cores']} cores" + (
        f" ({machine['physical_cores']} physical)" if machine["physical_cores"] != machine["cores"] else ""
    )
    load = f", load before {machine['load']:.1f}" if machine["load"] is not None else ""
    lines = [f"{machine['processor']}, {cores}, {machine['system']}{load}"]
    for kind, table in (("cases", _case), ("ratios", _ratio), ("growths", _growth)):
        for one in result.get(kind, ()):
            lines += ["", *_title(one["about"]), *table(one)]
    return lines


def images_per_second(one: Result) -> float:
    """Real images that the discriminator sees in a second of rounds, as training logs it."""
    return _images(one["about"]) / summary(one["seconds"]["round"])["median"]


def share(one: Result, action: str) -> float:
    """Rate of operations of an action over that of the matrix product."""
    return _rate(one, action) / _rate(one, "product")


def _rate(one: Result, action: str) -> float:
    key, times = _OPERATIONS[action]
    return one["about"]["operations"][key] * times / summary(one["seconds"][action])["median"]


def _images(about: Result) -> int:
    return about["options"]["batch_size"] * about["options"]["discriminator_steps"]


def _title(about: Result) -> list[str]:
    options, versions = about["options"], about["versions"]
    size = f"{options['image_size']}x{options['image_size']}x{options['channels']}"
    environment = " ".join(f"{name}={value}" for name, value in about["environment"].items())
    device = about["device_name"] or about["device"]
    networks = f"{options['generator']} (width {options['width']}) and {options['discriminator']} ({options['discriminator_width']})"
    how = [options["precision"]] * (options["precision"] != "float32") + ["compiled"] * options["compile"]
    heading = f"{options['loss']}, {networks}, {size}, batch {options['batch_size']}, {options['discriminator_steps']} + 1 steps a round"
    return [
        ", ".join([heading, *how]),
        f"Paddle {versions['paddle']} on {device}, {environment or 'environment as it came'}",
    ]


def _case(one: Result) -> list[str]:
    lines = [
        f"{'milliseconds':24}{'median':>10}{'least':>10}{'greatest':>10}{'GFLOP':>10}{'GFLOP/s':>10}{'of product':>12}"
    ]
    names = {"sampling": f"sampling {SAMPLES} images", "batch": "a batch of the data", "product": "matrix product"}
    for action, seconds in one["seconds"].items():
        row = f"{names.get(action, action):24}" + _spread(seconds)
        if action in _OPERATIONS:
            key, times = _OPERATIONS[action]
            operations = one["about"]["operations"][key] * times / _GIGA
            row += f"{operations:>10.4g}{_rate(one, action) / _GIGA:>10.4g}{share(one, action):>11.1%}"
        lines.append(row)
    sampled = SAMPLES / summary(one["seconds"]["sampling"])["median"]
    lines.append(
        f"{images_per_second(one):.0f} images/s in training, {sampled:.0f} images/s in sampling, at most {_memory(one)} of memory"
    )
    return lines


def _ratio(one: Result) -> list[str]:
    lines = [f"{'milliseconds a round':24}{'median':>10}{'least':>10}{'greatest':>10}"]
    lines += [f"{'ours' if name == 'round' else name:24}{_spread(values)}" for name, values in one["seconds"].items()]
    ratio, versions = summary(one["ratios"]), one["about_theirs"]["versions"]
    theirs = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines.append(
        f"{one['best']} takes {ratio['median']:.2f} times as long as ours ({ratio['least']:.2f} to {ratio['greatest']:.2f}, "
        f"{len(one['ratios'])} pairs; {theirs})"
    )
    return lines


def _growth(one: Result) -> list[str]:
    header = ("round, ms", "least", "greatest", "ms/image", "GFLOP", "GFLOP/s", "batch, ms", "MiB")
    lines = [f"{one['grown']:>10}" + "".join(f"{name:>10}" for name in header)]
    for point in one["points"]:
        round_seconds = summary(point["seconds"]["round"])["median"]
        operations = point["about"]["operations"]["round"] / _GIGA
        batch = summary(point["seconds"]["batch"])["median"]
        lines.append(
            f"{point['size']:>10}{_spread(point['seconds']['round'])}{1000 * round_seconds / _images(point['about']):>10.4g}"
            f"{operations:>10.4g}{operations / round_seconds:>10.4g}{1000 * batch:>10.4g}{_memory(point).removesuffix(' MiB'):>10}"
        )
    of = {"image-size": "the number of pixels", "data": "the number of images in the set"}.get(
        one["grown"], one["grown"]
    )
    exponents = one["exponents"]
    lines.append(
        f"fitted powers of {of}: time of a round {exponents['round']:.2f}, its operations {exponents['operations']:.2f}, "
        f"time of a batch of the data {exponents['batch']:.2f}"
    )
    return lines


def _spread(seconds: list[float]) -> str:
    return "".join(f"{value * 1000:>10.4g}" for value in summary(seconds).values())


def _memory(one: Result) -> str:
    return f"{one['peak_bytes'] / 2**20:.0f} MiB" if one["peak_bytes"] else "unknown"
