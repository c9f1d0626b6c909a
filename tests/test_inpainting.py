"""In-painting: masks, the smooth fill, the generator that keeps what is known, its run, its measures, and its use."""

import json
import sys
from itertools import product
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from PIL import Image
from translations import SMALL, assert_resumes, make_images

from paddle_gan.commands import COMMANDS
from paddle_gan.config.translate import ApplyConfig, TranslateConfig
from paddle_gan.datasets import grey_sets
from paddle_gan.datasets.holes import MASKS, drawn_from, with_drawn_holes
from paddle_gan.errors import DataError, UsageError
from paddle_gan.metrics import psnr, psnr_within, ssim, ssim_map, within
from paddle_gan.networks.blocks import GatedConv
from paddle_gan.networks.filling import smooth_fill
from paddle_gan.networks.restoration import FillingGenerator
from paddle_gan.networks.translation import UNetGenerator
from paddle_gan.runs import translation_measures
from paddle_gan.runs.translation import run_translation
from paddle_gan.runs.translation_data import as_tensor
from paddle_gan.runs.translation_options import resolve_translation
from paddle_gan.runs.translators import load_translator, translate_files

# ---- Masks


@pytest.mark.parametrize("mask", MASKS)
def test_a_mask_depends_on_its_key_alone(mask):
    images = paddle.rand([3, 3, 32, 32]) * 2 - 1
    first = with_drawn_holes(MASKS[mask], images, [(0, 1), (0, 2), (0, 1)])
    again = with_drawn_holes(MASKS[mask], images[:1], [(0, 2)])
    holes = first.inputs.numpy()[:, 3] > 0
    np.testing.assert_array_equal(holes[0], holes[2])
    np.testing.assert_array_equal(holes[1], again.inputs.numpy()[0, 3] > 0)
    assert (holes[0] != holes[1]).any() and 0.02 < holes.mean() < 0.6
    inputs, outside = first.inputs.numpy()[:, :3], ~holes[:, None].repeat(3, 1)
    np.testing.assert_array_equal(inputs[outside], images.numpy()[outside])
    assert (inputs[~outside] == 0).all()


def test_boxes_have_a_quarter_to_a_half_of_the_side():
    seen = set()
    for seed in range(60):
        hole = MASKS["box"](np.random.default_rng(seed), 16)
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole.sum() == len(rows) * len(columns)
        seen |= {len(rows), len(columns)}
    assert seen == {4, 5, 6, 7, 8}


def test_a_mask_from_an_image(tmp_path):
    Image.fromarray(np.array([[0, 255], [100, 200]], np.uint8)).save(tmp_path / "mask.png")
    hole = drawn_from(str(tmp_path / "mask.png"))(np.random.default_rng(0), 4)
    np.testing.assert_array_equal(hole, [[False, False, True, True]] * 4)
    with pytest.raises(DataError, match=r"none\.png"):
        drawn_from(str(tmp_path / "none.png"))


# ---- The fill and the generator


def test_many_sweeps_solve_laplaces_equation():
    """Against the linear system of the hole, solved directly; a hole at the border too."""
    random = np.random.default_rng(0)
    values, hole = random.uniform(-1, 1, (16, 16)), np.zeros((16, 16), bool)
    hole[3:10, 4:12] = hole[12:, 13:] = True
    places = {place: i for i, place in enumerate(map(tuple, np.argwhere(hole).tolist()))}
    matrix, right = np.zeros((len(places), len(places))), np.zeros(len(places))
    for (row, column), i in places.items():
        for dy, dx in product((-1, 0, 1), repeat=2):
            other = (row + dy, column + dx)
            if not (0 <= other[0] < 16 and 0 <= other[1] < 16):
                continue  # no flux through the border
            matrix[i, i] += 1
            if other in places:
                matrix[i, places[other]] -= 1
            else:
                right[i] += values[other]
    expected = values.copy()
    expected[hole] = np.linalg.solve(matrix, right)
    tensors = [paddle.to_tensor(array.astype(np.float32))[None, None] for array in (values, 1.0 - hole)]
    np.testing.assert_allclose(smooth_fill(*tensors, sweeps=300).numpy()[0, 0], expected, atol=1e-4)
    nothing = smooth_fill(tensors[0], paddle.zeros([1, 1, 16, 16]), sweeps=2)
    assert (nothing.numpy() == 0).all()


