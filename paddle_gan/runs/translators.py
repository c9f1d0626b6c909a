"""The trained translator of a run, its use on pictures, and its evaluation."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paddle.nn as nn

from paddle_gan.config.results import EvaluateConfig
from paddle_gan.config.translate import ApplyConfig
from paddle_gan.datasets.derived import grey
from paddle_gan.datasets.folder import open_folder
from paddle_gan.datasets.pairs import CHANNELS
from paddle_gan.datasets.pictures import Picture, read_picture, write_picture, written_name
from paddle_gan.errors import DataError, UsageError
from paddle_gan.evaluation.score import extractor_for
from paddle_gan.evaluation.translations import TranslatedImages, evaluate_translations
from paddle_gan.inference.images import side_by_side, to_uint8
from paddle_gan.inference.translation import translate_batch, translate_picture
from paddle_gan.runs.translation import read_translation
from paddle_gan.runs.translation_building import new_translator
from paddle_gan.runs.translation_data import (
    DERIVATIONS,
    TranslationData,
    as_tensor,
    held_out_images,
    held_out_pairs,
    load_translation_data,
    spread,
)
from paddle_gan.runs.translation_options import TranslationOptions
from paddle_gan.training.checkpoint import read_newest
from paddle_gan.training.state import part
from paddle_gan.training.weights import load_weights

_RANGE = (-1.0, 1.0)
# Groups in a row of the sheet of an evaluation, and the most of them.
_ACROSS, _MOST_SHOWN = 3, 48

Say = Callable[[str], None]


@dataclass(frozen=True)
class Translator:
    """A trained translator in use.

    Attributes:
        network: in evaluation mode.
        config: options of its run.
        step: rounds that it was trained for.
    """

    network: nn.Layer
    config: TranslationOptions
    step: int


class Named(NamedTuple):
    """A file, and its name below the folder for results."""

    path: Path
    name: Path


def load_translator(
    folder: Path, say: Say = print, *, raw: bool = False, best: bool = False, reverse: bool = False
) -> Translator:
    """The translator of a run from its newest checkpoint.

    Args:
        folder: the run's.
        say: for notices.
        raw: the weights as trained, not their average.
        best: take the checkpoint that measured best.
        reverse: the way back of a run with `--method cyclegan`.

    Raises:
        UsageError: not such a run folder. CheckpointError: no checkpoint that fits.
    """
    config = read_translation(folder)
    checkpoints = folder / ("best" if best else "checkpoints")
    if best and not os.path.isdir(checkpoints):
        raise UsageError(f"{folder}: no best checkpoint, its translations were not measured; see --evaluate-every")
    if reverse and config.method != "cyclegan":
        raise UsageError(f"--reverse: {folder} learned one direction only; --method cyclegan learns both")
    found = read_newest(checkpoints, say)
    name = "generator_back" if reverse else "generator"
    network = new_translator(config)
    load_weights(network, part(found.arrays, name if raw else f"{name}_average"), folder)
    network.eval()
    return Translator(network, config, found.step)


def translate_files(translator: Translator, sources: list[Path], config: ApplyConfig, say: Say) -> tuple[int, int]:
    """Translate pictures and folders of pictures; a picture that cannot be read is named and passed over.

    Args:
        translator: in use.
        sources: files and folders; in folders all pictures below them, which keep their places.
        config: where the results go, and the size of a tile.
        say: takes a line for each picture that is passed over.

    Returns:
        The number of pictures that were written, and of those that were passed over.

    Raises:
        UsageError: a source is not there. DiskError: a result cannot be written.
    """
    assert config.out is not None
    out, failed, written = Path(config.out).expanduser(), 0, set[Path]()
    for path, name in _files(sources):
        try:
            picture = read_picture(path)
            target = out / written_name(name, picture.alpha is not None)
            if target in written:
                raise DataError(f"{path}: another picture was already written to {target}; give them other names")
            write_picture(target, Picture(translated(translator, picture.colours, config.tile), picture.alpha))
            written.add(target)
        except DataError as error:
            say(f"passed over: {error}")
            failed += 1
    return len(written), failed


def translated(translator: Translator, colours: np.ndarray, tile: int) -> np.ndarray:
    """The translation of one picture, uint8 [H, W, 3].

    Where a run makes its inputs of its targets, the grey values are taken: of a photograph, or of a drawing.
    """
    of_grey = translator.config.task in DERIVATIONS
    inputs_of = (lambda pixels: grey(as_tensor(pixels))) if of_grey else as_tensor
    return translate_picture(translator.network, colours, tile, inputs_of)


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
    record = evaluate_translations(images, extractor_for("", CHANNELS, config.inception), protocol, subject)
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


def _files(sources: list[Path]) -> Iterator[Named]:
    for source in sources:
        if source.is_dir():
            names = open_folder(source, image_size=1, channels=CHANNELS).names
            yield from (Named(source / name, Path(name)) for name in names)
        elif source.exists():
            yield Named(source, Path(source.name))
        else:
            raise UsageError(f"{source}: there is no such picture or folder")
