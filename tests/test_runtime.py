"""What is set before Paddle is imported, and the seeds."""

import os
import subprocess
import sys

import numpy as np
import paddle
import pytest
from conftest import ROOT

from paddle_gan.errors import UsageError
from paddle_gan.system.runtime import cpu_environment, seed_all, select_device

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
    return dict(zip(names, done.stdout.split()))


def test_importing_the_package_sets_threads_but_never_over_the_users():
    assert environment_after_import()["OMP_NUM_THREADS"] == "1"
    assert int(environment_after_import()["MKL_NUM_THREADS"]) >= 1
    assert environment_after_import(OMP_NUM_THREADS="3")["OMP_NUM_THREADS"] == "3"


def test_seeds():
    draws = []
    for entropy in (("a", 0, 1), ("a", 0, 1), ("a", 1, 0), ("a", 0, 2), ("b", 0, 1)):
        seed_all(*entropy)
        draws.append(paddle.randn([100]).numpy())
    np.testing.assert_array_equal(draws[0], draws[1])
    for i in range(1, 5):
        for j in range(i + 1, 5):
            assert abs(np.corrcoef(draws[i], draws[j])[0, 1]) < 0.4


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
