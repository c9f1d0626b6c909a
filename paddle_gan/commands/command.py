"""A command as data, and how it is run: one line for every error, and exit statuses.

Not about what the commands do: each has a module beside this one. See `errors` for the statuses.
"""

import errno
import os
import signal
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

from paddle_gan.config.command_line import VERSION, Parsed, parse
from paddle_gan.config.language import in_users_language, tell
from paddle_gan.errors import DiskError, GanError
from paddle_gan.system.installation import check_paddle
from paddle_gan.system.runtime import hold_sigterm
from paddle_gan.system.streams import lasting_streams


@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Attributes:
        name: as in `paddle-gan NAME` and `python tools/NAME.py`.
        description: one sentence for the help.
        options: dataclass of its options.
        run: does the work.
        positional: name and help of each positional argument.
        several: name of the last positional argument if it may be there any number of times.
        first: names of the options that are needed most often, where there are many; the help begins with them.
        examples: command lines, without the program, and what each does.
        needs_paddle: whether it is refused where there is no Paddle 3.
    """

    name: str
    description: str
    options: type
    run: Callable[[Parsed[Any]], None]
    positional: Mapping[str, str] = field(default_factory=dict)
    several: str | None = None
    first: Sequence[str] = ()
    examples: Mapping[str, str] = field(default_factory=dict)
    needs_paddle: bool = True

    def parse(self, argv: Sequence[str] | None = None, program: str | None = None) -> Parsed[Any]:
        """Read a command line; see `config.command_line.parse`."""
        return parse(
            config=self.options,
            description=self.description,
            positional=dict(self.positional),
            argv=argv,
            several=self.several,
            program=program,
            first=self.first,
            examples=self.examples,
        )


@dataclass(frozen=True)
class Group:
    """Commands under one name, of which the first argument chooses one: `paddle-gan NAME VERB`.

    Attributes:
        name: as in `paddle-gan NAME` and `python tools/NAME.py`.
        description: one sentence for the help.
        commands: by their verbs.
    """

    name: str
    description: str
    commands: Mapping[str, Command]

    def overview(self, program: str) -> str:
        """The help of the group: a line for each command."""
        width = max(map(len, self.commands))
        lines = [
            f"  {name:{width}}  {in_users_language(command.description)}" for name, command in self.commands.items()
        ]
        usage = f"usage: {program} {{{','.join(self.commands)}}} [arguments] [options]"
        end = f"{program} {next(iter(self.commands))} --help lists the options of a command."
        before, after = [usage, "", self.description, ""], ["", end]
        return "\n".join([*map(in_users_language, before), *lines, *map(in_users_language, after)])


def execute(command: Command | Group, argv: Sequence[str], program: str) -> NoReturn:
    """Run a command and end the process: with 0, or with one line on stderr and the status of the error.

    A traceback is shown only with --debug.

    Args:
        command: which; the first argument chooses one of a group.
        argv: the arguments after the program.
        program: how the user calls it, such as "paddle-gan train".
    """
    if isinstance(command, Group):
        _execute_one(command, argv, program)
    finish_output = lasting_streams()
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        _interrupt(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    hold_sigterm()  # until select_device
    debug = False
    try:
        parsed = command.parse(argv, program)
        debug = parsed.debug
        if not debug and not sys.warnoptions:
            warnings.showwarning = lambda *arguments, **keywords: None  # they are for programmers
        if command.needs_paddle:
            check_paddle()
        command.run(parsed)
        if failure := finish_output():
            raise DiskError(f"standard output cannot be written: {failure.strerror}; all other output is complete")
    except SystemExit:  # --help
        raise
    except BaseException as error:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the user can interrupt the rest
        # Within Paddle's own code a KeyboardInterrupt becomes another error.
        _end_with(KeyboardInterrupt() if interrupted else error, debug)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(0)


def _execute_one(group: Group, argv: Sequence[str], program: str) -> NoReturn:
    verb, *rest = argv or ["--help"]
    if verb in ("-h", "--help"):
        print(group.overview(program))
        sys.exit(0)
    if verb == "--version":
        print(VERSION)
        sys.exit(0)
    if verb not in group.commands:
        known = ", ".join(group.commands)
        tell(f"error: {ascii(verb)}: {program} takes one of {known} first (--help lists them)", sys.stderr)
        sys.exit(2)
    execute(group.commands[verb], rest, f"{program} {verb}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ctrl-C as in Python, but the process ends at once within an import, where Paddle would report an ImportError."""
    while frame and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    if frame:
        os.write(2, b"interrupted\n")
        os._exit(128 + number)
    raise KeyboardInterrupt


def _end_with(error: BaseException, debug: bool) -> NoReturn:
    status, message = outcome(error)
    if debug and status < 128:
        import traceback

        traceback.print_exception(error)
    tell(" ".join(message.split()), sys.stderr)
    sys.exit(status)


def outcome(error: BaseException) -> tuple[int, str]:
    """Exit status and message for the error that ended a command."""
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted"
    if isinstance(error, GanError):
        return error.exit_status, str(error) if error.exit_status >= 128 else f"error: {error}"
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return 2, f"error: {error.filename}: longer than this system allows a name to be"
    if isinstance(error, OSError):
        return 5, f"error: {error}"
    return 1, f"error: {type(error).__name__}: {error}; this is a fault of the program, --debug shows where"
