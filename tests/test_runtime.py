"""What is set before Paddle is imported."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import paddle
import pytest
from conftest import ROOT

from paddle_gan.errors import UsageError
from paddle_gan.system.device import select_device
from paddle_gan.system.files import writable_home
from paddle_gan.system.installation import check_paddle
from paddle_gan.system.runtime import cpu_environment

AMD = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu {}\n"


@pytest.mark.parametrize(
    ("cpuinfo", "kind"),
    [
        (AMD.format("avx2 avx512f avx512dq avx512bw avx512vl"), "7"),
        (AMD.format("avx2"), "5"),
        (AMD.format("avx2 avx512f"), "5"),
        (AMD.format("sse2"), None),
        (AMD.format("avx2").replace("AuthenticAMD", "GenuineIntel"), None),
        ("", None),
    ],
)
def test_matrix_library_path_follows_vendor_and_flags(cpuinfo, kind):
    variables = cpu_environment(6, cpuinfo)
    assert variables.get("MKL_DEBUG_CPU_TYPE") == kind
    assert (variables["OMP_NUM_THREADS"], variables["MKL_NUM_THREADS"]) == ("1", "6")


def environment_after_import(**given) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_"))}
    code = f"import paddle_gan, os; print(*(os.environ.get(n) for n in {names}))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | given, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return dict(zip(names, done.stdout.split(), strict=True))


def test_importing_the_package_sets_threads_but_never_over_the_users():
    assert environment_after_import()["OMP_NUM_THREADS"] == "1"
    assert int(environment_after_import()["MKL_NUM_THREADS"]) >= 1
    assert environment_after_import(OMP_NUM_THREADS="3")["OMP_NUM_THREADS"] == "3"


def test_device():
    assert select_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="--device gpux"):
        select_device("gpux")


@pytest.mark.parametrize(
    ("environment", "deterministic", "searched"),
    [({}, False, True), ({"FLAGS_cudnn_exhaustive_search": "0"}, False, False), ({}, True, False)],
)
def test_convolutions_are_searched_for_on_a_gpu_unless_the_user_says_otherwise(
    monkeypatch, environment, deterministic, searched
):
    monkeypatch.delenv("FLAGS_cudnn_exhaustive_search", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    chosen, flags = [], {}
    monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: True)
    monkeypatch.setattr(paddle.device.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(paddle, "set_device", chosen.append)
    monkeypatch.setattr(paddle, "set_flags", flags.update)
    monkeypatch.setattr(paddle, "get_flags", lambda names: {name: deterministic for name in names})
    assert select_device("gpu:0") == "gpu:0" and chosen == ["gpu:0"]
    assert flags == ({"FLAGS_cudnn_exhaustive_search": True} if searched else {})
    flags.clear()
    assert select_device("cpu") == "cpu" and flags == {}


def test_the_environment_of_the_user_is_kept_and_preparing_twice_is_preparing_once():
    code = (
        "import os; os.environ.pop('OMP_NUM_THREADS', None)\n"
        "import paddle_gan; from paddle_gan.system import runtime\n"
        "print('OMP_NUM_THREADS' in runtime.ENVIRONMENT, os.environ['OMP_NUM_THREADS'], runtime.prepare())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False 1 ()\n"


def test_variables_that_came_too_late_are_named():
    code = (
        "import os, sys, types; os.environ.pop('OMP_NUM_THREADS', None); os.environ['MKL_NUM_THREADS'] = '1'\n"
        "sys.modules['paddle'] = types.ModuleType('paddle')\n"
        "import paddle_gan; from paddle_gan.system import runtime\n"
        "late = runtime.prepare()\n"
        "print('OMP_NUM_THREADS' in os.environ, 'OMP_NUM_THREADS' in late, 'MKL_NUM_THREADS' in late)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False True False\n"


def check(importable: bool = True, **versions: str) -> None:
    found = {name.replace("_", "-"): version for name, version in versions.items()}
    check_paddle(found.get, lambda: importable)


@pytest.mark.parametrize(
    "versions",
    [
        {"paddlepaddle": "3.0.0"},
        {"paddlepaddle": "3.3.1"},
        {"paddlepaddle_gpu": "3.3.1.post126"},
        {"paddlepaddle_gpu": "0.0.0"},  # built from the development branch
        {"paddlepaddle": "10.0"},
        {},  # a build for another device, of another name
    ],
)
def test_paddle_3_is_accepted(versions):
    check(**versions)


@pytest.mark.parametrize(
    ("versions", "importable", "message"),
    [
        ({"paddlepaddle": "2.6.2"}, True, "needs Paddle 3, and paddlepaddle 2.6.2 is installed; pip install"),
        ({"paddlepaddle_gpu": "2.6.2.post120"}, True, "needs Paddle 3, and paddlepaddle-gpu 2.6.2.post120 is"),
        ({"paddlepaddle": "1.8.5"}, True, "needs Paddle 3, and paddlepaddle 1.8.5"),
        ({}, False, "needs Paddle 3, and no Paddle is installed; pip install"),
        (
            {"paddlepaddle": "3.3.1", "paddlepaddle_gpu": "3.3.1"},
            True,
            "paddlepaddle 3.3.1 and paddlepaddle-gpu 3.3.1 are both installed",
        ),
    ],
)
def test_another_paddle_is_refused_in_one_line(versions, importable, message):
    with pytest.raises(UsageError) as refusal:
        check(importable, **versions)
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("installed", "message"),
    [
        (("paddlepaddle-2.6.2",), "paddle_gan needs Paddle 3, and paddlepaddle 2.6.2 is installed"),
        (("paddlepaddle-3.3.1", "paddlepaddle_gpu-3.3.1"), "are both installed"),
        ((), "no Paddle is installed"),
    ],
)
def test_another_paddle_ends_a_command_with_status_2_before_anything_is_loaded(tmp_path, installed, message):
    """And is the same error in Python. With a Python that finds no other packages than these."""
    for name in installed:
        folder = tmp_path / f"{name}.dist-info"
        folder.mkdir()
        distribution, version = name.split("-")
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "PATH": os.environ["PATH"]}
    python = [sys.executable, "-S"]
    command = [*python, "-m", "paddle_gan", "train", "--steps", "1"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and message in done.stderr and done.stderr.count("\n") == 1
    code = (
        "import paddle_gan; from paddle_gan.errors import UsageError; paddle_gan.TrainConfig()\n"
        "try: paddle_gan.train\nexcept UsageError as error: print(error)"
    )
    done = subprocess.run([*python, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert message in done.stdout, done.stderr


def test_the_front_door_is_quick_and_knows_its_names():
    code = (
        "import sys, paddle_gan\n"
        "assert not {'paddle', 'numpy', 'argparse'} & set(sys.modules)\n"
        "assert set(paddle_gan.__all__) <= set(dir(paddle_gan))\n"
        "from paddle_gan import *\n"
        "from paddle_gan.runs import experiment\n"
        "assert train is experiment.run and TrainConfig().loss == 'lsgan' and callable(load)\n"
        "assert all(getattr(paddle_gan, name) is not None for name in paddle_gan.__all__)\n"
        "try: paddle_gan.nothing\nexcept AttributeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "module 'paddle_gan' has no attribute 'nothing'\n", done.stderr


def test_a_home_that_cannot_be_written_is_replaced_for_an_import(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with writable_home():
        assert os.environ["HOME"] == str(tmp_path)
    monkeypatch.setenv("HOME", "/proc/self")
    with pytest.raises(ZeroDivisionError), writable_home():
        inside = Path(os.environ["HOME"])
        (inside / "file").write_text("x")
        1 / 0  # noqa: B018
    assert os.environ["HOME"] == "/proc/self" and not inside.exists()
    monkeypatch.delenv("HOME")

    def refuse(dir):
        raise PermissionError

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with writable_home():
        assert "HOME" in os.environ
    assert "HOME" not in os.environ
