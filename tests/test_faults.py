"""Faults: interrupted saves, damaged files, full disks, signals, NaN and nonsense. Each guarantee has a test here.

The tests marked `faults` do the same many times, in processes of their own. Run them with:
python -m pytest tests/test_faults.py -m faults
"""

import contextlib
import dataclasses
import errno
import gzip
import itertools
import json
import lzma
import math
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import paddle
import pytest
from conftest import ROOT, TINY, command_line, newest_manifest, start, train, wait_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from states import tiny_task, trained

from paddle_gan.config.command_line import parse
from paddle_gan.config.options import flag
from paddle_gan.config.results import EvaluateConfig, SampleConfig
from paddle_gan.config.studies import CompareConfig, ModesConfig
from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets.idx import read_idx
from paddle_gan.errors import CheckpointError, DataError, DiskError, GanError, NumericalError, UsageError
from paddle_gan.inference.sampling import generate
from paddle_gan.runs import experiment, session
from paddle_gan.runs.building import build
from paddle_gan.runs.folder import read_config, resumed
from paddle_gan.runs.generators import load_generator
from paddle_gan.runs.resolve import resolve
from paddle_gan.system import files
from paddle_gan.system.files import FILESYSTEM, locked, write_text
from paddle_gan.system.signals import Stopped, stop_on_signal
from paddle_gan.training import checkpoint
from paddle_gan.training.log import read_metrics
from paddle_gan.training.loop import Callback, Values
from paddle_gan.training.loop import train as train_loop
from paddle_gan.training.noise_to_image import NoiseToImage
from paddle_gan.training.state import arrays_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes and open files in /proc")
FUZZ = settings(
    database=None, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A folder of 12 small grey images, which loads faster than MNIST."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 28, 28)).astype(np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number:02d}.png")
    return folder


def options(out: Path, pictures: Path, **others) -> TrainConfig:
    """A tiny run in this process."""
    tiny = {"width": 4, "discriminator_width": 4, "batch_size": 8, "image_size": 28, "channels": 1, "steps": 4}
    tiny["recipe"] = "paper"
    return TrainConfig(**tiny | {"dataset": str(pictures), "out": str(out), "device": "cpu", "log_every": 1} | others)


def run(out: Path, pictures: Path, **others) -> list[str]:
    """Do a tiny run and return its output."""
    lines = []
    experiment.run(options(out, pictures, **others), lines.append)
    return lines


def leftovers(folder: Path) -> list[Path]:
    return [*folder.rglob("*.partial"), *folder.rglob("*.replaced")]


