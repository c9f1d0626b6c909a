"""The steps from images to images in the benchmark: the twins in PyTorch take the same steps; and the command line."""

import json
import os

import numpy as np
import paddle
import pytest
from conftest import command_line

from paddle_gan.bench import run
from paddle_gan.bench.descriptions import descriptions
from paddle_gan.bench.profiling import profile
from paddle_gan.bench.rounds import translation_rounds_of
from paddle_gan.bench.tables import tables
from paddle_gan.config.bench import BenchConfig
from paddle_gan.config.names import FROM_NOISE, MEASURED_TASKS
from paddle_gan.config.translate import TranslateConfig
from paddle_gan.datasets.derived import reduced
from paddle_gan.errors import UsageError
from paddle_gan.networks.filling import smooth_fill
from paddle_gan.networks.restoration import FillingGenerator, SubpixelGenerator
from paddle_gan.networks.translation import UNetGenerator

TASKS = [task for task in MEASURED_TASKS if task != FROM_NOISE]
BATCH, SIZE, WIDTH, RATE = 2, 32, 4, 0.1
TINY = ("--width", WIDTH, "--discriminator-width", WIDTH, "--image-size", SIZE, "--batch-size", BATCH)


def rounds_of(task):
    """Tiny networks; the context manager of `translation_rounds_of`."""
    given = BenchConfig(task=(task,), width=WIDTH, discriminator_width=WIDTH, image_size=SIZE, batch_size=BATCH)
    (case,) = descriptions(given)
    return translation_rounds_of(TranslateConfig(**case["options"]), "cpu", noise_images=8)


def arrays(network):
    """Parameters, linear maps as Paddle has them."""
    if isinstance(network, paddle.nn.Layer):
        return [parameter.numpy() for parameter in network.parameters()]
    return [p.detach().numpy().T if p.ndim == 2 else p.detach().numpy() for p in network.parameters()]


def begin_anywhere(last):
    """Weights for a last convolution that begins at zero, where a step would change nothing before it."""
    paddle.seed(1)
    last.weight.set_value(0.05 * paddle.randn(last.weight.shape))


def twin_of(task, config):
    """The twin, with the weights of the original; both without dropout and with gradient descent."""
    torch = pytest.importorskip("torch")
    from paddle_gan.bench.workers.twins.translation import build

    twin = build(vars(config))
    assert list(twin.players) == list(task.players)
    for name, ours in task.players.items():
        theirs = twin.players[name]
        network = ours.network
        if isinstance(network, FillingGenerator):
            begin_anywhere(network.fill.last.conv)
            network.fill.dropout.p = theirs.network.fill.dropout.p = 0.0
        if isinstance(network, UNetGenerator):
            network.dropout.p = theirs.network.dropout.p = 0.0
        if isinstance(network, SubpixelGenerator):
            begin_anywhere(network.last)
        parameters = list(theirs.network.parameters())
        assert len(parameters) == len(ours.network.parameters())
        with torch.no_grad():
            for our, their in zip(ours.network.parameters(), parameters, strict=True):
                their.copy_(torch.from_numpy(our.numpy().T.copy() if our.ndim == 2 else our.numpy()))
        ours.optimizer = paddle.optimizer.SGD(RATE, parameters=ours.network.parameters())
        theirs.optimizer = torch.optim.SGD(parameters, RATE)
        assert (ours.average is None) == (theirs.average is None)
        if ours.average is not None:
            ours.average.set_state_dict(ours.network.state_dict())
            theirs.average.load_state_dict(theirs.network.state_dict())
    return twin


