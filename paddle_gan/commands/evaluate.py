"""Measure the samples of a run or of a file."""

import json
from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.results import EvaluateConfig


def run(parsed: Parsed[EvaluateConfig]) -> None:
    from paddle_gan.evaluation import records
    from paddle_gan.inference.images import grid, save_png
    from paddle_gan.runs import scoring, translation_scoring
    from paddle_gan.runs.folder import NOISE_TO_IMAGE, task_of
    from paddle_gan.system.device import select_device
    from paddle_gan.system.files import write_text

    config, source = parsed.options, Path(parsed.positional["source"]).expanduser()
    select_device(config.device)
    other = records.read_record(Path(config.against).expanduser()) if config.against else None
    default = source / "evaluation.json" if source.is_dir() else source.with_suffix(".evaluation.json")
    out = Path(config.out).expanduser() if config.out else default
    if (source / "config.json").exists() and task_of(source) != NOISE_TO_IMAGE:
        record, sheet = translation_scoring.evaluate_translator(source, config, print)
        shown, picture = "inputs, translations, targets", out.with_suffix(".sheet.png")
    else:
        result = scoring.score(source, config, print)
        record, sheet = result.record, grid(result.neighbours, columns=12)
        shown, picture = "samples nearest to a training image, each beside it", out.with_suffix(".neighbours.png")
    write_text(out, json.dumps(record, indent=2) + "\n")
    save_png(picture, sheet)
    print(records.table([record]))
    for name, counts in (record["class_counts"] or {}).items():
        print(f"classes of {name}: {' '.join(map(str, counts))}")
    print(f"record: {out}")
    print(f"{shown}: {picture}")
    if other:
        print(records.table([record, other]))


EVALUATE = Command(
    name="evaluate",
    description="Measure samples or translations: are they good, are they diverse, are they copies.",
    options=EvaluateConfig,
    run=run,
    positional={"source": "folder of a run, exported generator, folder of images, or .npz file with images [N,H,W,C]"},
)