def same(mine: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return mine.keys() == other.keys() and all(mine[name].tobytes() == other[name].tobytes() for name in mine)


# --- Interrupted saves -------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for SIGKILL: nothing that runs afterwards may touch a file, so every later operation raises it too."""


class Faults:
    """What happens at the file operations below a folder: Python's own audit events, and the seam `FILESYSTEM`.

    Attributes:
        folder: operations elsewhere are not counted.
        act: called with the number of each operation, from 0; may raise.
        seen: the operations so far.
    """

    EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "cut.write", "cut.sync"}

    def __init__(self):
        self.folder, self.act, self.seen = "", None, []
        sys.addaudithook(self._hook)  # Python has no way to remove it, so there is one for all tests

    def _hook(self, event: str, arguments: tuple) -> None:
        if self.act and event in self.EVENTS:
            path = str(arguments[0])
            if event in ("os.remove", "os.rmdir") and arguments[1] >= 0:  # relative to an open folder
                path = f"{os.readlink(f'/proc/self/fd/{arguments[1]}')}/{path}"
            if path.startswith(self.folder):
                self.seen.append(event)
                self.act(len(self.seen) - 1)

    @contextlib.contextmanager
    def below(self, folder: Path, act: Callable[[int], None]) -> Iterator[list[str]]:
        """Call `act` at the operations below `folder` while in this block; yields the list of operations."""

        def noted_sync(path: Path) -> None:
            sys.audit("cut.sync", path)
            files.sync(path)

        def cut_write(path: Path, content: bytes) -> int:
            path.write_bytes(content[: len(content) // 2])
            sys.audit("cut.write", path)
            return path.write_bytes(content)

        usual = dataclasses.replace(FILESYSTEM)
        self.folder, self.act, self.seen = str(folder), act, []
        FILESYSTEM.sync, FILESYSTEM.write = noted_sync, cut_write
        try:
            yield self.seen
        finally:
            self.act = None
            FILESYSTEM.sync, FILESYSTEM.write = usual.sync, usual.write


faults = Faults()


def raising(error: Callable[[], BaseException], first: int, lasting: bool) -> Callable[[int], None]:
    def act(number: int) -> None:
        if number == first or lasting and number > first:
            raise error()

    return act


def exiting(at: int) -> Callable[[int], None]:
    """End the process at operation number `at`, as a kill would."""

    def act(number: int) -> None:
        if number == at:
            os._exit(9)

    return act


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(scope="module")
def history(tmp_path_factory) -> tuple[Path, object, dict[int, dict[str, np.ndarray]]]:
    """A folder with checkpoints of steps 2 and 3, the task at step 4, and the arrays of steps 3 and 4."""
    folder, task, arrays = tmp_path_factory.mktemp("history"), tiny_task(), {}
    for step in (1, 2, 3, 4):
        trained(task, step)
        arrays[step] = arrays_of(task)
        if step < 4:
            checkpoint.save(task, folder, "data", tuple("01"))
    return folder, task, arrays


def check_old_or_new(folder: Path, old: dict, new: dict, must_be_new: bool) -> None:
    """After an interrupted save there is one of two states, bit for bit; after the next start, no leftovers."""
    notices = []
    found = checkpoint.read_newest(folder, notices.append).arrays  # as for samples, which put nothing in order
    assert same(found, new) or same(found, old) and not must_be_new
    restored = tiny_task()
    checkpoint.restore(restored, folder, "data", notices.append)
    assert same(arrays_of(restored), found)
    assert notices == [] and leftovers(folder) == []


CUTS = pytest.mark.parametrize(
    ("error", "lasting"),
    [(Killed, True), (disk_full, False), (disk_full, True)],
    ids=["killed", "full once", "full from then on"],
)


@pytest.mark.parametrize("keep", [2, pytest.param(1, marks=pytest.mark.faults)])
@CUTS
def test_a_save_cut_at_any_file_operation_leaves_the_old_or_the_new_state(history, tmp_path, keep, error, lasting):
    folder, task, arrays = history
    for first in itertools.count():
        work = tmp_path / str(first)
        shutil.copytree(folder, work)
        saved = False
        with faults.below(work, raising(error, first, lasting)) as operations:
            with contextlib.suppress(Killed, DiskError):
                checkpoint.save(task, work, "data", tuple("01"), keep)
                saved = True
        check_old_or_new(work, arrays[3], arrays[4], must_be_new=saved)
        if len(operations) <= first:
            break
    assert saved and first > 15
    assert set(operations) == Faults.EVENTS


@CUTS
def test_a_save_over_the_only_one_of_its_step_never_loses_both(history, tmp_path, error, lasting):
    """This happens to the best checkpoint when a resumed run comes to its step again."""
    _, task, arrays = history
    other = trained(tiny_task(seed=1), 4)
    for first in itertools.count():
        work = tmp_path / str(first)
        checkpoint.save(other, work, "data", tuple("01"), keep=1)
        saved = False
        with faults.below(work, raising(error, first, lasting)) as operations:
            with contextlib.suppress(Killed, DiskError):
                checkpoint.save(task, work, "data", tuple("01"), keep=1)
                saved = True
        check_old_or_new(work, arrays_of(other), arrays[4], must_be_new=saved)
        assert [path.name for path in work.iterdir()] == ["step-00000004"]
        if len(operations) <= first:
            break
    assert saved and operations.count("os.rename") == 2


@pytest.mark.faults
@pytest.mark.parametrize("over", [False, True], ids=["beside another", "over the only one of its step"])
def test_a_process_that_ends_at_any_file_operation_of_a_save_leaves_the_old_or_the_new_state(history, tmp_path, over):
    """The same with a process that really ends."""
    folder, task, arrays = history
    other = trained(tiny_task(seed=1), 4)
    for first in itertools.count():
        work = tmp_path / str(first)
        if over:
            checkpoint.save(other, work, "data", tuple("01"))
        else:
            shutil.copytree(folder, work)
        child = os.fork()
        if not child:
            with faults.below(work, exiting(first)):
                checkpoint.save(task, work, "data", tuple("01"))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, 9)
        check_old_or_new(work, arrays_of(other) if over else arrays[3], arrays[4], must_be_new=status == 0)
        if status == 0:
            break
    assert first > 15


# --- Damaged checkpoints ------------------------------------------------------------------------


def read_after(folder: Path) -> tuple[int, list[str], dict[str, np.ndarray]]:
    notices = []
    found = checkpoint.read_newest(folder, notices.append)
    assert not any("\n" in notice for notice in notices)
    return found.step, notices, found.arrays


@pytest.mark.parametrize(("flips", "cuts"), [(50, 25), pytest.param(500, 250, marks=pytest.mark.faults)])
def test_every_flipped_bit_and_every_cut_is_found_and_the_checkpoint_before_is_used(history, tmp_path, flips, cuts):
    """This number of changes in each of the two files."""
    folder, _, arrays = history
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    newest, chance = tmp_path / "step-00000003", random.Random(0)
    assert read_after(tmp_path)[:2] == (3, [])
    for name in ("state.safetensors", "manifest.json"):
        content = (newest / name).read_bytes()
        places = [chance.randrange(len(content)) for _ in range(flips + cuts)]
        for number, place in enumerate(places):
            broken = bytearray(content)
            if number < flips:
                broken[place] ^= 1 << chance.randrange(8)
            else:
                del broken[place:]
            (newest / name).write_bytes(broken)
            step, notices, found = read_after(tmp_path)
            assert step == 2, f"{name}: byte {place} of {len(content)}"
            assert len(notices) == 1 and "step-00000003" in notices[0]
        (newest / name).write_bytes(content)
    assert same(found, arrays[2])
    assert read_after(tmp_path)[0] == 3


def test_with_the_newest_two_broken_the_third_is_used_and_with_all_broken_none(history, tmp_path):
    folder, task, _ = history
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    checkpoint.save(task, tmp_path, "data", keep=3)
    (tmp_path / "step-00000004" / "state.safetensors").unlink()
    (tmp_path / "step-00000003" / "manifest.json").write_text("[" * 100_000)  # too deep for a parser
    step, notices, _ = read_after(tmp_path)
    assert step == 2 and [re.search("step-0+(.)", notice)[1] for notice in notices] == ["4", "3"]
    shutil.rmtree(tmp_path / "step-00000002")
    (tmp_path / "step-00000002").write_text("a file")
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        read_after(tmp_path)


def test_a_checkpoint_of_before_manifests_had_a_hash_still_loads(history, tmp_path):
    shutil.copytree(history[0], tmp_path, dirs_exist_ok=True)
    path = tmp_path / "step-00000003" / "manifest.json"
    manifest = json.loads(path.read_text()) | {"format": 1}
    del manifest["manifest_sha256"]
    path.write_text(json.dumps(manifest))
    assert read_after(tmp_path)[:2] == (3, [])


# --- Kills ----------------------------------------------------------------------------------------


def stopped_in_a_save(process: subprocess.Popen, out: Path) -> bool:
    """Stop the process if it is saving."""
    saving = lambda: list((out / "checkpoints").glob(".*.partial"))  # noqa: E731
    if saving():
        process.send_signal(signal.SIGSTOP)
        if saving():
            return True
        process.send_signal(signal.SIGCONT)
    return False


def changed(path: Path) -> int:
    """When a file was last written; 0 if there is none."""
    return path.stat().st_mtime_ns if path.exists() else 0


def changed_since(path: Path, moment: int) -> bool:
    return changed(path) > moment


@pytest.mark.faults
def test_fifty_kills_and_a_run_that_ends_as_if_there_had_been_none(tmp_path):
    """Half of them during a save, the others at random moments; each costs at most one checkpoint interval."""
    chance, saving, out = random.Random(0), 0, tmp_path / "killed"
    common = ("--steps", 100_000, "--log-every", 1, "--checkpoint-every", 2)
    for kill in range(50):
        log, written = out / "metrics.jsonl", changed(out / "metrics.jsonl")
        process = start(out, *common)
        if kill % 4 == 3:
            time.sleep(chance.uniform(0, 6))
        else:
            wait_for(partial(changed_since, log, written))
            time.sleep(chance.uniform(0, 2))
        if kill % 2 == 0:
            wait_for(partial(stopped_in_a_save, process, out))
        process.kill()
        _, stderr = process.communicate()
        assert process.returncode == -signal.SIGKILL, stderr
        saving += bool(list((out / "checkpoints").glob(".*.partial")))
        logged = max((line["step"] for line in read_metrics(log)), default=0)
        if list((out / "checkpoints").glob("step-*")):
            assert newest_manifest(out)["step"] >= logged - 2
    assert saving >= 20
    total = newest_manifest(out)["step"] + 3
    train(out, *common, "--steps", total)
    train(tmp_path / "whole", *common, "--steps", total)
    assert newest_manifest(out)["sha256"] == newest_manifest(tmp_path / "whole")["sha256"]
    assert leftovers(out) == []


@pytest.mark.faults
def test_a_resume_from_every_step_of_two_epochs_is_bit_for_bit_the_same(pictures, tmp_path):
    """Two epochs of 12 images are 3 batches of 8. Twice that is run, so that several epochs end within a batch."""
    common = ("--dataset", pictures, "--image-size", 28, "--channels", 1, "--log-every", 1)
    train(tmp_path / "whole", *common, "--steps", 6)
    for step in range(1, 6):
        train(tmp_path / str(step), *common, "--steps", step)
        train(tmp_path / str(step), *common, "--steps", 6)
        assert newest_manifest(tmp_path / str(step))["sha256"] == newest_manifest(tmp_path / "whole")["sha256"]


# --- Full and read-only disks -----------------------------------------------------------------------


class SmallDisk:
    """A separate file system in memory, whose size and rights can be changed."""

    def __init__(self, path: Path):
        self.path = path
        path.mkdir()
        self.mount("size=8m")

    def mount(self, how: str) -> None:
        where = ["remount," + how, self.path] if self.path.is_mount() else [how, "-t", "tmpfs", "tmpfs", self.path]
        done = subprocess.run(["mount", "-o", *where], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.path], check=True)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[SmallDisk]:
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.unmount()


