"""The evaluation of a translation run, from its folder to the record; as `scoring` for samples."""

from pathlib import Path
from typing import Any

import numpy as np

from paddle_gan.config.results import EvaluateConfig
from paddle_gan.datasets.pairs import CHANNELS
from paddle_gan.errors import UsageError
from paddle_gan.evaluation.score import extractor_for
from paddle_gan.evaluation.translations import TranslatedImages, evaluate_translations
from paddle_gan.inference.images import side_by_side, to_uint8
from paddle_gan.inference.translation import translate_batch
from paddle_gan.runs.execution import Say
from paddle_gan.runs.translation_data import (
    TranslationData,
    as_tensor,
    held_out_images,
    held_out_pairs,
    load_translation_data,
    spread,
)
from paddle_gan.runs.translators import Translator, load_translator

_RANGE = (-1.0, 1.0)
# Groups in a row of the sheet of an evaluation, and the most of them.
_ACROSS, _MOST_SHOWN = 3, 48


def evaluate_translator(folder: Path, config: EvaluateConfig, say: Say) -> tuple[dict[str, Any], np.ndarray]:
    """Measure the translations of held-out images.

    Args:
        folder: of the run.
        config: how.
        say: for notices.

    Returns:
        The record, and a sheet of inputs, translations and targets, uint8 [height, width, 3].

    Raises:
        UsageError: options that do not go with a translation. DataError: too few images.
        CheckpointError: no checkpoint that fits.
    """
    if config.dataset or config.data_dir or config.download:
        raise UsageError("--dataset, --data-dir and --download are for samples; a translation is measured on its data")
    translator = load_translator(folder, say, raw=config.raw, best=config.best)
    run = translator.config
    data = load_translation_data(run)
    if not len(data.held_out[0]):
        say("notice: no images were held out, so these figures are of images that were trained on")
    images = _measured(translator, data, config)
    protocol = {
        "task": run.task,
        "dataset": data.name,
        "image_size": run.image_size,
        "channels": CHANNELS,
        "held_out": run.held_out,
        "seed": config.seed,
        "weights": "raw" if config.raw else "average",
    }
    subject = {"name": folder.resolve().name, "step": translator.step, "best": config.best}
    record = evaluate_translations(
        images, extractor_for("", run.image_size, CHANNELS, config.inception), protocol, subject
    )
    shown = [side[:_MOST_SHOWN] for side in (images.inputs, images.made, images.targets)]
    return record, side_by_side(shown if images.paired else shown[:2], _ACROSS)


def _measured(translator: Translator, data: TranslationData, config: EvaluateConfig) -> TranslatedImages:
    if data.pairs_of is not None:
        pairs = held_out_pairs(data, config.num)
        inputs, targets, paired = pairs.inputs.numpy(), _pixels(pairs.targets.numpy()), True
        known = data.pairs_of(as_tensor(_trained_on(data, 0, len(targets), config.seed)))
        own, wanted = (_pixels(side.numpy()) for side in known)
    else:
        inputs = held_out_images(data, 0, config.num).numpy()
        partners = _partners(data, config.num)
        paired = partners is not None
        targets = _pixels(held_out_images(data, 1, config.num).numpy()) if partners is None else partners
        own, wanted = (_trained_on(data, side, len(targets), config.seed).transpose(0, 2, 3, 1) for side in range(2))
    return TranslatedImages(
        inputs=_colours(_pixels(inputs)),
        made=translate_batch(translator.network, inputs),
        targets=targets,
        paired=paired,
        training_inputs=_colours(own),
        training_targets=wanted,
    )


def _partners(data: TranslationData, count: int) -> np.ndarray | None:
    """The held-out targets of the same names as the held-out inputs, uint8 [n, H, W, 3]; None unless all have one.

    Training has not used that they belong together.
    """
    places = {Path(name).stem: index for index, name in enumerate(data.held_out[1].names)}
    own = data.held_out[0].names
    names = [Path(own[index]).stem for index in spread(len(own), count)]
    if not names or not all(name in places for name in names):
        return None
    return data.held_out[1].images[np.array([places[name] for name in names])].transpose(0, 2, 3, 1)


def _trained_on(data: TranslationData, side: int, count: int, seed: int) -> np.ndarray:
    """At most so many images that were trained on, as many as are measured: uint8 [n, C, H, W]."""
    images = data.uncropped[side]
    return images.images[np.random.default_rng(seed).permutation(len(images))[:count]]


def _pixels(images: np.ndarray) -> np.ndarray:
    return to_uint8(images, _RANGE)


def _colours(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] in colour."""
    return images if images.shape[3] == CHANNELS else images.repeat(CHANNELS, axis=3)
