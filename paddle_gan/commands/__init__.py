"""The commands: `paddle-gan train`, which is also `python -m paddle_gan train` and `python tools/train.py`.

Each command is a module with its description, its options and a function that does the work. The modules import
Paddle only when that function runs, so that `--help` is quick.
"""

import sys
from collections.abc import Sequence
from typing import NoReturn

from paddle_gan.commands.augment import AUGMENT
from paddle_gan.commands.bench import BENCH
from paddle_gan.commands.board import BOARD
from paddle_gan.commands.check_data import CHECK_DATA
from paddle_gan.commands.command import Command, Group, execute
from paddle_gan.commands.compare import COMPARE
from paddle_gan.commands.completion import completion
from paddle_gan.commands.demo import DEMO
from paddle_gan.commands.evaluate import EVALUATE
from paddle_gan.commands.export import EXPORT
from paddle_gan.commands.modes import MODES
from paddle_gan.commands.pack_for_ai_studio import PACK_FOR_AI_STUDIO
from paddle_gan.commands.project import PROJECT
from paddle_gan.commands.runs import RUN_LIST
from paddle_gan.commands.sample import SAMPLE
from paddle_gan.commands.selfcheck import SELFCHECK
from paddle_gan.commands.theory import THEORY
from paddle_gan.commands.train import TRAIN
from paddle_gan.commands.train_classifier import TRAIN_CLASSIFIER
from paddle_gan.commands.translate import TRANSLATE
from paddle_gan.commands.walk import WALK
from paddle_gan.config.command_line import alike
from paddle_gan.config.language import in_users_language, tell

_ALL = (
    TRAIN,
    TRANSLATE,
    CHECK_DATA,
    SAMPLE,
    WALK,
    PROJECT,
    EVALUATE,
    EXPORT,
    BOARD,
    DEMO,
    RUN_LIST,
    COMPARE,
    MODES,
    AUGMENT,
    BENCH,
    SELFCHECK,
    THEORY,
    TRAIN_CLASSIFIER,
    PACK_FOR_AI_STUDIO,
)
COMMANDS: dict[str, Command | Group] = {command.name: command for command in _ALL}
COMMANDS["completion"] = completion(COMMANDS)
PROGRAM = "paddle-gan"


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The program `paddle-gan`: the first argument is the name of the command.

    Args:
        argv: the arguments; those of the process if None.
    """
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(overview())
        sys.exit(0)
    if name == "--version":
        from paddle_gan import __version__

        print(f"{PROGRAM} {__version__}")
        sys.exit(0)
    if name not in COMMANDS:
        if meant := alike(name, COMMANDS):
            tell(f"error: {ascii(name)} is not a command; did you mean {meant}?", sys.stderr)
        else:
            tell(f"error: {ascii(name)} is not a command; {PROGRAM} --help lists them", sys.stderr)
        sys.exit(2)
    execute(COMMANDS[name], rest, f"{PROGRAM} {name}")


def tool(name: str) -> NoReturn:
    """The script `tools/NAME.py` of a checkout: one command, with the arguments of the process."""
    execute(COMMANDS[name], sys.argv[1:], f"python tools/{name}.py")


def overview() -> str:
    """The help of `paddle-gan`: a line for each command."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {in_users_language(command.description)}" for name, command in COMMANDS.items()]
    before = [
        f"usage: {PROGRAM} COMMAND [arguments] [options]",
        "",
        "Train, compare and ship generative adversarial networks on PaddlePaddle.",
        "",
        "commands:",
    ]
    after = ["", f"{PROGRAM} COMMAND --help lists the options of a command; {PROGRAM} --version shows the version."]
    return "\n".join([*map(in_users_language, before), *lines, *map(in_users_language, after)])


__all__ = ["COMMANDS", "Command", "Group", "execute", "main", "overview", "tool"]
