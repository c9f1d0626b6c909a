"""Translations: networks, the paired task, runs that resume bit for bit, and their use on pictures of any size."""

import json
import operator
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from functools import partial

import numpy as np
import paddle
import paddle.nn as nn
import paddle.nn.functional as F
import pytest
from conftest import ROOT, command_line, newest_manifest, wait_for
from PIL import Image
from translations import SMALL, assert_same_sheets, interrupt, make_images

from paddle_gan.backend import kernels, layout
from paddle_gan.backend.precision import Precision, can_round
from paddle_gan.config.translate import TranslateConfig
from paddle_gan.datasets.derived import grey
from paddle_gan.datasets.pair_feed import Pair
from paddle_gan.errors import DataError, UsageError
from paddle_gan.inference.images import side_by_side
from paddle_gan.inference.translation import translate_batch, translate_picture
from paddle_gan.networks.activations import relu
from paddle_gan.networks.norms import InstanceNorm
from paddle_gan.networks.translation import (
    ColourGenerator,
    PatchDiscriminator,
    ResidualGenerator,
    UNetGenerator,
    feature_channels,
)
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.objectives.reconstruction import l1_loss
from paddle_gan.runs.folder import read_config, task_of
from paddle_gan.runs.translation import read_translation, resumed_translation, run_translation
from paddle_gan.runs.translation_data import as_tensor
from paddle_gan.runs.translation_options import resolve_translation
from paddle_gan.runs.translators import load_translator, translated
from paddle_gan.system.randomness import seeded
from paddle_gan.training import paired
from paddle_gan.training.log import read_metrics
from paddle_gan.training.loop import train
from paddle_gan.training.state import arrays_of

# ---- Networks


def test_instance_norm_is_that_of_paddle_with_its_gradients():
    norm = InstanceNorm(5)
    norm.weight.set_value(paddle.rand([5]) + 0.5)
    norm.bias.set_value(paddle.rand([5]))
    x, factor = paddle.randn([3, 5, 4, 6]), paddle.randn([3, 5, 4, 6])
    x.stop_gradient = False
    results = []
    for forward in (
        lambda: norm(x, relu),
        lambda: F.relu(F.instance_norm(x, weight=norm.weight, bias=norm.bias)),
    ):
        y = forward()
        gradients = paddle.grad([(y * factor).sum()], [x, norm.weight, norm.bias])
        results.append([tensor.numpy() for tensor in (y, *gradients)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    np.testing.assert_allclose(norm(x, paddle.tanh).numpy(), paddle.tanh(norm(x)).numpy(), atol=1e-6)


@pytest.mark.parametrize("width", [1, 3])
def test_reflected_borders(width):
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 5)).astype(np.float32)
    expected = np.pad(x, ((0, 0), (0, 0), (width, width), (width, width)), mode="reflect")
    np.testing.assert_array_equal(kernels.reflected(paddle.to_tensor(x), width).numpy(), expected)


def channels_last(shape, seed):
    """Random values whose channels are last in memory."""
    n, c, h, w = shape
    values = paddle.to_tensor(np.random.default_rng(seed).normal(size=(n, h, w, c)).astype(np.float32))
    x = values.transpose([0, 3, 1, 2])
    x.stop_gradient = False
    return x


def by_paddle(monkeypatch, function):
    """What a function returns where `kernels` uses Paddle's own operations."""
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "available", lambda: False)
        return function()


@pytest.mark.parametrize(("channels", "width"), [(3, 3), (5, 1), (5, 3)])
def test_reflected_borders_have_the_gradients_that_paddle_gives(channels, width, monkeypatch):
    """The gradient, and its own gradient in what comes in."""
    x, way = channels_last((2, channels, 6, 5), 1), channels_last((2, channels, 6, 5), 2)
    factor = channels_last((2, channels, 6 + 2 * width, 5 + 2 * width), 3)

    def gradients():
        (first,) = paddle.grad([(kernels.reflected(x, width) * factor).sum()], [x], create_graph=True)
        (second,) = paddle.grad([(first * way).sum()], [factor])
        return first.numpy(), second.numpy()

    for ours, theirs in zip(gradients(), by_paddle(monkeypatch, gradients), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not kernels.available(), reason="the layout is Paddle's own")
