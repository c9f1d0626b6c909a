"""Translators as ONNX files, as programs of Paddle and as weights, for pictures of any size."""

import json
from pathlib import Path

import numpy as np
import paddle
import paddle.inference
import pytest
from conftest import command_here
from PIL import Image
from translations import SMALL, make_images

from paddle_gan.commands.translate import TRANSLATE
from paddle_gan.config.translate import TranslateConfig
from paddle_gan.datasets.bicubic import enlarged, enlarged_of_any_size
from paddle_gan.errors import NumericalError, UsageError
from paddle_gan.inference import translator_export
from paddle_gan.inference.any_size import for_any_size
from paddle_gan.inference.export import predictor_config
from paddle_gan.networks.filling import smooth_fill, smooth_fill_of_any_size
from paddle_gan.runs.translation import run_translation
from paddle_gan.runs.translation_building import new_translator
from paddle_gan.runs.translation_options import resolve_translation
from paddle_gan.runs.translator_shipping import TranslatorShipment, ship_translator
from paddle_gan.runs.translators import Translator, load_translator, translated

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

# Options of each kind of translator: all tasks, both generators, two scales.
FAMILIES = {
    "pairs": {"pairs": ("/secret/inputs", "/secret/targets"), "depth": 3, "generator": "unet"},
    "unpaired": {"unpaired": ("/secret/a", "/secret/b"), "blocks": 1},
    "colorize": {"images": "/secret/photographs", "task": "colorize", "depth": 2, "generator": "unet"},
    "edges": {"images": "/secret/photographs", "task": "edges", "blocks": 1, "generator": "residual"},
    "super-resolution": {"images": "/secret/photographs", "task": "super-resolution", "scale": 2, "blocks": 1},
    "inpaint": {"images": "/secret/photographs", "task": "inpaint", "depth": 3, "gated": True},
}
# Numbers, heights and widths, which are not those that an export is checked with.
OTHERS = [(2, 19, 41), (1, 80, 32), (4, 3, 16)]


def shipment(family: str, folder: Path) -> TranslatorShipment:
    """A translator of a run in `folder`, with random weights of the size that keeps values as they are."""
    config = resolve_translation(TranslateConfig(image_size=16, width=4, steps=5, **FAMILIES[family]), "cpu")
    paddle.seed(len(family))
    network = new_translator(config)
    for weight in network.parameters():
        fan_in = np.prod(weight.shape[1:]) if weight.ndim > 1 else 10
        weight.set_value(paddle.randn(weight.shape) * float(1 / np.sqrt(fan_in)))
    network.eval()
    return TranslatorShipment(Translator(network, config, 5), folder, "average")


def apply(*arguments: object) -> None:
    command = TRANSLATE.commands["apply"]
    command.run(command.parse([str(argument) for argument in arguments]))


