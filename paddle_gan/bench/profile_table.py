"""The time of a round by operation as a table."""

from collections.abc import Callable, Iterable
from typing import Any

from paddle_gan.bench.cases import summary

Part = dict[str, Any]
_GIGA = 1e9
_WIDTH = 58


def profile_lines(one: dict[str, Any]) -> list[str]:
    """Lines for a result of `cases` with "parts": phases and kinds, then convolutions by shape; the largest first."""
    header = "".join(f"{text:>12}" for text in ("calls", "ms", "share", "GFLOP", "GFLOP/s", "of product"))
    convolutions = [part for part in one["parts"] if part["detail"]]
    return [
        f"{'a round by operation':{_WIDTH}}{header}",
        *_rows(one, _added(one["parts"], lambda part: f"{part['phase']}: {part['kind']}")),
        _row(one, "sum", _sum(one["parts"])),
        "",
        f"{'convolutions by shape':{_WIDTH}}{header}",
        *_rows(one, _added(convolutions, lambda part: part["detail"])),
        "",
        f"a round takes {_spread(one['seconds']['round'])}, {len(one['seconds']['round'])} rounds; a matrix product "
        f"{_spread(one['seconds']['product'])}",
    ]


def _spread(seconds: list[float]) -> str:
    found = {name: f"{1000 * value:.4g}" for name, value in summary(seconds).items()}
    return f"{found['median']} ms ({found['least']} to {found['greatest']})"


def _added(parts: Iterable[Part], name: Callable[[Part], str]) -> dict[str, list[Part]]:
    named: dict[str, list[Part]] = {}
    for part in parts:
        named.setdefault(name(part), []).append(part)
    return named


def _rows(one: dict[str, Any], named: dict[str, list[Part]]) -> list[str]:
    sums = {name: _sum(parts) for name, parts in named.items()}
    return [_row(one, name, sums[name]) for name in sorted(sums, key=lambda name: -sums[name]["seconds"])]


def _sum(parts: Iterable[Part]) -> dict[str, float]:
    parts = list(parts)
    return {name: sum(part[name] for part in parts) for name in ("calls", "seconds", "operations")}


def _row(one: dict[str, Any], name: str, cost: dict[str, float]) -> str:
    """A row. Rates are given where operations are counted."""
    seconds, whole = cost["seconds"], _sum(one["parts"])["seconds"]
    values = [f"{cost['calls']:.4g}", f"{1000 * seconds:.3f}", f"{seconds / whole:.1%}"]
    if cost["operations"] and name != "sum":
        product = one["about"]["operations"]["product"] / summary(one["seconds"]["product"])["median"]
        rate = cost["operations"] / seconds
        values += [f"{cost['operations'] / _GIGA:.4g}", f"{rate / _GIGA:.4g}", f"{rate / product:.0%}"]
    return f"{name:{_WIDTH}}{''.join(f'{value:>12}' for value in values)}"
