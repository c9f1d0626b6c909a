"""From the options that were given to those of a translation run: defaults, and what is refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_gan.config import names
from paddle_gan.config.options import flag
from paddle_gan.config.translate import TranslateConfig
from paddle_gan.datasets import DATASETS
from paddle_gan.errors import UsageError

# Length of a run that is not given, in passes over the data, and the most images on a CPU: with pairs, and without,
# where a step takes five to ten times as long.
EPOCHS, MOST_IMAGES_ON_CPU, MOST_UNPAIRED_ON_CPU = 200, 100_000, 20_000
_LOAD, _CROP = 286, 256  # pix2pix (Isola et al. 2017, section 6.2)
_MULTIPLE = 16
# Super-resolution: images are loaded at so many times the size of a crop; blocks of the generator.
_DETAILED, _SUBPIXEL_BLOCKS = 4, 4

# A default only because the fields of the base class have one.
_FILLED: Any = None


@dataclass(frozen=True)
class TranslationOptions(TranslateConfig):
    """The options of a run in which every one that the numbers depend on is filled in.

    An option that the task has no use for is None; so are those of `epochs`,
    `steps` and `minutes` that do not give the length.
    """

    task: str = _FILLED
    load_size: int = _FILLED
    generator: str = _FILLED
    width: int = _FILLED
    discriminator_width: int = _FILLED
    discriminator_depth: int = _FILLED
    discriminator_learning_rate: float = _FILLED

    def __post_init__(self) -> None:
        """Nothing is checked again: `resolve_translation` makes these from options that were checked."""


def resolve_translation(given: TranslateConfig, device: str) -> TranslationOptions:
    """Fill in every option that was not given.

    Args:
        given: as the user wrote it.
        device: "cpu" or "gpu:N", which the widths depend on.

    Raises:
        UsageError: options that do not go together.
    """
    task = _task(given)
    width = given.width or (32 if device == "cpu" else 64)
    options = vars(given) | {
        "task": task,
        "pairs": _absolute(given.pairs),
        "unpaired": _absolute(given.unpaired),
        "images": given.images if not given.images or given.images in DATASETS else str(Path(given.images).resolve()),
        "width": width,
        "discriminator_width": given.discriminator_width or width,
        "discriminator_learning_rate": given.discriminator_learning_rate or given.learning_rate,
        "mask": _mask(given, task),
        **_sizes(given, task),
        **_objective(given, task),
    }
    options |= _networks(given, task, options["method"])
    return TranslationOptions(**options)


def _task(given: TranslateConfig) -> str:
    """The task: as given, or the one that the data is given for."""
    named = [name for name in ("pairs", "unpaired", "images") if getattr(given, name)]
    if len(named) != 1:
        raise UsageError(
            "name the images in one way: --pairs INPUTS TARGETS, --unpaired FROM TO, or --images FOLDER with "
            f"--task {' or '.join(names.DERIVED)}"
        )
    task = given.task or ("" if given.images else named[0])
    if task not in (names.DERIVED if given.images else named):
        fitting = " or ".join(names.DERIVED) if given.images else named[0]
        raise UsageError(f"{flag(named[0])} is for --task {fitting}{f', not {task}' if task else ', so name one'}")
    if given.pairs and len(given.pairs) > 2:
        raise UsageError("--pairs: two folders, or one whose images hold both sides")
    if given.unpaired and len(given.unpaired) != 2:
        raise UsageError("--unpaired: two folders, the images to translate from and those to translate to")
    if given.images and given.reverse:
        raise UsageError("--reverse is for --pairs and --unpaired; leave it out")
    return task


def _mask(given: TranslateConfig, task: str) -> str | None:
    if task != "inpaint":
        _refuse(given, ("mask",), "is for --task inpaint")
        return None
    mask = given.mask or names.MASKS[0]
    return mask if mask in names.MASKS else str(Path(mask).resolve())


def _sizes(given: TranslateConfig, task: str) -> dict[str, int | None]:
    size = given.image_size
    if size % _MULTIPLE:
        raise UsageError(f"--image-size {size}: must be a multiple of {_MULTIPLE}, since the networks halve it")
    enlarging = task == "super-resolution"
    if not enlarging:
        _refuse(given, ("scale",), "is for --task super-resolution")
    scale = given.scale or (2 if enlarging else None)
    load_size = given.load_size or (_DETAILED * size if enlarging else round(size * _LOAD / _CROP))
    if scale and (size % scale or load_size % scale):
        raise UsageError(f"--scale {scale}: --image-size {size} and --load-size {load_size} must be multiples of it")
    if load_size < size:
        raise UsageError(f"--load-size {load_size}: smaller than --image-size, {size}")
    depth = given.discriminator_depth or (3 if size >= 128 else 2)
    if size // 2**depth < 3:
        raise UsageError(f"--discriminator-depth {depth} with --image-size {size}: too deep; take less")
    return {"scale": scale, "load_size": load_size, "discriminator_depth": depth}


def _objective(given: TranslateConfig, task: str) -> dict[str, Any]:
    """The weights of the losses that the task has; a refusal of others."""
    if task != "unpaired":
        _refuse(given, ("method", "cycle_weight", "identity_weight", "patch_weight"), "is for --unpaired")
        weights = {"l1_weight": 100.0, "perceptual_weight": 0.0, "warm_up": 0.0}
        if task == "super-resolution":
            weights |= {"l1_weight": 10.0, "perceptual_weight": 10.0, "warm_up": 0.5}
        filled = _with_defaults(given, weights)
        if filled["warm_up"] and not filled["l1_weight"]:
            raise UsageError("--l1-weight 0 with --warm-up: nothing would be learned at first; give --warm-up 0")
        return {"method": None, **filled}
    _refuse(given, ("l1_weight", "perceptual_weight", "warm_up"), "is for pairs, which --unpaired has not")
    method = given.method or "cyclegan"
    if method == "cyclegan":
        _refuse(given, ("patch_weight",), "is for --method cut and fastcut")
        weights = {"cycle_weight": 10.0, "identity_weight": 5.0}
    else:
        _refuse(given, ("cycle_weight",), "is for --method cyclegan")
        weights = {"patch_weight": 1.0, "identity_weight": 1.0}
        if method == "fastcut":
            _refuse(given, ("identity_weight",), "is for --method cyclegan and cut")
            weights = {"patch_weight": 10.0}
    return {"method": method, **_with_defaults(given, weights)}


def _networks(given: TranslateConfig, task: str, method: str | None) -> dict[str, Any]:
    fitting = {"unpaired": "residual", "super-resolution": "subpixel"}
    generator = given.generator or fitting.get(task, "unet")
    if given.gated and (task != "inpaint" or generator != "unet"):
        raise UsageError("--gated is for --task inpaint with --generator unet; leave it out")
    if (generator == "subpixel") != (task == "super-resolution"):
        raise UsageError(f"--generator {generator}: --task super-resolution has subpixel, and no other task has it")
    if generator == "subpixel":
        _refuse(given, ("depth",), "is for --generator unet")
        return {"generator": generator, "blocks": given.blocks or _SUBPIXEL_BLOCKS}
    if generator == "unet":
        if method not in (None, "cyclegan"):
            raise UsageError(f"--generator unet with --method {method}: patches are compared in residual's maps")
        _refuse(given, ("blocks",), "is for --generator residual and subpixel")
        depth = given.depth or _halvings(given.image_size)
        if given.image_size % 2**depth:
            raise UsageError(
                f"--depth {depth} with --image-size {given.image_size}: must be halved so often without a rest"
            )
        return {"generator": generator, "depth": depth}
    _refuse(given, ("depth",), "is for --generator unet")
    return {"generator": generator, "blocks": given.blocks or (9 if given.image_size >= 256 else 6)}


def _halvings(size: int) -> int:
    """How often a size can be halved without a rest, at most eight times."""
    return next(depth for depth in range(8, 0, -1) if size % 2**depth == 0)


def _with_defaults(given: TranslateConfig, defaults: dict[str, float]) -> dict[str, float]:
    values = {name: getattr(given, name) for name in defaults}
    return {name: defaults[name] if value is None else value for name, value in values.items()}


def _refuse(given: TranslateConfig, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(given, name) is not None:
            raise UsageError(f"{flag(name)} {why}; leave it out")


def _absolute(folders: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return folders and tuple(str(Path(folder).resolve()) for folder in folders)