def trial(family: str, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    count, height, width = shape
    random = np.random.default_rng(height)
    inputs = {"images": random.random((count, 3, height, width), np.float32)}
    if family == "inpaint":
        inputs["masks"] = (random.random((count, 1, height, width)) < 0.3).astype(np.float32)
    return inputs


def expected(own: TranslatorShipment, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """What the network makes of the inputs, prepared by NumPy."""
    network, config = own.translator.network, own.translator.config
    images = inputs["images"]
    values = images * 2 - 1
    if config.task in ("colorize", "edges"):
        values = np.tensordot([0.299, 0.587, 0.114], values, (0, 1))[:, None]
    if config.task == "inpaint":
        values = np.concatenate([values * (1 - inputs["masks"]), inputs["masks"] * 2 - 1], 1)
    height, width = values.shape[2:]
    sides = [max(16, network.multiple, -(-side // network.multiple) * network.multiple) for side in (height, width)]
    padded = np.pad(values, ((0, 0), (0, 0), (0, sides[0] - height), (0, sides[1] - width)), mode="symmetric")
    with paddle.no_grad():
        outputs = network(paddle.to_tensor(padded.astype(np.float32))).numpy()
    scale = config.scale or 1
    made = np.clip((outputs[:, :, : scale * height, : scale * width] + 1) / 2, 0, 1)
    return np.where(inputs["masks"] > 0, made, images) if config.task == "inpaint" else made


@pytest.mark.parametrize("family", FAMILIES)
def test_every_translator_computes_the_same_in_onnx_for_any_size(family, tmp_path):
    own = shipment(family, tmp_path / "run")
    said = ship_translator(own, "onnx", tmp_path / "out")
    assert "for 1 of 64x64 pixels" in said and "for 3 of 37x50 pixels" in said
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "translator.onnx"))
    for shape in OTHERS:
        inputs = trial(family, shape)
        [made] = session.run(["translated"], inputs)
        wanted = expected(own, inputs)
        assert wanted.std() > 0.05
        np.testing.assert_allclose(made, wanted, atol=1e-5)
    names = {one.name for one in session.get_inputs()}
    assert names == ({"images", "masks"} if family == "inpaint" else {"images"})
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    assert session.get_outputs()[0].shape[:2] == ["batch", 3]
    metadata = session.get_modelmeta().custom_metadata_map
    assert (metadata["task"], metadata["step"], metadata["opset"]) == (family, "5", "16")
    assert json.loads(metadata["inputs"])["images"]["value_range"] == [0, 1]
    assert json.loads(metadata["outputs"])["translated"]["value_range"] == [0, 1]
    multiple = own.translator.network.multiple
    assert f"multiples of {multiple} pixels" in metadata["sizes"] or multiple == 1


@pytest.mark.parametrize("family", ["pairs", "unpaired", "super-resolution", "inpaint"])
def test_the_program_of_paddle_computes_the_same(family, tmp_path):
    """The U-Net has the leaky ReLUs that Paddle must not fuse."""
    own, out = shipment(family, tmp_path / "run"), tmp_path / "out"
    assert "in paddle.inference" in ship_translator(own, "paddle", out)
    config = predictor_config(out / "translator.json", out / "translator.pdiparams")
    predictor = paddle.inference.create_predictor(config)
    inputs = trial(family, OTHERS[0])
    for name, values in inputs.items():
        predictor.get_input_handle(name).copy_from_cpu(values)
    predictor.run()
    made = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
    np.testing.assert_allclose(made, expected(own, inputs), atol=1e-5)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["inputs"]["images"]["shape"] == ["N", 3, "H", "W"]
    side = "2 H" if family == "super-resolution" else "H"
    assert manifest["outputs"]["translated"]["shape"][2] == side


def test_the_card_of_a_translator_names_what_it_takes_and_nothing_of_the_machine(tmp_path):
    own, out = shipment("inpaint", tmp_path / "run"), tmp_path / "out"
    ship_translator(own, "safetensors", out)
    card = json.loads((out / "model_card.json").read_text())
    assert card["export"] == {
        **{"format": "safetensors", "run": "run", "task": "inpaint", "direction": "forth"},
        **{"weights": "average", "step": 5},
    }
    assert card["data"] == {"name": "photographs", "licence": None} and card["samples"] is None
    assert set(card["inputs"]) == {"images", "masks"} and set(card["sha256"]) == {
        "config.json",
        "translator.safetensors",
    }
    page = (out / "README.md").read_text()
    assert "pipeline_tag: image-to-image" in page and "These weights were not measured." in page
    assert "input `masks` | float32 ['N', 1, 'H', 'W'] in [0, 1]: 1 in the hole, 0 elsewhere" in page
    assert "secret" not in "".join(path.read_text() for path in out.glob("*.[jm][sd]*"))
    again = load_translator(out, weights=out / "translator.safetensors")
    for name, weight in own.translator.network.state_dict().items():
        np.testing.assert_array_equal(again.network.state_dict()[name].numpy(), weight.numpy())
    with pytest.raises(UsageError, match="web is for generators; a translation is exported as paddle, onnx"):
        ship_translator(own, "web", tmp_path / "page")


def test_a_translator_that_differs_from_its_network_is_refused(tmp_path, monkeypatch):
    own = shipment("unpaired", tmp_path / "run")

    def shifted(form):
        copied = for_any_size(form)
        copied.network.last.bias.set_value(copied.network.last.bias + 0.01)
        return copied

    monkeypatch.setattr(translator_export, "for_any_size", shifted)
    with pytest.raises(NumericalError, match="ONNX file differ"):
        ship_translator(own, "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_both_directions_of_a_run_are_exported_by_the_command(tmp_path):
    """Forth and back: the files translate a picture as the run does, and the weights alone are enough for `apply`."""
    folder = make_images(tmp_path)
    options = SMALL | {"evaluate_every": 0, "blocks": 1}
    run = tmp_path / "run"
    sides = (str(folder / "a"), str(folder / "b"))
    run_translation(TranslateConfig(unpaired=sides, steps=2, out=str(run), **options), lambda line: None)
    picture = np.asarray(Image.open(folder / "a" / "3.png").convert("RGB"))
    for reverse in (False, True):
        out = tmp_path / f"out-{reverse}"
        command_here("export", run, "--format", "onnx", "--out", out, *(["--reverse"] if reverse else []))
        session = onnxruntime.InferenceSession(str(out / "translator.onnx"))
        [made] = session.run(None, {"images": picture.transpose(2, 0, 1)[None].astype(np.float32) / 255})
        wanted = translated(load_translator(run, reverse=reverse), picture, 64)
        assert np.abs(np.rint(made[0].transpose(1, 2, 0) * 255) - wanted).max() <= 1
        card = json.loads((out / "model_card.json").read_text())
        assert card["export"]["direction"] == ("back" if reverse else "forth")
        assert card["samples"] == {"file": "samples.png", "count": 3, "selected": False}
        assert Image.open(out / "samples.png").size[0] > 6 * 16
    command_here("export", run, "--format", "safetensors")
    for place, extra in (
        (run, []),
        (run / "exported-safetensors", ["--weights", run / "exported-safetensors" / "translator.safetensors"]),
    ):
        target = tmp_path / place.name / "applied"
        apply(place, folder / "a" / "3.png", "--out", target, "--device", "cpu", *extra)
    pictures = [Image.open(tmp_path / name / "applied" / "3.png") for name in ("run", "exported-safetensors")]
    np.testing.assert_array_equal(*map(np.asarray, pictures))


@pytest.mark.parametrize("shape", [(64, 96), (33, 50), (8, 8), (16, 7), (24, 40)])
def test_the_forms_for_any_size_are_those_of_training(shape):
    """The fill with its halvings, which end at different sizes, and the bicubic enlargement."""
    paddle.seed(0)
    values, known = paddle.randn([2, 3, *shape]), (paddle.rand([2, 1, *shape]) < 0.2).astype("float32")
    known[0] = 0
    filled = smooth_fill(values, known, 2).numpy()
    np.testing.assert_allclose(smooth_fill_of_any_size(values, known, 2).numpy(), filled, atol=2e-6)
    for scale in (2, 3, 4):
        wanted = enlarged(values, scale).numpy()
        np.testing.assert_allclose(enlarged_of_any_size(values, scale).numpy(), wanted, atol=5e-6)
