"""Super-resolution: bicubic interpolation, the sub-pixel generator, its run, its measures, and its use on pictures."""

import json

import numpy as np
import paddle
import paddle.nn as nn
import pytest
from PIL import Image
from translations import SMALL, assert_resumes, make_images

from paddle_gan.commands import COMMANDS
from paddle_gan.config.translate import ApplyConfig, TranslateConfig
from paddle_gan.datasets.bicubic import resampled
from paddle_gan.datasets.derived import reduced
from paddle_gan.datasets.pair_feed import Pair
from paddle_gan.errors import DataError, UsageError
from paddle_gan.inference.translation import translate_picture
from paddle_gan.metrics import luma, psnr, ssim, without_border
from paddle_gan.networks.restoration import SubpixelGenerator
from paddle_gan.networks.translation import PatchDiscriminator
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.objectives.reconstruction import l1_loss
from paddle_gan.runs.translation import run_translation
from paddle_gan.runs.translation_data import as_tensor
from paddle_gan.runs.translation_options import resolve_translation
from paddle_gan.runs.translators import load_translator, translate_files, translated
from paddle_gan.system.randomness import seeded
from paddle_gan.training import paired
from paddle_gan.training.adversary import image_alone
from paddle_gan.training.log import read_metrics

# ---- Interpolation


@pytest.mark.parametrize("size", [(10, 8), (5, 4), (40, 33), (20, 7), (7, 64)])
def test_interpolation_is_that_of_pillow(size):
    """Reduced with the widened kernel, enlarged, unchanged, and both at once; Pillow in floating point."""
    pixels = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
    expected = np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC))
    made = resampled(paddle.to_tensor(pixels)[None, None], *size).numpy()[0, 0]
    np.testing.assert_allclose(made, expected, atol=2e-5)


def test_a_reduced_image_has_the_values_of_a_file():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    made = reduced(as_tensor(pixels.transpose(2, 0, 1)[None]), 4).numpy()[0].transpose(1, 2, 0)
    levels = (made + 1) * 127.5
    np.testing.assert_allclose(levels, levels.round(), atol=1e-4)
    expected = np.asarray(Image.fromarray(pixels).resize((6, 4), Image.Resampling.BICUBIC)).astype(float)
    assert np.abs(levels - expected).max() <= 1.01  # Pillow rounds between its two passes as well


# ---- The generator and its use


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_generator_begins_as_the_interpolation(scale):
    network = SubpixelGenerator(scale, 3, width=4, blocks=2)
    images = paddle.rand([2, 3, 6, 5]) * 2 - 1
    made = network(images)
    np.testing.assert_allclose(made.numpy(), resampled(images, 6 * scale, 5 * scale).numpy(), atol=1e-6)
    (gradient,) = paddle.grad([made.square().sum()], [network.last.weight])
    assert made.shape == [2, 3, 6 * scale, 5 * scale] and np.abs(gradient.numpy()).max() > 0


class Enlarged(nn.Layer):
    """Repeats every pixel three times, in both directions."""

    value_range, multiple = (-1.0, 1.0), 2

    def forward(self, images):
        assert max(images.shape[2:]) <= 32
        return images.repeat_interleave(3, 2).repeat_interleave(3, 3)


@pytest.mark.parametrize("size", [(1, 5), (32, 32), (75, 33), (40, 131)])
def test_tiles_of_a_larger_result_fit_together(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    made = translate_picture(Enlarged(), pixels, 32, as_tensor, 3)
    np.testing.assert_array_equal(made, pixels.repeat(3, 0).repeat(3, 1))


# ---- The beginning without a discriminator


def test_the_discriminator_begins_later():
    """In the first two rounds only the distance is learned; late terms begin with the discriminator."""
    with seeded("weights", 0):
        task = paired.assemble(
            lambda: SubpixelGenerator(2, 3, width=2, blocks=1),
            lambda: PatchDiscriminator(3, width=2, depth=1),
            OBJECTIVES["lsgan"],
            {"l1": paired.Term(1.0, l1_loss), "other": paired.Term(2.0, l1_loss, late=True)},
            Pair(paddle.zeros([1, 3, 8, 8]), paddle.zeros([1, 3, 16, 16])),
            judged=image_alone,
            begins=2,
            generator_optimizer=Adam(),
            discriminator_optimizer=Adam(),
        )
    targets = paddle.rand([2, 3, 16, 16])
    pair, weights, logged = Pair(reduced(targets, 2), targets), [], []
    for _ in range(3):
        logged.append(task.round(lambda number: pair, seed=0))
        weights.append(task.discriminator.network.last.weight.numpy())
    assert [set(values) for values in logged[:2]] == [{"loss/l1"}] * 2
    assert {"loss/l1", "loss/other", "loss/generator", "loss/discriminator"} <= set(logged[2])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[1] != weights[2]).any()
    expected = np.abs(targets.numpy() - resampled(pair.inputs, 16, 16).numpy()).mean()
    assert logged[0]["loss/l1"].item() == pytest.approx(expected, rel=1e-5)


