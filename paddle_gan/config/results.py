"""The options of the commands that use a finished run: sample, walk, project, export, evaluate, board, demo,
runs."""

import ipaddress
import re
from dataclasses import dataclass

from paddle_gan.config import names, shared
from paddle_gan.config.options import documented, legible, option, settle
from paddle_gan.errors import UsageError


@dataclass(frozen=True)
class SampleConfig:
    """Options of `tools/sample.py`."""

    num: int = option(64, "what", "number of samples", more_than=0)
    label: int | None = option(None, "what", "the class of all samples; conditional runs only")
    seed: int = shared.seed("what", "of the noise")
    truncation: float = shared.truncation("what")
    mix_from: int | None = option(
        None, "what", "a seed, whose first sample gives its styles to all; --generator style only", at_least=0
    )
    mix_layers: str | None = option(
        None, "what", "layers with these styles: 0 (coarse) to the last (fine), as 0-3 or 2", unset="0-3"
    )
    raw: bool = shared.raw("what")
    best: bool = shared.best("what")
    weights: str | None = shared.weights("what")
    device: str = shared.device("what")
    npz: str | None = option(None, "where", "write uint8 images [N,H,W,C] (and labels) to this .npz file")
    png_dir: str | None = option(None, "where", "write one PNG for each sample to this folder")
    grid: str | None = option(None, "where", "write all samples as one sheet to this .png file")
    nearest: bool = option(
        False, "where", "show in the sheet, beside each sample, the training image with the nearest features"
    )

    def __post_init__(self) -> None:
        settle(self)
        _refuse_two_weights(self)
        if self.nearest and not self.grid:
            raise UsageError("--nearest is shown in the sheet of --grid FILE")
        if self.mix_layers is not None:
            if self.mix_from is None:
                raise UsageError("--mix-layers: name the seed that the styles come from with --mix-from")
            layer_range(self.mix_layers)


@dataclass(frozen=True)
class WalkConfig:
    """Options of `tools/walk.py`."""

    between: tuple[int, ...] = option(
        (0, 1, 2, 3, 4), "what", "seeds of the keyframes, each a sample of tools/sample.py --seed", at_least=0
    )
    labels: tuple[int, ...] = option(
        (), "what", "classes of the keyframes; conditional runs only", unset="those of the samples", at_least=0
    )
    projections: tuple[str, ...] = option(
        (),
        "what",
        "files of tools/project.py that the walk goes through, before the seeds of --between if that is given",
    )
    num: int = option(1, "what", "walks side by side, from sample 0, 1, ... of each seed", more_than=0, at_most=250)
    frames: int = option(24, "what", "frames from one keyframe to the next", more_than=0, at_most=1000)
    open: bool = option(False, "what", "end with the last keyframe instead of going back to the first")
    truncation: float = shared.truncation("what")
    raw: bool = shared.raw("what")
    best: bool = shared.best("what")
    weights: str | None = shared.weights("what")
    device: str = shared.device("what")
    out: str | None = option(None, "where", "file to write, .gif, .apng or .mp4", unset="walk.gif in the run")
    fps: int = option(24, "where", "frames in a second", more_than=0, at_most=60)

    def __post_init__(self) -> None:
        settle(self)
        _refuse_two_weights(self)
        if self.projections and self.truncation != 1:
            raise UsageError("--truncation would change what --projections found; leave one of them out")


@dataclass(frozen=True)
class ProjectConfig:
    """Options of `tools/project.py`."""

    starts: int = option(8, "what", "searches side by side, of which the best counts", more_than=0, at_most=250)
    steps: int = option(500, "what", "steps of each search", more_than=0, at_most=100_000)
    seed: int = shared.seed("what", "of the starts and the noise")
    raw: bool = shared.raw("what")
    best: bool = shared.best("what")
    device: str = shared.device("what")
    out: str | None = option(
        None,
        "where",
        "PNG file with the given image and its projection; the latent goes to an .npz file of the same name",
        unset="NAME-projected.png beside the image",
    )

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True)
class ExportConfig:
    """Options of `tools/export.py`."""

    format: str = option("paddle", "what", "what is written", names.FORMATS)
    raw: bool = shared.raw("what")
    best: bool = shared.best("what")
    weights: str | None = shared.weights("what")
    reverse: bool = option(False, "what", "the way back of a translation; cyclegan only")
    data_licence: str | None = option(
        None, "what", "licence of the training data, for the model card", unset="known for mnist and fashion-mnist"
    )
    ort_web: str | None = option(
        None, "web", "folder of the npm package onnxruntime-web, unpacked", unset="what was downloaded"
    )
    download: bool = option(False, "web", "download onnxruntime-web from registry.npmjs.org if it is not here")
    out: str | None = option(
        None, "where", "folder to write, replaced if it exists", unset="exported or exported-FORMAT in the run"
    )

    def __post_init__(self) -> None:
        settle(self)
        _refuse_two_weights(self)
        if self.weights and self.reverse:
            raise UsageError("--weights names a file; --reverse chooses among the weights of the run")
        if self.format != "web" and (self.ort_web or self.download):
            raise UsageError("--ort-web and --download are for --format web")


