"""The page of an exported generator: what is in its folder, and what it draws in Chromium."""

import base64
import gzip
import hashlib
import http.server
import io
import json
import re
import tarfile
import threading
from functools import partial
from pathlib import Path

import numpy as np
import paddle
import pytest
from browser import CHROMIUM, Browser
from test_export import CLASSES, lively, of_clusters

from paddle_gan.config.results import ExportConfig
from paddle_gan.errors import DataError, UsageError
from paddle_gan.inference.images import to_uint8
from paddle_gan.inference.sampling import generate, latents_of
from paddle_gan.inference.truncation import Truncated
from paddle_gan.inference.web_runtime import ARCHIVE, FILES, Archive, find_runtime

onnxruntime = pytest.importorskip("onnxruntime")
from paddle_gan.inference.web_page import SAMPLES, SEEDS, export_page  # noqa: E402


def page_of(generator, classes, folder: Path, runtime: Path) -> Path:
    folder.mkdir()
    export_page(generator, classes, folder, {}, "cats", runtime)
    return folder


@pytest.fixture
def runtime(tmp_path) -> Path:
    """Files with the names of those of onnxruntime-web."""
    folder = tmp_path / "onnxruntime-web" / "dist"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(f"content of {name}".encode())
    return folder


def constant(path: Path) -> dict:
    """What a script of the page sets."""
    return json.loads(re.fullmatch(r"const \w+ = (.*);\n", path.read_text(), re.S)[1])


def unpacked(text: str) -> bytes:
    return gzip.decompress(base64.b64decode(text))


# --- Truncation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lively, of_clusters])
@pytest.mark.parametrize("name", ["pixelshuffle", "style"])
def test_truncation_draws_samples_to_their_average(name, make):
    """1 is the generator itself; at 0 an image depends on its label or cluster only."""
    generator = make(name, 3)
    truncated, latents, labels = Truncated(generator), paddle.randn([6, generator.latent_dim]), paddle.arange(6) % 3
    one, zero = (truncated(latents, paddle.to_tensor([value]), labels).numpy() for value in (1.0, 0.0))
    np.testing.assert_allclose(one, generator(latents, labels).numpy(), atol=1e-5)
    parts = (generator.part_of(latents[:, -1:], labels) if make is of_clusters else labels).numpy()
    assert 1 < len(set(parts)) < 6
    for i, j in np.ndindex(6, 6):
        assert np.allclose(zero[i], zero[j], atol=1e-5) == (parts[i] == parts[j])


def test_latents_are_scaled_but_for_the_one_that_chooses_the_cluster():
    generator, latents = of_clusters("pixelshuffle"), paddle.randn([6, 65])
    scaled = paddle.concat([latents[:, :-1] * 0.5, latents[:, -1:]], axis=1)
    half = Truncated(generator)(latents, paddle.to_tensor([0.5]))
    np.testing.assert_array_equal(half.numpy(), generator(scaled).numpy())


@pytest.mark.parametrize("classes", [0, 3])
def test_styles_are_drawn_to_the_average_of_training_or_of_their_label(classes):
    """Which is near to the average of many styles that were not used for it."""
    generator, many = lively("style", classes), paddle.randn([4000, 64])
    generator.average_style.set_value(paddle.randn([64]))
    labels = paddle.to_tensor([2, 0]) if classes else None
    averages = (
        paddle.stack([generator.mapping(many, paddle.full([4000], n, "int64")).mean(0) for n in (2, 0)])
        if classes
        else generator.average_style
    )
    latents = paddle.randn([2, 64])
    style = (generator.mapping(latents, labels) + averages) / 2
    expected = generator.draw([style] * generator.layers).numpy()
    half = Truncated(generator)(latents, paddle.to_tensor([0.5]), labels).numpy()
    np.testing.assert_allclose(half, expected, atol=0.1 if classes else 1e-6)
    assert np.abs(half - generator(latents, labels).numpy()).max() > 0.3


# --- The folder ------------------------------------------------------------------------------------------------------


def test_the_folder_holds_all_that_the_page_needs(runtime, tmp_path):
    """The network with three inputs, the latents of tools/sample.py, the WebAssembly; each script is in the folder."""
    generator = of_clusters("mlp-shallow", 3)
    folder = page_of(generator, CLASSES, tmp_path / "page", runtime)
    model, parts = constant(folder / "model.js"), constant(folder / "runtime.js")
    session = onnxruntime.InferenceSession(unpacked(model["network"]), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["latents", "truncation", "labels"]
    latents = np.frombuffer(unpacked(model["latents"]), "<f4").reshape(SEEDS, SAMPLES, 101)
    feeds = {"latents": latents[7], "truncation": np.float32([0.5]), "labels": np.arange(SAMPLES) % 3}
    arguments = (paddle.to_tensor(latents[7]), paddle.to_tensor([0.5]), paddle.arange(SAMPLES) % 3)
    expected = Truncated(generator)(*arguments).numpy()
    np.testing.assert_allclose(session.run(["images"], feeds)[0], expected, atol=1e-5)
    np.testing.assert_array_equal(latents[7], latents_of(101, 7, 0).numpy()[:SAMPLES])
    assert (model["classes"], model["valueRange"], model["data"]) == (list(CLASSES), [0, 1], "cats")
    assert [model[name] for name in ("channels", "height", "width")] == [3, 28, 36]
    assert unpacked(parts["wasm"]) == b"content of ort-wasm-simd-threaded.wasm"
    assert parts["loader"] == "content of ort-wasm-simd-threaded.mjs"
    assert (folder / "ort.wasm.min.js").read_text() == "content of ort.wasm.min.js"
    page = (folder / "index.html").read_text()
    assert [(folder / name).is_file() for name in re.findall(r'src="([^"]+)"', page)] == [True] * 4
    assert "http" not in page.replace("http-equiv", "") + (folder / "page.js").read_text()


def test_both_languages_have_the_same_texts():
    script = (Path(export_page.__code__.co_filename).parent / "web" / "page.js").read_text(encoding="utf-8")
    english, chinese = (
        re.findall(r"(\w+): \"", block) for block in re.findall(r"(?:en|zh): \{(.*?)\n  \}", script, re.S)
    )
    assert english == chinese and len(english) >= 10


# --- onnxruntime-web -------------------------------------------------------------------------------------------------


@pytest.fixture
def archive(runtime, tmp_path) -> Archive:
    """A package on the "server"."""
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as members:
        for name in (*FILES, "other.js"):
            content = f"from the server: {name}".encode()
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    return Archive("onnxruntime-web@1", package.as_uri(), digest, tmp_path / "cache")


def test_the_files_come_from_a_folder_or_from_the_registry_once(runtime, archive, tmp_path):
    assert find_runtime(runtime.parent, False) == find_runtime(runtime, False) == runtime
    with pytest.raises(UsageError, match="use --download, or npm install onnxruntime-web@1"):
        find_runtime(None, False, archive=archive)
    said: list[str] = []
    place = find_runtime(None, True, said.append, archive)
    assert sorted(path.name for path in place.iterdir()) == sorted(FILES)
    assert (place / FILES[0]).read_text() == f"from the server: {FILES[0]}"
    Path(archive.url.removeprefix("file://")).unlink()
    assert find_runtime(None, False, said.append, archive) == find_runtime(None, True, said.append, archive) == place
    assert len(said) == 1 and archive.url in said[0]


def test_what_is_not_onnxruntime_web_is_refused(archive, tmp_path):
    with pytest.raises(UsageError, match="--ort-web .*no ort.wasm.min.js"):
        find_runtime(tmp_path, False)
    package = Path(archive.url.removeprefix("file://"))
    package.write_bytes(package.read_bytes() + b"x")
    with pytest.raises(DataError, match="SHA-512 is not the expected one.*--ort-web"):
        find_runtime(None, True, lambda line: None, archive)
    package.unlink()
    with pytest.raises(DataError, match="No such file.*npm install"):
        find_runtime(None, True, lambda line: None, archive)
    assert list(archive.cache.glob("*")) == []
    with pytest.raises(UsageError, match="are for --format web"):
        ExportConfig(format="onnx", download=True)


# --- In a browser ----------------------------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and (ARCHIVE.cache / FILES[-1]).is_file()),
    reason="needs Chromium, and onnxruntime-web where tools/export.py --download keeps it",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


def drawn(browser: Browser, height: int = 28, width: int = 36) -> np.ndarray:
    """The images on the page: uint8 [16, H, W, 3]."""
    data = browser.evaluate(
        "(() => { const c = document.getElementById('images'); const d = c.getContext('2d').getImageData(0, 0, c.width,"
        " c.height).data; let s = ''; for (const v of d) s += String.fromCharCode(v); return btoa(s); })()"
    )
    sheet = np.frombuffer(base64.b64decode(data), np.uint8)
    sheet = sheet.reshape(4 * (height + 1) - 1, 4 * (width + 1) - 1, 4)[..., :3]
    places = [divmod(i, 4) for i in range(16)]
    return np.stack([sheet[y * (height + 1) :, x * (width + 1) :][:height, :width] for y, x in places])


def move(browser: Browser, **values: object) -> None:
    """Set sliders as a hand does, and wait for the drawing."""
    for name, value in values.items():
        browser.evaluate(
            f"document.getElementById('{name}').value = {value}, document.getElementById('status').textContent = '',"
            f"document.getElementById('{name}').dispatchEvent(new Event('input'))"
        )
        browser.wait_for("!drawing && document.getElementById('status').textContent.includes('ms')")


def assert_same_to_a_grey_level(images: np.ndarray, expected: np.ndarray) -> None:
    assert expected.std() > 5 and np.abs(images.astype(int) - expected).max() <= 1


@needs_browser
@pytest.mark.parametrize("served", [False, True], ids=["as a file", "from a server"])
def test_the_page_draws_the_samples_of_tools_sample(served, browser, tmp_path):
    """With every slider, in either language, and with no request beyond its folder."""
    generator = of_clusters("style" if served else "pixelshuffle", 3)
    folder = page_of(generator, CLASSES, tmp_path / "page", ARCHIVE.cache)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{server.server_port}/" if served else f"{folder.as_uri()}/"
        browser.requests.clear()
        browser.problems.clear()
        browser.open(f"{home}index.html", "zh-CN" if served else "fr")
        browser.wait_for("document.getElementById('status')?.textContent.includes('ms')")
        [expected] = generate(generator, 16, 0, 3)
        assert_same_to_a_grey_level(drawn(browser), expected.images)
        move(browser, seed=5, label=1)
        [expected] = generate(generator, 16, 5, 3, label=1)
        assert_same_to_a_grey_level(drawn(browser), expected.images)
        move(browser, other=9, interpolation=0.25, truncation=0.5, label=-1)
        first, second = (latents_of(generator.latent_dim, seed, 0)[:16] for seed in (5, 9))
        latents = (0.75 * first + 0.25 * second) / (0.75**2 + 0.25**2) ** 0.5
        images = Truncated(generator)(latents, paddle.to_tensor([0.5]), paddle.arange(16) % 3).numpy()
        assert_same_to_a_grey_level(drawn(browser), to_uint8(images, (-1.0, 1.0)))
        move(browser, interpolation=0, seed=200)  # beyond the latents that are in the folder
        assert drawn(browser).std() > 5
        text = "document.body.innerText"
        assert ("种子" if served else "second seed") in browser.evaluate(text)
        browser.evaluate("document.getElementById('language').click()")
        assert ("second seed" if served else "种子") in browser.evaluate(text)
        server.shutdown()
    assert browser.problems == []
    beyond = [one for one in browser.requests if not one.startswith((home, "data:", "blob:"))]
    assert beyond == [] and len(browser.requests) >= 5


@needs_browser
def test_a_generator_without_classes_has_no_choice_of_labels(browser, tmp_path):
    generator = lively("pixelshuffle")
    browser.open(f"{page_of(generator, (), tmp_path / 'page', ARCHIVE.cache).as_uri()}/index.html", "fr")
    browser.wait_for("document.getElementById('status')?.textContent.includes('ms')")
    assert browser.evaluate("document.getElementById('label-row').hidden")
    for seed in (0, 5):
        move(browser, seed=seed)
        [expected] = generate(generator, 16, seed, 0)
        assert_same_to_a_grey_level(drawn(browser, 28, 28), expected.images)
