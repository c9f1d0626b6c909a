"""The options that several commands share, each written once. A function returns a new field at each call.

Not about the options of one command only: those stand in its own dataclass.
"""

import math
from typing import Any

from paddle_gan.config import names
from paddle_gan.config.options import MOST, legible, option
from paddle_gan.config.sizes import read_size
from paddle_gan.errors import UsageError


def dataset(group: str) -> Any:
    return option("mnist", group, "mnist (embedded), fashion-mnist, or a folder or zip file of images")


def image_size(group: str, unset: str) -> Any:
    help = "size of the images in pixels, 16 to 256: 64 for 64x64, or WIDTHxHEIGHT, as 64x48"
    return option(None, group, help, unset=unset, read=read_size)


def channels(group: str, unset: str) -> Any:
    return option(None, group, "channels of the images", names.CHANNELS, unset=unset)


def fit(group: str) -> Any:
    help = "how a folder's images of other proportions come to --image-size"
    return option("crop", group, help, names.FITS)


def labels(group: str) -> Any:
    help = "CSV file with the classes of a folder's images, a line file,label for each"
    return option(None, group, help, unset="the sub-folders are the classes")


def skip_unreadable(group: str) -> Any:
    help = "train without up to N unreadable images of a folder, or without all of them"
    return option(None, group, help, unset="up to 1 % of the images")


def most_unreadable(given: str | None) -> int | None:
    """The value of --skip-unreadable as a number; None if it is not given.

    Raises:
        UsageError: it is neither a number nor "all".
    """
    if given in (None, "all"):
        return given and MOST
    if not (given.isascii() and given.isdecimal() and int(given) <= MOST):
        raise UsageError(f"--skip-unreadable {legible(given)}: a number of images, or all")
    return int(given)


def data_dir(group: str) -> Any:
    return option(None, group, "folder with the four files of fashion-mnist")


def download(group: str) -> Any:
    return option(False, group, "download fashion-mnist from its public host if it is not here")


def loss(group: str, default: Any, help: str = "the objective", unset: str = "") -> Any:
    return option(default, group, help, names.OBJECTIVES, aliases=names.LOSS_ALIASES, unset=unset)


def generator(group: str, help: str = "the generator", unset: str = "") -> Any:
    return option(None, group, help, names.GENERATORS, aliases=names.GENERATOR_ALIASES, unset=unset)


def clusters(group: str) -> Any:
    help = "give both networks clusters that are found in the data as labels, so many in all; 0 for none"
    return option(None, group, help, unset="by the number of images", at_least=0, at_most=10_000)


def recipe(group: str) -> Any:
    help = "where numbers that are not given come from: tuned on real images here, or the loss's paper"
    unset = "tuned for the strided and the residual discriminator, else paper"
    return option(None, group, help, names.RECIPES, unset=unset)


def width(group: str) -> Any:
    help = "channels of the generator's narrowest layer"
    return option(None, group, help, unset="its own", more_than=0, at_most=1024)


def discriminator_width(group: str) -> Any:
    help = "channels of the discriminator's first layer"
    return option(None, group, help, unset="its own", more_than=0, at_most=1024)


def batch_size(group: str) -> Any:
    return option(64, group, "real images in a discriminator step", more_than=0, at_most=2**16)


def ema_decay(group: str) -> Any:
    return option(0.999, group, "decay of the generator's average, used for samples", at_least=0, less_than=1)


def precision(group: str, help: str) -> Any:
    return option("float32", group, help, names.PRECISIONS)


def steps(group: str, help: str, unset: str = "") -> Any:
    return option(None, group, help, unset=unset, more_than=0)


def minutes(group: str) -> Any:
    help = "length of a new run in minutes of training on this machine, by a trial of a few steps, instead of --steps"
    return option(None, group, help, more_than=0, at_most=60 * 24 * 365)


def check_length(options: Any) -> None:
    """Raise a UsageError unless at most one of the options `steps`, `epochs` and `minutes` gives the length."""
    given = [f"--{name}" for name in ("epochs", "steps", "minutes") if getattr(options, name) is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} both set the length; give one of them")
    if options.resume is not None and options.minutes is not None:
        raise UsageError("--minutes with --resume: it is for a new run; give --steps, at which the run shall end")


def seed(group: str, help: str) -> Any:
    return option(0, group, help, at_least=0, at_most=math.inf)


def device(group: str) -> Any:
    return option("auto", group, "auto, cpu, gpu or gpu:N")


def log(group: str) -> Any:
    return option(("visualdl",), group, "programs that curves and sheets are also written for", names.LOGS)


def inception(group: str) -> Any:
    return option(None, group, "file of the FID Inception network, to measure in its features")


def truncation(group: str) -> Any:
    help = "draw samples towards the mean: 1 changes nothing, 0.7 fewer odd ones, 0 all the same"
    return option(1.0, group, help, at_least=0, at_most=1)


def raw(group: str) -> Any:
    return option(False, group, "use the weights as trained instead of their average")


def best(group: str) -> Any:
    return option(False, group, "use the checkpoint that measured best during training, not the newest")


def weights(group: str) -> Any:
    help = "generator weights from this .pdparams or .safetensors file instead of the run's checkpoint"
    return option(None, group, help)


def log_every(group: str) -> Any:
    return option(50, group, "steps between logged values", more_than=0)


def checkpoint_every(group: str) -> Any:
    return option(None, group, "steps between checkpoints", unset="one a minute", more_than=0)


def evaluate_every(group: str) -> Any:
    help = "steps between measurements, a multiple of --log-every; 0 for none"
    return option(None, group, help, unset="10 in the run", at_least=0)


def check_intervals(config: Any) -> None:
    """Refuse measurements between two logged values, which would have no place in the log."""
    if config.evaluate_every is not None and config.evaluate_every % config.log_every:
        raise UsageError(
            f"--evaluate-every {config.evaluate_every}: must be 0 or a multiple of --log-every, {config.log_every}"
        )