def test_known_pixels_stay_and_the_fill_meets_them():
    """At the start it is the smooth fill; a constant added to the U-Net's output is removed by the membrane."""
    images = paddle.rand([2, 3, 16, 16]) * 2 - 1
    pair = with_drawn_holes(MASKS["box"], images, [(0,), (1,)])
    known = (1 - pair.inputs[:, 3:]) / 2
    network = FillingGenerator(UNetGenerator(4, 3, width=2, depth=2))
    expected = smooth_fill(images, known, sweeps=2).numpy()
    last = network.fill.last.conv
    for bias in (0.0, 0.7):
        last.bias.set_value(paddle.full([3], bias))
        np.testing.assert_allclose(network(pair.inputs).numpy(), expected, atol=1e-5)
    last.weight.set_value(paddle.randn(last.weight.shape))
    made = network(pair.inputs)
    np.testing.assert_allclose((made * known).numpy(), (images * known).numpy(), atol=1e-6)
    assert np.abs(made.numpy() - expected).max() > 0.1


def test_a_gate_lets_values_through_or_holds_them_back():
    """Against the two convolutions and the sigmoid, and with gates that are open or shut."""
    paddle.seed(0)
    stage, x = GatedConv(3, 5, 4, 2, padding=1, norm=None), paddle.randn([2, 3, 8, 8])
    gate = 1 / (1 + np.exp(-stage.gate.conv(x).numpy()))
    np.testing.assert_allclose(stage(x).numpy(), stage.features(x).numpy() * gate, atol=1e-5)
    for bias, share in ((30.0, 1.0), (-30.0, 0.0)):
        stage.gate.conv.bias.set_value(paddle.full([5], bias))
        np.testing.assert_allclose(stage(x).numpy(), share * stage.features(x).numpy(), atol=1e-5)
    network = UNetGenerator(4, 3, width=2, depth=2, gated=True)
    assert [type(stage) for stage in network.down] == [GatedConv, GatedConv]


# ---- Measures


def test_figures_of_holes():
    random = np.random.default_rng(0)
    first, second = random.integers(0, 256, (2, 2, 16, 18, 3), np.uint8)
    everything = np.ones((2, 16, 18), bool)
    np.testing.assert_allclose(psnr_within(first, second, everything), psnr(first, second))
    similarity = ssim_map(first, second)
    assert similarity.shape == (2, 6, 8, 3)
    np.testing.assert_allclose(within(similarity, everything), ssim(first, second))
    hole = np.zeros((2, 16, 18), bool)
    hole[0, 7:9, 6] = True
    error = ((first[0, 7:9, 6].astype(float) - second[0, 7:9, 6]) ** 2).mean()
    made = psnr_within(first, second, hole)
    assert made[0] == pytest.approx(10 * np.log10(255**2 / error)) and np.isnan(made[1])
    assert within(similarity, hole)[0] == pytest.approx(similarity[0, 2:4, 1].mean())


# ---- A run


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    images = make_images(tmp_path_factory.mktemp("images"))
    return {
        **SMALL,
        "images": str(images / "a"),
        "task": "inpaint",
        "mask": "brush",
        "depth": 2,
        "gated": True,
        "steps": 8,
    }


