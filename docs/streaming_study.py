"""The cost of training on a folder that stays on the disk.

Run it with: python docs/streaming_study.py [FILES]

It makes folders of 100,000 JPEG files (hard links of 300 pictures) in a temporary place. It prints the time to open
one whose files have been read once before; for each number of workers, the batches of 64 images per second and the cost
of a training step; and the memory after 200 and after 2,000 batches. Other programs may run at the same time: the times
are the best of many, measured in turn.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image

PICTURES, IN_A_FOLDER = 300, 1000
WORKERS = (0, 1, 2, 4)


def make_folder(folder: Path, files: int, width: int, height: int) -> None:
    """Make this number of JPEG files of smooth random colours."""
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


def memory() -> str:
    """Resident memory now, and the most so far, in MiB."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, most = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return f"{now:.0f} MiB (at most {most:.0f})"


def open_it(folder: str) -> None:
    """The time to open the folder, whose files have been read once before: the best of five."""
    from paddle_gan.datasets.folder import open_folder

    seconds, processor_seconds = [], []
    for _ in range(5):
        begin = time.perf_counter(), time.process_time()
        data = open_folder(Path(folder), 64, 3, labelled=True)
        seconds.append(time.perf_counter() - begin[0])
        processor_seconds.append(time.process_time() - begin[1])
    print(
        f"  {len(data)} files in {len(data.classes)} folders: opened in {min(seconds):.2f} s, "
        f"{min(processor_seconds):.2f} s of them on the processor"
    )


def opened(folder: str, workers: int | None):
    """Options and data as in a training run. All images are in memory if `workers` is None."""
    from paddle_gan.config.train import TrainConfig
    from paddle_gan.datasets import load_dataset
    from paddle_gan.runs.resolve import resolve

    config = resolve(TrainConfig(dataset=folder, preset="small", device="cpu", workers=workers), "cpu").config
    return config, load_dataset(folder, config.image_size, config.channels, workers=config.workers)


def batches(config, data):
    """The batch feed of a training run."""
    from paddle_gan.datasets.feed import BatchFeed, thread_count

    return BatchFeed(
        data=data,
        batch_size=config.batch_size,
        seed=config.seed,
        value_range=(-1.0, 1.0),
        labelled=False,
        workers=thread_count(config.workers),
        ahead=config.discriminator_steps + 1,
    )


def keep(folder: str, workers: str) -> None:
    """The memory during 2,000 batches, and their cost."""
    with batches(*opened(folder, int(workers))) as batch:
        begin = time.process_time()
        for number in range(2000):
            batch(number)
            if number == 199:
                early = memory()
        cost = (time.process_time() - begin) / 2000
    print(f"  workers {workers}: {early} after 200, {memory()} after 2000; {cost * 1000:.0f} ms of a processor a batch")


def speed(folder: str) -> None:
    """Batches per second without training: twenty batches with each number of workers, the best of ten times."""
    parts = {workers: opened(folder, workers) for workers in WORKERS}
    best = dict.fromkeys(WORKERS, 0.0)
    for _ in range(10):
        for workers in WORKERS:
            begin = time.perf_counter()
            with batches(*parts[workers]) as batch:
                for number in range(20):
                    batch(number)
            best[workers] = max(best[workers], 20 / (time.perf_counter() - begin))
    print("  batches a second:", ", ".join(f"workers {workers} {value:.1f}" for workers, value in best.items()))


def _append_time(times: list[float]):
    return lambda task, values: times.append(time.process_time())


def step(folder: str) -> None:
    """The cost of a training step from memory and with each number of workers, in turn; the median of forty steps."""
    from paddle_gan.runs.building import build
    from paddle_gan.training.loop import train

    parts = {name: opened(folder, name) for name in (None, *WORKERS)}
    seconds: dict = {name: [] for name in parts}
    task = build(parts[None][0], classes=0)
    for _ in range(5):
        for name, part in parts.items():
            with batches(*part) as batch:
                times = [time.process_time()]
                train(task, batch, task.step + 8, 0, 50, [_append_time(times)])
            seconds[name] += np.diff(times).tolist()
    shown = (
        f"{'memory' if name is None else f'workers {name}'} {1000 * np.median(values):.0f}"
        for name, values in seconds.items()
    )
    print("  milliseconds of the processor for a step:", ", ".join(shown))


PARTS = {"open": open_it, "keep": keep, "speed": speed, "step": step}


def main() -> None:
    if sys.argv[1:] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
        return
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000

    def row(*arguments: object) -> None:
        subprocess.run([sys.executable, __file__, *map(str, arguments)], check=True)

    with tempfile.TemporaryDirectory() as folder:
        os.environ["PADDLE_GAN_CACHE"] = str(Path(folder) / "cache")
        for width, height in ((96, 96), (500, 375)):
            pictures = Path(folder) / f"{width}x{height}"
            make_folder(pictures, files, width, height)
            print(pictures.name, flush=True)
            row("open", pictures)
            row("speed", pictures)
            row("step", pictures / "000")
        for workers in WORKERS:
            row("keep", Path(folder) / "96x96", workers)


if __name__ == "__main__":
    main()
