"""The places that results go to: files, folders, a home folder, standard output; and what stands in their way."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from paddle_gan.commands import COMMANDS, Command
from paddle_gan.commands.command import outcome
from paddle_gan.commands.outputs import output_file, output_folder
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import DiskError, UsageError
from paddle_gan.inference import sampling
from paddle_gan.system import files
from paddle_gan.system.files import FILESYSTEM, writable_home


def run(name: str, *arguments: object) -> tuple[int, str]:
    """A command in this process: its status and its message."""
    command: Command = COMMANDS[name]
    try:
        command.run(command.parse([str(one) for one in arguments], name))
    except Exception as error:
        return outcome(error)
    return 0, ""


# ---- Names


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        ("--npz", "x.png", "is .npz"),
        ("--grid", "x.npz", "is .png"),
        ("--grid", "x.jpg", "is .png"),
        ("--npz", ".", "is a folder"),
        ("--png-dir", "file", "is a file"),
        ("--png-dir", "full", r"holds files already \(mine.png\)"),
    ],
)
def test_a_place_that_cannot_be_meant_is_refused_before_the_work(tmp_path, option, name, words):
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.png").touch()
    status, message = run("sample", "nowhere", option, tmp_path / name)  # before the run is looked for
    assert status == 2
    with pytest.raises(UsageError, match=words):
        raise UsageError(message)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "mine.png"]


def test_the_folder_of_a_file_is_made_and_hidden_files_are_no_hindrance(tmp_path):
    assert output_file("--npz", tmp_path / "a" / "b.npz", ".npz").parent.is_dir()
    (tmp_path / "a" / ".DS_Store").touch()
    assert output_folder("--png-dir", tmp_path / "a") == tmp_path / "a"
    assert not output_folder("--png-dir", tmp_path / "new").exists()


def test_every_path_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    parsed = COMMANDS["sample"].parse(["~/run", "--npz=~/s.npz", "--png-dir=~/p", "--grid=~", "--weights=~/w"], "")
    options = parsed.options
    assert parsed.positional == {"run": f"{tmp_path}/run"}
    assert [options.npz, options.png_dir, options.grid, options.weights] == [
        *(f"{tmp_path}/{name}" for name in ("s.npz", "p")),
        str(tmp_path),
        f"{tmp_path}/w",
    ]
    assert TrainConfig(out="~/out", dataset="~/data").dataset == f"{tmp_path}/data"  # as in a notebook
    with pytest.raises(UsageError, match="no such home folder"):
        TrainConfig(out="~no-such-user/x")


# ---- Samples


def samples(count: int) -> sampling.Batches:
    yield sampling.SampleBatch(np.arange(count * 4, dtype=np.uint8).reshape(count, 2, 2, 1), None)


def test_a_full_disk_leaves_whole_pictures_only(tmp_path, monkeypatch):
    replaced = []

    def full(source: Path, target: Path) -> None:
        if len(replaced) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(source))
        replaced.append(target)
        os.replace(source, target)

    monkeypatch.setattr(FILESYSTEM, "replace", full)
    with pytest.raises(DiskError, match="No space left"):
        sampling.write_pngs(tmp_path / "p", samples(5))
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["000000.png", "000001.png"]
    assert np.asarray(Image.open(tmp_path / "p" / "000001.png")).tolist() == [[4, 5], [6, 7]]


def test_samples_do_not_depend_on_their_number_or_on_other_draws(plain_run):
    from paddle_gan.runs.generators import load_generator

    network = load_generator(str(plain_run)).network
    many = np.concatenate([images for images, _ in sampling.generate(network, 260, 3)])
    few = np.concatenate([images for images, _ in sampling.generate(network, 251, 3)])
    np.testing.assert_array_equal(many[:251], few)


def test_measures_that_cannot_be_recorded_are_shown(plain_run, tmp_path, monkeypatch, capsys):
    from paddle_gan.system import files as module

    def refused(path: Path, text: str) -> None:
        raise DiskError(f"cannot write {path}: Read-only file system; free some space, or name another place")

    monkeypatch.setattr(module, "write_text", refused)
    status, message = run("evaluate", plain_run, "--num", 20, "--device", "cpu", "--out", tmp_path / "e.json")
    assert status == 5 and "Read-only" in message
    assert "Fréchet distance" in capsys.readouterr().out


def test_the_record_of_a_folder_of_pictures_stands_beside_it(plain_run, tmp_path):
    """In it, its picture would be a sample of the next evaluation."""
    pictures = tmp_path / "p.1"
    assert run("sample", plain_run, "--num", 20, "--png-dir", pictures, "--device", "cpu") == (0, "")
    assert run("evaluate", pictures, "--dataset", "mnist", "--num", 20, "--device", "cpu") == (0, "")
    assert len(list(pictures.iterdir())) == 20
    assert (tmp_path / "p.1.evaluation.json").exists() and (tmp_path / "p.1.evaluation.neighbours.png").exists()


# ---- Standard output and error

_COMMAND = f"""
import sys, warnings; sys.path.insert(0, {str(ROOT)!r})
from paddle_gan.commands.command import Command, execute
from paddle_gan.config.studies import TheoryConfig
def run(parsed):
    for number in range(20000): print("line", number)
    warnings.warn("for programmers")
    print("to the user", file=sys.stderr)
    open("done", "w").close()