@pytest.mark.parametrize("task", TASKS)
def test_a_twin_takes_the_same_step(task, monkeypatch):
    """All losses of a round, what it changes in every network, and the averages."""
    torch = pytest.importorskip("torch")
    orders = np.random.default_rng(3)
    drawn = {count: orders.permutation(count) for count in (64, 256, 1024)}
    monkeypatch.setattr(paddle, "randperm", lambda count: paddle.to_tensor(drawn[count]))
    monkeypatch.setattr(torch, "randperm", lambda count, device: torch.from_numpy(drawn[count]))
    with rounds_of(task) as rounds:
        twin, batch = twin_of(rounds.task, rounds.config), rounds.batches(0)
        before = {name: arrays(player.network) for name, player in rounds.task.players.items()}
        ours = rounds.task.round(lambda number: batch, seed=0)
    theirs = twin.round(*(torch.from_numpy(one.numpy()) for one in batch))
    assert {f"loss/{name}" for name in theirs} == {name for name in ours if name.startswith("loss/")}
    for name, value in theirs.items():
        assert value.item() == pytest.approx(ours[f"loss/{name}"].item(), rel=1e-4), name
    # The perceptual loss has kinks everywhere (ReLUs, |x|), where rounding decides which side's gradient counts.
    apart = 2e-3 if task == "super-resolution-gan" else 0.0
    for name, player in rounds.task.players.items():
        changed = assert_same_changes(before[name], arrays(player.network), arrays(twin.players[name].network), apart)
        assert changed == (task != "super-resolution" or name == "generator")
        if player.average is not None:
            averages = arrays(player.average), arrays(twin.players[name].average)
            assert assert_same_changes(before[name], *averages, apart)


def assert_same_changes(before, ours, theirs, apart=0.0):
    """Both have changed in the same way, up to the precision of float32; returns whether they have.

    Args:
        before, ours, theirs: parameters.
        apart: how far changes may differ beyond that, as a share of the largest change of their tensor.
    """
    changes = [our - was for our, was in zip(ours, before, strict=True)]
    largest = max(np.abs(change).max() for change in changes)
    for change, was, their in zip(changes, before, theirs, strict=True):
        atol = 1e-4 * largest + 2e-7 + apart * np.abs(change).max()
        np.testing.assert_allclose(their - was, change, atol=atol, rtol=1e-3)
    return largest > 0


def test_old_translations_come_back_in_both():
    """Once the buffer is full, an image is either itself or an old one, whose place it takes."""
    torch = pytest.importorskip("torch")
    from paddle_gan.bench.workers.twins.unpaired import exchanged

    torch.manual_seed(0)
    buffer = torch.zeros([4, 1, 1, 1])
    values = torch.arange(1.0, 9).reshape(8, 1, 1, 1)
    assert exchanged(buffer, 0, values[:4]).flatten().tolist() == [1, 2, 3, 4]
    given = exchanged(buffer, 4, values[4:])
    both = [given.flatten().tolist(), buffer.flatten().tolist()]
    assert sorted(sum(both, [])) == list(range(1, 9))
    assert set(both[0]) & {1, 2, 3, 4} and set(both[0]) & {5, 6, 7, 8}


def test_the_twin_reduces_images_in_the_same_way():
    torch = pytest.importorskip("torch")
    from paddle_gan.bench.workers.twins import translation

    targets = np.random.default_rng(0).random((2, 3, 24, 24), np.float32) * 2 - 1
    for scale in (2, 3, 4):
        ours = reduced(paddle.to_tensor(targets), scale).numpy()
        theirs = translation.reduced(torch.from_numpy(targets), scale).numpy()
        assert np.mean(np.abs(theirs - ours) < 1e-6) > 0.99  # a value may be rounded to the next level
        np.testing.assert_allclose(theirs, ours, atol=2.01 / 255)


