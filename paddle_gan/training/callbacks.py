"""What happens beside training: the log, VisualDL, the progress bar, and what is done now and then.

A callback is a function of (state, values), called after every round; `values` is None in rounds that
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

from paddle_gan.system.files import disk_errors, make_folder, write_text
from paddle_gan.training.loop import Callback, TrainState, Values

_PLAIN_LINE_SECONDS = 10
_VISUALDL_FILE = "vdlrecords.paddle_gan.log"
_SAMPLES_TAG = "samples"
_FLUSH_SECONDS = 10
# The figure that the best checkpoint is chosen by.
EVALUATED = "evaluation/frechet_distance"


def rates(images_per_round: int) -> Callback:
    """Adds learning rates and throughput to the values; to be called before those that use them.

    Images a second counts real images that the discriminator has seen, pauses for samples and
    checkpoints included.
    """
    last_time, last_step = time.perf_counter(), None

    def callback(state: TrainState, values: Values | None) -> None:
        nonlocal last_time, last_step
        if last_step is None:
            last_step = state.step - 1
        if values is None:
            return
        now = time.perf_counter()
        values["speed/images_per_second"] = (state.step - last_step) * images_per_round / (now - last_time)
        values["optimizer/learning_rate_generator"] = float(state.generator_optimizer.get_lr())
        values["optimizer/learning_rate_discriminator"] = float(state.discriminator_optimizer.get_lr())
        last_time, last_step = now, state.step

    return callback


@contextmanager
def metrics_log(path: Path, step: int) -> Iterator[Callback]:
    """Appends a line of JSON with the values of each logged round to `path`.

    What an interrupted run wrote after the checkpoint at `step` is removed first, so that every step
    stands there once. `seconds` counts the time of all sessions of the run.
    """
    earlier = read_metrics(path, step)
    write_text(path, "".join(json.dumps(line) + "\n" for line in earlier))
    start = time.time() - (earlier[-1]["seconds"] if earlier else 0.0)
    with disk_errors(path), open(path, "a", encoding="utf-8") as file:

        def callback(state: TrainState, values: Values | None) -> None:
            if values:
                now = time.time()
                line = {"step": state.step, "time": round(now, 3), "seconds": round(now - start, 3), **values}
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
    """Writes curves, class histograms, diagnoses and sample grids for VisualDL.

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

        def add_values(step: int, seconds: float, values: Values) -> None:
            milliseconds = round(seconds * 1000)
            for name, value in values.items():
                if isinstance(value, str):
                    writer.add_text(name, value, step, walltime=milliseconds)
                elif isinstance(value, list):
                    classes = np.arange(len(value))
                    edges = np.arange(len(value) + 1) - 0.5  # one bar for each class, also where it is empty
                    writer.add_histogram(name, np.repeat(classes, value), step, milliseconds, buckets=edges)
                else:
                    writer.add_scalar(name, value, step, walltime=milliseconds)

        def add_new_pictures() -> None:
            for path in sorted(set(samples.glob("step-*.png")) - pictures):
                writer.add_image(_SAMPLES_TAG, np.asarray(Image.open(path)), int(path.stem.removeprefix("step-")))
                pictures.add(path)

        for line in read_metrics(metrics):
            add_values(
                line["step"], line["time"], {k: v for k, v in line.items() if k not in ("step", "time", "seconds")}
            )
        add_new_pictures()

        def callback(state: TrainState, values: Values | None) -> None:
            if values:
                add_values(state.step, time.time(), values)
                add_new_pictures()

        yield callback


def evaluation(steps: int, measure: Callable[[TrainState], Values], last: int) -> Callback:
    """Adds what `measure` says of the state to the values of every `steps`-th round, which must be a logged one, and of the last."""

    def callback(state: TrainState, values: Values | None) -> None:
        if values is not None and (state.step % steps == 0 or state.step == last):
            values |= measure(state)

    return callback


def keep_best(best: float, save: Callable[[TrainState], None]) -> Callback:
    """Calls `save` whenever the measured distance is less than `best`, and than any before."""

    def callback(state: TrainState, values: Values | None) -> None:
        nonlocal best
        if values and values.get(EVALUATED, best) < best:
            best = values[EVALUATED]
            save(state)

    return callback


def every(steps: int, action: Callable[[TrainState], None], last: int) -> Callback:
    """Calls `action` after every `steps`-th round and after round `last`."""

    def callback(state: TrainState, values: Values | None) -> None:
        if state.step % steps == 0 or state.step == last:
            action(state)

    return callback


def every_seconds(seconds: float, action: Callable[[TrainState], None], last: int) -> Callback:
    """Calls `action` after the first round that ends `seconds` after the last call, and after round `last`."""
    due = time.monotonic() + seconds

    def callback(state: TrainState, values: Values | None) -> None:
        nonlocal due
        if time.monotonic() >= due or state.step == last:
            action(state)
            due = time.monotonic() + seconds

    return callback


@contextmanager
def progress(total: int, done: int, say: Callable[[str], None]) -> Iterator[Callback]:
    """A progress bar with the losses on a terminal, a plain line now and then elsewhere; and diagnoses, in full."""
    distance = ""

    def losses(values: Values) -> str:
        nonlocal distance
        if EVALUATED in values:
            distance = f"  distance {values[EVALUATED]:.4g}"
        return f"D {values['loss/discriminator']:.3f}  G {values['loss/generator']:.3f}{distance}"

    def diagnoses(values: Values, step: int) -> list[str]:
        return [f"notice: step {step}: {v}" for name, v in values.items() if name.startswith("diagnosis/")]

    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, initial=done, unit="step", dynamic_ncols=True, smoothing=0.05) as bar:

            def callback(state: TrainState, values: Values | None) -> None:
                bar.update()
                if values:
                    bar.set_postfix_str(losses(values))
                    for line in diagnoses(values, state.step):
                        bar.write(line, file=sys.stderr)

            yield callback
    else:
        start, due = time.monotonic(), 0.0

        def callback(state: TrainState, values: Values | None) -> None:
            nonlocal due
            now = time.monotonic()
            for line in diagnoses(values or {}, state.step):
                say(line)
            text = losses(values) if values else ""
            if values and (now >= due or state.step == total):
                due = now + _PLAIN_LINE_SECONDS
                left = (now - start) / (state.step - done) * (total - state.step)
                say(
                    f"step {state.step}/{total}  {text}  {values['speed/images_per_second']:.0f} images/s  {_duration(left)} left"
                )

        yield callback


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