@pytest.mark.parametrize("size", ["12k", pytest.param("200k", marks=pytest.mark.faults), "600k"])
def test_a_full_disk_ends_a_run_with_the_path_and_it_goes_on_when_there_is_room(small_disk, pictures, tmp_path, size):
    """The disk is full at the first samples, at the first checkpoint, or later, with a checkpoint that loads."""
    run(tmp_path / "whole", pictures, checkpoint_every=1)
    small_disk.mount(f"size={size}")
    out = small_disk.path / "run"
    with pytest.raises(DiskError, match=f"cannot write {re.escape(str(out))}.*No space left"):
        run(out, pictures, checkpoint_every=1)
    kept = [path for path in (out / "checkpoints").iterdir() if path.name.startswith("step-")]
    assert bool(kept) == (size == "600k")
    if kept:
        read_after(out / "checkpoints")
    small_disk.mount("size=8m")
    assert any("going on from step" in line for line in run(out, pictures, checkpoint_every=1)) == bool(kept)
    assert newest_manifest(out)["sha256"] == newest_manifest(tmp_path / "whole")["sha256"]
    assert leftovers(out) == []


def test_a_read_only_disk_is_said_and_changes_nothing(small_disk, pictures):
    out = small_disk.path / "run"
    run(out, pictures, steps=2)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    small_disk.mount("ro")
    with pytest.raises(DiskError, match=f"cannot write {re.escape(str(out))}.*Read-only"):
        run(out, pictures, steps=4)
    with pytest.raises(DiskError, match="Read-only"):
        run(small_disk.path / "other", pictures)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    small_disk.mount("rw")
    assert "going on from step 2 of 4" in run(out, pictures, steps=4)


