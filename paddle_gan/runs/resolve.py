"""From the options that were given to the options of a run: presets, recipes, defaults, and what is refused.

The answer is a `TrainConfig` in which everything that the numbers depend on is filled, but for a length
given in epochs, which needs the data, or in minutes, which needs a trial; and the notices that the user should read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from paddle_gan.config.options import flag
from paddle_gan.config.sizes import ImageSize
from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import DATASETS, default_size
from paddle_gan.errors import UsageError
from paddle_gan.networks import DISCRIMINATORS, GENERATORS, PARTNERS
from paddle_gan.networks.norms import NORMS
from paddle_gan.objectives import OBJECTIVES, r1_penalty
from paddle_gan.objectives.optimizers import OPTIMIZERS, Adam, RMSProp
from paddle_gan.objectives.penalties import Role
from paddle_gan.runs.augmentation import augment_options
from paddle_gan.runs.presets import BATCH_SIZE, PRESETS, automatic_preset, sizes_of
from paddle_gan.runs.recipes import PAPER, TUNED, Recipe, with_r1_for
from paddle_gan.runs.refusals import default_of, refuse_data, refuse_networks, refuse_useless

# The discriminator that the tuned recipes are tuned for.
_TUNED_FOR = ("strided", "residual")
# Where the preset's generator does not fit, as the tutorial's in other sizes than 32x32.
_GENERATOR_OF_ANY_SIZE = "pixelshuffle"


# A default only because the fields of the base class have one.
_FILLED: Any = None


@dataclass(frozen=True)
class RunOptions(TrainConfig):
    """The options of a run in which every one that the numbers depend on is filled in.

    The length may still be given in epochs or minutes, since the steps in them depend on the data and on the machine.
    A width is None for a network that has none.
    """

    image_size: ImageSize = _FILLED
    channels: int = _FILLED
    discriminator_steps: int = _FILLED
    generator: str = _FILLED
    discriminator: str = _FILLED
    latent_dim: int = _FILLED
    discriminator_norm: str = _FILLED
    init: str = _FILLED
    optimizer: str = _FILLED
    learning_rate: float = _FILLED
    discriminator_init: str = _FILLED
    batch_size: int = BATCH_SIZE
    recipe: str = _FILLED
    r1: float = _FILLED
    penalty_every: int = _FILLED
    augment: tuple[str, ...] = _FILLED
    schedule: str = _FILLED

    def __post_init__(self) -> None:
        """Nothing is checked again: `resolve` makes these from options that were checked."""


class Resolved(NamedTuple):
    """The options of a run, and what its user should read.

    Attributes:
        config: filled in, except for a length in epochs or minutes.
        notices: one sentence each.
    """

    config: RunOptions
    notices: list[str]


def resolve(given: TrainConfig, device: str) -> Resolved:
    """Fill in every option that was not given.

    Args:
        given: as the user wrote it.
        device: "cpu" or "gpu:N", which the automatic preset depends on.

    Raises:
        UsageError: options that do not go together.
    """
    notices: list[str] = []
    preset = given.preset if given.preset != "auto" else automatic_preset(given, device)
    generator = _generator(given, preset, notices)
    partner = PARTNERS[generator]
    discriminator = given.discriminator or partner.discriminator
    recipe_name = given.recipe or ("tuned" if discriminator in _TUNED_FOR else "paper")
    recipe = TUNED[given.loss] if recipe_name == "tuned" else PAPER
    norm = _norm(given, discriminator, recipe, notices)
    batch_size, discriminator_width = sizes_of(given, PRESETS[preset], discriminator, recipe)
    refuse_networks(given, generator, discriminator, batch_size)
    sizes = _sizes(given, generator, discriminator, discriminator_width)
    if recipe is not PAPER:
        recipe = with_r1_for(recipe, sizes["image_size"], batch_size)
    augment, augment_target = augment_options(given, recipe.augment)
    refuse_data(given)
    options = vars(given) | {
        "preset": preset,
        "recipe": recipe_name,
        "generator": generator,
        "discriminator": discriminator,
        "init": given.init or partner.init,
        "augment": augment,
        "augment_target": augment_target,
        "dataset": given.dataset if given.dataset in DATASETS else _absolute(given.dataset),
        "data_dir": _absolute(given.data_dir) if given.data_dir else given.data_dir,
        "labels": _absolute(given.labels) if given.labels else given.labels,
        "discriminator_norm": norm,
        "discriminator_init": given.discriminator_init
        or ("he" if _is_bare(recipe, norm) else given.init or partner.init),
        "clusters": given.clusters if given.clusters is not None or (recipe.clusters and given.pack == 1) else 0,
        "batch_size": batch_size,
        **sizes,
        **_recipe(given, recipe, norm, notices),
    }
    options |= _schedule(given, recipe, options)
    if _has_open_length(given):
        images = options["batch_size"] * options["discriminator_steps"]
        options["steps"] = max(1, round(PRESETS[preset].images / images))
    return Resolved(RunOptions(**options), notices)


def _has_open_length(given: TrainConfig) -> bool:
    return given.steps is None and given.epochs is None and given.minutes is None


def _absolute(folder: str) -> str:
    return str(Path(folder).resolve())


def _generator(given: TrainConfig, preset: str, notices: list[str]) -> str:
    """The name of the generator: as given, else the preset's, if that can make the images."""
    if given.preset == "auto" and preset != "full" and (given.generator is None or _has_open_length(given)):
        notices.append(
            f"no GPU, so options that are not given come from the {preset} preset; "
            "--preset full trains the tutorial's full network"
        )
    if given.generator:
        return given.generator
    generator = PRESETS[preset].generator
    if _fits(generator, given):
        return generator
    notices.append(
        f"the {generator} network of the {preset} preset is not made for these images; "
        f"{_GENERATOR_OF_ANY_SIZE} takes its place"
    )
    return _GENERATOR_OF_ANY_SIZE


