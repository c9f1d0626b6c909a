"""What other systems lack: a training run without it, names that Windows allows, and files in UTF-8 everywhere.

Only Linux is at hand. So a child process hides from this package what Windows, macOS and Arm do not have.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TINY

from paddle_gan.backend import dnnl, kernels
from paddle_gan.config.paths import legal_name
from paddle_gan.config.train import TrainConfig
from paddle_gan.runs.execution import slow_notices
from paddle_gan.runs.folder import run_name
from paddle_gan.runs.resolve import resolve
from paddle_gan.system import cache, files

# Hides the modules, functions and files below from paddle_gan, and from no other package. A file that is opened without
# an encoding is an error there.
PRELUDE = """
import builtins, ctypes, os, pathlib, signal, sys, warnings

def ours(frame):
    return frame.f_globals.get("__name__", "").startswith("paddle_gan")

importing, reading, library = builtins.__import__, pathlib.Path.read_text, ctypes.CDLL
def import_(name, *arguments, **keywords):
    if name in ("fcntl", "resource", "pwd", "grp", "termios") and ours(sys._getframe(1)):
        raise ImportError(name)
    return importing(name, *arguments, **keywords)

def read_text(path, *arguments, **keywords):
    if str(path).startswith(("/proc", "/sys")) and ours(sys._getframe(1)):
        raise FileNotFoundError(path)
    return reading(path, *arguments, **keywords)

class Library(library):
    def __init__(self, name, *arguments, **keywords):
        if "dnnl" in str(name):
            raise OSError(name)
        super().__init__(name, *arguments, **keywords)


import numpy, PIL.Image, subprocess, tempfile, multiprocessing, asyncio  # these look for such functions themselves
warnings.filterwarnings("ignore")
import paddle
warnings.filterwarnings("error", category=EncodingWarning, module="paddle_gan")
for name in [name for name in sys.modules if name.startswith("paddle_gan")]:
    del sys.modules[name]
builtins.__import__, pathlib.Path.read_text, ctypes.CDLL = import_, read_text, Library
for module, names in ((os, "fork sched_getaffinity getuid getloadavg killpg setsid"), (signal, "pthread_sigmask")):
    for name in names.split():
        delattr(module, name)
"""

USE = """
try:
    exec("open(os.devnull)", {"__name__": "paddle_gan.invented", "os": os})
except EncodingWarning:
    pass
else:
    raise AssertionError("files without an encoding are not found")

from paddle_gan.commands import COMMANDS
def command(name, *arguments, within=None):
    chosen = COMMANDS[within].commands[name] if within else COMMANDS[name]
    chosen.run(chosen.parse([str(argument) for argument in arguments]))

command("train", "--steps", 2, "--out", "run", *sys.argv[1:])
command("train", "--resume", "run", "--steps", 3)
command("train", "--steps", 3, "--out", "whole", *sys.argv[1:])
command("sample", "run", "--num", 4, "--npz", "four.npz", "--grid", "four.png", "--device", "cpu")
command("runs", "run", "--csv", "log.csv")
command("export", "run", "--format", "safetensors")
command("evaluate", "run", "--num", 50, "--device", "cpu")

for folder in ("from", "to"):
    os.mkdir(folder)
    for number in range(6):
        pixels = numpy.random.default_rng(number).integers(0, 256, (16, 16, 3), numpy.uint8)
        PIL.Image.fromarray(pixels).save(f"{folder}/{number}.png")
small = "--image-size 16 --width 2 --batch-size 2 --held-out 0.25 --steps 2 --device cpu --evaluate-every 0".split()
command("train", "--pairs", "from", "to", "--out", "translation", *small, within="translate")
command("apply", "translation", "from/0.png", "--out", "translated", "--device", "cpu", within="translate")