def test_leftovers_of_a_killed_process_are_gone_after_the_next_start(pictures, tmp_path):
    for name in (
        ".config.json.partial",
        "best/.step-00000009.partial/state.safetensors",
        "samples/.step-1.png.partial",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    (tmp_path / "mine" / ".notes.partial").write_text("not of a run")
    run(tmp_path, pictures, steps=1)
    assert leftovers(tmp_path) == [tmp_path / "mine" / ".notes.partial"]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("checkpoint_every", "sizes"),
    [(5, (4, 200, 400, 900, 1400, 4000)), (1000, (12, 24, 36, 60, 100, 4000))],
    ids=["checkpoints fill it", "logs fill it"],
)
def test_disks_of_many_sizes_end_with_status_5_or_0_and_one_line(small_disk, tmp_path, checkpoint_every, sizes):
    common = ("--steps", 60, "--log-every", 1, "--sample-every", 20, "--checkpoint-every", checkpoint_every)
    train(tmp_path / "whole", *common)
    ends = set()
    for size in sizes:
        small_disk.mount(f"size={size}k")
        out = small_disk.path / str(size)
        done = command_line("train", "--out", out, *TINY, *common)
        assert done.returncode in (0, 5), done.stderr
        ends.add(done.returncode)
        if done.returncode:
            assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
            assert str(out) in done.stderr
            if list((out / "checkpoints").glob("step-*")):
                read_after(out / "checkpoints")
        small_disk.mount("size=40m")
        train(out, *common)
        assert newest_manifest(out)["sha256"] == newest_manifest(tmp_path / "whole")["sha256"]
        assert leftovers(out) == []
        shutil.rmtree(out)
    assert ends == {0, 5}


# --- Signals ----------------------------------------------------------------------------------------


def shell_status(process: subprocess.Popen) -> int:
    """The status as a shell shows it: a process that a signal ended has 128 + its number."""
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def interruptible(process: subprocess.Popen) -> bool:
    """Whether the code of the tool runs; in the milliseconds before, Python itself ends with a traceback at SIGINT."""
    return "numpy" in Path(f"/proc/{process.pid}/maps").read_text() or process.poll() is not None


@pytest.mark.parametrize("delay", [0.0, 0.4])
def test_ctrl_c_while_paddle_is_imported_ends_quietly_with_130(tmp_path, delay):
    process = start(tmp_path / "run")
    wait_for(lambda: interruptible(process))
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (shell_status(process), stdout, stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize("delay", [0.2, 0.6])
def test_sigterm_while_paddle_is_imported_ends_quietly_with_143(tmp_path, delay):
    """Paddle's own handler prints a trace, and was seen to hang."""
    process = start(tmp_path / "run")
    wait_for(lambda: interruptible(process))
    time.sleep(delay)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=30)
    assert (shell_status(process), stdout, stderr) == (143, "", "")


def test_ctrl_c_within_any_import_ends_at_once_and_elsewhere_cleans_up(tmp_path):
    """An extension module would turn KeyboardInterrupt into an ImportError of its own."""
    (tmp_path / "slow.py").write_text(
        "import os, signal\ntry: os.kill(os.getpid(), signal.SIGINT)\n"
        "except BaseException: raise ImportError('no core')"
    )
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]\n"
    code += "import os, signal\nfrom paddle_gan.commands import Command, execute\n"
    code += "from paddle_gan.config.train import TrainConfig\n"
    code += "def run(parsed):\n    try: {}\n    finally: print('clean')\n"
    code += "execute(Command(name='c', description='', options=TrainConfig, run=run), [], 'c')"
    for action, stdout in (("import slow", ""), ("os.kill(os.getpid(), signal.SIGINT)", "clean\n")):
        done = subprocess.run([sys.executable, "-c", code.format(action)], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (130, stdout, "interrupted\n")


def test_a_second_press_ends_at_once(tmp_path):
    """During a round of a command that would take a minute."""
    code = (
        f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\nfrom paddle_gan.system.signals import stop_on_signal\n"
        "from paddle_gan.commands.command import Command, execute\nfrom paddle_gan.config.studies import TheoryConfig\n"
        "def run(parsed):\n"
        "    with stop_on_signal():\n        print('round', flush=True)\n        for _ in range(600): time.sleep(0.1)\n"
        "execute(Command('long', '', TheoryConfig, run, needs_paddle=False), [], '')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline() == "round\n"
    process.send_signal(signal.SIGINT)
    assert "press again" in process.stderr.readline()
    assert process.poll() is None
    pressed = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, "interrupted\n") and time.monotonic() - pressed < 2


def test_a_second_press_in_a_notebook_interrupts_the_cell_only():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a notebook, whatever ran here before
    try:
        with stop_on_signal() as stop:
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            with pytest.raises(Stopped):
                stop(tiny_task(), None)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_thirty_signals_at_random_moments_lose_no_step(tmp_path, number):
    """Also during imports, saves and measures. The run goes on after each, and ends as if there had been no signal."""
    chance, out, stopped, last = random.Random(int(number)), tmp_path / "run", 0, 0
    common = ("--log-every", 1, "--checkpoint-every", 7, "--evaluate-every", 40)
    for moment in range(30):
        written = changed(out / "metrics.jsonl")
        process = start(out, *common, "--steps", 100_000)
        if moment % 2:
            wait_for(partial(changed_since, out / "metrics.jsonl", written))
        else:
            wait_for(partial(interruptible, process))
        time.sleep(chance.uniform(0, 3))
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)  # it saves first; the machine may be busy
        assert shell_status(process) == 128 + number and "Traceback" not in stderr
        said = re.search(r"stopped at step (\d+)", stderr)
        if said:
            stopped += 1
            assert newest_manifest(out)["step"] == int(said[1]) >= last
            last = int(said[1])
    assert stopped >= 12
    train(out, *common, "--steps", last + 3)
    train(tmp_path / "whole", *common, "--steps", last + 3)
    assert newest_manifest(out)["sha256"] == newest_manifest(tmp_path / "whole")["sha256"]


