"""The texts for the user in Chinese: the table has all of them, each fits its English, and the commands show them.

A text is a literal or an f-string in the package, see `template`. One counts if it is a sentence, or a part of one, see
`is_sentence`; all count but those that `texts` leaves out by what they are in the syntax tree, those of the modules
`ELSEWHERE` that are no errors and no lines for the user, and those in `NOT_SHOWN`. So a new text counts by itself.
"""

import argparse
import ast
import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from conftest import ROOT, TINY, command_here
from PIL import Image

from paddle_gan import errors
from paddle_gan.commands import COMMANDS, Command
from paddle_gan.config.language import chinese, users_language

PACKAGE = ROOT / "paddle_gan"
TABLE = json.loads((PACKAGE / "config" / "chinese.json").read_text(encoding="utf-8"))
TEXTS, PYTHON = TABLE["texts"], TABLE["python"]

# Rooms and modules whose texts are for programmers, or for files, tables and figures, which stay English; the errors of
# `errors.py` in them, and the lines that they give to `say`, are for the user all the same.
ELSEWHERE = {
    *("backend", "metrics", "networks", "objectives"),  # for programmers, but for the errors
    *("evaluation", "studies", "bench"),  # records, reports, tables, figures
    "inference/onnx_file.py",  # the metadata of the file
    *("features/extractors.py", "features/maps.py"),  # the protocol in records; arrays
    *("inference/export.py", "inference/web_page.py"),  # the manifest of an exported generator; the page
    *("runs/card.py", "runs/translator_card.py", "runs/curves.py"),  # the model cards; the picture of the curves
    *("inference/translator_export.py", "inference/any_size.py"),  # the manifest of an exported translator
    "selfcheck",  # a page that is sent to others
    "runs/demo.py",  # the page, which has both languages
    "commands/completion.py",  # scripts of shells
    *("system/runtime.py", "system/web.py"),  # what Paddle warns of; what HTTP says
}
NOT_SHOWN = {
    "unrecognized arguments: ",  # how a message of Python begins
    *("unexpected end", "end of file"),  # looked for in what Pillow says
    *("python tools/{}.py", "paddle_gan {}", "<frozen importlib._bootstrap>"),  # commands and names
    *("module {} has no attribute {}", "{} has no labels", "clusters in other features"),  # for programmers
    "the images of {} are on the disk and cannot be resident on the device",  # for programmers
    "  unzip -o {} -d ~ && pip install -r ~/requirements-common.txt",  # a command
    *("302 Found", "Animation of {} pictures"),  # what HTTP says; what Python shows
    *("ankle boot", "branch of", "least distance", "of a folder", "of a file"),  # values in files and tables
    *("begun from", "{} at step {}"),  # a table
    *("reading images", "decoding images"),  # progress bars, which Python programs have too
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",
}
ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type)} | {"Stopped"}


def template(node: ast.expr) -> str | None:
    """A text as a template, with {} for each value in it; None for what is no text.

    A sum with a text is one too: f"{path}: " + reason is "{}: {}".
    """
    if isinstance(node, ast.Constant):
        return node.value.replace("{", "{{").replace("}", "}}") if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) or "{}" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template(node.left), template(node.right)
        return None if left is None and right is None else (left or "{}") + (right or "{}")
    return None


def inserted(node: ast.expr) -> Iterator[ast.expr]:
    """The values in a text."""
    if isinstance(node, ast.JoinedStr):
        yield from (part.value for part in node.values if isinstance(part, ast.FormattedValue))
    elif isinstance(node, ast.BinOp):
        for side in (node.left, node.right):
            yield from [side] if template(side) is None else inserted(side)


def texts(node: ast.AST) -> Iterator[str]:
    """The templates of all texts in a syntax tree, without docstrings, assertions and the words of "a b c".split()."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split":
        return
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.keyword) and node.arg == "examples" and isinstance(node.value, ast.Dict):
        children = iter(node.value.values)  # the keys are commands
    if isinstance(node, ast.expr) and (found := template(node)) is not None:
        yield found
        children = inserted(node)
    for child in children:
        if not (isinstance(node, ast.Assert) and child is node.msg):
            yield from texts(child)


def is_sentence(text: str) -> bool:
    """Whether a text has a word of three letters and a space."""
    return re.search("[A-Za-z]{3}", text) is not None and " " in text.strip()


def is_for_user(node: ast.AST) -> bool:
    """Whether a call makes an error for the user, or says a line."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ERRORS | {"say", "tell"}


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax trees by their paths in the package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def all_texts() -> dict[str, set[str]]:
    """Those of each module."""
    return {name: set(texts(tree)) for name, tree in modules().items()}