@pytest.fixture(scope="module")
def run(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    return run_translation(TranslateConfig(**options, out=str(folder)), lambda line: None)


def test_an_interrupted_run_comes_to_the_same_bits(run, options, tmp_path, monkeypatch):
    assert_resumes(run, options, tmp_path / "run", monkeypatch)


def test_the_record_has_the_harmonic_fill_beside_the_result(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(translation_measures, "find_spec", {}.get)  # no scikit-image
    evaluate, records = COMMANDS["evaluate"], []
    for name in ("first", "second"):
        evaluate.run(evaluate.parse([str(run), "--device", "cpu", "--out", str(tmp_path / f"{name}.json")]))
        records.append(json.loads((tmp_path / f"{name}.json").read_text()))
    assert "the biharmonic fill needs scikit-image" in capsys.readouterr().out
    assert records[0]["figures"] == records[1]["figures"]  # the same holes
    assert records[0]["protocol"]["mask"] == "brush"
    for name in ("l1", "psnr_hole", "ssim_hole", "perceptual"):
        assert set(records[0]["figures"][name]) == {"samples", "harmonic"}
    assert np.isfinite([value for line in records[0]["figures"].values() for value in line.values()]).all()


def test_the_biharmonic_fill_stands_beside_where_scikit_image_is(monkeypatch):
    """With a function in its place that fills exactly: it gets images from 0 to 1, and their holes."""
    pair = with_drawn_holes(MASKS["box"], as_tensor(np.full((2, 3, 16, 16), 51, np.uint8)), [(0,), (1,)])
    options = resolve_translation(TranslateConfig(images="a", task="inpaint"), "cpu")

    def inpaint_biharmonic(image, hole, channel_axis):
        np.testing.assert_allclose(image[~hole], 0.2)
        return np.where(hole[..., None], 0.2, image)

    module = SimpleNamespace(inpaint_biharmonic=inpaint_biharmonic)
    monkeypatch.setitem(sys.modules, "skimage", SimpleNamespace(restoration=module))
    monkeypatch.setitem(sys.modules, "skimage.restoration", module)
    for there in (False, True):
        monkeypatch.setattr(translation_measures, "find_spec", {"skimage": there or None}.get)
        floors = translation_measures.floors_of_pairs(options, pair, pair)
        assert list(floors) == ["harmonic", "biharmonic"][: 1 + there]
    np.testing.assert_array_equal(floors["biharmonic"], np.full((2, 16, 16, 3), 51))


def test_holes_of_pictures_are_filled_and_all_else_stays(run, tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 4), np.uint8)
    hole = np.zeros((70, 90), bool)
    hole[20:40, 30:70] = True
    pixels[:, :, 3] = np.where(hole, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    Image.fromarray(pixels[:, :, :3]).save(tmp_path / "opaque.png")
    Image.fromarray(hole).save(tmp_path / "mask.png")
    translator = load_translator(run)
    config = {"out": str(tmp_path / "out"), "tile": 64}
    both = [tmp_path / "alpha.png", tmp_path / "opaque.png"]
    assert translate_files(translator, both, ApplyConfig(**config), print) == (1, 1)
    assert (
        "opaque.png: no transparent pixels to fill; name the hole with a mask (--mask FILE)" in capsys.readouterr().out
    )
    masked = ApplyConfig(**config, mask=str(tmp_path / "mask.png"))
    assert translate_files(translator, both[1:], masked, print) == (1, 0)
    first, second = (np.asarray(Image.open(tmp_path / "out" / path.name)) for path in both)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[~hole], pixels[~hole, :3])
    assert (first[hole] != pixels[hole, :3]).any()
    Image.fromarray(pixels[:8]).save(tmp_path / "small.png")
    assert translate_files(translator, [tmp_path / "small.png"], masked, print) == (0, 1)
    assert "the mask is 90x70 pixels, the picture 90x8" in capsys.readouterr().out


def test_holes_are_learned_in_the_digits_that_come_with_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read = grey_sets._load_file
    monkeypatch.setattr(grey_sets, "_load_file", lambda *arguments: read(*arguments)[:240])  # a few, for speed
    options = {**SMALL, "images": "mnist", "task": "inpaint", "depth": 2, "steps": 2, "evaluate_every": 0}
    folder = run_translation(TranslateConfig(**options, out="run"), lambda line: None)
    assert json.loads((folder / "config.json").read_text())["images"] == "mnist"
    evaluate = COMMANDS["evaluate"]
    evaluate.run(evaluate.parse([str(folder), "--device", "cpu", "--out", "record.json"]))
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["protocol"]["samples"] == 60 and record["figures"]["psnr_hole"]["harmonic"] > 10
    with pytest.raises(UsageError, match="--workers is for folders of images"):
        run_translation(TranslateConfig(**options, workers=2, out="other"), lambda line: None)


def test_what_is_refused():
    with pytest.raises(UsageError, match="--mask is for --task inpaint"):
        resolve_translation(TranslateConfig(images="a", task="edges", mask="box"), "cpu")
    for other in ({"task": "edges"}, {"task": "inpaint", "generator": "residual"}):
        with pytest.raises(UsageError, match="--gated is for --task inpaint with --generator unet"):
            resolve_translation(TranslateConfig(images="a", gated=True, **other), "cpu")
    assert resolve_translation(TranslateConfig(images="a", task="inpaint"), "cpu").mask == "box"
