"""Every command of README and docs is run as it stands there, with small networks and few steps: a newcomer's walk.

Run it with `pytest -m slow --dist load tests/test_documented_commands.py`, three minutes on two cores. Commands that
serve a page until they are stopped have tests of their own (`test_board.py`, `test_demo.py`).
"""

import re
import shutil
import warnings
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, TINY, command_line
from PIL import Image
from test_readme import ENGLISH, code_blocks, commands_of, name_of

from paddle_gan.inference.web_runtime import ARCHIVE

pytestmark = pytest.mark.slow

SERVERS = {"board", "demo"}
# Options that make a command short. They are added at its end, where they win over those of the page.
TRANSLATION = ("--image-size", 16, "--width", 2, "--batch-size", 2, "--steps", 2, "--held-out", 0.25, "--device", "cpu")
SHORT = {
    "train": (*TINY, "--steps", 2),
    "compare": ("--steps", 2, "--seeds", 1, "--num", 200, "--width", 4, "--discriminator-width", 4),
    "modes": ("--steps", 2, "--seeds", 1),
    "augment": ("--steps", 2, "--classifier-steps", 2, "--seeds", 1, "--samples", 2),
    "bench": ("--repeats", 1, "--batch-size", 4, "--device", "cpu"),
    "evaluate": ("--num", 200),
}
# The files that an option names must be there afterwards.
WRITTEN = ("--out", "--npz", "--grid", "--png-dir", "--csv", "--parquet", "--json")
MADE = {
    "noise": ("train", *TINY, "--steps", 12, "--checkpoint-every", 5),
    "pictures": ("train", *TINY, "--steps", 2, "--dataset", "pictures"),
    "labels": ("train", *TINY, "--steps", 2, "--conditional"),
    "style": ("train", *TINY, "--steps", 2, "--generator", "style"),
    "pairs": ("translate", "train", "--pairs", "INPUTS", "TARGETS", *TRANSLATION),
    "cyclegan": ("translate", "train", "--unpaired", "FROM", "TO", "--method", "cyclegan", *TRANSLATION),
    "enlarging": ("translate", "train", "--task", "super-resolution", "--images", "FOLDER", *TRANSLATION),
    "filling": ("translate", "train", "--task", "inpaint", "--images", "FOLDER", *TRANSLATION),
}


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """A copy of the project without results: commands that are not told where to write do so in its `work/`."""

    def left_out(folder: str, names: list[str]) -> list[str]:
        results = [name for name in names if Path(folder) == ROOT / "work" and (ROOT / "work" / name).is_dir()]
        return [*results, *{".git", ".venv", "__pycache__"}.intersection(names)]

    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("project") / "paddle_gan", ignore=left_out))


@pytest.fixture
def newcomer(tmp_path, monkeypatch, project) -> Path:
    """A working folder with everything that the pages take for granted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("conftest.ROOT", project)
    random = np.random.default_rng(0)

    def image(size: int) -> Image.Image:
        return Image.fromarray(random.integers(0, 256, (size, size, 3), np.uint8))

    home = (
        "pictures/cats",
        "pictures/dogs",
        "leaves/oak",
        "leaves/elm",
        "folder-of-pictures",
        "package/img/twitter/64",
        "package/img/google/64",
        *(f"work/{pairs}" for pairs in ("openmoji/black", "openmoji/color", "glyphs/first", "glyphs/second")),
        *(f"work/{made}" for made in ("earth/first", "earth/second", "photographs/train", "photographs/test")),
    )
    for folder in (*home, "INPUTS", "TARGETS", "FROM", "TO", "TWITTER", "GOOGLE", "FOLDER", "photographs", "Set5"):
        Path(folder).mkdir(parents=True)
        for i in range(62 if folder.startswith("leaves") else 12):
            image(40).save(Path(folder) / f"{i}.png")
    image(40).save("photo.jpg")
    image(28).save("face.png")
    hole = np.zeros((40, 40), np.uint8)
    hole[10:20, 10:20] = 255
    Image.fromarray(hole).save("mask.png")
    Path("options.yaml").write_text("loss: lsgan\n")
    return tmp_path


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Makes a run of each kind once, where its images are."""
    folder = tmp_path_factory.mktemp("kinds")

    @cache
    def run_of(kind: str) -> Path:
        name, *arguments = MADE[kind]
        done = command_line(name, *arguments, "--out", folder / kind)
        assert done.returncode == 0, done.stderr
        return folder / kind

    return run_of


