"""The check of a machine: what it compares, that it finds what is wrong, and what it says."""

import json
import os
import subprocess
import sys

import numpy as np
import paddle
import pytest
from conftest import ROOT, command_here

from paddle_gan.backend import dnnl, kernels, onednn
from paddle_gan.commands.command import outcome
from paddle_gan.config.names import OBJECTIVES
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import DiskError, SelfcheckError
from paddle_gan.objectives.penalties import StepBatch, around, between
from paddle_gan.selfcheck import checks, exactness, keeping
from paddle_gan.selfcheck.checks import Check, Finding
from paddle_gan.system import files
from paddle_gan.training import checkpoint

needs_onednn = pytest.mark.skipif(not kernels.available(), reason="PADDLE_GAN_ONEDNN=0, or no oneDNN")
TINY = {"width": 4, "discriminator_width": 4}
NARROW = TrainConfig(**TINY)


def scaled(function, factor):
    return lambda *arguments: function(*arguments) * factor


def test_a_difference_is_relative_to_the_larger_of_two_norms():
    exact = np.array([3.0, 4.0])
    assert exactness.difference(exact + [0.0, 0.5], exact) == pytest.approx(0.1)
    assert exactness.difference(exact + [0.0, 0.5], exact, least=50.0) == pytest.approx(0.01)
    assert exactness.difference(exact * np.nan, exact) == np.inf
    assert exactness.difference(np.zeros(2), np.zeros(2)) == 0


@pytest.mark.parametrize("loss", OBJECTIVES)
def test_every_objective_has_the_gradients_of_float64(loss):
    assert 0 < exactness.step_difference(TrainConfig(loss=loss, **TINY), "cpu", images=4) < 2e-5


def test_random_points_of_penalties_are_the_same_in_float64():
    drawn = []
    for kind in ("float32", "float64"):
        paddle.seed(3)
        batch = StepBatch(paddle.ones([5, 1, 2, 2], kind), paddle.zeros([5, 1, 2, 2], kind), None)
        points = [between(batch), around(batch)]
        assert [point.dtype for point in points] == [getattr(paddle, kind)] * 2
        drawn.append([point.numpy() for point in points])
    for single, double in zip(*drawn, strict=True):
        np.testing.assert_array_equal(single.astype("float64"), double)


@needs_onednn
def test_a_kernel_that_is_a_thousandth_too_large_is_found(monkeypatch):
    monkeypatch.setattr(onednn, "filter_gradient", scaled(onednn.filter_gradient, 1.001))
    found = exactness.step_difference(NARROW, "cpu", images=4)
    assert found == pytest.approx(1e-3, rel=0.05)
    done = list(checks.results([Check("step", lambda: checks._compared(found, "cpu", "gradients"))], lambda name: None))
    assert [one["passed"] for one in done] == [False]
    assert done[0]["numbers"] == {"difference": found, "tolerance": 1e-4}


@needs_onednn
def test_the_large_convolution_goes_by_winograd_and_is_right():
    assert exactness.uses_winograd()
    assert 1e-8 < exactness.large_convolution_difference() < 1e-5


def test_a_resume_that_forgets_a_moment_is_found(monkeypatch, tmp_path):
    assert keeping.changed_by_resume(NARROW, "cpu", tmp_path) == []
    restore = checkpoint.restore

    def forgetful(task, *arguments):
        restore(task, *arguments)
        task.generator.optimizer.clear_grad()
        state = task.generator.optimizer.state_dict()
        next(value for key, value in state.items() if "moment1" in key).zero_()

    monkeypatch.setattr(checkpoint, "restore", forgetful)
    changed = keeping.changed_by_resume(NARROW, "cpu", tmp_path)
    assert any(name.startswith("generator_optimizer/") for name in changed)
    assert any(name.startswith("generator/") for name in changed)


def test_files_that_do_not_come_back_are_named(monkeypatch, tmp_path):
    assert keeping.unkept(tmp_path) == []
    monkeypatch.setattr(files.FILESYSTEM, "write", lambda path, content: path.write_bytes(content[:3]))
    assert keeping.unkept(tmp_path) == ["a text"]
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DiskError), keeping.scratch_folder(tmp_path / "file" / "below"):
        pass
    with keeping.scratch_folder(tmp_path) as folder:
        (folder / "x").write_text("", encoding="utf-8")
    assert not folder.exists()


def test_speed_is_that_of_the_default_run(monkeypatch):
    monkeypatch.setattr(checks, "_MOST_ROUNDS", 3)
    found = checks._speed("cpu")
    images, minutes = found.numbers["images_per_second"], found.numbers["default_run_minutes"]
    assert images == pytest.approx(64 / found.numbers["step_seconds"])
    assert minutes == pytest.approx(512_000 / images / 60)
    assert f"{images:.0f} images/s" in found.said


def command(monkeypatch, capsys, chosen, *arguments):
    """The printed page of these checks, and exit status and message of the command."""
    monkeypatch.setattr(checks, "checks", lambda device: chosen)
    status, message = 0, ""
    try:
        command_here("selfcheck", "--device", "cpu", *arguments)
    except SelfcheckError as error:
        status, message = outcome(error)
    return capsys.readouterr().out, status, message


def test_the_page_and_its_status(monkeypatch, capsys):
    good = Check("good", lambda: Finding(True, "as it should be", {"number": 1}))
    bad = Check("bad one", lambda: Finding(False, "is odd"))
    broken = Check("broken", lambda: 1 / 0)
    out, status, message = command(monkeypatch, capsys, [good])
    lines = out.splitlines()
    assert status == 0 and lines[-1] == "all 1 checks passed" and "ok      good  as it should be" in lines
    assert lines[0].startswith("paddle_gan ") and f"paddle {paddle.__version__}" in lines[0]
    assert "device: cpu" in out and len(lines) < 40

    out, status, message = command(monkeypatch, capsys, [good, bad, broken])
    assert (status, message) == (1, "error: 2 of 3 checks failed: bad one, broken")
    assert "FAILED  bad one  is odd" in out.splitlines()
    assert "FAILED  broken   ZeroDivisionError: division by zero" in out.splitlines()

    out, status, message = command(monkeypatch, capsys, [good, bad], "--json")
    result = json.loads(out)
    assert status == 1 and result["passed"] is False
    assert [(one["name"], one["passed"], one["numbers"]) for one in result["checks"]] == [
        ("good", True, {"number": 1}),
        ("bad one", False, {}),
    ]
    assert result["about"]["onednn"]["found"] == dnnl.available()
    assert result["about"]["onednn"]["used"] == kernels.available()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "instructions", "used"),
    [
        ("ONEDNN_MAX_CPU_ISA=AVX2", "AVX2", True),
        ("ONEDNN_MAX_CPU_ISA=SSE41", "SSE4.1", True),
        ("PADDLE_GAN_ONEDNN=0", None, False),
    ],
)
def test_the_whole_check_on_older_processors(setting, instructions, used):
    name, value = setting.split("=")
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "selfcheck.py", "--json"],
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    result = json.loads(done.stdout)
    assert len(result["checks"]) == len(OBJECTIVES) + 5
    assert result["about"]["onednn"]["used"] is used and result["about"]["winograd"] is used
    if instructions:
        assert result["about"]["onednn"]["instructions"] == instructions
