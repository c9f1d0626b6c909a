"""docs/translation_data.py, which makes images for translations of what packages bring, on tiny inputs."""

import importlib.util
import sys
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image, ImageFont


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("translation_data", ROOT / "docs" / "translation_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pixels_of(folder, side: str) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in sorted((folder / side).iterdir())}


def test_the_same_characters_are_drawn_in_both_typefaces(script, tmp_path):
    assert len(set(script.common_characters())) == 3755 and script.common_characters()[0] == "啊"
    (tmp_path / "font.ttf").write_bytes(ImageFont.load_default(20).font_bytes)
    fonts = [str(tmp_path / "font.ttf")] * 2
    script.main(["glyphs", *fonts, str(tmp_path / "out"), "--size", "32", "--characters", "ai", "--count", "2"])
    made = pixels_of(tmp_path / "out", "first")
    assert list(made) == ["00061.png", "00069.png"] == list(pixels_of(tmp_path / "out", "second"))
    for glyph in made.values():
        assert glyph.shape == (32, 32) and glyph[0].min() == 255 and glyph.min() < 50
    assert (made["00061.png"] < 128).sum() > (made["00069.png"] < 128).sum()


def test_crops_of_both_maps_are_of_the_same_places(script, tmp_path):
    """The larger map is reduced; a place that is plain in one of them is left out."""
    blocks = np.random.default_rng(0).integers(0, 256, (4, 8, 3), np.uint8)
    blocks[:2, 2:4] = 9
    for name, factor in (("small", 8), ("large", 16)):
        Image.fromarray(blocks.repeat(factor, 0).repeat(factor, 1)).save(tmp_path / f"{name}.png")
    maps = [str(tmp_path / f"{name}.png") for name in ("large", "small")]
    script.main(["earth", *maps, str(tmp_path / "out"), "--size", "16"])
    first, second = (pixels_of(tmp_path / "out", side) for side in ("first", "second"))
    assert list(first) == ["00-00.png", "00-02.png", "00-03.png", *(f"01-0{i}.png" for i in range(4))] == list(second)
    np.testing.assert_array_equal(second["01-03.png"], blocks[2:, 6:].repeat(8, 0).repeat(8, 1))
    for name, crop in first.items():
        assert np.abs(crop.astype(int) - second[name]).mean() < 12


def test_crops_of_one_map_may_overlap(script, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "map.png")
    script.main(["earth", str(tmp_path / "map.png"), str(tmp_path / "out"), "--size", "16", "--stride", "8"])
    crops = pixels_of(tmp_path / "out", "first")
    assert len(crops) == 3 * 7 and not (tmp_path / "out" / "second").exists()
    np.testing.assert_array_equal(crops["01-03.png"], pixels[8:24, 24:40])


def test_a_drawing_that_cannot_be_made_is_left_out_on_both_sides(script, tmp_path, monkeypatch, capsys):
    def svg2png(url, output_width, **options):
        if "bad" in url:
            raise AttributeError("no such marker")
        file = BytesIO()
        Image.new("RGB", (output_width, 3)).save(file, "PNG")
        return file.getvalue()

    monkeypatch.setitem(sys.modules, "cairosvg", SimpleNamespace(svg2png=svg2png))
    for side in ("black", "color"):
        (tmp_path / side / "svg").mkdir(parents=True)
        for name in ("good", "bad"):
            (tmp_path / side / "svg" / f"{name}.svg").touch()
    script.main(["outlines", str(tmp_path), str(tmp_path / "out"), "--size", "5"])
    for side in ("black", "color"):
        assert [image.shape for image in pixels_of(tmp_path / "out", side).values()] == [(3, 5, 3)]
    assert "bad.svg is left out" in capsys.readouterr().out


def test_photographs_to_train_on_and_to_measure_on(script, tmp_path, monkeypatch, capsys):
    names = {("here", "inside"): ("a.png", "chelsea.png"), ("not_here", "data"): ("b.png",)}
    (tmp_path / "inside").mkdir()
    for name in names["here", "inside"]:
        (tmp_path / "inside" / name).write_text(name)
    origin = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(script, "PHOTOGRAPHS", names)
    monkeypatch.setattr(script, "find_spec", {"here": origin, "not_here": None}.get)
    script.main(["photographs", str(tmp_path / "out")])
    assert (tmp_path / "out/train/a.png").read_text() == "a.png" and (tmp_path / "out/test/chelsea.png").exists()
    assert capsys.readouterr().out.splitlines()[0] == "not_here is not installed; its photographs are left out"