# --- NaN and infinity -------------------------------------------------------------------------------


def with_loss(task: NoiseToImage, network: str, change: Callable) -> None:
    name = f"{network}_loss"
    loss = getattr(task.objective, name)
    changed = lambda *logits: loss(*logits) + (change(logits[-1]) if task.step >= 5 else 0.0)  # noqa: E731
    task.objective = dataclasses.replace(task.objective, **{name: changed})


def infinite_gradient(logits: paddle.Tensor) -> paddle.Tensor:
    """A value of 0 with an infinite gradient."""
    return (logits - logits.detach()).sum() * 3e38 * 3e38


def weights(task: NoiseToImage, value: float) -> Callback:
    def callback(task: NoiseToImage, values: Values | None) -> None:
        if task.step == 5:
            parameter = task.generator.network.parameters()[0]
            parameter.set_value(paddle.full_like(parameter, value))

    return callback


POISONS = {
    **{
        f"{network} loss {value}": (network, lambda logits, value=value: value)
        for network in ("discriminator", "generator")
        for value in (math.nan, math.inf)
    },
    **{f"{network} gradient": (network, infinite_gradient) for network in ("discriminator", "generator")},
    **{f"{place} {value}": (place, value) for place in ("real image", "weight") for value in (math.nan, math.inf)},
}


@pytest.mark.parametrize("saving", [False, True], ids=["", "saving every round"])
@pytest.mark.parametrize("poison", POISONS)
def test_nan_or_infinity_anywhere_ends_the_run_within_a_logged_step(tmp_path, poison, saving):
    """From round 6 on; every fourth is logged. No checkpoint holds the value, and the message gives advice."""
    (where, what), task, rounds = POISONS[poison], tiny_task(), []
    images = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, (4, 1, 28, 28)).astype(np.float32))
    if callable(what):
        with_loss(task, where, what)

    def batches(number: int):
        return (images * what if where == "real image" and number >= 5 else images), None

    def save(task: NoiseToImage, values: Values | None) -> None:
        rounds.append(task.step)
        if saving:
            checkpoint.save(task, tmp_path, "data")

    callbacks = [save, *([weights(task, what)] if where == "weight" else [])]
    with pytest.raises(NumericalError, match="--learning-rate") as error:
        train_loop(task, batches, 100, 0, 4, callbacks)
    assert error.value.exit_status == 4
    assert 5 <= rounds[-1] <= 7
    if saving:
        assert all(np.isfinite(array).all() for array in read_after(tmp_path)[2].values())


# --- Data ---------------------------------------------------------------------------------------------


@st.composite
def idx_mutants(draw: Callable) -> bytes:
    """An IDX file. One in four is sound; the others have a wrong header, or are cut off or changed, packed or not."""
    if draw(st.integers(0, 3)) == 0:
        shape = draw(st.lists(st.sampled_from([1, 2, 3, 28]), min_size=1, max_size=3))
        content = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(math.prod(shape))
        return draw(st.sampled_from([bytes, gzip.compress, lzma.compress]))(content)
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 5, 28, 1, 2, 3, 0, 2**31, 2**32 - 1]), max_size=5))
    axes = draw(st.sampled_from([len(shape)] * 9 + [0, 1, 5, 255]))
    values = math.prod(shape) if math.prod(shape) < 5000 else 40
    content = bytes([0, 0, draw(st.sampled_from([8, 8, 8, 8, 8, 13])), axes]) + struct.pack(f">{len(shape)}I", *shape)
    content += bytes(max(0, values + draw(st.sampled_from([0, 0, 0, 0, 0, -1, 1]))))
    pack = draw(st.sampled_from([bytes, gzip.compress, lzma.compress]))
    content = bytearray(pack(content))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2, 3]))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(content))) if draw(st.integers(0, 3)) == 0 else None])


