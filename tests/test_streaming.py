"""Folders that stay on the disk: the same numbers however the images are read, and what happens after an error.

The tests marked `faults` repeat the errors many times: python -m pytest tests/test_streaming.py -m faults
"""

import gc
import hashlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import paddle
import pytest
from conftest import newest_manifest, start, train, wait_for
from PIL import Image

from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import decode, load_dataset
from paddle_gan.datasets.batches import batch_indices
from paddle_gan.datasets.feed import BatchFeed, fits_on_gpu, on_disk_notice, thread_count
from paddle_gan.datasets.folder import FolderOptions, load_folder, open_folder
from paddle_gan.datasets.image_set import DiskImages, ImageSet, fingerprint, in_memory
from paddle_gan.errors import DataError, UsageError
from paddle_gan.evaluation import score as evaluation
from paddle_gan.evaluation.real_images import real_images, reference_images
from paddle_gan.features.extractors import general_extractor
from paddle_gan.runs import experiment
from paddle_gan.runs.building import batch_feed, build
from paddle_gan.runs.resolve import resolve
from paddle_gan.system import memory
from paddle_gan.training.log import read_metrics
from paddle_gan.training.loop import train as train_loop

COUNT = 45  # no multiple of the batch
WORKERS = [0, 1, 2, 4]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """45 images of many sizes in two class folders."""
    folder, chance = tmp_path_factory.mktemp("data") / "pictures", np.random.default_rng(0)
    for number in range(COUNT):
        pixels = chance.integers(0, 256, (30 + number, 40, 3), dtype=np.uint8)
        path = folder / ("a" if number % 3 else "b/deeper") / f"{number:02d}.{'png' if number % 2 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture
def own(pictures, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(pictures, tmp_path / "own"))


def options(out: Path, folder: Path, **others) -> TrainConfig:
    tiny = {"width": 4, "discriminator_width": 4, "batch_size": 8, "image_size": 28, "channels": 1, "steps": 4}
    tiny["recipe"] = "paper"
    return TrainConfig(**tiny | {"dataset": str(folder), "out": str(out), "device": "cpu", "log_every": 1} | others)


def run(out: Path, folder: Path, **others) -> list[str]:
    lines = []
    experiment.run(options(out, folder, **others), lines.append)
    return lines


def with_read(data: ImageSet, change) -> ImageSet:
    """The same set, but `change` is called with the index of an image before it is read."""

    def read(index: int) -> np.ndarray:
        change(index)
        return data.images.read(index)

    return replace(data, images=DiskImages(data.images.shape, read))


def feed(data: ImageSet, **others) -> BatchFeed:
    """Batches whose values are those of the pixels."""
    settings = {"batch_size": 8, "seed": 3, "value_range": (0.0, 255.0), "labelled": False, "workers": 0, "ahead": 2}
    return BatchFeed(**settings | {"data": data} | others)


def weights(out: Path) -> dict:
    return newest_manifest(out)["sha256"]


# --- The same numbers ---------------------------------------------------------------------------------


def test_the_stream_is_the_same_whoever_reads(pictures):
    """200 batches, 35 epochs: as on a GPU, from memory, and by 0, 1, 2, 4 threads that are sometimes delayed."""
    chance, hashes = random.Random(0), []
    disk = open_folder(pictures, 28, 1, labelled=True)
    held_up = with_read(disk, lambda index: chance.random() < 0.02 and time.sleep(0.003))
    sources = [
        {"data": in_memory(disk), "resident": True},  # as on a GPU
        {"data": in_memory(disk), "resident": False},
        *({"data": held_up, "workers": workers} for workers in WORKERS),
    ]
    for source in sources:
        digest = hashlib.sha256()
        with feed(**source, value_range=(-1.0, 1.0), labelled=True) as batches:
            for number in range(200):
                images, labels = batches(number)
                digest.update(images.numpy().tobytes() + labels.numpy().tobytes())
        hashes.append(digest.hexdigest())
    assert len(set(hashes)) == 1
    assert images.shape == [8, 1, 28, 28] and len(np.unique(labels.numpy())) == 2


