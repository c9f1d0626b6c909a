"""VisualDL, started by the command in the summary: in a browser, and for a browser that sends no language."""

import contextlib
import json
import re
import shlex
import shutil
import subprocess
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from conftest import train, train_here
from PIL import Image
from visualdl import LogReader

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def scalars(run: Path, tag: str) -> list[tuple[int, float]]:
    reader = LogReader(file_path=str(next((run / "visualdl").glob("vdlrecords*"))))
    return [(record.id, record.value) for record in reader.get_data("scalar", tag)]


def test_scalars_samples_and_hyper_parameters_are_written(plain_run):
    reader = LogReader(file_path=str(next((plain_run / "visualdl").glob("vdlrecords*"))))
    tags = reader.get_tags()
    for tag in (
        "loss/discriminator",
        "loss/generator",
        "mean_logit/real",
        "mean_logit/fake",
        "speed/images_per_second",
        "optimizer/gradient_norm_discriminator",
        "optimizer/gradient_norm_generator",
        "optimizer/learning_rate_generator",
        "optimizer/learning_rate_discriminator",
    ):
        assert [step for step, _ in scalars(plain_run, tag)] == [1, 4, 8, 12], tag
    assert tags["image"] == ["samples"]
    assert [record.id for record in reader.get_data("image", "samples")] == [0, 6, 12]
    assert "hyper_parameters" in tags


def test_curves_survive_a_resume(tmp_path):
    options = ("--log-every", 2, "--loss", "wgan-gp")
    train_here(tmp_path, "--steps", 4, *options)
    first = scalars(tmp_path, "loss/penalty")
    train_here(tmp_path, "--steps", 8, *options)
    both = scalars(tmp_path, "loss/penalty")
    assert both[:3] == first and [step for step, _ in both] == [1, 2, 4, 6, 8]


@pytest.fixture(scope="module")
def page(plain_run):
    """The address of VisualDL, started with the command that the summary prints."""
    done = train(plain_run, "--steps", 12, "--log-every", 4, "--sample-every", 6, "--checkpoint-every", 5)
    command = shlex.split(re.search(r"curves +(.*)", done.stdout)[1])
    server = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    yield re.search(r"VisualDL: (\S+)", server.stdout.readline())[1]
    server.terminate()
    server.wait(10)


def get(url: str, headers: dict[str, str] | None = None) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10) as response:
        return response.read()


@pytest.mark.parametrize(
    "headers", [{}, {"Accept-Language": "fr"}, {"Accept-Language": "zh-CN,zh"}], ids=["no language", "fr", "zh"]
)
def test_page_is_served_whatever_language_the_browser_sends(page, headers):
    assert b"<html" in get(f"{page}/app/index", headers).lower()
    tags = json.loads(get(f"{page}/app/api/scalar/tags", headers))["data"]
    assert "loss/generator" in json.dumps(tags)


def browse(*arguments: str) -> str:
    """The output of Chromium, started up to three times: on a busy machine it may hang with its virtual clock."""
    for _ in range(2):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run([CHROMIUM, *arguments], capture_output=True, timeout=60, text=True, check=True).stdout
    return subprocess.run([CHROMIUM, *arguments], capture_output=True, timeout=120, text=True, check=True).stdout


@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
@pytest.mark.parametrize(("place", "text"), [("scalar", "loss"), ("sample/image", "samples")])
@pytest.mark.parametrize("language", ["en", "fr", ""], ids=["en", "fr", "no language"])
def test_browser_shows_curves_and_samples(page, tmp_path, place, text, language):
    picture = tmp_path / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += [
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1400,1000",
        "--virtual-time-budget=20000",
        f"--accept-lang={language}",
    ]
    address = f"{page}/app/{place}"
    browse(*flags, f"--screenshot={picture}", address)
    pixels = np.asarray(Image.open(picture).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 100  # a page with content, not an empty or an error page
    if place == "scalar":
        curve = np.asarray(Image.open(picture).convert("RGB"))[250:, :1100].astype(int)
        assert (
            np.abs(curve - (41, 50, 225)).max(axis=-1) < 20
        ).sum() > 100  # VisualDL draws the first run in this blue
    assert text in browse(*flags, "--dump-dom", address)