@pytest.mark.parametrize("examples", [100, pytest.param(500, marks=pytest.mark.faults)])
def test_an_idx_mutant_is_an_array_or_one_line(tmp_path, examples):
    path, outcomes = tmp_path / "images", []

    @settings(FUZZ, max_examples=examples)
    @given(idx_mutants())
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            array = read_idx(path)
        except DataError as error:
            outcomes.append("refused")
            assert str(error).startswith(str(path)) and "\n" not in str(error)
        else:
            outcomes.append("read")
            assert array.dtype == np.uint8 and 1 <= array.ndim <= 4 and array.size > 0

    check()
    assert outcomes.count("read") >= examples / 20 and outcomes.count("refused") >= examples / 4


@pytest.mark.parametrize("batch_size", [2, 11, 12, 13, 64])
def test_batches_of_the_data_s_size_and_near_it_train(pictures, tmp_path, batch_size):
    """There are 12 images: batches of 11 leave a remainder of 1; 13 and 64 are more than there are."""
    assert "done: 4 steps" in run(tmp_path, pictures, batch_size=batch_size)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(math.isfinite(line["loss/discriminator"]) for line in lines)


def test_one_image_trains_and_a_batch_of_one_is_refused_before_anything_is_written(pictures, tmp_path):
    (tmp_path / "one").mkdir()
    shutil.copy(pictures / "00.png", tmp_path / "one")
    assert "done: 4 steps" in run(tmp_path / "run", tmp_path / "one")
    with pytest.raises(UsageError, match="BatchNorm"):
        run(tmp_path / "refused", pictures, batch_size=1)
    assert not (tmp_path / "refused").exists()


# --- Two runs, one folder -----------------------------------------------------------------------------


def test_a_folder_is_locked_against_others_and_a_lock_file_alone_is_none(tmp_path):
    with locked(tmp_path):
        with pytest.raises(UsageError, match="another process"), locked(tmp_path):
            pass
    assert (tmp_path / ".lock").exists()
    with locked(tmp_path):
        pass


def test_a_run_that_came_and_went_while_the_data_was_loaded_is_refused(pictures, tmp_path, monkeypatch):
    """Otherwise its weights would be trained further with other options."""
    run(tmp_path / "first", pictures, seed=7)
    load = experiment.load_dataset

    def slow(*arguments, **keywords):
        (tmp_path / "second").mkdir()
        write_text(tmp_path / "second" / "config.json", (tmp_path / "first" / "config.json").read_text())
        return load(*arguments, **keywords)

    monkeypatch.setattr(experiment, "load_dataset", slow)
    with pytest.raises(UsageError, match="seed 7 -> 0"):
        run(tmp_path / "second", pictures)


@pytest.mark.faults
def test_of_three_that_start_at_once_in_one_folder_one_trains(tmp_path):
    processes = [start(tmp_path / "run", "--steps", 300, "--log-every", 1) for _ in range(3)]
    ends = [(*process.communicate(timeout=1800), process.returncode) for process in processes]
    assert sorted(status for _, _, status in ends) == [0, 2, 2]
    for _, stderr, status in ends:
        if status:
            assert "another process" in stderr and stderr.count("\n") == 1
    assert [line["step"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl")] == list(range(1, 301))


# --- Options ------------------------------------------------------------------------------------------


NUMBERS = ["0", "1", "2", "-1", "28", "0.5", "1e-30", "1e308", "-inf", "nan", "9" * 40, "1_0", "0x1", "1e3"]
NONSENSE = [
    "",
    " ",
    "~no-such-user",
    "~",
    "null",
    "true",
    "{}",
    "[1, 2]",
    "a\nb",
    "\udcff",
    "mnist",
    "/",
    ".",
    "é" * 300,
    "%s",
    "*",
]


def values_of(field: dataclasses.Field) -> st.SearchStrategy[str]:
    return st.sampled_from([*map(str, field.metadata["choices"]), *NUMBERS, *NONSENSE]) | st.text(max_size=8).filter(
        lambda text: not text.startswith("-") and "\0" not in text
    )


@st.composite
def command_lines(draw: Callable, kind: type) -> list[str]:
    words = []
    for field in draw(st.lists(st.sampled_from(dataclasses.fields(kind)), max_size=6)):
        words.append(flag(field.name))
        if field.type is not bool or draw(st.integers(0, 9)) == 0:
            words.append(draw(values_of(field)))
    return words


def resolve_all(kind: type, arguments: list[str]) -> bool:
    """Whether the options are accepted; errors that are not messages for the user are raised."""
    try:
        parsed = parse(kind, "", argv=arguments)
        assert parsed.named <= {field.name for field in dataclasses.fields(kind)}
        if kind is TrainConfig:
            for device in ("cpu", "gpu:0"):
                filled = resolve(parsed.options, device).config
                assert resolve(filled, device).config == filled
    except GanError as error:
        assert error.exit_status == 2
        return False
    return True


@pytest.mark.parametrize("examples", [80, pytest.param(2000, marks=pytest.mark.faults)])
def test_nonsense_options_are_accepted_or_refused_in_words(examples):
    kinds = [TrainConfig, TrainConfig, SampleConfig, EvaluateConfig, CompareConfig, ModesConfig]
    accepted = []

    @settings(FUZZ, max_examples=examples)
    @given(st.sampled_from(kinds).flatmap(lambda kind: st.tuples(st.just(kind), command_lines(kind))))
    def check(drawn: tuple[type, list[str]]) -> None:
        accepted.append(resolve_all(*drawn))

    check()
    assert 0.02 < np.mean(accepted) < 0.9


@pytest.mark.parametrize(
    ("arguments", "positional"),
    [
        (["--out", "~no-such-user/x"], None),
        (["--dataset", "~no-such-user/x"], None),
        (["~no-such-user/x"], {"run": ""}),
    ],
)
def test_the_home_folder_of_nobody_is_refused(arguments, positional):
    with pytest.raises(UsageError, match="~no-such-user/x: there is no such home folder"):
        parse(TrainConfig, "", positional, arguments)


def test_a_nonsense_options_file_is_accepted_or_refused_in_words(tmp_path):
    path = tmp_path / "options.yaml"
    tags = ["&a ", "*a", "!!python/object:os.system "]
    words = ["steps", "dataset", "loss", "gan", "3"]
    marks = [": ", "\n", "- ", "{", "}", "[", "]", '"', "\\0", "#", "\t", "\0"]
    pieces = st.sampled_from([*words, *marks, *tags])

    @settings(FUZZ, max_examples=60)
    @given(st.lists(pieces, max_size=12).map("".join).map(str.encode) | st.binary(max_size=30))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        resolve_all(TrainConfig, ["--config", str(path)])

    check()


WRONG = [
    -1,
    0,
    0.5,
    2.0,
    10**30,
    1e308,
    -0.0,
    math.nan,
    math.inf,
    -math.inf,
    True,
    None,
    "abc",
    "3",
    "",
    "\0",
    "\ud800",
]
WRONG += ["~no-such-user/x", "a\x1b[2J\nb", "x" * 5000, [1], [], {}, {"a": 1}, "wgan-gp", "tutorial", 28, 32, 3]
FITTING = st.sampled_from([1, 2, 4, 50, 0.5, None, True, False, "lsgan", "adam", "small", "none"])
SCALARS = st.sampled_from(WRONG) | st.floats() | st.text(max_size=5)
NESTED = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2)
)
JSON = st.integers(0, 9).flatmap(lambda kind: FITTING if kind < 6 else SCALARS if kind < 9 else NESTED)


