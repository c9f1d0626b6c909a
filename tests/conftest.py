"""What the tests share: small runs through the real command line, and a folder of images."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# Tests run side by side: with more threads than cores, those of MKL would spin against each other.
os.environ.setdefault("MKL_NUM_THREADS", "1")

import paddle_gan  # noqa: F401  (before Paddle: it sets the threads)
from paddle_gan.errors import GanError  # noqa: E402

# Decoded images of tests are not kept among those of the user.
_CACHE = tempfile.TemporaryDirectory()
os.environ["PADDLE_GAN_CACHE"] = _CACHE.name
# The tests read the English texts, whatever the language of the machine.
os.environ["PADDLE_GAN_LANGUAGE"] = "en"
ROOT = Path(__file__).resolve().parent.parent
# With a tuned schedule, a short run that goes on would differ from a long one; clusters would take a second to find.
_PLAIN = ("--recipe", "paper")
# The smallest networks that are still the real ones.
TINY = ("--width", "4", "--discriminator-width", "4", "--batch-size", "8", "--device", "cpu", *_PLAIN)


def command_line(tool: str, *arguments: object, **options: object) -> subprocess.CompletedProcess:
    """Run tools/TOOL.py in a process of its own and return what it printed and its status."""
    environment = os.environ | {"PYTHONWARNINGS": "default"}
    return subprocess.run(
        [sys.executable, ROOT / "tools" / f"{tool}.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=1800,
        env=environment,
        stdin=subprocess.DEVNULL,
        **options,
    )


def command_here(tool: str, *arguments: object) -> None:
    """Run a command in this process; its errors are raised."""
    from paddle_gan.commands import COMMANDS

    COMMANDS[tool].run(COMMANDS[tool].parse([str(argument) for argument in arguments]))


def refused_here(tool: str, *arguments: object) -> str:
    """The one line that a command ends with, run in this process: an error of status 2."""
    with pytest.raises(GanError) as error:
        command_here(tool, *arguments)
    assert error.value.exit_status == 2 and "\n" not in str(error.value)
    return str(error.value)


def train(out: Path, *arguments: object, expect: int = 0) -> subprocess.CompletedProcess:
    """Run a tiny training into `out`."""
    done = command_line("train", "--out", out, *TINY, *arguments)
    assert done.returncode == expect, done.stderr
    return done


def train_here(out: Path, *arguments: object) -> None:
    """A tiny training in this process, for a test of what comes after it: it saves the start of a process."""
    command_here("train", "--out", out, *TINY, *arguments)


def start(out: Path, *arguments: object, **options: object) -> subprocess.Popen:
    """Start a tiny training into `out` and return while it runs."""
    command = [sys.executable, ROOT / "tools" / "train.py", "--out", out, *TINY, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.002)


def newest_manifest(run: Path) -> dict:
    """The manifest of the newest checkpoint of a run."""
    newest = sorted((run / "checkpoints").glob("step-*"))[-1]
    return json.loads((newest / "manifest.json").read_text())


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory) -> Path:
    """A finished unconditional run."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    train_here(folder, "--steps", 12, "--log-every", 4, "--sample-every", 6, "--checkpoint-every", 5)
    return folder


@pytest.fixture(scope="session")
def conditional_run(tmp_path_factory) -> Path:
    """A finished conditional run."""
    folder = tmp_path_factory.mktemp("runs") / "conditional"
    train_here(folder, "--steps", 4, "--conditional")
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """A folder of nine colour images of 32x32 pixels."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3)).astype(np.uint8)):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder
