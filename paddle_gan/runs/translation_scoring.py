"""The evaluation of a translation run, from its folder to the record; as `scoring` for samples."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from paddle_gan.config.language import tell
from paddle_gan.config.results import EvaluateConfig
from paddle_gan.datasets.derived import reduced
from paddle_gan.datasets.folder import find
from paddle_gan.datasets.pair_feed import Pair
from paddle_gan.datasets.pairs import CHANNELS
from paddle_gan.datasets.pictures import read_picture
from paddle_gan.errors import DataError, UsageError
from paddle_gan.evaluation.score import extractor_for
from paddle_gan.evaluation.translations import (
    Figures,
    TranslatedImages,
    collect,
    evaluate_translations,
    pair_figures,
    record_of,
)
from paddle_gan.features.maps import random_convolutions
from paddle_gan.inference.images import side_by_side
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
from paddle_gan.runs.translation_measures import against_targets, floors, floors_of_pairs, has_biharmonic, pixels
from paddle_gan.runs.translators import Translator, load_translator, translated

# Whole pictures: the largest tile, the least side that SSIM can be measured on, and the side that the sheet shows.
_TILE, _LEAST_SIDE, _SHOWN_SIDE = 512, 24, 256
# Groups in a row of the sheet of an evaluation, and the most of them.
_ACROSS, _MOST_SHOWN = 3, 48


@dataclass(frozen=True)
class TranslationEvaluation:
    """The result of an evaluation of translations.

    Attributes:
        record: for JSON, see `records`.
        sheet: uint8 [height, width, 3]: inputs, translations and targets side by side.
    """

    record: dict[str, Any]
    sheet: np.ndarray


def score_translation(folder: Path | str, config: EvaluateConfig, say: Say = tell) -> TranslationEvaluation:
    """Measure the translations of held-out images.

    Args:
        folder: of the run.
        config: how.
        say: for notices.

    Raises:
        UsageError: options that do not go with a translation. DataError: too few images.
        CheckpointError: no checkpoint that fits.
    """
    folder = Path(folder).expanduser()
    if config.data_dir or config.download:
        raise UsageError("--data-dir and --download are for samples; a translation is measured on its data")
    translator = load_translator(folder, say, raw=config.raw, best=config.best)
    run = translator.config
    subject = {"name": folder.resolve().name, "step": translator.step, "best": config.best}
    protocol: dict[str, Any] = {"task": run.task, "weights": "raw" if config.raw else "average"}
    if run.scale:
        protocol["scale"] = run.scale
    if run.mask:
        protocol["mask"] = Path(run.mask).name
    if config.dataset and run.task != "super-resolution":
        raise UsageError("--dataset is for samples and for super-resolution; this run is measured on its own data")
    if config.dataset:
        return evaluate_pictures(translator, Path(config.dataset), protocol, subject)
    data = load_translation_data(run)
    if not len(data.held_out[0]):
        say("notice: no images were held out, so these figures are of images that were trained on")
    if run.mask and not has_biharmonic():
        say("notice: the biharmonic fill needs scikit-image (pip install scikit-image); it is left out")
    images, shown = _measured(translator, data, config)
    protocol |= {
        "dataset": data.name,
        "image_size": images.targets.shape[1],
        "channels": CHANNELS,
        "held_out": run.held_out,
        "seed": config.seed,
    }
    extractor = extractor_for("", images.targets.shape[1], CHANNELS, config.inception)
    record = evaluate_translations(images, extractor, protocol, subject)
    return TranslationEvaluation(record, side_by_side([side[:_MOST_SHOWN] for side in shown], _ACROSS))


def evaluate_pictures(
    translator: Translator, folder: Path, protocol: dict[str, Any], subject: dict[str, Any]
) -> TranslationEvaluation:
    """Measure super-resolution on whole pictures, as on Set5: each is reduced, enlarged again and compared.

    Args:
        translator: in use.
        folder: of the pictures; a picture is cut to multiples of the scale.
        protocol, subject: see `evaluate_translations`.

    Returns:
        A record whose figures are means over the pictures, and a sheet of the middles of the pictures.

    Raises:
        DataError: a picture cannot be read, or is too small to be measured.
    """
    config, scale, names = translator.config, translator.config.scale, list(find(folder).entries)
    assert scale is not None
    values: dict[str, dict[str, list[float]]] = {}
    middles: list[list[np.ndarray]] = []
    for name in names:
        picture = read_picture(folder / name).colours
        height, width = (size - size % scale for size in picture.shape[:2])
        if min(height, width) < _LEAST_SIDE:
            raise DataError(f"{folder / name}: {width}x{height} is too small to be measured; at least {_LEAST_SIDE}")
        targets = as_tensor(picture[None, :height, :width].transpose(0, 3, 1, 2))
        pair = Pair(reduced(targets, scale), targets)
        small = pixels(pair.inputs.numpy())[0]
        columns = {"samples": translated(translator, small, _TILE)[None], **floors_of_pairs(config, pair, pair)}
        figures: Figures = {}
        collect(figures, columns, against_targets(config, pair))
        for figure, line in figures.items():
            for column, value in line.items():
                values.setdefault(figure, {}).setdefault(column, []).append(value)
        middles.append(
            [_middle(image[0]) for image in (columns["bicubic"], columns["samples"], pixels(targets.numpy()))]
        )
    means = {name: {key: float(np.mean(each)) for key, each in line.items()} for name, line in values.items()}
    record = record_of(means, {**protocol, "dataset": folder.resolve().name, "samples": len(names)}, subject)
    sheet = side_by_side([np.stack(side) for side in zip(*middles[:_MOST_SHOWN], strict=True)], 1)
    return TranslationEvaluation(record, sheet)


def _middle(image: np.ndarray) -> np.ndarray:
    """The middle of an image [H, W, C], as a square of a fixed size, with a grey border if it is smaller."""
    height, width = (min(_SHOWN_SIDE, size) for size in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    shown = np.full((_SHOWN_SIDE, _SHOWN_SIDE, image.shape[2]), 128, np.uint8)
    shown[:height, :width] = image[top : top + height, left : left + width]
    return shown


def _measured(
    translator: Translator, data: TranslationData, config: EvaluateConfig
) -> tuple[TranslatedImages, list[np.ndarray]]:
    """What is measured, and what the sheet shows."""
    run = translator.config
    if data.pairs_of is not None:
        pair = held_out_pairs(data, config.num)
        inputs, targets, measure = pair.inputs.numpy(), pixels(pair.targets.numpy()), against_targets(run, pair)
        trained = as_tensor(_trained_on(data, 0, len(targets), config.seed))
        known = data.pairs_of(trained, [(config.seed, row) for row in range(len(trained))])
        wanted, beside = pixels(known.targets.numpy()), floors_of_pairs(run, pair, known)
    else:
        inputs = held_out_images(data, 0, config.num).numpy()
        partners = _partners(data, config.num)
        targets = pixels(held_out_images(data, 1, config.num).numpy()) if partners is None else partners
        measure = None
        if partners is not None:
            measure = partial(pair_figures, targets=partners, maps=random_convolutions(CHANNELS).maps)
        own, wanted = (_trained_on(data, side, len(targets), config.seed).transpose(0, 2, 3, 1) for side in range(2))
        beside = floors(pixels(inputs), own, wanted)
    made = translate_batch(translator.network, inputs)
    images = TranslatedImages(
        made=made, floors=beside, targets=targets, against_targets=measure, training_targets=wanted
    )
    shown = [pixels(inputs), made]
    return images, [*shown, targets] if measure else shown


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