# ---- A run


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def options(images):
    given = {"images": str(images / "a"), "task": "super-resolution", "load_size": 32, "blocks": 1, "warm_up": 0.75}
    return {**SMALL, **given, "steps": 8}


@pytest.fixture(scope="module")
def run(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    return run_translation(TranslateConfig(**options, out=str(folder)), lambda line: None)


def test_an_interrupted_run_comes_to_the_same_bits(run, options, tmp_path, monkeypatch):
    """It goes on from step 4, before the discriminator begins in step 6."""
    assert_resumes(run, options, tmp_path / "run", monkeypatch)
    lines = {line["step"]: line for line in read_metrics(run / "metrics.jsonl")}
    assert "loss/discriminator" not in lines[6] and {"loss/discriminator", "loss/perceptual"} <= set(lines[8])


def test_pictures_become_larger(run, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (21, 70, 4), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    config = ApplyConfig(out=str(tmp_path / "out"), tile=64)
    assert translate_files(load_translator(run), [tmp_path / "x.png"], config, print) == (1, 0)
    made = Image.open(tmp_path / "out" / "x.png")
    assert made.mode == "RGBA" and made.size == (140, 42)
    expected = Image.fromarray(pixels[:, :, 3]).resize((140, 42), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(np.asarray(made)[:, :, 3], np.asarray(expected))


def test_the_record_has_the_interpolation_beside_the_result(run, images, tmp_path):
    """On held-out images, and on pictures of any size by the protocol of Set5, computed here by hand."""
    picture = np.asarray(Image.open(images / "a" / "3.png").resize((51, 40), Image.Resampling.BICUBIC))
    (tmp_path / "set").mkdir()
    Image.fromarray(picture).save(tmp_path / "set" / "x.png")
    evaluate, out = COMMANDS["evaluate"], tmp_path / "record.json"
    evaluate.run(evaluate.parse([str(run), "--device", "cpu", "--out", str(out)]))
    record = json.loads(out.read_text())
    assert record["protocol"]["scale"] == 2 and record["protocol"]["image_size"] == 32
    for name in ("l1", "psnr_y", "ssim_y", "perceptual"):
        assert set(record["figures"][name]) == {"samples", "bicubic"}
    assert set(record["figures"]["frechet_distance"]) == {"samples", "bicubic", "real"}
    measured = read_metrics(run / "metrics.jsonl")[-1]["evaluation/psnr_y"]
    assert record["figures"]["psnr_y"]["samples"] == pytest.approx(measured)

    evaluate.run(evaluate.parse([str(run), "--dataset", str(tmp_path / "set"), "--out", str(out)]))
    figures = json.loads(out.read_text())["figures"]
    target = picture[:, :50]
    small = np.asarray(Image.fromarray(target).resize((25, 20), Image.Resampling.BICUBIC))
    large = np.asarray(Image.fromarray(small).resize((50, 40), Image.Resampling.BICUBIC))
    for column, made, tolerance in (
        ("bicubic", large, 0.05),
        ("samples", translated(load_translator(run), small, 512), 0.05),
    ):
        y, wanted = (without_border(luma(image[None]), 2) for image in (made, target))
        assert figures["psnr_y"][column] == pytest.approx(psnr(y, wanted)[0], abs=tolerance)
        assert figures["ssim_y"][column] == pytest.approx(ssim(y, wanted)[0], abs=2e-3)
    Image.fromarray(picture[:8]).save(tmp_path / "set" / "thin.png")
    with pytest.raises(DataError, match="thin.png: 50x8 is too small to be measured"):
        evaluate.run(evaluate.parse([str(run), "--dataset", str(tmp_path / "set"), "--out", str(out)]))


def test_defaults_and_what_is_refused():
    given = {"images": "a", "task": "super-resolution"}
    config = resolve_translation(TranslateConfig(**given), "cpu")
    assert (config.scale, config.load_size, config.generator, config.blocks) == (2, 256, "subpixel", 4)
    assert (config.l1_weight, config.perceptual_weight, config.warm_up) == (10, 10, 0.5)
    for changes, message in (
        ({"scale": 3}, "--scale 3: --image-size 64 and --load-size 256 must be multiples of it"),
        ({"generator": "unet"}, "--generator unet: --task super-resolution has subpixel"),
        ({"depth": 2}, "--depth is for --generator unet"),
        ({"task": "edges", "scale": 2}, "--scale is for --task super-resolution"),
        ({"task": "edges", "generator": "subpixel"}, "no other task has it"),
        ({"l1_weight": 0.0}, "--l1-weight 0 with --warm-up: nothing would be learned at first"),
    ):
        with pytest.raises(UsageError, match=message):
            resolve_translation(TranslateConfig(**{**given, **changes}), "cpu")
