"""An option as data: a dataclass field that carries its help, its choices and its bounds.

Not about which options there are: the dataclasses stand in the modules beside this one, one for each command.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from types import UnionType
from typing import Any, TypeVar, get_args

from paddle_gan.errors import UsageError

Options = TypeVar("Options")

# Upper bound of every number that has no bound of its own: far beyond what is useful, and still computable.
MOST = 10**9
_LONGEST_SHOWN = 60
# What the config.json of a run holds beside its options: where it comes from.
ORIGIN = "origin"
# What an option of each type says when it is given a value of another type.
_KINDS = {
    bool: "true or false",
    int: "must be a whole number",
    float: "must be a finite number",
    str: "must be a string",
    tuple[str, ...]: "must be a list of strings",
    tuple[int, ...]: "must be whole numbers",
}


@dataclass(frozen=True)
class Bounds:
    """The range of a number; None where there is no lower or no upper bound."""

    more_than: float | None
    at_least: float | None
    less_than: float | None
    at_most: float

    def refusal(self, value: float) -> str | None:
        """Why a value is out of range, or None if it is within."""
        if self.at_least is not None and self.at_most < MOST and not self.at_least <= value <= self.at_most:
            return f"{self.at_least} to {self.at_most}"
        if self.more_than is not None and not value > self.more_than:
            return f"must be more than {self.more_than:,}"
        if self.at_least is not None and not value >= self.at_least:
            return f"must be at least {self.at_least:,}"
        if self.less_than is not None and not value < self.less_than:
            return f"must be less than {self.less_than:,}"
        return None if value <= self.at_most else f"must be at most {self.at_most:,}"


def option(
    default: Any,
    group: str,
    help: str,
    choices: Iterable[Any] | Mapping[Any, str] = (),
    *,
    aliases: Mapping[str, str] | None = None,
    unset: str = "",
    more_than: float | None = None,
    at_least: float | None = None,
    less_than: float | None = None,
    at_most: float = MOST,
    read: Callable[[Any], Any] | None = None,
) -> Any:
    """A field of a dataclass of options.

    Args:
        default: its value if it is not given.
        group: heading of the help that it stands under.
        help: what it is.
        choices: the values that it takes, or a dict of them with the meaning of each; none for any value.
        aliases: other names of some choices, see `settle`.
        unset: what it becomes if it is not given, where `default` is None.
        more_than, at_least, less_than, at_most: bounds of a number; `math.inf` for no upper bound at all.
        read: for a value that is more than a number or a name: brings what was given into its one form, or raises a
            ValueError that says what it must be.
    """
    meanings = choices if isinstance(choices, Mapping) else dict.fromkeys(choices, "")
    return field(
        default=default,
        metadata={
            "group": group,
            "help": help,
            "choices": (*meanings, *(aliases or {})),
            "meanings": meanings,
            "aliases": aliases or {},
            "unset": unset,
            "bounds": Bounds(more_than=more_than, at_least=at_least, less_than=less_than, at_most=at_most),
            "read": read,
        },
    )


def documented(config: type[Options]) -> type[Options]:
    """Add what each option is to the docstring of a dataclass of options, for `help` and for the reference."""
    lines = (f"    {item.name}: {described(item)}" for item in fields(config))  # type: ignore[arg-type]
    config.__doc__ = "\n".join([f"{config.__doc__}\n\nAttributes:", *lines])
    return config


def described(item: Field, translated: Callable[[str], str] = str) -> str:
    """What an option is, with its choices and its default; `translated` puts each part into the reader's language."""
    help, meanings, aliases = (item.metadata[name] for name in ("help", "meanings", "aliases"))
    help = translated(help)
    if meanings:
        shown = [f"{value} ({translated(meaning)})" if meaning else str(value) for value, meaning in meanings.items()]
        help += f": {' '.join(shown)}"
    if aliases:
        help += translated(f" (also {' '.join(aliases)})")
    default = " ".join(map(str, item.default)) if isinstance(item.default, tuple) else item.default
    if item.metadata["unset"] or default not in (None, False, ""):
        help += translated(f" (default: {item.metadata['unset'] or default})")
    return help