def test_sums_and_skips_keep_the_channels_last(monkeypatch):
    x, y = channels_last((2, 5, 4, 3), 1), channels_last((2, 5, 4, 3), 2)
    functions = [
        lambda: kernels.elementwise(operator.add, x, y),
        lambda: kernels.concat([x, y]),
        lambda: kernels.concat([*kernels.forked(x), y]),
    ]
    for function in functions:
        made = function()
        assert layout.layout_of(made) == layout.channels_last(tuple(made.shape)) and not made.is_contiguous()
        np.testing.assert_array_equal(made.numpy(), by_paddle(monkeypatch, function).numpy())
        ours = paddle.grad([made.square().sum()], [x, y])
        theirs = by_paddle(monkeypatch, lambda f=function: paddle.grad([f().square().sum()], [x, y]))
        for our, their in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(our.numpy(), their.numpy())


@pytest.mark.parametrize("count", [5, 2**16 + 7])
def test_an_average_moves_as_by_paddle(count, monkeypatch):
    values = np.random.default_rng(0).normal(size=(2, count)).astype(np.float32)
    moved = []
    for move in (lambda function: function(), partial(by_paddle, monkeypatch)):
        old, new = (paddle.to_tensor(each) for each in values)
        move(lambda old=old, new=new: kernels.move_towards(old, new, 1 - 0.999))
        moved.append(old.numpy())
        np.testing.assert_array_equal(new.numpy(), values[1])
    np.testing.assert_array_equal(*moved)


def test_generators_translate_any_multiple_of_their_size():
    unet, residual = UNetGenerator(1, 3, width=2, depth=4), ResidualGenerator(3, 3, width=2, blocks=3)
    for network, channels in ((unet, 1), (residual, 3)):
        network.eval()
        for height, width in ((16, 16), (48, 32)):
            made = network(paddle.rand([2, channels, height, width]))
            assert made.shape == [2, 3, height, width] and float(made.abs().max()) <= 1
    assert (unet.multiple, residual.multiple) == (16, 4)
    maps = residual.features(paddle.rand([1, 3, 16, 16]))
    assert [tuple(one.shape[1:]) for one in maps] == [(3, 16, 16), (4, 8, 8), (8, 4, 4), (8, 4, 4), (8, 4, 4)]
    assert tuple(one.shape[1] for one in maps) == feature_channels(3, 2)


def test_the_widths_of_the_paper():
    """Numbers of parameters by hand from Isola et al. 2017, sections 6.1.1 and 6.1.2, at a sixteenth of the width."""

    def count(layer: nn.Layer) -> int:
        return sum(parameter.size for parameter in layer.parameters())

    widths = [4, 8, 16, 32, 32, 32, 32, 32]
    down = 16 * 3 * 4 + 4 + sum(16 * a * b for a, b in zip(widths, widths[1:], strict=False))
    up = 16 * 32 * 32 + sum(16 * 2 * a * b for a, b in zip(widths[1:-1], widths, strict=False))
    norms = 2 * (sum(widths[1:-1]) + sum(widths[:-1]))
    bottom_bias, last = 32, 16 * 8 * 3 + 3
    assert count(UNetGenerator(width=4)) == down + up + norms + bottom_bias + last
    patch = 16 * (6 * 4 + 4 * 8 + 8 * 16 + 16 * 32 + 32) + 4 + 2 * (8 + 16 + 32) + 1
    assert count(PatchDiscriminator(6, width=4)) == patch


def test_colours_keep_the_luma_of_their_input():
    """Exactly, whatever the chroma is; red by hand: Y = 0.299, Cb = -0.168736, Cr = 0.5 of its range (JFIF)."""
    network = ColourGenerator(UNetGenerator(1, 2, width=2, depth=2))
    images = paddle.rand([2, 1, 16, 16]) * 2 - 1
    made = network(images)
    assert made.shape == [2, 3, 16, 16] and (network.multiple, network.value_range) == (4, (-1.0, 1.0))
    np.testing.assert_allclose(grey(made).numpy(), images.numpy(), atol=1e-6)

    class Red(nn.Layer):
        value_range, multiple = (-1.0, 1.0), 1

        def forward(self, images):
            return paddle.concat([images * 0 - 2 * 0.168736, images * 0 + 1], 1)

    red = ColourGenerator(Red())(paddle.full([1, 1, 1, 1], 2 * 0.299 - 1)).flatten().numpy()
    np.testing.assert_allclose(red, [1, -1, -1], atol=1e-5)


