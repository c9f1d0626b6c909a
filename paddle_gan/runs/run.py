"""A finished training run as an object, for programs and notebooks: its samples, curves and measures.

In a notebook, the pictures of `Run.grid`, `Run.walk` and `Run.curves` are shown where they stand last in a cell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle.nn as nn
from PIL import Image

from paddle_gan.config.language import tell
from paddle_gan.config.results import EvaluateConfig
from paddle_gan.config.sizes import sides
from paddle_gan.datasets.pictures import as_image, fitted, read_picture
from paddle_gan.errors import UsageError
from paddle_gan.features.maps import maps_for
from paddle_gan.inference.animations import Animation
from paddle_gan.inference.images import grid, grid_columns, side_by_side, to_pil
from paddle_gan.inference.latents import samples, walk_through
from paddle_gan.inference.projection import Projection, project
from paddle_gan.inference.sampling import generate
from paddle_gan.inference.steering import Steered
from paddle_gan.inference.walks import keyframe_labels
from paddle_gan.runs.curves import draw_curves
from paddle_gan.runs.folder import read_config
from paddle_gan.runs.generators import load_generator
from paddle_gan.runs.nearest import nearest_training
from paddle_gan.runs.resolve import RunOptions
from paddle_gan.runs.scoring import score
from paddle_gan.training.log import read_metrics


@dataclass(frozen=True)
class Run:
    """A training run in use; made by `load`.

    Attributes:
        folder: of the run.
        options: with which it was trained, filled in.
        generator: the trained network, in evaluation mode: latents [N, latent_dim] (and labels int64 [N]) to images
            [N, C, H, W] in its `value_range`.
        classes: names of its labels; none if unconditional.
        step: rounds that it was trained for.
    """

    folder: Path
    options: RunOptions
    generator: nn.Layer
    classes: tuple[str, ...]
    step: int | None

    def sample(self, count: int, label: int | None = None, seed: int = 0, truncation: float = 1.0) -> np.ndarray:
        """Samples, uint8 [count, H, W, C]. Sample i depends on the seed and on i only, as in `tools/sample.py`.

        Args:
            count: number of samples.
            label: the class of all samples; None for every class in turn.
            seed: of the noise, at least 0.
            truncation: 1 changes nothing; less draws the samples towards the average, see `steering.Steered`.

        Raises:
            UsageError: there is no such class.
        """
        label = None if label is None else self._label(label)
        generator = self.generator if truncation == 1 else Steered(self.generator, truncation)
        batches = generate(generator, count, seed, len(self.classes), label)
        return np.concatenate([batch.images for batch in batches])

    def _label(self, label: int) -> int:
        if not 0 <= label < len(self.classes):
            raise UsageError(f"label {label}: this run has {len(self.classes)} labels, from 0 on")
        return label

    def grid(
        self,
        count: int = 64,
        label: int | None = None,
        seed: int = 0,
        truncation: float = 1.0,
        *,
        nearest: bool = False,
    ) -> Image.Image:
        """Samples side by side as one picture, with a column for each class.

        Args:
            count, label, seed, truncation: as for `sample`.
            nearest: show on the right of each sample the training image with the nearest features.
        """
        samples = self.sample(count, label, seed, truncation)
        if nearest:
            columns = [samples, nearest_training(self.options, samples)]
            return Image.fromarray(side_by_side(columns, grid_columns() // 2))
        return Image.fromarray(grid(samples, grid_columns(len(self.classes) if label is None else 0)))

    def walk(
        self,
        seeds: Sequence[int | Projection],
        frames: int = 24,
        label: int | Sequence[int] | None = None,
        count: int = 1,
        truncation: float = 1.0,
    ) -> Animation:
        """A closed walk through the samples of these seeds, as pictures; `tools/walk.py` writes such walks as files.

        A notebook shows it as a moving picture.

        Args:
            seeds: of the keyframes, two or more; or images that `project` found.
            frames: from one keyframe to the next.
            label: the class of all frames, or the classes of the keyframes in turn, which change gradually; None for
                the first class, or without classes.
            count: walks side by side.
            truncation: as for `sample`.

        Raises:
            UsageError: fewer than two seeds, there is no such class, or truncation of a projection.
        """
        if len(seeds) < 2:
            raise UsageError("a walk needs two keyframes: give two seeds or more")
        if truncation != 1 and any(isinstance(one, Projection) for one in seeds):
            raise UsageError("truncation would change what `project` found; leave one of them out")
        labels = (
            [self._label(one) for one in (label if isinstance(label, Sequence) else [label or 0])]
            if self.classes
            else []
        )
        keyframes = keyframe_labels(labels, len(seeds), count, len(self.classes))
        latents = [
            one.latent
            if isinstance(one, Projection)
            else samples(self.generator, [one], keyframes and [keyframes[k]], count)[0]
            for k, one in enumerate(seeds)
        ]
        made = walk_through(self.generator, latents, frames, closed=True, truncation=truncation)
        if count == 1:
            return Animation(to_pil(frame[0]) for frame in made)
        return Animation(Image.fromarray(grid(frame, grid_columns())) for frame in made)

    def fitted(self, image: Path | str | Image.Image) -> np.ndarray:
        """An image of any size as the run sees it: uint8 [H, W, C] of its size, with its channels, by its `--fit`.

        Raises:
            DataError: a file that cannot be read.
        """
        if not isinstance(image, Image.Image):
            image = as_image(read_picture(Path(image).expanduser()))
        options = self.options
        return fitted(image, sides(options.image_size), options.channels, options.fit)

    def project(
        self, image: Path | str | Image.Image | np.ndarray, seed: int = 0, starts: int = 8, steps: int = 500
    ) -> Projection:
        """The latent from which the generator makes an image that is nearest to a given one; `tools/project.py`.

        Args:
            image: a file or an image, which is brought to the run's size; or uint8 [H, W, C] of this size.
            seed: of starts and noise; the result is a function of the arguments.
            starts: searches side by side, of which the best counts.
            steps: of each search.

        Returns:
            Its `image`, its distances at the `start` and at the `end`, and its `latent`, which `walk` goes through.
        """
        pixels = image if isinstance(image, np.ndarray) else self.fitted(image)
        maps = maps_for(self.options.dataset, *pixels.shape)
        return project(self.generator, pixels, maps, seed, starts, steps)

    def log(self) -> list[dict[str, Any]]:
        """The values of each logged step by name, as in `metrics.jsonl`."""
        return read_metrics(self.folder / "metrics.jsonl")

    def curves(self) -> Image.Image:
        """Losses and mean logits over the steps, and the Fréchet distance where it was measured."""
        return draw_curves(self.log())

    def evaluate(self, config: EvaluateConfig | None = None, say: Callable[[str], None] = tell) -> dict[str, Any]:
        """All measures of the samples beside those of real images, as `tools/evaluate.py` records them.

        Args:
            config: how; the options' defaults if None.
            say: for notices.

        Returns:
            The record; `record["figures"]["frechet_distance"]["samples"]` is the distance, and "real" its floor.
        """
        return score(self.folder, config or EvaluateConfig(), say).record


def load(folder: str | Path, *, raw: bool = False, best: bool = False, say: Callable[[str], None] = tell) -> Run:
    """The run in a folder, with the generator of its newest checkpoint.

    Args:
        folder: of the run.
        raw: the weights as trained, not their average.
        best: take the checkpoint whose samples measured nearest to the data.
        say: for notices.

    Raises:
        UsageError: not a run folder. CheckpointError: no checkpoint that fits.
    """
    folder = Path(folder).expanduser()
    trained = load_generator(folder, say, raw=raw, best=best)
    return Run(folder, read_config(folder), trained.network, trained.classes, trained.step)
