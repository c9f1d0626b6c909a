"""Data: the embedded set, IDX files, downloads, folders of images, and the order of batches."""

import gzip
import hashlib
import http.server
import io
import lzma
import ssl
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddle_gan.datasets import grey_sets, load_dataset
from paddle_gan.datasets.batches import batch_indices
from paddle_gan.datasets.download import download
from paddle_gan.datasets.folder import load_folder, open_folder, read_images
from paddle_gan.datasets.grey_sets import FASHION_MNIST, MNIST, load_grey_set
from paddle_gan.datasets.idx import read_idx
from paddle_gan.datasets.image_set import all_alike
from paddle_gan.errors import DataError, UsageError
from paddle_gan.runs.data import data_notices


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["raw", "gzip", "xz"])
def test_idx_is_told_by_its_bytes_not_its_name(tmp_path, pack):
    path = tmp_path / "anything"
    path.write_bytes(pack(idx_bytes(IMAGES)))
    np.testing.assert_array_equal(read_idx(path, hashlib.md5(idx_bytes(IMAGES)).hexdigest()), IMAGES)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an IDX file"),
        (b"GIF89a..", "not an IDX file"),
        (idx_bytes(IMAGES)[:-1], "has 3919"),
        (idx_bytes(IMAGES) + b"x", "has 3921"),
        (idx_bytes(IMAGES)[:9], "ends inside its header"),
        (b"\0\0\x0d\x01\0\0\0\0", "type 0x0d"),
        (b"\0\0\x08\x02" + b"\xff" * 8, "the header gives the shape"),
        (gzip.compress(idx_bytes(IMAGES))[:-20], "cannot be read"),
        (lzma.compress(idx_bytes(IMAGES))[:100], "cannot be read"),
        (b"\x1f\x8b" + bytes(40), "cannot be read"),
    ],
)
def test_damaged_idx_is_an_error_that_names_the_file(tmp_path, content, reason):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_idx_with_another_md5_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(idx_bytes(IMAGES))
    with pytest.raises(DataError, match="md5"):
        read_idx(path, "0" * 32)


def test_embedded_mnist_is_complete():
    train, test = (load_grey_set(MNIST, split=split, image_size=28, channels=1) for split in ("train", "test"))
    assert train.images.shape == (60000, 1, 28, 28) and test.images.shape == (10000, 1, 28, 28)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.images.mean() == pytest.approx(33.3184, abs=1e-4)


def test_mnist_is_unpacked_once(tmp_path, monkeypatch):
    """What is kept is checked each time: a damaged file is written anew."""
    monkeypatch.setenv("PADDLE_GAN_CACHE", str(tmp_path))
    first = load_dataset("mnist", 28, 1, split="test")
    kept = tmp_path / f"{MNIST.md5['t10k-images-idx3-ubyte']}.idx"
    whole = kept.read_bytes()
    monkeypatch.setattr(grey_sets, "unpack", lambda path: pytest.fail("unpacked again"))
    np.testing.assert_array_equal(load_dataset("mnist", 28, 1, split="test").images, first.images)
    monkeypatch.undo()
    monkeypatch.setenv("PADDLE_GAN_CACHE", str(tmp_path))
    kept.write_bytes(whole[:-1] + b"x")
    np.testing.assert_array_equal(load_dataset("mnist", 28, 1, split="test").images, first.images)
    assert kept.read_bytes() == whole


def test_mnist_is_read_where_nothing_can_be_kept(tmp_path, monkeypatch):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("PADDLE_GAN_CACHE", str(tmp_path / "a file" / "folder"))
    assert len(load_dataset("mnist", 28, 1, split="test").images) == 10_000


def test_32_pixels_is_a_black_frame_and_colour_is_three_times_the_grey():
    small, framed = load_dataset("mnist", 28, 1), load_dataset("mnist", 32, 3)
    assert framed.images.shape == (60000, 3, 32, 32)
    np.testing.assert_array_equal(framed.images[:50, 1, 2:30, 2:30], small.images[:50, 0])
    assert framed.images[:, :, :2].max() == 0 and (framed.images[:, 0] == framed.images[:, 2]).all()


def test_missing_fashion_mnist_names_every_place_and_the_remedy(tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "train-images-idx3-ubyte.gz").write_bytes(b"junk")
    source = grey_sets.GreySet(
        "fashion-mnist", (), FASHION_MNIST.md5, (tmp_path / "nowhere", broken), FASHION_MNIST.host
    )
    with pytest.raises(DataError) as error:
        load_grey_set(source, split="train", image_size=28, channels=1)
    nowhere = str(tmp_path / "nowhere")
    for part in (
        f"{nowhere}: no train-images",
        f"{broken}/train-images-idx3-ubyte.gz: md5",
        "--download",
        "--data-dir",
        "apt-get install",
    ):
        assert part in str(error.value)


