"""The command line, made from a dataclass of options; exit statuses; one line for every error.

Not about what the commands do. See `errors` for the statuses.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import fields
from types import FrameType
from typing import Any, NoReturn, TypeVar

from paddle_gan.config.options import flag
from paddle_gan.errors import GanError, UsageError

Config = TypeVar("Config")


def parse(
    config: type[Config],
    description: str,
    positional: dict[str, str] | None = None,
    argv: Sequence[str] | None = None,
    several: str | None = None,
) -> tuple[Config, dict[str, Any], set[str]]:
    """Parse a command line into a dataclass of options.

    Args:
        config: its fields are made with `config.option`.
        description: first line of the help.
        positional: name and help of each positional argument.
        argv: the arguments; those of the process if None.
        several: name of the last positional argument if it may be there any number of times, none included.

    Returns:
        The options, the positional arguments (a list for `several`), and the names of the options that
        were given, on the command line or in the file of --config.
    """
    import argparse

    import jsonargparse

    class Help(argparse.HelpFormatter):
        """One line for each option; jsonargparse's own adds types and repeats defaults."""

        def __init__(self, prog: str):
            super().__init__(prog, max_help_position=40, width=190)

    class Parser(jsonargparse.ArgumentParser):
        def error(self, message: str, ex: Exception | None = None) -> NoReturn:
            raise UsageError(f"{_one_line(message)} (--help lists the options)")

    shown = [f"[{name.upper()} ...]" if name == several else name.upper() for name in positional or {}]
    usage = " ".join(["%(prog)s", *shown, "[options]"])
    parser = Parser(description=description, usage=usage, formatter_class=Help, print_config=None)
    for name, help in (positional or {}).items():
        count = {"nargs": "*"} if name == several else {}
        parser.add_argument(name, type=str, help=help, metavar=name.upper(), **count)
    parser.add_argument("--config", action="config", metavar="FILE", help="YAML file of the same options, with _ for -")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    groups: dict[str, Any] = {}
    for field in fields(config):
        group = field.metadata["group"]
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        _add_option(groups[group], field)
    try:
        values = vars(parser.parse_args(argv, defaults=False))
    except UnicodeDecodeError as error:
        raise UsageError(f"--config: the file is not UTF-8 text ({error})") from error
    for value in [one for value in values.values() for one in (value if isinstance(value, list) else [value])]:
        if isinstance(value, str) and os.path.expanduser(value).startswith("~"):
            raise UsageError(f"{value}: there is no such home folder; write ./{value} for a name that begins with ~")
    given = {field.name: values[field.name] for field in fields(config) if values.get(field.name) is not None}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return config(**given), {name: values[name] for name in positional or {}}, set(given)


def _add_option(group: Any, field: Any) -> None:
    kind = field.type
    for plain in (bool, int, float, str, tuple[str, ...]):
        if kind == plain or kind == plain | None:
            kind = plain
    several = kind == tuple[str, ...]
    help, choices = field.metadata["help"], field.metadata["choices"]
    if choices:
        help += f": {' '.join(choices)}"
    if kind is not bool and field.default is not None:
        help += f" (default: {' '.join(field.default) if several else field.default})"
    if kind is bool:
        group.add_argument(flag(field.name), action="store_true", help=help)
    elif several:
        group.add_argument(flag(field.name), nargs="+", choices=choices, help=help, metavar="NAME")
    elif choices:
        group.add_argument(flag(field.name), choices=choices, help=help, metavar="NAME")
    else:
        group.add_argument(flag(field.name), type=kind, help=help, metavar={int: "N", float: "X", str: "TEXT"}[kind])


def _one_line(message: str) -> str:
    return " ".join(message.split())


def main(command: Callable[[], None]) -> NoReturn:
    """Run a command and end the process: one line on stderr and the error's status, or 0.

    A traceback is shown only with --debug.
    """
    # Lines appear at once, also in a pipe or a log file; a path may hold what the terminal's encoding cannot show.
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    signal.signal(signal.SIGINT, _interrupt)
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        # Until select_device: Paddle's import sets a handler of its own, in which the process may hang for ever.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        command()
    except SystemExit:  # --help
        raise
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except BaseException as error:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is left to do can be cut short
        status, message = _outcome(error)
        if "--debug" in sys.argv and status < 128:
            traceback.print_exception(error)
        print(_one_line(message), file=sys.stderr, flush=True)
        sys.exit(status)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ctrl-C as Python has it, but the end at once within an import, where Paddle would report an ImportError."""
    while frame and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    if frame:
        os.write(2, b"interrupted\n")
        os._exit(128 + number)
    raise KeyboardInterrupt


def _outcome(error: BaseException) -> tuple[int, str]:
    """Exit status and message for what ended a command."""
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted"
    if isinstance(error, GanError):
        return error.exit_status, str(error) if error.exit_status >= 128 else f"error: {error}"
    if isinstance(error, OSError):
        return 5, f"error: {error}"
    return 1, f"error: {type(error).__name__}: {error}; this is a fault of the program, --debug shows where"
