"""What the README shows works as it stands there."""

import re
import shutil
import subprocess
import sys

from conftest import ROOT, TINY

from paddle_gan.config import options as config

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh.md").read_text(encoding="utf-8")


def test_a_new_objective_is_what_the_readme_adds(tmp_path):
    """Its code, put into a copy of the project, gives a loss that the command line knows and that trains."""
    code = re.search(r"```python\n(def hinge_.*?)```", README, re.S)[1]
    functions, entries = code.split("OBJECTIVES: dict[str, Objective] = {\n")
    entry = entries.splitlines()[0]
    shutil.copytree(ROOT / "paddle_gan", tmp_path / "paddle_gan", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    path = tmp_path / "paddle_gan" / "objectives.py"
    head, tail = path.read_text().split("OBJECTIVES: dict[str, Objective] = {\n")
    path.write_text(f"{head}{functions}OBJECTIVES: dict[str, Objective] = {{\n{entry}\n{tail}")
    command = [
        sys.executable,
        tmp_path / "tools" / "train.py",
        "--loss",
        "hinge",
        "--steps",
        "2",
        "--out",
        tmp_path / "run",
        *TINY,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "hinge (Lim and Ye 2017)" in done.stdout


def test_every_file_is_in_the_tree_of_both():
    for text in (README, CHINESE):
        tree = re.search(r"```text\npaddle_gan/\n(.*?)```", text, re.S)[1]
        for path in [*(ROOT / "paddle_gan").iterdir(), *(ROOT / "tools").iterdir(), *(ROOT / "work").iterdir()]:
            name = path.name + "/" * path.is_dir()
            if name not in ("__pycache__/", ".ipynb_checkpoints/"):
                assert f"  {name} " in tree or f"  {name}\n" in tree, name


def test_every_option_that_is_named_exists():
    configs = [value for name, value in vars(config).items() if name.endswith("Config")]
    known = {config.flag(name) for kind in configs for name in kind.__dataclass_fields__} | {
        "--config",
        "--debug",
        "--help",
        # of Paddle's launcher
        *("--nproc_per_node", "--log_dir", "--devices", "--master", "--nnodes"),
    }
    for text in (README, CHINESE):
        assert set(re.findall(r"--[a-z][a-z0-9_-]+", text)) <= known


def test_both_have_the_same_commands():
    blocks = [re.findall(r"```bash\n(.*?)```", text, re.S) for text in (README, CHINESE)]
    commands = [[re.sub(r" *#.*", "", line) for block in side for line in block.splitlines()] for side in blocks]
    assert commands[0] == commands[1]
