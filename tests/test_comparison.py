"""Comparisons: equal conditions, one run after another, resumable, and a report that says what may be chance."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import command_here, command_line
from PIL import Image
from scipy import stats
from visualdl import LogReader

from paddle_gan import CompareConfig, compare
from paddle_gan.evaluation.records import mean_and_error
from paddle_gan.studies import report
from paddle_gan.studies.comparison import Result

SMALL = ("--width", 4, "--discriminator-width", 4, "--clusters", 0, "--batch-size", 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished comparison, and the output of its second half."""
    out = tmp_path_factory.mktemp("comparison")
    arguments = ("--steps", 2, "--num", 40, *SMALL, "--out", out, "--device", "cpu")
    command_here("compare", "--loss", "lsgan", "wgan", "--seeds", 1, *arguments)
    second = command_line("compare", "--loss", "lsgan", "wgan", "--seeds", 2, *arguments)
    assert second.returncode == 0, second.stderr
    return out, second.stdout


def test_what_is_done_is_not_done_again(folder):
    out, printed = folder
    assert "lsgan, seed 1: step 2/2" in printed and "seed 0: step" not in printed
    assert sorted(path.name for path in (out / "runs").glob("*.json")) == [
        f"{loss}-{seed}.json" for loss in ("lsgan", "wgan") for seed in (0, 1)
    ]


def test_equal_footing(folder):
    """The same options, except those of the objective's recipe, and the same protocol of measurement."""
    out, _ = folder
    configs = [json.loads((out / "runs" / f"{loss}-1" / "config.json").read_text()) for loss in ("lsgan", "wgan")]
    different = {name for name in configs[0] if configs[0][name] != configs[1][name]}
    recipe = {"loss", "optimizer", "learning_rate", "beta1", "beta2", "rho", "discriminator_steps", "weight_clip"}
    recipe |= {"r1", "penalty_every", "schedule", "discriminator_norm", "discriminator_init"}
    assert different - {"out"} <= recipe
    protocols = [json.loads(path.read_text())["protocol"] for path in (out / "runs").glob("*.json")]
    assert all(protocol == protocols[0] for protocol in protocols) and protocols[0]["samples"] == 40


def test_compare_in_python_returns_the_report(folder, tmp_path):
    """Of the finished comparison, without training again; a notebook shows its table."""
    made_by_command = (folder[0] / "report.md").read_text()
    out = Path(shutil.copytree(folder[0], tmp_path / "copy"))
    numbers = {"seeds": 2, "num": 40, "width": 4, "discriminator_width": 4, "clusters": 0, "batch_size": 8, "steps": 2}
    compared = compare(CompareConfig(loss=("lsgan", "wgan"), device="cpu", out=str(out), **numbers), [].append)
    assert compared.folder == out and [result.loss for result in compared.results] == ["lsgan"] * 2 + ["wgan"] * 2
    shown = compared._repr_markdown_()
    assert shown.splitlines()[:6] == made_by_command.splitlines()[:6] and "curves.png" not in shown
    assert "Made by: compare(CompareConfig(loss=('lsgan', 'wgan'), seeds=2, num=40" in shown
    assert compared.curves().size == Image.open(out / "curves.png").size
    assert compared.samples().size == Image.open(out / "samples.png").size


def test_report(folder):
    out, printed = folder
    text = (out / "report.md").read_text()
    assert text in printed
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows] == ["| ", "| ---", *(row[0] for row in rows[2:4]), "| real images"]
    assert {row[0] for row in rows[2:4]} == {"| lsgan", "| wgan"}
    for row in rows[2:4]:
        loss = row[0].removeprefix("| ")
        values = [
            json.loads((out / "runs" / f"{loss}-{seed}.json").read_text())["figures"]["frechet_distance"]["samples"]
            for seed in (0, 1)
        ]
        mean, error = map(float, row[1].split(" ± "))
        assert mean == pytest.approx(np.mean(values), rel=0.01)
        assert error == pytest.approx(np.std(values, ddof=1) / 2**0.5, rel=0.06, abs=0.6)
    page = (out / "report.html").read_text()
    assert "<table>" in page and "real images" in page and 'src="curves.png"' in page
    for name in ("curves", "samples"):
        assert np.asarray(Image.open(out / f"{name}.png").convert("L")).std() > 5