@cache
def texts_for_user() -> set[str]:
    found = set()
    for name, tree in modules().items():
        if {name, name.split("/")[0]} & ELSEWHERE:
            found |= {text for node in ast.walk(tree) if is_for_user(node) for text in texts(node)}
        else:
            found |= all_texts()[name]
    return set(filter(is_sentence, found))


def test_every_text_for_the_user_has_its_chinese():
    assert sorted(texts_for_user() - NOT_SHOWN - set(TEXTS)) == []
    assert NOT_SHOWN - texts_for_user() == set(), "not in the code any more"


def test_every_entry_is_a_text_of_the_code():
    assert sorted(set(TEXTS).difference(*all_texts().values())) == []


def test_every_other_entry_is_a_text_of_python():
    tree = ast.parse(Path(argparse.__file__).read_text(encoding="utf-8"))
    known = {re.sub(r"%\(\w+\)s|%[rs]", "{}", text) for text in texts(tree)}
    known |= {os.strerror(number) for number in errno.errorcode}
    known.add("[Errno {}] {}: {}")
    assert str(OSError(2, "{}", "x")) == "[Errno 2] {}: 'x'"
    assert sorted(set(PYTHON) - known) == []


def options() -> Iterator[tuple[Command, dict]]:
    for command in COMMANDS.values():
        for one in [command] if isinstance(command, Command) else command.commands.values():
            yield from ((one, dict(field.metadata)) for field in fields(one.options))


def test_the_help_of_every_option_is_chinese():
    """Also what is one word: headings and the meanings of values."""
    for _, option in options():
        for text in filter(None, (option["group"], option["help"], *option["meanings"].values())):
            assert chinese(text) != text, text
        if is_sentence(option["unset"]):
            assert chinese(option["unset"]) != option["unset"]


def test_the_help_of_every_command_is_chinese():
    """What it does, its arguments and its examples, also where the texts of its module do not count."""
    for command in COMMANDS.values():
        for one in [command] if isinstance(command, Command) else [command, *command.commands.values()]:
            arguments, examples = (one.positional, one.examples) if isinstance(one, Command) else ({}, {})
            for text in (one.description, *arguments.values(), *examples.values()):
                assert chinese(text) != text, text


def literal_parts(text: str) -> set[str]:
    """What must be the same in both languages: options, files, commands, numbers."""
    names = re.findall(
        r"--[a-z][\w-]*|[\w./-]*\.(?:py|pdparams|safetensors|npz|png|gif|apng|mp4|csv|jsonl?|txt)\b", text
    )
    return {*names, *re.findall(r"(?<![\w{])\d[\d.,]*\d|(?<![\w{.])\d(?![\w}])", text)}


def test_each_chinese_text_has_what_its_english_has():
    """The same values, options, files and numbers; a format is one of those that there are."""
    for english, text in (TEXTS | PYTHON).items():
        shown = list(Formatter().parse(text))
        assert {field for _, field, _, _ in shown if field is not None} == {
            str(number) for number in range(sum(field is not None for _, field, _, _ in Formatter().parse(english)))
        }, english
        assert {form for _, _, form, _ in shown} <= {None, "", "zh", "texts", "items", "names", "word", "number"}, (
            english
        )
        assert literal_parts(english) == literal_parts(text), (english, text)
        words = re.sub(r"--[\w-]+", "", english)
        assert bool(re.search("[\u4e00-\u9fff]", text)) or not re.search("[A-Za-z]{3}", words), english


