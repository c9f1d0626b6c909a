"""pyproject.toml is the one source of dependencies; the requirements files say the same."""

import re

import pytest
from conftest import ROOT

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10; pytest brings tomli along there
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
BASE = [*PROJECT["dependencies"], *(line for line in EXTRAS["test"] if line.startswith("pytest>"))]
GPU = [line.replace("paddlepaddle", "paddlepaddle-gpu") for line in EXTRAS["cpu"]]


def requirements(name: str) -> set[str]:
    """The requirements in a file and in those that it includes."""
    found = set()
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if included := re.fullmatch(r"-r (\S+)", line):
            found |= requirements(included[1])
        elif line and not line.startswith(("#", "--")):
            found.add(line)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("requirements-common.txt", BASE),
        ("requirements.txt", [*BASE, *EXTRAS["cpu"]]),
        ("requirements-gpu.txt", [*BASE, *GPU]),
        ("requirements-test.txt", [*BASE, *EXTRAS["cpu"], *EXTRAS["test"]]),
        ("requirements-check.txt", EXTRAS["check"]),
    ],
)
def test_a_requirements_file_follows_pyproject(name, expected):
    assert requirements(name) == set(expected)


def test_the_readme_names_the_pythons_that_the_package_takes():
    assert PROJECT["requires-python"] == ">=3.10"
    for readme in ("README.md", "README.zh.md"):
        assert re.search(r"Python 3\.10 .{1,3}3\.13", (ROOT / readme).read_text(encoding="utf-8"))


def test_the_citation_names_this_version():
    import yaml

    import paddle_gan

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == paddle_gan.__version__
    assert citation["cff-version"] == "1.2.0" and citation["authors"] and citation["title"]