def test_the_twin_fills_holes_in_the_same_way():
    torch = pytest.importorskip("torch")
    from paddle_gan.bench.workers.twins import translators

    random = np.random.default_rng(0)
    values, known = random.normal(size=(2, 3, 24, 40)), np.ones((2, 1, 24, 40))
    known[0, :, 3:20, 5:30] = known[1, :, 10:, :] = 0
    arrays = [array.astype(np.float32) for array in (values, known)]
    ours = smooth_fill(*map(paddle.to_tensor, arrays), sweeps=2).numpy()
    theirs = translators.smooth_fill(*map(torch.from_numpy, arrays), sweeps=2).numpy()
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_the_twin_has_batches_of_the_same_form(task):
    torch = pytest.importorskip("torch")
    from paddle_gan.bench.workers.twins.translation import batches_of

    with rounds_of(task) as rounds:
        ours = rounds.batches(0)
    theirs = batches_of(vars(rounds.config), 8, "cpu", torch.channels_last)()
    assert [tuple(one.shape) for one in ours] == [tuple(one.shape) for one in theirs]
    for one in theirs:
        assert one.dtype == torch.float32 and one.is_contiguous(memory_format=torch.channels_last)
        assert -1 <= one.min() < -0.5 and 0.5 < one.max() <= 1


def test_an_objective_without_a_twin_is_named():
    pytest.importorskip("torch")
    from paddle_gan.bench.workers.twins import translation, update

    with pytest.raises(update.UsageError, match="--loss hinge: there is no twin of it; gan, lsgan have one"):
        translation.build({"loss": "hinge"})


def test_a_batch_that_the_buffer_of_a_cycle_cannot_hold_is_refused():
    given = TranslateConfig(unpaired=("a", "b"), batch_size=51)
    with pytest.raises(UsageError, match="--batch-size 51 with --method cyclegan"):
        translation_rounds_of(given, "cpu", 8).__enter__()


@pytest.mark.parametrize("task", ["super-resolution-gan", "fastcut"])
def test_a_profile_divides_a_round(task):
    """Every network is updated; the phases are those of the tasks."""
    with rounds_of(task) as rounds:
        rounds.play()
        found = profile(lambda batches: rounds.task.round(batches, 0), rounds.batches, 1, seconds=0)
    calls = {(part["phase"], part["kind"]): part["calls"] for part in found["parts"] if not part["detail"]}
    assert calls["update", "optimiser"] == 2
    assert calls["update", "average"] == 1 and calls["data", "batch"] == 1
    assert calls["backward", "rest"] == 2 and calls["penalty", "rest"] == 1
    assert sum(part["seconds"] for part in found["parts"]) == pytest.approx(sum(found["rounds"]))


def test_a_task_from_the_command_line(tmp_path):
    path = tmp_path / "bench.json"
    done = command_line("bench", "--task", "cut", *TINY, "--device", "cpu", "--repeats", 1, "--json", path)
    assert done.returncode == 0, done.stderr
    (cut,) = json.loads(path.read_text())["cases"]
    assert list(cut["seconds"]) == ["round", "translation", "batch", "product"]
    assert cut["about"]["options"]["method"] == "cut"
    assert "lsgan, residual (width 4) and patches (4), 32x32x3, batch 2, cut\n" in done.stdout
    assert "translating a batch" in done.stdout and "images/s in translation" in done.stdout
    assert "[1/1] lsgan, cut: 1 of 1, a round in" in done.stderr


def measured(**options):
    """The result of a benchmark of the first part of super-resolution, and its tables as one text."""
    sizes = {"width": WIDTH, "discriminator_width": WIDTH, "image_size": SIZE, "batch_size": BATCH}
    given = BenchConfig(task=("super-resolution",), device="cpu", repeats=1, **sizes, **options)
    result = run(given, os.environ, lambda line: None)
    return result, "\n".join(tables(result))


def test_the_ratio_of_a_task():
    pytest.importorskip("torch")
    result, shown = measured(against="torch")
    (ratio,) = result["ratios"]
    assert list(ratio["seconds"]) == ["round", "torch", "torch, channels last"]
    assert f"{ratio['best']} takes {ratio['ratios'][0]:.2f} times as long as ours" in shown


def test_the_memory_of_a_task():
    result, shown = measured(memory=True)
    (one,) = result["memories"]
    assert [point["size"] for point in one["points"]] == [SIZE] and "32x32x3" in shown