execute(Command("long", "", TheoryConfig, run, needs_paddle=False), sys.argv[1:], "long")
"""


@pytest.mark.parametrize(
    ("redirected", "status", "error"),
    [
        (">&-", 0, "to the user\n"),
        ("2>&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("| head -1 >/dev/null; exit ${PIPESTATUS[0]}", 0, "to the user\n"),
        (
            ">/dev/full",
            5,
            "to the user\n"
            "error: standard output cannot be written: No space left on device; all other output is complete\n",
        ),
        (">/dev/full 2>/dev/full", 5, ""),
    ],
)
def test_the_work_is_done_without_an_output(tmp_path, redirected, status, error):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    command = ["bash", "-c", f'"$@" {redirected}', "bash", sys.executable, "-c", _COMMAND]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (status, error)
    assert (tmp_path / "done").exists() and (tmp_path / "done").read_bytes() == b""


def test_a_home_that_cannot_be_written_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/proc/self")
    with writable_home():
        assert os.environ["HOME"] != "/proc/self" and os.access(os.environ["HOME"], os.W_OK)
    assert os.environ["HOME"] == "/proc/self"
    monkeypatch.setenv("HOME", str(tmp_path))
    with writable_home():
        assert os.environ["HOME"] == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_trained_sampled_and_exported_without_a_home(tmp_path, pictures):
    """As in a container: a home that cannot be written, and then none; all in one process."""
    code = (
        "import os, sys; from conftest import command_here, train_here; "
        "out, data = sys.argv[1:]; del os.environ['PADDLE_GAN_CACHE']; "
        "train_here(out, '--dataset', data, '--image-size', 16, '--steps', 1); "
        "del os.environ['HOME']; "
        "command_here('sample', out, '--num', 4, '--npz', out + '/samples.npz', '--device', 'cpu'); "
        "command_here('export', out)"
    )
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PADDLE_GAN_CACHE", "XDG_CACHE_HOME")
    }
    environment |= {"HOME": "/proc/self", "TMPDIR": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, "-c", code, tmp_path / "run", pictures]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "samples.npz").exists() and (tmp_path / "run" / "exported" / "manifest.json").exists()
    assert list(tmp_path.glob("paddle_gan-*/*.facts")), "decoded images are kept in the folder for temporary files"


def test_a_file_in_the_place_of_a_folder_is_not_a_full_disk(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="name another place") as error:
        files.make_folder(tmp_path / "file" / "folder")
    assert "free some space" not in str(error.value)
