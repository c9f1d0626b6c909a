"""Completion in a shell, of `paddle-gan COMMAND` and of `python tools/COMMAND.py`.

The script for a shell is a few lines that ask this command for each word, with the words so far. That takes about two
tenths of a second and does not import Paddle.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from paddle_gan.commands.command import Command, Group
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.completion import Candidate, CompletionConfig, beginning, candidates
from paddle_gan.config.language import in_users_language
from paddle_gan.config.options import legible
from paddle_gan.config.paths import PROJECT
from paddle_gan.errors import UsageError

# ASK is the command that is asked, with the name of the shell. Where it knows nothing, files are completed.
_SCRIPTS = {
    "bash": """\
_paddle_gan() {
    local found
    found=$(ASK "$(printf '%s\\n' "${COMP_WORDS[@]:0:COMP_CWORD+1}" .)" 2>/dev/null | cut -f1)
    COMPREPLY=($found)
}
complete -o bashdefault -o default -F _paddle_gan paddle-gan python python3
""",
    "zsh": """\
_paddle_gan() {
    local -a lines found
    local line
    lines=("${(@f)$(ASK "$(printf '%s\\n' "${(@)words[1,CURRENT]}" .)" 2>/dev/null)}")
    for line in $lines; do
        found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done
    if (( $#found )); then _describe paddle-gan found; else _default; fi
}
compdef _paddle_gan paddle-gan python python3
""",
    "fish": """\
function __paddle_gan
    ASK (printf '%s\\n' (commandline -opc) (commandline -ct) . | string collect) 2>/dev/null
end
for program in paddle-gan python python3
    complete -c $program -a '(__paddle_gan)'
end
""",
}


def completion(commands: Mapping[str, Command | Group]) -> Command:
    """The command that completes these commands."""
    return Command(
        name="completion",
        description="Print what makes bash, zsh or fish complete commands, options and choices.",
        options=CompletionConfig,
        run=partial(_run, commands),
        positional={
            "shell": "bash, zsh or fish",
            "line": "the words so far, one a line, and a dot; the script gives them",
        },
        several="line",
        needs_paddle=False,
        examples={
            "bash >> ~/.bashrc": "from the next shell on",
        },
    )


def _run(commands: Mapping[str, Command | Group], parsed: Parsed[CompletionConfig]) -> None:
    shell, line = parsed.positional["shell"], parsed.positional["line"]
    if shell not in _SCRIPTS:
        raise UsageError(f"{legible(shell)}: the shells are {', '.join(_SCRIPTS)}")
    if not line:
        print(_SCRIPTS[shell].replace("ASK", shlex.join([*_program(), shell])), end="")
        return
    *words, _ = line[0].split("\n")  # a last dot keeps an empty word before it
    for found in completed(commands, words):
        print(f"{found.word}\t{found.help}")


def completed(commands: Mapping[str, Command | Group], words: Sequence[str]) -> list[Candidate]:
    """The words that may stand in place of the last one.

    Args:
        commands: by their names.
        words: the whole line, beginning with the program; the last one is being typed.
    """
    rest = list(words[1:])
    if Path(words[0]).name.startswith("python"):
        if len(rest) < 2 or Path(rest[0]).suffix != ".py" or Path(rest[0]).parent.name != "tools":
            return []
        rest[0] = Path(rest[0]).stem
    known: Mapping[str, Command | Group] = commands
    while len(rest) > 1:
        name, *rest = rest
        chosen = known.get(name)
        if chosen is None:
            return []
        if isinstance(chosen, Command):
            return candidates(chosen.options, rest)
        known = chosen.commands
    return beginning(rest[0], [Candidate(name, in_users_language(one.description)) for name, one in known.items()])


def _program() -> list[str]:
    """The command that is asked, from any folder: this script of a checkout, or the installed package."""
    script = PROJECT / "tools" / "completion.py"
    return [sys.executable, *([str(script)] if script.exists() else ["-m", "paddle_gan", "completion"])]