def test_one_set_never_stands_in_for_another(tmp_path):
    """MNIST's files in the place of Fashion-MNIST's."""
    for file in Path(grey_sets.__file__).parent.glob("mnist/*.xz"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DataError, match="md5"):
        load_dataset("fashion-mnist", 28, 1, data_dir=str(tmp_path))


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves gzipped IDX files; cuts the connection short, or is silent, when told so."""

    mode = "whole"
    files: dict[str, bytes] = {}

    def do_GET(self):
        if self.mode == "login page":
            self.files = {self.path: b"<html>please log in</html>"}
        if self.mode == "silent":
            threading.Event().wait(3)
            return
        content = self.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.mode == "cut" else content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(Handler, "mode", "whole")
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def tiny_set(host: str, folder: Path) -> grey_sets.GreySet:
    arrays = {"train-images-idx3-ubyte": IMAGES, "train-labels-idx1-ubyte": np.arange(5, dtype=np.uint8)}
    Handler.files = {f"/{name}.gz": gzip.compress(idx_bytes(array)) for name, array in arrays.items()}
    md5 = {name: hashlib.md5(idx_bytes(array)).hexdigest() for name, array in arrays.items()}
    return grey_sets.GreySet("tiny", tuple("01234"), md5, (folder,), host)


def test_download_fetches_checks_and_is_not_needed_again(tmp_path, server):
    source = tiny_set(server, tmp_path / "cache")
    fetched = load_grey_set(source, split="train", image_size=28, channels=1, fetch=True)
    np.testing.assert_array_equal(fetched.images[:, 0], IMAGES)
    Handler.files = {}
    np.testing.assert_array_equal(load_grey_set(source, split="train", image_size=28, channels=1).images[:, 0], IMAGES)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("cut", "ended after"), ("silent", "cannot be downloaded"), ("missing", "404"), ("login page", "md5")],
)
def test_failed_download_says_why_and_leaves_nothing(tmp_path, server, monkeypatch, mode, reason):
    source = tiny_set(server, tmp_path)
    monkeypatch.setattr(Handler, "mode", mode)
    monkeypatch.setattr("paddle_gan.datasets.download.TIMEOUT_SECONDS", 1)
    if mode == "missing":
        Handler.files = {}
    with pytest.raises(DataError, match=reason):
        load_grey_set(source, split="train", image_size=28, channels=1, fetch=True)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_connection_is_the_networks_fault_not_the_disks(tmp_path, monkeypatch):
    """An SSLError carries OpenSSL's codes where other errors have the system's: 1 is not EPERM here."""

    class Response(io.BytesIO):
        headers: dict[str, str] = {}

        def read(self, size):
            raise ssl.SSLError(1, "[SSL: BAD_RECORD_MAC]")

    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: Response())
    with pytest.raises(DataError, match="BAD_RECORD_MAC"):
        download("https://host/file", tmp_path / "file", check=print)
    assert list(tmp_path.iterdir()) == []


def test_download_without_a_server_says_so(tmp_path):
    with pytest.raises(DataError, match="cannot be downloaded"):
        download("http://127.0.0.1:9/file", tmp_path / "file", check=print)


def test_data_dir_is_refused_where_it_would_do_nothing():
    with pytest.raises(UsageError, match="fashion-mnist"):
        load_dataset("mnist", 28, 1, data_dir="/tmp")


@pytest.fixture
def folder(tmp_path) -> Path:
    """One picture, orange on the left and blue on the right, in many formats and modes, in two class folders."""
    rgb = Image.new("RGB", (90, 60), (250, 120, 10))
    rgb.paste((10, 60, 200), (45, 0, 90, 60))
    transparent = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    deep = Image.fromarray(np.full((70, 70), 32896, np.uint16))
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "deeper").mkdir(parents=True)
    rgb.save(tmp_path / "a" / "1.png")
    rgb.save(tmp_path / "a" / "2.JPG", "JPEG", quality=95)
    rgb.convert("P").save(tmp_path / "a" / "3.gif")
    rgb.convert("CMYK").save(tmp_path / "a" / "4.tif")
    transparent.save(tmp_path / "b" / "5.png")
    deep.save(tmp_path / "b" / "deeper" / "6.png")
    rgb.convert("1").save(tmp_path / "b" / "7.bmp")
    rgb.save(tmp_path / "b" / "8.webp")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "meta.h5").write_bytes(b"not an image")
    (tmp_path / ".hidden.png").write_bytes(b"not an image")
    return tmp_path


def test_folder_reads_formats_and_modes(folder):
    images = load_folder(folder, 64, 3).images
    assert images.shape == (8, 3, 64, 64) and images.dtype == np.uint8
    for i in (0, 1, 2, 3, 6):
        np.testing.assert_allclose(images[i, :, 32, 8], (250, 120, 10), atol=30)
        np.testing.assert_allclose(images[i, :, 32, 56], (10, 60, 200), atol=30)
    assert (images[4] == 255).all()  # transparent: white
    assert (images[7] == 128).all()  # 16 bits scaled, not clipped


def test_folder_as_grey_and_with_classes(folder):
    loaded = load_folder(folder, 28, 1, labelled=True)
    assert loaded.images.shape == (8, 1, 28, 28)
    assert loaded.classes == ("a", "b") and loaded.labels.tolist() == [0] * 4 + [1] * 4


def test_folder_crops_at_the_centre_without_distortion(tmp_path):
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    image.save(tmp_path / "wide.png")
    assert (load_folder(tmp_path, 32, 3).images[0, 2] > 200).all()


def test_bad_folders_are_one_line_that_names_the_file(folder, tmp_path):
    (folder / "a" / "broken.png").write_bytes((folder / "a" / "1.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"broken\.png: not an image"):
        load_folder(folder, 64, 3)
    (folder / "top.png").write_bytes((folder / "a" / "1.png").read_bytes())
    with pytest.raises(DataError, match=r"top\.png.*sub-folder"):
        load_folder(folder, 64, 3, labelled=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="no images"):
        load_folder(empty, 64, 3)
    with pytest.raises(DataError, match="neither a known set"):
        load_dataset("mnits", 28, 1)


@pytest.mark.parametrize(("count", "batch_size"), [(10, 3), (10, 10), (7, 20), (1, 4), (10, 1)])
def test_batches_take_every_sample_once_an_epoch(count, batch_size):
    stream = np.concatenate([batch_indices(count, batch_size, 0, step) for step in range(60)])
    for epoch in range(len(stream) // count):
        assert sorted(stream[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_batches_depend_on_seed_and_step_only():
    late = batch_indices(1000, 64, 3, 500)
    for step in range(0, 400, 37):
        batch_indices(1000, 64, 3, step)
    np.testing.assert_array_equal(batch_indices(1000, 64, 3, 500), late)
    assert (batch_indices(1000, 64, 4, 500) != late).any()
    assert (batch_indices(1000, 1000, 3, 0) != batch_indices(1000, 1000, 3, 1)).any()


def write_pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 9, 9, 3)).astype(np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{i}.png")


@pytest.mark.parametrize(("bad", "said"), [(1, "0.png: not an image"), (3, "3 images cannot"), (7, "and 2 more")])
def test_every_image_that_cannot_be_read_is_named_or_counted_at_once(tmp_path, bad, said):
    write_pictures(tmp_path, 8)
    for i in range(bad):
        (tmp_path / f"{i}.png").write_bytes((tmp_path / f"{i}.png").read_bytes()[:60])
    with pytest.raises(DataError, match=said) as error:
        load_folder(tmp_path, 8, 3)
    assert sum(f"{i}.png" in str(error.value) for i in range(8)) == min(bad, 5)
    assert "\n" not in str(error.value)


def test_pictures_of_other_formats_are_counted_by_kind(tmp_path):
    write_pictures(tmp_path, 3)
    for name in ("IMG_1.HEIC", "IMG_2.heic", "drawing.svg", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    _, notice = load_folder(tmp_path, 8, 3).notices
    assert "2 .heic, 1 .svg;" in notice and "txt" not in notice
    for path in tmp_path.glob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match="no images .* 2 .heic, 1 .svg"):
        load_folder(tmp_path, 8, 3)


def test_a_picture_that_is_too_large_is_not_called_damaged(tmp_path, monkeypatch):
    write_pictures(tmp_path, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(DataError, match="too large, more than 80 pixels; make it smaller"):
        load_folder(tmp_path, 8, 3)


def test_images_that_are_all_the_same_are_noticed(tmp_path):
    write_pictures(tmp_path, 1)
    for i in range(1, 20):
        (tmp_path / f"{i}.png").write_bytes((tmp_path / "0.png").read_bytes())
    assert all_alike(load_folder(tmp_path, 8, 3)) and not all_alike(open_folder(tmp_path, 8, 3))
    Image.new("RGB", (9, 9)).save(tmp_path / "zzz.png")
    assert not all_alike(load_folder(tmp_path, 8, 3))


def test_masks_of_small_numbers_are_said_to_be_nearly_black(tmp_path):
    for number in range(3):
        Image.fromarray(np.full((9, 9), number, np.uint8)).save(tmp_path / f"{number}.png")
    data = load_folder(tmp_path, 8, 1)
    assert [one for one in data_notices(data) if "nearly black, with values up to 2 of 255" in one]
    Image.new("L", (9, 9), 90).save(tmp_path / "bright.png")
    assert not [one for one in data_notices(load_folder(tmp_path, 8, 1)) if "black" in one]


def test_pictures_of_a_run_inside_the_folder_are_no_data(tmp_path):
    write_pictures(tmp_path, 4)
    write_pictures(tmp_path / "run" / "samples", 3)
    (tmp_path / "run" / "checkpoints").mkdir()
    assert len(load_folder(tmp_path, 8, 3)) == 7  # no run yet
    (tmp_path / "run" / "config.json").write_text("{}")
    data = load_folder(tmp_path, 8, 3)
    assert len(data) == 4 and "1 folder(s) of training runs" in data.notices[1]


def test_images_of_one_size_are_read_as_they_are(tmp_path):
    write_pictures(tmp_path, 3)
    images = read_images(tmp_path)
    np.testing.assert_array_equal(images[1], np.asarray(Image.open(tmp_path / "1.png")))
    Image.new("RGB", (7, 7)).save(tmp_path / "3.png")
    with pytest.raises(DataError, match="one size .* 7x7, 9x9"):
        read_images(tmp_path)