def kind_of(page: str, name: str, arguments: list[str]) -> str:
    """The kind of run that a command of a page takes for RUN."""
    if "--reverse" in arguments:
        return "cyclegan"
    if "--start-from" in arguments:
        return "pictures"
    if page == "docs/translation.md":
        return "filling" if "--mask" in arguments else "enlarging" if "--dataset" in arguments else "pairs"
    if name in ("sample", "walk") and {"--label", "--labels"} & set(arguments):
        return "labels"
    return "style" if "--mix-from" in arguments else "noise"


def cannot_run(name: str, arguments: list[str]) -> bool:
    """Whether this machine lacks what a command needs: a package, a download."""
    return (
        ("torch" in arguments and not find_spec("torch"))
        or ("--parquet" in arguments and not find_spec("pyarrow"))
        or ("onnx" in arguments and not find_spec("onnx"))
        or ("web" in arguments and (not find_spec("onnx") or not ARCHIVE.cache.exists()))
        or (any(one.endswith(".mp4") for one in arguments) and not find_spec("imageio_ffmpeg"))
        or ("fashion-mnist" in arguments and not Path("/usr/share/datasets/fashion-mnist").exists())
    )


def shortened(name: str, arguments: list[str]) -> list[object]:
    """The arguments, with those that make the command short."""
    if name == "train" and ("--help" in arguments or "--resume" in arguments):
        branch = ("--steps", 13) if "--learning-rate" in arguments or "--batch-size" in arguments else ()
        return [*arguments, *branch, *(("--resume-step", 10) if "--resume-step" in arguments else ())]
    if name == "train" and "--minutes" in arguments:
        return [*arguments, *TINY, "--minutes", 0.02]
    if name == "translate":
        return [*arguments, *(TRANSLATION if arguments[0] == "train" else ())]
    return [*arguments, *SHORT.get(name, ()), *(("--yes",) if "--remove" in arguments else ())]


# Python code of the pages that is short enough with these options in the place of its number of steps.
FEW_STEPS = "**SMALL)"
SMALL = {"steps": 2, "batch_size": 8, "device": "cpu", "width": 4, "discriminator_width": 4}


def code_of(page: Path) -> list[str]:
    """The Python code of a page that is run here; what extends the project has tests of its own."""
    return [
        block for block in code_blocks(page, "python") if re.search(r"import .*\b(train|load)|translator.onnx", block)
    ]


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    for name, arguments in commands_of(page):
        if cannot_run(name, arguments):
            warnings.warn(f"not run, since something is not installed here: {name} {arguments}", stacklevel=1)
        elif name not in SERVERS and "…" not in " ".join(arguments):
            yield name, arguments


@pytest.mark.parametrize("page", [page for page in ENGLISH if any(commands(page))], ids=name_of)
def test_every_command_of_a_page_does_what_it_says(page, newcomer, runs):
    there = None
    for name, arguments in commands(page):
        kind = kind_of(name_of(page), name, arguments)
        if kind != there and any(one.startswith(("RUN", "OTHER")) for one in arguments):
            for folder in ("RUN", "OTHER"):
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(runs(kind), folder)
            there = kind
        if "generator.pdparams" in arguments:
            shutil.copy(runs(kind) / "generator.pdparams", newcomer)
        if "samples.npz" in arguments and name == "evaluate":
            command_line("sample", "RUN", "--num", 300, "--npz", "samples.npz")
        if "OTHER/evaluation.json" in arguments:
            command_line("evaluate", "OTHER", "--num", 200)
        given = [one.replace("~", str(newcomer), 1) if one.startswith("~/") else one for one in arguments]
        done = command_line(name, *shortened(name, given))
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), f"{name} {given}: {done.stderr}"
        for option, file in zip(given, given[1:], strict=False):
            assert option not in WRITTEN or Path(file).exists(), f"{name} {given}: no {file}"


@pytest.mark.parametrize("page", [page for page in ENGLISH if code_of(page)], ids=name_of)
def test_the_python_code_of_a_page_runs(page, newcomer, runs):
    for name in ("face.png", "picture.png"):
        Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(name)
    for source, target in (("INPUTS", "inputs"), ("TARGETS", "targets")):
        shutil.copytree(source, target)
    for block in code_of(page):
        shutil.rmtree("RUN", ignore_errors=True)
        shutil.copytree(runs("pairs" if "translator.onnx" in block else "labels"), "RUN")
        if "translator.onnx" in block:
            assert command_line("export", "RUN", "--format", "onnx").returncode == 0
        small = SMALL | ({"image_size": 16} if "train_translation" in block else {})
        exec(block.replace("steps=2000)", FEW_STEPS), {"SMALL": small})
    for written in re.findall(r'\.save\("(.*?)"\)', "".join(code_of(page))):
        assert Path(written).exists(), written
