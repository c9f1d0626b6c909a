"""What may stand at the end of a command line that is being typed, for the completion of shells.

Free of Paddle, so that it is quick. Not about how a shell asks: see `commands.completion`.
"""

from collections.abc import Sequence
from dataclasses import Field, dataclass, fields
from typing import NamedTuple

from paddle_gan.config.language import in_users_language
from paddle_gan.config.options import described, flag, kind_of

# Options of every command, beside those of its dataclass.
_COMMON = {
    "--config": "YAML file of the same options, with _ for -",
    "--debug": "show the traceback of an error",
    "--help": "list the options",
    "--version": "show the version",
}


@dataclass(frozen=True)
class CompletionConfig:
    """Options of `tools/completion.py`: none."""


class Candidate(NamedTuple):
    """A word that may be meant.

    Attributes:
        word: the whole word.
        help: what it is, in the language of the user; "" if there is nothing to say.
    """

    word: str
    help: str


def candidates(config: type, words: Sequence[str]) -> list[Candidate]:
    """The words that may stand in place of the last one; none where any file or number may stand.

    Args:
        config: dataclass of the options of the command.
        words: those after the name of the command; the last one is being typed, and may be empty.
    """
    *before, begun = words
    options: dict[str, Field] = {flag(item.name): item for item in fields(config)}
    if begun.startswith("-"):
        known = [Candidate(name, described(item, in_users_language)) for name, item in options.items()]
        return beginning(begun, [*known, *(Candidate(name, in_users_language(help)) for name, help in _COMMON.items())])
    named = [place for place, word in enumerate(before) if word.startswith("--")]
    item = options.get(before[named[-1]]) if named else None
    if item is None or (len(before) - 1 - named[-1] and not kind_of(item)[1]):
        return []
    meanings = item.metadata["meanings"].items()
    return beginning(begun, [Candidate(str(choice), in_users_language(meaning)) for choice, meaning in meanings])


def beginning(begun: str, found: Sequence[Candidate]) -> list[Candidate]:
    """Those that begin with what was typed."""
    return [one for one in found if one.word.startswith(begun)]
