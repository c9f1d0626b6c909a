"""Measure the samples of a run or of a file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paddle_gan.commands.command import Command
from paddle_gan.commands.outputs import output_file
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.results import EvaluateConfig

# The Fréchet distance grows by much when fewer samples are taken (Chong and Forsyth 2020).
_FEW = 1000


def run(parsed: Parsed[EvaluateConfig]) -> None:
    from paddle_gan.evaluation import records
    from paddle_gan.inference.export import is_exported
    from paddle_gan.inference.images import grid, save_png
    from paddle_gan.runs import scoring, translation_scoring
    from paddle_gan.runs.folder import NOISE_TO_IMAGE, task_of
    from paddle_gan.system.device import select_device
    from paddle_gan.system.files import write_text

    config, source = parsed.options, Path(parsed.positional["source"])
    # Beside a folder of images, not in it: there the picture of neighbours would be one of the images.
    inside = (source / "config.json").exists() or is_exported(source)
    default = source / "evaluation.json" if inside else _beside(source)
    out = output_file("--out", Path(config.out) if config.out else default, ".json")
    select_device(config.device)
    other = records.read_record(Path(config.against)) if config.against else None
    translated = None
    if (source / "config.json").exists() and task_of(source) != NOISE_TO_IMAGE:
        translated = translation_scoring.score_translation(source, config, tell)
        record, sheet = translated.record, translated.sheet
        shown, picture = "inputs, translations, targets", out.with_suffix(".sheet.png")
    else:
        result = scoring.score(source, config, tell)
        record, sheet = result.record, grid(result.neighbours, columns=12)
        shown, picture = "samples nearest to a training image, each beside it", out.with_suffix(".neighbours.png")
    print(records.table([record]))
    if not translated:
        _say_what_was_measured(record["protocol"])
    for name, counts in (record["class_counts"] or {}).items():
        tell(f"classes of {name}: {' '.join(map(str, counts))}")
    # After the figures are shown: a disk that is full, or a run of somebody else, does not cost them.
    write_text(out, json.dumps(record, indent=2) + "\n")
    save_png(picture, sheet)
    tell(f"record: {out}")
    tell(f"{shown}: {picture}")
    if other:
        print(records.table([record, other]))


def _say_what_was_measured(protocol: Mapping[str, Any]) -> None:
    tell(f"{protocol['samples']} samples, {protocol['reference']} images of {protocol['dataset']}; {protocol['split']}")
    if protocol["samples"] < _FEW:
        uncertain = "the figures are uncertain, and the Fréchet distance is too large"
        tell(f"notice: with fewer than {_FEW:,} samples {uncertain}")


def _beside(source: Path) -> Path:
    """The record's place beside a file or a folder of samples."""
    place = source.absolute()
    return place.with_name(f"{place.name if place.is_dir() else place.stem}.evaluation.json")


EVALUATE = Command(
    name="evaluate",
    description="Measure samples or translations: are they good, are they diverse, are they copies.",
    options=EvaluateConfig,
    run=run,
    positional={
        "source": "folder of a run, exported generator, folder or zip of images, or .npz file with images [N,H,W,C]"
    },
    first=("num", "dataset", "best", "against", "out"),
    examples={
        "RUN": "10,000 samples against real images, with the floor of real against real",
        "samples.npz --dataset mnist": "images that another program made",
        "RUN --against OTHER/evaluation.json": "beside the record of another run",
        "RUN --num 2000 --best": "the best checkpoint, with fewer samples",
    },
)
