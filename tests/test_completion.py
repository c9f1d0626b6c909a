"""Completion in shells: the words that are proposed, and that each shell proposes them."""

import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, command_here

from paddle_gan.commands import COMMANDS
from paddle_gan.commands.completion import completed
from paddle_gan.config import names
from paddle_gan.errors import UsageError


def words(line: str) -> list[str]:
    """The words that are proposed in place of the last word of the line."""
    return [found.word for found in completed(COMMANDS, line.split(" "))]


def test_commands():
    assert words("paddle-gan tra") == ["train", "translate", "train_classifier"]
    assert words("paddle-gan ") == list(COMMANDS)
    assert words("paddle-gan translate ") == ["train", "apply"]
    assert words("paddle-gan trian --lo") == []


@pytest.mark.parametrize("program", ["python tools/train.py", ".venv/bin/python3 ./tools/train.py", "paddle-gan train"])
def test_options_and_choices(program):
    assert words(f"{program} --lo") == ["--loss", "--log", "--log-every"]
    assert words(f"{program} --loss wgan") == ["wgan", "wgan-gp", "wgan-lp"]
    assert words(f"{program} --loss ") == list(names.OBJECTIVES)
    assert words(f"{program} --seed 3 --deb") == ["--debug"]
    assert words(f"{program} --loss lsgan ") == [], "one value only"
    assert words(f"{program} --out ") == [], "files, which the shell knows"


def test_an_option_of_several_values():
    assert words("paddle-gan compare --loss lsgan wgan-g") == ["wgan-gp"]
    assert words("paddle-gan translate train --task super") == ["super-resolution"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("paddle-gan boar", "board"),
        ("paddle-gan train --deb", "出错时显示 traceback"),
        ("paddle-gan bench --task cut", "没有成对图片，单向"),
        ("paddle-gan bench --repea", "（默认：7）"),
    ],
)
def test_what_is_proposed_is_described_in_the_language_of_the_user(line, shown, monkeypatch):
    found = {}
    for language in ("en", "zh"):
        monkeypatch.setenv("PADDLE_GAN_LANGUAGE", language)
        (found[language],) = completed(COMMANDS, line.split(" "))
    assert found["en"].word == found["zh"].word and found["en"].help.isascii()
    assert shown in (found["zh"].help, found["zh"].word) or found["zh"].help.endswith(shown)
    assert not found["zh"].help.isascii()


def test_other_programs_are_left_alone():
    assert words("python setup.py --lo") == words("python -m tools/train.py --lo") == words("python --lo") == []


def test_every_option_has_its_help():
    found = dict(completed(COMMANDS, ["paddle-gan", "train", "--init"]))
    assert found == {"--init": "initial weights: paddle kaiming dcgan he (default: what is best for the generator)"}


def test_an_unknown_shell_is_named():
    with pytest.raises(UsageError, match="tcsh: the shells are bash, zsh, fish"):
        command_here("completion", "tcsh")


def script(shell: str) -> str:
    command = [sys.executable, ROOT / "tools" / "completion.py", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


# Each prints what the shell proposes for the words in its place.
ASKED = {
    "bash": (
        '{script}\nCOMP_WORDS=({words} "{last}"); COMP_CWORD={count}; _paddle_gan; printf "%s\\n" "${{COMPREPLY[@]}}"'
    ),
    "zsh": (
        "compdef() {{ : }}; _default() {{ echo files }}; _describe() {{ print -rl -- ${{(P)2}} }}\n"
        '{script}\nwords=({words} "{last}"); CURRENT=$(({count} + 1)); _paddle_gan'
    ),
    "fish": '{script}\ncomplete -C "{words} {last}"',
}


@pytest.mark.parametrize("shell", ASKED)
def test_a_shell_completes_an_option_and_a_choice(shell):
    program = shutil.which(shell)
    if not program:
        pytest.skip(f"no {shell} here")

    def proposed(line: str) -> list[str]:
        *before, last = line.split(" ")
        code = ASKED[shell].format(script=script(shell), words=" ".join(before), last=last, count=len(before))
        done = subprocess.run([program, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
        return [found.split("\t")[0].split(":")[0] for found in done.stdout.splitlines()]

    assert sorted(proposed("python tools/train.py --lo")) == ["--log", "--log-every", "--loss"]
    assert sorted(proposed("paddle-gan train --loss wgan-")) == ["wgan-gp", "wgan-lp"]
    assert "apply" in proposed("python tools/translate.py ")