@pytest.mark.parametrize(("depth", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_judges_a_patch(depth, field):
    network = PatchDiscriminator(1, width=2, depth=depth, norm=None)
    images = paddle.rand([1, 1, 96, 96])
    images.stop_gradient = False
    logits = network(images)
    assert logits.shape == [1, 1, 96 // 2**depth - 2, 96 // 2**depth - 2]
    middle = logits.shape[2] // 2
    (gradient,) = paddle.grad([logits[0, 0, middle, middle]], [images])
    seen = np.flatnonzero(np.abs(gradient.numpy()[0, 0]).sum(1))
    assert seen[-1] - seen[0] + 1 == field == len(seen)


# ---- Use


class Halves(nn.Layer):
    """A network that halves every value; it works on multiples of 4 only."""

    value_range, multiple = (-1.0, 1.0), 4

    def forward(self, images):
        assert images.shape[2] % 4 == images.shape[3] % 4 == 0 and max(images.shape[2:]) <= 32
        return images / 2


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (32, 32), (33, 90), (100, 31), (130, 67)])
def test_a_picture_of_any_size_is_translated_in_tiles(size):
    """No pixel is lost, doubled or weighted: what a pixel-wise network makes of it is exact."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 2), np.uint8)
    made = translate_picture(Halves(), pixels, 32, as_tensor)
    expected = ((pixels / 127.5 - 1) / 2 + 1) * 127.5
    assert made.shape == (*size, 2) and np.abs(made - expected).max() <= 0.51


def test_tiles_make_no_seams():
    """A network that adds a value to each tile, as an instance norm may: steps between neighbours stay small."""

    class Shifted(Halves):
        calls = 0

        def forward(self, images):
            self.calls += 1
            return images * 0 + 0.2 * (self.calls % 2)

    made = translate_picture(Shifted(), np.zeros((96, 128, 1), np.uint8), 32, as_tensor).astype(int)[:, :, 0]
    assert made.max() - made.min() > 20
    assert max(np.abs(np.diff(made, axis=axis)).max() for axis in range(2)) <= 7


def test_groups_of_a_sheet_stand_side_by_side():
    small, large = np.full((2, 32, 32, 1), 10, np.uint8), np.full((2, 64, 64, 3), 20, np.uint8)
    sheet = side_by_side([small, large], across=2)
    assert sheet.shape == (64 + 4, 4 * 66 + 2, 3)
    assert [int(sheet[30, 2 + 66 * i + 30, 0]) for i in range(4)] == [10, 20, 10, 20]


# ---- The paired task


def tiny(**changes) -> paired.Paired:
    images = np.random.default_rng(1).uniform(-1, 1, (4, 3, 16, 16)).astype(np.float32)
    with seeded("weights", 0):
        settings = {
            "make_generator": lambda: UNetGenerator(3, 3, width=2, depth=2),
            "make_discriminator": lambda: PatchDiscriminator(6, width=2, depth=1),
            "objective": OBJECTIVES["lsgan"],
            "terms": {"l1": paired.Term(100.0, l1_loss)},
            "shown": Pair(paddle.to_tensor(images), paddle.to_tensor(-images)),
            "generator_optimizer": Adam(),
            "discriminator_optimizer": Adam(),
        }
        return paired.assemble(**{**settings, **changes})


def batches(number: int) -> Pair:
    images = np.random.default_rng(number).uniform(-1, 1, (2, 3, 16, 16)).astype(np.float32)
    return Pair(paddle.to_tensor(images), paddle.to_tensor(-images))


def test_a_round_logs_the_losses_of_the_paper():
    """The values of the first round from the networks as they were, by the equations."""
    task = tiny()
    generator, discriminator = task.generator.network, task.discriminator.network
    generator.dropout.p = 0.0
    inputs, targets = batches(0)
    fake = generator(inputs)
    real_logits, fake_logits = (discriminator(paddle.concat([inputs, side], 1)).numpy() for side in (targets, fake))
    expected = {
        "loss/discriminator": 0.5 * ((real_logits - 1) ** 2).mean() + 0.5 * (fake_logits**2).mean(),
        "mean_logit/real": real_logits.mean(),
        "mean_logit/fake": fake_logits.mean(),
        "loss/l1": np.abs(targets.numpy() - fake.numpy()).mean(),
    }
    scalars = task.round(batches, seed=0)
    for name, value in expected.items():
        assert scalars[name].item() == pytest.approx(value, rel=1e-4), name
    # The generator's loss is taken against the discriminator after its step.
    after = discriminator(paddle.concat([inputs, fake], 1)).numpy()
    assert scalars["loss/generator"].item() == pytest.approx(0.5 * ((after - 1) ** 2).mean(), rel=1e-4)


def test_the_weight_of_the_distance_to_the_target():
    """Without it the same first round moves the generator elsewhere; with SGD the difference is its gradient."""

    def moved(weight: float) -> np.ndarray:
        task = tiny(terms={"l1": paired.Term(weight, l1_loss)} if weight else {})
        task.generator.network.dropout.p = 0.0
        task.generator.optimizer = paddle.optimizer.SGD(1.0, parameters=task.generator.network.parameters())
        before = task.generator.network.last.conv.weight.numpy()
        task.round(batches, seed=0)
        return task.generator.network.last.conv.weight.numpy() - before

    nothing, one, three = moved(0), moved(1), moved(3)
    assert np.abs(one - nothing).max() > 1e-4
    np.testing.assert_allclose(three - nothing, 3 * (one - nothing), atol=1e-5)


@pytest.mark.parametrize("loss", ["gan", "hinge", "gan-r1", "rpgan-r1-r2"])
def test_objectives_with_and_without_penalties_train_a_discriminator_of_patches(loss):
    task, seen = tiny(objective=OBJECTIVES[loss]), []
    train(task, batches, 2, seed=0, log_every=1, callbacks=[lambda task, values: seen.append(dict(values))])
    assert all(np.isfinite(list(line.values())).all() for line in seen)
    assert ("loss/penalty" in seen[0]) == ("r1" in loss)


def test_the_sheet_shows_input_output_and_target():
    task = tiny()
    sheet, again = task.sheet(0), task.sheet(0)
    np.testing.assert_array_equal(sheet, again)
    assert sheet.shape == (2 * 66 + 2, 6 * 66 + 2, 3)
    cells = [sheet[2:66:4, 2 + 66 * i : 66 + 66 * i : 4] for i in range(3)]
    inputs = task.shown.inputs.numpy()[:1]
    np.testing.assert_array_equal(cells[0], ((inputs[0].transpose(1, 2, 0) + 1) * 127.5).round())
    np.testing.assert_array_equal(cells[1], translate_batch(task.sampler, inputs)[0])
    assert np.abs(cells[0].astype(int) + cells[2] - 255).max() <= 1


@pytest.mark.skipif(not can_round(), reason="oneDNN has no bfloat16 convolution on this processor, or is turned off")
def test_rounding_reaches_the_networks_of_the_task():
    if not paddle.get_device().startswith("cpu"):
        pytest.skip("convolutions round on a CPU only")
    plain, rounded = tiny(), tiny(precision=Precision(factors="bfloat16"))
    assert plain.round(batches, 0)["loss/l1"].item() != rounded.round(batches, 0)["loss/l1"].item()


# ---- Runs


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images"))


def options(images, kind: str) -> dict:
    a, b = str(images / "a"), str(images / "b")
    return {
        "pairs": {"pairs": (a, b), "perceptual_weight": 1.0},
        "colorize": {"images": a, "task": "colorize", "generator": "residual", "blocks": 2},
        "edges": {"images": a, "task": "edges", "depth": 2, "loss": "gan-r1"},
    }[kind] | SMALL


KINDS = ("pairs", "colorize", "edges")


@pytest.fixture(scope="module", params=KINDS)
def run(request, images, tmp_path_factory):
    """A finished run of each kind."""
    folder = tmp_path_factory.mktemp("run") / request.param
    lines = []
    run_translation(TranslateConfig(**options(images, request.param), steps=8, out=str(folder)), lines.append)
    assert lines[-1] == "done: 8 steps" and any("9 images" in line and "3 more held out" in line for line in lines)
    return folder


def test_a_translator_in_python(run):
    """Translates a picture of any mode and size; with `translated`, in arrays, to the same."""
    translator = load_translator(str(run))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 28), np.uint8))
    made = translator.translate(picture)
    assert (made.mode, made.size) == ("RGB", (28, 20))
    np.testing.assert_array_equal(np.asarray(made), translated(translator, np.asarray(picture.convert("RGB")), 512))


def test_an_interrupted_run_comes_to_the_same_bits(run, images, tmp_path, monkeypatch):
    """It ends in the middle of round 7, after the checkpoint of step 4; the same command goes on from there."""
    given = TranslateConfig(**options(images, task_of(run)), steps=8, out=str(tmp_path / "run"))
    interrupt(given, 6, monkeypatch)
    assert newest_manifest(tmp_path / "run")["step"] == 4
    lines = []
    run_translation(given, lines.append)
    assert "going on from step 4 of 8" in lines
    assert newest_manifest(tmp_path / "run")["sha256"] == newest_manifest(run)["sha256"]
    assert_same_sheets(run, tmp_path / "run")


# The options of every task and method. That of super-resolution is killed before its discriminator begins.
KILLED = {
    "pairs": ("--pairs", "a", "b", "--perceptual-weight", 1),
    "colorize": ("--task", "colorize", "--images", "a"),
    "edges": ("--task", "edges", "--images", "a", "--loss", "gan-r1"),
    "super-resolution": ("--task", "super-resolution", "--images", "a", "--load-size", 32, "--warm-up", 0.8),
    "inpaint": ("--task", "inpaint", "--images", "a", "--mask", "brush"),
    "cyclegan": ("--unpaired", "a", "b", "--method", "cyclegan", "--blocks", 2),
    "cut": ("--unpaired", "a", "b", "--method", "cut", "--blocks", 2),
    "fastcut": ("--unpaired", "a", "b", "--method", "fastcut", "--blocks", 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KILLED)
def test_a_killed_run_comes_to_the_same_bits(kind, images, tmp_path):
    """SIGKILL to a process of its own, as `test_resume` does it for images from noise."""
    line = [images / part if part in ("a", "b") else part for part in KILLED[kind]]
    small = {name: value for name, value in SMALL.items() if name != "log_every"}
    for name, value in {**small, "steps": 40, "checkpoint_every": 2, "evaluate_every": 0}.items():
        line += [f"--{name.replace('_', '-')}", value]

    def start(name: str) -> subprocess.Popen:
        command = [sys.executable, ROOT / "tools" / "translate.py", "train", *line, "--out", tmp_path / name]
        return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)

    assert start("whole").wait(600) == 0
    process = start("killed")
    wait_for(lambda: list((tmp_path / "killed" / "checkpoints").glob("step-0000001*")), seconds=300)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert newest_manifest(tmp_path / "killed")["step"] < (32 if kind == "super-resolution" else 40)
    again = start("killed")
    assert "going on from step" in again.communicate()[0]
    assert newest_manifest(tmp_path / "killed")["sha256"] == newest_manifest(tmp_path / "whole")["sha256"]


def test_a_run_folder_holds_values_sheets_and_the_best_checkpoint(run):
    lines = read_metrics(run / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 4, 6, 8]
    measured = {line["step"]: line["evaluation/l1"] for line in lines if "evaluation/l1" in line}
    assert set(measured) == {4, 8}
    assert {"evaluation/psnr", "evaluation/ssim", "loss/generator", "loss/l1", "loss/discriminator"} <= set(lines[-1])
    best = json.loads((next((run / "best").glob("step-*")) / "manifest.json").read_text())
    assert best["step"] == min(measured, key=measured.__getitem__)
    assert (run / "samples.gif").exists() and (run / "generator.pdparams").exists()
    assert list((run / "visualdl").glob("*vdlrecords*"))


def test_commands_for_noise_refuse_it_and_the_other_way_round(run):
    older = ROOT / "tests" / "data" / "run-0.1.0"
    kind = task_of(run)
    with pytest.raises(UsageError, match=f"a run of the task {kind}, and this command is for noise-to-image; tools/tr"):
        read_config(run)
    assert task_of(older) == "noise-to-image"
    with pytest.raises(UsageError, match="a run of the task noise-to-image, .* tools/train.py made it"):
        read_translation(older)


def test_config_json_reproduces_the_options(run, images):
    config = read_translation(run)
    assert config.steps == 8 and asdict(config) == asdict(resolve_translation(TranslateConfig(**asdict(config)), "cpu"))
    again = resumed_translation(run, TranslateConfig(steps=20), {"resume", "steps"})
    assert again.steps == 20 and again.out == str(run) and again.pairs == config.pairs
    with pytest.raises(UsageError, match=r"holds another run \(seed 0 -> 1\)"):
        run_translation(TranslateConfig(**options(images, task_of(run)), seed=1, out=str(run)), print)


def test_the_command_line_applies_and_measures(run, images, tmp_path, monkeypatch, capsys):
    from paddle_gan.commands import COMMANDS
    from paddle_gan.commands.command import Group

    group = COMMANDS["translate"]
    assert isinstance(group, Group)
    apply = group.commands["apply"]
    odd = np.random.default_rng(0).integers(0, 256, (21, 75, 4), np.uint8)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    Image.fromarray(odd).save(tmp_path / "in" / "sub" / "odd.png")
    Image.fromarray(odd[:, :, :3]).save(tmp_path / "photo.jpg")
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    out = tmp_path / "out"
    (tmp_path / "in" / "empty.jpg").touch()
    (tmp_path / "in" / ".hidden.png").touch()
    sources = [str(tmp_path / name) for name in ("none.png", "in", "photo.jpg")]
    with pytest.raises(DataError, match="3 of 5 pictures were passed over"):
        apply.run(apply.parse([str(run), *sources, "--out", str(out), "--tile", "64", "--best"]))
    shown = capsys.readouterr().out
    for name in (
        "bad.png: not an image that can be read",
        "empty.jpg: not an image",
        "none.png: there is no such file",
    ):
        assert re.search(f"passed over: .*{re.escape(name)}", shown)
    with pytest.raises(DataError, match="1 of 1 pictures were passed over"):
        apply.run(apply.parse([str(run), str(tmp_path / "photo.jpg"), "--out", str(tmp_path)]))
    assert "its translation would take its place" in capsys.readouterr().out
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "photo.jpg")).shape, (21, 75, 3))
    made = Image.open(out / "sub" / "odd.png")
    assert made.mode == "RGBA" and made.size == (75, 21)
    np.testing.assert_array_equal(np.asarray(made)[:, :, 3], odd[:, :, 3])
    assert Image.open(out / "photo.jpg").size == (75, 21)

    evaluate = COMMANDS["evaluate"]
    evaluate.run(evaluate.parse([str(run), "--device", "cpu", "--out", str(tmp_path / "first.json")]))
    evaluate.run(evaluate.parse([str(run), "--raw", "--out", str(tmp_path / "raw.json")]))
    record = json.loads((tmp_path / "first.json").read_text())
    assert record["protocol"]["samples"] == record["protocol"]["reference"] == 3
    assert record["protocol"]["floor"] == 3 and record["subject"]["step"] == 8
    for name in ("l1", "psnr", "ssim", "perceptual"):
        assert set(record["figures"][name]) == {"samples", "identity", "matched"}
    assert set(record["figures"]["frechet_distance"]) == {"samples", "identity", "matched", "real"}
    assert record["figures"]["l1"]["samples"] == pytest.approx(read_metrics(run / "metrics.jsonl")[-1]["evaluation/l1"])
    shown = capsys.readouterr().out
    assert "inputs as they are" in shown and "PSNR, dB" in shown
    assert (tmp_path / "first.sheet.png").exists()


def test_the_floor_is_the_input_itself(images, tmp_path):
    """Inputs that are the targets: the identity is perfect."""
    from paddle_gan import evaluate_translation
    from paddle_gan.config.results import EvaluateConfig

    same = {**options(images, "pairs"), "pairs": (str(images / "a"), str(tmp_path / "copy"))}
    shutil.copytree(images / "a", tmp_path / "copy")
    folder = run_translation(TranslateConfig(**same, steps=1, out=str(tmp_path / "run")), lambda line: None)
    result = evaluate_translation(str(folder), EvaluateConfig())
    assert result.sheet.ndim == 3
    figures = result.record["figures"]
    assert figures["l1"]["identity"] == 0 and figures["psnr"]["identity"] == 100
    assert figures["ssim"]["identity"] == pytest.approx(1) and figures["ssim"]["samples"] < 1
    assert figures["l1"]["matched"] == 0 and figures["frechet_distance"]["identity"] == pytest.approx(0, abs=1e-3)


BAD = {
    "no images": ({}, "name the images in one way"),
    "two kinds": ({"pairs": ("a",), "images": "b"}, "name the images in one way"),
    "which task": (
        {"images": "a"},
        "--images is for --task colorize or edges or super-resolution or inpaint, so name one",
    ),
    "another task": ({"pairs": ("a",), "task": "edges"}, "--pairs is for --task pairs, not edges"),
    "three folders": ({"pairs": ("a", "b", "c")}, "--pairs: two folders, or one"),
    "one set": ({"unpaired": ("a",)}, "--unpaired: two folders"),
    "size": ({"pairs": ("a",), "image_size": 40}, "--image-size 40: must be a multiple of 16"),
    "load size": ({"pairs": ("a",), "load_size": 32}, "--load-size 32: smaller than --image-size, 64"),
    "too deep": ({"pairs": ("a",), "image_size": 48, "depth": 5}, "--depth 5 with --image-size 48"),
    "too deep to judge": ({"pairs": ("a",), "image_size": 16, "discriminator_depth": 3}, "--discriminator-depth 3"),
    "no blocks": ({"pairs": ("a",), "blocks": 3}, "--blocks is for --generator residual"),
    "no depth": ({"pairs": ("a",), "generator": "residual", "depth": 3}, "--depth is for --generator unet"),
    "method": ({"pairs": ("a",), "method": "cut"}, "--method is for --unpaired"),
    "l1": ({"unpaired": ("a", "b"), "l1_weight": 1.0}, "--l1-weight is for pairs"),
    "reverse": ({"images": "a", "task": "edges", "reverse": True}, "--reverse is for --pairs and --unpaired"),
}


@pytest.mark.parametrize(("given", "message"), BAD.values(), ids=BAD.keys())
def test_options_that_do_not_go_together_are_refused(given, message):
    with pytest.raises(UsageError) as refusal:
        resolve_translation(TranslateConfig(**given), "cpu")
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_defaults_depend_on_task_size_and_device():
    config = resolve_translation(TranslateConfig(pairs=("a", "b"), image_size=96), "cpu")
    assert (config.task, config.generator, config.depth, config.width, config.load_size) == (
        "pairs",
        "unet",
        5,
        32,
        107,
    )
    assert (config.l1_weight, config.perceptual_weight, config.discriminator_depth) == (100, 0, 2)
    config = resolve_translation(TranslateConfig(images="a", task="edges", image_size=256), "gpu:0")
    assert (config.depth, config.width, config.discriminator_depth, config.load_size) == (8, 64, 3, 286)


def test_the_tool_lists_its_verbs_and_refuses_others():
    done = command_line("translate", "--help")
    assert done.returncode == 0 and "  train  " in done.stdout and "  apply  " in done.stdout
    done = command_line("translate", "aply")
    assert done.returncode == 2 and done.stderr.startswith(
        "error: 'aply': python tools/translate.py takes one of train"
    )


def test_what_a_checkpoint_holds_goes_by_the_names_of_the_players():
    kinds = {name.split("/")[0] for name in arrays_of(tiny())}
    assert kinds == {"generator", "generator_average", "discriminator"}
