"""Folders and zip files as users have them: what is read, left out, skipped or refused, and in which words."""

import io
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, command_here
from PIL import Image

from paddle_gan.commands import COMMANDS
from paddle_gan.config.command_line import parse
from paddle_gan.datasets import decode, depth, fitting, found, load_dataset, load_held_out, store, zipped
from paddle_gan.datasets.check import check_folder
from paddle_gan.datasets.duplicates import near_duplicates
from paddle_gan.datasets.folder import FolderOptions, load_folder, open_folder, read_images, survey_folder
from paddle_gan.datasets.found import find_in_folder
from paddle_gan.datasets.image_set import DiskImages, in_class_order
from paddle_gan.datasets.labels import natural
from paddle_gan.datasets.unreadable import Unreadable
from paddle_gan.errors import DataError, DiskError, UsageError
from paddle_gan.inference.images import grid, over_squares
from paddle_gan.system import cache

ANY = FolderOptions(skip_unreadable=10**9)


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    """A PNG file from its parts, for what Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def png_of_16_bits(values: np.ndarray) -> bytes:
    """Colours of 16 bits, [H, W, 3 or 4]."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, 16, {3: 2, 4: 6}[channels], rows)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def hostile_files() -> dict[str, bytes]:
    """61 files by their names: 47 that are images and can be read, 9 that cannot, 5 of other kinds."""
    plain = {f"plain/{i:02d}.png": encoded(Image.fromarray(noise(i, 70, 70, 3)), "PNG") for i in range(12)}
    photos = [Image.fromarray(noise(i, 5, 6, 3)).resize((90, 80), Image.Resampling.BICUBIC) for i in range(8)]
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = Image.fromarray(noise(40, 70, 70, 4))
    palette = photos[0].convert("P", palette=Image.Palette.ADAPTIVE)
    deep = np.linspace(0, 4095, 70 * 70).reshape(70, 70)
    ramp = Image.fromarray(np.linspace(0, 1.001, 70 * 70, dtype=np.float32).reshape(70, 70))
    signed = Image.fromarray(np.linspace(-1000, 3000, 70 * 70).astype(np.int32).reshape(70, 70))
    broken = np.full((70, 70), 0.5, np.float32)
    broken[3, :4] = np.nan
    flip = {"save_all": True, "append_images": [photos[1].copy(), photos[2].copy()]}
    files = plain | {
        **{f"photos/{i}.jpg": encoded(photo, "JPEG", quality=95) for i, photo in enumerate(photos[:5])},
        "photos/again.jpg": encoded(photos[0], "JPEG", quality=80),  # nearly photos/0.jpg
        "photos/smaller.png": encoded(photos[1].resize((81, 72)), "PNG"),  # nearly photos/1.jpg
        "copies/1.png": plain["plain/00.png"],
        "copies/2.png": plain["plain/00.png"],
        "copies/3.png": plain["plain/05.png"],
        "palette/1.gif": encoded(palette, "GIF"),
        "palette/2.png": encoded(palette, "PNG", transparency=int(np.asarray(palette)[0, 0])),
        "one-bit.bmp": encoded(photos[3].convert("1"), "BMP"),
        "grey.pgm": encoded(photos[4].convert("L"), "PPM"),
        "alpha/1.png": encoded(clear, "PNG"),
        "alpha/2.webp": encoded(clear, "WEBP", lossless=True),
        "alpha/opaque.png": encoded(photos[5].convert("RGBA"), "PNG"),
        "cmyk/1.tif": encoded(photos[6].convert("CMYK"), "TIFF"),
        "cmyk/2.jpg": encoded(photos[7].convert("CMYK"), "JPEG"),
        "moving/1.gif": encoded(photos[0].convert("P"), "GIF", **flip),
        "moving/2.webp": encoded(photos[0], "WEBP", **flip),
        "moving/pages.tiff": encoded(photos[0].copy(), "TIFF", **flip),
        "turned/1.jpg": encoded(photos[2], "JPEG", exif=turned),
        "turned/2.JPEG": encoded(photos[3], "JPEG", exif=turned),
        "deep/1.png": encoded(Image.fromarray(deep.astype(np.uint16)), "PNG"),
        "deep/2.tif": encoded(Image.fromarray(deep.T.astype(np.uint16)), "TIFF"),
        "deep/colour.png": png_of_16_bits(np.stack([deep, deep.T, deep[::-1]], axis=2)),
        "deep/signed.tif": encoded(signed, "TIFF"),
        "deep/float.tif": encoded(ramp, "TIFF"),
        "tiny/1.png": encoded(Image.fromarray(noise(50, 4, 5, 3)), "PNG"),
        "tiny/2.ico": encoded(Image.fromarray(noise(51, 16, 16, 3)), "ICO"),
        "wrong/is-a-png.jpg": encoded(photos[6], "PNG"),
        "wrong/is-a-jpeg.png": encoded(photos[7], "JPEG"),
        "\udcb9\udcb7.png": encoded(Image.fromarray(noise(52, 70, 70, 3)), "PNG"),
        "a\nb 😀.png": encoded(Image.fromarray(noise(53, 70, 70, 3)), "PNG"),
    }
    assert len(files) == 47
    return files | {
        "bad/\udcb9.png": b"junk",
        "bad/page.jpg": b"<html>not found</html>",
        "bad/cut.png": plain["plain/01.png"][:300],
        "bad/cut.jpg": files["photos/1.jpg"][:400],
        "bad/empty.png": b"",
        "bad/empty.jpg": b"",
        "bad/nan.tif": encoded(Image.fromarray(broken), "TIFF"),
        "bad/huge.png": png(50_000, 50_000, 8, 2, b""),
        "bad/flipped.png": plain["plain/02.png"][:60] + bytes(40) + plain["plain/02.png"][100:],
        "other/drawing.svg": b"<svg/>",
        "other/clip.MP4": b"\0\0\0 ftyp",
        "other/photo": files["photos/2.jpg"],
        "other/raw.dng": b"II*\0",
        "other/IMG_1.HEIC": b"\0\0\0 ftypheic",
    }


FILES = hostile_files()


class _BytesName(zipfile.ZipInfo):
    """A member whose name is in bytes that are no UTF-8, as old programs write it."""

    def _encodeFilenameFlags(self):
        return os.fsencode(self.filename), self.flag_bits & ~0x800


def write_zip(path: Path, files: dict[str, bytes], prefix: str = "", more: list = ()) -> Path:
    """A zip file of these files below a folder, and of more members with their contents."""
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that are there twice
        members = [(_BytesName(prefix + name), content) for name, content in files.items()]
        for member, content in [*members, *more]:
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return path