# For each format a value that looks like a part of a text, and what becomes of it.
VALUES = {
    "": ('C:/"a"; b', 'C:/"a"; b'),
    "word": ('a:b"c";d', 'a:b"c";d'),
    "number": ("1,234.5", "1,234.5"),
    "zh": ("; and 3 more", "；另有 3 张"),
    "texts": ("/a b; c: it is empty; it holds none", "/a b; c: 文件是空的；其中没有检查点"),
    "items": ("30% of the generator and the whole discriminator", "生成器的 30% 和 整个判别器"),
    "names": ("a b; c: d, e and 3 more", "a b; c: d, e 等，另有 3 个"),
}


def test_each_text_is_found_with_its_values():
    """Also where a value looks like a part of a text, but for semicolons in a text that has them between its values."""
    for english, text in (TEXTS | PYTHON).items():
        if not is_sentence(english):
            continue
        forms = {int(field): form or "" for _, field, form, _ in Formatter().parse(text) if field is not None}
        values = [VALUES[forms[number]] for number in range(len(forms))]
        if "}; " in english:
            values = [('C:/"a"', 'C:/"a"') if value == VALUES[""] else value for value in values]
        expected = re.sub(r"\{(\d+):\w+\}", r"{\1}", text).format(*(shown for _, shown in values))
        assert chinese(english.format(*(given for given, _ in values))) == expected


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        (
            "error: --loss x: one of gan, pad (add white), late (constant for half of the run, then linear)",
            "错误：--loss x: 须是以下之一：gan、pad（补白边）、late（前一半训练不变，之后线性）",
        ),
        (
            "notice: step 400: the samples are nearly the same: the generator has collapsed onto a few images; the "
            "best samples so far are kept (tools/sample.py --best); try smaller learning rates or --loss wgan-gp",
            "提示：第 400 步：样本几乎都一样：生成器已坍缩到少数几张图片（模式崩溃）；到目前为止最好的样本已经保留"
            "（tools/sample.py --best）；请试试更小的学习率，或 --loss wgan-gp",
        ),
        (
            "error: 7 images cannot be read: a.png: not an image that can be read (it is empty); remove it or repair "
            "it; b; c (1).png: the file is encrypted; unpack the zip file with its password; and 5 more "
            "(--skip-unreadable 7 goes on without them)",
            "错误：7 张图片无法读取：a.png: 不是可以读取的图片（文件是空的）；请删除或修复它；b; c (1).png: "
            "文件已加密；请用密码解压 zip；另有 5 张（--skip-unreadable 7 可以不用它们继续）",
        ),
        (
            "start from /a; b: 100% of the generator and 80% of the discriminator; for another number of labels: "
            "generator/x; new: discriminator/a.b, the whole generator and 3 more",
            "从 /a; b 开始：取用生成器的 100% 和 判别器的 80%；标签数不同：generator/x；新的：discriminator/a.b、"
            "整个生成器 等，另有 3 个",
        ),
        (
            "[3/6] lsgan, seed 0: step 50/8000  D 0.234  G 1.234  distance 12.3  134 images/s  1:23 left",
            "[3/6] lsgan, seed 0: 第 50/8000 步  D 0.234  G 1.234  距离 12.3  134 张/秒  剩余 1:23",
        ),
        (
            "cannot write /a; b: c/d e: Permission denied; name another place",
            "无法写入 /a; b: c/d e: 没有权限；请换一个位置",
        ),
        ("a line that the table does not have: x", "a line that the table does not have: x"),
    ],
)
def test_texts_within_texts(english, expected):
    assert chinese(english) == expected


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "PADDLE_GAN_LANGUAGE": "en"}, "en"),
        ({"LC_ALL": "C", "PADDLE_GAN_LANGUAGE": "zh"}, "zh"),
        ({"LANG": ""}, "en"),
        ({}, "en"),
    ],
)
def test_language_of_a_user(environment, language):
    assert users_language(environment) == language