def kind_of(item: Field) -> tuple[type, bool]:
    """The type of an option's value on the command line, or of each of its values, and whether it takes several."""
    if item.metadata["read"]:  # it takes the text
        return str, False
    if item.type == tuple[int, ...]:
        return int, True
    for kind in (bool, int, float, str):
        if item.type in (kind, kind | None):
            return kind, False
    return str, True


def flag(name: str) -> str:
    """An option as it is written on the command line."""
    return "--" + name.replace("_", "-")


def at_home(value: str) -> str:
    """A text with the home folder in place of ~ or ~NAME at its start: only a path begins so.

    Raises:
        UsageError: there is no such home folder.
    """
    path = os.path.expanduser(value)
    if path.startswith("~"):
        raise UsageError(f"{legible(value)}: there is no such home folder; write ./{legible(value)} for that name")
    return path


def settle(config: Any) -> None:
    """Check each value of a dataclass of options by itself, and replace aliases and ~ by what they stand for.

    Of an option that takes several values, a list (JSON's form) becomes a tuple.

    Called from `__post_init__`, so that no options exist that were not checked, wherever they come from.

    Raises:
        UsageError: a value has another type, is out of range, is not one of the choices, or is there twice; or a path
            begins with ~ and there is no such home folder.
    """
    for item in fields(config):
        given = _read(item, getattr(config, item.name))
        if isinstance(given, list) and tuple[str, ...] in _kinds(item):
            given = tuple(given)
        _check_type(item, given)
        for value in given if isinstance(given, tuple) else (given,):
            _check_range(item, value)
        aliases = item.metadata["aliases"]
        own = tuple(aliases.get(one, one) for one in given) if isinstance(given, tuple) else aliases.get(given, given)
        if isinstance(own, str):
            own = at_home(own)
        elif isinstance(own, tuple):
            own = tuple(at_home(one) if isinstance(one, str) else one for one in own)
        if isinstance(own, tuple) and item.metadata["choices"] and len(set(own)) < len(own):
            raise UsageError(f"{flag(item.name)} {' '.join(given)}: the same twice")
        object.__setattr__(config, item.name, own)  # the dataclass is frozen for everyone else


def _read(item: Field, given: Any) -> Any:
    read = item.metadata["read"]
    if read is None or given is None:
        return given
    try:
        return read(given)
    except ValueError as error:
        raise UsageError(f"{flag(item.name)} {legible(given)}: {error}") from error


def _kinds(item: Field) -> tuple[Any, ...]:
    return get_args(item.type) if isinstance(item.type, UnionType) else (item.type,)


def _check_type(item: Field, value: Any) -> None:
    kinds = _kinds(item)
    if not any(_is(value, kind) for kind in kinds):
        refusal = " or ".join(_KINDS[kind] for kind in kinds if kind in _KINDS)
        raise UsageError(f"{flag(item.name)} {legible(value)}: {refusal}")


def _check_range(item: Field, value: Any) -> None:
    choices = item.metadata["choices"]
    if value is not None and choices and value not in choices:
        raise UsageError(f"{flag(item.name)} {legible(value)}: one of {_listed(item.metadata)}")
    if isinstance(value, int | float) and (refusal := item.metadata["bounds"].refusal(value)):
        raise UsageError(f"{flag(item.name)} {legible(value)}: {refusal}")


def _listed(metadata: Mapping[str, Any]) -> str:
    meanings = metadata["meanings"]
    named = (f"{value} ({meanings[value]})" if meanings.get(value) else str(value) for value in metadata["choices"])
    return ", ".join(named)


def _is(value: Any, kind: Any) -> bool:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return -sys.float_info.max <= value <= sys.float_info.max
    if kind in (tuple[str, ...], tuple[int, ...]):
        return isinstance(value, tuple) and all(_is(one, get_args(kind)[0]) for one in value)
    if kind is str and isinstance(value, str):
        try:
            return b"\0" not in os.fsencode(value)  # no path and no name has one
        except UnicodeEncodeError:
            return False
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def legible(value: Any) -> str:
    """A value that anybody may have written, short and in one line."""
    text = value if isinstance(value, str) and value.isprintable() else ascii(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