from paddle_gan.selfcheck.about import about
from paddle_gan.selfcheck.checks import checks, results
from paddle_gan.selfcheck.page import page
chosen = [check for check in checks("cpu") if check.name in ("step of wgan-gp", "files")]
checked = list(results(chosen, print))
assert len(checked) == 2 and all(check["passed"] for check in checked), checked
print(*page({"about": about("cpu"), "checks": checked}), sep=" | ")
from paddle_gan.system.memory import available_memory
from paddle_gan.bench.machine import machine
from paddle_gan.bench.workers.turns import resident_peak
assert available_memory() > 0 and machine()["load"] is None and machine()["cores"] >= 1
print("end")
"""


def test_runs_and_what_is_done_with_them_without_what_other_systems_lack(tmp_path):
    """No locks, no fork, no signal masks, no /proc, no oneDNN, no file that is opened without an encoding."""
    script = tmp_path / "script.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{PRELUDE}{USE}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", script, *TINY],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONWARNINGS": "default"},
    )
    assert done.returncode == 0 and done.stdout.endswith("end\n"), done.stderr
    assert "going on from step 2 of 3" in done.stdout
    assert "convolutions run on Paddle's own kernels" in done.stdout
    states = [
        (tmp_path / run / "checkpoints" / "step-00000003" / "state.safetensors").read_bytes()
        for run in ("run", "whole")
    ]
    assert states[0] == states[1]
    record = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    assert sum(record["class_counts"]["samples"]) == 50
    assert [path.name for path in (tmp_path / "translated").iterdir()] == ["0.png"]
    assert (tmp_path / "four.npz").exists() and (tmp_path / "four.png").exists()
    assert not (tmp_path / "run" / ".lock").exists()
    assert b"\r" not in (tmp_path / "log.csv").read_bytes() + (tmp_path / "run" / "metrics.jsonl").read_bytes()


FORBIDDEN = set('<>:"/\\|?*') | {chr(i) for i in range(32)}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mnist-lsgan", "mnist-lsgan"),
        ("数字 2", "数字 2"),
        ("a:b*c?", "a_b_c_"),
        ("con", "con_"),
        ("Con.images", "Con_.images"),
        ("COM1", "COM1_"),
        ("concert", "concert"),
        ("dots. .", "dots"),
        ("..", "_"),
        ("", "_"),
        ("a/b\\c\n", "a_b_c_"),
        ("数" * 100, "数" * 66),
    ],
)
def test_names_that_every_system_allows(text, name):
    assert legal_name(text) == name


@pytest.mark.parametrize("dataset", ["con", "nul.d", "a:b|c", 'x"<y>', "tail. ", "数" * 300, "line\nbreak", "*?"])
def test_run_names_of_hostile_data_sets_are_legal(dataset):
    name = run_name(resolve(TrainConfig(dataset=dataset), "cpu").config)
    assert not FORBIDDEN & set(name) and not name.endswith((".", " ")) and len(name.encode()) < 255
    assert name.split(".")[0].lower() not in {"con", "nul", "prn", "aux"}
    assert name != run_name(resolve(TrainConfig(dataset=f"{dataset}x"), "cpu").config)


def test_a_sync_on_windows_opens_files_for_writing_and_no_folders(monkeypatch, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    opened, open_ = [], os.open

    def noting(path, flags):
        opened.append((Path(path).name, flags))
        return open_(path, flags)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", noting)
        files.sync(path, on_windows=False)
        files.sync(path, on_windows=True)
        files.sync(tmp_path, on_windows=True)
    assert opened == [("file", os.O_RDONLY), ("file", os.O_RDWR)]


def test_a_cached_file_that_is_in_use_stays(monkeypatch, tmp_path):
    def refuse(path, missing_ok):
        raise PermissionError

    (tmp_path / "used.pixels").write_bytes(b"0" * 100)
    monkeypatch.setenv(cache.LIMIT, str(150 / 2**30))
    monkeypatch.setattr(Path, "unlink", refuse)
    assert cache.has_room(tmp_path, 100)
    assert (tmp_path / "used.pixels").exists()


@pytest.mark.parametrize(
    ("system", "machine", "said"),
    [
        ("linux", "x86_64", "about half as fast as through oneDNN"),
        ("linux", "aarch64", "convolutions run on Paddle's own kernels here;"),
        ("darwin", "arm64", "convolutions run on Paddle's own kernels here;"),
        ("win32", "AMD64", "convolutions run on Paddle's own kernels here;"),
    ],
)
def test_where_there_is_no_onednn_a_run_is_not_called_slow(monkeypatch, system, machine, said):
    monkeypatch.setattr(kernels, "available", lambda: False)
    monkeypatch.setattr(dnnl.sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    (notice,) = slow_notices("cpu")
    assert said in notice
    assert ("slow" in notice or "half" in notice) is (said.startswith("about half"))
