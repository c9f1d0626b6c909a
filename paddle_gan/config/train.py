"""The options of a training run.

None means "not given": `runs.resolve` fills it from the preset, the objective's recipe, the network or the data set.
The `config.json` of a run holds the filled options. Not about what goes together with what: see `runs.resolve`.
"""

from dataclasses import dataclass

from paddle_gan.config import names, shared
from paddle_gan.config.options import documented, option, settle
from paddle_gan.config.sizes import ImageSize
from paddle_gan.errors import UsageError


@documented
@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training run depends on."""

    dataset: str = shared.dataset("data")
    image_size: ImageSize | None = shared.image_size("data", unset="the network's or the data's")
    channels: int | None = shared.channels("data", unset="1 for mnist; for a folder 1 if all images are grey, else 3")
    fit: str = shared.fit("data")
    labels: str | None = shared.labels("data")
    skip_unreadable: str | None = shared.skip_unreadable("data")
    val_fraction: float = option(
        0.0, "data", "share of a folder's images that training does not see, for the measures", at_least=0, less_than=1
    )
    data_dir: str | None = shared.data_dir("data")
    download: bool = shared.download("data")
    workers: int | None = option(
        None,
        "data",
        "threads that read a folder's images during training; 0: the step reads them",
        unset="0 if the images fit into memory, else a few",
        at_least=0,
        at_most=64,
    )

    loss: str = shared.loss("objective", "lsgan")
    discriminator_steps: int | None = option(
        None, "objective", "discriminator steps for one generator step, k", unset="the loss's", more_than=0
    )
    weight_clip: float | None = option(None, "objective", "bound of the critic's weights; wgan only", more_than=0)
    penalty_weight: float | None = option(
        None, "objective", "lambda of the gradient penalty; only for losses that have one", at_least=0
    )
    penalty_every: int | None = option(
        None,
        "objective",
        "discriminator steps between penalties, each with so many times its weight",
        unset="the recipe's",
        more_than=0,
        at_most=1000,
    )
    r1: float | None = option(
        None,
        "objective",
        "lambda of a penalty on the gradient at real images, added to any loss; 0 for none",
        unset="the recipe's",
        at_least=0,
    )
    lecam: float = option(0.0, "objective", "lambda of LeCam regularisation, for few images", at_least=0)
    augment: tuple[str, ...] | None = option(
        None,
        "objective",
        "random changes of all images that the discriminator sees, for few images",
        names.AUGMENTATIONS,
        aliases=names.AUGMENTATION_ALIASES,
        unset="auto with a tuned recipe, else none",
    )
    augment_strength: float | None = option(
        None,
        "objective",
        "probability of each of these changes",
        unset="adapted to how much the discriminator overfits",
        at_least=0,
        at_most=1,
    )
    augment_target: float | None = option(
        None,
        "objective",
        "sign of overfitting that the probability is adapted to: 0 for none, 1 for images known by heart",
        unset="0.6",
        more_than=-1,
        less_than=1,
    )
    path_length: float = option(
        0.0, "objective", "weight of path length regularisation of the style generator (in its paper 2)", at_least=0
    )
    path_length_every: int = option(
        4,
        "objective",
        "generator steps between these, each with so many times the weight",
        more_than=0,
        at_most=1000,
    )
    recipe: str | None = shared.recipe("objective")
    label_smoothing: float | None = option(
        None, "objective", "one-sided: the real target is 1 - this value; gan only", at_least=0, less_than=1
    )

    generator: str | None = shared.generator("networks", unset="the preset's")
    discriminator: str | None = option(
        None,
        "networks",
        "the discriminator",
        names.DISCRIMINATORS,
        aliases=names.DISCRIMINATOR_ALIASES,
        unset="the generator's partner",
    )
    conditional: bool = option(False, "networks", "give both networks the labels (a folder's sub-folders)")
    clusters: int | None = shared.clusters("networks")
    width: int | None = shared.width("networks")
    discriminator_width: int | None = shared.discriminator_width("networks")
    latent_dim: int | None = option(
        None, "networks", "number of noise values", unset="the generator's own", more_than=0, at_most=2**14
    )
    discriminator_norm: str | None = option(
        None, "networks", "norm of the discriminator", names.NORMS, unset="what the loss allows"
    )
    spectral_norm: bool = option(
        False, "networks", "divide each weight of the discriminator by its largest singular value"
    )
    minibatch_deviation: bool = option(
        False, "networks", "let the strided discriminator see how much samples differ; the residual one does"
    )
    pack: int = option(
        1, "networks", "images that the discriminator judges at once; without labels", more_than=0, at_most=16
    )
    start_from: str | None = option(
        None,
        "networks",
        "begin with the weights of this run, or of a .pdparams or .safetensors file, as far as they fit",
    )
    freeze_discriminator: int = option(
        0, "networks", "first blocks of the discriminator that stay as --start-from gives them", at_least=0, at_most=16
    )
    init: str | None = option(
        None, "networks", "initial weights", names.INITIALISERS, unset="what is best for the generator"
    )
    discriminator_init: str | None = option(
        None,
        "networks",
        "initial weights of the discriminator",
        names.INITIALISERS,
        unset="he without a norm, else --init",
    )

    batch_size: int | None = option(
        None,
        "optimisation",
        "real images in a discriminator step",
        unset="64; 16 for a folder on a CPU",
        more_than=0,
        at_most=2**16,
    )
    accumulate: int = option(
        1, "optimisation", "parts of a batch, one after the other, to save memory", more_than=0, at_most=1024
    )
    optimizer: str | None = option(
        None, "optimisation", "of both networks", names.OPTIMIZERS, unset="the loss's recipe"
    )
    learning_rate: float | None = option(
        None, "optimisation", "of both networks", unset="the loss's recipe", more_than=0
    )
    generator_learning_rate: float | None = option(None, "optimisation", "of the generator alone", more_than=0)
    discriminator_learning_rate: float | None = option(None, "optimisation", "of the discriminator alone", more_than=0)
    beta1: float | None = option(None, "optimisation", "of adam", at_least=0, less_than=1)
    beta2: float | None = option(None, "optimisation", "of adam", at_least=0, less_than=1)
    rho: float | None = option(None, "optimisation", "of rmsprop", at_least=0, less_than=1)
    gradient_clip: float | None = option(
        None, "optimisation", "clip each gradient tensor to this L2 norm (the tutorial: 0.01)", more_than=0
    )
    ema_decay: float = shared.ema_decay("optimisation")
    schedule: str | None = option(
        None,
        "optimisation",
        "how numbers go to their final values over the run",
        names.SCHEDULES,
        unset="the recipe's",
    )
    final_learning_rate: float | None = option(
        None, "optimisation", "share of the learning rates that is left at the end", unset="0", at_least=0, at_most=1
    )
    final_penalty_weight: float | None = option(
        None, "optimisation", "weight of the penalty at the end", unset="it stays", at_least=0
    )
    final_beta2: float | None = option(
        None, "optimisation", "beta2 at the end", unset="it stays", at_least=0, less_than=1
    )
    final_ema_decay: float | None = option(
        None, "optimisation", "decay of the average at the end", unset="it stays", at_least=0, less_than=1
    )
    final_best_share: float | None = option(
        None,
        "optimisation",
        "share of the generated images, the best ones, that the generator learns from at the end (top-k)",
        unset="all",
        more_than=0,
        at_most=1,
    )
    warm_up: int = option(0, "optimisation", "steps in which the learning rates rise to their values", at_least=0)
    compile: bool = option(
        False, "optimisation", "run the networks as static graphs, for a GPU; the first steps are slow"
    )
    precision: str = shared.precision(
        "optimisation", "type in which the networks multiply during training; float16 on a GPU only"
    )

    preset: str = option(
        "auto",
        "run",
        "where sizes, networks and length that are not given come from",
        {"auto": "small or folder on a CPU, full on a GPU", **names.PRESETS},
    )
    epochs: float | None = option(None, "run", "length in passes over the data", unset="the preset's", more_than=0)
    steps: int | None = shared.steps("run", "length in generator steps, instead of --epochs")
    minutes: float | None = shared.minutes("run")
    seed: int = shared.seed("run", "of everything random")
    device: str = shared.device("run")
    out: str | None = option(None, "run", "run folder", unset="work/runs/NAME, named after the options")
    resume: str | None = option(
        None,
        "run",
        "go on with the run in this folder, with its own options; with --out as a branch, which may have some others",
    )
    resume_step: int | None = option(
        None, "run", "step of the checkpoint that a branch begins with", unset="the newest", more_than=0
    )
    log: tuple[str, ...] = shared.log("run")
    log_every: int = shared.log_every("run")
    sample_every: int | None = option(None, "run", "steps between sample grids", unset="20 in the run", more_than=0)
    checkpoint_every: int | None = shared.checkpoint_every("run")
    evaluate_every: int | None = shared.evaluate_every("run")
    inception: str | None = shared.inception("run")

    def __post_init__(self) -> None:
        settle(self)
        shared.most_unreadable(self.skip_unreadable)
        if self.batch_size == 1:
            raise UsageError("--batch-size 1: BatchNorm in the networks needs at least two samples")
        if self.resume_step is not None and (self.resume is None or self.out is None):
            raise UsageError("--resume-step is for a branch: give --resume, and a folder for the branch with --out")
        if self.freeze_discriminator and self.start_from is None:
            raise UsageError(
                f"--freeze-discriminator {self.freeze_discriminator}: new weights would never learn; give --start-from"
            )
        shared.check_length(self)
        shared.check_intervals(self)
