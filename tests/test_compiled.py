"""--compile: the same numbers by static graphs, and what is refused."""

import numpy as np
import paddle
import pytest
from conftest import command_line, train
from states import tiny_task

from paddle_gan.backend import kernels
from paddle_gan.errors import UsageError
from paddle_gan.runs.building import precision_of
from paddle_gan.training.loop import train as train_loop
from paddle_gan.training.state import arrays_of


@pytest.fixture
def without_onednn(monkeypatch):
    """On a GPU, and here too then, Paddle's own kernels convolve in a graph and outside."""
    monkeypatch.setattr(kernels, "available", lambda: False)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "wgan-gp", "conditional": True},
        {"loss": "wgan", "generator": "dcgan"},
        {"loss": "gan-r1", "generator": "mlp"},
    ],
    ids=str,
)
def test_weights_statistics_and_losses_are_those_of_the_networks_themselves(without_onednn, options, recwarn):
    labels = paddle.arange(4) if options.get("conditional") else None
    images = paddle.rand([4, 1, 28, 28]) * 2 - 1
    tasks, logged = [tiny_task(**options), tiny_task(compile=True, **options)], [[], []]
    for task, seen in zip(tasks, logged, strict=True):
        log = lambda task, values, seen=seen: seen.append(values)  # noqa: E731
        train_loop(task, lambda number: (images, labels), 3, 0, 1, [log])
    for plain, graph in zip(*logged, strict=True):
        assert plain == pytest.approx(graph, rel=1e-4, abs=1e-6)
    plain, graph = map(arrays_of, tasks)
    assert plain.keys() == graph.keys()
    for name, array in plain.items():
        np.testing.assert_allclose(graph[name], array, rtol=1e-4, atol=1e-6, err_msg=name)
    assert not [str(warning.message) for warning in recwarn if warning.category is UserWarning]


def test_it_is_graphs_that_run(without_onednn, monkeypatch):
    """After the first round no layer is called by Python but in a penalty."""
    task, calls = tiny_task(loss="wgan-gp", compile=True), []
    images = paddle.rand([4, 1, 28, 28])
    train_loop(task, lambda number: (images, None), 1, 0, 9)
    for network in (task.generator.network, task.discriminator.network):
        network.register_forward_pre_hook(lambda layer, inputs: calls.append(layer))
    task.round(lambda number: (images, None), 0)
    assert calls == [task.discriminator.network] * 5


def test_refused_where_it_would_be_slower_or_has_not_been_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "available", lambda: True)
    with pytest.raises(UsageError, match="--compile on a CPU"):
        precision_of("float32", True, "cpu")
    with pytest.raises(UsageError, match="--compile with --precision bfloat16"):
        precision_of("bfloat16", True, "gpu:0")


def test_a_run_is_compiled_and_sampled(tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_GAN_ONEDNN", "0")
    done = train(tmp_path / "run", "--steps", 2, "--compile")
    assert "Warning" not in done.stderr
    done = command_line("sample", tmp_path / "run", "--num", 4, "--grid", tmp_path / "grid.png", "--device", "cpu")
    assert done.returncode == 0, done.stderr
