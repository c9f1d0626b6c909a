"""What it costs to train on a folder that stays on the disk: python docs/streaming_study.py [FILES]

Makes a folder of 100,000 JPEG files (hard links of 300 pictures) in a temporary place, and prints the time
to open it; for each number of workers the batches a second, their cost and the most memory after 200 and 2,000 batches of
64 images; then the time of a training step. Every row is a process of its own.
"""

import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image

PICTURES, IN_A_FOLDER = 300, 1000
WORKERS = ("0", "1", "2", "4")


def make_folder(folder: Path, files: int, width: int, height: int) -> None:
    """So many JPEG files of smooth random colours."""
    chance, first = np.random.default_rng(0), []
    for number in range(files):
        path = folder / f"{number // IN_A_FOLDER:03d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < PICTURES:
            rough = Image.fromarray(chance.integers(0, 256, (12, 12, 3), dtype=np.uint8))
            rough.resize((width, height), Image.Resampling.BICUBIC).save(path)
            first.append(path)
        else:
            os.link(first[number % PICTURES], path)


def most_memory() -> int:
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def open_it(folder: str) -> None:
    from paddle_gan.datasets.folder import open_folder

    seconds, of_processor = [], []
    for _ in range(5):
        begin = time.perf_counter(), time.process_time()
        data = open_folder(Path(folder), 64, 3, labelled=True)
        seconds.append(time.perf_counter() - begin[0])
        of_processor.append(time.process_time() - begin[1])
    print(
        f"{len(data)} files in {len(data.classes)} folders: opened in {min(seconds):.2f} s, "
        f"{min(of_processor):.2f} s of them on the processor"
    )


def parts(folder: str, workers: str):
    """Configuration, data and batches as in a run; all images in memory where no workers are named."""
    from paddle_gan import experiment
    from paddle_gan.config import TrainConfig
    from paddle_gan.datasets import load_dataset
    from paddle_gan.resolve import resolve

    given = TrainConfig(dataset=folder, preset="small", device="cpu", workers=int(workers) if workers else None)
    config, _ = resolve(given, "cpu")
    data = load_dataset(folder, config.image_size, config.channels, workers=config.workers)
    return config, data, experiment._batches(config, data, (-1.0, 1.0))


def read(folder: str, workers: str, batches: str) -> None:
    """As quickly as they come."""
    _, _, source = parts(folder, workers)
    with source as batch:
        begin, best = time.perf_counter(), 0.0
        for number in range(int(batches)):
            if number and number % 50 == 0:
                best = max(best, 50 / (time.perf_counter() - begin))
                begin = time.perf_counter()
            if number == 200:
                early = most_memory()
            batch(number)
    print(
        f"workers {workers}: {best:.1f} batches/s at best, {early} MiB after 200, {most_memory()} MiB after {batches}"
    )


def step(folder: str, workers: str) -> None:
    """The least of fifty."""
    from paddle_gan import experiment
    from paddle_gan.training import train

    config, data, source = parts(folder, workers)
    state, times = experiment.build(config, 0), []
    with source as batch:
        train(state, batch, 50, 0, 50, [lambda state, values: times.append(time.perf_counter())])
    print(f"workers {workers or 'none, in memory'}: {min(np.diff(times)) * 1000:.0f} ms a step")


def main() -> None:
    if sys.argv[1:] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
        return
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000

    def row(*arguments: object) -> None:
        subprocess.run([sys.executable, __file__, *map(str, arguments)], check=True)

    with tempfile.TemporaryDirectory() as folder:
        small, photos = Path(folder) / "small", Path(folder) / "photos"
        make_folder(small, files, 96, 96)
        make_folder(photos, IN_A_FOLDER, 500, 375)
        row("open", small)
        for path, batches in ((small, 2000), (photos, 200)):
            print(f"reading {path.name}")
            for workers in WORKERS:
                row("read", path, workers, batches)
        for path, workers in itertools.product((small / "000", photos), ("", *WORKERS)):
            print(f"training on {path.relative_to(folder)}", end=", ", flush=True)
            row("step", path, workers)


PARTS = {"open": open_it, "read": read, "step": step}

if __name__ == "__main__":
    main()