def refusal(read: Callable[[], object], path: Path) -> str | None:
    """The message with which a stranger's folder is refused, one line that a terminal can show; None if it is not."""
    try:
        read()
    except CheckpointError as error:
        assert str(error).startswith(str(path)) and str(error).isprintable() and len(str(error)) < 400 + len(str(path))
        return str(error)
    return None


@pytest.mark.parametrize("examples", [150, pytest.param(2000, marks=pytest.mark.faults)])
def test_a_stranger_s_config_is_used_or_refused_in_words(pictures, tmp_path, examples):
    """By a resume, and by the commands that sample or measure. The checkpoint beside it is sound."""
    run(tmp_path, pictures, steps=1)
    path, outcomes = tmp_path / "config.json", []
    sound = json.loads(path.read_text())
    names = st.sampled_from([*sound, "", "no_such_option", "a\x1bb"])

    @settings(FUZZ, max_examples=examples)
    @given(st.dictionaries(names, JSON, min_size=1, max_size=2))
    def check(changes: dict) -> None:
        path.write_text(json.dumps(sound | changes))
        # The place of the data is named, since a sound folder may say one that is not here.
        refused = refusal(lambda: resumed(tmp_path, TrainConfig(dataset=str(pictures)), {"dataset"}), path)
        if refused:
            assert refusal(lambda: load_generator(tmp_path), path) == refused
        else:
            refusal(lambda: load_generator(tmp_path), tmp_path)  # of another network
        outcomes.append(refused is None)

    check()
    assert 0.02 < np.mean(outcomes) < 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": "abc"}, "--width abc: must be a whole number"),
        ({"width": 2.5}, "--width 2.5: must be a whole number"),
        ({"width": 1025}, "--width 1025: must be at most 1,024"),
        ({"steps": -1}, "--steps -1: must be more than 0"),
        ({"channels": [1]}, "--channels [1]: must be a whole number"),
        ({"channels": True}, "--channels True: must be a whole number"),
        ({"learning_rate": math.nan}, "--learning-rate nan: must be a finite number"),
        ({"learning_rate": 10**400}, "--learning-rate 1000"),
        ({"conditional": "yes"}, "--conditional yes: true or false"),
        ({"dataset": 5}, "--dataset 5: must be a string"),
        ({"dataset": None}, "--dataset None: must be a string"),
        ({"dataset": "a\0b"}, "--dataset 'a\\x00b': must be a string"),
        ({"loss": "a\nb"}, "--loss 'a\\nb': one of gan"),
        ({"generator": "tutorial", "image_size": 64}, "made for 32x32"),
        ({"no\nsuch": 1}, "does not know, as 'no\\nsuch'"),
        ([1, 2], "no options"),
    ],
)
def test_a_wrong_value_is_named(plain_run, tmp_path, change, message):
    options = json.loads((plain_run / "config.json").read_text())
    path = tmp_path / "config.json"
    path.write_text(json.dumps(options | change if isinstance(change, dict) else change))
    assert message in refusal(lambda: read_config(tmp_path), path)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff", b"null", b'{"steps": ' + b"9" * 5000 + b"}"])
def test_a_damaged_config_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    assert refusal(lambda: read_config(tmp_path), tmp_path / "config.json")