@pytest.fixture(autouse=True, scope="module")
def _no_heif():
    """As where pillow-heif is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (found, store):
            patch.setattr(module, "reads_heif", lambda: False)
        yield


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """The folder of these files, with hidden files, a pipe, links and a circle of links."""
    folder = tmp_path_factory.mktemp("hostile") / "pictures"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / ".hidden.png").write_bytes(FILES["plain/00.png"])
    (folder / "notes.txt").write_text("no image")
    (folder / "plain" / "circle").symlink_to(folder)
    (folder / "plain" / "gone.png").symlink_to(folder / "nowhere.png")
    for name in ("self.png", "self"):  # links to themselves
        (folder / "plain" / name).symlink_to(folder / "plain" / name)
    os.mkfifo(folder / "pipe.png")
    return folder


def checked(path: Path, **options) -> dict:
    return check_folder(path, 64, None, ANY, with_images=False, **options).said


@pytest.fixture(scope="module")
def said(hostile) -> dict:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return checked(hostile)


# --- What is read, and what is not --------------------------------------------------------------------------------


def test_every_file_of_the_hostile_folder_is_counted(said):
    counts = {name: said[name] for name in ("files", "readable", "grey", "runs_left_out", "trainable")}
    assert counts == {"files": 56, "readable": 47, "grey": 6, "runs_left_out": 0, "trainable": True}
    assert said["unreadable_kinds"] == {"corrupt": 3, "truncated": 2, "empty": 2, "not finite": 1, "too large": 1}
    assert said["not_read"] == {".svg": 1, ".mp4": 1, ".dng": 1, ".heic": 1, "without an extension": 1}
    assert said["formats"] == {"PNG": 25, "JPEG": 10, "TIFF": 5, "GIF": 2, "WEBP": 2, "BMP": 1, "PPM": 1, "ICO": 1}
    assert sum(said["modes"].values()) == 47 and said["modes"]["CMYK"] == 2
    assert said["bits"] == {"8": 41, "16": 3, "32": 2, "1": 1}


def test_what_is_odd_is_named(said):
    named = {name: sorted(said[name]) for name in ("animated", "rotated", "transparent", "cmyk", "deep")}
    assert named == {
        "animated": ["moving/1.gif", "moving/2.webp", "moving/pages.tiff"],
        "rotated": ["turned/1.jpg", "turned/2.JPEG"],
        "transparent": ["alpha/1.png", "alpha/2.webp", "palette/2.png"],
        "cmyk": ["cmyk/1.tif", "cmyk/2.jpg"],
        "deep": ["deep/1.png", "deep/2.tif", "deep/colour.png", "deep/float.tif", "deep/signed.tif"],
    }
    assert sorted(said["enlarged"]) == ["tiny/1.png", "tiny/2.ico"]
    assert sorted(said["wrong_extension"]) == ["wrong/is-a-jpeg.png", "wrong/is-a-png.jpg"]
    assert said["duplicates"] == [["copies/1.png", "copies/2.png", "plain/00.png"], ["copies/3.png", "plain/05.png"]]
    near = {name for group in said["near_duplicates"] for name in group}
    assert {"photos/0.jpg", "photos/again.jpg", "photos/1.jpg", "photos/smaller.png"} <= near
    assert not any(name.startswith("plain/") for name in near)


def test_the_same_files_in_a_zip_are_the_same_data(hostile, said, tmp_path):
    """Also below one folder, as archivers pack it, and with paths that lead out of it, links and doubles refused."""
    link = zipfile.ZipInfo("some/where/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    more = [
        ("some/where/.hidden.png", b"x"),
        ("__MACOSX/some/where/._x.png", b"x"),
        ("../../escape.png", FILES["plain/00.png"]),
        ("/etc/absolute.png", FILES["plain/00.png"]),
        ("some/where/plain/00.png", FILES["plain/01.png"]),
        (link, "/etc/passwd"),
    ]
    path = write_zip(tmp_path / "pictures.zip", FILES, "some/where/", more)
    again = checked(path)
    assert again.pop("refused") == {
        "their paths lead out of it": 2,
        "they have the name of another": 1,
        "they are links": 1,
    }
    for name in said.keys() - {"path", "refused"}:
        assert again[name] == said[name], name
    folder, archive = (open_folder(place, 32, 3, options=ANY) for place in (hostile, path))
    assert folder.fingerprint == archive.fingerprint
    np.testing.assert_array_equal(folder.images[:], archive.images[:])
    assert not list(tmp_path.glob("*/*")), "nothing is unpacked"


def test_names_are_written_on_any_terminal(hostile, tmp_path, capsys):
    """The command line in this process: the text, the JSON, the contact sheet, and the refusal with its status."""
    sheet = tmp_path / "sheet.png"
    command = COMMANDS["check_data"]
    arguments = [str(hostile), "--sheet", str(sheet), "--image-size", "32"]
    with pytest.raises(DataError, match=r"9 images cannot be read: .*and 4 more \(--skip-unreadable 9 goes on"):
        command.run(command.parse(arguments))
    shown = capsys.readouterr().out
    assert (
        "56 image files; format PNG (25), JPEG (10), " in shown
        and "9 of 56 cannot be read:" in shown
        and "'bad/\\udcb9.png'" in shown
    )
    assert "1 images of more than 8 bits hold floats from 0 to 1.001: 0 is black and 1 is white" in shown
    assert Image.open(sheet).width > 8 * 64
    command.run(command.parse([*arguments, "--json", "--skip-unreadable", "all"]))
    said = json.loads(capsys.readouterr().out)
    assert (said["readable"], said["trainable"], said["trained_with"]["channels"]) == (47, True, 3)
    for wrong, message in (
        (hostile / "sheet.png", "lies among the images"),
        (tmp_path / "sheet.jpg", r"--sheet .*sheet\.jpg: what is written is \.png"),
        (tmp_path, "--sheet .*: is a folder; name a file"),
    ):
        with pytest.raises(UsageError, match=message):
            command.run(command.parse([str(hostile), "--sheet", str(wrong)]))


@pytest.mark.parametrize("json_too", [False, True])
def test_a_sheet_that_cannot_be_written_does_not_cost_the_report(tmp_path, monkeypatch, capsys, json_too):
    """In the place that is not chosen; one that is chosen is looked at before."""
    many(tmp_path / "data", 2, 0)
    (tmp_path / "file").touch()
    monkeypatch.setattr("paddle_gan.commands.check_data.RUNS", tmp_path / "file" / "runs")
    command_here("check_data", tmp_path / "data", *(["--json"] if json_too else []))
    shown = capsys.readouterr()
    assert "notice: there is no sheet of the images: cannot write" in shown.err
    if json_too:
        said = json.loads(shown.out)
        assert (said["files"], said["sheet"]) == (2, None)
    else:
        assert "training sees 2 images of 64x64x3" in shown.out
    with pytest.raises(DiskError, match="cannot write"):
        command_here("check_data", tmp_path / "data", "--sheet", tmp_path / "file" / "sheet.png")
    assert capsys.readouterr().out == ""


def test_warnings_of_libraries_do_not_reach_the_user(tmp_path):
    """Of Pillow, through Python, and of libtiff, on stderr itself."""
    spoiled = bytearray(encoded(Image.fromarray(noise(0, 50, 50, 3)), "TIFF", compression="tiff_lzw"))
    spoiled[30:90] = b"\xff" * 60
    (tmp_path / "broken.tif").write_bytes(spoiled)
    (tmp_path / "exif.jpg").write_bytes(
        encoded(Image.new("RGB", (50, 50)), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\xff\xff")
    )
    Image.new("L", (100, 100)).save(tmp_path / "bomb.png")
    code = "from PIL import Image; Image.MAX_IMAGE_PIXELS = 6000; from paddle_gan.commands import main; main()"
    arguments = ["check_data", tmp_path, "--sheet", tmp_path.parent / "sheet.png", "--skip-unreadable", "all"]
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "broken.tif" in done.stdout and "format JPEG (1), PNG (1);" in done.stdout


def test_images_with_names_of_other_things_are_counted(tmp_path):
    """By their first bytes; other files are not."""
    ftyp = b"\0\0\0\x18ftyp"
    images = {
        "a.jpg_large": FILES["photos/0.jpg"],
        "a.jpg.1": FILES["photos/0.jpg"],
        "a.jpg~": FILES["photos/0.jpg"],
        "a.JPG ": FILES["photos/0.jpg"],
        "a.dat": FILES["one-bit.bmp"],
        "a.tmp": FILES["alpha/2.webp"],
        "a.orig": encoded(Image.new("L", (8, 8)), "JPEG2000"),
        "a.download": ftyp + b"heic",
        "a.part": ftyp + b"avif\0\0\0\0",
    }
    known = {name: b"x" for name in ("a.apng", "a.pcx", "a.hif", "a.j2k", "a.dib", "a.fits", "a.flv")}
    known["a.camera"] = b"II*\0 as TIFF begins, and so do the files of many cameras"
    others = {"a.mp3": ftyp + b"isom", "BMW.log2": b"BMW was here, and nothing else", "a.txt": FILES["photos/0.jpg"]}
    data = tmp_path / "data"
    data.mkdir()
    for name, content in (images | known | others).items():
        (data / name).write_bytes(content)
    packed = zipped.find_in_zip(write_zip(tmp_path / "data.zip", images | known | others))
    expected = {"with another extension": len(images), **{name[1:]: 1 for name in known}}
    assert packed.left_out.not_read == expected == find_in_folder(data).left_out.not_read
    with pytest.raises(DataError) as caught:
        open_folder(data, 8, 3)
    assert "1 .apng, 1 .camera, 1 .dib, 1 .fits, 1 .flv, 1 .hif, 1 .j2k, 1 .pcx; convert them" in str(caught.value)
    assert "names do not say that they are images: 9 with another extension; rename them" in str(caught.value)


# --- Unreadable files ---------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # Pillow's own, of half that size
def test_a_sound_picture_that_is_too_large_is_not_to_be_repaired(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6_000)
    many(tmp_path / "data", 2, 0)
    Image.new("L", (121, 100)).save(tmp_path / "data" / "large.png")
    with pytest.raises(DataError) as caught:
        open_folder(tmp_path / "data", 8, 3)
    assert "large.png: the image is too large, more than 12,000 pixels; make it smaller" in str(caught.value)
    assert "repair" not in str(caught.value)
    Image.new("L", (120, 100)).save(tmp_path / "data" / "large.png")
    assert len(open_folder(tmp_path / "data", 8, 3)) == 3


def many(folder: Path, count: int, bad: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        content = b"junk" if number < bad else encoded(Image.fromarray(noise(number, 6, 6, 3)), "PNG")
        (folder / f"{number:03d}.png").write_bytes(content)
    return folder


def test_one_percent_is_skipped_and_said_and_more_ends_the_run(tmp_path):
    folder = many(tmp_path / "two", 200, 2)
    data = open_folder(folder, 8, 3)
    assert len(data) == 198
    assert "skipped, since they cannot be read: 000.png, 001.png (2 corrupt)" in data.notices
    with pytest.raises(DataError, match=r"2 images cannot be read: .*000\.png.*001\.png.*--skip-unreadable 2"):
        open_folder(folder, 8, 3, options=FolderOptions(skip_unreadable=1))
    (folder / "002.png").write_bytes(b"")
    with pytest.raises(DataError, match="3 images cannot be read"):
        open_folder(folder, 8, 3)
    assert len(open_folder(folder, 8, 3, options=FolderOptions(skip_unreadable=3))) == 197
    without = tmp_path / "without"
    shutil.copytree(folder, without)
    for number in range(3):
        (without / f"00{number}.png").unlink()
    assert open_folder(without, 8, 3).fingerprint == open_folder(folder, 8, 3, options=ANY).fingerprint
    assert open_folder(without, 8, 3).fingerprint != data.fingerprint
    with pytest.raises(DataError, match="2 images cannot be read"):  # never without any image
        open_folder(many(tmp_path / "all", 2, 2), 8, 3, options=ANY)


@pytest.mark.parametrize(("given", "most"), [("0", 0), ("12", 12), ("all", 10**9)])
def test_the_number_of_files_that_may_be_skipped(given, most):
    from paddle_gan.config.shared import most_unreadable
    from paddle_gan.config.train import TrainConfig

    assert most_unreadable(TrainConfig(dataset="x", skip_unreadable=given).skip_unreadable) == most
    for wrong in ("-1", "1.5", "some", "", "1%"):
        with pytest.raises(UsageError, match="--skip-unreadable .*: a number of images, or all"):
            TrainConfig(dataset="x", skip_unreadable=wrong)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.png", FILES["plain/00.png"], "is a file; give the folder"),
        ("a.tar.gz", b"x", "an archive of this kind is not read; unpack it"),
        ("a.rar", b"x", "an archive of this kind is not read"),
        ("a.zip", b"x", "is no whole zip file"),
        ("a.npz", b"x", "arrays are not trained on; write the images as files"),
    ],
)
def test_a_file_in_the_place_of_a_folder(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        load_dataset(str(tmp_path / name), 8, 3)


def test_a_home_that_is_not_there_is_said():
    with pytest.raises(DataError, match="there is no such home folder"):
        load_dataset("~nobody-at-all/x", 8, 3)


def test_a_zip_that_unpacks_to_far_more_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(zipped, "_SMALL", 1 << 20)
    blank = {"a.bmp": encoded(Image.new("L", (1500, 1500)), "BMP")}
    with pytest.raises(DataError, match=r"bomb\.zip: unpacks to 0.0 GiB, more than 200 times its size"):
        open_folder(write_zip(tmp_path / "bomb.zip", blank), 8, 1)
    path = write_zip(tmp_path / "mixed.zip", blank | {"b.png": noise(0, 2**15).tobytes()})
    with pytest.raises(DataError, match=r"mixed.zip/a\.bmp: the file unpacks to more than 200 times its size"):
        open_folder(path, 8, 1)


def test_a_zip_inside_is_not_opened_and_said(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    inner = write_zip(data / "pictures.zip", {"a.png": FILES["plain/00.png"]})
    outer = write_zip(tmp_path / "outer.zip", {"pictures.zip": inner.read_bytes()})
    for place in (data, outer):
        with pytest.raises(DataError, match=r"no images .*archives inside are not opened: 1 \.zip; unpack them"):
            open_folder(place, 8, 3)


# --- The outputs of runs ------------------------------------------------------------------------------------------


def make_run(folder: Path) -> None:
    for name in ("samples/step-1.png", "samples.gif", "augmented.png", "evaluation.neighbours.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(FILES["plain/00.png"])
    (folder / "checkpoints").mkdir()
    (folder / "config.json").write_text("{}")


def test_outputs_of_runs_are_no_data_wherever_they_lie(tmp_path):
    data = tmp_path / "data"
    many(data, 4, 0)
    make_run(data / "run")
    (data / "begun" / "checkpoints").mkdir(parents=True)
    (data / "begun" / ".lock").touch()  # a run that is just being made
    (data / "begun" / "x.png").write_bytes(FILES["plain/00.png"])
    (data / "own").mkdir()
    (data / "own" / "x.png").write_bytes(FILES["plain/00.png"])
    for run, count in ((None, 5), (data / "own", 4), (data / "later", 5), (tmp_path / "elsewhere", 5)):
        there = find_in_folder(data, run)
        assert len(there.entries) == count and there.left_out.runs == (3 if count == 4 else 2)
    make_run(data)  # a run whose folder is the data folder itself
    assert len(find_in_folder(data).entries) == 5 == len(find_in_folder(data, data).entries)
    assert list(find_in_folder(data / "own").entries) == ["x.png"]  # a data folder inside a run folder
    for place in ("samples", "run/samples"):
        with pytest.raises(DataError, match="these are outputs of the training run in"):
            open_folder(data / place, 8, 3)
    empty = tmp_path / "runs"
    make_run(empty / "a")
    with pytest.raises(DataError, match=r"no images .*pictures in 1 folder\(s\) of training runs"):
        open_folder(empty, 8, 3)


@pytest.mark.parametrize(("top", "own"), [(False, False), (True, False), (False, True), (True, True)])
def test_outputs_of_runs_in_a_zip_are_no_data_either(tmp_path, top, own):
    """The same files are taken as from the folder: run folders inside it, and a run whose folder is the data itself."""
    data = tmp_path / "data"
    many(data / "own", 4, 0)
    make_run(data / "deep" / "run")
    make_run(data / "deep" / "run" / "best" / "again")
    (data / "begun" / "checkpoints").mkdir(parents=True)
    (data / "begun" / ".lock").touch()
    (data / "begun" / "x.png").write_bytes(FILES["plain/00.png"])
    (data / "in.png").write_bytes(FILES["plain/00.png"])
    if own:  # a run whose folder is the data folder itself
        make_run(data)
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", *((tmp_path, "data") if top else (data,)))
    packed, folder = zipped.find_in_zip(Path(archive)), find_in_folder(data)
    expected = ["in.png", *(f"own/{number:03d}.png" for number in range(4))]
    assert list(packed.entries) == expected == list(folder.entries)
    assert packed.left_out.runs == 2 == folder.left_out.runs


# --- More than 8 bits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "low", "high", "expected"),
    [
        ("integer", 0, 4095, (0, 4095)),
        ("integer", 3, 4096, (0, 8191)),
        ("integer", 0, 65535, (0, 65535)),
        ("integer", 0, 200, (0, 255)),
        ("integer", 0, 1, (0, 1)),
        ("integer", 0, 9, (0, 15)),
        ("integer", 0, 0, (0, 1)),
        ("integer", 0, 3_000_000_000, (0, 2**32 - 1)),
        ("integer", -1024, 3071, (-1024, 3071)),
        ("float", 0.0, 1.0, (0, 1)),
        ("float", -0.01, 1.001, (0, 1)),
        ("float", -1.0, 1.0, (-1, 1)),
        ("float", 0.0, 255.0, (0, 255)),
        ("float", -3.0, 256.0, (0, 255)),
        ("float", 0.0, 8.0, (0, 8)),
        ("float", 100.0, 4000.0, (0, 4000)),
        ("float", -5.0, 7.0, (-5, 7)),
        ("float", 280.0, 300.0, (280, 300)),
        ("float", 300.0, 300.0, (300, 301)),
    ],
)
def test_black_and_white_come_from_the_least_and_the_greatest_value(kind, low, high, expected):
    assert depth.range_of(kind, [(low, high)]) == expected
    middle = (low + high) / 2
    assert depth.range_of(kind, [(middle, middle), (low, middle), (middle, high)]) == expected


def test_the_range_is_that_of_the_whole_set(tmp_path):
    """A dark image stays dark, in files of 16 bits and in floats; images of 8 bits stay as they are."""
    for name, top in (("bright", 4095), ("dark", 1024)):
        Image.fromarray(np.full((8, 8), top, np.uint16)).save(tmp_path / f"{name}.png")
        Image.fromarray(np.full((8, 8), top / 4095, np.float32)).save(tmp_path / f"{name}.tif")
    Image.new("L", (8, 8), 100).save(tmp_path / "plain.png")
    data = load_folder(tmp_path, 8, 1)
    assert data.images[:, 0, 0, 0].tolist() == [255, 255, 64, 64, 100]
    assert "2 images of more than 8 bits hold integers from 1024 to 4095: 0 is black and 4095 is white" in data.notices


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (65535, "odd.png alone has values from 65535 to 65535; without it 0 would be black and 4095 white"),
        (4000, None),
    ],
)
def test_one_file_that_makes_all_others_pale_is_named(tmp_path, value, said):
    for number in range(4):
        Image.fromarray(np.full((8, 8), 4095 - number, np.uint16)).save(tmp_path / f"{number}.png")
    Image.fromarray(np.full((8, 8), value, np.uint16)).save(tmp_path / "odd.png")
    assert [one for one in load_folder(tmp_path, 8, 1).notices if "alone has" in one] == (
        [f"{said}, so all other images come out with little contrast"] if said else []
    )


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_16_bits_keep_their_lower_byte(tmp_path, channels):
    values = np.random.default_rng(0).integers(0, 4096, (9, 9, channels))
    values[0, 0, 0] = 4095
    if channels == 4:
        values[..., 3] = 65535
    (tmp_path / "a.png").write_bytes(png_of_16_bits(values))
    (facts,) = survey_folder(tmp_path, 9, None).stored.facts
    assert (facts.low, facts.high, facts.bits) == (values[..., :3].min(), 4095, 16)
    expected = (values[..., :3].astype(np.float32) * np.float32(255 / 4095)).round()
    np.testing.assert_array_equal(load_folder(tmp_path, 9, 3).images[0].transpose(1, 2, 0), expected)
    if channels == 4:
        assert (load_folder(tmp_path, 9, 4).images[0, 3] == 255).all()


def tiff(
    values: np.ndarray, order: str, photometric: int, form: int = 1, planes: int = 1, deflate: bool = False, **more
):
    """A TIFF file from its values, [H, W, C] or, in separate planes, [C, H, W], for what Pillow does not write."""
    channels, height, width = values.shape if planes == 2 else (values.shape[2], *values.shape[:2])
    strips = [part.astype(values.dtype.newbyteorder(order)).tobytes() for part in (values if planes == 2 else [values])]
    strips = [zlib.compress(strip) for strip in strips] if deflate else strips
    tags = {256: [width], 257: [height], 258: [8 * values.itemsize] * channels, 259: [8 if deflate else 1]}
    tags |= {262: [photometric], 273: [0] * len(strips), 277: [channels], 278: [height]}
    tags |= {279: [len(strip) for strip in strips], 284: [planes], 339: [form] * channels, **more.get("tags", {})}
    tags[273] = [8 + sum(map(len, strips[:number])) for number in range(len(strips))]
    end = 8 + sum(map(len, strips)) + 2 + 12 * len(tags) + 4
    body, behind = struct.pack(order + "H", len(tags)), b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}{'I' if tag in (273, 279) else 'H'}", *numbers)
        place = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack(order + "I", end + len(behind))
        behind += packed if len(packed) > 4 else b""
        body += struct.pack(order + "HHI", tag, 4 if tag in (273, 279) else 3, len(numbers)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + sum(map(len, strips)))
    return head + b"".join(strips) + body + bytes(4) + behind


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_values_of_16_bits_in_a_tiff_are_what_they_are(order, deflate):
    """Colours with both bytes, in the byte order of a Mac and of a PC; CMYK; grey of which 0 is white, of a PC."""
    values = np.random.default_rng(1).integers(0, 4096, (5, 7, 4)).astype(np.uint16)
    colours = decode.read_picture(tiff(values[..., :3], order, 2, deflate=deflate))
    np.testing.assert_array_equal(colours.deep, values[..., :3])
    grey = decode.read_picture(tiff(values[..., :1], "<", 0, deflate=deflate))
    np.testing.assert_array_equal(grey.deep, 65535 - values[..., 0])
    ink = decode.read_picture(tiff(values * 16, order, 5, deflate=deflate))
    share = values.astype(float) * 16 / 65535
    expected = 65535 * (1 - share[..., :3]) * (1 - share[..., 3:])
    np.testing.assert_allclose(ink.deep, expected, atol=0.5001)
    assert (colours.bits, grey.bits, ink.bits) == (16, 16, 16)


@pytest.mark.parametrize(("kind", "form"), [("i2", 2), ("i4", 2), ("f4", 3)])
def test_signed_values_and_floats_in_a_tiff_are_what_they_are(kind, form):
    values = np.random.default_rng(0).integers(-(2**15), 2**15, (5, 7, 1)).astype(kind)
    for order in "<>":
        for deflate in (False, True):
            picture = decode.read_picture(tiff(values, order, 1, form=form, deflate=deflate))
            np.testing.assert_array_equal(picture.deep, values[..., 0])


@pytest.mark.parametrize("most", [65535, 4095])
def test_a_ppm_of_two_bytes_keeps_both(most):
    """White is 65535, as in a grey file of this format, whatever the file says that it is."""
    values = np.random.default_rng(2).integers(0, most + 1, (5, 7, 3)).astype(">u2")
    head = b"P6\n# made by a scanner\n7 5\n%d\n" % most
    picture = decode.read_picture(head + values.tobytes())
    np.testing.assert_array_equal(picture.deep, np.round(values * (65535 / most)))
    assert (picture.bits, picture.format) == (16, "PPM")
    grey = decode.read_picture(b"P5 7 5 %d\n" % most + values[..., 0].tobytes())
    np.testing.assert_array_equal(grey.deep, picture.deep[..., 0])
    with pytest.raises(Unreadable, match="it is cut short"):
        decode.read_picture(head + values.tobytes()[:-1])


def test_grey_with_alpha_of_16_bits_is_read():
    values = np.random.default_rng(3).integers(0, 65536, (5, 7, 2))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    picture = decode.read_picture(png(7, 5, 16, 4, rows))
    np.testing.assert_array_equal(picture.deep, values[..., 0])
    np.testing.assert_array_equal(picture.alpha, values[..., 1] >> 8)
    pixels = fitting.to_pixels(picture, (5, 7), 4, "crop", {"integer": depth.Range(0, 65535)})
    np.testing.assert_array_equal(pixels[3], picture.alpha)
    np.testing.assert_array_equal(pixels[0], np.where(picture.alpha, (values[..., 0] / 257).round(), 255))
    assert decode.is_grey(picture) and decode.is_transparent(picture)


def jpeg_2000(bits: int) -> bytes:
    """Colours whose header says so many bits; without it they are 8."""
    content = encoded(Image.fromarray(noise(1, 16, 16, 3)), "JPEG2000")
    place = content.index(b"\xff\x4f\xff\x51") + 42
    return content[:place] + bytes([bits - 1]) + content[place + 1 :]


WORDS = np.zeros((4, 4, 3), np.uint16)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            tiff(WORDS.transpose(2, 0, 1).copy(), "<", 2, planes=2),
            "in separate planes is not read; convert it to a PNG",
        ),
        (tiff(WORDS.transpose(2, 0, 1).copy(), "<", 2, planes=2, deflate=True), "in separate planes"),
        (tiff(np.zeros((4, 4, 4), np.uint16), "<", 2, tags={338: [1]}), "premultiplied transparency"),
        (tiff(np.zeros((4, 4, 1), np.int8), "<", 1, form=2), "signed values of 8 bits"),
        (tiff(np.zeros((4, 4, 1), np.float32), "<", 0, form=3), "floats of which 0 is white"),
        (
            tiff(np.zeros((4, 4, 1), np.float64), ">", 1, form=3),
            r"not read \(1 x 64 bits, floats\); convert it to a PNG",
        ),
        (tiff(np.zeros((4, 4, 1), np.float16), "<", 1, form=3), r"\(1 x 16 bits, floats\)"),
        (tiff(np.zeros((4, 4, 1), np.uint64), "<", 1), r"\(1 x 64 bits, unsigned integers\)"),
        (tiff(np.zeros((4, 4, 1), np.uint16), ">", 0), r"\(1 x 16 bits, unsigned integers, 0 is white\)"),
        (tiff(np.zeros((4, 4, 3), np.float32), "<", 2, form=3), r"\(3 x 32 bits, floats\)"),
        (b"P3 1 1 65535 1 2 3\n", "a PPM of more than 8 bits that is written as text"),
        (jpeg_2000(16), "a JPEG 2000 of colours of more than 8 bits"),
    ],
)
def test_a_form_whose_values_would_come_out_wrong_is_refused(content, said):
    with pytest.raises(Unreadable, match=said) as caught:
        decode.read_picture(content)
    assert caught.value.kind == "refused"


def test_a_form_of_8_bits_beside_those_is_read():
    planes = noise(1, 3, 5, 7)
    for deflate in (False, True):
        picture = decode.read_picture(tiff(planes, "<", 2, planes=2, deflate=deflate))
        np.testing.assert_array_equal(np.asarray(picture.image), planes.transpose(1, 2, 0))
    assert decode.read_picture(jpeg_2000(8)).bits == 8 == decode.read_picture(b"P3 1 1 15 1 2 3\n").bits


def test_a_long_text_or_profile_in_a_png_does_no_harm():
    plain = encoded(Image.new("L", (8, 8), 9), "PNG")
    for name, size in ((b"zTXt", 2 << 20), (b"iCCP", 2 << 20), (b"zTXt", 65 << 20)):
        packed = chunk(name, b"x\0\0" + zlib.compress(bytes(size)))
        content = plain[:33] + packed + plain[33:]
        if size < 64 << 20:
            assert np.asarray(decode.read_picture(content).image).max() == 9
        else:
            with pytest.raises(Unreadable, match="its text or its colour profile is larger than 64 MiB"):
                decode.read_picture(content)


def test_unsigned_values_of_32_bits_are_not_taken_for_negative(tmp_path):
    values = np.array([[0, 3_000_000_000], [1, 2**32 - 1]], np.uint32)
    content = encoded(Image.fromarray(values.view(np.int32)), "TIFF")
    signed_as_unsigned = content.replace(struct.pack("<HHIHH", 339, 3, 1, 2, 0), struct.pack("<HHIHH", 339, 3, 1, 1, 0))
    assert signed_as_unsigned != content
    np.testing.assert_array_equal(decode.read_picture(signed_as_unsigned).deep, values)


def test_nan_is_named(tmp_path):
    (tmp_path / "nan.tif").write_bytes(FILES["bad/nan.tif"])
    (tmp_path / "plain.png").write_bytes(FILES["plain/00.png"])
    with pytest.raises(DataError, match=r"nan\.tif: 4 of 4900 pixels are NaN or infinite"):
        load_folder(tmp_path, 8, 1)


# --- Classes ------------------------------------------------------------------------------------------------------


def test_classes_are_in_natural_order_and_said(tmp_path):
    for number, name in enumerate(("10", "2", "0", "11", "1")):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8), number).save(tmp_path / name / "x.png")
    data = load_folder(tmp_path, 8, 1, labelled=True)
    assert data.classes == ("0", "1", "2", "10", "11")
    assert [data.classes[label] for label in data.labels] == ["0", "1", "10", "11", "2"]  # the images keep their order
    line = "classes by number and name, with their images: 0 0 (1), 1 1 (1), 2 2 (1), 3 10 (1), 4 11 (1)"
    assert line in data.notices
    older = in_class_order(data, ("0", "1", "10", "11", "2"))
    assert [older.classes[label] for label in older.labels] == ["0", "1", "10", "11", "2"]
    assert older.labels.tolist() == [0, 1, 2, 3, 4]
    assert in_class_order(data, ("0", "1")) is data
    assert sorted(["b", "a10", "a2", "10", "9", "1b", "01"], key=natural) == ["01", "1b", "9", "10", "a2", "a10", "b"]


def test_a_rare_class_is_said(tmp_path):
    for name, count in (("many", 20), ("few", 2)):
        many(tmp_path / name, count, 0)
    said = "the largest class has 20 images and the smallest, 0 few, 2: it is seen that rarely"
    assert said in load_folder(tmp_path, 8, 3, labelled=True).notices


def csv(tmp_path: Path, text: str) -> FolderOptions:
    path = tmp_path.parent / f"{tmp_path.name}.csv"
    path.write_bytes(os.fsencode(text))
    return FolderOptions(labels=path)


@pytest.mark.parametrize(
    "label", ["cat\u2028 or tiger", "cat\n or tiger", "cat\r\n or tiger", "cat\x1b[31m", "a,b", "a|b"]
)
def test_a_label_is_what_stands_between_the_quotes(tmp_path, label):
    """Also a line break, which is no end of the row; names in messages stay in one line of printable characters."""
    many(tmp_path / "data", 2, 0)
    text = f'file,label\n000.png,"{label}"\n"001.png",dog\n'
    data = open_folder(tmp_path / "data", 8, 3, labelled=True, options=csv(tmp_path, text))
    assert sorted(data.classes) == sorted((label, "dog"))
    assert all(line.isprintable() for line in data.notices)


@pytest.mark.parametrize("packed", [False, True])
def test_a_class_without_a_usable_image_is_named(tmp_path, packed):
    """Empty, only HEIC, only unreadable; folders of runs and hidden ones are no classes anyway."""
    data = tmp_path / "data"
    many(data / "cat", 3, 0)
    many(data / "bad\n", 1, 1)
    for name in ("empty", "phone/deep", "run/checkpoints", ".hidden"):
        (data / name).mkdir(parents=True)
    (data / "phone" / "deep" / "1.heic").write_bytes(b"x")
    (data / "run" / "config.json").write_text("{}")
    (data / "in.txt").touch()
    place = Path(shutil.make_archive(str(tmp_path / "data"), "zip", data)) if packed else data
    loaded = open_folder(place, 8, 3, labelled=True, options=ANY)
    assert loaded.classes == ("cat",)
    assert "no classes, since they hold no image that can be used: 'bad\\n', empty, phone" in loaded.notices


def test_a_class_of_a_file_without_a_usable_image_is_named(tmp_path):
    many(tmp_path / "data", 3, 1)
    text = "000.png,bird\n001.png,cat\n002.png,cat\ngone.png,dog\n"
    options = replace(csv(tmp_path, text), skip_unreadable=1)
    data = open_folder(tmp_path / "data", 8, 3, labelled=True, options=options)
    said = f"no classes, since none of their images in {tmp_path.name}.csv can be used: bird, dog"
    assert data.classes == ("cat",) and said in data.notices


@pytest.mark.parametrize(
    "text",
    [
        "file,label\n000.png,cat\n001.png,dog\n./002.png,cat\n",
        "000.png,cat\n001.png,dog\n002.png,cat",
        "\ufeffname;class\r\n000.png; cat\r\n001.png;dog\r\n002.png;cat\r\n\r\n",
        '"000.png"\t"cat"\n001.png\tdog\n002.png\tcat\n002.png\tcat\n',
    ],
)
def test_labels_from_a_file(tmp_path, text):
    many(tmp_path / "data", 3, 0)
    data = open_folder(tmp_path / "data", 8, 3, labelled=True, options=csv(tmp_path, text))
    assert (data.classes, data.labels.tolist()) == (("cat", "dog"), [0, 1, 0])


def test_files_that_are_not_listed_and_listed_files_that_are_missing_are_said(tmp_path):
    many(tmp_path / "data", 4, 0)
    text = "000.png,10\n002.png,9\nsub\\else.png,9\n"
    data = open_folder(tmp_path / "data", 8, 3, labelled=True, options=csv(tmp_path, text))
    assert (data.classes, data.labels.tolist(), len(data)) == (("9", "10"), [1, 0], 2)
    assert f"left out, since {tmp_path.name}.csv gives them no label: 001.png, 003.png" in data.notices
    assert f"{tmp_path.name}.csv lists files that are not among the images: sub/else.png" in data.notices


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("000.png,a\n000.png,b\n", "000.png has the labels a and b; an image has one class here"),
        ('x.png,cat\ny.png,dog\n000.png,"cat, dog"\n', "000.png has the labels cat and dog; an image has one class"),
        ("x.png,cat\ny.png,dog\n000.png,dog|cat\n", "000.png has the labels dog and cat"),
        ("x.png,cat\ny.png,dog\n000.png,cat;dog;cat\n", "000.png has the labels cat and dog and cat"),
        ("\ufeff000.png,a\n".encode("utf-16-le"), "is in UTF-16 .*; save it in UTF-8"),
        ("000.png,a\n".encode("utf-16-le"), "is in UTF-16"),
        ("x.png,cat|dog\ny.png,dog|bird\n000.png,cat|bird\n", "x.png has the labels cat and dog"),
        ("000.png,a,b\n", "row 1 has 3 cells and not two: a file and its one class"),
        ("file,label\nx.png,a\n", "lists none of .*, relative to which .*it lists x.png; there are 000.png"),
        ("", "lists none of the images"),
        ("000.png, \n", "000.png has an empty label"),
        ('"000.png,a\n', "is no CSV file"),
    ],
)
def test_a_file_of_labels_that_cannot_be_used_is_refused_in_words(tmp_path, text, said):
    many(tmp_path / "data", 1, 0)
    with pytest.raises(DataError, match=said):
        open_folder(tmp_path / "data", 8, 3, labelled=True, options=csv(tmp_path, text))


def test_labels_with_commas_that_share_a_part_only_are_classes(tmp_path):
    many(tmp_path / "data", 2, 0)
    labels = csv(tmp_path, '000.png,"red, matte"\n001.png,"red, glossy"\n')
    assert open_folder(tmp_path / "data", 8, 3, labelled=True, options=labels).classes == ("red, glossy", "red, matte")


def test_labels_need_a_file_and_networks_that_take_them(tmp_path):
    from paddle_gan.config.train import TrainConfig
    from paddle_gan.runs.resolve import resolve

    many(tmp_path / "data", 1, 0)
    with pytest.raises(DataError, match="cannot be read"):
        open_folder(tmp_path / "data", 8, 3, options=FolderOptions(labels=tmp_path))
    for options, said in (
        ({"labels": "x.csv", "dataset": "pictures"}, "--labels without --conditional"),
        ({"labels": "x.csv", "conditional": True}, "--labels with mnist"),
        ({"fit": "pad"}, "--fit with mnist"),
        ({"val_fraction": 0.1}, "--val-fraction with mnist"),
        ({"skip_unreadable": "all"}, "--skip-unreadable with mnist"),
    ):
        with pytest.raises(UsageError, match=said):
            resolve(TrainConfig(**options), "cpu")
    with pytest.raises(UsageError, match="--channels 4: the images of mnist have no transparency"):
        load_dataset("mnist", 28, 4)


# --- Size, colours, transparency ----------------------------------------------------------------------------------


def test_three_ways_to_fit_another_size(tmp_path):
    """A red image of 60×20 with blue ends, in 16 wide and 8 high."""
    image = Image.new("RGB", (60, 20), "red")
    for left in (0, 50):
        image.paste("blue", (left, 0, left + 10, 20))
    image.save(tmp_path / "a.png")
    pixels = {}
    for fit in fitting.FITS:
        data = open_folder(tmp_path, (8, 16), 3, options=FolderOptions(fit=fit))
        pixels[fit] = data.images[:][0].transpose(1, 2, 0)
        assert pixels[fit].shape == (8, 16, 3)
    red, blue, white = (255, 0, 0), (0, 0, 255), (255, 255, 255)
    assert tuple(pixels["crop"][4, 8]) == red and tuple(pixels["crop"][4, 1]) == red
    assert tuple(pixels["stretch"][0, 0]) == blue and tuple(pixels["stretch"][4, 8]) == red
    assert tuple(pixels["pad"][0, 8]) == white and tuple(pixels["pad"][4, 0]) == blue  # 16x5 in the middle
    assert (pixels["pad"] == 255).all(axis=2).all(axis=1).sum() == 3


def test_a_fine_pattern_becomes_grey_and_does_not_alias(tmp_path):
    lines = np.zeros((256, 256), np.uint8)
    lines[:, ::2] = 255
    Image.fromarray(lines).save(tmp_path / "lines.png")
    images = load_folder(tmp_path, 16, 1).images
    assert 120 <= images.min() and images.max() <= 135


def test_colour_is_what_the_images_have_unless_it_is_given(tmp_path):
    grey = noise(0, 9, 9)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([grey] * 3, axis=2)).save(tmp_path / "grey as colour.png")
    data = load_folder(tmp_path, 9, None)
    assert data.images.shape == (2, 1, 9, 9)
    np.testing.assert_array_equal(data.images[:, 0], np.stack([grey, grey]))
    Image.new("RGB", (9, 9), (1, 2, 3)).save(tmp_path / "colour.png")
    assert open_folder(tmp_path, 9, None, stored=True).images[:].shape == (3, 3, 9, 9)
    assert load_folder(tmp_path, 9, 1).images.shape == (3, 1, 9, 9)


def test_alpha_is_kept_straight_and_clear_pixels_are_white(tmp_path):
    image = np.zeros((4, 4, 4), np.uint8)
    image[:, :2] = (200, 100, 50, 128)
    image[:, 2:] = (9, 8, 7, 0)
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "b.png")
    pixels = load_folder(tmp_path, 4, 4).images.transpose(0, 2, 3, 1)
    assert pixels[0, 0, 0].tolist() == [200, 100, 50, 128] and pixels[0, 0, 3].tolist() == [255, 255, 255, 0]
    assert pixels[1, 0, 0].tolist() == [1, 2, 3, 255]
    assert load_folder(tmp_path, 4, 3).images[0, :, 0, 3].tolist() == [255, 255, 255]
    # made smaller, the colour below clear pixels does not shine through
    small = load_folder(tmp_path, 1, 4).images[0, :3, 0, 0]
    np.testing.assert_allclose(small, (200, 100, 50), atol=3)
    padded = open_folder(tmp_path, (4, 8), 4, options=FolderOptions(fit="pad")).images[:]
    assert padded[1, :, 0, 0].tolist() == [255, 255, 255, 0]


def test_sheets_show_a_checkerboard_behind_transparent_pixels():
    images = np.zeros((1, 16, 16, 4), np.uint8)
    images[0, 0, 0] = (10, 20, 30, 255)
    images[0, 0, 1] = (0, 0, 0, 128)
    shown = over_squares(images)[0]
    assert (
        shown[0, 0].tolist() == [10, 20, 30] and shown[0, 2].tolist() == [255] * 3 and shown[0, 8].tolist() == [204] * 3
    )
    assert shown[8, 8].tolist() == [255] * 3 and shown[0, 1].tolist() == [round(255 * (1 - 128 / 255))] * 3
    assert grid(images, 1).shape == (68, 68, 3)


# --- Held-out images ----------------------------------------------------------------------------------------------


def test_held_out_images_depend_on_seed_and_name_alone(tmp_path):
    folder = many(tmp_path / "data", 60, 0)
    options = FolderOptions(val_fraction=0.25, seed=3)
    training = open_folder(folder, 6, 3, options=options)
    held_out = load_held_out(str(folder), 6, 3, folder=options)
    assert len(training) + len(held_out) == 60 and 5 <= len(held_out) <= 26
    rows = {image.tobytes() for image in held_out.images[:]}
    assert not rows & {image.tobytes() for image in training.images[:]}
    assert load_held_out(str(folder), 6, 3) is None
    assert training.fingerprint != open_folder(folder, 6, 3).fingerprint
    for number in range(30):
        (folder / f"{number:03d}.png").unlink()
    fewer = {image.tobytes() for image in load_held_out(str(folder), 6, 3, folder=options).images[:]}
    assert fewer < rows
    other = load_held_out(str(folder), 6, 3, folder=FolderOptions(val_fraction=0.25, seed=4))
    assert {image.tobytes() for image in other.images[:]} != fewer
    for fraction, count in ((1e-9, 0), (1 - 1e-9, 30)):
        with pytest.raises(DataError, match=f"holds out {count} of 30 images; at least 6 are needed to measure"):
            open_folder(folder, 6, 3, options=FolderOptions(val_fraction=fraction))
    said = f"{len(held_out)} of 60 images are held out from training, and the measures compare with them"
    assert said in training.notices


def test_copies_on_both_sides_are_counted(tmp_path):
    folder = many(tmp_path / "data", 40, 0)
    options = FolderOptions(val_fraction=0.3, seed=1)
    held_out = load_held_out(str(folder), 6, 3, folder=options)
    assert not any("copies of training images" in line for line in held_out.notices)
    for name in held_out.names[:2]:
        shutil.copyfile(folder / name, folder / name.replace(".", " copy."))
    data = open_folder(folder, 6, 3, options=options)
    copied = {name.replace(".", " copy.") for name in held_out.names[:2]} & set(data.names)
    assert copied, "the names of the copies are on the other side"
    assert any(line.startswith(f"{len(copied)} of the held-out images are copies of training") for line in data.notices)


def test_a_class_that_is_held_out_as_a_whole_ends_the_run(tmp_path):
    data, options = tmp_path / "data", FolderOptions(val_fraction=0.3)
    for name in ("common", "rare"):
        many(data / name, 20, 0)
    for name in open_folder(data, 6, 3, options=options).names:
        if name.startswith("rare/"):
            (data / name).unlink()
    assert all(name.startswith("common/") for name in open_folder(data, 6, 3, options=options).names)
    with pytest.raises(DataError, match=r"--val-fraction 0.3: holds out all images of rare; add images of these"):
        open_folder(data, 6, 3, options=options, labelled=True)


# --- The cache ----------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch) -> Counter:
    """How often each content was decoded."""
    decoded, read = Counter(), decode.read_picture

    def counting(content: bytes):
        decoded[content] += 1
        return read(content)

    monkeypatch.setattr(decode, "read_picture", counting)
    return decoded


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PADDLE_GAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_images_are_decoded_once(tmp_path, own_cache, counted):
    folder = many(tmp_path / "data", 20, 0)
    first = load_dataset(str(folder), 8, 3)
    assert sum(counted.values()) == 20
    again = load_dataset(str(folder), 8, 3, free_memory=0)
    assert isinstance(again.images, DiskImages) and sum(counted.values()) == 20
    np.testing.assert_array_equal(first.images, again.images[:])
    np.testing.assert_array_equal(first.images[3], again.images.read(3))
    np.testing.assert_array_equal(first.images, open_folder(folder, 8, 3).images[:])  # from the files
    counted.clear()
    folder.rename(tmp_path / "moved")
    load_dataset(str(tmp_path / "moved"), 8, 3)
    assert not counted
    load_dataset(str(tmp_path / "moved"), 8, 1)  # other pixels, the same facts
    assert sum(counted.values()) == 20


def test_a_change_of_an_image_is_seen(tmp_path, own_cache):
    """Also one that leaves its name, its size in bytes and the time of its change."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.bmp").write_bytes(encoded(Image.new("L", (8, 8), 10), "BMP"))
    times = (folder / "a.bmp").stat()
    assert load_dataset(str(folder), 8, 1).images.max() == 10
    (folder / "a.bmp").write_bytes(encoded(Image.new("L", (8, 8), 20), "BMP"))
    os.utime(folder / "a.bmp", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert load_dataset(str(folder), 8, 1).images.max() == 20


def test_a_cache_that_was_cut_or_spoiled_is_made_anew(tmp_path, own_cache, counted):
    folder = many(tmp_path / "data", 5, 0)
    expected = load_dataset(str(folder), 8, 3).images.copy()  # it is mapped, and the file is spoiled in place
    (pixels,), (facts,) = own_cache.glob("*.pixels"), own_cache.glob("*.facts")
    pixels.write_bytes(pixels.read_bytes()[:-1])
    np.testing.assert_array_equal(load_dataset(str(folder), 8, 3).images, expected)
    facts.write_bytes(facts.read_bytes()[:-9])
    np.testing.assert_array_equal(load_dataset(str(folder), 8, 3).images, expected)
    assert sum(counted.values()) == 15


def test_a_write_that_fails_leaves_nothing_and_the_run_goes_on(tmp_path, own_cache, monkeypatch):
    from paddle_gan.system import files

    folder = many(tmp_path / "data", 5, 0)

    def full(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(files.FILESYSTEM, "replace", full)
    data = load_dataset(str(folder), 8, 3)
    assert len(data.images) == 5 and any("not kept (cannot write" in line for line in data.notices)
    assert [path.name for path in own_cache.iterdir() if not path.name.endswith(".lock")] == []


def test_the_place_of_the_cache_without_a_home(tmp_path, monkeypatch):
    monkeypatch.delenv("PADDLE_GAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder() == tmp_path / "xdg" / "paddle_gan" / "images"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # as where nothing can be written
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache.cache_folder() == tmp_path / f"paddle_gan-{os.getuid()}"
    monkeypatch.setenv("PADDLE_GAN_CACHE", str(tmp_path / "file" / "x"))
    assert cache.cache_folder() is None
    folder = many(tmp_path / "data", 3, 0)
    data = load_dataset(str(folder), 8, 3)
    assert len(data.images) == 3 and any("no folder for it can be written" in line for line in data.notices)


def test_the_cache_keeps_to_its_limit_and_drops_the_oldest(tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_GAN_CACHE_GIB", str(1000 / 2**30))
    for age, name in enumerate(("new", "old", "oldest")):
        (tmp_path / name).write_bytes(bytes(300))
        os.utime(tmp_path / name, (10_000 - age, 10_000 - age))
    assert not cache.has_room(tmp_path, 1001)
    assert cache.has_room(tmp_path, 100) and len(list(tmp_path.iterdir())) == 3
    assert cache.has_room(tmp_path, 500) and sorted(path.name for path in tmp_path.iterdir()) == ["new"]


def test_images_that_do_not_fit_into_the_cache_stay_in_their_files(tmp_path, own_cache, monkeypatch):
    monkeypatch.setenv("PADDLE_GAN_CACHE_GIB", "0")
    folder = many(tmp_path / "data", 3, 0)
    data = load_dataset(str(folder), 8, 3, free_memory=0)
    assert any("not kept (they would take 0.0 GiB" in line for line in data.notices)
    np.testing.assert_array_equal(data.images[:], load_folder(folder, 8, 3).images)


# --- Near duplicates ----------------------------------------------------------------------------------------------


def test_near_duplicates_are_pictures_and_not_mere_colours(tmp_path):
    soft = Image.fromarray(noise(7, 5, 6, 3)).resize((90, 80), Image.Resampling.BICUBIC)
    soft.save(tmp_path / "a.png")
    soft.save(tmp_path / "b.jpg", quality=70)
    soft.resize((60, 53)).save(tmp_path / "c.png")
    soft.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
    for value in (0, 100, 200):
        Image.new("L", (30, 30), value).save(tmp_path / f"{value}.png")
    facts = survey_folder(tmp_path, 16, None).readable
    assert near_duplicates(facts) == [["a.png", "b.jpg", "c.png"]]


def test_photos_of_phones_are_read_with_pillow_heif(tmp_path, monkeypatch):
    pytest.importorskip("pillow_heif")
    for module in (found, store):
        monkeypatch.setattr(module, "reads_heif", decode.reads_heif)
    assert decode.reads_heif()
    (tmp_path / "IMG_1.HEIC").write_bytes(encoded(Image.new("RGB", (64, 48), (200, 0, 0)), "HEIF"))
    np.testing.assert_allclose(load_folder(tmp_path, 8, 3).images[0, :, 4, 4], (200, 0, 0), atol=3)


def test_samples_with_alpha_are_read_as_they_are(tmp_path):
    Image.fromarray(noise(1, 8, 8, 4)).save(tmp_path / "a.png")
    assert read_images(tmp_path).shape == (1, 8, 8, 4)


def test_features_of_samples_with_alpha_are_those_over_white():
    from paddle_gan.features.extractors import over_white, to_grey_28

    image = np.zeros((1, 28, 28, 4), np.uint8)
    image[..., 3] = 51  # a fifth
    assert (over_white(image) == 204).all() and (to_grey_28(image) == 204).all()


def test_options_of_the_check_are_those_of_training():
    from paddle_gan.config.check import CheckConfig
    from paddle_gan.config.train import TrainConfig

    for name in ("image_size", "fit", "labels", "skip_unreadable"):
        kinds = [kind.__dataclass_fields__[name].type for kind in (CheckConfig, TrainConfig)]
        assert kinds[0] == kinds[1]
    assert parse(CheckConfig, "", argv=["--json", "--fit", "pad"]).options == CheckConfig(json=True, fit="pad")


# --- Whole runs ---------------------------------------------------------------------------------------------------


def run(out: Path, data: Path, **others) -> list[str]:
    from paddle_gan.config.train import TrainConfig
    from paddle_gan.runs import experiment

    lines: list[str] = []
    tiny = {"width": 4, "discriminator_width": 4, "batch_size": 8, "image_size": 16, "steps": 2, "recipe": "paper"}
    tiny |= {"dataset": str(data), "out": str(out), "device": "cpu", "log_every": 1, "evaluate_every": 0}
    experiment.run(TrainConfig(**tiny | others), lines.append)
    return lines


def test_a_run_on_a_zip_with_alpha_labels_and_held_out_images(tmp_path, own_cache, counted, monkeypatch):
    from paddle_gan.inference.npz_files import read_npz, write_npz
    from paddle_gan.inference.sampling import generate, write_pngs
    from paddle_gan.runs import experiment
    from paddle_gan.runs.generators import load_generator
    from paddle_gan.training.log import read_metrics

    monkeypatch.setattr(experiment, "EVALUATION_SAMPLES", 12)
    names = [f"{number:02d}.png" for number in range(40)]
    files = {name: encoded(Image.fromarray(noise(number, 20, 24, 4)), "PNG") for number, name in enumerate(names)}
    data = write_zip(tmp_path / "data.zip", files, prefix="data/")
    labels = csv(tmp_path, "".join(f"{name},{number % 2 * 9 + 1}\n" for number, name in enumerate(names))).labels
    options = {"channels": 4, "fit": "pad", "labels": str(labels), "conditional": True, "val_fraction": 0.3}
    lines = run(tmp_path / "run", data, evaluate_every=2, **options)
    assert sum(counted.values()) == 40
    assert "notice: classes by number and name, with their images: 0 1 (20), 1 10 (20)" in lines
    held_out = next(int(line.split()[1]) for line in lines if "held out" in line)
    assert any(line.startswith(f"{40 - held_out} images of data.zip in 2 classes, 16x16x4; ") for line in lines)
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["evaluation/frechet_distance"] > 0
    assert "going on from step 2 of 3" in run(tmp_path / "run", data, steps=3, **options)
    assert sum(counted.values()) == 40, "the second start decodes nothing"
    trained = load_generator(tmp_path / "run")
    batches = list(generate(trained.network, 6, 0, len(trained.classes)))
    write_pngs(tmp_path / "pngs", batches)
    write_npz(tmp_path / "samples.npz", 6, batches)
    np.testing.assert_array_equal(read_npz(tmp_path / "samples.npz"), read_images(tmp_path / "pngs"))
    assert read_images(tmp_path / "pngs").shape == (6, 16, 16, 4)
    assert Image.open(next((tmp_path / "run" / "samples").glob("step-*.png"))).mode == "RGB"


def test_a_grey_folder_that_holds_its_own_run_is_trained_in_grey(tmp_path):
    """The run folder is the data folder itself; a resume finds the same images, and no sheets among them."""
    data = tmp_path / "data"
    data.mkdir()
    for number in range(8):
        Image.fromarray(noise(number, 20, 20)).convert("RGB").save(data / f"{number}.png")
    first = run(data, data, evaluate_every=1, augment=("flip",))
    again = run(data, data, steps=3, augment=("flip",))
    few = "notice: 8 images are too few to measure during training, which takes 12 or more"
    assert few in first and few not in again  # where no measure is wanted
    assert (data / "augmented.png").exists()
    assert (data / "samples.gif").exists()
    for lines in (first, again):
        assert any(line.startswith("8 images of data, 16x16x1; ") for line in lines)
    assert not any("not what this run was trained on" in line for line in again)
    run(tmp_path / "older", data, channels=3)  # before, colour was the default
    assert any(line.startswith("8 images of data, 16x16x3; ") for line in run(tmp_path / "older", data, steps=3))


def test_an_older_run_keeps_the_numbers_of_its_classes(tmp_path, monkeypatch):
    from conftest import newest_manifest

    from paddle_gan.datasets import labels

    for name in ("1", "2", "10"):
        many(tmp_path / "data" / name, 4, 0)
    with monkeypatch.context() as older:
        older.setattr(labels, "natural", lambda name: name)
        run(tmp_path / "whole", tmp_path / "data", conditional=True, steps=4)
        run(tmp_path / "parts", tmp_path / "data", conditional=True, steps=2)
    lines = run(tmp_path / "parts", tmp_path / "data", conditional=True, steps=4)
    assert "notice: this run goes on with its own numbers of the classes: 0 1, 1 10, 2 2" in lines
    manifests = [newest_manifest(tmp_path / name) for name in ("whole", "parts")]
    assert manifests[0]["classes"] == manifests[1]["classes"] == ["1", "10", "2"]
    assert manifests[0]["sha256"] == manifests[1]["sha256"]
