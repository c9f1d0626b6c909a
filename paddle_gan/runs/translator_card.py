"""The model card of an exported translator; as `card` for generators of images from noise.

The sheet shows held-out images and their translations, if the images of the run are still there. They are the first
ones in equal distances; nobody picked them.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import paddle_gan
from paddle_gan.errors import GanError
from paddle_gan.inference.images import side_by_side
from paddle_gan.inference.translation import translate_batch
from paddle_gan.inference.translator_export import OUTPUT
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.runs.card import (
    FORMAT,
    PRIVATE,
    SHEET,
    licence_of,
    measures_of,
    page,
    write_files,
)
from paddle_gan.runs.translation_data import held_out_images, held_out_pairs, load_translation_data
from paddle_gan.runs.translation_measures import pixels
from paddle_gan.runs.translation_options import TranslationOptions
from paddle_gan.runs.translators import Translator

# Images of the sheet, and groups of them in a row.
_SHOWN, _ACROSS = 12, 3


def write_translator_card(
    folder: Path,
    translator: Translator,
    run: Path,
    properties: dict[str, Any],
    form: dict[str, Any],
    licence: str | None,
) -> None:
    """Write the card of an exported translator, and the sheet, beside its files.

    Args:
        folder: holds the files of the export.
        translator: in use.
        run: folder of its run.
        properties: what the export says of its origin: format, run, task, direction, weights, step, best.
        form: what it takes and gives, see `translator_export.interface`.
        licence: of the data; None if it is not known.
    """
    config = translator.config
    measures, missing = measures_of(run, properties)
    if properties["direction"] == "back":
        measures, missing = None, "This direction was not measured."
    sheet = _sheet(translator, back=properties["direction"] == "back")
    content = {
        "format": FORMAT,
        "written_by": f"paddle_gan {paddle_gan.__version__}",
        "export": properties,
        "data": {"name": data_name(config), "licence": licence},
        "training": {
            "objective": config.loss,
            "source": OBJECTIVES[config.loss].source,
            "steps": translator.step,
            "options": shared_translation_options(config),
        },
        **form,
        "measures": measures,
        "measures_missing": missing,
        "samples": None if sheet is None else {"file": SHEET, "count": sheet.count, "selected": False},
    }
    write_files(folder, None if sheet is None else sheet.pixels, content, markdown)


def shared_translation_options(config: TranslationOptions) -> dict[str, Any]:
    """The options of a run without those that speak of the machine it ran on; of folders and files the name stays."""
    options = {name: value for name, value in asdict(config).items() if name not in PRIVATE}
    for name in ("pairs", "unpaired"):
        options[name] = options[name] and [Path(folder).name for folder in options[name]]
    for name in ("images", "mask"):
        options[name] = options[name] and Path(options[name]).name
    return options


def data_name(config: TranslationOptions) -> str:
    """The names of the folders that a run was trained on."""
    folders = config.pairs or config.unpaired or (config.images,)
    return " and ".join(Path(str(folder)).name for folder in folders)


class _Sheet:
    """Groups of images, uint8 [height, width, 3], and their number."""

    def __init__(self, columns: list[np.ndarray]):
        self.count, self.pixels = len(columns[0]), side_by_side(columns, _ACROSS)


def _sheet(translator: Translator, back: bool) -> _Sheet | None:
    """Held-out inputs, translations and, with pairs, targets; None if the images are not there."""
    try:
        data = load_translation_data(translator.config)
        if data.pairs_of is None:
            inputs, targets = held_out_images(data, int(back), _SHOWN).numpy(), []
        else:
            pair = held_out_pairs(data, _SHOWN)
            inputs, targets = pair.inputs.numpy(), [pixels(pair.targets.numpy())]
    except GanError:
        return None
    return _Sheet([pixels(inputs), translate_batch(translator.network, inputs), *targets])


def markdown(content: dict[str, Any]) -> str:
    """A card as Markdown with front matter."""
    export, data, training = content["export"], content["data"], content["training"]
    options, outputs = training["options"], content["outputs"][OUTPUT]
    back = " (the way back)" if export["direction"] == "back" else ""
    facts = {
        "task": f"{export['task']}{back}",
        "data": f"{data['name']}, {licence_of(data)}",
        "objective": f"{training['objective']} ({training['source']})",
        "steps": "unknown" if training["steps"] is None else f"{training['steps']:,}",
        "weights": f"{export['weights']}{', those that measured best' if export.get('best') else ''}",
        "generator": f"{options['generator']}, width {options['width']}, trained on {options['image_size']} pixels",
        **{f"input `{name}`": _value(value) for name, value in content["inputs"].items()},
        f"output `{OUTPUT}`": _value(outputs),
        "sizes": content["sizes"],
        "written by": content["written_by"],
    }
    samples = content["samples"]
    shown = (
        [
            f"![{samples['count']} groups]({samples['file']})",
            "",
            "Held-out inputs, their translations, and the targets if there are pairs. Nobody picked them.",
        ]
        if samples
        else ["The images of the run were not there when this was written, so no sheet is shown."]
    )
    return page(content, "image-to-image", "translator", facts, shown)


def _value(value: dict[str, Any]) -> str:
    meaning = f": {value['meaning']}" if "meaning" in value else ""
    return f"{value['type']} {value['shape']} in {value['value_range']}{meaning}"