def test_a_batch_is_the_normalised_images_of_its_indices_with_their_labels(pictures):
    data = load_folder(pictures, 28, 3, labelled=True)
    indices = batch_indices(COUNT, 8, 3, 5)
    for value_range, expected in (
        ((0.0, 255.0), data.images[indices].astype(np.float32)),
        ((0.0, 1.0), data.images[indices] / 255),
        ((-1.0, 1.0), data.images[indices] / 127.5 - 1),
    ):
        with feed(data, value_range=value_range, labelled=True) as batches:
            batch = batches(5)
        assert (batch.images.dtype, batch.labels.dtype) == (paddle.float32, paddle.int64)
        np.testing.assert_allclose(batch.images.numpy(), expected, rtol=0, atol=2e-7 * max(value_range))
        np.testing.assert_array_equal(batch.labels.numpy(), data.labels[indices])
    with feed(data) as batches:
        assert batches(5).labels is None


def test_labels_and_a_place_on_the_gpu_are_refused_where_there_are_none(pictures):
    with pytest.raises(ValueError, match="no labels"):
        feed(open_folder(pictures, 28, 1), labelled=True)
    with pytest.raises(ValueError, match="on the disk"):
        feed(open_folder(pictures, 28, 1), resident=True)


def test_the_command_line_comes_to_the_same_weights(pictures, tmp_path):
    common = ("--dataset", pictures, "--image-size", 28, "--conditional", "--loss", "wgan-gp", "--steps", 4)
    said = {name: train(tmp_path / name, *common, *more).stdout for name, more in (
        ("memory", ()), ("0", ("--workers", 0)), ("2", ("--workers", 2))
    )}  # fmt: skip
    assert weights(tmp_path / "memory") == weights(tmp_path / "0") == weights(tmp_path / "2")
    assert "stay on the disk" not in said["memory"]
    assert "notice: the images stay on the disk and are read by the training step itself while training" in said["0"]
    assert (
        "notice: the images stay on the disk and are read by 2 threads while training, because --workers is given"
        in said["2"]
    )


def test_a_run_goes_on_from_memory_to_the_disk_and_back(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "EVALUATION_SAMPLES", 20)
    run(tmp_path / "whole", pictures, steps=6, evaluate_every=2)
    for steps, workers in ((2, None), (4, 2), (5, 0), (6, None)):
        said = run(tmp_path / "parts", pictures, steps=steps, workers=workers, evaluate_every=2)
        assert not any("not what this run was trained on" in line for line in said)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    measured = [
        [line["evaluation/frechet_distance"] for line in read_metrics(tmp_path / name / "metrics.jsonl", 4)[1::2]]
        for name in ("parts", "whole")
    ]
    assert measured[0] == measured[1] and len(measured[0]) == 2


# --- Memory or disk -----------------------------------------------------------------------------------


def test_what_takes_more_than_a_quarter_of_the_free_memory_stays_on_the_disk(pictures, tmp_path, monkeypatch):
    size = COUNT * 28 * 28
    assert isinstance(load_dataset(str(pictures), 28, 1, free_memory=4 * size).images, np.ndarray)
    assert isinstance(load_dataset(str(pictures), 28, 1, free_memory=4 * size - 1).images, DiskImages)
    monkeypatch.setattr(experiment, "load_dataset", partial(load_dataset, free_memory=4 * size - 1))
    assert any(
        f"read by {thread_count(None)} threads while training, because they would take 0.0 GiB, more than a quarter"
        in line
        for line in run(tmp_path / "run", pictures)
    )