def test_every_tool_refuses_a_stranger_s_config_with_status_3(plain_run, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(plain_run, out)
    options = json.loads((out / "config.json").read_text())
    for tool, arguments, change in (
        ("train", ("--resume", out), {"width": "abc"}),
        ("sample", (out, "--grid", tmp_path / "grid.png"), {"steps": -1}),
        ("evaluate", (out, "--num", 50), {"latent_dim": math.nan}),
    ):
        (out / "config.json").write_text(json.dumps(options | change))
        done = command_line(tool, *arguments)
        assert done.returncode == 3 and done.stderr.startswith(f"error: {out / 'config.json'}: cannot be used (--")
        assert done.stderr.count("\n") == 1


@pytest.mark.faults
def test_nonsense_on_the_real_command_line_is_one_line(tmp_path):
    """It ends with status 0, or with 2 and one line. Options that would only be slow are left out."""
    chance, ends = random.Random(0), []
    fields = [field for field in dataclasses.fields(TrainConfig) if field.name not in ("out", "resume", "steps")]
    slow = {"epochs", "preset", "batch_size", "width", "discriminator_width", "latent_dim", "discriminator_steps"}
    for number in range(40):
        words = []
        chosen = chance.sample([field for field in fields if field.name not in slow | {"download"}], 1 + number % 2)
        for field in chosen:
            words.append(flag(field.name))
            if field.type is not bool:
                own = [*map(str, field.metadata["choices"])]
                choices = [*own, *own, *NUMBERS, *NONSENSE]
                words.append(os.fsencode(chance.choice(choices)))
        command = [sys.executable, ROOT / "tools" / "train.py", "--out", tmp_path / str(number), "--steps", "1", *TINY]
        done = subprocess.run([*map(os.fsencode, map(os.fspath, command)), *words], capture_output=True, cwd=tmp_path)
        assert done.returncode in (0, 2), (words, done.stderr)
        if done.returncode:
            assert done.stderr.startswith(b"error: ") and done.stderr.count(b"\n") == 1, (words, done.stderr)
        ends.append(done.returncode)
    assert 0 in ends and 2 in ends


# --- The cost, and other places -----------------------------------------------------------------------


def seconds_of_a_save(task: NoiseToImage, folder: Path) -> float:
    """The shortest of three: other work of the machine does not count."""
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        task.step += 1
        checkpoint.save(task, folder, "data", tuple("0123456789"))
        paddle.save(task.sampler.state_dict(), str(folder / "generator.pdparams"))
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


@pytest.mark.parametrize(
    "preset", ["small", pytest.param("full", marks=pytest.mark.faults)], ids=["small preset", "full preset"]
)
def test_saving_once_a_minute_costs_less_than_two_percent(tmp_path, preset):
    filled = resolve(TrainConfig(preset=preset), "cpu").config
    task = build(filled, classes=10)
    train_loop(task, lambda number: (paddle.ones([2, 1, *[filled.image_size] * 2]), None), 1, 0, 1)
    assert filled.checkpoint_every is None
    assert seconds_of_a_save(task, tmp_path) < 0.02 * session.CHECKPOINT_SECONDS


def test_a_copied_run_goes_on_samples_and_measures_elsewhere(pictures, tmp_path, monkeypatch):
    """The run folder and its data are no longer where they were."""
    monkeypatch.setattr(experiment, "EVALUATION_SAMPLES", 20)
    data, there = tmp_path / "here" / "pictures", tmp_path / "there"
    shutil.copytree(pictures, data)
    run(tmp_path / "here" / "run", data, steps=2, evaluate_every=2)
    run(tmp_path / "whole", data, steps=4, evaluate_every=2)
    shutil.copytree(tmp_path / "here", there)
    shutil.rmtree(tmp_path / "here")
    given = parse(TrainConfig, "", argv=["--dataset", str(there / "pictures"), "--steps", "4"])
    experiment.run(resumed(there / "run", given.options, given.named), lambda line: None)
    assert newest_manifest(there / "run")["sha256"] == newest_manifest(tmp_path / "whole")["sha256"]
    for best in (False, True):
        generator = load_generator(there / "run", best=best)
        assert generator.step in (2, 4) and next(generate(generator.network, 3, 0))[0].shape == (3, 28, 28, 1)
    from paddle_gan.runs import scoring

    result = scoring.score(there / "run", EvaluateConfig(num=6, device="cpu"), print)
    assert math.isfinite(json.loads(json.dumps(result.record))["figures"]["frechet_distance"]["samples"])
    assert not (tmp_path / "here").exists()


@pytest.mark.faults
def test_a_copied_run_on_the_command_line(tmp_path):
    train(tmp_path / "here", "--steps", 3)
    train(tmp_path / "whole", "--steps", 6)
    there = tmp_path / "there" / "run"
    shutil.copytree(tmp_path / "here", there)
    shutil.rmtree(tmp_path / "here")
    for tool, arguments in {
        "train": ("--resume", there, "--steps", 6),
        "sample": (there, "--num", 5, "--grid", "grid.png"),
        "evaluate": (there, "--num", 50),
    }.items():
        done = command_line(tool, *arguments, cwd=tmp_path / "there")
        assert done.returncode == 0, done.stderr
    assert newest_manifest(there)["sha256"] == newest_manifest(tmp_path / "whole")["sha256"]
    assert (tmp_path / "there" / "grid.png").exists() and (there / "evaluation.json").exists()
    assert not (tmp_path / "here").exists()
