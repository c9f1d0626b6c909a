"""What happens beside training: the log, VisualDL, the progress bar, and what is done now and then.

A callback is a function of (state, scalars), called after every round; `scalars` is None in rounds that
are not logged. What holds a file open is a context manager that yields its callback. None of them
changes what is trained.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from paddle_gan.files import disk_errors, make_folder, write_text
from paddle_gan.training import Callback, TrainState

_PLAIN_LINE_SECONDS = 10
_VISUALDL_FILE = "vdlrecords.paddle_gan.log"
_SAMPLES_TAG = "samples"
_FLUSH_SECONDS = 10


def rates(images_per_round: int) -> Callback:
    """Adds learning rates and throughput to the scalars; to be called before those that use them.

    Images a second counts real images that the discriminator has seen, pauses for samples and
    checkpoints included.
    """
    last_time, last_step = time.perf_counter(), None

    def callback(state: TrainState, scalars: dict[str, float] | None) -> None:
        nonlocal last_time, last_step
        if last_step is None:
            last_step = state.step - 1
        if scalars is None:
            return
        now = time.perf_counter()
        scalars["speed/images_per_second"] = (state.step - last_step) * images_per_round / (now - last_time)
        scalars["optimizer/learning_rate_generator"] = float(state.generator_optimizer.get_lr())
        scalars["optimizer/learning_rate_discriminator"] = float(state.discriminator_optimizer.get_lr())
        last_time, last_step = now, state.step

    return callback


@contextmanager
def metrics_log(path: Path, step: int) -> Iterator[Callback]:
    """Appends a line of JSON with the scalars of each logged round to `path`.

    What an interrupted run wrote after the checkpoint at `step` is removed first, so that every step
    stands there once. `seconds` counts the time of all sessions of the run.
    """
    earlier = read_metrics(path, step)
    write_text(path, "".join(json.dumps(line) + "\n" for line in earlier))
    start = time.time() - (earlier[-1]["seconds"] if earlier else 0.0)
    with disk_errors(path), open(path, "a", encoding="utf-8") as file:

        def callback(state: TrainState, scalars: dict[str, float] | None) -> None:
            if scalars:
                now = time.time()
                line = {"step": state.step, "time": round(now, 3), "seconds": round(now - start, 3), **scalars}
                file.write(json.dumps(line) + "\n")
                file.flush()

        yield callback


def read_metrics(path: Path, last_step: int | None = None) -> list[dict[str, float]]:
    """The lines of a metrics log up to `last_step`; a last line that was cut off is left out."""
    lines = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if last_step is None or line["step"] <= last_step:
                lines.append(line)
    return lines


@contextmanager
def visualdl_log(folder: Path, metrics: Path, samples: Path, hyper_parameters: dict[str, Any]) -> Iterator[Callback]:
    """Writes scalars and sample grids for VisualDL.

    Its record file is made anew at every start from `metrics` and `samples`, which are the originals:
    so curves go on through a resume, and no step appears twice.
    """
    from visualdl import LogWriter

    make_folder(folder)
    (folder / _VISUALDL_FILE).unlink(missing_ok=True)
    shown = {
        name: value if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
        for name, value in hyper_parameters.items()
    }
    pictures = set()
    with disk_errors(folder), LogWriter(str(folder), file_name=_VISUALDL_FILE, flush_secs=_FLUSH_SECONDS) as writer:
        writer.add_hparams(hparams_dict=shown, metrics_list=["loss/discriminator", "loss/generator"])

        def add_scalars(step: int, seconds: float, scalars: dict[str, float]) -> None:
            for name, value in scalars.items():
                writer.add_scalar(name, value, step, walltime=round(seconds * 1000))

        def add_new_pictures() -> None:
            for path in sorted(set(samples.glob("step-*.png")) - pictures):
                writer.add_image(_SAMPLES_TAG, np.asarray(Image.open(path)), int(path.stem.removeprefix("step-")))
                pictures.add(path)

        for line in read_metrics(metrics):
            add_scalars(
                line["step"], line["time"], {k: v for k, v in line.items() if k not in ("step", "time", "seconds")}
            )
        add_new_pictures()

        def callback(state: TrainState, scalars: dict[str, float] | None) -> None:
            if scalars:
                add_scalars(state.step, time.time(), scalars)
                add_new_pictures()

        yield callback


def every(steps: int, action: Callable[[TrainState], None], last: int) -> Callback:
    """Calls `action` after every `steps`-th round and after round `last`."""

    def callback(state: TrainState, scalars: dict[str, float] | None) -> None:
        if state.step % steps == 0 or state.step == last:
            action(state)

    return callback


def every_seconds(seconds: float, action: Callable[[TrainState], None], last: int) -> Callback:
    """Calls `action` after the first round that ends `seconds` after the last call, and after round `last`."""
    due = time.monotonic() + seconds

    def callback(state: TrainState, scalars: dict[str, float] | None) -> None:
        nonlocal due
        if time.monotonic() >= due or state.step == last:
            action(state)
            due = time.monotonic() + seconds

    return callback


@contextmanager
def progress(total: int, done: int, say: Callable[[str], None]) -> Iterator[Callback]:
    """A progress bar with the losses on a terminal, a plain line now and then elsewhere."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, initial=done, unit="step", dynamic_ncols=True, smoothing=0.05) as bar:

            def callback(state: TrainState, scalars: dict[str, float] | None) -> None:
                bar.update()
                if scalars:
                    bar.set_postfix_str(_losses(scalars))

            yield callback
    else:
        start, due = time.monotonic(), 0.0

        def callback(state: TrainState, scalars: dict[str, float] | None) -> None:
            nonlocal due
            now = time.monotonic()
            if scalars and (now >= due or state.step == total):
                due = now + _PLAIN_LINE_SECONDS
                left = (now - start) / (state.step - done) * (total - state.step)
                say(
                    f"step {state.step}/{total}  {_losses(scalars)}  {scalars['speed/images_per_second']:.0f} images/s  {_duration(left)} left"
                )

        yield callback


def _losses(scalars: dict[str, float]) -> str:
    return f"D {scalars['loss/discriminator']:.3f}  G {scalars['loss/generator']:.3f}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