def _fits(generator: str, given: TrainConfig) -> bool:
    """Whether a generator can make the images asked for; one of a fixed size is meant for the sets of digits."""
    network = GENERATORS[generator]
    fixed = getattr(network, "image_size", None)
    if fixed is None:
        return True
    same_latents = given.latent_dim in (None, getattr(network, "latent_dim", None))
    return given.dataset in DATASETS and given.image_size in (None, fixed) and same_latents


def _sizes(given: TrainConfig, generator: str, discriminator: str, discriminator_width: int | None) -> dict[str, Any]:
    """Image size, channels, latent size and widths: as given, else the network's, else the data's."""
    networks = {generator: GENERATORS[generator], discriminator: DISCRIMINATORS[discriminator]}
    fixed_sizes = {name: getattr(network, "image_size", None) for name, network in networks.items()}
    fixed = next(filter(None, fixed_sizes.values()), None)
    data_size, data_channels = default_size(given.dataset)
    size = given.image_size or fixed or data_size
    for name, own in fixed_sizes.items():
        if own not in (None, size):
            raise UsageError(
                f"the {name} network is made for {own}x{own} images, not {size}; "
                "leave --image-size out or choose another network"
            )
    latent_dim = getattr(GENERATORS[generator], "latent_dim", None)
    if latent_dim and given.latent_dim not in (None, latent_dim):
        raise UsageError(f"the {generator} generator takes {latent_dim} noise values; leave --latent-dim out")
    return {
        "image_size": size,
        "channels": given.channels or data_channels,
        "latent_dim": given.latent_dim or latent_dim or default_of(GENERATORS[generator], "latent_dim"),
        "width": given.width or default_of(GENERATORS[generator], "width"),
        "discriminator_width": discriminator_width or default_of(DISCRIMINATORS[discriminator], "width"),
    }


def _norm(given: TrainConfig, discriminator: str, recipe: Recipe, notices: list[str]) -> str:
    """The name of the discriminator's norm: as given, else the recipe's or the network's, if the penalties allow it."""
    own = default_of(DISCRIMINATORS[discriminator], "norm")
    norm = given.discriminator_norm or recipe.norm or next(name for name, value in NORMS.items() if value is own)
    penalties = OBJECTIVES[given.loss].penalties_of(Role.DISCRIMINATOR)
    if given.r1:
        penalties = [*penalties, r1_penalty(given.r1)]
    reason = next((penalty.against_batch_norm for penalty in penalties if penalty.against_batch_norm), None)
    if norm != "batch" or reason is None:
        return norm
    if given.discriminator_norm:
        raise UsageError(f"--discriminator-norm batch with {given.loss}: {reason}; use none or layer")
    # LayerNorm learns a little more in a step, but no norm learns more in the same time (measured on MNIST).
    notices.append(f"{given.loss}: the discriminator has no BatchNorm; {reason}")
    return "none"


