"""The options of `tools/translate.py`: training a translation from images to images, and applying it.

None means "not given": `runs.translation_options` fills it. Not about what goes together with what: see there.
"""

from dataclasses import dataclass

from paddle_gan.config import names, shared
from paddle_gan.config.options import documented, option, settle
from paddle_gan.errors import UsageError


@documented
@dataclass(frozen=True)
class TranslateConfig:
    """Everything that the training of a translation depends on."""

    task: str | None = option(None, "data", "what is learned", names.TRANSLATIONS, unset="what the data is given for")
    pairs: tuple[str, ...] | None = option(
        None, "data", "folders of inputs and of targets with the same names, or one whose images hold both side by side"
    )
    unpaired: tuple[str, ...] | None = option(None, "data", "folders of the images to translate from and to")
    images: str | None = option(
        None, "data", "folder of the target images, of which the inputs are made; or mnist (embedded), fashion-mnist"
    )
    scale: int | None = option(
        None,
        "data",
        "how many times larger the pictures become; super-resolution only",
        unset="2",
        more_than=1,
        at_most=4,
    )
    mask: str | None = option(
        None,
        "data",
        "holes to learn to fill: box, brush, or an image that is white in the hole; inpaint only",
        unset="box",
    )
    reverse: bool = option(False, "data", "translate from the second side to the first")
    image_size: int = option(
        64, "data", "height and width of the crops in pixels, a multiple of 16", more_than=0, at_most=1024
    )
    load_size: int | None = option(
        None,
        "data",
        "height and width to which images are brought before the crop",
        unset="286/256 of --image-size, for super-resolution 4 times as much",
        more_than=0,
        at_most=2048,
    )
    no_mirror: bool = option(False, "data", "do not mirror half of the images")
    held_out: float = option(
        0.1, "data", "share of the images that is not trained on, for sheets and measures", at_least=0, less_than=1
    )
    workers: int | None = option(
        None,
        "data",
        "threads that read images during training; 0: the step reads them",
        unset="0 if the images fit into memory, else a few",
        at_least=0,
        at_most=64,
    )

    loss: str = option(
        "lsgan", "objective", "the adversarial part", names.PATCH_OBJECTIVES, aliases=names.PATCH_LOSS_ALIASES
    )
    l1_weight: float | None = option(
        None, "objective", "of the distance to the target; pairs only", unset="100, for super-resolution 10", at_least=0
    )
    perceptual_weight: float | None = option(
        None,
        "objective",
        "of the distance to the target in random features; pairs only",
        unset="0, for super-resolution 10",
        at_least=0,
    )
    warm_up: float | None = option(
        None,
        "objective",
        "share of the run in which the distance to the target is learned alone, before the discriminator begins; "
        "1: always alone; pairs only",
        unset="0, for super-resolution 0.5",
        at_least=0,
        at_most=1,
    )
    method: str | None = option(
        None, "objective", "how images without pairs are learned from", names.METHODS, unset="cyclegan"
    )
    cycle_weight: float | None = option(
        None, "objective", "of the way there and back; cyclegan only", unset="10", at_least=0
    )
    identity_weight: float | None = option(
        None,
        "objective",
        "of leaving target images as they are; cyclegan and cut only",
        unset="5 for cyclegan, 1 for cut",
        at_least=0,
    )
    patch_weight: float | None = option(
        None,
        "objective",
        "of the likeness of patches; cut and fastcut only",
        unset="1 for cut, 10 for fastcut",
        at_least=0,
    )

    generator: str | None = option(
        None,
        "networks",
        "the generator",
        names.TRANSLATORS,
        unset="unet for pairs, residual without pairs, subpixel for super-resolution",
    )
    width: int | None = option(
        None,
        "networks",
        "channels of the generator's first map",
        unset="64 on a GPU, 32 on a CPU",
        more_than=0,
        at_most=1024,
    )
    depth: int | None = option(
        None,
        "networks",
        "halvings in the unet generator",
        unset="as many as the size allows, up to 8",
        more_than=0,
        at_most=8,
    )
    gated: bool = option(False, "networks", "gated convolutions in the halvings of the unet generator; inpaint only")
    blocks: int | None = option(
        None,
        "networks",
        "blocks of the residual and of the subpixel generator",
        unset="9 from 256 pixels on, else 6; for super-resolution 4",
        more_than=0,
        at_most=64,
    )
    discriminator_width: int | None = shared.discriminator_width("networks")
    discriminator_depth: int | None = option(
        None,
        "networks",
        "halvings in the discriminator; with 3 it judges patches of 70 pixels, with 2 of 34, with 1 of 16",
        unset="3 from 128 pixels on, else 2",
        more_than=0,
        at_most=5,
    )

    batch_size: int = option(4, "optimisation", "images in a step", more_than=0, at_most=2**16)
    learning_rate: float = option(2e-4, "optimisation", "of the generators, with adam", more_than=0)
    discriminator_learning_rate: float | None = option(
        None, "optimisation", "of the discriminators", unset="that of the generators", more_than=0
    )
    beta1: float = option(0.5, "optimisation", "of adam", at_least=0, less_than=1)
    ema_decay: float = option(
        0.999, "optimisation", "decay of the generator's average, used for translations", at_least=0, less_than=1
    )
    schedule: str = option("late", "optimisation", "how the learning rates go to zero over the run", names.SCHEDULES)
    precision: str = shared.precision(
        "optimisation", "type in which the networks multiply during training; float16 on a GPU only"
    )

    epochs: float | None = option(None, "run", "length in passes over the data", more_than=0)
    steps: int | None = shared.steps(
        "run",
        "length in steps, instead of --epochs",
        "200 passes over the data, on a CPU at most 100,000 images, 20,000 without pairs",
    )
    minutes: float | None = shared.minutes("run")
    seed: int = shared.seed("run", "of everything random")
    device: str = shared.device("run")
    out: str | None = option(None, "run", "run folder", unset="work/runs/NAME, named after the options")
    resume: str | None = option(None, "run", "go on with the run in this folder, with its own options")
    log: tuple[str, ...] = shared.log("run")
    log_every: int = shared.log_every("run")
    sample_every: int | None = option(None, "run", "steps between sheets", unset="20 in the run", more_than=0)
    checkpoint_every: int | None = shared.checkpoint_every("run")
    evaluate_every: int | None = shared.evaluate_every("run")

    def __post_init__(self) -> None:
        settle(self)
        shared.check_length(self)
        shared.check_intervals(self)


@dataclass(frozen=True)
class ApplyConfig:
    """Options of `tools/translate.py apply`."""

    out: str | None = option(None, "where", "folder for the results, which keep their names")
    reverse: bool = option(False, "what", "translate back, from the second set to the first; cyclegan only")
    mask: str | None = option(
        None,
        "what",
        "image that is white where pictures are to be filled; inpaint only",
        unset="their transparent pixels",
    )
    tile: int = option(
        512, "what", "most pixels a side that are translated at once; larger pictures in tiles", at_least=64
    )
    raw: bool = shared.raw("what")
    best: bool = shared.best("what")
    weights: str | None = shared.weights("what")
    device: str = shared.device("what")

    def __post_init__(self) -> None:
        settle(self)
        if self.weights and (self.raw or self.best or self.reverse):
            raise UsageError("--weights names a file; --raw, --best and --reverse choose among the weights of the run")
        if self.out is None:
            raise UsageError("name a folder for the results: --out FOLDER")
