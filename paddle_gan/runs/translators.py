"""The trained translator of a run, and its use on pictures."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import paddle.nn as nn
from paddle import Tensor
from PIL import Image

from paddle_gan.config.language import tell
from paddle_gan.config.translate import ApplyConfig
from paddle_gan.datasets.derived import GREY, grey
from paddle_gan.datasets.holes import read_mask, with_holes
from paddle_gan.datasets.pairs import CHANNELS
from paddle_gan.datasets.pictures import Picture, picture_names, read_picture, write_picture, written_name
from paddle_gan.errors import DataError, UsageError
from paddle_gan.inference.translation import translate_picture
from paddle_gan.runs.execution import Say
from paddle_gan.runs.translation import read_translation
from paddle_gan.runs.translation_building import new_translator
from paddle_gan.runs.translation_data import as_tensor
from paddle_gan.runs.translation_options import TranslationOptions
from paddle_gan.training.checkpoint import read_newest
from paddle_gan.training.state import part
from paddle_gan.training.weights import load_weights, read_weights

# Largest tile of a picture, see `inference.translation`.
_TILE = 512
# Alpha from which on a pixel is not in the hole.
_OPAQUE = 128


@dataclass(frozen=True)
class Translator:
    """A trained translator in use.

    Attributes:
        network: in evaluation mode.
        config: options of its run.
        step: rounds that it was trained for; None where that is not known.
    """

    network: nn.Layer
    config: TranslationOptions
    step: int | None

    def translate(self, picture: Image.Image) -> Image.Image:
        """The translation of a picture of any size; transparency is not kept, see `tools/translate.py apply`."""
        return Image.fromarray(translated(self, np.asarray(picture.convert("RGB")), _TILE))


class Named(NamedTuple):
    """A file, and its name below the folder for results."""

    path: Path
    name: Path


def load_translator(
    folder: Path | str,
    say: Say = tell,
    *,
    raw: bool = False,
    best: bool = False,
    reverse: bool = False,
    weights: Path | None = None,
) -> Translator:
    """The translator of a run from its newest checkpoint, or with weights from a file.

    Args:
        folder: the run's.
        say: for notices.
        raw: the weights as trained, not their average.
        best: take the checkpoint that measured best.
        reverse: the way back of a run with `--method cyclegan`.
        weights: a .pdparams or .safetensors file to take instead, whoever wrote it. The folder may then be one that
            tools/export.py --format safetensors wrote.

    Raises:
        UsageError: not such a run folder. CheckpointError: no checkpoint that fits, or a damaged file.
    """
    folder = Path(folder).expanduser()
    config = read_translation(folder)
    network = new_translator(config)
    if weights:
        load_weights(network, read_weights(weights), weights)
        network.eval()
        return Translator(network, config, None)
    checkpoints = folder / ("best" if best else "checkpoints")
    if best and not os.path.isdir(checkpoints):
        raise UsageError(f"{folder}: no best checkpoint, its translations were not measured; see --evaluate-every")
    if reverse and config.method != "cyclegan":
        raise UsageError(f"--reverse: {folder} learned one direction only; --method cyclegan learns both")
    found = read_newest(checkpoints, say)
    name = "generator_back" if reverse else "generator"
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
        DiskError: a result cannot be written.
    """
    assert config.out is not None
    out, failed, written = Path(config.out), 0, set[Path]()
    if config.mask and not translator.config.mask:
        raise UsageError(f"--mask is for a run of the task inpaint, and this is one of {translator.config.task}")
    mask = read_mask(Path(config.mask)) if config.mask else None
    for path, name in _files(sources):
        try:
            picture = read_picture(path)
            made = translate_one(translator, path, picture, mask, config.tile)
            target = out / written_name(name, made.alpha is not None)
            if target.resolve() == path.resolve():
                raise DataError(f"{path}: its translation would take its place; name another folder with --out")
            if target in written:
                raise DataError(f"{path}: another picture was already written to {target}; give them other names")
            write_picture(target, made)
            written.add(target)
        except DataError as error:
            say(f"passed over: {error}")
            failed += 1
    return len(written), failed


def translate_one(translator: Translator, path: Path, picture: Picture, mask: np.ndarray | None, tile: int) -> Picture:
    """The translation of a picture, with its alpha; for in-painting its hole filled, without alpha.

    Args:
        translator: in use.
        path: of the picture, for messages.
        picture: what is translated.
        mask: the hole, bool [H, W]; if None, the transparent pixels.
        tile: see `translate_picture`.

    Raises:
        DataError: there is no hole, or the mask is of another size.
    """
    if not translator.config.mask:
        colours = translated(translator, picture.colours, tile)
        return Picture(colours, _resized(picture.alpha, colours))
    if mask is None and picture.alpha is None:
        raise DataError(f"{path}: no transparent pixels to fill; name the hole with a mask (--mask FILE)")
    hole = picture.alpha < _OPAQUE if mask is None and picture.alpha is not None else mask
    assert hole is not None
    if hole.shape != picture.colours.shape[:2]:
        sizes = [f"{shape[1]}x{shape[0]}" for shape in (hole.shape, picture.colours.shape)]
        raise DataError(f"{path}: the mask is {sizes[0]} pixels, the picture {sizes[1]}; they must be of one size")
    return Picture(filled(translator, picture.colours, hole, tile), None)


def filled(translator: Translator, colours: np.ndarray, hole: np.ndarray, tile: int) -> np.ndarray:
    """A picture, uint8 [H, W, 3], whose hole, bool [H, W], is filled; all other pixels stay as they are."""

    def inputs_of(part: np.ndarray) -> Tensor:
        whole = as_tensor(part)
        return with_holes(whole[:, :CHANNELS], whole[:, CHANNELS:])

    both = np.dstack([colours, hole * np.uint8(255)])
    made = translate_picture(translator.network, both, tile, inputs_of)
    return np.where(hole[..., None], made, colours)


def translated(translator: Translator, colours: np.ndarray, tile: int) -> np.ndarray:
    """The translation of one picture, uint8 [H, W, 3], or that many times larger as the run's `--scale` says.

    Where the inputs of a run are grey, the grey values are taken: of a photograph, or of a drawing.
    """
    of_grey = translator.config.task in GREY
    inputs_of = (lambda pixels: grey(as_tensor(pixels))) if of_grey else as_tensor
    return translate_picture(translator.network, colours, tile, inputs_of, translator.config.scale or 1)


def _resized(alpha: np.ndarray | None, colours: np.ndarray) -> np.ndarray | None:
    """The alpha [h, w] in the size of the colours [H, W, 3]."""
    if alpha is None or alpha.shape == colours.shape[:2]:
        return alpha
    return np.asarray(Image.fromarray(alpha).resize(colours.shape[1::-1], Image.Resampling.BICUBIC))


def _files(sources: list[Path]) -> Iterator[Named]:
    for source in sources:
        if source.is_dir():
            yield from (Named(source / name, name) for name in picture_names(source))
        else:
            yield Named(source, Path(source.name))
