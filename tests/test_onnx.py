"""Generators as ONNX files, run by onnxruntime, which knows nothing of Paddle."""

import json
import re

import numpy as np
import paddle
import paddle.nn as nn
import pytest
from conftest import ROOT
from paddle.static import InputSpec
from test_export import CASES, CLASSES, lively, shift

from paddle_gan.errors import NumericalError, UsageError
from paddle_gan.inference.folding import folded

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from paddle_gan.inference import onnx_file  # noqa: E402
from paddle_gan.inference.onnx_file import converted, export_onnx  # noqa: E402
from paddle_gan.inference.onnx_graph import OPSET  # noqa: E402


def images_of_onnx(path, latents, labels) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {"latents": latents.numpy()} | ({} if labels is None else {"labels": labels.numpy()})
    return session.run(["images"], feeds)[0]


@pytest.mark.parametrize(("name", "make", "classes"), [case for case in CASES if not case[0].startswith("mlp-")])
def test_every_generator_makes_the_same_images_as_onnx(name, make, classes, tmp_path):
    """The check that the export itself makes, and one with other latents."""
    generator, path = make(name, len(classes)), tmp_path / "generator.onnx"
    differences = export_onnx(generator, classes, path, {})
    assert list(differences) == [1, 7, 64] and max(differences.values()) <= 1e-5
    latents = paddle.randn([5, generator.latent_dim])
    labels = paddle.arange(5) % 3 if classes else None
    expected = generator(latents, labels).numpy()
    assert expected.std() > 0.005
    np.testing.assert_allclose(images_of_onnx(path, latents, labels), expected, atol=1e-5)


def test_an_onnx_file_says_what_it_takes_and_gives(tmp_path):
    """Named inputs of any number, value range, class names, the set of operators and the origin."""
    export_onnx(lively("tutorial", 3), CLASSES, tmp_path / "generator.onnx", {"run": "a run", "step": 5})
    model = onnx.load(tmp_path / "generator.onnx")
    shapes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {"latents": ["batch", 100], "labels": ["batch"], "images": ["batch", 3, 32, 32]}
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]
    metadata = {one.key: one.value for one in model.metadata_props}
    assert json.loads(metadata["value_range"]) == [0, 1] and json.loads(metadata["class_names"]) == ["a", "b", "c"]
    assert (metadata["run"], metadata["step"], metadata["opset"]) == ("a run", "5", str(OPSET))
    kinds = {node.op_type for node in model.graph.node}
    assert "DepthToSpace" in kinds and len(kinds) <= 12
    assert "model.0.conv.weight" in {weight.name for weight in model.graph.initializer}


class Convolution(nn.Layer):
    """A convolution with a different padding at each side, of a network of its own."""

    def __init__(self, **options):
        super().__init__()
        self.conv = nn.Conv2D(4, 6, 3, **options)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.conv(x)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": [1, 0, 2, 1], "stride": [2, 1]},
        {"padding": "same", "stride": 2},
        {"padding": "valid", "groups": 2, "dilation": [1, 2]},
    ],
)
def test_convolutions_of_other_kinds_are_the_same_in_onnx(options, tmp_path):
    network = Convolution(**options)
    (tmp_path / "x.onnx").write_bytes(
        converted(network, [InputSpec([None, 4, 9, 8], "float32", "latents")], {}).SerializeToString()
    )
    x = paddle.randn([2, 4, 9, 8])
    np.testing.assert_allclose(images_of_onnx(tmp_path / "x.onnx", x, None), network(x).numpy(), atol=1e-5)


def test_an_operation_without_a_translation_is_named(tmp_path):
    with pytest.raises(UsageError, match="cannot be written as ONNX: it has the operation softmax"):
        converted(nn.Softmax(), [InputSpec([None, 4], "float32", "x")], {})


def test_a_file_that_differs_from_its_network_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "folded", lambda generator: folded(lively("pixelshuffle").apply(shift)))
    with pytest.raises(NumericalError, match="ONNX file in onnxruntime differ"):
        export_onnx(lively("pixelshuffle"), (), tmp_path / "x.onnx", {})


def test_the_documented_example_runs(tmp_path):
    generator, path = lively("pixelshuffle"), tmp_path / "generator.onnx"
    export_onnx(generator, (), path, {})
    text = (ROOT / "docs" / "sampling-and-export.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(import numpy\nimport onnxruntime.*?)```", text, re.S)[1]
    names: dict = {}
    exec(code.replace("RUN/exported-onnx/generator.onnx", str(path)), names)
    expected = generator(paddle.to_tensor(names["latents"])).numpy()
    np.testing.assert_allclose(names["images"], expected, atol=1e-5)
