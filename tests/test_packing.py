"""The zip file for AI Studio, and the reference that is made from docstrings."""

import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser

import pytest
from conftest import ROOT, TINY, command_here

import paddle_gan


def test_the_packed_project_trains_elsewhere(tmp_path):
    """It is complete and needs nothing of this checkout; what was trained here is not in it."""
    command_here("pack_for_ai_studio", "--out", tmp_path / "packed.zip")
    home = tmp_path / "aistudio"
    with zipfile.ZipFile(tmp_path / "packed.zip") as archive:
        names = set(archive.namelist())
        archive.extractall(home)
    tracked = {str(path.relative_to(ROOT)) for path in (ROOT / "paddle_gan").rglob("*.py")}
    assert tracked <= names
    assert {"requirements.txt", "pyproject.toml", "LICENSE", "docs/ai-studio.zh.md", "work/ConvBN.py"} <= names
    for name in [name for name in names if name.endswith(".md")]:
        text = (home / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", re.sub(r"```.*?```", "", text, flags=re.S)):
            assert re.match(r"[a-z]+:", link) or (home / name).parent.joinpath(link).exists(), f"{name}: {link}"
    assert {f"work/{path.name}" for path in (ROOT / "work").glob("*.ipynb")} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("work/runs", "tests"))]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "tools/train.py", "--steps", "2", *TINY],
        cwd=home, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = (home / "work" / "runs").iterdir()
    assert (run / "generator.pdparams").exists()


def test_the_same_files_give_the_same_zip_file(tmp_path):
    for name in ("one.zip", "other.zip"):
        command_here("pack_for_ai_studio", "--out", tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.anchors.add(str(found["id"]))
        if tag == "a" and found.get("href"):
            self.links.add(str(found["href"]))


def test_the_reference_has_every_public_name_and_no_dead_link(tmp_path):
    pytest.importorskip("pdoc")
    spec = importlib.util.spec_from_file_location("api", ROOT / "docs" / "api.py")
    assert spec and spec.loader
    api = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(api)
    api.build(tmp_path)
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in tmp_path.rglob("*.html")}
    assert len(pages) == len(api.MODULES) + 1
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = link.partition("#")
            found = pages.get((path.parent / target).resolve() if target else path)
            assert found is not None and (not anchor or anchor in found.anchors), f"{path.name}: {link}"
    front = (tmp_path / "paddle_gan.html").read_text(encoding="utf-8")
    sections = dict(re.findall(r'<section id="(\w+)">(.*?)</section>', front, re.S))
    for name in set(paddle_gan.__all__) - {"__version__"}:
        assert 'class="docstring"' in sections[name], f"{name} has no documentation"
        kind = "class" if name[0].isupper() else "def"
        assert f'<span class="def">{kind}</span>' in sections[name], f"{name} has no signature"
        assert kind == "class" or "param" in sections[name], f"{name} has no parameters"
    assert "one-sided: the real target is 1 - this value" in front, "the help of an option"


def test_options_are_in_the_docstrings():
    assert "learning_rate: of both networks (default: the loss's recipe)" in str(paddle_gan.TrainConfig.__doc__)
