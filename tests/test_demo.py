"""The page where a run can be played with: what it draws, in a browser too, and what it lets by."""

import base64
import io
import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import paddle
import pytest
from browser import CHROMIUM, Browser
from conftest import command_here
from PIL import Image
from test_export import CLASSES, lively, of_clusters
from translations import SMALL, make_images

from paddle_gan import TrainConfig
from paddle_gan.config.results import DemoConfig
from paddle_gan.config.translate import TranslateConfig
from paddle_gan.errors import DataError, UsageError
from paddle_gan.inference.images import grid
from paddle_gan.runs import demo
from paddle_gan.runs.demo import opened, samples, translations
from paddle_gan.runs.resolve import resolve
from paddle_gan.runs.run import Run
from paddle_gan.runs.translation import run_translation
from paddle_gan.runs.translators import load_translator, translated


def run_of(generator: paddle.nn.Layer, folder: Path) -> Run:
    return Run(folder, resolve(TrainConfig(conditional=True), "cpu").config, generator, CLASSES, 1)


ANY_PORT = DemoConfig(port=0, device="cpu")
needs_gradio = pytest.mark.skipif(not find_spec("gradio"), reason="needs Gradio")
needs_browser = pytest.mark.skipif(not (CHROMIUM and find_spec("gradio")), reason="needs Gradio and Chromium")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run with three classes, in the folder of one without a checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.json").write_text("{}")
    return run_of(lively("pixelshuffle", 3), folder)


@pytest.fixture(scope="module")
def filling_run(tmp_path_factory) -> Path:
    """A run that fills holes."""
    folder = tmp_path_factory.mktemp("filling")
    images = make_images(folder) / "b"
    options = {**SMALL, "task": "inpaint", "images": str(images), "evaluate_every": 0, "steps": 1}
    return run_translation(TranslateConfig(**options, out=str(folder / "run")), lambda line: None)


@pytest.fixture(scope="module")
def enlarging_run(tmp_path_factory) -> Path:
    """A run that makes pictures twice as large."""
    folder = tmp_path_factory.mktemp("enlarging")
    images = make_images(folder) / "b"
    options = {**SMALL, "task": "super-resolution", "images": str(images), "evaluate_every": 0, "steps": 1}
    return run_translation(TranslateConfig(**options, out=str(folder / "run")), lambda line: None)


# --- What is drawn --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lively, of_clusters])
def test_samples_are_those_of_the_seeds_and_of_the_way_between_them(make):
    """At the ends those of `Run.sample` to a grey level, in the middle the frame of a walk, with one label or all."""
    run = run_of(make("pixelshuffle", 3), Path())
    for seed, way in ((3, 0), (5, 1)):
        for label in (None, 2):
            chosen = samples(run, 3, 5, way, 1.0, -1 if label is None else label)
            wanted = grid(run.sample(16, label, seed), 4)
            assert np.abs(chosen.astype(int) - wanted).max() <= 1 and wanted.std() > 5
    half = samples(run, 3, 5, 0.5, 1.0, 2)[2:58, 2:74]
    frame = np.asarray(run.walk([3, 5], frames=2, label=2)[1])
    assert np.abs(half.astype(int) - frame.repeat(2, 0).repeat(2, 1)).max() <= 1
    for truncation, same in ((0, make is lively), (1, False)):  # at 0 an image depends on label and cluster only
        sheet = samples(run, 3, 5, 0, truncation, 2)
        assert (sheet[2:58, 2:74] == sheet[2:58, 76:148]).all() == same


def test_a_translation_is_that_of_apply(enlarging_run, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    translator = load_translator(enlarging_run)
    given, made = translations(translator, str(tmp_path / "a.png"))
    np.testing.assert_array_equal(np.asarray(given), pixels)
    np.testing.assert_array_equal(np.asarray(made), translated(translator, pixels, 512))
    assert made.size == (48, 40) and translations(translator, None) == [None, None]


def test_files_that_cannot_be_used_are_named_without_their_folder(filling_run, tmp_path):
    translator = load_translator(filling_run)
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (20, 20)).save(tmp_path / "opaque.png")
    for arguments, message in (
        (["text.png"], r"^text\.png: "),
        (["opaque.png"], r"^opaque\.png: no transparent pixels to fill; name the hole with a mask"),
        (["opaque.png", "text.png"], r"^text\.png: "),
    ):
        with pytest.raises(DataError, match=message):
            translations(translator, *(str(tmp_path / name) for name in arguments))


