"""Small runs of translations, for the tests of the tasks with and without pairs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import newest_manifest
from PIL import Image

from paddle_gan.config.translate import TranslateConfig
from paddle_gan.runs import session
from paddle_gan.runs.translation import run_translation

SMALL = {
    "image_size": 16,
    "width": 2,
    "batch_size": 2,
    "held_out": 0.25,
    "device": "cpu",
    "log_every": 2,
    "evaluate_every": 4,
    "checkpoint_every": 4,
    "sample_every": 4,
}


def make_images(folder: Path) -> Path:
    """Folders a and b with the same twelve names; b has the colours of a inverted."""
    random = np.random.default_rng(0)
    for side in "ab":
        (folder / side).mkdir()
    for i in range(12):
        picture = np.full((20, 20, 3), 255, np.uint8)
        top, left = random.integers(2, 10, 2)
        picture[top : top + 8, left : left + 8] = random.integers(0, 200, 3)
        Image.fromarray(picture).save(folder / "a" / f"{i}.png")
        Image.fromarray(255 - picture).save(folder / "b" / f"{i}.png")
    return folder


class Killed(BaseException):
    """Ends a run where no code of the project catches it."""


def interrupt(given: TranslateConfig, step: int, patch: pytest.MonkeyPatch) -> None:
    """Train as `given` says, and end as a kill would in the round after `step`."""
    rounds = session.train

    def killed(task, batches, *rest):
        def until(number):
            if task.step == step:
                raise Killed
            return batches(number)

        rounds(task, until, *rest)

    with patch.context() as context:
        context.setattr(session, "train", killed)
        with pytest.raises(Killed):
            run_translation(given, lambda line: None)


def assert_resumes(run: Path, options: dict[str, Any], folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A run that is killed after step 7 goes on from its checkpoint at step 4 and ends as `run` of the same options."""
    given = TranslateConfig(**options, out=str(folder))
    interrupt(given, 7, patch)
    assert newest_manifest(folder)["step"] == 4
    run_translation(given, lambda line: None)
    assert newest_manifest(folder)["sha256"] == newest_manifest(run)["sha256"]
    assert_same_sheets(run, folder)


def assert_same_sheets(first: Path, second: Path) -> None:
    """Both runs have the same sheets, pixel by pixel."""
    names = sorted(path.name for path in (first / "samples").iterdir())
    assert len(names) > 1 and names == sorted(path.name for path in (second / "samples").iterdir())
    for name in names:
        sheets = (np.asarray(Image.open(folder / "samples" / name)) for folder in (first, second))
        np.testing.assert_array_equal(*sheets)
