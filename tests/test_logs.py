"""The further logs of a run: event files for TensorBoard and Weights & Biases, read back by small readers of their own,
and the log as a table."""

import io
import json
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, command_here
from PIL import Image

from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import UsageError
from paddle_gan.training.further_logs import FURTHER_LOGS, chosen_logs
from paddle_gan.training.log import read_metrics

needs_tensorboardx = pytest.mark.skipif(not find_spec("tensorboardX"), reason="needs tensorboardX")
needs_wandb = pytest.mark.skipif(not find_spec("wandb"), reason="needs wandb")
HERE = [name for name, log in FURTHER_LOGS.items() if find_spec(log.package)]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run with every log whose package is here: trained to step 4, then resumed from its checkpoint at step 3."""
    folder = tmp_path_factory.mktemp("logs") / "run"
    options = ("--log-every", 2, "--sample-every", 3, "--checkpoint-every", 3, "--evaluate-every", 4, "--conditional")
    arguments = ("train", "--out", folder, *TINY, *options, "--log", *HERE)
    command_here(*arguments, "--steps", 4)
    first = json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])
    with open(folder / "metrics.jsonl", "a") as file:  # as a session that was killed at step 6 leaves it
        file.write(json.dumps({**first, "step": 6}) + "\n")
    command_here(*arguments, "--steps", 8)
    return folder


def logged(run: Path, kind: type | tuple[type, ...]) -> dict[tuple[str, int], object]:
    """The values of one kind in metrics.jsonl, by name and step."""
    return {
        (name, line["step"]): value
        for line in read_metrics(run / "metrics.jsonl")
        for name, value in line.items()
        if name not in ("step", "time", "seconds") and isinstance(value, kind)
    }


def fields(message: bytes) -> Iterator[tuple[int, object]]:
    """Number and value of each field of a protobuf message: int, 8 or 4 bytes, or bytes."""
    place = 0

    def varint() -> int:
        nonlocal place
        value, shift = 0, 0
        while True:
            byte = message[place]
            place, value, shift = place + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while place < len(message):
        number, wire = divmod(varint(), 8)
        size = {1: 8, 5: 4}.get(wire) or (varint() if wire == 2 else 0)
        if wire == 0:
            yield number, varint()
        else:
            yield number, message[place : place + size]
            place += size


def events(folder: Path) -> list[tuple[str, int, dict[int, object]]]:
    """Tag, step and fields of each value in the one event file of TensorBoard in a folder."""
    (file,) = folder.iterdir()
    content, found = file.read_bytes(), []
    while content:  # length, its checksum, event, its checksum
        (length,) = struct.unpack("<Q", content[:8])
        event, content = dict(fields(content[12 : 12 + length])), content[16 + length :]
        for _, value in fields(event.get(5, b"")):
            parts = dict(fields(value))
            found.append((parts[1].decode(), event.get(2, 0), parts))
    return found


def sheets(run: Path) -> dict[int, np.ndarray]:
    return {int(path.stem[5:]): np.asarray(Image.open(path)) for path in (run / "samples").glob("step-*.png")}


@needs_tensorboardx
def test_event_files_hold_the_log_once_and_exactly(run):
    """Every number as float32, at its step and only there, also after a resume; every sheet pixel by pixel."""
    found = events(run / "tensorboard")
    scalars = [(tag, step, struct.unpack("<f", parts[2])[0]) for tag, step, parts in found if 2 in parts]
    wanted = logged(run, (int, float))
    assert {step for _, step in wanted} == {1, 2, 4, 6, 8} and ("loss/generator", 6) in wanted
    assert len(scalars) == len(wanted)
    assert {(tag, step): value for tag, step, value in scalars} == {
        place: float(np.float32(value)) for place, value in wanted.items()
    }
    images = {step: dict(fields(parts[4]))[4] for tag, step, parts in found if tag == "samples"}
    assert images.keys() == sheets(run).keys() == {0, 3, 4, 6, 8}
    for step, sheet in sheets(run).items():
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(images[step]))), sheet)
    texts = [parts for tag, _, parts in found if tag.startswith("options")]
    assert len(texts) == 1 and b"| loss | lsgan |" in texts[0][8]


def records(path: Path) -> Iterator[bytes]:
    """The records in a file of wandb, which has the form of LevelDB's logs: blocks of 32 KiB with parts of records."""
    content, whole = path.read_bytes(), b""
    assert content[:4] == b":W&B"
    place = 7
    while place < len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""


@needs_wandb
def test_wandb_s_offline_run_holds_the_log_once_and_exactly(run):
    """One run, whose rows have every number as it was logged, also after a resume."""
    (folder,) = (run / "wandb").glob("offline-run-*")
    (file,) = folder.glob("*.wandb")
    found: dict[tuple[str, int], object] = {}
    for record in records(file):
        history = dict(fields(record)).get(2)
        if not isinstance(history, bytes):
            continue
        row = {}
        for number, item in fields(history):
            if number == 1:
                parts = dict(fields(item))
                row[(parts.get(1) or parts[2]).decode()] = json.loads(parts[16])
        for name, value in row.items():
            if "/" in name and isinstance(value, (int, float)):
                assert (name, row["_step"]) not in found
                found[name, row["_step"]] = value
    assert found == logged(run, (int, float))
    assert len(list(folder.rglob("samples_*.png"))) == len(sheets(run))


def test_a_missing_package_is_said_before_training_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("paddle_gan.training.further_logs.find_spec", lambda name: None)
    for name, package in (("tensorboard", "tensorboardX"), ("wandb-offline", "wandb")):
        with pytest.raises(UsageError, match=f"--log {name} needs a package that is not here: pip install {package}"):
            command_here("train", "--out", tmp_path / "run", *TINY, "--steps", 2, "--log", name)
    assert not (tmp_path / "run").exists()


def test_none_stands_alone_and_the_default_is_visualdl():
    assert chosen_logs(("none",)) == []
    assert chosen_logs(TrainConfig().log) == [FURTHER_LOGS["visualdl"]]
    with pytest.raises(UsageError, match="none stands alone"):
        chosen_logs(("none", "visualdl"))
    with pytest.raises(UsageError, match="--log wandb: one of visualdl, tensorboard"):
        TrainConfig(log=("wandb",))


@pytest.mark.skipif(not find_spec("pyarrow"), reason="needs pyarrow")
def test_the_log_as_a_parquet_table(run, tmp_path):
    import pyarrow.parquet

    command_here("runs", run, "--parquet", tmp_path / "log.parquet")
    rows = pyarrow.parquet.read_table(tmp_path / "log.parquet").to_pylist()
    lines = read_metrics(run / "metrics.jsonl")
    names = {name for line in lines for name in line}
    assert rows == [{name: line.get(name) for name in names} for line in lines]


def test_a_table_without_pyarrow_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("paddle_gan.runs.overview.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install pyarrow, or take --csv"):
        command_here("runs", tmp_path, "--parquet", tmp_path / "log.parquet")
