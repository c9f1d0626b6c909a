"""The checks, one after the other: each says in a line what it found."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from paddle_gan.bench.rounds import rounds_of
from paddle_gan.config.names import OBJECTIVES
from paddle_gan.config.paths import RUNS
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import GanError
from paddle_gan.runs.presets import PRESETS
from paddle_gan.selfcheck.exactness import large_convolution_difference, step_difference
from paddle_gan.selfcheck.keeping import changed_by_resume, scratch_folder, unkept
from paddle_gan.system.cache import cache_folder
from paddle_gan.system.device import wait_for_device

# Most relative difference from float64. The largest one that was seen on a CPU is 2·10⁻⁵; a wrong term makes 10⁻² or
# more. A GPU may round what it multiplies to 10 bits (TF32).
_TOLERANCE = {"cpu": 1e-4, "gpu": 1e-2}
_WARM_UP, _MOST_ROUNDS, _MOST_SECONDS = 3, 40, 8.0
# How long the default run takes at most, in minutes, in words.
_SPEEDS = (
    (2.0, "very fast"),
    (6.0, "fast"),
    (20.0, "usual for a laptop"),
    (60.0, "slow: begin with fewer --steps"),
    (float("inf"), "very slow: begin with --generator mlp, or with a few hundred --steps"),
)


class Finding(NamedTuple):
    """What a check found.

    Attributes:
        passed: whether it is as it should be.
        said: in words.
        numbers: by name, for JSON.
    """

    passed: bool
    said: str
    numbers: dict[str, Any] = {}


@dataclass(frozen=True)
class Check:
    """A check by its name; `run` does it."""

    name: str
    run: Callable[[], Finding] = field(compare=False)


def checks(device: str) -> list[Check]:
    """All checks, for a device that is chosen already."""
    steps = [Check(f"step of {loss}", partial(_step, TrainConfig(loss=loss), device)) for loss in OBJECTIVES]
    normed = TrainConfig(loss="lsgan", recipe="paper")
    return [
        *steps,
        Check("step of lsgan with BatchNorm", partial(_step, normed, device)),
        Check("large convolution", partial(_large_convolution, device)),
        Check("resume", partial(_resume, device)),
        Check("files", _files),
        Check("speed", partial(_speed, device)),
    ]


def results(chosen: list[Check], say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The findings of the checks: "name", "passed", "said", "numbers" and "seconds" of each.

    A check that ends with an error has failed, and the next one runs.

    Args:
        chosen: the checks.
        say: takes the name of each before it runs, so that it is known if the process ends there.
    """
    for check in chosen:
        say(f"checking: {check.name}")
        start = time.perf_counter()
        try:
            found = check.run()
        except Exception as error:
            kind = "" if isinstance(error, GanError) else f"{type(error).__name__}: "
            found = Finding(False, " ".join(f"{kind}{error}".split()))
        yield {"name": check.name, **found._asdict(), "seconds": time.perf_counter() - start}


def _step(given: TrainConfig, device: str) -> Finding:
    return _compared(step_difference(given, device), device, "losses and gradients")


def _large_convolution(device: str) -> Finding:
    return _compared(large_convolution_difference(), device, "values and gradients")


def _compared(difference: float, device: str, what: str) -> Finding:
    tolerance = _TOLERANCE[device.partition(":")[0]]
    said = f"{what} differ from float64 by {difference:.1e} (at most {tolerance:.0e})"
    return Finding(difference <= tolerance, said, {"difference": difference, "tolerance": tolerance})


def _resume(device: str) -> Finding:
    given = TrainConfig(width=8, discriminator_width=8, batch_size=16)
    with scratch_folder(RUNS) as folder:
        changed = changed_by_resume(given, device, folder)
    if changed:
        return Finding(False, f"{len(changed)} tensors differ after a resume, as {changed[0]}", {"changed": changed})
    return Finding(True, "an interrupted run has the same weights, bit for bit")


def _files() -> Finding:
    cache = cache_folder()
    for place in [RUNS, *([cache] if cache else [])]:
        with scratch_folder(place) as folder:
            wrong = unkept(folder)
        if wrong:
            return Finding(False, f"{', '.join(wrong)} in {place}: not as it was written")
    kept = f"; decoded images are kept in {cache}" if cache else "; there is no place to keep decoded images"
    return Finding(True, f"{RUNS} can be written and read{kept}")


def _speed(device: str) -> Finding:
    """Images that the discriminator sees per second in rounds of the default run."""
    with rounds_of(TrainConfig(), device, noise_images=2048) as rounds:
        for _ in range(_WARM_UP):
            rounds.play()
        seconds: list[float] = []
        while len(seconds) < _MOST_ROUNDS and sum(seconds) < _MOST_SECONDS:
            wait_for_device()
            start = time.perf_counter()
            rounds.play()
            wait_for_device()
            seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    images = rounds.config.batch_size * rounds.config.discriminator_steps / median
    length = PRESETS["small"].images
    minutes = length / images / 60
    words = next(words for most, words in _SPEEDS if minutes <= most)
    said = (
        f"{images:.0f} images/s in a default step of {1000 * median:.0f} ms; the default run of {length:,} images "
        f"takes {minutes:.0f} minutes: {words}"
    )
    return Finding(True, said, {"images_per_second": images, "step_seconds": median, "default_run_minutes": minutes})
