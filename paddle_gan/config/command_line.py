"""A command line made from a dataclass of options: `--help`, `--config FILE`, and values of the types that it names.

Not about what the commands do, nor how they end: see `commands.command`.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from paddle_gan import __version__
from paddle_gan.config.language import in_users_language
from paddle_gan.config.options import ORIGIN, at_home, described, flag, kind_of, legible
from paddle_gan.errors import UsageError

Config = TypeVar("Config")

# One line for each option, however many choices it has.
_HELP = partial(argparse.HelpFormatter, max_help_position=40, width=1000)
_FIRST = "needed most often"
# What --version prints.
VERSION = f"paddle_gan {__version__}"
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_METAVARS = {int: "N", float: "X", str: "TEXT"}


@dataclass(frozen=True)
class Parsed(Generic[Config]):
    """A command line that was read.

    Attributes:
        options: what is left out has its default.
        positional: the positional arguments by name; a list for one that may be there several times.
        named: names of the options that were given, on the command line or in the file of --config.
        debug: whether the traceback of an error is shown.
        command: the whole command line, as it can be pasted into a shell.
    """

    options: Config
    positional: dict[str, Any]
    named: set[str]
    debug: bool
    command: str


class _Parser(argparse.ArgumentParser):
    examples: Mapping[str, str] = {}

    def format_help(self) -> str:
        help = super().format_help().replace("usage: ", in_users_language("usage: "), 1)
        return help + "".join(self._example_lines())

    def _example_lines(self) -> Iterator[str]:
        """At the end of the help, which a terminal shows last."""
        if self.examples:
            yield f"\n{in_users_language('examples')}:\n"
        for arguments, meaning in self.examples.items():
            yield f"  {self.prog} {arguments}".rstrip() + f"\n      {in_users_language(meaning)}\n"

    def error(self, message: str) -> NoReturn:
        message = " ".join(message.split())
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            options = [word for word in unknown.split() if word.startswith("--")]
            meant = alike(options[0], self._option_string_actions) if options else ""
            if meant:
                raise UsageError(f"unrecognized arguments: {unknown}; did you mean {meant}? (--help lists the options)")
            raise UsageError(f"unrecognized arguments: {unknown} (--help lists the options)")
        raise UsageError(f"{message} (--help lists the options)")


def alike(name: str, known: Iterable[str]) -> str:
    """The one of the known names that is most like `name`, which may be misspelt or shortened; empty if none is."""
    from difflib import get_close_matches  # is needed after a mistake only

    return next(iter(get_close_matches(name, list(known), 1)), "")


def parse(
    config: type[Config],
    description: str,
    positional: dict[str, str] | None = None,
    argv: Sequence[str] | None = None,
    several: str | None = None,
    program: str | None = None,
    first: Sequence[str] = (),
    examples: Mapping[str, str] | None = None,
) -> Parsed[Config]:
    """Parse a command line into a dataclass of options.

    Args:
        config: its fields are made with `options.option`.
        description: first line of the help.
        positional: name and help of each positional argument.
        argv: the arguments; those of the process if None.
        several: name of the last positional argument if it may be there any number of times, also not at all.
        program: how the program is called, such as "paddle-gan train"; the script's name if None.
        first: names of the options that the help begins with.
        examples: command lines, without the program, and what each does, for the end of the help.

    Raises:
        UsageError: the command line or the file of --config cannot be understood, or a value is refused.
    """
    argv = sys.argv[1:] if argv is None else argv
    positional = positional or {}
    parser = _parser(config, description, positional, several, program, first)
    parser.examples = examples or {}
    typed = vars(parser.parse_args(argv))
    values: dict[str, Any] = {}
    for path in typed.pop("config", ()):
        values |= _from_file(path, {item.name for item in _fields(config)})
    values |= typed  # the command line is stronger than the file
    given = {item.name: _converted(item, values[item.name]) for item in _fields(config) if item.name in values}
    return Parsed(
        options=config(**given),
        positional={name: _at_home(values[name]) for name in positional},
        named=set(given),
        debug=values.get("debug", False),
        command=" ".join([parser.prog, shlex.join(argv)]).strip(),
    )


def _fields(config: type) -> tuple[Field, ...]:
    return fields(config)


def _at_home(value: Any) -> Any:
    return [at_home(one) for one in value] if isinstance(value, list) else at_home(value)


def _parser(
    config: type,
    description: str,
    positional: dict[str, str],
    several: str | None,
    program: str | None,
    first: Sequence[str],
) -> _Parser:
    shown = [f"[{name.upper()} ...]" if name == several else name.upper() for name in positional]
    parser = _Parser(
        prog=program,
        description=in_users_language(description),
        usage=" ".join(["%(prog)s", *shown, in_users_language("[options]")]),
        formatter_class=_HELP,
        argument_default=argparse.SUPPRESS,
        add_help=False,
        allow_abbrev=False,  # a shortened name may come to mean another option, or none
    )
    arguments = parser.add_argument_group(in_users_language("arguments"))
    for name, meaning in positional.items():
        help = in_users_language(meaning)
        if name == several:
            arguments.add_argument(name, nargs="*", default=[], help=help, metavar=name.upper())
        else:
            arguments.add_argument(name, help=help, metavar=name.upper())
    by_name = {field.name: field for field in _fields(config)}
    groups: dict[str, Any] = {}
    for name in dict.fromkeys([*first, *by_name]):
        group = _FIRST if name in first else by_name[name].metadata["group"]
        if group not in groups:
            groups[group] = parser.add_argument_group(in_users_language(group))
        _add_option(groups[group], by_name[name])
    _add_general(parser.add_argument_group(in_users_language("general")))
    return parser


def _add_general(group: Any) -> None:
    """The options of every command."""
    about = "YAML file of the same options, with _ for -"
    group.add_argument("-h", "--help", action="help", help=in_users_language("show this help"))
    group.add_argument("--config", action="append", metavar="FILE", help=in_users_language(about))
    group.add_argument("--debug", action="store_true", help=in_users_language("show the traceback of an error"))
    group.add_argument("--version", action="version", version=VERSION, help=in_users_language("show the version"))


def _add_option(group: Any, field: Field) -> None:
    kind, several = kind_of(field)
    if kind is bool:
        group.add_argument(flag(field.name), action="store_true", help=_help(field))
        return
    metavar = "NAME" if kind is str and field.metadata["choices"] else _METAVARS[kind]
    if field.metadata["read"]:
        metavar = "SIZE"
    group.add_argument(flag(field.name), nargs="+" if several else None, help=_help(field), metavar=metavar)


def _help(field: Field) -> str:
    return described(field, in_users_language).replace("%", "%%")  # argparse fills in what follows a percent sign


def _from_file(path: str, known: set[str]) -> dict[str, Any]:
    """The options in a file: YAML, of which JSON is a part. Numbers and words stay text, as on the command line.

    Raises:
        UsageError: the file cannot be read, or holds something else than options.
    """
    try:
        content = _content(Path(at_home(path)).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"--config {path}: the file is not UTF-8 text ({error})") from error
    except (OSError, RecursionError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        raise UsageError(f"--config {legible(path)}: cannot be read ({' '.join(reason.split())})") from error
    if not isinstance(content, dict):
        raise UsageError(f"--config {path}: the file holds no options")
    options = {name.replace("-", "_"): value for name, value in content.items() if name != ORIGIN}
    for name in options:
        if name not in known:
            raise UsageError(f"--config {path}: there is no option {legible(name)} (--help lists the options)")
    return {name: value for name, value in options.items() if value is not None and value not in ("null", "~", "")}


def _content(text: str) -> Any:
    """What a file holds: dicts, lists, and texts for everything else.

    Raises:
        ValueError: it is not YAML. RecursionError: it is nested too deeply.
    """
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:  # not JSON
        pass
    import yaml

    try:
        return yaml.BaseLoader(text).get_single_data()  # knows no types and no tags, so nothing in the file is executed
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {error}") from error


def _converted(field: Field, value: Any) -> Any:
    """A value from the command line or a file in the type of its option; what cannot be converted stays as it is.

    The dataclass refuses that, in the words that it has for every wrong value.
    """
    kind, several = kind_of(field)
    if several:
        return tuple(_of_kind(kind, one) for one in (value if isinstance(value, list) else [value]))
    return _of_kind(kind, value)


def _of_kind(kind: type, value: Any) -> Any:
    if not isinstance(value, str) or kind is str:
        return value
    if kind is bool:
        return _BOOLEANS.get(value.lower(), value)
    try:
        return kind(value)
    except ValueError:
        return value
