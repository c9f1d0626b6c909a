"""The cases of a benchmark as data for the workers."""

from typing import Any

from paddle_gan.config import names
from paddle_gan.config.bench import BenchConfig
from paddle_gan.config.train import TrainConfig
from paddle_gan.config.translate import TranslateConfig

Result = dict[str, Any]

# Samples of a measurement: as many as sampling generates at once.
SAMPLES = 250
_BATCH_SIZE = 64
_NOISE_IMAGES = 2048
# Images of a translation are larger before the crop, so there are fewer.
_TRANSLATED_IMAGES = 128
# Options of the training whose round each task from images to images is. Noise takes the place of the folders.
_NOISE = "noise"
_TRANSLATIONS: dict[str, dict[str, Any]] = {
    "pairs": {"pairs": (_NOISE,)},
    "super-resolution": {"task": "super-resolution", "images": _NOISE, "warm_up": 1.0},
    "super-resolution-gan": {"task": "super-resolution", "images": _NOISE, "warm_up": 0.0},
    "inpaint": {"task": "inpaint", "images": _NOISE, "mask": "box"},
    **{method: {"unpaired": (_NOISE, _NOISE), "method": method} for method in names.METHODS},
}


def descriptions(config: BenchConfig) -> list[Result]:
    """The description of each case for a worker, see `workers.ours.prepare`.

    Raises:
        UsageError: options with which nothing could be trained.
    """
    cases = []
    for task in config.task:
        cases += _from_noise(config) if task == names.FROM_NOISE else _translations(config, task)
    return cases


def heading(case: Result) -> str:
    """What tells a case from the others of the same command."""
    options = case["options"]
    first = options["generator"] if case["task"] == names.FROM_NOISE else case["task"]
    return f"{options['loss']}, {first}"


def _from_noise(config: BenchConfig) -> list[Result]:
    tutorial = config.against == "tutorial"
    shared = {
        "recipe": config.recipe,
        "width": config.width,
        "discriminator_width": config.discriminator_width,
        "batch_size": config.batch_size or _BATCH_SIZE,
        "image_size": config.image_size,
        "channels": config.channels,
        "dataset": config.dataset or "mnist",
        "device": config.device,
        "precision": config.precision,
        "compile": config.compile,
        "conditional": bool(config.classes),
        "steps": 1,
    }
    cases = []
    for generator in config.generator or ("tutorial" if tutorial else "pixelshuffle",):
        for loss in config.loss or ("gan" if tutorial else "lsgan",):
            options = {"loss": loss, "generator": generator, **shared}
            TrainConfig(**options)  # refuses what cannot be trained
            images = None if config.dataset else _NOISE_IMAGES
            case = {"task": names.FROM_NOISE, "options": options, "images": images, "samples": SAMPLES}
            cases.append(case | {"classes": config.classes or 0})
    return cases


def _translations(config: BenchConfig, task: str) -> list[Result]:
    given = ("width", "discriminator_width", "batch_size", "image_size", "device", "precision")
    shared = {name: getattr(config, name) for name in given if getattr(config, name)}
    cases = []
    for loss in config.loss or ("lsgan",):
        options = {"loss": loss, **_TRANSLATIONS[task], **shared}
        TranslateConfig(**options)  # refuses what cannot be trained
        cases.append({"task": task, "options": options, "images": _TRANSLATED_IMAGES})
    return cases