def shown(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """What `paddle-gan` shows in an environment without other languages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PADDLE_GAN_L"))}
    command = [sys.executable, "-m", "paddle_gan", *arguments]
    return subprocess.run(command, capture_output=True, cwd=ROOT, env=kept | environment, timeout=100)


def test_a_command_line_in_a_chinese_locale():
    """The same status; --help too."""
    arguments = ("train", "--steps", "0")
    english, other = shown(*arguments, LANG="en_US.UTF-8"), shown(*arguments, LANG="zh_CN.UTF-8")
    assert english.stderr == b"error: --steps 0: must be more than 0\n"
    assert other.stderr.decode() == "错误：--steps 0: 必须大于 0\n"
    assert (english.returncode, other.returncode) == (2, 2)
    help = shown("translate", "apply", "--help", LANG="zh_CN.UTF-8")
    lines = help.stdout.decode().splitlines()
    assert lines[0] == "用法：paddle-gan translate apply RUN [PICTURE ...] [选项]"
    assert "  --mask TEXT     图片中需要填补的地方为白色的掩码；只用于 inpaint（默认：图片自己的透明像素）" in lines
    assert not [line for line in lines if re.search(r"\b(the|of|is|and)\b", line)]
    assert help.returncode == 0


def test_a_report_in_chinese(tmp_path):
    """Lines with others in them; names stay as they are."""
    data, sheet = tmp_path / "data", tmp_path / "sheet.png"
    data.mkdir()
    for name, size in (("a; b.png", 40), ("c: d (1).png", 70)):
        Image.new("RGB", (size, size), (size, 0, 0)).save(data / name)
    (data / "empty.png").touch()
    arguments = ("check_data", str(data), "--sheet", str(sheet))
    done = shown(*arguments, LANG="zh_CN.UTF-8")
    failure = "empty.png: 不是可以读取的图片（文件是空的）；请删除或修复它"
    assert done.stdout.decode().splitlines() == [
        "3 个图片文件；格式 PNG (2)；模式 RGB (2)；位数 8 (2)；40x40 到 70x70 像素",
        "2 张图片中有 1 张小于 64x64，会被放大：a; b.png",
        "3 个文件中有 1 个无法读取：",
        f"  {failure}",
        "训练看到 2 张 64x64x3 的图片（--fit crop）",
        f"网络看到的图片：{sheet}",
    ]
    assert done.stderr.decode() == f"错误：{data}/{failure}（--skip-unreadable 1 可以不用它们继续）\n"
    assert done.returncode == shown(*arguments, LANG="C.UTF-8").returncode == 2


def test_english_where_the_output_cannot_hold_chinese():
    done = shown("train", "--steps", "0", LANG="zh_CN.UTF-8", PYTHONIOENCODING="ascii")
    assert done.stderr == b"error: --steps 0: must be more than 0\n"


def test_a_training_run_in_chinese(tmp_path, monkeypatch, capsys):
    """The lines are Chinese, the files English."""
    monkeypatch.setenv("PADDLE_GAN_LANGUAGE", "zh")
    out = tmp_path / "run"
    command_here("train", "--out", out, *TINY, "--steps", 2, "--log-every", 1, "--evaluate-every", 0)
    lines = capsys.readouterr().out.splitlines()
    assert f"训练目录：{out}" in lines
    assert "完成：2 步" in lines
    assert re.search(r"^第 2/2 步  D \d\.\d{3}  G \d\.\d{3}  \d+ 张/秒  剩余 0:00$", "\n".join(lines), re.MULTILINE)
    assert not [line for line in lines if re.match("[A-Za-z ]*:|step|cost|mnist of", line)]
    for path in (out / "config.json", out / "metrics.jsonl"):
        assert path.read_text(encoding="utf-8").isascii()


def test_commands_tell_rather_than_print():
    """No command prints a text in English, or lets a function print its lines."""
    telling = {
        node.name
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and "say" in [one.arg for one in [*node.args.args, *node.args.kwonlyargs]]
    }
    for name, tree in modules().items():
        if not name.startswith("commands/"):
            continue
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.keyword | ast.Call) and "print" in map(ast.unparse, values_of(node))), name
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called != "print" or not any(map(is_sentence, texts(node))), f"{name}: {ast.unparse(node)}"
                if called.split(".")[-1] in telling and called not in ("execute", "command.run"):
                    assert {"tell", "say"} & set(map(ast.unparse, values_of(node))), f"{name}: {ast.unparse(node)}"


def values_of(node: ast.Call | ast.keyword) -> list[ast.expr]:
    """The arguments of a call, or the value of a keyword."""
    return [node.value] if isinstance(node, ast.keyword) else [*node.args, *(one.value for one in node.keywords)]