@documented
@dataclass(frozen=True)
class EvaluateConfig:
    """Options of `tools/evaluate.py`."""

    num: int = option(10_000, "what", "number of samples, and of real images on each side", more_than=0)
    seed: int = shared.seed("what", "of the samples and of the choice of real images")
    raw: bool = shared.raw("what")
    best: bool = shared.best("what")
    inception: str | None = shared.inception("what")
    device: str = shared.device("what")
    dataset: str | None = option(
        None,
        "real images",
        "the data that the samples of an .npz file imitate, the present place of a run's data, or pictures to measure "
        "super-resolution on",
    )
    data_dir: str | None = shared.data_dir("real images")
    download: bool = shared.download("real images")
    out: str | None = option(
        None, "where", "file of the record", unset="evaluation.json in the run, or beside the samples"
    )
    against: str | None = option(
        None, "where", "another record, shown beside this one if it was measured in the same way"
    )

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True)
class BoardConfig:
    """Options of `tools/board.py`."""

    port: int = option(8040, "where", "port of the page, 0 for any free one", at_least=0, at_most=2**16 - 1)
    host: str = option(
        "127.0.0.1",
        "where",
        "address to listen at; any but this machine's own shows the logs to others, without a password",
    )
    language: str | None = option(None, "page", "language of the page", names.LANGUAGES, unset="the locale's")

    def __post_init__(self) -> None:
        settle(self)
        if self.host != "localhost":
            try:
                ipaddress.ip_address(self.host)
            except ValueError as error:
                raise UsageError(
                    f"--host {legible(self.host)}: must be an address of this machine, such as 127.0.0.1 or 0.0.0.0"
                ) from error


@dataclass(frozen=True)
class DemoConfig:
    """Options of `tools/demo.py`."""

    reverse: bool = option(False, "what", "translate back, from the second set to the first; cyclegan only")
    raw: bool = shared.raw("what")
    best: bool = shared.best("what")
    device: str = shared.device("what")
    port: int = option(7860, "where", "port of the page, 0 for any free one", at_least=0, at_most=2**16 - 1)
    share: bool = option(
        False, "where", "also open a public address at gradio.live, for a week; everyone who knows it can use the page"
    )

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True)
class RunsConfig:
    """Options of `tools/runs.py`."""

    diff: bool = option(False, "what", "show the options that differ, a column for each run")
    csv: str | None = option(None, "what", "write the log of one run as a table to this .csv file")
    parquet: str | None = option(None, "what", "the same to this .parquet file; needs pyarrow")
    remove: bool = option(False, "what", "remove the runs, after a question")
    yes: bool = option(False, "what", "remove them without the question")

    def __post_init__(self) -> None:
        settle(self)
        chosen = [name for name in ("diff", "csv", "parquet", "remove") if getattr(self, name)]
        if len(chosen) > 1:
            raise UsageError(f"--{chosen[0]} and --{chosen[1]}: do one after the other")
        if self.yes and not self.remove:
            raise UsageError("--yes without --remove: there is no question to answer")


def _refuse_two_weights(config: SampleConfig | WalkConfig | ExportConfig) -> None:
    if config.weights and (config.raw or config.best):
        raise UsageError("--weights names a file; --raw and --best choose among the weights of the run")


def layer_range(text: str) -> range:
    """The layers that "2" or "0-3" names, both ends included.

    Raises:
        UsageError: it names none.
    """
    found = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", text)
    layers = range(int(found[1]), int(found[2] or found[1]) + 1) if found else range(0)
    if not layers:
        raise UsageError(f"--mix-layers {legible(text)}: must be a layer or a range of them, as 2 or 0-3")
    return layers