def _is_bare(recipe: Recipe, norm: str) -> bool:
    """Whether the weights alone must keep the size of the values, in a network that the recipe is made for."""
    return recipe is not PAPER and norm == "none"


def _recipe(given: TrainConfig, recipe: Recipe, norm: str, notices: list[str]) -> dict[str, Any]:
    """The numbers of the objective and of its optimiser, as given or from the recipe; a refusal of useless ones."""
    objective = OBJECTIVES[given.loss]
    refuse_useless(given, objective)
    numbers = recipe.optimizer or objective.optimizer
    name = given.optimizer or next(name for name, kind in OPTIMIZERS.items() if isinstance(numbers, kind))
    if objective.weight_clip and name == "adam":
        notices.append(
            "adam with weight clipping: the paper found that momentum destabilises it, and uses rmsprop "
            "(Arjovsky et al. 2017, section 4)"
        )
    defaults = numbers if isinstance(numbers, OPTIMIZERS[name]) else OPTIMIZERS[name]()
    penalty_weight = given.penalty_weight
    if penalty_weight is None and objective.penalties:
        penalty_weight = objective.penalties[0].weight if recipe.penalty_weight is None else recipe.penalty_weight
    r1 = given.r1
    if r1 is None:
        r1 = 0.0 if norm == "batch" else recipe.r1
    has_penalty = bool(objective.penalties or r1)
    if given.penalty_every not in (None, 1) and not has_penalty:
        raise UsageError(f"--penalty-every with {given.loss}: it has no gradient penalty; add --r1, or leave it out")
    return {
        "optimizer": name,
        "learning_rate": given.learning_rate or defaults.learning_rate,
        "discriminator_steps": given.discriminator_steps or recipe.discriminator_steps or objective.discriminator_steps,
        "weight_clip": given.weight_clip or objective.weight_clip,
        "penalty_weight": penalty_weight,
        "r1": r1,
        "penalty_every": given.penalty_every or (recipe.penalty_every if has_penalty else 1),
        **_optimizer_numbers(given, name, defaults),
    }


def _schedule(given: TrainConfig, recipe: Recipe, options: dict[str, Any]) -> dict[str, Any]:
    """The shape of the schedules and the last learning rate; a refusal of last values that nothing leads to."""
    shape = given.schedule or recipe.schedule
    finals = [name for name in vars(given) if name.startswith("final_") and getattr(given, name) is not None]
    if shape == "constant" and finals:
        raise UsageError(f"{flag(finals[0])} with --schedule constant: nothing changes then; use linear or cosine")
    if given.final_penalty_weight is not None and not (options["penalty_weight"] or options["r1"]):
        raise UsageError(f"--final-penalty-weight with {given.loss}: it has no gradient penalty; leave it out")
    if given.final_beta2 is not None and options["optimizer"] != "adam":
        raise UsageError(
            f"--final-beta2 with {options['optimizer']}: it has none; leave it out or choose --optimizer adam"
        )
    rate = given.final_learning_rate
    return {"schedule": shape, "final_learning_rate": 0.0 if rate is None and shape != "constant" else rate}


def _optimizer_numbers(given: TrainConfig, name: str, defaults: Adam | RMSProp) -> dict[str, float]:
    """The numbers that only some optimisers have: as given, else the defaults."""
    numbers = {}
    for number in ("beta1", "beta2", "rho"):
        value = getattr(given, number)
        if hasattr(defaults, number):
            numbers[number] = getattr(defaults, number) if value is None else value
        elif value is not None:
            raise UsageError(f"{flag(number)} with {name}: it has none; leave it out or choose another --optimizer")
    return numbers
