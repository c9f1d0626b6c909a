"""A trained translator as a folder to give away, in one of several formats; as `shipping` for generators.

Not about how a format is written: see `inference.translator_export`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paddle import Tensor

from paddle_gan.datasets.derived import GREY, grey
from paddle_gan.errors import UsageError
from paddle_gan.inference import export, translator_export
from paddle_gan.inference.any_size import Filling, Translating
from paddle_gan.inference.translator_export import Form
from paddle_gan.runs.shipping import check_installed, chosen_weights, put_in_place
from paddle_gan.runs.translator_card import shared_translation_options, write_translator_card
from paddle_gan.runs.translators import Translator, load_translator
from paddle_gan.system.files import write_text
from paddle_gan.training.weights import write_weights


@dataclass(frozen=True)
class TranslatorShipment:
    """A translator that is to be exported, and where it comes from.

    Attributes:
        translator: in use.
        run: folder of its run.
        weights: "average", "raw", or the name of a file.
        best: whether they are those that measured best during training.
        back: whether it is the way back of a run that learned both.
        licence: of the data, for the card; None if it is not known.
    """

    translator: Translator
    run: Path
    weights: str
    best: bool = False
    back: bool = False
    licence: str | None = None

    @property
    def origin(self) -> dict[str, str | int]:
        """What an exported file says of its origin."""
        return {
            "run": self.run.resolve().name,
            "task": self.translator.config.task,
            "direction": "back" if self.back else "forth",
        } | chosen_weights(self.weights, self.translator.step, self.best)

    @property
    def form(self) -> Form:
        """The translator as a function from pixels to pixels."""
        network, config = self.translator.network, self.translator.config
        if config.mask:
            return Filling(network)
        return Translating(network, grey if config.task in GREY else _as_they_are, config.scale or 1)


def _as_they_are(images: Tensor) -> Tensor:
    return images


def ship_translator(shipment: TranslatorShipment, form: str, folder: Path) -> str:
    """Write a translator and its model card to a folder; arguments, result and errors are those of `shipping.ship`."""
    if form not in FORMATS:
        raise UsageError(f"--format {form} is for generators; a translation is exported as {', '.join(FORMATS)}")

    def write(temporary: Path) -> str:
        said = FORMATS[form](shipment, temporary)
        properties = {"format": form, **shipment.origin}
        described = translator_export.interface(shipment.form)
        write_translator_card(temporary, shipment.translator, shipment.run, properties, described, shipment.licence)
        return said

    return put_in_place(folder, write)


def paddle(shipment: TranslatorShipment, folder: Path) -> str:
    """A program for paddle.inference."""
    return _said(translator_export.export_program(shipment.form, folder, shipment.origin), "paddle.inference")


def onnx(shipment: TranslatorShipment, folder: Path) -> str:
    """An ONNX file."""
    check_installed("onnx", "onnxruntime")
    differences = translator_export.export_onnx(shipment.form, folder / "translator.onnx", shipment.origin)
    return _said(differences, "onnxruntime")


def _said(differences: dict[str, float], where: str) -> str:
    each = ", ".join(f"{difference:.1g} for {size} pixels" for size, difference in differences.items())
    return f"values in [0, 1] differ in {where} from the network's by at most {each} (allowed: {export.TOLERANCE})"


def safetensors(shipment: TranslatorShipment, folder: Path) -> str:
    """The weights, and the options that the network is made from."""
    weights = folder / "translator.safetensors"
    write_weights(weights, shipment.translator.network, {})
    options = shared_translation_options(shipment.translator.config)
    write_text(folder / "config.json", json.dumps(options, indent=2) + "\n")
    again = load_translator(folder, weights=weights)
    difference = translator_export.largest_difference(
        TranslatorShipment(again, folder, weights.name).form, shipment.form
    )
    export.check_difference(difference, "the weights that were read again")
    return f"values after reading it again differ by {difference:.1g}"


# A format writes its files into an empty folder, and says how they were checked.
FORMATS: dict[str, Callable[[TranslatorShipment, Path], str]] = {
    "paddle": paddle,
    "onnx": onnx,
    "safetensors": safetensors,
}
