"""README and docs: their commands, options, code, tables and links are those of the project, in both languages."""

import ast
import importlib
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import paddle
import pytest
from conftest import ROOT, TINY
from test_architecture import ROOMS

import paddle_gan.config
from paddle_gan.commands import COMMANDS, Group
from paddle_gan.config.options import flag

DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "README.zh.md", *DOCS.rglob("*.md")])
ENGLISH = [page for page in PAGES if not page.name.endswith(".zh.md")]
# A page and the same in Chinese; the README has one, the others may have.
PAIRS = [(page, page.with_suffix(".zh.md")) for page in ENGLISH if page.with_suffix(".zh.md").exists()]
MOST_LINES = 170


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def names_of(pair: tuple[Path, Path]) -> str:
    return name_of(pair[0])


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.M | re.S)


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S)


# --- Pages -----------------------------------------------------------------------------------------------------------


def test_the_readme_is_short_and_there_in_both_languages():
    for page in (ROOT / "README.md", ROOT / "README.zh.md"):
        assert len(text_of(page).splitlines()) <= MOST_LINES, page.name


def test_the_index_lists_every_page():
    linked = re.findall(r"^\| \[.*?\]\(([\w.-]+)\) \|", text_of(DOCS / "README.md"), re.M)
    assert sorted(linked) == sorted(page.name for page in ENGLISH if page.parent == DOCS and page.stem != "README")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    """To a file or folder of the project and, where it names one, to a heading in it; web addresses are not tried."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        # A translation that is not there yet
        if path.endswith(".zh.md") and not page.name.endswith(".zh.md") and page.parent == DOCS:
            assert (page.parent / path.replace(".zh.md", ".md")).resolve() == page, target
            continue
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_anchors_are_those_of_github(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# `gan-r1` and `gan-r1-r2`\n\n## Is it getting better?\n\n```\n# no heading\n```\n### 在 GPU 上\n")
    assert anchors(page) == {"gan-r1-and-gan-r1-r2", "is-it-getting-better", "在-gpu-上"}


# --- Tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "README.zh.md"], ids=name_of)
def test_the_readme_says_what_is_where(page):
    """Every package, in the order in which they may import from one another; every file of tools/ and work/."""
    rows = dict(re.findall(r"^\| `([\w./*]+)` \| (.*) \|$", text_of(page), re.M))
    packages = [row.removeprefix("paddle_gan/").strip("/").removesuffix(".py") for row in rows if "paddle_gan/" in row]
    assert packages == [room for room in ROOMS if room != "__main__"]
    for folder in ("tools", "work"):
        for path in (ROOT / folder).iterdir():
            if path.name not in (
                "__pycache__",
                ".ipynb_checkpoints",
                "log",
                "comparisons",
                "modes",
                "augment",
                "checks",
                "api",
            ):
                assert f"`{path.name}{'/' * path.is_dir()}`" in rows[f"{folder}/"], path.name
    assert {"tests/", "docs/", ".ci/", "requirements*.txt", "pyproject.toml"} <= rows.keys()


def test_every_module_is_on_the_page_of_the_code():
    """And every one that is named there exists."""
    sections = re.split(r"^## `(\w+)/`.*$", text_of(DOCS / "code.md"), flags=re.M)
    named = {name for name in re.findall(r"`([\w/]+\.py)`", sections[0]) if "/" not in name}
    for package, section in zip(sections[1::2], sections[2::2], strict=True):
        named |= {f"{package}/{name}" for name in re.findall(r"`([\w/]+\.py)`", section)}
    package = ROOT / "paddle_gan"
    there = {str(path.relative_to(package)) for path in package.rglob("*.py")}
    inner = {name for name in there if name.endswith("/__init__.py")}
    assert there - inner <= named
    assert named <= there


# --- Commands and options --------------------------------------------------------------------------------------------


def known_options() -> set[str]:
    options = set()
    for module in pkgutil.iter_modules(paddle_gan.config.__path__, "paddle_gan.config."):
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and is_dataclass(kind) and kind.__name__.endswith("Config"):
                options |= {flag(field.name) for field in fields(kind)}
    assert "--penalty-weight" in options
    return options


OTHER_OPTIONS = {
    "--logdir",  # of TensorBoard
    *("--config", "--debug", "--help"),
    # of Paddle's launcher, of docs/translation_data.py, of pip
    *("--nproc_per_node", "--log_dir", "--devices", "--master", "--nnodes"),
    "--stride",
    "--no-deps",
}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_option_that_is_named_exists(page):
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9_-]+", text_of(page))) <= known_options() | OTHER_OPTIONS


def commands_of(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The name of each command in the code blocks and in the sentences of a page, and its arguments."""
    blocks = ["\n".join(without_comments(block)).replace("\\\n", " ") for block in code_blocks(page, "bash")]
    sentences = re.findall(r"`(python tools/[a-z_]+\.py[^`]*)`", text_of(page))
    for line in "\n".join([*blocks, *sentences]).splitlines():
        for part in re.split(r"&&|\||;", line):
            settings, run = r"\s*(?:[A-Z_]+=\S+ |taskset -c \d )*", r"(?:python|\S*/python) tools/(\w+)\.py(.*)"
            if found := re.match(rf"{settings}(?:{run}|paddle-gan (\w+)(.*))", part):
                tool, arguments, name, others = found.groups()
                yield tool or name, shlex.split((arguments or others or "").partition(" > ")[0])