def test_both_languages_have_the_same_texts():
    assert demo.TEXTS["en"].keys() == demo.TEXTS["zh"].keys()


# --- The command --------------------------------------------------------------------------------


def test_without_gradio_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("paddle_gan.commands.demo.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'gradio"):
        command_here("demo", tmp_path)


def test_what_cannot_be_shown_is_said(run, tmp_path):
    with pytest.raises(UsageError, match="not a run folder"), opened(tmp_path, ANY_PORT, print):
        pass
    with pytest.raises(UsageError, match="only translations have a way back"):
        with opened(run.folder, DemoConfig(port=0, reverse=True), print):
            pass
    with demo.web.listen(demo.web.parse_address("localhost"), 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} is in use.*--port \d+ is free"):
            with opened(run.folder, DemoConfig(port=port), print):
                pass


# --- The server --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(run):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "load", lambda *_, **__: run)
        with opened(run.folder, ANY_PORT, print) as address:
            yield address


def ask(address: str, body: dict | None = None, **headers: str) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def drawn(page: str, *values: object) -> np.ndarray:
    """What the page answers to a program that chooses these values."""
    event = json.loads(ask(f"{page}/gradio_api/call/samples", {"data": values}))["event_id"]
    answer = ask(f"{page}/gradio_api/call/samples/{event}").decode()
    url = json.loads(answer.partition("data: ")[2].splitlines()[0])[0]["url"]
    return np.asarray(Image.open(io.BytesIO(ask(url))))


@needs_gradio
def test_requests_at_the_same_time_get_their_own_pictures(page, run):
    chosen = [(seed, 9, 0.25, 1.0, label) for seed in (1, 2, 3) for label in (-1, 2)]
    together = threading.Barrier(len(chosen))

    def asked(values: tuple) -> np.ndarray:
        together.wait()
        return drawn(page, *values)

    with ThreadPoolExecutor(len(chosen)) as pool:
        pictures = list(pool.map(asked, chosen))
    for values, picture in zip(chosen, pictures, strict=True):
        np.testing.assert_array_equal(picture, samples(run, *values))
    assert len({picture.tobytes() for picture in pictures}) == len(chosen)


@needs_gradio
def test_it_is_for_this_machine_only(page):
    """At the loopback address, under its names; browsers are told to ask no other host."""
    with urllib.request.urlopen(page, timeout=60) as answer:
        assert answer.headers["content-security-policy"].startswith("default-src 'self' ")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(page, Host="evil.example")
    port = f"{int(page.rpartition(':')[2]):04X}"
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    assert [row[1] for row in rows if row[1].endswith(f":{port}") and row[3] == "0A"] == [f"0100007F:{port}"]


@needs_gradio
def test_shared_it_answers_at_a_public_address_too(run, monkeypatch, capsys):
    """Gradio's tunnel is imitated: there is no network in a test. Without one, the command ends with a sentence."""
    asked = []

    def tunnel(*, local_host: str, local_port: int, **_: object) -> str:
        asked.append((local_host, local_port))
        return "http://a-name.example"

    shared = DemoConfig(port=0, device="cpu", share=True)
    monkeypatch.setattr(demo, "load", lambda *_, **__: run)
    monkeypatch.setattr("gradio.networking.setup_tunnel", tunnel)
    with opened(run.folder, shared, print) as address:
        assert asked == [("127.0.0.1", int(address.rpartition(":")[2]))]
        assert b"gradio" in ask(address, Host="a-name.example")
    assert "https://a-name.example" in capsys.readouterr().out

    def no_network(**_: object) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr("gradio.networking.setup_tunnel", no_network)
    with pytest.raises(UsageError, match="no public address can be had"), opened(run.folder, shared, print):
        pass


# --- In a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