def test_visualdl_has_pictures_and_table(folder):
    out, _ = folder
    reader = LogReader(file_path=str(next((out / "visualdl" / "report").glob("vdlrecords*"))))
    tags = reader.get_tags()
    assert set(tags["image"]) == {"comparison/curves", "comparison/samples"} and tags["text"] == ["comparison/table"]
    texts = [record.text.encoded_text_string for record in reader.get_data("text", "comparison/table")]
    assert len(texts) == 3 and texts[2].startswith("real images, Fréchet distance")


def test_another_comparison_in_the_same_folder_is_refused(folder):
    out, _ = folder
    done = command_line("compare", "--loss", "lsgan", "--steps", 3, "--num", 40, *SMALL, "--out", out)
    assert done.returncode == 2 and "other options (steps)" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--steps", 5, "--minutes", 1), "give one of them"),
        (("--loss", "nonesuch"), "nonesuch"),
        (("--loss", "gan", "gan"), "the same twice"),
        (("--loss", "gan", "bce"), "the same twice"),
        (("--seeds", 0), "--seeds"),
    ],
)
def test_bad_options(arguments, words):
    done = command_line("compare", *arguments)
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1


def test_minutes_become_steps_once_for_each_objective(tmp_path):
    """Also where the first run finds clusters, which takes longer than all steps."""
    options = ("--loss", "lsgan", "wgan", "--minutes", 0.05, "--num", 40, *SMALL, "--clusters", 8, "--out", tmp_path)
    done = command_line("compare", *options, "--seeds", 1)
    assert done.returncode == 0, done.stderr
    costs = re.findall(r"\] (\w+), seed 0: cost: .* for (\d+) steps of ([\d.]+) ms", done.stdout)
    assert [loss for loss, _, _ in costs] == ["lsgan", "wgan"]
    plan = json.loads((tmp_path / "comparison.json").read_text())["steps"]
    for loss, steps, each in costs:
        assert plan[loss] == int(steps)
        assert int(steps) * float(each) == pytest.approx(3000, rel=0.1, abs=float(each))
        assert f"] {loss}, seed 0: step {steps}/{steps}" in done.stdout
    done = command_line("compare", *options, "--seeds", 2)
    assert done.returncode == 0, done.stderr
    assert "seed 0: step" not in done.stdout
    assert all(f"] {loss}, seed 1: step {steps}/{steps}" in done.stdout for loss, steps, _ in costs)


def results(**values: list[float]) -> dict[str, list[Result]]:
    """Made-up results with these distances."""
    return {
        loss: [
            Result(loss, seed, Path(), {"figures": {"frechet_distance": {"samples": value}}}, [])
            for seed, value in enumerate(distances)
        ]
        for loss, distances in values.items()
    }


def test_verdicts_are_welchs():
    groups = results(far=[30.0, 31.0, 32.5], near=[10.0, 11.0, 12.0], nearly=[10.5, 12.0, 12.5])
    chance, clear = report.verdicts(groups)  # nearest first
    assert clear.startswith("near is ahead of far by 20.2") and ": significant at" in clear
    assert chance.startswith("near is ahead of nearly by 0.667") and ": not significant at" in chance
    # Welch (1947) by hand.
    a, b = np.array([30.0, 31.0, 32.5]), np.array([10.0, 11.0, 12.0])
    va, vb = a.var(ddof=1) / 3, b.var(ddof=1) / 3
    freedom = (va + vb) ** 2 / (va**2 / 2 + vb**2 / 2)
    p = 2 * stats.t.sf((a.mean() - b.mean()) / (va + vb) ** 0.5, freedom)
    assert f"p = {p:.2g}" in clear


def test_one_seed_says_nothing_of_chance():
    assert "one seed says nothing about chance" in report.verdicts(results(a=[1.0], b=[2.0]))[0]


def test_mean_and_error():
    assert mean_and_error([1.0, 2.0, 3.0]) == (2.0, pytest.approx(1 / 3**0.5))
    mean, error = mean_and_error([5.0])
    assert mean == 5.0 and np.isnan(error)