@pytest.mark.parametrize("page", [page for page in ENGLISH if code_blocks(page, "bash")], ids=name_of)
def test_every_command_is_understood(page, tmp_path, monkeypatch):
    """Its arguments and the values of its options; not whether the folders are there."""
    monkeypatch.chdir(tmp_path)
    Path("options.yaml").write_text("loss: lsgan\n")
    for name, arguments in commands_of(page):
        command = COMMANDS[name]
        if isinstance(command, Group):
            command, arguments = command.commands[arguments[0]], arguments[1:]
        if "--help" not in arguments and "--version" not in arguments:
            command.parse([one.replace("…", "") for one in arguments if one != "…"])


@pytest.mark.parametrize("pair", PAIRS, ids=names_of)
def test_both_languages_have_the_same_commands_and_code(pair):
    for language in ("bash", "python", "text"):
        sides = [[without_comments(block) for block in code_blocks(page, language)] for page in pair]
        assert sides[0] == sides[1]


def without_comments(block: str) -> list[str]:
    return [re.sub(r" *#.*", "", line) for line in block.splitlines()]


# --- Code ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in ENGLISH if code_blocks(page, "python")], ids=name_of)
def test_python_code_is_python_and_its_imports_exist(page):
    for block in code_blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and not str(node.module).endswith("losses.pearson"):
                module = importlib.import_module(str(node.module))
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == [], node.module


def examples() -> dict[str, str]:
    """The code of docs/adding-your-own.md by the place that its first line names."""
    blocks = code_blocks(DOCS / "adding-your-own.md", "python")
    return {head.removeprefix("# ").removesuffix(" (new)"): code for head, code in (b.split("\n", 1) for b in blocks)}


def add(root: Path, place: str, code: str) -> None:
    """What the example tells one to do: a file that is new, or lines beside those that are there."""
    path = root / place
    if not path.exists():
        path.write_text(code)
        return
    text = path.read_text()
    *imports, table = code.strip().split("\n\n")
    head, *lines, _ = table.splitlines()
    assert text.count(f"\n{head}\n") == 1, head
    text = text.replace(f"\n{head}\n", "\n".join(["", head, *lines, ""]))
    if imports:
        first = re.search(r"^from paddle_gan", text, re.M)
        assert first
        text = text[: first.start()] + "\n".join(imports) + "\n" + text[first.start() :]
    path.write_text(text)


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of the project's code."""
    for folder in ("paddle_gan", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_new_objective_is_what_the_page_adds(copy):
    """Its code, put into a copy of the project, gives a loss that the command line knows and that trains."""
    blocks = re.findall(r"^```python\n# (\S+)[^\n]*\n(.*?)^```$", section("An objective"), re.M | re.S)
    assert len(blocks) == 3
    for place, code in blocks:
        add(copy, place, code)
    command = [sys.executable, copy / "tools" / "train.py", "--loss", "pearson", "--steps", "2", "--out", copy / "run"]
    done = subprocess.run([*command, *TINY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pearson (Nowozin et al. 2016)" in done.stdout


def section(heading: str) -> str:
    """A section of docs/adding-your-own.md."""
    return text_of(DOCS / "adding-your-own.md").split(f"\n## {heading}\n")[1].split("\n## ")[0]


def namespace(module: str) -> dict:
    return dict(vars(importlib.import_module(module)))


def test_the_penalty_of_the_page_is_one_of_the_generator():
    from paddle_gan.networks import GENERATORS
    from paddle_gan.objectives.penalties import StepBatch, penalty_value

    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", section("A penalty"), re.S)[1], names)
    generator = GENERATORS["mlp-shallow"](image_size=28, channels=1, width=4)
    latents = paddle.randn([4, generator.latent_dim])
    batch = StepBatch(real=None, fake=generator(latents), latents=latents)
    assert penalty_value(names["path_length"], generator, batch).item() > 0


def test_the_generator_of_the_page_makes_images():
    names = namespace("paddle_gan.networks.generators")
    exec(re.search(r"```python\n(.*?)```", section("A generator"), re.S)[1], names)
    generator = names["LinearGenerator"](image_size=28, channels=3, classes=2)
    images = generator(paddle.randn([4, generator.latent_dim]), paddle.to_tensor([0, 1, 0, 1]))
    assert images.shape == [4, 3, 28, 28]
    assert generator.value_range == (-1.0, 1.0) and images.abs().max().item() <= 1


def test_the_metric_of_the_page_is_the_distance_of_means():
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", section("A metric"), re.S)[1], names)
    assert names["mean_distance"](np.ones((5, 4)), np.zeros((3, 4))) == 2


def test_the_option_of_the_page_is_an_option():
    from paddle_gan.config.options import option

    names = {"option": option}
    exec(re.search(r"```python\n(.*?)```", section("An option"), re.S)[1], names)
    assert names["instance_noise"].default == 0.0


def test_the_task_of_the_page_trains():
    from paddle_gan.training.loop import train
    from paddle_gan.training.state import tensors_of
    from paddle_gan.training.task import new_player

    # A module of its own name, since a dataclass looks its module up.
    names = {"__name__": __name__}
    exec(re.search(r"```python\n(.*?)```", section("A task"), re.S)[1], names)
    images = paddle.tanh(paddle.randn([8, 1, 8, 8]))
    network, average = (paddle.nn.Conv2D(1, 1, 3, padding=1) for _ in range(2))
    player = new_player(network, lambda weights: paddle.optimizer.Adam(0.05, parameters=weights), average)
    task = names["Autoencoder"](player, images)
    losses: list[float] = []

    def keep(task, values) -> None:
        losses.append(values["loss/autoencoder"])

    train(task, lambda number: (images, None), steps=20, seed=0, log_every=1, callbacks=[keep])
    assert task.step == len(losses) == 20 and losses[-1] < losses[0]
    assert "autoencoder_average/weight" in tensors_of(task)
    assert task.sheet(seed=0).dtype == np.uint8