def picture(browser: Browser, number: int = 0) -> np.ndarray:
    """A picture on the page."""
    content = browser.evaluate(
        f"fetch(document.querySelectorAll('img')[{number}].src).then(r => r.arrayBuffer())"
        ".then(b => btoa(Array.from(new Uint8Array(b), v => String.fromCharCode(v)).join('')))"
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def change(browser: Browser, action: str, text: str = "") -> None:
    """Do something on the page, type a text, and wait for another picture."""
    before = browser.evaluate("document.querySelector('img').src")
    browser.evaluate(action)
    if text:
        browser.do("Input.insertText", text=text)
    browser.wait_for(f"document.querySelector('img').src != '{before}'")


@needs_browser
def test_the_page_draws_what_is_chosen_and_asks_nobody_else(page, run, browser):
    first = len(browser.requests)
    browser.open(page, "en")
    browser.wait_for("!!document.querySelector('img')")
    np.testing.assert_array_equal(picture(browser), samples(run, 0, 1, 0, 1, -1))
    change(browser, "document.querySelector('input[type=number]').select()", "3")
    np.testing.assert_array_equal(picture(browser), samples(run, 3, 1, 0, 1, -1))
    change(browser, "document.querySelectorAll('input[type=radio]')[3].click()")
    np.testing.assert_array_equal(picture(browser), samples(run, 3, 1, 0, 1, 2))
    change(browser, slid(0, 0.5))
    np.testing.assert_array_equal(picture(browser), samples(run, 3, 1, 0.5, 1, 2))
    change(browser, slid(1, 0.3))
    np.testing.assert_array_equal(picture(browser), samples(run, 3, 1, 0.5, 0.3, 2))
    requests = browser.requests[first:]
    assert len(requests) > 10 and not [one for one in requests if not one.startswith((page, "data:", "blob:"))]
    assert browser.problems == [] and missing(browser, "en") == []


def slid(number: int, value: float) -> str:
    """JavaScript that moves a slider."""
    return (
        f"(() => {{ const s = document.querySelectorAll('input[type=range]')[{number}]; s.focus(); s.value = {value};"
        " s.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


@needs_browser
def test_the_page_speaks_chinese_to_a_chinese_browser(page, browser):
    browser.open(page, "zh-CN,zh")
    browser.wait_for("!!document.querySelector('img')")
    assert missing(browser, "zh") == []


def missing(browser: Browser, language: str) -> list[str]:
    """Texts that the page of a generator does not show."""
    shown = browser.evaluate("document.body.innerText")
    names = ("seed", "other", "way", "truncation")
    return [name for name in names if demo.TEXTS[language][name] not in shown]


@needs_browser
def test_a_picture_is_uploaded_and_translated_and_a_bad_file_is_a_sentence(enlarging_run, browser, tmp_path, capfd):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "bad.png").write_text("no picture")
    translator, problems = load_translator(enlarging_run), len(browser.problems)
    with opened(enlarging_run, ANY_PORT, print) as address:
        browser.open(address, "en")
        browser.wait_for("!!document.querySelector('input[type=file]')")
        upload(browser, tmp_path / "bad.png")
        browser.wait_for("document.body.innerText.includes('bad.png: ')")
        assert str(tmp_path) not in browser.evaluate("document.body.innerText")
        browser.evaluate("document.querySelector('button[aria-label=Clear]').click()")
        browser.wait_for("!!document.querySelector('input[type=file]')")
        upload(browser, tmp_path / "a.png")
        browser.wait_for("document.querySelectorAll('img').length == 2")
        np.testing.assert_array_equal(picture(browser, 0), pixels)
        np.testing.assert_array_equal(picture(browser, 1), translated(translator, pixels, 512))
    assert "Traceback" not in "".join(capfd.readouterr()) and browser.problems[problems:] == []


@needs_browser
def test_a_hole_is_filled_on_the_page_and_what_is_missing_is_said_in_its_language(filling_run, browser, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    hole = np.zeros((20, 20), np.uint8)
    hole[4:12, 6:14] = 255
    Image.fromarray(hole).save(tmp_path / "hole.png")
    _, filled = translations(load_translator(filling_run), str(tmp_path / "a.png"), str(tmp_path / "hole.png"))
    with opened(filling_run, ANY_PORT, print) as address:
        browser.open(address, "zh-CN,zh")
        browser.wait_for("document.querySelectorAll('input[type=file]').length == 2")
        upload(browser, tmp_path / "a.png")
        browser.wait_for("document.body.innerText.includes('a.png: 没有可填补的透明像素')")
        browser.wait_for("document.querySelectorAll('input[type=file]').length == 1")  # that of the mask
        upload(browser, tmp_path / "hole.png")
        browser.wait_for("document.querySelectorAll('img').length == 2")
        np.testing.assert_array_equal(picture(browser, 1), np.asarray(filled))
    assert (np.asarray(filled) != pixels).any(axis=-1).sum() > 32


def upload(browser: Browser, path: Path) -> None:
    """Choose a file as a user does, in the first place on the page that has none."""
    root = browser.do("DOM.getDocument")["root"]["nodeId"]
    node = browser.do("DOM.querySelector", nodeId=root, selector="input[type=file]")["nodeId"]
    browser.do("DOM.setFileInputFiles", nodeId=node, files=[str(path)])
