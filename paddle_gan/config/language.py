"""The language of what a command shows: English, or Chinese where the user's system speaks Chinese.

The code has its texts in English, as literals and f-strings where they belong. `chinese.json` has the Chinese text for
the template of each, which has {} for each value. In the Chinese text, {0}, {1}, ... are these values as they are, and
a format says what kind of value it is: `{1:zh}` a text of the table itself, `{1:texts}` several of them with
semicolons between, `{1:items}` several with commas or "and", `{1:names}` anything with such a text at its end,
`{1:word}` anything without a space, `{1:number}` a number. Not about files, exit statuses and the errors that a Python
program catches: they do not depend on the language.
"""

import json
import locale
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from string import Formatter
from typing import TextIO

from paddle_gan.errors import GanError

VARIABLE = "PADDLE_GAN_LANGUAGE"
_TABLE = Path(__file__).with_name("chinese.json")
# What fits a format, and what stands between the texts of a list.
_VALUES = {"word": r"(\S+?)", "number": r"([\d.,]+%?)"}
_SEPARATORS = {"texts": {"; ": "；"}, "items": {", ": "、", " and ": " 和 "}}


def users_language(environment: Mapping[str, str]) -> str:
    """zh or en: what PADDLE_GAN_LANGUAGE says, else the locale, else (on Windows) the language of the system.

    Args:
        environment: the variables of the process.
    """
    names = (VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG")
    chosen = next((value for value in map(environment.get, names) if value), None) or _system_language()
    return "zh" if chosen.lower().startswith("zh") else "en"


def _system_language() -> str:
    """The language of Windows for this user; elsewhere only the environment says one."""
    if sys.platform != "win32":
        return ""
    import ctypes

    return locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage(), "")


def in_users_language(text: str) -> str:
    """A text of the code in the language of the user; one that the table does not have stays as it is."""
    return chinese(text) if users_language(os.environ) == "zh" and _can_show_chinese(sys.stdout) else text


GanError.in_users_language = staticmethod(in_users_language)


def tell(line: str, file: TextIO | None = None) -> None:
    """Print a line in the language of the user, on standard output or another stream."""
    print(in_users_language(line), file=file, flush=True)


def _can_show_chinese(stream: TextIO | None) -> bool:
    try:
        "错误：".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def chinese(text: str) -> str:
    """The Chinese for a text of the code, with its values filled in; the text itself if there is none."""
    return _translated(text) or text


@lru_cache(maxsize=1000)
def _translated(text: str) -> str | None:
    """The Chinese of the first template that fits; None if none does.

    One whose values are texts of the table, where it says so, comes before the others.
    """
    second = None
    for longest, template in _templates():
        values = template.values(text) if longest in text else None
        if values is None:
            continue
        if all(map(_translated, template.nested(values))):
            return template.format(values)
        if template.has_words and second is None:
            second = template.format(values)
    return second


class _Value(str):
    """A value in a text, in the format that the Chinese text asks for."""

    def __format__(self, form: str) -> str:
        if form in _SEPARATORS:
            return "".join(_listed(str(self), _SEPARATORS[form]))
        if form == "names":
            names, end = _with_end(str(self))
            return names + chinese(end)
        return chinese(str(self)) if form == "zh" else str(self)


def _listed(text: str, separators: Mapping[str, str]) -> Iterator[str]:
    """The texts of a list in Chinese. A separator may also be part of a text: the shortest that is known is taken."""
    parts = re.split(f"({'|'.join(separators)})", text)
    while parts:
        ends = (end for end in range(1, len(parts) + 1, 2) if _translated("".join(parts[:end])))
        end = next(ends, 1)
        yield chinese("".join(parts[:end]))
        yield from (separators[separator] for separator in parts[end : end + 1])
        parts = parts[end + 1 :]


@dataclass(frozen=True)
class _Template:
    """An entry of the table.

    Attributes:
        literals: what stands before, between and after the values of the English text.
        chinese: a format of the values.
    """

    literals: tuple[str, ...]
    chinese: str

    def values(self, text: str) -> list[str] | None:
        """The values in a text that this is the template of; None for another text."""
        if not all(literal in text for literal in self.literals):
            return None  # soon found out, and most are not compiled at all
        match = self._pattern.fullmatch(text)
        return match and _apart(self.literals, list(match.groups()))

    def nested(self, values: list[str]) -> list[str]:
        """Those of the values that are texts of the table, or should be."""
        return [value for value, form in zip(values, self._forms, strict=True) if form == "zh" and value]

    def format(self, values: list[str]) -> str:
        """The Chinese text with these values."""
        return self.chinese.format(*map(_Value, values))

    @property
    def has_words(self) -> bool:
        """Whether it is more than punctuation, such as "{}: {}"."""
        return any(map(str.isalpha, "".join(self.literals)))

    @cached_property
    def _forms(self) -> list[str]:
        """The formats of the values, in the order of the English text."""
        fields = {field: form for _, field, form, _ in Formatter().parse(self.chinese) if field is not None}
        return [fields[str(number)] or "" for number in range(len(self.literals) - 1)]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        values = [_VALUES.get(form, "(.*?)") for form in self._forms]
        parts = (part for pair in zip(map(re.escape, self.literals), [*values, ""], strict=True) for part in pair)
        return re.compile("".join(parts), re.DOTALL)


def _apart(literals: Sequence[str], values: list[str]) -> list[str]:
    """Values with nothing between them: the second one is what `_with_end` finds at the end of both."""
    for number, between in enumerate(literals[1:-1]):
        if not between:
            values[number : number + 2] = _with_end(values[number] + values[number + 1])
    return values


def _with_end(text: str) -> tuple[str, str]:
    """A value, and the text of the table at its end, which begins with a space or a mark, such as "; and {} more"."""
    ends = [template for _, template in _templates() if template.literals[0].startswith((" ", ";", ","))]
    for cut in range(len(text)):
        if any(text.startswith(end.literals[0], cut) and end.values(text[cut:]) is not None for end in ends):
            return text[:cut], text[cut:]
    return text, ""


@cache
def _templates() -> list[tuple[str, _Template]]:
    """All of the table, each with its longest literal.

    First those that begin with words of their own, such as "error: {}", then those with the most words.
    """
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    entries = (entry for part in table.values() for entry in part.items())
    templates = [_Template(literals_of(english), chinese) for english, chinese in entries]
    templates.sort(key=lambda one: (not one.literals[0], -sum(map(len, one.literals))))
    return [(max(one.literals, key=len), one) for one in templates]


def literals_of(template: str) -> tuple[str, ...]:
    """What stands before, between and after the {} of a template: ("", ": no file ", "") for "{}: no file {}"."""
    parts = [""]
    for literal, field, _, _ in Formatter().parse(template):
        parts[-1] += literal
        parts += [""] if field is not None else []
    return tuple(parts)