def test_kept_images_are_mapped_and_not_copied(pictures):
    whole = load_dataset(str(pictures), 28, 1)
    assert isinstance(whole.images, np.ndarray) and isinstance(whole.images.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        whole.images[0] = 0
    part = load_dataset(str(pictures), 28, 1, folder=FolderOptions(val_fraction=0.5, seed=1))
    assert 6 <= len(part) < len(whole)
    rows = [whole.names.index(name) for name in part.names]
    np.testing.assert_array_equal(part.images, whole.images[rows])


def test_images_stay_on_a_gpu_if_they_are_in_memory_and_take_at_most_a_quarter_of_its_memory(pictures):
    disk, size = open_folder(pictures, 28, 1), COUNT * 28 * 28
    array = in_memory(disk)
    assert fits_on_gpu(array, 4 * size) and not fits_on_gpu(array, 4 * size - 1)
    assert not fits_on_gpu(disk, 4 * size)
    assert not fits_on_gpu(array, 0)  # no GPU


def test_threads_are_those_of_the_option_or_one_for_each_core_and_at_most_four():
    assert [thread_count(workers) for workers in (0, 1, 64)] == [0, 1, 64]
    assert [thread_count(None, cores) for cores in (1, 3, 4, 5, 64)] == [1, 3, 4, 4, 4]
    assert 1 <= thread_count(None) <= 4


def test_the_notice_says_who_reads_and_why(pictures):
    data = ImageSet("large", DiskImages((10_000, 3, 512, 512), read=lambda index: None))
    read = "the images stay on the disk and are read by"
    memory_is_short = "because they would take 7.3 GiB, more than a quarter of the free memory"
    assert on_disk_notice(data, None) == f"{read} {thread_count(None)} threads while training, {memory_is_short}"
    assert on_disk_notice(data, 7) == f"{read} 7 threads while training, because --workers is given"


def test_available_memory_is_the_machine_s_or_the_container_s(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\nHugePages_Total: 0\n")
    first, second, unlimited = (tmp_path / name for name in ("first", "second", "unlimited"))
    for path, limit, used, statistics in (
        (second / "memory.max", "4096000", "3000000", "anon 5\ninactive_file 1000000\n"),
        (unlimited / "memory.max", "max\n", "3000000", "inactive_file 1000000\n"),
        (first / "memory" / "memory.limit_in_bytes", "2000000", "3000000", "inactive_file 7\ntotal_inactive_file 5\n"),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(limit)
        path.with_name(path.name.replace("max", "current").replace("limit", "usage")).write_text(used)
        path.with_name("memory.stat").write_text(statistics)
    found = {path.name: memory.available_memory(meminfo, path) for path in (first, second, unlimited, tmp_path)}
    assert found == {"first": 0, "second": 2096000, "unlimited": 8192000, tmp_path.name: 8192000}
    assert memory.available_memory(tmp_path / "none", tmp_path) == 4 << 30
    assert 0 < memory.available_memory() < 1 << 50


def test_opening_a_folder_again_reads_no_image(pictures, monkeypatch):
    def refuse(content):
        raise AssertionError

    open_folder(pictures, 28, 1)
    monkeypatch.setattr(decode, "read_picture", refuse)
    data = open_folder(pictures, 28, 1, labelled=True)
    assert len(data) == COUNT and data.classes == ("a", "b") and np.bincount(data.labels).tolist() == [30, 15]


def test_the_fingerprint_is_of_names_and_sizes_wherever_the_folder_lies(pictures, own):
    here = open_folder(pictures, 28, 1).fingerprint
    assert here == open_folder(own, 28, 1).fingerprint == load_folder(own, 28, 1).fingerprint
    path = own / "a" / "01.png"
    path.write_bytes(path.read_bytes() + b"\0")
    longer = open_folder(own, 28, 1).fingerprint
    path.rename(own / "a" / "01b.png")
    renamed = open_folder(own, 28, 1).fingerprint
    (own / "a" / "01b.png").unlink()
    assert len({here, longer, renamed, open_folder(own, 28, 1).fingerprint}) == 4


def test_the_fingerprint_of_a_set_is_of_its_files_or_else_of_its_images_labels_and_classes(pictures):
    folder = open_folder(pictures, 28, 1, labelled=True)
    assert fingerprint(folder) == fingerprint(in_memory(folder)) == folder.fingerprint
    images, labels = np.arange(16, dtype=np.uint8).reshape(4, 1, 2, 2), np.array([0, 1, 0, 1])
    plain, labelled = ImageSet("x", images), ImageSet("x", images, labels, ("a", "b"))
    assert fingerprint(plain) == hashlib.sha256(bytes(range(16))).hexdigest()
    assert fingerprint(replace(plain, images=images.repeat(2, axis=1)[:, ::2])) == fingerprint(plain)  # not contiguous
    expected = hashlib.sha256(bytes(range(16)) + labels.tobytes() + b"('a', 'b')").hexdigest()
    assert fingerprint(labelled) == expected


def test_links_are_followed_once_and_circles_end(pictures, own, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(pictures / "a" / "01.png", elsewhere / "one.png")
    (own / "another").symlink_to(elsewhere)
    (own / "again").symlink_to(own / "b")  # lies here, and goes by its own name
    (own / "a" / "circle").symlink_to(own)
    (elsewhere / "back").symlink_to(own / "another")
    (own / "a" / "link.png").symlink_to(elsewhere / "one.png")
    (own / "a" / "broken.png").symlink_to(elsewhere / "none.png")
    data = open_folder(own, 28, 1, labelled=True)
    assert data.classes == ("a", "another", "b") and np.bincount(data.labels).tolist() == [31, 1, 15]
    link = data.labels.tolist().index(1)
    np.testing.assert_array_equal(data.images.read(link), open_folder(pictures, 28, 1).images[:1][0])


def test_an_empty_file_is_found_before_training_starts(own):
    (own / "a" / "empty.png").touch()
    with pytest.raises(DataError, match=r"a/empty\.png: not an image.*empty"):
        open_folder(own, 28, 1)


def test_workers_are_for_folders_and_few():
    with pytest.raises(UsageError, match="--workers is for folders"):
        load_dataset("mnist", 28, 1, workers=0)
    for number in (-1, 65):
        with pytest.raises(UsageError, match="0 to 64"):
            TrainConfig(workers=number)


def test_measures_are_the_same_and_read_what_they_need(pictures):
    read, disk = [], open_folder(pictures, 28, 1)
    noted, array = with_read(disk, read.append), in_memory(disk)
    reference = reference_images(noted, None, 6, seed=1).images
    assert len(read) == 6
    real = [real_images(data, None, 10, seed=1) for data in (noted, array)]
    np.testing.assert_array_equal(reference, real[0].reference[:6])
    against = [evaluation.baseline(one, general_extractor(1)) for one in real]
    assert against[0].figures == against[1].figures
    records = [evaluation.evaluate(array.images[:10].transpose(0, 2, 3, 1), one, {}, {"name": "x"}) for one in against]
    assert records[0].record == records[1].record and records[0].record["protocol"]["training"] == COUNT
    np.testing.assert_array_equal(records[0].neighbours, records[1].neighbours)


# --- The threads --------------------------------------------------------------------------------------


def test_no_more_than_the_batches_ahead_are_held(pictures):
    """Images that were read but not yet asked for, also if a step takes long."""
    read, data = [], open_folder(pictures, 28, 1)
    noted = with_read(data, read.append)
    with feed(noted, batch_size=4, workers=4, ahead=3) as batches:
        for number in range(12):
            expected = data.images[batch_indices(COUNT, 4, 3, number)]
            np.testing.assert_array_equal(batches(number).images.numpy(), expected)
            time.sleep(0.02)
            assert 4 * (number + 1) <= len(read) <= 4 * (number + 1 + 3)
        wait_for(lambda: len(read) == 4 * 15, 10)


def test_threads_are_gone_after_the_image_that_they_read(pictures):
    slow = with_read(open_folder(pictures, 28, 1), lambda index: time.sleep(0.5))
    ended = []

    def ask(batches: BatchFeed) -> None:
        # The block may end while the batch is still being begun, or while its images are waited for.
        with pytest.raises((CancelledError, RuntimeError)) as error:
            batches(0)
        ended.append(error.type)

    with feed(slow, batch_size=40, workers=2, ahead=5) as batches:
        threading.Thread(target=ask, args=(batches,), daemon=True).start()
        wait_for(lambda: any(thread.name.startswith("images") for thread in threading.enumerate()), 10)
        begin = time.monotonic()
    wait_for(lambda: not any(thread.name.startswith("images") for thread in threading.enumerate()), 5)
    assert time.monotonic() - begin < 2  # all that was begun would take a minute
    wait_for(lambda: ended, 5)


@pytest.mark.parametrize("workers", WORKERS)
def test_an_image_that_cannot_be_read_is_the_error_of_its_own_batch(own, workers):
    data, missing = open_folder(own, 28, 1), 6
    (own / "a" / "10.jpg").unlink()
    # In batch 3, which threads begin together with batch 0.
    seed = next(seed for seed in count() if missing in batch_indices(COUNT, 2, seed, 3))
    with feed(data, batch_size=2, seed=seed, workers=workers, ahead=3) as batches:
        for number in range(3):
            assert batches(number).images.shape == [2, 1, 28, 28]
        with pytest.raises(DataError, match=r"a/10\.jpg: the image is gone"):
            batches(3)
        assert batches(4).images.shape == [2, 1, 28, 28]


def test_images_in_memory_cost_less_than_two_percent_of_the_default_step(tmp_path):
    config = resolve(TrainConfig(preset="small"), "cpu").config
    data, task, seconds, steps = load_dataset("mnist", 28, 1), build(config, 10), [], [time.perf_counter()]
    with batch_feed(config, data, task) as batches:
        for number in range(50):
            begin = time.perf_counter()
            batches(number)
            seconds.append(time.perf_counter() - begin)
        train_loop(task, batches, 6, 0, 50, [lambda task, values: steps.append(time.perf_counter())])
    assert config.discriminator_steps == 1
    assert min(seconds) < 0.02 * min(np.diff(steps))


# --- Kills, signals and images that become unreadable ----------------------------------------------------


def endless(out: Path, folder: Path, workers: int, *more: object) -> subprocess.Popen:
    """A run without an end that reads images from the disk, in a process and a session of its own."""
    common = ("--dataset", folder, "--image-size", 28, "--channels", 1, "--log-every", 1, "--evaluate-every", 0)
    return start(out, *common, "--workers", workers, *more, "--steps", 1_000_000, start_new_session=True)


def steps_in(out: Path) -> int:
    log = out / "metrics.jsonl"
    return read_metrics(log)[-1]["step"] if log.exists() and log.stat().st_size else 0


def in_session(number: int) -> list[str]:
    """The processes of a session that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == number and fields[0] != "Z":
            found.append(path.parent.name)
    return found


def kill_while_it_trains(out: Path, folder: Path, delay: float) -> None:
    """Start a run with two threads, kill it `delay` seconds after a new step, and wait until its session is empty."""
    done = steps_in(out)
    process = endless(out, folder, 2, "--checkpoint-every", 5)
    assert in_session(process.pid)
    wait_for(lambda: process.poll() is not None or steps_in(out) not in (0, done))
    time.sleep(delay)
    process.kill()
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL, stderr
    wait_for(lambda: not in_session(process.pid), 10)


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.faults)])
def test_a_killed_run_leaves_no_process_and_no_shared_memory(pictures, tmp_path, kills):
    chance, out, before = random.Random(0), tmp_path / "run", set(os.listdir("/dev/shm"))
    for _ in range(kills):
        kill_while_it_trains(out, pictures, chance.uniform(0, 1))
    run(out, pictures, workers=2, steps=steps_in(out) + 1, evaluate_every=0)
    wait_for(lambda: set(os.listdir("/dev/shm")) <= before, 10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_images_are_read_ends_the_run_as_promised(pictures, tmp_path, number):
    process = endless(tmp_path, pictures, 4)
    wait_for(lambda: process.poll() is not None or steps_in(tmp_path) > 2)
    process.send_signal(number)
    begin = time.monotonic()
    _, stderr = process.communicate(timeout=30)
    assert time.monotonic() - begin < 5
    assert process.returncode == 128 + number and "Traceback" not in stderr
    assert f"stopped at step {newest_manifest(tmp_path)['step']}" in stderr and not in_session(process.pid)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD = {
    "cut": (cut, "not an image that can be read"),
    "junk": (lambda path: path.write_bytes(b"<html>gone</html>"), "not an image that can be read"),
    "emptied": (lambda path: path.write_bytes(b""), "not an image that can be read"),
    "gone": (Path.unlink, "the image is gone"),
}
ALL = [pytest.param(workers, how, marks=pytest.mark.faults) for workers in WORKERS for how in BAD]


@pytest.mark.parametrize(("workers", "how"), [(0, "gone"), (2, "cut"), *ALL])
def test_an_image_that_turns_bad_ends_the_run_with_its_name_and_it_goes_on_when_it_is_back(own, tmp_path, workers, how):
    spoil, cause = BAD[how]
    out, path = tmp_path / "run", own / "a" / "22.jpg"
    content = path.read_bytes()
    process = endless(out, own, workers)
    wait_for(lambda: process.poll() is not None or steps_in(out) > 2)
    begin = time.monotonic()
    spoil(path)
    _, stderr = process.communicate(timeout=30)
    assert time.monotonic() - begin < 5
    assert process.returncode == 2
    assert stderr.startswith(f"error: {path}: {cause}") and stderr.count("\n") == 1
    step = newest_manifest(out)["step"]
    assert step == steps_in(out)  # no step is lost
    path.write_bytes(content)
    settings = {"workers": workers, "steps": step + 3, "evaluate_every": 0}
    said = "\n".join(run(out, own, **settings))
    assert f"going on from step {step}" in said and "not what this run was trained on" not in said
    run(tmp_path / "whole", own, **settings)
    assert weights(out) == weights(tmp_path / "whole")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at", [1, 10, 45, 80])
def test_a_round_whose_images_cannot_all_be_read_has_not_begun(pictures, tmp_path, monkeypatch, workers, at):
    """A round has five batches of eight; images become unreadable in the first round, in the second, and between."""
    read, load = [], experiment.load_dataset

    def failing(*arguments, **keywords):
        def change(index: int) -> None:
            read.append(index)
            if len(read) >= at:
                raise DataError("the disk is out")

        return with_read(load(*arguments, **keywords), change)

    monkeypatch.setattr(experiment, "load_dataset", failing)
    settings = {"loss": "wgan-gp", "workers": workers, "evaluate_every": 0, "steps": 3}
    with pytest.raises(DataError, match="the disk is out"):
        run(tmp_path / "run", pictures, **settings)
    monkeypatch.setattr(experiment, "load_dataset", load)
    logged = [line["step"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl")]
    assert len(logged) <= (at - 1) // 40
    assert not logged or newest_manifest(tmp_path / "run")["step"] == logged[-1]
    run(tmp_path / "run", pictures, **settings)
    run(tmp_path / "whole", pictures, **settings)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_the_collector_of_garbage_runs_again_after_an_error():
    with pytest.raises(ZeroDivisionError), memory.no_collection():
        assert not gc.isenabled()
        _ = 1 // 0
    assert gc.isenabled()
