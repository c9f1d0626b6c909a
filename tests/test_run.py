"""A finished run as an object."""

import io
import json

import numpy as np
import pytest
from conftest import command_here, command_line
from PIL import Image

import paddle_gan
from paddle_gan import EvaluateConfig, load
from paddle_gan.errors import UsageError


def test_samples_are_those_of_the_command(conditional_run, tmp_path):
    run = load(conditional_run)
    assert (run.step, run.classes, run.options.conditional) == (4, tuple("0123456789"), True)
    made = command_line("sample", conditional_run, "--num", 5, "--label", 7, "--seed", 3, "--npz", tmp_path / "s.npz")
    assert made.returncode == 0, made.stderr
    with np.load(tmp_path / "s.npz") as file:
        np.testing.assert_array_equal(run.sample(5, label=7, seed=3), file["images"])
    raw = load(conditional_run, raw=True).sample(5, label=7, seed=3)
    assert (raw != run.sample(5, label=7, seed=3)).any()
    with pytest.raises(UsageError, match="label 10: this run has 10 labels"):
        run.sample(1, label=10)


def test_a_walk_goes_through_the_samples_of_its_seeds(conditional_run):
    run = load(conditional_run)
    frames = run.walk([0, 3], frames=2, label=7)
    assert len(frames) == 4
    for place, seed in ((0, 0), (2, 3)):
        sample = run.sample(1, label=7, seed=seed)[0, ..., 0].astype(int)
        assert np.abs(np.asarray(frames[place]) - sample).max() <= 1
    with pytest.raises(UsageError, match="two seeds or more"):
        run.walk([5])


def test_several_walks_with_a_class_for_each_keyframe(conditional_run):
    """Keyframes are the samples of their classes, ten walks in a row; truncation 0 leaves one image of a class."""
    run = load(conditional_run)
    frames = run.walk([2, 2], frames=2, label=[3, 8], count=10)
    assert len(frames) == 4
    for place, label in ((0, 3), (2, 8)):
        expected = np.asarray(run.grid(10, label=label, seed=2)).astype(int)
        assert np.abs(np.asarray(frames[place]) - expected).max() <= 1
    with pytest.raises(UsageError, match="label 10: this run has 10 labels"):
        run.walk([2, 2], label=[3, 10])
    still = run.walk([2, 5], frames=1, label=3, truncation=0.0)
    assert np.abs(np.asarray(still[0]).astype(int) - np.asarray(still[1])).max() == 0


def test_a_walk_is_an_animation_in_a_notebook(conditional_run):
    frames = load(conditional_run).walk([0, 3], frames=3)
    shown = Image.open(io.BytesIO(frames._repr_png_()))
    assert (shown.n_frames, shown.size, repr(frames)) == (6, (140, 140), "Animation of 6 pictures")
    shown.seek(4)
    np.testing.assert_array_equal(np.asarray(shown.convert("L")), np.asarray(frames[4]).repeat(5, 0).repeat(5, 1))


def test_a_walk_is_saved_by_the_name_of_the_file(conditional_run, tmp_path):
    frames = load(conditional_run).walk([0, 3], frames=3)
    frames.save(tmp_path / "walk.apng", fps=10)
    saved = Image.open(tmp_path / "walk.apng")
    assert (saved.n_frames, saved.info["duration"]) == (6, 100)
    saved.seek(4)
    np.testing.assert_array_equal(np.asarray(saved.convert("L")), np.asarray(frames[4]))
    with pytest.raises(UsageError, match="ends with one of"):
        frames.save(tmp_path / "walk.jpg")


def test_truncated_samples_are_those_of_the_command(conditional_run, tmp_path):
    command_here("sample", conditional_run, "--num", 6, "--truncation", 0.5, "--npz", tmp_path / "s.npz")
    run = load(conditional_run)
    with np.load(tmp_path / "s.npz") as file:
        np.testing.assert_array_equal(run.sample(6, truncation=0.5), file["images"])
    assert run.grid(6, truncation=0.5) != run.grid(6)


def test_the_nearest_training_images_stand_beside_samples(conditional_run, monkeypatch):
    def inverted(config, images):
        return 255 - images

    monkeypatch.setattr("paddle_gan.runs.run.nearest_training", inverted)
    run = load(conditional_run)
    sheet = np.asarray(run.grid(10, nearest=True))
    assert sheet.shape == (2 * (56 + 2) + 2, 10 * (56 + 2) + 2, 3)
    first, second = sheet[2:58, 2:58], sheet[2:58, 60:116]
    np.testing.assert_array_equal(first, 255 - second)
    np.testing.assert_array_equal(first[::2, ::2, :1], run.sample(10)[0])


def test_a_notebook_shows_lines_and_errors_in_the_users_language(tmp_path, monkeypatch, capsys):
    """An error is one line, and so is what a function of the front door says."""
    assert UsageError("no such run")._render_traceback_() == ["error: no such run"]
    monkeypatch.setenv("PADDLE_GAN_LANGUAGE", "zh")
    assert UsageError(f"{tmp_path}: no such folder")._render_traceback_() == [f"错误：{tmp_path}: 没有这个文件夹"]
    options = {"generator": "mlp", "discriminator": "mlp", "width": 2, "discriminator_width": 2, "device": "cpu"}
    paddle_gan.train(paddle_gan.TrainConfig(steps=1, evaluate_every=0, out=str(tmp_path / "run"), **options))
    shown = capsys.readouterr().out
    assert "训练目录：" in shown and "run folder" not in shown


def test_pictures_of_a_run(conditional_run):
    """A column for each class; a panel for the losses and one for the mean logits."""
    run = load(conditional_run)
    columns, rows = 10, 2
    assert run.grid(20).size == (columns * (56 + 2) + 2, rows * (56 + 2) + 2)
    assert run.curves().size == (2 * 400, 280)
    assert run.log() == [json.loads(line) for line in (conditional_run / "metrics.jsonl").read_text().splitlines()]


def test_measures_of_a_run(conditional_run):
    record = load(conditional_run).evaluate(EvaluateConfig(num=300), say=[].append)
    assert (record["protocol"]["samples"], record["protocol"]["dataset"]) == (300, "mnist")
    distance = record["figures"]["frechet_distance"]
    assert 0 < distance["real"] < 50 < distance["samples"]


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UsageError, match="not a run folder"):
        load(tmp_path)
