"""The options of the commands that train several networks to answer one question, and of the classifier's training.

Options that are not here come from each objective's recipe.
"""

from dataclasses import dataclass

from paddle_gan.config import names, shared
from paddle_gan.config.options import documented, option, settle
from paddle_gan.config.sizes import ImageSize
from paddle_gan.errors import UsageError


@documented
@dataclass(frozen=True)
class CompareConfig:
    """Options of `tools/compare.py`."""

    loss: tuple[str, ...] = shared.loss("what", ("gan", "lsgan", "wgan", "wgan-gp"), help="the objectives")
    seeds: int = option(3, "what", "runs of each objective", more_than=0)
    num: int = option(10_000, "what", "samples of each run, and real images on each side", more_than=0)
    inception: str | None = shared.inception("what")

    dataset: str = shared.dataset("equal for all")
    image_size: ImageSize | None = shared.image_size("equal for all", unset="the network's or the data's")
    channels: int | None = shared.channels("equal for all", unset="as of a training run")
    data_dir: str | None = shared.data_dir("equal for all")
    download: bool = shared.download("equal for all")
    generator: str | None = shared.generator("equal for all", "the generator, with its partner", unset="the preset's")
    width: int | None = shared.width("equal for all")
    discriminator_width: int | None = shared.discriminator_width("equal for all")
    conditional: bool = option(False, "equal for all", "give both networks the labels")
    clusters: int | None = shared.clusters("equal for all")
    recipe: str | None = shared.recipe("equal for all")
    batch_size: int = shared.batch_size("equal for all")
    ema_decay: float = shared.ema_decay("equal for all")
    steps: int | None = shared.steps("equal for all", "generator steps of each run")
    minutes: float | None = option(
        None,
        "equal for all",
        "time of each run; a short trial converts it to steps",
        unset="the same number of real images for each",
        more_than=0,
    )

    device: str = shared.device("run")
    out: str | None = option(None, "run", "folder of the runs and the report", unset="work/comparisons/NAME")

    def __post_init__(self) -> None:
        settle(self)
        if self.steps is not None and self.minutes is not None:
            raise UsageError("--steps and --minutes both set the length; give one of them")


@dataclass(frozen=True)
class ModesConfig:
    """Options of `tools/modes.py`."""

    loss: str | None = shared.loss("what", None, unset="the benchmark's")
    recipe: str | None = option(
        None,
        "what",
        "where numbers that are not given come from; stacked-mnist only: the mixtures have their own",
        names.RECIPES,
        unset="the paper's",
    )
    seeds: int = option(
        5, "what", "number of runs, with the seeds 0, 1, ...; finished ones are not run again", more_than=0
    )
    steps: int | None = shared.steps("what", "length of each run in generator steps", unset="the benchmark's")
    device: str = shared.device("what")
    out: str | None = option(None, "where", "folder of the results", unset="work/modes/BENCHMARK-LOSS")

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True)
class AugmentConfig:
    """Options of `tools/augment.py`."""

    per_class: int = option(20, "what", "real images of each class", more_than=0)
    seeds: int = option(
        5, "what", "repetitions, with other images and other weights; finished ones are not run again", more_than=0
    )

    dataset: str = option(
        "mnist", "data", "mnist (embedded), fashion-mnist, or a folder with a sub-folder for each class"
    )
    channels: int | None = option(
        None, "data", "channels of the images", (1, 3), unset="1 for mnist and fashion-mnist, 3 for a folder"
    )
    data_dir: str | None = shared.data_dir("data")
    download: bool = shared.download("data")

    loss: str = shared.loss("GAN", "lsgan", help="the objective of the GAN")
    steps: int = option(3000, "GAN", "length of its training in generator steps", more_than=0)
    samples: int = option(100, "GAN", "samples of each class that are wanted", more_than=0)
    confidence: float = option(
        0.9, "GAN", "least probability that the filter gives to the class of a sample", at_least=0, at_most=1
    )

    classifier_steps: int = option(600, "classifiers", "length of each training, batches of 128 images", more_than=0)
    mirror: bool = option(
        False, "classifiers", "ordinary augmentation mirrors images too; only if left and right mean nothing"
    )

    device: str = shared.device("run")
    out: str | None = option(None, "run", "folder of the study", unset="work/augment/DATASET-PERCLASS")

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True)
class TheoryConfig:
    """Options of `tools/theory.py`."""

    out: str | None = option(None, "run", "folder for theory.png and theory.json", unset="work/runs/theory")
    seed: int = shared.seed("run", "of weights and points")
    steps: int = option(400, "run", "steps of each discriminator and critic", more_than=0)

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True)
class ClassifierConfig:
    """Options of `tools/train_classifier.py`."""

    out: str = option("classifier.safetensors", "run", "file to write")
    epochs: int | None = option(
        None, "run", "passes over the data", unset="as for the classifier that ships with paddle_gan", more_than=0
    )
    seed: int = shared.seed("run", "of weights, order and shifts")
    device: str = shared.device("run")

    def __post_init__(self) -> None:
        settle(self)
